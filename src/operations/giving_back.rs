//! Plans of what is given back to a cardholder: a hold, what is left of one, or what was captured. Several flows make
//! them.

use crate::hosts::message::definition::Travel;
use crate::payment::adjustment::Adjustment;
use crate::payment::amounts::Amounts;
use crate::payment::capture::Capture;
use crate::payment::custody::CustodyEnd;
use crate::payment::event::PaymentEvent;
use crate::payment::ids::{CaptureId, PaymentId, SubjectId};
use crate::payment::moment::UnixMillis;
use crate::payment::money::Money;
use crate::payment::operation::OperationState;
use crate::payment::operation_kind::OperationKind;
use crate::payment::planted::{Mistake, planted};
use crate::payment::reason::Reason;
use crate::payment::record::{Operation, Payment};
use crate::payment::state::PaymentState;

use super::basis::Found;
use super::hold::releases;
use super::later::{
    LaterRefusal, Why, amount_of, no_repeat, numbers_of, numbers_of_authorization, way_of,
    way_of_release,
};
use super::plan::{NewResource, Owes, Plan};

/// A request to refund, checked field by field.
#[derive(Debug)]
pub struct CreateRefund {
    /// The payment.
    pub payment_id: PaymentId,
    /// How much; more than zero. All that is left of a capture where it is none.
    pub amount: Option<Money>,
    /// What it is given back of; where it is none, the oldest capture with enough left.
    pub capture_id: Option<CaptureId>,
    /// The merchant's own reference of it.
    pub merchant_reference: Option<String>,
}

/// The void of a hold of which nothing is captured, or of a whole sale.
///
/// # Errors
/// When the payment is neither, or its host takes no such void.
pub fn void_of(found: Found, now: UnixMillis) -> Result<Plan, LaterRefusal> {
    const KIND: OperationKind = OperationKind::Void;
    let sale = voidable_sale(&found)?;
    let way = way_of(&found, KIND)?;
    let payment = &found.payment;
    no_repeat(&found, KIND, numbers_of_authorization(payment))?;
    // The message undoes the authorization; what was added is undone beside it.
    let whole = Money::new(payment.approved_minor(), payment.amount.currency());
    let whole = whole.map_err(|_| LaterRefusal::of(payment, Why::State(KIND)))?;
    let event = match (way.travel, sale) {
        (Travel::Once | Travel::Repeated, None) => PaymentEvent::VoidStarted,
        (Travel::Once | Travel::Repeated, Some(_)) => PaymentEvent::SaleVoidStarted,
        (Travel::Recorded, None) => PaymentEvent::VoidConfirmed,
        (Travel::Recorded, Some(_)) => PaymentEvent::SaleVoided,
    };
    let change = match event {
        PaymentEvent::SaleVoided => Amounts {
            captured_minor: -whole.amount_minor(),
            ..Amounts::ZERO
        },
        _ => Amounts::ZERO,
    };
    let adjustment = Adjustment {
        event,
        change,
        at: now,
        custody: CustodyEnd::Unchanged,
    };
    Ok(Plan {
        reason: Some(Reason::Void),
        subject_id: sale.map(SubjectId::Capture),
        ..Plan::later(found.payment, (KIND, way), whole, adjustment)
    })
}

/// The capture of the sale that is voided; none where a hold is.
///
/// # Errors
/// When the payment is neither a hold of which nothing is captured nor a whole sale that its host voids.
fn voidable_sale(found: &Found) -> Result<Option<CaptureId>, LaterRefusal> {
    let payment = &found.payment;
    let refused = |why| Err(LaterRefusal::of(payment, why));
    let amounts = &payment.amounts;
    match payment.state {
        PaymentState::Authorized { .. }
            if amounts.captured_minor > 0 || amounts.authorized_pending_minor > 0 =>
        {
            refused(Why::InProgress)
        }
        PaymentState::Authorized { .. } => Ok(None),
        // From here on it is no item of its day, until the void is refused.
        PaymentState::Captured { .. }
            if payment.authorization.kind == OperationKind::Sale
                && amounts.refunded_minor == 0
                && found.ways.of(OperationKind::Void).is_some() =>
        {
            if found.in_clearing {
                return refused(Why::InClearing);
            }
            let capture = found.captures.first().map(|(capture, _)| capture.id);
            capture.map_or_else(
                || refused(Why::State(OperationKind::Void)),
                |id| Ok(Some(id)),
            )
        }
        _ => refused(Why::State(OperationKind::Void)),
    }
}

