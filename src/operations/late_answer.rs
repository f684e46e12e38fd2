//! What follows from an answer that came too late.

use crate::hosts::exchange::Exchange;
use crate::hosts::message::meaning::{Meaning, ends_the_debt};
use crate::payment::adjustment::{Adjustment, without_effect};
use crate::payment::amounts::Amounts;
use crate::payment::custody::CustodyTimes;
use crate::payment::decline::{Decline, ResponseCode};
use crate::payment::event::PaymentEvent;
use crate::payment::moment::UnixMillis;
use crate::payment::operation::{OperationEvent, OperationState, ResolvedBy};
use crate::payment::planted::{Mistake, planted};
use crate::payment::record::{Operation, Payment};
use crate::payment::state::PaymentState;
use crate::store::change::{Change, OperationStep, PaymentChange};

use super::attempt::approved_in_time;
use super::flow::{Decide, Decision, Subject};
use super::outcome::Undecidable;
use super::owed_step::{adjusted, may_have_undone_nothing};

/// Whether an answer to this operation would be late: no task waits for one any more, and none was
/// recorded in time. A message that is owed is sent again, and answered again.
pub(crate) fn would_be_late(operation: &Operation, now: UnixMillis, in_progress: bool) -> bool {
    match operation.state {
        OperationState::Unknown { .. }
        | OperationState::Reversed
        | OperationState::Resolved { .. } => true,
        OperationState::Created => operation.deadline < now && !in_progress,
        _ => false,
    }
}

/// Whether a late answer to a message that is owed counts. Only what the host said does: otherwise the next attempt is
/// due anyway, or an operator has the entry.
pub(crate) fn ends_an_attempt(exchange: &Exchange) -> bool {
    exchange.is_decided() || matches!(exchange, Exchange::Unclear { .. })
}

/// What follows from a late answer to an operation that is owed no more, or never was.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Late<'a> {
    /// The operation has its outcome.
    Resolves,
    /// Reversals that were not sent yet are not owed any more.
    EndsDebt(&'a Decline),
    /// The bank may have approved, so that a reversal may be owed.
    MayOwe,
    /// It is kept, and nothing follows.
    OnlyKept,
}

impl<'a> Late<'a> {
    /// What follows from `exchange`, where `about` is what undoes an operation whose outcome is not known.
    pub(crate) fn of(operation: &Operation, about: &[Operation], exchange: &'a Exchange) -> Self {
        let is_unknown = matches!(operation.state, OperationState::Unknown { .. });
        match exchange {
            Exchange::Approved { .. } if is_unknown && about.is_empty() => Self::Resolves,
            Exchange::Declined { decline, .. } if !ends_the_debt(decline.reason) => Self::OnlyKept,
            // The decline is of another copy than the approval of another amount.
            Exchange::Declined { .. } if approved_in_time(operation) && about.is_empty() => {
                Self::OnlyKept
            }
            Exchange::Declined { .. } if is_unknown && about.is_empty() => Self::Resolves,
            Exchange::Declined { decline, .. } => Self::EndsDebt(decline),
            // Nothing undoes it, and this says no more than was known.
            _ if is_unknown && about.is_empty() => Self::OnlyKept,
            Exchange::NotSent(_) => Self::OnlyKept,
            Exchange::Approved { .. }
            | Exchange::Unknown(_)
            | Exchange::Unclear { .. }
            | Exchange::Taken { .. }
            | Exchange::OriginalUnknown { .. }
            | Exchange::Again { .. } => Self::MayOwe,
        }
    }
}

/// What a late answer makes of an operation whose outcome is not known; none where nothing hangs on it, and what its
/// merchant was told stands.
pub(crate) fn resolution(
    decide: Decide,
    exchange: &Exchange,
    subject: &Subject<'_>,
    response_code: ResponseCode,
) -> Option<Decision> {
    let decided = decide(exchange, subject);
    decided.payment.as_ref()?;
    Some(Decision {
        operation: vec![OperationEvent::Resolved {
            by: ResolvedBy::LateResponse,
            response_code: Some(response_code),
            took_effect: matches!(exchange, Exchange::Approved { .. }),
            decline: match exchange {
                Exchange::Declined { decline, .. } => Some(*decline),
                _ => None,
            },
        }],
        ..decided
    })
}

