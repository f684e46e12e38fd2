//! Checks how answers are matched and read: the match key, and the meanings of response codes.

use std::collections::BTreeMap;

use crate::hosts::message::match_key::{KeyField, KeyFields, MatchRule};
use crate::hosts::message::response_codes::{Meaning, ResponseCodes, Unlisted, usual_advice};
use crate::payment::decline::ResponseCode;

use super::file::DeclineFile;
use super::reading::{ProfileError, Reading};
use super::toml_text::shown;

/// The codes by which a bank approves less than was asked for (ISO 8583:1987, DE 39: 10; 32 and 87 in
/// wide private use).
const PARTIAL_APPROVALS: [&str; 3] = ["10", "32", "87"];

/// The match rule of `table`, which is the profile or one of its messages; what it leaves out is as in
/// `default`.
pub(super) fn match_rule(
    reading: &Reading<'_>,
    table: &str,
    always: Option<&[u8]>,
    where_echoed: Option<&[u8]>,
    default: MatchRule,
) -> Result<MatchRule, ProfileError> {
    let fields = |key: &str, des: Option<&[u8]>, default| {
        des.map_or(Ok(default), |des| {
            key_fields(reading, &format!("{table}{key}"), des)
        })
    };
    let rule = MatchRule {
        always: fields("match_key", always, default.always)?,
        where_echoed: fields("match_where_echoed", where_echoed, default.where_echoed)?,
    };
    if !rule.always.contains(KeyField::Stan) {
        return Err(reading.fault(format!("{table}match_key"), "11 among its DEs", "none"));
    }
    // A STAN comes again after 999,999 messages, while late answers are still waited for.
    let dated = [KeyField::TransmissionDateTime, KeyField::Rrn];
    if !dated.iter().any(|field| rule.always.contains(*field)) {
        let expected = "7 or 37 among its DEs, since a STAN (11) comes again";
        return Err(reading.fault(format!("{table}match_key"), expected, "neither"));
    }
    Ok(rule)
}

fn key_fields(reading: &Reading<'_>, key: &str, des: &[u8]) -> Result<KeyFields, ProfileError> {
    des.iter().try_fold(KeyFields::default(), |fields, de| {
        KeyField::DES
            .into_iter()
            .find(|field| field.de() == Some(*de))
            .map(|field| fields.with(field))
            .ok_or_else(|| reading.fault(key, "only DEs of 4, 7, 11, 37, 41 and 49", de))
    })
}

/// The response codes of `table`, which is the profile's or a message's; what it leaves out is as in
/// `default`.
pub(super) fn response_codes(
    reading: &Reading<'_>,
    table: &str,
    raw: &BTreeMap<String, toml::Value>,
    default: &ResponseCodes,
) -> Result<ResponseCodes, ProfileError> {
    let mut codes = default.clone();
    for (code, value) in raw {
        let key = format!("{table}response_codes.{code}");
        match code.as_str() {
            "unlisted" => codes.unlisted = unlisted(reading, key, value, codes.advice)?,
            "standard" => {
                codes.standard = value
                    .as_bool()
                    .ok_or_else(|| reading.fault(key, "true or false", shown(value)))?;
            }
            code => {
                let parsed: ResponseCode = code.parse().map_err(|_| {
                    let expected = "codes of two letters or digits, standard or unlisted";
                    reading.fault(format!("{table}response_codes"), expected, code)
                })?;
                let meaning = meaning(reading, &key, value)?;
                if PARTIAL_APPROVALS.contains(&code) && meaning == Meaning::Approved {
                    let expected = "\"unclear\" or a decline: the bank approves another amount with \
                                    this code, and a payment is authorized for its whole amount";
                    return Err(reading.fault(key, expected, shown(value)));
                }
                codes.overrides.insert(parsed, meaning);
            }
        }
    }
    Ok(codes)
}

fn unlisted(
    reading: &Reading<'_>,
    key: String,
    value: &toml::Value,
    advice: bool,
) -> Result<Unlisted, ProfileError> {
    let parsed: Option<Unlisted> = value.clone().try_into().ok();
    match parsed {
        // A request that is approved under a code that nobody lists would be money on a guess.
        Some(unlisted) if advice || unlisted != Unlisted::Approved => Ok(unlisted),
        _ if advice => {
            let expected = "\"declined\", \"unclear\" or \"approved\"";
            Err(reading.fault(key, expected, shown(value)))
        }
        _ => Err(reading.fault(key, "\"declined\" or \"unclear\"", shown(value))),
    }
}

/// The codes by which the host reverses at the issuer itself.
pub(super) fn host_reverses(
    reading: &Reading<'_>,
    codes: Option<&[String]>,
    default: ResponseCodes,
) -> Result<ResponseCodes, ProfileError> {
    let Some(codes) = codes else {
        return Ok(default);
    };
    let parse = |code: &String| {
        code.parse().map_err(|_| {
            let expected = "codes of two letters or digits";
            reading.fault("host_reverses", expected, format!("{code:?}"))
        })
    };
    Ok(ResponseCodes {
        host_reverses: codes.iter().map(parse).collect::<Result<_, _>>()?,
        ..default
    })
}

fn meaning(reading: &Reading<'_>, key: &str, value: &toml::Value) -> Result<Meaning, ProfileError> {
    let expected =
        "\"approved\", \"unclear\", a reason for a decline, or a table of reason and advice";
    let decline: DeclineFile = match value.as_str() {
        Some("approved") => return Ok(Meaning::Approved),
        Some("unclear") => return Ok(Meaning::Unclear),
        Some(_) => DeclineFile {
            reason: value
                .clone()
                .try_into()
                .map_err(|_| reading.fault(key, expected, shown(value)))?,
            advice: None,
        },
        None => value
            .clone()
            .try_into()
            .map_err(|error: toml::de::Error| reading.fault(key, expected, error.message()))?,
    };
    Ok(Meaning::Declined {
        reason: decline.reason,
        advice: decline
            .advice
            .unwrap_or_else(|| usual_advice(decline.reason)),
    })
}