/// The refund of one capture.
///
/// # Errors
/// When nothing of it, or less than was asked for, can be refunded, or the payment or its host takes no refund.
pub fn refund_of(
    found: Found,
    asked: &CreateRefund,
    now: UnixMillis,
) -> Result<Plan, LaterRefusal> {
    refund_and_release(found, asked, 0, now)
}

/// The refund of one capture, and the release of so much of the hold.
fn refund_and_release(
    found: Found,
    asked: &CreateRefund,
    rest_minor: i64,
    now: UnixMillis,
) -> Result<Plan, LaterRefusal> {
    const KIND: OperationKind = OperationKind::Refund;
    let way = way_of(&found, KIND)?;
    let Found {
        payment, captures, ..
    } = &found;
    let (PaymentState::PartiallyCaptured { .. } | PaymentState::Captured { .. }) = payment.state
    else {
        return Err(LaterRefusal::of(payment, Why::State(KIND)));
    };
    let (refunded, operation) = chosen(asked, captures, payment)?;
    no_repeat(&found, KIND, numbers_of(operation, payment))?;
    let left_minor = left_of(refunded, payment);
    let too_much = Why::ExceedsRefundable { left_minor };
    let amount = amount_of(payment, asked.amount, left_minor, too_much)?;
    let (event, pending_minor) = match way.travel {
        Travel::Once => (PaymentEvent::RefundStarted, amount.amount_minor()),
        Travel::Repeated | Travel::Recorded => (PaymentEvent::Refunded, 0),
    };
    let adjustment = Adjustment {
        event,
        change: Amounts {
            refunded_minor: amount.amount_minor(),
            refunded_pending_minor: pending_minor,
            released_minor: rest_minor,
            ..Amounts::ZERO
        },
        at: now,
        custody: CustodyEnd::Unchanged,
    };
    Ok(Plan {
        original_id: Some(refunded.operation_id),
        resource: Some(NewResource::Refund {
            capture_id: refunded.id,
            merchant_reference: asked.merchant_reference.clone(),
        }),
        owes: Owes::release(payment, rest_minor),
        unmoved: way.only_one || rest_minor > 0,
        ..Plan::later(found.payment, (KIND, way), amount, adjustment)
    })
}

/// Everything that a payment holds and has captured: its void while nothing is captured; else the refund of its capture
/// and the release of what is left of the hold.
///
/// # Errors
/// When nothing can be given back, when a capture is on its way, when several captures would have to be refunded, or
/// when the payment's host takes no such operation.
pub fn all_of(found: Found, now: UnixMillis) -> Result<Plan, LaterRefusal> {
    let payment = &found.payment;
    let refused = |why| Err(LaterRefusal::of(payment, why));
    let rest_minor = match payment.state {
        PaymentState::Authorized { .. } => return void_of(found, now),
        PaymentState::PartiallyCaptured { expires_at, .. } if expires_at > now => {
            payment.amounts.capturable_minor()
        }
        PaymentState::PartiallyCaptured { .. } | PaymentState::Captured { .. } => 0,
        _ => return refused(Why::State(OperationKind::Reversal)),
    };
    if payment.amounts.captured_pending_minor > 0 {
        return refused(Why::InProgress);
    }
    if rest_minor > 0 {
        way_of_release(&found)?;
    }
    let left = |(capture, operation): &&(Capture, Operation)| {
        standing(operation) != Standing::Not && left_of(capture, payment) > 0
    };
    let mut refundable = found.captures.iter().filter(left);
    match (refundable.next(), refundable.next()) {
        (None, _) => release_of(found, rest_minor, now),
        (Some((capture, _)), None) => {
            let asked = CreateRefund {
                payment_id: payment.id,
                amount: None,
                capture_id: Some(capture.id),
                merchant_reference: None,
            };
            refund_and_release(found, &asked, rest_minor, now)
        }
        (Some(_), Some(_)) => refused(Why::SeveralCaptures),
    }
}

