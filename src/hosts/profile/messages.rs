//! Checks the messages of a profile together: each is there that another one needs.

use iso8583::Dialect;
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde::de::value::StrDeserializer;

use crate::hosts::message::definition::{MessageProfile, Messages, UnknownRule};
use crate::hosts::message::match_key::MatchRule;
use crate::hosts::message::response_codes::ResponseCodes;
use crate::hosts::message::source::Source;
use crate::hosts::message::standard_codes::Edition;
use crate::hosts::message::subelements::SubelementWidths;
use crate::payment::operation_kind::OperationKind;
use crate::payment::reason::Reason;

use super::answers::{host_reverses, match_rule, response_codes};
use super::file::ProfileFile;
use super::message::{Check, Defaults};
use super::reading::{ProfileError, Reading};
use super::sources::{check_sources, elements_named};
use super::word::words_of;

/// The messages of the profile.
pub(super) fn messages(
    reading: &Reading<'_>,
    raw: &ProfileFile,
    subelements: SubelementWidths,
    dialect: &Dialect,
) -> Result<Messages, ProfileError> {
    let codes = host_reverses(
        reading,
        raw.host_reverses.as_deref(),
        ResponseCodes::of(Edition::of(dialect.version())),
    )?;
    let defaults = Defaults {
        match_rule: match_rule(
            reading,
            "",
            raw.match_key.as_deref(),
            raw.match_where_echoed.as_deref(),
            MatchRule::default(),
        )?,
        response_codes: response_codes(reading, "", &raw.response_codes, &codes)?,
        subelements,
        dialect,
    };
    let mut messages = Vec::with_capacity(raw.messages.operations.len());
    for (name, file) in &raw.messages.operations {
        let kind = kind(name).ok_or_else(|| {
            let expected = format!("one of {}, totals, upload", kind_names().join(", "));
            reading.fault("messages", expected, name)
        })?;
        let check = Check {
            reading,
            table: format!("messages.{name}."),
            kind,
            file,
            defaults: &defaults,
        };
        messages.push(check.message()?);
    }
    // The first that is looked up is nearly always the authorization.
    messages.sort_by_key(|message| message.kind != OperationKind::Authorization);
    if !messages
        .iter()
        .any(|message| message.kind == OperationKind::Authorization)
    {
        return Err(reading.fault("messages", "[messages.authorization]", "none"));
    }
    let names = elements_named(&messages);
    for message in &mut messages {
        // An original of an original is nothing that a message could name; but an increment is reversed.
        let is_increment = message.kind == OperationKind::Increment;
        if message.has_source(Source::needs_original) && !is_increment {
            continue;
        }
        message.sent = names
            .sent
            .iter()
            .filter(|name| message.source(name.de).is_some())
            .cloned()
            .collect();
    }
    check_together(reading, &messages)?;
    check_sources(reading, &messages, &names)?;
    Ok(Messages::new(messages))
}

/// The kind of operation that a profile calls `name`: the kinds' own names, in lower case.
fn kind(name: &str) -> Option<OperationKind> {
    if name.chars().any(char::is_uppercase) {
        return None;
    }
    let upper = name.to_uppercase();
    let name: StrDeserializer<'_, serde::de::value::Error> = upper.as_str().into_deserializer();
    let kind = OperationKind::deserialize(name).ok();
    kind.filter(|kind| kind.has_messages())
}

/// Every name of a kind, as profiles write them.
pub(super) fn kind_names() -> Vec<String> {
    let names = words_of::<OperationKind>();
    let names = names.iter().map(|name| name.to_lowercase());
    names.filter(|name| kind(name).is_some()).collect()
}

/// What one message asks of another.
fn check_together(reading: &Reading<'_>, messages: &[MessageProfile]) -> Result<(), ProfileError> {
    let has_mapping = |kind| {
        messages
            .iter()
            .any(|message| message.kind == kind && message.mapping.is_some())
    };
    let reversal = messages
        .iter()
        .find(|message| message.kind == OperationKind::Reversal);
    let reasons = reversal.and_then(|message| Some(&message.mapping.as_ref()?.reasons));
    let has_no_void = reasons.is_some_and(|all| {
        !all.is_empty() && all.iter().all(|(reason, _)| *reason != Reason::Void)
    });
    if has_mapping(OperationKind::Increment) && has_no_void {
        let key = format!("{}reasons", table_of(OperationKind::Reversal));
        let expected = "a code for void, by which increments are undone where a payment is voided";
        return Err(reading.fault(key, expected, "none"));
    }
    for message in messages {
        let (needed, name) = match message.unknown {
            UnknownRule::Reverse => (OperationKind::Reversal, "[messages.reversal]"),
            UnknownRule::Inquire => (OperationKind::Inquiry, "[messages.inquiry]"),
            UnknownRule::Repeat | UnknownRule::Wait => continue,
        };
        if !has_mapping(needed) {
            let key = format!("{}unknown", table_of(message.kind));
            return Err(reading.fault(key, format!("a profile with {name}"), "none"));
        }
    }
    Ok(())
}

/// The table of a message in the profile, with a dot behind it.
pub(super) fn table_of(kind: OperationKind) -> String {
    format!("messages.{}.", kind.name().to_lowercase())
}
