//! What is promised, checked in every world and at every step. The numbers are those of the design:
//!
//! - 2: a request is written at most once. 3: "not sent" is said only of what was never written.
//! - 4: unknown is not final: something is owed for it, or an operator or a late answer ends it; its payment never
//!   failed.
//! - 5: a reversal is owed from the very change that says "unknown", and never leaves before its original.
//! - 6: what is owed is due until it is acknowledged or before an operator; what is not owed any more is not sent.
//! - 8: what is final stays so; a late approval is undone, so that at rest the bank holds nothing that we don't.
//! - 10: the same request is told the same, now and later. 18: so is one whose COMMIT was not confirmed.
//! - 11: no more captured than authorized, nor refunded than captured, in our books and in the bank's; nor more
//!   released of a message than it holds.
//! - 7 and 12 are the messages' and the ledger's: their own tests are elsewhere.
//!
//! Beside these: what the rules of the states decide can always be recorded, and the amounts are the operations' sum.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::banks::Style;
use super::super::model::Model;
use super::play::Play;
use super::records::{Answered, Records, is_sent_again};
use super::steps::Broken;
use super::world::{Task, World};
use crate::payment::amounts::Amounts;
use crate::payment::operation::{Open, OperationState};
use crate::payment::operation_kind::OperationKind;
use crate::payment::record::{Operation, Payment};
use crate::payment::state::PaymentState;

fn keeps(promise: bool, what: impl FnOnce() -> String) -> Result<(), Broken> {
    match promise {
        true => Ok(()),
        false => Err(what()),
    }
}

/// Promises 8 and 10: what is final stays so, whatever comes: payments, operations, the recorded answers to requests.
pub(super) fn of_change(before: &Records, after: &Records) -> Result<(), Broken> {
    use PaymentState as P;
    let (was, is) = (&before.payment.state, &after.payment.state);
    let is_final = matches!(
        was,
        P::Declined { .. } | P::Failed { .. } | P::Voided | P::Expired | P::Reversed
    );
    keeps(!is_final || was == is, || {
        format!("A payment that was {} becomes {}", was.name(), is.name())
    })?;
    for (was, is) in before.operations.iter().zip(&after.operations) {
        let has_ended =
            was.state.open() == Open::No && !matches!(was.state, OperationState::Unknown { .. });
        keeps(!has_ended || was.state == is.state, || {
            let kind = was.kind.name();
            format!(
                "A {kind} that was {} becomes {}",
                was.state.name(),
                is.state.name()
            )
        })?;
    }
    for (was, is) in before.claims.iter().zip(&after.claims) {
        if let (Some(was), Some(is)) = (&was.answer, &is.answer) {
            keeps(was == is, || {
                "The recorded answer to a request changes".into()
            })?;
        }
    }
    Ok(())
}

/// Promises 2, 5 and 6: a request is written once, a reversal leaves after its original, and nothing that is not owed.
pub(super) fn of_sending(world: &World, operation: &Operation) -> Result<(), Broken> {
    let number = world.records.number(operation.id);
    let is_request = operation.state.is_open();
    keeps(!is_request || world.written[number] == 1, || {
        format!("The {} is written a second time", operation.kind.name())
    })?;
    let recorded = &world.records.operations[number];
    keeps(recorded.state != OperationState::Cancelled, || {
        "What is not owed any more is sent".into()
    })?;
    let is_ahead = world.tasks.iter().any(|task| match task {
        Task::Waiting {
            operation: it,
            is_sent: false,
            is_late: false,
            ..
        } => operation.original_id == Some(it.id) && operation.kind == OperationKind::Reversal,
        _ => false,
    });
    keeps(!is_ahead, || "A reversal leaves before its original".into())
}

/// Promise 10: the same request is told the same.
pub(super) fn of_telling(
    before: &Answered,
    now: (&Arc<Payment>, &Arc<Operation>),
) -> Result<(), Broken> {
    let told = |(payment, operation): (&Arc<Payment>, &Arc<Operation>)| {
        let states = (payment.state.clone(), operation.state.clone());
        (states, shown(&payment.amounts))
    };
    let (first, second) = (told((&before.0, &before.1)), told(now));
    keeps(first == second, || {
        format!("A request was told {first:?}, and is told {second:?}")
    })
}

/// What holds in every world, the bank's limits of promise 11 among it.
pub(super) fn of_world(play: &Play, world: &World) -> Result<(), Broken> {
    let records = &world.records;
    for (number, operation) in records.operations.iter().enumerate() {
        of_operation(play, world, number, operation)?;
    }
    amounts(records)?;
    let book = world.bank.book(records);
    let within = book.captured + book.released <= book.held
        && book.refunded <= book.captured
        && book.refunded >= 0
        && book.captured >= 0;
    keeps(within, || format!("The bank has {book:?}"))?;
    if is_quiet(world) {
        return at_rest(world);
    }
    Ok(())
}

