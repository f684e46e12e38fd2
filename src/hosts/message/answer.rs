//! The meaning of an answer: its response code, its amount, and how much of it could be read.

use iso8583::Message;

use crate::payment::decline::{Approval, Decline, ResponseCode, UnknownReason};
use crate::payment::record::Element;

use crate::hosts::exchange::Exchange;

use super::amount::AskedAmount;
use super::definition::{MessageProfile, PartialAmount};
use super::kept::kept_elements;
use super::match_key::{Part, currency_of};
use super::meaning::Meaning;
use super::subelements::SubelementWidths;

/// The amount of an answer beside the one that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AnsweredAmount {
    /// The same, or the answer names none.
    AsAsked,
    /// Another amount or another currency.
    Another,
    /// DE 4 or DE 49 is there and can't be read.
    Unreadable,
}

impl AnsweredAmount {
    fn of(message: &Message<'_>, asked: AskedAmount) -> Self {
        let amount = Part::of(message, 4, || message.number(4));
        let currency = currency_of(message);
        if amount == Part::Unusable || currency == Part::Unusable {
            return Self::Unreadable;
        }
        let another_amount = matches!(amount, Part::Is(got) if got != asked.amount_minor);
        let another_currency = matches!(currency, Part::Is(got) if got != asked.currency);
        if another_amount || another_currency {
            Self::Another
        } else {
            Self::AsAsked
        }
    }
}

/// The outcome that an answer stands for. Only DE 39, DE 4, DE 49 and the profile's error element decide;
/// any other element may be unreadable.
///
/// The table is in docs/iso8583.md, "What an answer means".
pub(in crate::hosts) fn outcome_of(
    message: &Message<'_>,
    sent: &MessageProfile,
    widths: SubelementWidths,
    asked: AskedAmount,
    bank_us: i64,
) -> Exchange {
    let kept = || kept_elements(message, &sent.keep, widths);
    let code = response_code_of(message);
    let unclear = |reason| {
        let mut kept = kept();
        if reason == UnknownReason::AmountDiffers {
            keep_amount(&mut kept, message);
        }
        Exchange::Unclear {
            reason,
            response_code: code,
            kept,
            bank_us,
        }
    };
    let Some(response_code) = code else {
        return if sent.response_codes.advice {
            Exchange::Again { bank_us }
        } else {
            unclear(UnknownReason::AnswerNotUnderstood)
        };
    };
    let approved = |partial_minor| Exchange::Approved {
        approval: Approval {
            approval_code: approval_code_of(message),
            response_code,
            partial_minor,
        },
        kept: kept(),
        bank_us,
    };
    let has_error = sent.error_element.is_some_and(|de| message.announces(de));
    let amount = AnsweredAmount::of(message, asked);
    match sent.response_codes.meaning(response_code) {
        Meaning::Declined { reason, advice } => Exchange::Declined {
            decline: Decline {
                reason,
                response_code,
                advice,
            },
            kept: kept(),
            bank_us,
        },
        Meaning::PARTLY_APPROVED if !has_error => {
            match accepted_part(message, sent.partial_amount, asked) {
                Some(minor) => approved(Some(minor)),
                None => unclear(UnknownReason::AmountDiffers),
            }
        }
        Meaning::Unclear(reason) => unclear(reason),
        Meaning::Again => Exchange::Again { bank_us },
        Meaning::OriginalUnknown => Exchange::OriginalUnknown {
            response_code,
            bank_us,
        },
        Meaning::Approved | Meaning::Taken if has_error || amount == AnsweredAmount::Unreadable => {
            unclear(UnknownReason::AnswerNotUnderstood)
        }
        Meaning::Approved | Meaning::Taken if amount == AnsweredAmount::Another => {
            unclear(UnknownReason::AmountDiffers)
        }
        Meaning::Taken => Exchange::Taken {
            response_code,
            bank_us,
        },
        Meaning::Approved => approved(None),
    }
}

/// The amount of a partial approval, in the payment's minor units, where the merchant accepts it. One in another
/// currency never is.
fn accepted_part(message: &Message<'_>, place: PartialAmount, asked: AskedAmount) -> Option<i64> {
    let approved = match place {
        PartialAmount::Amount => match Part::of(message, 4, || message.number(4)) {
            Part::Is(amount) => Some(amount),
            _ => None,
        },
        PartialAmount::Additional(kind) => {
            additional_amount(&message.text(54)?, kind, asked.currency)
        }
    };
    let is_currency = match currency_of(message) {
        Part::Is(currency) => currency == asked.currency,
        part => part != Part::Unusable,
    };
    asked.accepted_part(approved?).filter(|_| is_currency)
}

/// The only additional amount of this type in DE 54. Each has 20 characters: the type of the account and that of the
/// amount, two each, the currency, C or D, and twelve digits.
fn additional_amount(text: &str, kind: [u8; 2], currency: u16) -> Option<u64> {
    let number = |digits: &[u8]| -> Option<u64> {
        let is_number = digits.iter().all(u8::is_ascii_digit);
        std::str::from_utf8(digits)
            .ok()
            .filter(|_| is_number)?
            .parse()
            .ok()
    };
    let (amounts, []) = text.as_bytes().as_chunks::<20>() else {
        return None;
    };
    let mut of_kind = amounts
        .iter()
        .filter(|amount| amount.get(2..4) == Some(&kind));
    let (Some(amount), None) = (of_kind.next(), of_kind.next()) else {
        return None;
    };
    let is_currency = number(amount.get(4..7)?) == Some(u64::from(currency));
    number(amount.get(8..)?).filter(|_| is_currency)
}

/// Keeps the amount of an answer that approves another one than was asked for.
fn keep_amount(kept: &mut Vec<Element>, message: &Message<'_>) {
    const AMOUNT: &str = "4";
    if let Some(amount) = message.text(4)
        && kept.iter().all(|element| element.name != AMOUNT)
    {
        kept.push(Element {
            name: AMOUNT.to_owned(),
            value: amount.into_owned(),
        });
    }
}

/// DE 38; empty when there is none that can be read.
pub(in crate::hosts) fn approval_code_of(message: &Message<'_>) -> String {
    message
        .text_trimmed(38)
        .map_or_else(String::new, |text| text.into_owned())
}

/// DE 39, where there is a readable one. Where elements don't end where the message ends, what stands in its
/// place may be another one.
pub(in crate::hosts) fn response_code_of(message: &Message<'_>) -> Option<ResponseCode> {
    let text = message.text(39).filter(|_| message.is_aligned())?;
    text.parse().ok()
}

#[cfg(test)]
mod tests;
