//! Checks the values of a profile, each with an error that names the key.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use iso8583::Dialect;
use iso8583::field::{Format, LengthRule};
use iso8583::mti::Version;
use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;

use crate::hosts::calendar::{Calendar, DatedBy};
use crate::hosts::circuit::CircuitRule;
use crate::hosts::message::amount::MinorDigits;
use crate::hosts::message::local_clock::time_zone;
use crate::hosts::message::name_location::{NAME_LOCATION, NameLocationLayout};
use crate::hosts::message::standard_codes::Edition;
use crate::hosts::message::subelements::SubelementWidths;
use crate::payment::ids::HostId;
use crate::payment::money::Currency;

use super::file::{CircuitFile, NameLocationFile, ProfileFile, SettlementFile, SubelementsFile};
use super::messages::messages;
use super::reading::{LONGEST_WAIT, ProfileError, Reading};
use super::toml_text::{write_inline, write_inline_key};
use super::totals::totals;
use super::{
    BackOff, HostProfile, MAX_IN_FLIGHT, MAX_LINES, MAX_REPLY_TIMEOUT, NetworkProfile, PemSource,
    SettlementTables, SpkiPin, TlsProfile,
};

/// The profile that the file stands for.
pub(super) fn checked(
    reading: &Reading<'_>,
    raw: ProfileFile,
    keys: toml::Table,
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
    let least_reply = reading.millis("least_reply_ms", raw.least_reply_ms, MAX_REPLY_TIMEOUT)?;
    if least_reply >= reply_timeout {
        return Err(reading.fault(
            "least_reply_ms",
            "less than reply_timeout_ms",
            raw.least_reply_ms,
        ));
    }
    let subelements = reading.subelements(raw.subelements.as_ref())?;
    reading.response_code_element(&dialect)?;
    let mut messages = messages(reading, &raw, subelements, &dialect)?;
    let totals = totals(reading, &raw.messages, &dialect)?;
    let time_zone = reading.time_zone(raw.time_zone.as_deref())?;
    let calendar = reading.calendar(&raw.settlement, time_zone.as_ref())?;
    if calendar.dated_by == DatedBy::De15 {
        messages.keep_everywhere(SETTLEMENT_DATE);
    }
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
        least_reply,
        back_off,
        network: NetworkProfile {
            sign_on: raw.sign_on,
            echo_interval: reading.millis(
                "echo_interval_ms",
                raw.echo_interval_ms,
                LONGEST_WAIT,
            )?,
            silence: reading.millis("silence_ms", raw.silence_ms, LONGEST_WAIT)?,
            echo_timeout: reading.millis("echo_timeout_ms", raw.echo_timeout_ms, LONGEST_WAIT)?,
        },
        circuit: reading.circuit(&raw.circuit)?,
        hold_days: u16::try_from(reading.within("hold_days", raw.hold_days.into(), 400)?)
            .unwrap_or(400),
        header: reading.header(&raw.header, &dialect)?,
        dialect: Arc::new(dialect),
        framing: raw.framing,
        calendar,
        files: SettlementTables {
            clearing_file: raw.settlement.clearing_file,
            report: raw.settlement.report,
            fees: raw.settlement.fees,
        },
        totals,
        time_zone,
        rrn: raw.rrn,
        minor_digits: reading.minor_digits(&raw.currency_minor_digits)?,
        name_location: reading.name_location(raw.acceptor_name_location.as_ref())?,
        subelements,
        mac: raw.mac,
        messages,
        keys,
    })
}

/// DE 15, settlement date.
const SETTLEMENT_DATE: u8 = 15;

