//! What flows of later operations of a recorded payment share: why one is refused, and what the end of one that travels
//! as a request means.

use crate::hosts::exchange::Exchange;
use crate::hosts::message::definition::{Travel, UnknownRule};
use crate::payment::adjustment::{with_effect, without_effect};
use crate::payment::amounts::Amounts;
use crate::payment::capture::MOST_CAPTURES;
use crate::payment::decline::UnknownReason;
use crate::payment::event::PaymentEvent;
use crate::payment::ids::HostId;
use crate::payment::money::{Currency, Money};
use crate::payment::operation::{OperationEvent, OperationState};
use crate::payment::operation_kind::OperationKind;
use crate::payment::record::MOST_INCREMENTS;
use crate::payment::record::{Operation, Payment};
use crate::payment::reference::{Rrn, Stan};

use super::basis::{Found, Way};
use super::flow::{Decision, Subject};
use super::plan::Owes;

/// A later operation that is refused. Nothing was recorded or sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}; the payment is {state}")]
pub struct LaterRefusal {
    /// Why.
    pub why: Why,
    /// The payment's state.
    pub state: &'static str,
    /// The payment's amounts.
    pub amounts: Box<Amounts>,
    /// The currency of the payment.
    pub currency: Currency,
}

/// Why a later operation is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// The payment's state allows no such operation.
    #[error("the payment's state allows no {}", .0.name().to_lowercase())]
    State(OperationKind),
    /// More than can be captured.
    #[error("no more than {left_minor} minor units can be captured")]
    ExceedsCapturable {
        /// What can be captured, in minor units.
        left_minor: i64,
    },
    /// More than can be refunded.
    #[error("no more than {left_minor} minor units can be refunded of one capture")]
    ExceedsRefundable {
        /// What can be refunded of one capture, in minor units.
        left_minor: i64,
    },
    /// The payment's host takes only one such operation of a payment.
    #[error("host {host_id} takes only one {} of a payment", .kind.name().to_lowercase())]
    OnlyOne {
        /// The host.
        host_id: HostId,
        /// The operation.
        kind: OperationKind,
    },
    /// More than a message can say would be authorized.
    #[error("no more than {left_minor} minor units can be added to what is authorized")]
    ExceedsAuthorizable {
        /// What can be added, in minor units.
        left_minor: i64,
    },
    /// The payment has as many captures as one can have.
    #[error("the payment has {MOST_CAPTURES} captures, and takes no more")]
    TooManyCaptures,
    /// It was raised as often as a payment can be.
    #[error(
        "the payment was raised {MOST_INCREMENTS} times, or changed as often, and is not raised again"
    )]
    TooManyIncrements,
    /// What can be refunded is of several captures.
    #[error("what can be refunded is of several captures")]
    SeveralCaptures,
    /// The payment has no such capture.
    #[error("the payment has no such capture")]
    NoCapture,
    /// An earlier operation of the payment is on its way to the bank.
    #[error("an earlier operation of the payment is on its way to the bank")]
    InProgress,
    /// The amount is in another currency than the payment.
    #[error("the amount is in {got}, which is not the payment's currency")]
    Currency {
        /// The amount's currency.
        got: Currency,
    },
    /// The sale is settled with a day that is closed.
    #[error("the bank's day of the sale is closed")]
    InClearing,
    /// The hold has ended.
    #[error("the hold has ended")]
    HoldExpired,
    /// The payment's host takes no such operations.
    #[error("host {host_id} takes no {}", .kind.name().to_lowercase())]
    NotSupported {
        /// The host.
        host_id: HostId,
        /// The operation.
        kind: OperationKind,
    },
}

impl LaterRefusal {
    /// The refusal of an operation of `payment`.
    #[must_use]
    pub fn of(payment: &Payment, why: Why) -> Self {
        Self {
            why,
            state: payment.state.name(),
            amounts: Box::new(payment.amounts),
            currency: payment.amount.currency(),
        }
    }
}

/// How an operation of `kind` travels to the payment's host.
///
/// # Errors
/// When the host takes none.
pub fn way_of(found: &Found, kind: OperationKind) -> Result<Way, LaterRefusal> {
    let host_id = found.payment.authorization.host_id;
    let way = found.ways.of(kind);
    way.ok_or_else(|| LaterRefusal::of(&found.payment, Why::NotSupported { host_id, kind }))
}

