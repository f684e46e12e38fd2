//! Checks the mapping of a message in a profile: its type, and a source for each data element.

use iso8583::Mti;

use crate::hosts::message::source::{Mapping, Source};

use super::file::MessageFile;
use super::reading::{ProfileError, Reading};
use super::toml_text::shown;

/// The source that a data element of the match key must have, and its name: answers are compared with the
/// recorded operation.
fn recorded(de: u8) -> Option<(&'static str, Source)> {
    let name = match de {
        4 => "amount",
        7 => "transmission_date_time",
        11 => "stan",
        37 => "rrn",
        41 => "terminal_id",
        49 => "currency_numeric",
        _ => return None,
    };
    Some((name, Source::named(name)?))
}

const TABLE_SOURCE: &str =
    "the name of a source, { literal = \"TEXT\" } or { subelements = { TAG = SOURCE } }";

/// The mapping of the message that the profile calls `name`.
pub(super) fn mapping(
    reading: &Reading<'_>,
    name: &str,
    raw: &MessageFile,
) -> Result<Mapping, ProfileError> {
    let mti = Mti::AUTHORIZATION_REQUEST;
    if raw.mti != mti.to_string() {
        let key = format!("messages.{name}.mti");
        return Err(reading.fault(key, mti.to_string(), &raw.mti));
    }
    let mut fields = Vec::with_capacity(raw.fields.len());
    for (de, value) in &raw.fields {
        let key = format!("messages.{name}.fields.{de}");
        let de: u8 = de
            .parse()
            .ok()
            .filter(|de| (2..=128).contains(de) && *de != 65)
            .ok_or_else(|| reading.fault(&key, "a DE of 2 to 128", de))?;
        if fields.iter().any(|(there, _)| *there == de) {
            return Err(reading.fault(key, "each DE once", format!("a second source for DE {de}")));
        }
        let source = source(reading, &key, value)?;
        if let Some((name, _)) = recorded(de).filter(|(_, recorded)| *recorded != source) {
            let expected = format!("{name:?}, with which an answer is compared");
            return Err(reading.fault(key, expected, shown(value)));
        }
        fields.push((de, source));
    }
    fields.sort_by_key(|(de, _)| *de);
    // Without its currency an amount means another one.
    for de in [4, 7, 11, 49] {
        if !fields.iter().any(|(there, _)| *there == de) {
            let key = format!("messages.{name}.fields");
            return Err(reading.fault(key, format!("a source for DE {de}"), "none"));
        }
    }
    Ok(Mapping {
        mti,
        response_mti: Mti::AUTHORIZATION_RESPONSE,
        fields,
    })
}

fn source(reading: &Reading<'_>, key: &str, value: &toml::Value) -> Result<Source, ProfileError> {
    let table = match value {
        toml::Value::String(name) => {
            return Source::named(name).ok_or_else(|| {
                let expected = format!("one of {}", Source::names().join(", "));
                reading.fault(key, expected, format!("{name:?}"))
            });
        }
        toml::Value::Table(table) if table.len() == 1 => table,
        other => return Err(reading.fault(key, TABLE_SOURCE, shown(other))),
    };
    match (table.get("literal"), table.get("subelements")) {
        (Some(toml::Value::String(text)), None) => Ok(Source::Literal(text.clone())),
        (None, Some(toml::Value::Table(parts))) => {
            let mut subelements = Vec::with_capacity(parts.len());
            for (tag, value) in parts {
                let key = format!("{key}.subelements.{tag}");
                let number = (tag.len() == 2)
                    .then(|| tag.parse::<u8>().ok())
                    .flatten()
                    .ok_or_else(|| reading.fault(&key, "a tag of two digits", tag))?;
                let source = source(reading, &key, value)?;
                if matches!(source, Source::Subelements(_)) {
                    return Err(reading.fault(key, "sub-elements one level deep", "a second"));
                }
                subelements.push((number, source));
            }
            Ok(Source::Subelements(subelements))
        }
        _ => Err(reading.fault(key, TABLE_SOURCE, shown(value))),
    }
}
