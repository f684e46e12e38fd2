//! A refund: all or part of a captured amount is given back.

use crate::hosts::exchange::Exchange;
use crate::hosts::message::definition::Travel;
use crate::operations::acknowledgement::counts_unless_refused;
use crate::operations::flow::{
    Decision, Flow, Found, NewResource, OwedDecision, OwedFlow, OwedSubject, Plan, Subject,
};
use crate::operations::later::{
    LaterRefusal, Why, amount_of, decided, no_repeat, numbers_of, way_of,
};
use crate::payment::adjustment::Adjustment;
use crate::payment::amounts::Amounts;
use crate::payment::capture::Capture;
use crate::payment::custody::CustodyEnd;
use crate::payment::ids::{CaptureId, PaymentId};
use crate::payment::merchant::Merchant;
use crate::payment::moment::UnixMillis;
use crate::payment::money::Money;
use crate::payment::operation::{OperationKind, OperationState};
use crate::payment::record::{Operation, Payment};
use crate::payment::state::{PaymentEvent, PaymentState};

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

/// The flow of refunds.
pub struct Refund;

impl Flow for Refund {
    type Command = CreateRefund;
    type Basis = Found;
    type Refusal = LaterRefusal;

    const KIND: OperationKind = OperationKind::Refund;
    const METHOD: &'static str = "CreateRefund";

    fn payment_id(&self, command: &CreateRefund) -> Option<PaymentId> {
        Some(command.payment_id)
    }

    fn reads_captures(&self, _payment: &Payment) -> bool {
        true
    }

    /// An amount that travels as a request is pending until it is approved; any other counts as soon as it is recorded.
    fn plan(
        &self,
        _merchant: &Merchant,
        command: &CreateRefund,
        found: Found,
        now: UnixMillis,
    ) -> Result<Plan, LaterRefusal> {
        let way = way_of(&found, Self::KIND)?;
        let Found {
            payment, captures, ..
        } = &found;
        let (PaymentState::PartiallyCaptured { .. } | PaymentState::Captured { .. }) =
            payment.state
        else {
            let why = Why::State(Self::KIND);
            return Err(LaterRefusal::of(payment, why));
        };
        let (refunded, operation) = chosen(command, captures, payment)?;
        no_repeat(&found, Self::KIND, numbers_of(operation, payment))?;
        let left_minor = left_of(refunded, payment);
        let too_much = Why::ExceedsRefundable { left_minor };
        let amount = amount_of(payment, command.amount, left_minor, too_much)?;
        let (event, pending_minor) = match way.travel {
            Travel::Once => (PaymentEvent::RefundStarted, amount.amount_minor()),
            Travel::Repeated | Travel::Recorded => (PaymentEvent::Refunded, 0),
        };
        let adjustment = Adjustment {
            event,
            change: Amounts {
                refunded_minor: amount.amount_minor(),
                refunded_pending_minor: pending_minor,
                ..Amounts::ZERO
            },
            at: now,
            custody: CustodyEnd::Unchanged,
        };
        Ok(Plan {
            original_id: Some(refunded.operation_id),
            resource: Some(NewResource::Refund {
                capture_id: refunded.id,
                merchant_reference: command.merchant_reference.clone(),
            }),
            ..Plan::later(found.payment, way, amount, adjustment)
        })
    }

    fn decide(&self, exchange: &Exchange, subject: &Subject<'_>) -> Decision {
        decide(exchange, subject)
    }
}