/// The debts that a late decline of `original` ends: those of which nothing was sent, not even before an operator had
/// them sent again. None where the bank had approved it, be it for less: the decline is of another copy.
pub(crate) fn debts_ended<'a>(
    original: &Operation,
    about: &'a [Operation],
) -> impl Iterator<Item = &'a Operation> {
    let is_unknown =
        matches!(original.state, OperationState::Unknown { .. }) && !approved_in_time(original);
    let was_sent =
        |it: &Operation| it.state != OperationState::Queued || it.attempts.first_at.is_some();
    let queued = move |it: &&Operation| {
        is_unknown && (!was_sent(it) || planted(Mistake::DebtEndedAfterSending))
    };
    about.iter().filter(queued)
}

/// What a late approval makes of the operation that it approves.
pub(crate) struct OwedAgain {
    /// A version on: of two reports at once one makes the reversal, and an acknowledgement that is being recorded at
    /// this moment is looked at again.
    moved: Operation,
    /// Whether a new reversal is owed, and what it does to the payment.
    pub(crate) owes: bool,
    payment: Option<(Payment, Adjustment)>,
    /// The reversal.
    pub(crate) reversal: Option<Operation>,
}

impl OwedAgain {
    /// What follows for `original`; none where nothing does. `about` is what undoes it.
    ///
    /// # Errors
    /// When the payment can't take it.
    pub(crate) fn of(
        original: &Operation,
        about: &[Operation],
        payment: &Payment,
        (now, times): (UnixMillis, CustodyTimes),
    ) -> Result<Option<Self>, Undecidable> {
        let moved = Operation {
            version: original.version + 1,
            ..original.clone()
        };
        let mut again = Self {
            moved,
            owes: false,
            payment: None,
            reversal: None,
        };
        match original.state {
            OperationState::Unknown { .. } => return Ok(Some(again)),
            // An operator said that it stands.
            OperationState::Resolved {
                took_effect: true, ..
            } => return Ok(None),
            OperationState::Reversed | OperationState::Resolved { .. }
                if !planted(Mistake::LateApprovalForgotten) => {}
            _ => return Ok(None),
        }
        let undone_nothing = |reversal| may_have_undone_nothing(reversal, original);
        if about.is_empty() || !about.iter().all(undone_nothing) {
            return Ok(None);
        }
        // A later operation (a capture) leaves the payment as it is.
        if without_effect(original).is_none() {
            match payment.state {
                PaymentState::Reversed => {
                    let event = PaymentEvent::ReversalOwedAgain;
                    let custody = times.owed(now);
                    again.payment = Some(adjusted(payment, event, Amounts::ZERO, custody, now)?);
                }
                // A decline came late, and ended the debt. The payment stays as its merchant was told.
                PaymentState::Declined { .. } => {}
                // It stands.
                _ => return Ok(None),
            }
        }
        again.owes = true;
        Ok(Some(again))
    }

    /// The change that records it.
    pub(crate) fn change(&self) -> Change<'_> {
        Change {
            step: Some(OperationStep {
                operation: &self.moved,
                answers: false,
            }),
            owes: self.reversal.as_slice(),
            payment: PaymentChange::adjusted(self.payment.as_ref()),
            ..Change::default()
        }
    }
}

/// Whether a late answer says another thing than an earlier one, or an operator: of an operation that has ended by
/// that, its amount may have been given back, and asked for again.
/// `code` is what its response code means: of an answer that matched nothing in this process no more is known.
pub(super) fn contradicts(operation: &Operation, code: Meaning) -> bool {
    let took_effect = match operation.state {
        OperationState::Resolved { took_effect, .. } => took_effect,
        _ if approved_in_time(operation) => true,
        _ => return false,
    };
    match code {
        Meaning::Approved | Meaning::PARTLY_APPROVED | Meaning::Taken => !took_effect,
        Meaning::Declined { reason, .. } => took_effect && ends_the_debt(reason),
        Meaning::Unclear(_) | Meaning::OriginalUnknown | Meaning::Again => false,
    }
}
