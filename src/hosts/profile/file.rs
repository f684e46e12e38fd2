//! A profile as it stands in its file: every key there is, and its default.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use iso8583::Framing;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::hosts::calendar::DatedBy;
use crate::hosts::message::definition::{Style, UnknownRule};
use crate::hosts::message::format::MacRule;
use crate::hosts::message::name_location::CountryForm;
use crate::hosts::message::rrn::RrnForm;
use crate::payment::decline::{DeclineAdvice, DeclineReason};
use crate::payment::reason::Reason;
use crate::payment::totals::{OutOfBalance, TotalsLevel};

use super::word::{optional_word, word};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProfileFile {
    pub(super) address: String,
    pub(super) server_name: String,
    pub(super) ca: PathBuf,
    pub(super) crl: Option<PathBuf>,
    pub(super) client_certificate: PathBuf,
    pub(super) client_key: PathBuf,
    #[serde(default)]
    pub(super) pins: Vec<String>,
    #[serde(default)]
    pub(super) allow_tls12: bool,
    #[serde(default = "yes")]
    pub(super) required: bool,
    #[serde(default = "one")]
    pub(super) lines: usize,
    #[serde(default = "default_in_flight_limit")]
    pub(super) in_flight_limit: usize,
    #[serde(default = "default_connect_timeout_ms")]
    pub(super) connect_timeout_ms: u64,
    #[serde(default = "default_reply_timeout_ms")]
    pub(super) reply_timeout_ms: u64,
    #[serde(default = "default_least_reply_ms")]
    pub(super) least_reply_ms: u64,
    #[serde(default = "default_back_off_first_ms")]
    pub(super) back_off_first_ms: u64,
    #[serde(default = "default_back_off_longest_ms")]
    pub(super) back_off_longest_ms: u64,
    #[serde(default = "yes")]
    pub(super) sign_on: bool,
    #[serde(default = "default_echo_interval_ms")]
    pub(super) echo_interval_ms: u64,
    #[serde(default = "default_silence_ms")]
    pub(super) silence_ms: u64,
    #[serde(default = "default_echo_timeout_ms")]
    pub(super) echo_timeout_ms: u64,
    #[serde(default)]
    pub(super) circuit: CircuitFile,
    pub(super) hold_days: u16,
    pub(super) dialect: toml::Value,
    pub(super) framing: Framing,
    #[serde(default)]
    pub(super) header: String,
    pub(super) time_zone: Option<String>,
    #[serde(default)]
    pub(super) settlement: SettlementFile,
    #[serde(default, deserialize_with = "word")]
    pub(super) rrn: RrnForm,
    #[serde(default, deserialize_with = "word")]
    pub(super) mac: MacRule,
    #[serde(default)]
    pub(super) currency_minor_digits: BTreeMap<String, u32>,
    pub(super) acceptor_name_location: Option<NameLocationFile>,
    pub(super) subelements: Option<SubelementsFile>,
    pub(super) host_reverses: Option<Vec<String>>,
    pub(super) match_key: Option<Vec<u8>>,
    pub(super) match_where_echoed: Option<Vec<u8>>,
    #[serde(default)]
    pub(super) response_codes: BTreeMap<String, toml::Value>,
    pub(super) messages: MessagesFile,
}

/// `[circuit]`: when payments to a host that does not answer fail unsent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct CircuitFile {
    pub(super) unanswered: usize,
    pub(super) probation: usize,
}

impl Default for CircuitFile {
    fn default() -> Self {
        Self {
            unanswered: 10,
            probation: 5,
        }
    }
}

/// `[settlement]`: when the host's days end.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SettlementFile {
    #[serde(default, deserialize_with = "optional_word")]
    pub(super) business_date: Option<DatedBy>,
    pub(super) cutover: Option<String>,
    #[serde(default)]
    pub(super) weekend: Vec<String>,
    #[serde(default)]
    pub(super) holidays: Vec<String>,
    pub(super) clearing_file: Option<toml::Table>,
    pub(super) report: Option<toml::Table>,
    pub(super) fees: Option<toml::Table>,
}

/// `[acceptor_name_location]`: the widths of DE 43.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NameLocationFile {
    pub(super) name: usize,
    pub(super) city: usize,
    #[serde(default)]
    pub(super) state: usize,
    #[serde(deserialize_with = "word")]
    pub(super) country: CountryForm,
}

/// `[subelements]`: the digits of a tag and of a length.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SubelementsFile {
    pub(super) tag_digits: u8,
    pub(super) length_digits: u8,
}

