//! Checks the sources of data elements.

use std::collections::BTreeMap;

use crate::hosts::message::definition::MessageProfile;
use crate::hosts::message::element::{ElementName, parse_de};
use crate::hosts::message::source::{NamedSource, OriginalPart, Source};
use crate::hosts::message::subelements::SubelementWidths;
use crate::hosts::message::values::ORIGINAL_DATA;
use crate::payment::operation_kind::OperationKind;

use super::reading::{ProfileError, Reading};
use super::toml_text::shown;

/// The elements that may hold card data: PAN, expiry, tracks, PIN block and what goes with it. They are
/// never kept for later messages.
const SECRET: [u8; 7] = [2, 14, 35, 36, 45, 52, 53];

const TABLE_SOURCE: &str = "the name of a source, or a table of one of literal, kept, as_sent, accepts_partial, \
                            original_data and subelements (kept and accepts_partial may have an else)";

/// Whether an element may hold card data.
pub(super) fn is_secret(de: u8) -> bool {
    SECRET.contains(&de)
}

/// The sources that a data element can have that answers are matched by: the values that are recorded.
fn recorded(de: u8) -> &'static [NamedSource] {
    use NamedSource as N;
    match de {
        4 => &[N::Amount, N::OriginalAmount],
        7 => &[N::TransmissionDateTime, N::OriginalTransmissionDateTime],
        11 => &[N::Stan, N::OriginalStan],
        37 => &[N::Rrn, N::OriginalRrn],
        41 => &[N::TerminalId],
        49 => &[N::CurrencyNumeric],
        _ => &[],
    }
}

/// The element that `value` names: a number, or the text of a number and a tag.
pub(super) fn element(
    reading: &Reading<'_>,
    key: &str,
    table: &str,
    value: &toml::Value,
    widths: SubelementWidths,
) -> Result<ElementName, ProfileError> {
    let text = match value {
        toml::Value::Integer(number) => number.to_string(),
        toml::Value::String(text) => text.clone(),
        _ => String::new(),
    };
    ElementName::parse(&text, widths).ok_or_else(|| {
        let digits = widths.tag_digits;
        let expected = format!("a DE of 2 to 128, or \"DE.TAG\" with a tag of {digits} digits");
        reading.fault(format!("{table}{key}"), expected, shown(value))
    })
}

/// The data elements of the message `table`, in ascending order.
pub(super) fn fields(
    reading: &Reading<'_>,
    table: &str,
    raw: &BTreeMap<String, toml::Value>,
    widths: SubelementWidths,
) -> Result<Vec<(u8, Source)>, ProfileError> {
    let mut fields = Vec::with_capacity(raw.len());
    for (de, value) in raw {
        let key = format!("{table}fields.{de}");
        let de = parse_de(de).ok_or_else(|| reading.fault(&key, "a DE of 2 to 128", de))?;
        if fields.iter().any(|(there, _)| *there == de) {
            let got = format!("a second source for DE {de}");
            return Err(reading.fault(key, "each DE once", got));
        }
        let source = source(reading, &key, value, widths)?;
        let allowed = recorded(de);
        let is_allowed = matches!(&source, Source::Named(named) if allowed.contains(named));
        if !allowed.is_empty() && !is_allowed {
            let names: Vec<String> = NamedSource::ALL
                .iter()
                .filter(|(_, named)| allowed.contains(named))
                .map(|(name, _)| format!("{name:?}"))
                .collect();
            let expected = format!("{}, with which an answer is compared", names.join(" or "));
            return Err(reading.fault(key, expected, shown(value)));
        }
        fields.push((de, source));
    }
    fields.sort_by_key(|(de, _)| *de);
    Ok(fields)
}