/// The release of so much of the hold of a payment whose captures are refunded.
fn release_of(found: Found, rest_minor: i64, now: UnixMillis) -> Result<Plan, LaterRefusal> {
    const KIND: OperationKind = OperationKind::Release;
    let nothing = || LaterRefusal::of(&found.payment, Why::State(OperationKind::Reversal));
    let before_minor = found.payment.amounts.released_minor;
    let parts = releases(&found.payment, &found.earlier, (before_minor, rest_minor));
    let mut parts = parts.into_iter();
    let first = parts.next().ok_or_else(nothing)?;
    let way = way_of_release(&found)?;
    let event = match way.travel {
        Travel::Recorded => PaymentEvent::Released,
        Travel::Once | Travel::Repeated => PaymentEvent::ReleaseStarted,
    };
    let adjustment = Adjustment {
        event,
        change: Amounts {
            released_minor: rest_minor,
            ..Amounts::ZERO
        },
        at: now,
        custody: CustodyEnd::Unchanged,
    };
    Ok(Plan {
        reason: Some(Reason::Release),
        original_id: first.original_id,
        releases_minor: first.releases_minor,
        owes: parts.collect(),
        unmoved: true,
        ..Plan::later(found.payment, (KIND, way), first.amount, adjustment)
    })
}

/// The capture that is refunded: the one that is named, or else the oldest with enough left. One that its bank has not
/// acknowledged is not refunded yet: the refund could overtake it.
fn chosen<'a>(
    asked: &CreateRefund,
    captures: &'a [(Capture, Operation)],
    payment: &Payment,
) -> Result<&'a (Capture, Operation), LaterRefusal> {
    let refused = |why| LaterRefusal::of(payment, why);
    let named = |(capture, _): &&(Capture, Operation)| {
        asked.capture_id.is_none_or(|named| named == capture.id)
    };
    let asked_minor = asked.amount.map_or(1, |amount| amount.amount_minor());
    let enough = |capture: &Capture| left_of(capture, payment) >= asked_minor;
    let candidates: Vec<_> = captures.iter().filter(named).collect();
    if candidates.is_empty() {
        return Err(refused(Why::NoCapture));
    }
    let with = |wanted: Standing| {
        let all = candidates.iter().copied();
        all.filter(move |(_, operation)| standing(operation) == wanted)
    };
    if let Some(found) = with(Standing::Taken).find(|(capture, _)| enough(capture)) {
        return Ok(found);
    }
    if with(Standing::OnItsWay).any(|(capture, _)| enough(capture)) {
        return Err(refused(Why::InProgress));
    }
    let left = with(Standing::Taken).map(|(capture, _)| left_of(capture, payment));
    let left_minor = left.max().unwrap_or(0);
    if let Some(amount) = asked.amount
        && amount.currency() != payment.amount.currency()
    {
        let got = amount.currency();
        return Err(refused(Why::Currency { got }));
    }
    Err(refused(Why::ExceedsRefundable { left_minor }))
}

/// How far a capture has come at its bank.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Taken,
    OnItsWay,
    Not,
}

fn standing(operation: &Operation) -> Standing {
    match &operation.state {
        state if state.counts() => Standing::Taken,
        OperationState::Created
        | OperationState::Queued
        | OperationState::Sent
        | OperationState::Suspended { .. }
        | OperationState::Unknown { .. } => match planted(Mistake::RefundOvertakes) {
            true => Standing::Taken,
            false => Standing::OnItsWay,
        },
        _ => Standing::Not,
    }
}

/// What can be refunded of a capture, in minor units: no more than of the whole payment, which may be disputed.
fn left_of(capture: &Capture, payment: &Payment) -> i64 {
    let left_minor = capture.amount.amount_minor() - capture.refunded_minor;
    left_minor.min(payment.amounts.refundable_minor())
}

#[cfg(test)]
mod tests;