/// `[messages]`: how operations travel, and how a date is settled.
pub(super) struct MessagesFile {
    pub(super) totals: Option<TotalsFile>,
    pub(super) upload: Option<UploadFile>,
    pub(super) operations: BTreeMap<String, MessageFile>,
}

/// Read by hand, since serde's `flatten` loses the lines of errors.
impl<'de> Deserialize<'de> for MessagesFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Tables;

        impl<'de> Visitor<'de> for Tables {
            type Value = MessagesFile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of messages")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut tables: A) -> Result<MessagesFile, A::Error> {
                let mut file = MessagesFile {
                    totals: None,
                    upload: None,
                    operations: BTreeMap::new(),
                };
                while let Some(name) = tables.next_key::<String>()? {
                    match name.as_str() {
                        "totals" => file.totals = Some(tables.next_value()?),
                        "upload" => file.upload = Some(tables.next_value()?),
                        _ => {
                            file.operations.insert(name, tables.next_value()?);
                        }
                    }
                }
                Ok(file)
            }
        }

        deserializer.deserialize_map(Tables)
    }
}

/// `[messages.totals]`: the totals of a business date.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TotalsFile {
    #[serde(deserialize_with = "word")]
    pub(super) level: TotalsLevel,
    #[serde(deserialize_with = "word")]
    pub(super) out_of_balance: OutOfBalance,
    pub(super) mti: String,
    #[serde(default = "default_totals_first_ms")]
    pub(super) first_ms: u64,
    #[serde(default = "default_totals_longest_ms")]
    pub(super) longest_ms: u64,
    pub(super) fields: BTreeMap<String, toml::Value>,
}

/// `[messages.upload]`: one item of a date that is out of balance.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct UploadFile {
    pub(super) mti: String,
    pub(super) fields: BTreeMap<String, toml::Value>,
}

/// `[messages.NAME]`: one message.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MessageFile {
    #[serde(deserialize_with = "word")]
    pub(super) style: Style,
    pub(super) mti: Option<String>,
    pub(super) response_mti: Option<String>,
    #[serde(default)]
    pub(super) fields: BTreeMap<String, toml::Value>,
    #[serde(default)]
    pub(super) reasons: BTreeMap<Reason, String>,
    pub(super) repeats: Option<RepeatsFile>,
    pub(super) match_key: Option<Vec<u8>>,
    pub(super) match_where_echoed: Option<Vec<u8>>,
    #[serde(default)]
    pub(super) response_codes: BTreeMap<String, toml::Value>,
    pub(super) error_element: Option<u8>,
    pub(super) partial_amount: Option<toml::Value>,
    #[serde(default)]
    pub(super) sales: bool,
    #[serde(default, deserialize_with = "optional_word")]
    pub(super) unknown: Option<UnknownRule>,
    #[serde(default)]
    pub(super) keep: Vec<toml::Value>,
    pub(super) cvv_result: Option<toml::Value>,
    pub(super) avs_result: Option<toml::Value>,
}

/// `[messages.NAME.repeats]`: how an advice is sent again.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RepeatsFile {
    pub(super) mti: Option<String>,
    pub(super) first_ms: Option<u64>,
    pub(super) factor: Option<u32>,
    pub(super) longest_ms: Option<u64>,
    pub(super) cap: Option<u32>,
    pub(super) per_second: Option<u32>,
    pub(super) window: Option<usize>,
    pub(super) original_gone_ms: Option<u64>,
}

/// A decline as a response code's meaning.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeclineFile {
    pub(super) reason: DeclineReason,
    pub(super) advice: Option<DeclineAdvice>,
}

const fn yes() -> bool {
    true
}
const fn one() -> usize {
    1
}
const fn default_totals_first_ms() -> u64 {
    5000
}
const fn default_totals_longest_ms() -> u64 {
    300_000
}
const fn default_in_flight_limit() -> usize {
    1000
}
const fn default_connect_timeout_ms() -> u64 {
    3000
}
const fn default_reply_timeout_ms() -> u64 {
    4000
}
const fn default_least_reply_ms() -> u64 {
    1000
}
const fn default_back_off_first_ms() -> u64 {
    100
}
const fn default_back_off_longest_ms() -> u64 {
    10_000
}
const fn default_echo_interval_ms() -> u64 {
    30_000
}
const fn default_silence_ms() -> u64 {
    1500
}
const fn default_echo_timeout_ms() -> u64 {
    5000
}

#[cfg(test)]
mod tests;