fn source(
    reading: &Reading<'_>,
    key: &str,
    value: &toml::Value,
    widths: SubelementWidths,
) -> Result<Source, ProfileError> {
    let table = match value {
        toml::Value::String(name) => {
            return NamedSource::named(name).map(Source::Named).ok_or_else(|| {
                let expected = format!("one of {}", NamedSource::names());
                reading.fault(key, expected, format!("{name:?}"))
            });
        }
        toml::Value::Table(table) if table.len() == 1 => table,
        toml::Value::Table(table) => return or_else(reading, key, table, widths),
        other => return Err(reading.fault(key, TABLE_SOURCE, shown(other))),
    };
    let Some((form, inner)) = table.iter().next() else {
        return Err(reading.fault(key, TABLE_SOURCE, shown(value)));
    };
    match (form.as_str(), inner) {
        ("literal", toml::Value::String(text)) => Ok(Source::Literal(text.clone())),
        ("kept", inner) => {
            let name = element(reading, ".kept", key, inner, widths)?;
            Ok(Source::Kept(name))
        }
        ("accepts_partial", toml::Value::String(text)) => Ok(Source::AcceptsPartial(text.clone())),
        ("as_sent", inner) => Ok(Source::AsSent(element(
            reading, ".as_sent", key, inner, widths,
        )?)),
        ("original_data", toml::Value::Array(parts)) => original_data(reading, key, parts),
        ("subelements", toml::Value::Table(parts)) => {
            let mut subelements = Vec::with_capacity(parts.len());
            for (tag, value) in parts {
                let key = format!("{key}.subelements.{tag}");
                let number = widths.parse_tag(tag).ok_or_else(|| {
                    let expected = format!("a tag of {} digits", widths.tag_digits);
                    reading.fault(&key, expected, tag)
                })?;
                let source = source(reading, &key, value, widths)?;
                if matches!(source, Source::Subelements(_)) {
                    return Err(reading.fault(key, "sub-elements one level deep", "a second"));
                }
                subelements.push((number, source));
            }
            Ok(Source::Subelements(subelements))
        }
        (form, _) => Err(reading.fault(key, TABLE_SOURCE, format!("a table of {form:?}"))),
    }
}

/// `{ kept = ELEMENT, else = SOURCE }` or `{ accepts_partial = "TEXT", else = SOURCE }`, where the other source is one
/// text.
fn or_else(
    reading: &Reading<'_>,
    key: &str,
    table: &toml::Table,
    widths: SubelementWidths,
) -> Result<Source, ProfileError> {
    let mut first = table.clone();
    let (Some(second), 1) = (first.remove("else"), first.len()) else {
        let keys: Vec<&str> = table.keys().map(String::as_str).collect();
        let got = format!("a table of {}", keys.join(", "));
        return Err(reading.fault(key, TABLE_SOURCE, got));
    };
    let second_key = format!("{key}.else");
    let second_source = source(reading, &second_key, &second, widths)?;
    if matches!(
        second_source,
        Source::Subelements(_) | Source::OriginalData(_)
    ) {
        let expected = "a source that is one text";
        return Err(reading.fault(second_key, expected, shown(&second)));
    }
    let first = toml::Value::Table(first);
    match source(reading, key, &first, widths)? {
        kept @ (Source::Kept(_) | Source::AcceptsPartial(_)) => {
            Ok(Source::OrElse(Box::new(kept), Box::new(second_source)))
        }
        _ => Err(reading.fault(key, TABLE_SOURCE, shown(&first))),
    }
}

fn original_data(
    reading: &Reading<'_>,
    key: &str,
    parts: &[toml::Value],
) -> Result<Source, ProfileError> {
    let key = format!("{key}.original_data");
    let named: Option<Vec<OriginalPart>> = parts
        .iter()
        .map(|part| part.as_str().and_then(OriginalPart::named))
        .collect();
    let Some(named) = named.filter(|named| !named.is_empty()) else {
        let names = OriginalPart::ALL.map(|(name, _, _)| name).join(", ");
        let got: Vec<String> = parts.iter().map(shown).collect();
        return Err(reading.fault(key, format!("a list of {names}"), got.join(", ")));
    };
    let width: usize = named.iter().map(|part| part.width()).sum();
    if width > ORIGINAL_DATA {
        let expected = format!("parts of at most {ORIGINAL_DATA} characters together");
        return Err(reading.fault(key, expected, width));
    }
    Ok(Source::OriginalData(named))
}