/// The capture that is refunded: the one that is named, or else the oldest with enough left. One that its bank has not
/// acknowledged is not refunded yet: the refund could overtake it.
fn chosen<'a>(
    command: &CreateRefund,
    captures: &'a [(Capture, Operation)],
    payment: &Payment,
) -> Result<&'a (Capture, Operation), LaterRefusal> {
    let refused = |why| LaterRefusal::of(payment, why);
    let named = |(capture, _): &&(Capture, Operation)| {
        command.capture_id.is_none_or(|named| named == capture.id)
    };
    let asked_minor = command.amount.map_or(1, |amount| amount.amount_minor());
    let enough = |capture: &Capture| left_of(capture, payment) >= asked_minor;
    let candidates: Vec<_> = captures.iter().filter(named).collect();
    if candidates.is_empty() {
        return Err(refused(Why::NoCapture));
    }
    let standing = |operation: &Operation| match &operation.state {
        state if state.counts() => Standing::Taken,
        OperationState::Created
        | OperationState::Queued
        | OperationState::Sent
        | OperationState::Suspended { .. }
        | OperationState::Unknown { .. } => Standing::OnItsWay,
        _ => Standing::Not,
    };
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
    if let Some(amount) = command.amount
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

/// What can be refunded of a capture, in minor units: no more than of the whole payment, which may be disputed.
fn left_of(capture: &Capture, payment: &Payment) -> i64 {
    let left_minor = capture.amount.amount_minor() - capture.refunded_minor;
    left_minor.min(payment.amounts.refundable_minor())
}

/// What the end of a refund that travels as a request means. One whose outcome is not known is never reversed, since
/// that would debit a customer: it waits.
fn decide(exchange: &Exchange, subject: &Subject<'_>) -> Decision {
    decided(exchange, subject, PaymentEvent::RefundStarted)
}

impl OwedFlow for Refund {
    /// It counts since it was recorded.
    fn begun(&self, _payment: &Payment) -> Option<PaymentEvent> {
        None
    }

