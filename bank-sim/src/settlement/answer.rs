//! What the bank answers to totals and to an uploaded item.

use iso8583::mti::{Class, Function};
use time::Date;

use super::{
    book::Book,
    date,
    item::{Padded, Scope},
    read,
    totals::Totals,
};
use crate::{
    config::HostRules,
    issuer::{ExchangeKey, FormatError, MessageKind, number},
    message::BankMessage,
    outcome::{Decided, Outcome},
    response_code::ResponseCode,
};

/// DE 66: the totals of both sides are the same, they are not, the message can't be read.
const IN_BALANCE: &str = "1";
const OUT_OF_BALANCE: &str = "2";
const IN_ERROR: &str = "3";
/// DE 39 of 1993 for totals that are not the same.
const OUT_OF_BALANCE_1993: &str = "501";
/// DE 24 of 1993 for totals.
const TOTALS_1993: &[u8] = b"500";

/// Answers a message about the items of a date.
pub(super) fn decide(book: &mut Book, request: &BankMessage, rules: HostRules) -> Decided {
    let answered = match (request.mti().class(), request.mti().function()) {
        (Class::Reconciliation, Function::Request | Function::Advice) => {
            compare(book, request).map(Decided::from)
        }
        (Class::FileAction, Function::Advice) => upload(book, request, rules),
        _ => {
            let code = ResponseCode::INVALID_TRANSACTION;
            Ok(Outcome::answer_with(request, code).into())
        }
    };
    answered.unwrap_or_else(|fault| {
        let stan = request.text(11).unwrap_or("?");
        tracing::warn!(stan, %fault, "a message about settlement was refused with 30");
        let mut outcome = Outcome::answer_with(request, ResponseCode::FORMAT_ERROR);
        if request.mti().class() == Class::Reconciliation {
            set_verdict(&mut outcome, IN_ERROR);
        }
        outcome.into()
    })
}

/// Compares the switch's totals with the bank's.
fn compare(book: &mut Book, request: &BankMessage) -> Result<Outcome, FormatError> {
    if request.is_of_1993() && request.get(24) != Some(TOTALS_1993) {
        return Err(FormatError {
            de: 24,
            expected: "500",
        });
    }
    let date = business_date(book, request)?;
    let currency_numeric = number(request, 50, "3 digits")?;
    let theirs = Totals::read(request)?;
    let ours = book.total(scope(request)?, currency_numeric, date);
    let mut outcome = Outcome::answer_with(request, ResponseCode::APPROVED);
    if ours == theirs {
        set_verdict(&mut outcome, IN_BALANCE);
    } else {
        set_verdict(&mut outcome, OUT_OF_BALANCE);
        if let Outcome::Answer(answer) = &mut outcome {
            ours.write(answer);
        }
    }
    Ok(outcome)
}

/// Tells the verdict: in DE 66, in 1993 in DE 39.
fn set_verdict(outcome: &mut Outcome, verdict: &str) {
    let Outcome::Answer(answer) = outcome else {
        return;
    };
    if !answer.is_of_1993() {
        answer.set(66, verdict);
    } else if verdict == OUT_OF_BALANCE {
        answer.set(39, OUT_OF_BALANCE_1993);
    }
}

/// Takes one item of a batch that the switch uploads.
fn upload(
    book: &mut Book,
    request: &BankMessage,
    rules: HostRules,
) -> Result<Decided, FormatError> {
    let date = business_date(book, request)?;
    let upload = ExchangeKey::by(request, MessageKind::FinancialAdvice, rules)?;
    let place = read::place_named(request)?;
    let item = read::uploaded_item(request, rules)?;
    if !book.has_room_for(1) {
        let code = ResponseCode::SYSTEM_MALFUNCTION;
        return Ok(Outcome::answer_with(request, code).into());
    }
    let is_new = book.upload(upload, place, item, date);
    let mut decided = Decided::from(Outcome::answer_with(request, ResponseCode::APPROVED));
    decided.is_repeat = !is_new;
    Ok(decided)
}

/// The business date that a message is about.
fn business_date(book: &Book, request: &BankMessage) -> Result<Date, FormatError> {
    let is_of_1993 = request.is_of_1993();
    let de = date::element_number(is_of_1993);
    // An item that is uploaded has it in DE 15 in 1993 too.
    let text = request.text(de).or(request.text(15));
    let date = text.and_then(|text| date::of_element(text, is_of_1993, book.business_date()));
    date.ok_or(FormatError {
        de,
        expected: "a business date",
    })
}

/// Neither DE 41 nor DE 42 means the whole host, DE 42 an acceptor, both a terminal.
fn scope(request: &BankMessage) -> Result<Scope, FormatError> {
    match (request.get(42), request.get(41)) {
        (None, None) => Ok(Scope::Host),
        (Some(acceptor), None) => Ok(Scope::Acceptor(Padded::of(acceptor))),
        (Some(acceptor), Some(terminal)) => {
            Ok(Scope::Terminal(Padded::of(acceptor), Padded::of(terminal)))
        }
        (None, Some(_)) => Err(FormatError {
            de: 42,
            expected: "the acceptor of the terminal",
        }),
    }
}