/// The elements of an original that messages name.
pub(super) struct ElementsNamed {
    /// As the original sent them.
    pub(super) sent: Vec<ElementName>,
    /// Of its answer, and the message that names each.
    kept: Vec<(OperationKind, ElementName)>,
}

/// The elements of an original that any message names, each once.
pub(super) fn elements_named(messages: &[MessageProfile]) -> ElementsNamed {
    let mut named = ElementsNamed {
        sent: Vec::new(),
        kept: Vec::new(),
    };
    for message in messages {
        for (_, source) in message.fields() {
            source.visit(&mut |source| match source {
                Source::AsSent(name) if !named.sent.contains(name) => {
                    named.sent.push(name.clone());
                }
                Source::Kept(name) => named.kept.push((message.kind, name.clone())),
                _ => {}
            });
        }
    }
    named
}

/// Elements that messages name must be there in the original, or in its answer.
pub(super) fn check_sources(
    reading: &Reading<'_>,
    messages: &[MessageProfile],
    names: &ElementsNamed,
) -> Result<(), ProfileError> {
    let originals = || {
        messages.iter().filter(|message| {
            matches!(
                message.kind,
                OperationKind::Authorization | OperationKind::Sale | OperationKind::Increment
            )
        })
    };
    for name in &names.sent {
        let key = format!("as_sent = {name}");
        if is_secret(name.de) {
            let expected = "no element that may hold card data (pan and expiry are sources of \
                            their own; tracks and PIN data are not kept)";
            return Err(reading.fault(key, expected, name));
        }
        for original in originals() {
            let source = match (original.source(name.de), name.tag) {
                (Some(Source::Subelements(parts)), Some(tag)) => parts
                    .iter()
                    .find(|(there, _)| *there == tag)
                    .map(|(_, source)| source),
                (source, None) => source,
                (_, Some(_)) => None,
            };
            let is_sent = source.is_some_and(|source| {
                matches!(source, Source::Named(_) | Source::Literal(_))
                    && !matches!(
                        source,
                        Source::Named(NamedSource::Pan | NamedSource::Expiry | NamedSource::Cvv)
                    )
            });
            if !is_sent {
                let expected = format!(
                    "an element or sub-element that {} always sends, and that is no pan, expiry or cvv",
                    original.kind.name().to_lowercase()
                );
                return Err(reading.fault(key, expected, name));
            }
        }
    }
    for (kind, name) in &names.kept {
        if !messages.iter().any(|message| message.keep.contains(name)) {
            let key = format!("messages.{}.fields", kind.name().to_lowercase());
            let expected = format!("an element that some message keeps (keep = [{name}])");
            return Err(reading.fault(key, expected, format!("{{ kept = {name} }}")));
        }
    }
    institutions(reading, messages, originals(), &names.sent)
}

/// An institution of the original data is the original's literal, unless it is recorded as sent.
fn institutions<'a>(
    reading: &Reading<'_>,
    messages: &[MessageProfile],
    originals: impl Iterator<Item = &'a MessageProfile> + Clone,
    sent: &[ElementName],
) -> Result<(), ProfileError> {
    for (part, de) in [
        (OriginalPart::AcquiringInstitution, 32),
        (OriginalPart::AcquiringInstitutionWithLength, 32),
        (OriginalPart::ForwardingInstitution, 33),
    ] {
        let names_it = |source: &Source| matches!(source, Source::OriginalData(parts) if parts.contains(&part));
        let is_recorded = sent.iter().any(|name| name.de == de && name.tag.is_none());
        let is_computed = originals
            .clone()
            .all(|original| matches!(original.source(de), None | Some(Source::Literal(_))));
        let named = messages.iter().any(|message| message.has_source(names_it));
        if named && !is_recorded && !is_computed {
            let expected =
                format!("{{ as_sent = {de} }} in a message, or a literal in the original");
            return Err(reading.fault(format!("original_data with DE {de}"), expected, "neither"));
        }
    }
    Ok(())
}
