//! Checks `[messages.totals]` and `[messages.upload]`: how a business date is agreed with the host.

use std::collections::BTreeMap;

use iso8583::mti::{Class, Function};
use iso8583::{Dialect, Mti};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::StrDeserializer;

use crate::hosts::message::element::parse_de;
use crate::hosts::message::response_codes::ResponseCodes;
use crate::hosts::message::standard_codes::Edition;
use crate::hosts::message::totals::{NamedTotal, TotalsMapping, TotalsProfile, TotalsSource};
use crate::payment::totals::OutOfBalance;

use super::file::MessagesFile;
use super::reading::{LONGEST_WAIT, ProfileError, Reading};
use super::toml_text::shown;
use super::word::words_of;

const TOTALS: &str = "messages.totals";
const UPLOAD: &str = "messages.upload";
/// The source of the date, which is written as its element has places.
const BUSINESS_DATE: &str = "business_date";

/// How a business date is agreed with the host; none where it is not.
pub(super) fn totals(
    reading: &Reading<'_>,
    raw: &MessagesFile,
    dialect: &Dialect,
) -> Result<Option<TotalsProfile>, ProfileError> {
    let upload = raw.upload.as_ref().map(|file| {
        let table = (UPLOAD, Class::FileAction, "0320 (in 1993, 1320)");
        let mapping = mapping(reading, table, &file.mti, &file.fields, dialect)?;
        let needed = [NamedTotal::Stan, NamedTotal::Rrn, NamedTotal::Amount];
        has(reading, UPLOAD, &mapping, &needed)?;
        Ok(mapping)
    });
    let upload = upload.transpose()?;
    let Some(file) = &raw.totals else {
        return match upload {
            None => Ok(None),
            Some(_) => {
                Err(reading.fault(TOTALS, "a table, since there is [messages.upload]", "none"))
            }
        };
    };
    let table = (
        TOTALS,
        Class::Reconciliation,
        "0500 or 0520 (in 1993, 1500 or 1520)",
    );
    let message = mapping(reading, table, &file.mti, &file.fields, dialect)?;
    let is_of_an_item = |source: &TotalsSource| match source {
        TotalsSource::Named(named) => named.is_of_an_item(),
        TotalsSource::ByKind { .. } => true,
        TotalsSource::BusinessDate(_) | TotalsSource::Literal(_) => false,
    };
    if let Some((de, _)) = message
        .fields
        .iter()
        .find(|(_, source)| is_of_an_item(source))
    {
        let key = format!("{TOTALS}.fields.{de}");
        return Err(reading.fault(key, "a source of totals", "one of a single item"));
    }
    let mut needed = vec![NamedTotal::Stan, NamedTotal::CurrencyNumeric];
    needed.extend(NamedTotal::TOTALS);
    has(reading, TOTALS, &message, &needed)?;
    let uploads = file.out_of_balance == OutOfBalance::Upload;
    if uploads != upload.is_some() {
        let expected = if uploads {
            "[messages.upload]"
        } else {
            "\"upload\", since there is [messages.upload]"
        };
        let key = format!("{TOTALS}.out_of_balance");
        return Err(reading.fault(key, expected, if uploads { "none" } else { "another" }));
    }
    let wait = |key: &str, got| reading.millis(format!("{TOTALS}.{key}"), got, LONGEST_WAIT);
    Ok(Some(TotalsProfile {
        level: file.level,
        out_of_balance: file.out_of_balance,
        first: wait("first_ms", file.first_ms)?,
        longest: wait("longest_ms", file.longest_ms.max(file.first_ms))?,
        message,
        upload,
        codes: ResponseCodes::of(Edition::of(dialect.version())).in_answers_to_advice(),
    }))
}

fn mapping(
    reading: &Reading<'_>,
    (table, class, expected): (&str, Class, &str),
    mti: &str,
    fields: &BTreeMap<String, toml::Value>,
    dialect: &Dialect,
) -> Result<TotalsMapping, ProfileError> {
    let parsed: Option<Mti> = mti.parse().ok();
    let fits = |mti: &Mti| {
        mti.class() == class
            && mti.version() == dialect.version()
            && matches!(mti.function(), Function::Request | Function::Advice)
            && !mti.is_repeat()
    };
    let Some(mti) = parsed.filter(fits) else {
        return Err(reading.fault(format!("{table}.mti"), expected, format!("{mti:?}")));
    };
    let mut sources = Vec::with_capacity(fields.len());
    for (de, value) in fields {
        let key = format!("{table}.fields.{de}");
        let de = parse_de(de).ok_or_else(|| reading.fault(&key, "a DE of 2 to 128", de))?;
        if sources.iter().any(|(there, _)| *there == de) {
            let got = format!("a second source for DE {de}");
            return Err(reading.fault(key, "each DE once", got));
        }
        let Some(field) = dialect.field(de) else {
            return Err(reading.fault(key, "an element that the dialect has", de));
        };
        let source = source(reading, &key, value, usize::from(field.max_units()))?;
        sources.push((de, source));
    }
    sources.sort_by_key(|(de, _)| *de);
    Ok(TotalsMapping {
        mti,
        fields: sources,
    })
}

fn source(
    reading: &Reading<'_>,
    key: &str,
    value: &toml::Value,
    places: usize,
) -> Result<TotalsSource, ProfileError> {
    let fault = |got: String| {
        let names = words_of::<NamedTotal>().join(", ");
        let expected = format!(
            "one of {BUSINESS_DATE}, {names}; {{ literal = \"TEXT\" }}; or {{ capture = \"TEXT\", refund = \"TEXT\" }}"
        );
        reading.fault(key, expected, got)
    };
    match value {
        toml::Value::String(name) if name == BUSINESS_DATE => match places {
            4 | 6 | 8 => Ok(TotalsSource::BusinessDate(places)),
            _ => Err(reading.fault(key, "an element of 4, 6 or 8 digits for a date", places)),
        },
        toml::Value::String(name) => {
            let word: StrDeserializer<'_, serde::de::value::Error> =
                name.as_str().into_deserializer();
            let named = NamedTotal::deserialize(word);
            named
                .map(TotalsSource::Named)
                .map_err(|_| fault(format!("{name:?}")))
        }
        toml::Value::Table(table) => {
            let text = |key: &str| {
                table
                    .get(key)
                    .and_then(toml::Value::as_str)
                    .map(str::to_owned)
            };
            match (
                table.len(),
                text("literal"),
                text("capture"),
                text("refund"),
            ) {
                (1, Some(text), _, _) => Ok(TotalsSource::Literal(text)),
                (2, _, Some(capture), Some(refund)) => Ok(TotalsSource::ByKind { capture, refund }),
                _ => Err(fault(shown(value))),
            }
        }
        _ => Err(fault(shown(value))),
    }
}

/// An answer is matched by its STAN, and read by the same elements.
fn has(
    reading: &Reading<'_>,
    table: &str,
    mapping: &TotalsMapping,
    needed: &[NamedTotal],
) -> Result<(), ProfileError> {
    let is_there = |named: &NamedTotal| {
        let wanted = TotalsSource::Named(*named);
        mapping.fields.iter().any(|(_, source)| *source == wanted)
    };
    match needed.iter().find(|named| !is_there(named)) {
        None => Ok(()),
        Some(named) => {
            let expected = format!("an element with the source {}", named.name());
            Err(reading.fault(format!("{table}.fields"), expected, "none"))
        }
    }
}
