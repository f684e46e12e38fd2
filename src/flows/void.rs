//! A void: a hold is given back before anything is captured, or a whole sale before anything is refunded.

use crate::hosts::exchange::Exchange;
use crate::hosts::message::definition::Travel;
use crate::operations::acknowledgement::{FinalAnswer, final_answer, suspend, without_approval};
use crate::operations::flow::{
    Decision, Flow, Found, OwedDecision, OwedFlow, OwedSubject, Plan, Subject,
};
use crate::operations::later::{LaterRefusal, Why, no_repeat, numbers_of_authorization, way_of};
use crate::payment::adjustment::{Adjustment, given_back_by_void};
use crate::payment::amounts::Amounts;
use crate::payment::custody::CustodyEnd;
use crate::payment::decline::{Approval, UnknownReason};
use crate::payment::ids::{CaptureId, PaymentId, SubjectId};
use crate::payment::merchant::Merchant;
use crate::payment::moment::UnixMillis;
use crate::payment::money::Money;
use crate::payment::operation::{Acknowledged, OperationEvent, OperationKind, SuspendReason};
use crate::payment::reason::Reason;
use crate::payment::record::{Operation, Payment};
use crate::payment::state::{PaymentEvent, PaymentState};

/// A request to void.
#[derive(Debug)]
pub struct VoidPayment {
    /// The payment.
    pub payment_id: PaymentId,
}

/// The flow of voids.
pub struct Void;

impl Flow for Void {
    type Command = VoidPayment;
    type Basis = Found;
    type Refusal = LaterRefusal;

    const KIND: OperationKind = OperationKind::Void;
    const METHOD: &'static str = "VoidPayment";
    const READS_INCREMENTS: bool = true;

    fn payment_id(&self, command: &VoidPayment) -> Option<PaymentId> {
        Some(command.payment_id)
    }

    fn reads_captures(&self, _payment: &Payment) -> bool {
        true
    }

    fn plan(
        &self,
        _merchant: &Merchant,
        _command: &VoidPayment,
        found: Found,
        now: UnixMillis,
    ) -> Result<Plan, LaterRefusal> {
        let sale = voidable_sale(&found)?;
        let way = way_of(&found, Self::KIND)?;
        let payment = &found.payment;
        no_repeat(&found, Self::KIND, numbers_of_authorization(payment))?;
        let amounts = &payment.amounts;
        // The message undoes the authorization; what was added is undone beside it.
        let first_minor = amounts.authorized_minor - found.incremented_minor;
        let whole = Money::new(first_minor, payment.amount.currency());
        let whole = whole.map_err(|_| LaterRefusal::of(payment, Why::State(Self::KIND)))?;
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
            ..Plan::later(found.payment, way, whole, adjustment)
        })
    }

    fn decide(&self, exchange: &Exchange, subject: &Subject<'_>) -> Decision {
        decide(exchange, subject.operation)
    }
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
        // Its batch is open: this version closes none. From here on it is no item of the batch until the void is
        // refused.
        PaymentState::Captured { .. }
            if payment.authorization.kind == OperationKind::Sale
                && amounts.refunded_minor == 0
                && found.way.is_some() =>
        {
            let capture = found.captures.first().map(|(capture, _)| capture.id);
            capture.map_or_else(|| refused(Why::State(Void::KIND)), |id| Ok(Some(id)))
        }
        _ => refused(Why::State(Void::KIND)),
    }
}

/// What the end of a void that travels as a request means. One whose outcome is not known is never reversed: what it
/// gives back may be gone. A hold ends by itself; of a sale a late answer or an operator says what became of it.
fn decide(exchange: &Exchange, void: &Operation) -> Decision {
    let unknown = |reason: UnknownReason| {
        let events = vec![OperationEvent::OutcomeUnknown(reason)];
        (events, (PaymentEvent::VoidUnknown, Amounts::ZERO))
    };
    let refused = (PaymentEvent::VoidRefused, Amounts::ZERO);
    let (operation, (payment, change)) = match exchange {
        Exchange::Approved { approval, .. } => {
            let approved = OperationEvent::Approved(approval.clone());
            let confirmed = (PaymentEvent::VoidConfirmed, given_back_by_void(void));
            (vec![OperationEvent::Sent, approved], confirmed)
        }
        Exchange::Declined { decline, .. } => (
            vec![OperationEvent::Sent, OperationEvent::Declined(*decline)],
            refused,
        ),
        Exchange::NotSent(reason) => (vec![OperationEvent::NotSent(*reason)], refused),
        Exchange::Unknown(reason) | Exchange::Unclear { reason, .. } => unknown(*reason),
        // Answers to an advice.
        Exchange::Taken { .. } | Exchange::OriginalUnknown { .. } | Exchange::Again { .. } => {
            unknown(UnknownReason::AnswerNotUnderstood)
        }
    };
    Decision {
        operation,
        payment: Some(payment),
        change,
        owes: Vec::new(),
    }
}

