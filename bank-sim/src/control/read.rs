//! Faults and dates from messages; what is wrong with one is said with the field's name.

use std::time::Duration;

use time::Date;

use super::pb;
use crate::{
    faults::{Fault, Misbehaviour},
    settlement::date,
};

/// The longest delay of an answer, in milliseconds.
const LONGEST_DELAY_MS: i32 = 600_000;
/// How many times more an answer is sent at most.
const MOST_DUPLICATES: i32 = 100;

/// A date; `None` when the field is empty.
pub(super) fn date(field: &str, text: &str) -> Result<Option<Date>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let date = date::parse(text);
    date.map(Some)
        .ok_or_else(|| format!("{field}: expected YYYY-MM-DD, got {text:?}"))
}

pub(super) fn fault(fault: pb::Fault) -> Result<Fault, String> {
    let count = |field: &str, got: i32| {
        u32::try_from(got).map_err(|_| format!("{field}: expected 0 or more, got {got}"))
    };
    let given = |text: String| Some(text).filter(|text| !text.is_empty());
    let mti = match given(fault.mti) {
        Some(mti) => Some(mti.parse().map_err(|error| format!("mti: {error}"))?),
        None => None,
    };
    let card_last4 = given(fault.card_last4);
    if card_last4.as_ref().is_some_and(|digits| {
        digits.len() != 4 || !digits.bytes().all(|byte| byte.is_ascii_digit())
    }) {
        return Err("card_last4: expected four digits".to_owned());
    }
    let what = fault.what.ok_or("what: expected one")?;
    let times = count("times", fault.times)?;
    Ok(Fault {
        host: given(fault.host),
        mti,
        card_last4,
        amount_minor: fault.amount,
        every_nth: count("every_nth", fault.every_nth)?,
        times: (times > 0).then_some(times),
        what: misbehaviour(what)?,
    })
}

fn misbehaviour(what: pb::fault::What) -> Result<Misbehaviour, String> {
    use pb::fault::What;
    let within = |field: &str, got: i32, most: i32| {
        let number = u32::try_from(got).ok();
        number
            .filter(|_| (1..=most).contains(&got))
            .ok_or_else(|| format!("{field}: expected 1 to {most}, got {got}"))
    };
    Ok(match what {
        // No effect and no answer is the same, whichever of the two is dropped.
        What::DropRequest(_)
        | What::DropResponse(pb::DropResponse {
            after_effect: false,
        }) => Misbehaviour::DropRequest,
        What::DropResponse(pb::DropResponse { after_effect: true }) => Misbehaviour::DropResponse,
        What::DelayMs(ms) => {
            let ms = within("delay_ms", ms, LONGEST_DELAY_MS)?;
            Misbehaviour::Delay(Duration::from_millis(ms.into()))
        }
        What::Duplicate(more) => {
            Misbehaviour::Duplicate(within("duplicate", more, MOST_DUPLICATES)?)
        }
        What::Change(pb::Change { de, value }) => {
            let number = u8::try_from(de).ok();
            let number = number.filter(|de| (2..=128).contains(de));
            let number = number.ok_or_else(|| format!("de: expected 2 to 128, got {de}"))?;
            Misbehaviour::Change(number, Some(value).filter(|value| !value.is_empty()))
        }
        What::Close(_) => Misbehaviour::Close,
        What::AnswerAfterReversal(_) => Misbehaviour::AnswerAfterReversal,
    })
}
