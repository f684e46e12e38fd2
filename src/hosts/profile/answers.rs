//! Checks how answers are matched and read: the match key, and the meanings of response codes.

use std::collections::BTreeMap;

use crate::hosts::message::match_key::{KeyField, KeyFields, MatchRule};
use crate::hosts::message::meaning::{Meaning, usual_advice};
use crate::hosts::message::response_codes::{ResponseCodes, Unlisted};
use crate::hosts::message::standard_codes::Edition;
use crate::payment::decline::{DeclineSource, ResponseCode};

use super::file::DeclineFile;
use super::reading::{ProfileError, Reading};
use super::toml_text::shown;

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
            .ok_or_else(|| {
                let expected = "only DEs of 7, 11, 37, 41 and 49; an amount (4) is judged with the \
                                response code";
                reading.fault(key, expected, de)
            })
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
                let parsed = response_code(code, codes.edition).ok_or_else(|| {
                    let length = codes.edition.code_length;
                    let expected =
                        format!("codes of {length} letters or digits, standard or unlisted");
                    reading.fault(format!("{table}response_codes"), expected, code)
                })?;
                let meaning = meaning(reading, &key, value, codes.advice)?;
                if codes.edition.is_partial_approval(code) && meaning == Meaning::Approved {
                    let expected = "\"partly_approved\", \"unclear\" or a decline: the bank approves \
                                    another amount with this code, and an approval is one of the whole \
                                    amount";
                    return Err(reading.fault(key, expected, shown(value)));
                }
                codes.overrides.insert(parsed, meaning);
            }
        }
    }
    Ok(codes)
}

/// A code as long as those of the edition.
fn response_code(text: &str, edition: &Edition) -> Option<ResponseCode> {
    text.parse()
        .ok()
        .filter(|_| text.len() == edition.code_length)
}

fn unlisted(
    reading: &Reading<'_>,
    key: String,
    value: &toml::Value,
    advice: bool,
) -> Result<Unlisted, ProfileError> {
    let parsed: Option<Unlisted> = value.clone().try_into().ok();
    match parsed {
        // A request that is taken under a code that nobody lists would be money on a guess.
        Some(unlisted) if advice || unlisted != Unlisted::Taken => Ok(unlisted),
        _ if advice => {
            let expected = "\"declined\", \"unclear\" or \"taken\"";
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
        response_code(code, default.edition).ok_or_else(|| {
            let expected = format!("codes of {} letters or digits", default.edition.code_length);
            reading.fault("host_reverses", expected, format!("{code:?}"))
        })
    };
    Ok(ResponseCodes {
        host_reverses: codes.iter().map(parse).collect::<Result<_, _>>()?,
        ..default
    })
}

fn meaning(
    reading: &Reading<'_>,
    key: &str,
    value: &toml::Value,
    advice: bool,
) -> Result<Meaning, ProfileError> {
    let expected = if advice {
        "\"approved\", \"taken\", \"original_unknown\", \"again\", \"unclear\", a reason for a decline, or a table \
         of reason and advice"
    } else {
        "\"approved\", \"partly_approved\", \"duplicate\", \"unclear\", a reason for a decline, or a table of \
         reason and advice"
    };
    let decline: DeclineFile = match value.as_str() {
        Some("approved") => return Ok(Meaning::Approved),
        Some("partly_approved") if !advice => return Ok(Meaning::PARTLY_APPROVED),
        Some("duplicate") if !advice => return Ok(Meaning::DUPLICATE),
        Some("unclear") => return Ok(Meaning::UNCLEAR),
        Some("taken") if advice => return Ok(Meaning::Taken),
        Some("original_unknown") if advice => return Ok(Meaning::OriginalUnknown),
        Some("again") if advice => return Ok(Meaning::Again),
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
    // payswitch's own, which no bank says.
    if decline.reason.source() == DeclineSource::Gateway {
        return Err(reading.fault(key, expected, shown(value)));
    }
    let declined = Meaning::Declined {
        reason: decline.reason,
        advice: decline
            .advice
            .unwrap_or_else(|| usual_advice(decline.reason)),
    };
    Ok(if advice {
        declined.in_answer_to_advice()
    } else {
        declined
    })
}