/// Promises 3, 4, 5 and 6, of one operation.
fn of_operation(
    play: &Play,
    world: &World,
    number: usize,
    operation: &Operation,
) -> Result<(), Broken> {
    let (records, kind) = (&world.records, operation.kind.name());
    match &operation.state {
        // Not sent is certain.
        OperationState::Rejected { .. } => {
            let written = world.written.get(number).copied().unwrap_or(0);
            keeps(written == 0, || {
                format!("A {kind} that was sent is said not to be")
            })
        }
        OperationState::Unknown { .. } => {
            let open = |it: &Arc<Operation>| it.state.open() == Open::Owed;
            let is_reversed = play.style(operation.kind) == Style::Reversed;
            let is_owed = records.reversals_of(operation).any(open);
            keeps(!is_reversed || is_owed, || {
                format!("A {kind} is unknown, and nothing is owed for it")
            })?;
            let state = &records.payment.state;
            let ends = matches!(
                state,
                PaymentState::Declined { .. } | PaymentState::Failed { .. }
            );
            keeps(!ends || number > 0, || {
                format!("A {kind} is unknown, and its payment {}", state.name())
            })
        }
        OperationState::Queued | OperationState::Sent => {
            let original = operation.original_id.map(|id| records.operation(id));
            let most = original.map_or(0, |it| it.amount.amount_minor());
            keeps(operation.releases_minor <= most, || {
                format!("The {kind} is of more than its original")
            })?;
            keeps(operation.attempts.next_at.is_some(), || {
                format!("The {kind} that is owed is never due")
            })
        }
        _ => Ok(()),
    }
}

/// Promise 11: the payment's amounts keep their limits, and are the sum of its operations.
fn amounts(records: &Records) -> Result<(), Broken> {
    let counted = |it: &&Operation| !records.is_cancelled_approval(it);
    let operations = records.operations.iter().map(|it| &**it);
    let model = Model {
        operations: operations.filter(counted).collect(),
        heard: BTreeMap::new(),
        has_expired: false,
    };
    let (sum, amounts) = (model.amounts(), records.payment.amounts);
    let within = amounts.captured_minor + amounts.released_minor <= amounts.confirmed_minor()
        && amounts.captured_pending_minor >= 0
        && amounts.refunded_minor <= amounts.captured_minor - amounts.captured_pending_minor;
    keeps(within, || {
        format!("The amounts exceed their limits: {}", shown(&amounts))
    })?;
    keeps(sum == amounts, || {
        let (sum, amounts) = (shown(&sum), shown(&amounts));
        format!("The operations sum to {sum}, and the payment says {amounts}")
    })
}

/// The amounts that are not zero.
fn shown(amounts: &Amounts) -> String {
    serde_json::to_string(amounts).unwrap()
}

/// Whether nothing is on its way, nobody works, and nothing is owed that is sent again.
fn is_quiet(world: &World) -> bool {
    let ended = |it: &Arc<Operation>| !it.state.is_open() && !is_sent_again(it);
    world.tasks.is_empty()
        && world.to_bank.is_empty()
        && world.to_us.is_empty()
        && world.records.operations.iter().all(ended)
}

/// Promises 4 and 8: once nothing moves any more our books are the bank's, operation by operation, or an operator has
/// to look.
fn at_rest(world: &World) -> Result<(), Broken> {
    let records = &world.records;
    let mut waits_for_somebody = false;
    for (number, operation) in records.operations.iter().enumerate() {
        let mut reversals = records.reversals_of(operation);
        let waits = |it: &Operation| {
            matches!(
                it.state,
                OperationState::Suspended { .. } | OperationState::Unknown { .. }
            )
        };
        if waits(operation)
            || operation.kind == OperationKind::Reversal
            || operation.state == OperationState::Recorded
            || reversals.any(|it| waits(it))
        {
            waits_for_somebody |= waits(operation);
            continue;
        }
        let mut reversals = records.reversals_of(operation);
        let is_undone = reversals.any(|it| matches!(it.state, OperationState::Approved { .. }));
        let counts = operation.state.counts() && !is_undone;
        let stands = world.bank.stands(number);
        keeps(counts == stands, || {
            let ours = operation.state.name();
            let bank = if stands {
                "has done it"
            } else {
                "has not, or has undone it"
            };
            format!(
                "At rest the {} is {ours}, and the bank {bank}",
                operation.kind.name()
            )
        })?;
    }
    let state = &records.payment.state;
    let is_pending = matches!(
        state,
        PaymentState::Authorizing { .. }
            | PaymentState::Reversing { .. }
            | PaymentState::Voiding { .. }
    );
    if waits_for_somebody {
        return Ok(());
    }
    keeps(!is_pending, || {
        let state = state.name();
        format!("At rest nobody has to look, and the payment is {state}")
    })?;
    let (book, amounts) = (world.bank.book(records), records.payment.amounts);
    let is_gone = matches!(
        state,
        PaymentState::Voided
            | PaymentState::Reversed
            | PaymentState::Declined { .. }
            | PaymentState::Failed { .. }
    );
    let releases = records
        .operations
        .iter()
        .enumerate()
        .filter(|(number, it)| it.kind == OperationKind::Release && world.bank.stands(*number));
    let released: i64 = releases.map(|(_, it)| it.amount.amount_minor()).sum();
    let agrees = (!is_gone || book.held == 0)
        && (is_gone || book.released >= released)
        && book.captured == amounts.captured_minor
        && book.refunded == amounts.refunded_minor;
    keeps(agrees, || {
        let (state, amounts) = (state.name(), shown(&amounts));
        format!("At rest the payment is {state} with {amounts}, and the bank has {book:?}")
    })
}
