//! Where a payment stands and what comes next, a sentence each.

use super::settlement::settled;
use super::words::{Labels, amount, amounts, state, to_come};
use crate::payment::ids::HostId;
use crate::payment::moment::{UnixMillis, span};
use crate::payment::operation::OperationState;
use crate::payment::operation_kind::OperationKind;
use crate::payment::record::Operation;
use crate::payment::state::PaymentState;
use crate::store::reads::explain::PaymentRecords;

/// Where a payment stands.
pub(in crate::admin_api) fn stands(records: &PaymentRecords) -> Vec<String> {
    let payment = &records.payment;
    let currency = payment.amount.currency();
    if payment.authorization.kind == OperationKind::Verification {
        let states = records.operations.iter().map(|it| it.state.name());
        return vec![format!(
            "A verification of a card, and no payment: {}.",
            states.collect::<String>()
        )];
    }
    let nothing_held = match payment.state {
        PaymentState::Voided | PaymentState::Expired => ", and nothing of it is held any more",
        _ => "",
    };
    let mut sentences = vec![format!(
        "{}: {}{nothing_held}.",
        state(&payment.state),
        amounts(&payment.amounts, currency)
    )];
    if let Some(approval) = payment.state.approval() {
        let code = match approval.approval_code.as_str() {
            "" => String::new(),
            code => format!(" under the approval code {code} (DE 38)"),
        };
        let partial = approval.partial_minor.map_or_else(String::new, |minor| {
            format!(
                ", {} of the {} asked for",
                amount(minor, currency.code()),
                payment.amount
            )
        });
        sentences.push(format!(
            "The bank approved with DE 39 {}{code}{partial}.",
            approval.response_code
        ));
    }
    sentences.extend(settled(records));
    sentences
}

/// What comes next. `blocked` says why a host takes no messages now, where it takes none.
pub(in crate::admin_api) fn next(
    records: &PaymentRecords,
    now: UnixMillis,
    blocked: impl Fn(HostId) -> Option<&'static str>,
) -> Vec<String> {
    let labels = Labels::of(&records.operations);
    let mut sentences = Vec::new();
    for operation in &records.operations {
        let name = format!("{} of {}", labels.get(operation.id), operation.amount);
        sentences.extend(open(records, operation, &name, now, &blocked));
    }
    let payment = &records.payment;
    if sentences.is_empty() {
        sentences.push("Nothing is on its way, and nothing is owed to a bank.".to_owned());
    }
    if let Some(at) = payment.state.hold_ends_at() {
        sentences.push(format!("The hold ends by itself at {}.", to_come(at, now)));
    }
    let amount = |minor: i64| amount(minor, payment.amount.currency().code());
    let (capturable, refundable) = (
        payment.amounts.capturable_minor(),
        payment.amounts.refundable_minor(),
    );
    if capturable > 0 && payment.state.hold_ends_at().is_some() {
        sentences.push(format!(
            "The merchant can still capture {}.",
            amount(capturable)
        ));
    }
    if refundable > 0 {
        sentences.push(format!(
            "The merchant can still refund {}.",
            amount(refundable)
        ));
    }
    sentences
}

/// What comes next of one operation; nothing where it has ended.
fn open(
    records: &PaymentRecords,
    operation: &Operation,
    name: &str,
    now: UnixMillis,
    blocked: impl Fn(HostId) -> Option<&'static str>,
) -> Option<String> {
    let (id, host) = (operation.id, operation.host_id);
    let attempts = operation.attempts;
    let when = attempts
        .next_at
        .map(|at| to_come(at, now))
        .unwrap_or_default();
    let but = || match blocked(host) {
        Some(why) => format!(" But {why}: it waits for that."),
        None => String::new(),
    };
    Some(match &operation.state {
        OperationState::Created if now < operation.deadline => format!(
            "On its way to {host}: {name}. Its answer is waited for until {}.",
            operation.deadline.to_second()
        ),
        OperationState::Created => format!(
            "Without an end: {name} to {host}, whose time was over at {}. Recovery ends it.",
            operation.deadline.to_second()
        ),
        OperationState::Queued => {
            let why = match operation.kind {
                OperationKind::Reversal if attempts.count == 0 && now < operation.deadline => {
                    ", not before what it undoes can't arrive any more"
                }
                OperationKind::Release => ", not before the captures that are on their way",
                _ => "",
            };
            format!(
                "Owed to {host}: {name}, to be sent at {when}{why}.{}",
                but()
            )
        }
        OperationState::Sent => {
            let since = attempts.first_at.map_or(0, |at| now.as_i64() - at.as_i64());
            format!(
                "Owed to {host}: {name}, sent {}, first {} ago, and not acknowledged. It is sent again at {when}.{}",
                times(attempts.count),
                span(since),
                but()
            )
        }
        OperationState::Suspended {
            reason,
            response_code,
        } => {
            let code = response_code.map_or_else(String::new, |code| format!(" (DE 39 {code})"));
            format!(
                "Waiting for an operator: {name}, sent {}: {reason}{code}. Ask {host}, then payswitch owed retry or \
                 resolve {id}.",
                times(attempts.count)
            )
        }
        OperationState::Unknown { reason } if !is_undone(records, operation) => format!(
            "Not known: what became of {name}, for this reason: {reason}. Its amount stays taken, and nothing more of it \
             is sent, until a late answer ends it, or an operator who has asked {host}: payswitch owed resolve {id}."
        ),
        _ => return None,
    })
}

/// Whether something undoes an operation, or nothing has to.
fn is_undone(records: &PaymentRecords, operation: &Operation) -> bool {
    operation.kind == OperationKind::Verification
        || records.operations.iter().any(|other| {
            other.kind == OperationKind::Reversal && other.original_id == Some(operation.id)
        })
}

fn times(count: u32) -> String {
    match count {
        0 => "not once".to_owned(),
        1 => "once".to_owned(),
        count => format!("{count} times"),
    }
}
