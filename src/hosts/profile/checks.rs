//! Checks the values of a profile, each with an error that names the key.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use iso8583::Dialect;

use crate::payment::decline::ResponseCode;
use crate::payment::ids::HostId;

use crate::hosts::message::match_key::{KeyField, KeyFields, MatchRule};
use crate::hosts::message::response_codes::{Meaning, ResponseCodes, Unlisted, usual_advice};
use crate::hosts::message::source::Mapping;

use super::file::{DeclineFile, ProfileFile};
use super::messages::mapping;
use super::reading::{ProfileError, Reading};
use super::toml_text::{shown, write_inline, write_inline_key};
use super::{
    BackOff, HostProfile, MAX_IN_FLIGHT, MAX_LINES, MAX_REPLY_TIMEOUT, NetworkProfile, PemSource,
    SpkiPin, TlsProfile,
};

/// The profile that the file stands for.
pub(super) fn checked(
    reading: &Reading<'_>,
    raw: ProfileFile,
) -> Result<HostProfile, ProfileError> {
    let reply_timeout =
        reading.millis("reply_timeout_ms", raw.reply_timeout_ms, MAX_REPLY_TIMEOUT)?;
    let back_off = BackOff {
        first: reading.millis("back_off_first_ms", raw.back_off_first_ms, LONGEST_WAIT)?,
        longest: reading.millis("back_off_longest_ms", raw.back_off_longest_ms, LONGEST_WAIT)?,
    };
    if back_off.longest < back_off.first {
        return Err(reading.fault(
            "back_off_longest_ms",
            "at least back_off_first_ms",
            raw.back_off_longest_ms,
        ));
    }
    let dialect = reading.dialect(&raw.dialect)?;
    let match_rule =
        reading.match_rule(raw.match_key.as_deref(), raw.match_where_echoed.as_deref())?;
    let authorization = mapping(reading, "authorization", &raw.messages.authorization)?;
    reading.key_is_sent(match_rule, &authorization)?;
    Ok(HostProfile {
        host_id: reading.host_id()?,
        tls: reading.tls(&raw)?,
        address: reading.address(raw.address)?,
        required: raw.required,
        lines: reading.within("lines", raw.lines, MAX_LINES)?,
        in_flight_limit: reading.within("in_flight_limit", raw.in_flight_limit, MAX_IN_FLIGHT)?,
        connect_timeout: reading.millis(
            "connect_timeout_ms",
            raw.connect_timeout_ms,
            LONGEST_WAIT,
        )?,
        reply_timeout,
        back_off,
        network: NetworkProfile {
            sign_on: raw.sign_on,
            echo_interval: reading.millis(
                "echo_interval_ms",
                raw.echo_interval_ms,
                LONGEST_WAIT,
            )?,
            echo_timeout: reading.millis("echo_timeout_ms", raw.echo_timeout_ms, LONGEST_WAIT)?,
        },
        hold_days: u16::try_from(reading.within("hold_days", raw.hold_days.into(), 400)?)
            .unwrap_or(400),
        header: reading.header(&raw.header, &dialect)?,
        dialect: Arc::new(dialect),
        framing: raw.framing,
        utc_offset_minutes: reading.utc_offset(raw.utc_offset_minutes)?,
        match_rule,
        response_codes: reading.response_codes(&raw.response_codes)?,
        authorization,
    })
}