/// The days of the week, as profiles name them.
const WEEKDAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];

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

    fn circuit(&self, raw: &CircuitFile) -> Result<CircuitRule, ProfileError> {
        Ok(CircuitRule {
            unanswered: self.within("circuit.unanswered", raw.unanswered, MAX_IN_FLIGHT)?,
            probation: self.within("circuit.probation", raw.probation, MAX_IN_FLIGHT)?,
        })
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
            crl: raw.crl.as_deref().map(pem),
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

    fn time_zone(&self, name: Option<&str>) -> Result<Option<TimeZone>, ProfileError> {
        name.map(|name| {
            time_zone(name).ok_or_else(|| {
                let expected = "an IANA time zone such as \"Europe/Madrid\"";
                self.fault("time_zone", expected, format!("{name:?}"))
            })
        })
        .transpose()
    }

    /// The days end in the host's own time, or in UTC where it has none.
    fn calendar(
        &self,
        raw: &SettlementFile,
        zone: Option<&TimeZone>,
    ) -> Result<Calendar, ProfileError> {
        const KEY: &str = "settlement";
        let mut calendar = Calendar::every_day(zone.cloned().unwrap_or(TimeZone::UTC));
        calendar.dated_by = raw.business_date.unwrap_or_default();
        if calendar.is_cut_by_host() && raw.cutover.is_some() {
            let expected = "no time of day, since the host ends its days by a message";
            return Err(self.fault(format!("{KEY}.cutover"), expected, "one"));
        }
        if let Some(text) = &raw.cutover {
            let time = Time::strptime("%H:%M", text).map_err(|_| {
                let expected = "a time of day as HH:MM, such as \"23:00\"";
                self.fault(format!("{KEY}.cutover"), expected, format!("{text:?}"))
            });
            calendar.cutover = time?;
        }
        for text in &raw.weekend {
            let day = WEEKDAYS.into_iter().find(|(name, _)| name == text);
            let (_, day) = day.ok_or_else(|| {
                let expected = "days such as \"saturday\"";
                self.fault(format!("{KEY}.weekend"), expected, format!("{text:?}"))
            })?;
            calendar.weekend.push(day);
        }
        if WEEKDAYS
            .iter()
            .all(|(_, day)| calendar.weekend.contains(day))
        {
            let expected = "a day of the week that is left for business";
            return Err(self.fault(format!("{KEY}.weekend"), expected, "all seven"));
        }
        for text in &raw.holidays {
            let date = Date::strptime("%Y-%m-%d", text).map_err(|_| {
                let expected = "dates as YYYY-MM-DD";
                self.fault(format!("{KEY}.holidays"), expected, format!("{text:?}"))
            });
            calendar.holidays.insert(date?);
        }
        Ok(calendar)
    }

    fn minor_digits(&self, raw: &BTreeMap<String, u32>) -> Result<MinorDigits, ProfileError> {
        const MOST: u32 = 4;
        let mut digits = Vec::with_capacity(raw.len());
        for (code, got) in raw {
            let key = format!("currency_minor_digits.{code}");
            let currency: Currency = code.parse().map_err(|_| {
                self.fault(
                    &key,
                    "an ISO 4217 code such as \"HUF\"",
                    format!("{code:?}"),
                )
            })?;
            if *got > MOST {
                return Err(self.fault(key, format!("0 to {MOST} digits"), got));
            }
            digits.push((currency, *got));
        }
        Ok(MinorDigits::new(digits))
    }

    fn name_location(
        &self,
        raw: Option<&NameLocationFile>,
    ) -> Result<NameLocationLayout, ProfileError> {
        let Some(raw) = raw else {
            return Ok(NameLocationLayout::default());
        };
        for width in [raw.name, raw.city, raw.state] {
            if width > NAME_LOCATION {
                let expected = format!("widths of at most {NAME_LOCATION}");
                return Err(self.fault("acceptor_name_location", expected, width));
            }
        }
        let layout = NameLocationLayout {
            name: raw.name,
            city: raw.city,
            state: raw.state,
            country: raw.country,
        };
        if layout.width() == NAME_LOCATION {
            Ok(layout)
        } else {
            let expected = format!("widths of {NAME_LOCATION} together, the country's among them");
            Err(self.fault("acceptor_name_location", expected, layout.width()))
        }
    }

    fn subelements(&self, raw: Option<&SubelementsFile>) -> Result<SubelementWidths, ProfileError> {
        let Some(raw) = raw else {
            return Ok(SubelementWidths::default());
        };
        for (key, digits) in [
            ("subelements.tag_digits", raw.tag_digits),
            ("subelements.length_digits", raw.length_digits),
        ] {
            if !(2..=3).contains(&digits) {
                return Err(self.fault(key, "2 or 3 digits", digits));
            }
        }
        Ok(SubelementWidths {
            tag_digits: raw.tag_digits,
            length_digits: raw.length_digits,
        })
    }

    /// Response codes are as long as the edition's: a host that sends others would have every approval taken
    /// for an answer that says nothing.
    fn response_code_element(&self, dialect: &Dialect) -> Result<(), ProfileError> {
        let length = Edition::of(dialect.version()).code_length;
        let field = dialect.field(39);
        let fits = field.is_some_and(|field| {
            field.length() == LengthRule::Fixed
                && usize::from(field.max_units()) == length
                && matches!(field.format(), Format::An | Format::N | Format::Ans)
        });
        if fits {
            return Ok(());
        }
        let got = field.map_or_else(
            || "none".to_owned(),
            |field| format!("{} of {}", field.format(), field.max_units()),
        );
        let expected = match dialect.version() {
            Version::Iso1993 => "DE 39 of exactly three digits (n 3), as in ISO 8583:1993",
            _ => {
                "DE 39 of exactly two letters or digits (an 2), as in ISO 8583:1987 (three digits are \
                 version = 1993)"
            }
        };
        Err(self.fault("dialect", expected, got))
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
}