    fn decide(&self, exchange: &Exchange, subject: &OwedSubject<'_>) -> OwedDecision {
        counts_unless_refused(exchange, subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hosts::message::definition::UnknownRule;
    use crate::operations::flow::Way;
    use crate::payment::decline::{
        Approval, Decline, DeclineAdvice, DeclineReason, FailureReason, ResponseCode, UnknownReason,
    };
    use crate::payment::ids::CaptureId;
    use crate::payment::operation::{self, ResolvedBy};
    use crate::payment::samples::{self, NOW};
    use crate::payment::state;

    fn approval() -> Approval {
        Approval {
            approval_code: "A1B2C3".into(),
            response_code: ResponseCode::APPROVED,
            partial_minor: None,
        }
    }

    fn eur(minor: i64) -> Money {
        Money::new(minor, "EUR".parse().unwrap()).unwrap()
    }

    fn payment() -> Payment {
        let mut payment = samples::payment_of(&samples::operation());
        payment.amounts.authorized_minor = 1250;
        payment.amounts.captured_minor = 1250;
        payment.state = PaymentState::Captured {
            approval: approval(),
            expires_at: Some(NOW),
        };
        payment
    }

    /// A capture, of which so much is refunded.
    fn capture(
        number: u8,
        minor: i64,
        refunded: i64,
        state: OperationState,
    ) -> (Capture, Operation) {
        let operation = Operation {
            state,
            ..samples::operation()
        };
        let capture = Capture {
            id: CaptureId::from_parts(NOW, [number; 10]),
            amount: eur(minor),
            refunded_minor: refunded,
            ..samples::capture_of(&operation)
        };
        (capture, operation)
    }

    /// The capture that is refunded, by its number, or why none is.
    #[test]
    fn the_oldest_capture_with_enough_left_is_refunded() {
        let taken = OperationState::Approved {
            approval: approval(),
            acknowledged: None,
        };
        let captures = || {
            // Honour with identification: an approval as well.
            let taken_late = OperationState::Resolved {
                by: ResolvedBy::LateResponse,
                response_code: "08".parse().ok(),
                took_effect: true,
            };
            vec![
                capture(1, 500, 500, taken.clone()),
                capture(2, 300, 100, OperationState::Recorded),
                capture(3, 400, 0, taken_late),
                capture(4, 700, 0, OperationState::Queued),
            ]
        };
        for (named, asked, disputed_minor, expected) in [
            (None, None, 0, "2: 200"),
            (None, Some(200), 0, "2: 200"),
            (None, Some(201), 0, "3: 201"),
            (None, Some(401), 0, "InProgress"),
            (None, Some(701), 0, "ExceedsRefundable { left_minor: 400 }"),
            (Some(3), Some(1), 0, "3: 1"),
            (Some(1), None, 0, "ExceedsRefundable { left_minor: 0 }"),
            (Some(4), None, 0, "InProgress"),
            (Some(9), None, 0, "NoCapture"),
            (None, None, 1200, "2: 50"),
            (None, Some(51), 1200, "ExceedsRefundable { left_minor: 50 }"),
        ] {
            let mut payment = payment();
            payment.amounts.disputed_minor = disputed_minor;
            let command = CreateRefund {
                payment_id: payment.id,
                amount: asked.map(eur),
                capture_id: named.map(|number| CaptureId::from_parts(NOW, [number; 10])),
                merchant_reference: None,
            };
            let found = Found {
                payment: Box::new(payment),
                way: Some(Way {
                    travel: Travel::Once,
                    mti: None,
                    only_one: false,
                }),
                captures: captures(),
                incremented_minor: 0,
                earlier: Vec::new(),
            };
            let got = match Refund.plan(&samples::merchant(), &command, found, NOW) {
                Err(refusal) => format!("{:?}", refusal.why),
                Ok(plan) => {
                    let amounts = plan.after_it().amounts;
                    assert_eq!(amounts.refunded_minor, plan.amount.amount_minor());
                    assert_eq!(amounts.refunded_pending_minor, amounts.refunded_minor);
                    let Some(NewResource::Refund { capture_id, .. }) = plan.resource else {
                        panic!("a refund is made");
                    };
                    let position = captures().iter().position(|(it, _)| it.id == capture_id);
                    format!("{}: {}", position.unwrap() + 1, amounts.refunded_minor)
                }
            };
            assert_eq!(got, expected, "{named:?} {asked:?}");
        }
    }

    #[test]
    fn each_end_of_a_request_leads_where_it_should() {
        let declined = Exchange::Declined {
            decline: Decline {
                reason: DeclineReason::NotPermitted,
                response_code: "57".parse().unwrap(),
                advice: DeclineAdvice::DoNotRetry,
            },
            kept: Vec::new(),
            bank_us: 900,
        };
        let approved = Exchange::Approved {
            approval: approval(),
            kept: Vec::new(),
            bank_us: 900,
        };
        let unsent = Exchange::NotSent(FailureReason::HostBusy);
        let lost = Exchange::Unknown(UnknownReason::NoAnswerInTime);
        let operation = Operation {
            kind: OperationKind::Refund,
            amount: eur(750),
            ..samples::operation()
        };
        let mut payment = payment();
        payment.amounts.refunded_minor = 750;
        payment.amounts.refunded_pending_minor = 750;
        for (exchange, operation_state, refunded) in [
            (approved, "APPROVED", (750, 0)),
            (declined, "DECLINED", (0, 0)),
            (unsent, "REJECTED", (0, 0)),
            (lost, "UNKNOWN", (750, 750)),
        ] {
            let subject = Subject {
                payment: &payment,
                operation: &operation,
                hold_days: 7,
                unknown: UnknownRule::Wait,
                now: NOW,
            };
            let decision = decide(&exchange, &subject);
            let amounts = payment.amounts.plus(&decision.change).unwrap();
            let after = state::apply(&payment.state, decision.payment.unwrap(), &amounts).unwrap();
            assert_eq!(after, payment.state);
            let got = (amounts.refunded_minor, amounts.refunded_pending_minor);
            assert_eq!(got, refunded, "{operation_state}");
            let ended = decision
                .operation
                .into_iter()
                .try_fold(operation.state.clone(), |state, event| {
                    operation::apply(&state, event)
                })
                .unwrap();
            assert_eq!(ended.name(), operation_state);
            assert_eq!(decision.owes, []);
        }
    }
}