impl Reading<'_> {
    fn host_id(&self) -> Result<HostId, ProfileError> {
        let stem = self.file.file_stem().unwrap_or_default().to_string_lossy();
        stem.parse().map_err(|_| {
            let expected = "1 to 40 of the characters a-z, 0-9, '-' and '_' before .toml";
            self.fault("the file's name", expected, format!("{stem:?}"))
        })
    }

    fn address(&self, address: String) -> Result<String, ProfileError> {
        let port = address
            .rsplit_once(':')
            .map(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0));
        match port {
            Some(true) => Ok(address),
            _ => Err(self.fault("address", "HOST:PORT", format!("{address:?}"))),
        }
    }

    fn tls(&self, raw: &ProfileFile) -> Result<TlsProfile, ProfileError> {
        let pem = |path: &Path| PemSource::File(self.base.join(path));
        let name = raw.server_name.clone();
        if !matches!(
            rustls_pki_types::ServerName::try_from(name.as_str()),
            Ok(rustls_pki_types::ServerName::DnsName(_))
        ) {
            return Err(self.fault("server_name", "a DNS name", format!("{name:?}")));
        }
        Ok(TlsProfile {
            server_name: name,
            ca: pem(&raw.ca),
            client_certificate: pem(&raw.client_certificate),
            client_key: pem(&raw.client_key),
            pins: raw
                .pins
                .iter()
                .map(|pin| self.pin(pin))
                .collect::<Result<_, _>>()?,
            allow_tls12: raw.allow_tls12,
        })
    }

    fn pin(&self, text: &str) -> Result<SpkiPin, ProfileError> {
        text.strip_prefix("sha256/")
            .and_then(|base64| {
                base64::engine::general_purpose::STANDARD
                    .decode(base64)
                    .ok()
            })
            .and_then(|bytes| bytes.try_into().ok())
            .map(SpkiPin)
            .ok_or_else(|| {
                let expected = "\"sha256/\" and 32 bytes in base64";
                self.fault("pins", expected, format!("{text:?}"))
            })
    }

    fn within(&self, key: &str, got: usize, most: usize) -> Result<usize, ProfileError> {
        if (1..=most).contains(&got) {
            Ok(got)
        } else {
            Err(self.fault(key, format!("1 to {most}"), got))
        }
    }

    fn millis(&self, key: &str, got: u64, most: Duration) -> Result<Duration, ProfileError> {
        let duration = Duration::from_millis(got);
        if duration.is_zero() || duration > most {
            let expected = format!("1 to {} milliseconds", most.as_millis());
            return Err(self.fault(key, expected, got));
        }
        Ok(duration)
    }

    fn utc_offset(&self, minutes: i16) -> Result<i16, ProfileError> {
        const MOST: i16 = 14 * 60;
        if (-MOST..=MOST).contains(&minutes) {
            Ok(minutes)
        } else {
            let expected = format!("-{MOST} to {MOST} minutes");
            Err(self.fault("utc_offset_minutes", expected, minutes))
        }
    }

    fn dialect(&self, value: &toml::Value) -> Result<Dialect, ProfileError> {
        match value {
            toml::Value::String(name) => Dialect::builtin(name).ok_or_else(|| {
                let known = Dialect::builtin_names().join(", ");
                let expected = format!("a table, or one of {known}");
                self.fault("dialect", expected, format!("{name:?}"))
            }),
            toml::Value::Table(table) => {
                let mut text = String::new();
                for (key, value) in table {
                    write_inline_key(key, &mut text);
                    write_inline(value, &mut text);
                    text.push('\n');
                }
                Dialect::from_toml(&text).map_err(|source| ProfileError::Dialect {
                    file: self.file.to_owned(),
                    source: Box::new(source),
                })
            }
            other => Err(self.fault("dialect", "a name or a table", other.type_str())),
        }
    }

    fn header(&self, hex: &str, dialect: &Dialect) -> Result<Vec<u8>, ProfileError> {
        match iso8583::hex::decode(hex) {
            Some(bytes) if bytes.is_empty() || bytes.len() == dialect.header_bytes() => Ok(bytes),
            _ => {
                let expected = format!("{} bytes in hex, or nothing", dialect.header_bytes());
                Err(self.fault("header", expected, format!("{hex:?}")))
            }
        }
    }

    fn match_rule(
        &self,
        always: Option<&[u8]>,
        where_echoed: Option<&[u8]>,
    ) -> Result<MatchRule, ProfileError> {
        let default = MatchRule::default();
        let rule = MatchRule {
            always: always.map_or(Ok(default.always), |des| self.key_fields("match_key", des))?,
            where_echoed: where_echoed.map_or(Ok(default.where_echoed), |des| {
                self.key_fields("match_where_echoed", des)
            })?,
        };
        if !rule.always.contains(KeyField::Stan) {
            return Err(self.fault("match_key", "11 among its DEs", "none"));
        }
        Ok(rule)
    }

    /// A host can't echo what it was not sent: each of its responses would go unmatched.
    fn key_is_sent(&self, rule: MatchRule, mapping: &Mapping) -> Result<(), ProfileError> {
        let sent = |de: u8| mapping.fields.iter().any(|(there, _)| *there == de);
        KeyField::DES
            .into_iter()
            .filter(|field| rule.always.contains(*field))
            .filter_map(KeyField::de)
            .find(|de| !sent(*de))
            .map_or(Ok(()), |de| {
                let expected = format!("a source for DE {de}, which is in match_key");
                Err(self.fault("messages.authorization.fields", expected, "none"))
            })
    }

    fn key_fields(&self, key: &str, des: &[u8]) -> Result<KeyFields, ProfileError> {
        des.iter().try_fold(KeyFields::default(), |fields, de| {
            KeyField::DES
                .into_iter()
                .find(|field| field.de() == Some(*de))
                .map(|field| fields.with(field))
                .ok_or_else(|| self.fault(key, "only DEs of 4, 7, 11, 37, 41 and 49", de))
        })
    }

    fn response_codes(
        &self,
        raw: &BTreeMap<String, toml::Value>,
    ) -> Result<ResponseCodes, ProfileError> {
        let mut overrides = BTreeMap::new();
        let mut unlisted = Unlisted::default();
        for (code, value) in raw {
            let key = format!("response_codes.{code}");
            if code == "unlisted" {
                unlisted = match value.as_str() {
                    Some("declined") => Unlisted::Declined,
                    Some("unclear") => Unlisted::Unclear,
                    _ => {
                        let expected = "\"declined\" or \"unclear\"";
                        return Err(self.fault(key, expected, shown(value)));
                    }
                };
                continue;
            }
            let parsed: ResponseCode = code.parse().map_err(|_| {
                let expected = "codes of two letters or digits, or unlisted";
                self.fault("response_codes", expected, code)
            })?;
            let meaning = self.meaning(&key, value)?;
            if PARTIAL_APPROVALS.contains(&parsed.as_str()) && matches!(meaning, Meaning::Approved)
            {
                let expected = "\"unclear\" or a decline: the bank approves another amount with this \
                                code, and a payment is authorized for its whole amount";
                return Err(self.fault(key, expected, shown(value)));
            }
            overrides.insert(parsed, meaning);
        }
        Ok(ResponseCodes::new(overrides, unlisted))
    }

    fn meaning(&self, key: &str, value: &toml::Value) -> Result<Meaning, ProfileError> {
        let expected = "\"approved\", \"unclear\", a reason for a decline, or a table of reason \
                        and advice";
        let decline: DeclineFile = match value.as_str() {
            Some("approved") => return Ok(Meaning::Approved),
            Some("unclear") => return Ok(Meaning::Unclear),
            Some(_) => DeclineFile {
                reason: value
                    .clone()
                    .try_into()
                    .map_err(|_| self.fault(key, expected, shown(value)))?,
                advice: None,
            },
            None => value
                .clone()
                .try_into()
                .map_err(|error: toml::de::Error| self.fault(key, expected, error.message()))?,
        };
        Ok(Meaning::Declined {
            reason: decline.reason,
            advice: decline
                .advice
                .unwrap_or_else(|| usual_advice(decline.reason)),
        })
    }
}

/// The codes by which a bank approves less than was asked for (ISO 8583:1987, DE 39: 10; 32 and 87 in
/// wide private use).
const PARTIAL_APPROVALS: [&str; 3] = ["10", "32", "87"];

/// The longest time of a profile but for the time-out of an answer: an hour.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