impl OwedFlow for Void {
    /// The payment is being voided since the void was recorded.
    fn begun(&self, _payment: &Payment) -> Option<PaymentEvent> {
        None
    }

    fn decide(&self, exchange: &Exchange, subject: &OwedSubject<'_>) -> OwedDecision {
        match final_answer(exchange, subject) {
            Ok(FinalAnswer::Acknowledged(approval, acknowledged)) => {
                done(approval, acknowledged, subject.operation)
            }
            // What it approved it must find, a sale whatever came of it.
            Ok(FinalAnswer::OriginalUnknown(code))
                if subject.approved || subject.operation.subject_id.is_some() =>
            {
                suspend(SuspendReason::Contradicted, Some(code))
            }
            // There is nothing to give back.
            Ok(FinalAnswer::OriginalUnknown(code)) => {
                let unknown = Acknowledged::OriginalUnknown;
                done(without_approval(code), unknown, subject.operation)
            }
            Ok(FinalAnswer::Refused(decline)) => OwedDecision::Refused(decline),
            Err(decision) => *decision,
        }
    }
}

fn done(approval: Approval, acknowledged: Acknowledged, void: &Operation) -> OwedDecision {
    OwedDecision::Done {
        approval,
        acknowledged,
        original: None,
        payment: Some((PaymentEvent::VoidConfirmed, given_back_by_void(void))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hosts::message::definition::Repeats;
    use crate::operations::acknowledgement::answer_to_advice;
    use crate::operations::flow::Way;
    use crate::payment::decline::{
        Decline, DeclineAdvice, DeclineReason, FailureReason, ResponseCode,
    };
    use crate::payment::operation;
    use crate::payment::samples::{self, NOW};
    use crate::payment::state;

    fn approval() -> Approval {
        without_approval(ResponseCode::APPROVED)
    }

    /// What becomes of the payment, and what is left of what was captured.
    #[test]
    fn a_hold_is_voided_before_any_capture_and_a_whole_sale_before_any_refund() {
        let (approval, expires_at) = (approval(), NOW);
        let sold = PaymentState::Captured {
            approval: approval.clone(),
            expires_at: None,
        };
        let held = PaymentState::Authorized {
            approval: approval.clone(),
            expires_at,
        };
        let captured = PaymentState::PartiallyCaptured {
            approval,
            expires_at,
        };
        for (state, pending_minor, travel, expected) in [
            (held.clone(), 0, Travel::Once, "VOIDING"),
            (held.clone(), 0, Travel::Repeated, "VOIDING"),
            (held.clone(), 0, Travel::Recorded, "VOIDED"),
            (held, 500, Travel::Repeated, "InProgress"),
            (captured, 0, Travel::Repeated, "State(Void)"),
            (PaymentState::Voided, 0, Travel::Repeated, "State(Void)"),
        ] {
            let mut payment = samples::payment_of(&samples::operation());
            payment.state = state;
            payment.amounts = Amounts {
                authorized_minor: 1250,
                captured_minor: pending_minor,
                captured_pending_minor: pending_minor,
                ..Amounts::ZERO
            };
            assert_eq!(voided(payment, Some(travel)), expected);
        }
        for (refunded_minor, kind, travel, expected) in [
            (0, OperationKind::Sale, Some(Travel::Once), "VOIDING 1250"),
            (
                0,
                OperationKind::Sale,
                Some(Travel::Repeated),
                "VOIDING 1250",
            ),
            (0, OperationKind::Sale, Some(Travel::Recorded), "VOIDED 0"),
            (
                1,
                OperationKind::Sale,
                Some(Travel::Repeated),
                "State(Void)",
            ),
            (0, OperationKind::Sale, None, "State(Void)"),
            // All of it was captured, and then its hold ended.
            (
                0,
                OperationKind::Authorization,
                Some(Travel::Repeated),
                "State(Void)",
            ),
        ] {
            let mut payment = samples::payment_of(&samples::operation());
            payment.state = sold.clone();
            payment.authorization.kind = kind;
            payment.amounts = Amounts {
                authorized_minor: 1250,
                captured_minor: 1250,
                refunded_minor,
                ..Amounts::ZERO
            };
            assert_eq!(voided(payment, travel), expected);
        }
    }

    fn voided(payment: Payment, travel: Option<Travel>) -> String {
        let command = VoidPayment {
            payment_id: payment.id,
        };
        let operation = samples::operation();
        let capture = samples::capture_of(&operation);
        let found = Found {
            way: travel.map(|travel| Way {
                travel,
                mti: None,
                only_one: false,
            }),
            payment: Box::new(payment),
            captures: vec![(capture.clone(), operation)],
            incremented_minor: 0,
            earlier: Vec::new(),
        };
        let plan = match Void.plan(&samples::merchant(), &command, found, NOW) {
            Err(refusal) => return format!("{:?}", refusal.why),
            Ok(plan) => plan,
        };
        assert_eq!(plan.amount.amount_minor(), 1250);
        let after = plan.after_it();
        let name = after.state.name();
        match plan.subject_id {
            None => name.to_owned(),
            Some(subject) => {
                assert_eq!(subject, SubjectId::Capture(capture.id));
                format!("{name} {}", after.amounts.captured_minor)
            }
        }
    }

    #[test]
    fn each_end_of_a_request_leads_where_it_should() {
        let decline = Decline {
            reason: DeclineReason::NotPermitted,
            response_code: "57".parse().unwrap(),
            advice: DeclineAdvice::DoNotRetry,
        };
        let approved = Exchange::Approved {
            approval: approval(),
            kept: Vec::new(),
            bank_us: 900,
        };
        let declined = Exchange::Declined {
            decline,
            kept: Vec::new(),
            bank_us: 900,
        };
        let unknown = Exchange::Unknown(UnknownReason::NoAnswerInTime);
        let unsent = Exchange::NotSent(FailureReason::HostBusy);
        let voiding = |expires_at| PaymentState::Voiding {
            approval: approval(),
            expires_at,
        };
        let void = Operation {
            kind: OperationKind::Void,
            ..samples::operation()
        };
        let of_sale = Operation {
            subject_id: Some(SubjectId::Capture(CaptureId::from_parts(NOW, [1; 10]))),
            ..void.clone()
        };
        let sold = Amounts {
            authorized_minor: 1250,
            captured_minor: 1250,
            ..Amounts::ZERO
        };
        for (exchange, operation_state, payment_state, sale_state, captured_minor) in [
            (approved, "APPROVED", "VOIDED", "VOIDED", 0),
            (declined, "DECLINED", "AUTHORIZED", "CAPTURED", 1250),
            (unsent, "REJECTED", "AUTHORIZED", "CAPTURED", 1250),
            (unknown, "UNKNOWN", "VOIDING", "VOIDING", 1250),
        ] {
            let decision = decide(&exchange, &of_sale);
            let left = sold.plus(&decision.change).unwrap();
            assert_eq!(left.captured_minor, captured_minor);
            let after = state::apply(&voiding(None), decision.payment.unwrap(), &left).unwrap();
            assert_eq!(after.name(), sale_state);
            let decision = decide(&exchange, &void);
            assert_eq!(decision.change, Amounts::ZERO);
            let after = state::apply(
                &voiding(Some(NOW)),
                decision.payment.unwrap(),
                &Amounts::ZERO,
            );
            assert_eq!(after.unwrap().name(), payment_state);
            let ended = decision
                .operation
                .into_iter()
                .try_fold(samples::operation().state, |state, event| {
                    operation::apply(&state, event)
                })
                .unwrap();
            assert_eq!(ended.name(), operation_state);
            assert_eq!(decision.owes, []);
        }
    }

    /// A bank that approved a hold, and does not know it, contradicts itself: an operator has to look.
    #[test]
    fn a_hold_that_the_bank_does_not_know_is_voided_only_where_it_approved_none() {
        let repeats = Repeats::sample();
        let mut operation = samples::operation();
        operation.attempts.last_at = Some(operation.deadline.plus(repeats.original_gone));
        let payment = samples::payment_of(&operation);
        for (code, approved, expected) in [
            ("00", true, "Done"),
            ("25", false, "OriginalUnknown"),
            ("25", true, "Contradicted"),
            ("68", true, "InDoubt"),
            ("57", true, "refused"),
        ] {
            let subject = OwedSubject {
                operation: &operation,
                original: &operation,
                payment: &payment,
                repeats: &repeats,
                approved,
            };
            let shown = match OwedFlow::decide(&Void, &answer_to_advice(code), &subject) {
                OwedDecision::Done { acknowledged, .. } => format!("{acknowledged:?}"),
                OwedDecision::Suspend { reason, .. } => format!("{reason:?}"),
                OwedDecision::Refused(_) => "refused".into(),
                other => format!("{other:?}"),
            };
            assert_eq!(shown, expected, "{code}");
        }
    }
}