/// How what is left of the hold is released at the payment's host.
///
/// # Errors
/// When the host takes no release; or frees the rest by itself, and the hold was incremented: whether it frees that too
/// is not known. When an increment is on its way, and what it adds would be left; or another last capture, and how much
/// of the hold is released before this is not known.
pub fn way_of_release(found: &Found) -> Result<Way, LaterRefusal> {
    let payment = &found.payment;
    let kind = OperationKind::Release;
    let way = way_of(found, kind)?;
    if payment.is_incremented() && way.travel == Travel::Recorded {
        let host_id = payment.authorization.host_id;
        let why = Why::NotSupported { host_id, kind };
        return Err(LaterRefusal::of(payment, why));
    }
    let amounts = &payment.amounts;
    let is_releasing = amounts.captured_pending_minor > 0 && amounts.released_minor > 0;
    if amounts.authorized_pending_minor > 0 || is_releasing {
        return Err(LaterRefusal::of(payment, Why::InProgress));
    }
    Ok(way)
}

/// Refuses what the host would take for a repeat of an earlier operation, whatever came of that one.
///
/// # Errors
/// When the host has seen one of this kind under the numbers of the same original.
pub fn no_repeat(
    found: &Found,
    kind: OperationKind,
    original: (Stan, Rrn),
) -> Result<(), LaterRefusal> {
    let takes_one = found.ways.of(kind).is_some_and(|way| way.only_one);
    if !takes_one || !is_repeat(&found.earlier, kind, original) {
        return Ok(());
    }
    let host_id = found.payment.authorization.host_id;
    let why = Why::OnlyOne { host_id, kind };
    Err(LaterRefusal::of(&found.payment, why))
}

/// Whether one of `earlier` is of this kind, and went under the numbers of this original; or goes still.
#[must_use]
pub fn is_repeat(earlier: &[Operation], kind: OperationKind, original: (Stan, Rrn)) -> bool {
    earlier.iter().any(|earlier| {
        earlier.kind == kind
            && (earlier.stan, earlier.rrn) == original
            && !matches!(earlier.state, OperationState::Rejected { .. })
    })
}

/// The numbers by which the host knows what a refund of this capture completes: those of the authorization where the
/// capture had no message.
#[must_use]
pub fn numbers_of(capture: &Operation, payment: &Payment) -> (Stan, Rrn) {
    match capture.state {
        OperationState::Recorded => numbers_of_authorization(payment),
        _ => (capture.stan, capture.rrn),
    }
}

/// The numbers of the operation that authorizes the payment.
#[must_use]
pub fn numbers_of_authorization(payment: &Payment) -> (Stan, Rrn) {
    (payment.authorization.stan, payment.authorization.rrn)
}

/// The amount that was asked for, or else `left_minor`, in the payment's currency.
///
/// # Errors
/// When the currency is another one, or nothing is left.
pub fn amount_of(
    payment: &Payment,
    asked: Option<Money>,
    left_minor: i64,
    too_much: Why,
) -> Result<Money, LaterRefusal> {
    let currency = payment.amount.currency();
    let refused = |why| LaterRefusal::of(payment, why);
    match asked {
        Some(asked) if asked.currency() != currency => Err(refused(Why::Currency {
            got: asked.currency(),
        })),
        Some(asked) if asked.amount_minor() > left_minor => Err(refused(too_much)),
        Some(asked) => Ok(asked),
        None if left_minor <= 0 => Err(refused(too_much)),
        None => Money::new(left_minor, currency).map_err(|_| refused(too_much)),
    }
}

/// What the end of an operation that travels as a request means: what was pending counts, or does not. While that is
/// not known the payment stays as `pending` says, and a reversal is owed where the host's profile says so.
pub fn decided(exchange: &Exchange, subject: &Subject<'_>, pending: PaymentEvent) -> Decision {
    let operation = subject.operation;
    let stays = (pending, Amounts::ZERO);
    let unknown = |reason| {
        let reverses = subject.unknown == UnknownRule::Reverse;
        let reversal = reverses.then(|| Owes::reversal(operation, reason));
        let events = vec![OperationEvent::OutcomeUnknown(reason)];
        (events, None, Vec::from_iter(reversal))
    };
    let (operation, effect, owes) = match exchange {
        Exchange::Approved { approval, .. } => {
            let approved = OperationEvent::Approved(approval.clone());
            let events = vec![OperationEvent::Sent, approved];
            let owes = Owes::release(subject.payment, operation.releases_minor);
            (events, with_effect(operation), owes)
        }
        Exchange::Declined { decline, .. } => {
            let events = vec![OperationEvent::Sent, OperationEvent::Declined(*decline)];
            (events, without_effect(operation), Vec::new())
        }
        Exchange::NotSent(reason) => {
            let events = vec![OperationEvent::NotSent(*reason)];
            (events, without_effect(operation), Vec::new())
        }
        Exchange::Unknown(reason) | Exchange::Unclear { reason, .. } => unknown(*reason),
        // Answers to an advice.
        Exchange::Taken { .. } | Exchange::OriginalUnknown { .. } | Exchange::Again { .. } => {
            unknown(UnknownReason::AnswerNotUnderstood)
        }
    };
    let (payment, change) = effect.unwrap_or(stays);
    Decision {
        operation,
        payment: Some(payment),
        change,
        owes,
    }
}
