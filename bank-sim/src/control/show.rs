//! The books and the log in the messages of the control API.

use prost_types::Timestamp;

use super::pb;
use crate::{
    currency,
    cutover::{Came, Cutover},
    issuer::{AccountSnapshot, Tally},
    message_log::{Direction, LoggedMessage},
    outcome::Effect,
    payouts::OrderAnswer,
    settlement::{BookedDispute, ClearingAnswer, ItemKind, SettlementItem},
};

pub(super) fn account(host: &str, account: AccountSnapshot) -> pb::Account {
    pb::Account {
        host: host.to_owned(),
        account_id: account.account_id,
        card_masked: account.masked_pan,
        currency: account.currency,
        balance: account.balance_minor,
        held: account.held_minor,
        available: account.available_minor,
    }
}

pub(super) fn message(message: &LoggedMessage) -> pb::Message {
    let elements = message.elements().into_iter();
    pb::Message {
        position: count(message.position),
        host: message.host.to_string(),
        direction: match message.direction {
            Direction::Received => pb::Direction::Received,
            Direction::Sent => pb::Direction::Sent,
        }
        .into(),
        mti: message.mti.to_string(),
        stan: message.stan().to_owned(),
        rrn: message.rrn().to_owned(),
        elements: elements
            .map(|element| (i32::from(element.de), element.value_masked))
            .collect(),
        time: Some(Timestamp {
            seconds: message.at.unix_timestamp(),
            nanos: i32::try_from(message.at.nanosecond()).unwrap_or(0),
        }),
        repeat: message.is_repeat,
        effect: match message.effect {
            Effect::None => pb::Effect::None,
            Effect::Held => pb::Effect::Held,
            Effect::Debited => pb::Effect::Debited,
            Effect::Credited => pb::Effect::Credited,
            Effect::Reversed => pb::Effect::Reversed,
            Effect::Partly => pb::Effect::Partly,
        }
        .into(),
    }
}

pub(super) fn totals(host: &str, currency: String, tally: Tally) -> pb::Totals {
    pb::Totals {
        host: host.to_owned(),
        currency,
        held: tally.held_minor,
        debited: tally.debited_minor,
        credited: tally.credited_minor,
        reversed: tally.reversed_minor,
        exchanges: count(tally.exchanges),
        effects_more_than_once: count(tally.effects_more_than_once),
        effects_more_than_once_rrns: tally.effects_more_than_once_rrns,
    }
}

pub(super) fn cutover(cutover: Cutover) -> pb::CutoverResponse {
    let lines = cutover.lines.into_iter().map(|line| {
        let (outcome, response_code) = match line.came {
            Came::Answer(code) => (pb::LineOutcome::Answered, code),
            Came::Nothing => (pb::LineOutcome::Silent, String::new()),
            Came::End => (pb::LineOutcome::Ended, String::new()),
        };
        pb::CutoverLine {
            peer: line.peer.to_string(),
            outcome: outcome.into(),
            response_code,
        }
    });
    pb::CutoverResponse {
        business_date: cutover.business_date.to_string(),
        lines: lines.collect(),
    }
}

pub(super) fn item(item: &SettlementItem) -> pb::SettlementItem {
    let kind = match item.kind {
        ItemKind::Capture => pb::ItemKind::Capture,
        ItemKind::Refund => pb::ItemKind::Refund,
        ItemKind::Chargeback => pb::ItemKind::Chargeback,
        ItemKind::ChargebackReversed => pb::ItemKind::ChargebackReversed,
    };
    let reconciled_with = item.reconciled_with.map(|date| date.to_string());
    pb::SettlementItem {
        acceptor: item.acceptor.clone(),
        terminal: item.terminal.clone(),
        kind: kind.into(),
        rrn: item.rrn.clone(),
        approval_code: item.approval_code.clone(),
        card_masked: item.card_masked.clone(),
        currency: currency::code_of(item.currency_numeric),
        amount: item.amount_minor,
        business_date: item.business_date.to_string(),
        reconciled_with: reconciled_with.unwrap_or_default(),
    }
}

pub(super) fn dispute(booked: BookedDispute) -> pb::DisputeItemResponse {
    pb::DisputeItemResponse {
        business_date: booked.business_date.to_string(),
        amount: booked.amount_minor,
        currency: currency::code_of(booked.currency_numeric),
        posted: booked.is_posted,
    }
}

pub(super) fn clearing(answer: ClearingAnswer) -> pb::TakeClearingFileResponse {
    use pb::ClearingVerdict as Verdict;
    match answer {
        ClearingAnswer::Accepted { items, posted } => pb::TakeClearingFileResponse {
            verdict: Verdict::Accepted.into(),
            item_count: count(items),
            posted_count: count(posted),
            ..pb::TakeClearingFileResponse::default()
        },
        ClearingAnswer::Duplicate => pb::TakeClearingFileResponse {
            verdict: Verdict::Duplicate.into(),
            ..pb::TakeClearingFileResponse::default()
        },
        ClearingAnswer::Refused {
            faults,
            fault_count,
        } => {
            let faults = faults.into_iter().map(|fault| pb::ClearingFault {
                line: count(fault.line),
                problem: fault.problem,
            });
            pb::TakeClearingFileResponse {
                verdict: Verdict::Refused.into(),
                faults: faults.collect(),
                fault_count: count(fault_count),
                ..pb::TakeClearingFileResponse::default()
            }
        }
    }
}

pub(super) fn order(answer: OrderAnswer) -> pb::SubmitPaymentOrderResponse {
    match answer {
        OrderAnswer::Accepted {
            message_id,
            transfers,
            is_duplicate,
        } => {
            let transfers = transfers.into_iter().map(|transfer| pb::Transfer {
                end_to_end_id: transfer.end_to_end_id,
                utr: transfer.utr,
                currency: transfer.currency.code().to_owned(),
                amount: transfer.amount_minor,
                return_reason: transfer.return_reason.unwrap_or_default().to_owned(),
            });
            pb::SubmitPaymentOrderResponse {
                verdict: pb::OrderVerdict::Accepted.into(),
                message_id,
                transfers: transfers.collect(),
                duplicate: is_duplicate,
                ..pb::SubmitPaymentOrderResponse::default()
            }
        }
        OrderAnswer::Refused { code, reason } => pb::SubmitPaymentOrderResponse {
            verdict: pb::OrderVerdict::Refused.into(),
            reason_code: code.to_owned(),
            reason,
            ..pb::SubmitPaymentOrderResponse::default()
        },
    }
}

/// A number that a run does not exceed.
pub(super) fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
