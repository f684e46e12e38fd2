//! What is given back, by what the payment holds and has captured.

use super::*;
use crate::operations::basis::{Way, Ways};
use crate::payment::operation::ResolvedBy;
use crate::payment::samples::{self, NOW, approval, eur};

/// A host that takes everything, in the same way.
fn ways(travel: Travel) -> Ways {
    let way = Way::of(travel);
    use OperationKind::{Refund, Release, Void};
    Ways([Refund, Release, Void].map(|kind| (kind, way)).to_vec())
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
fn capture(number: u8, minor: i64, refunded: i64, state: OperationState) -> (Capture, Operation) {
    let operation = Operation {
        state,
        ..samples::operation()
    };
    let capture = Capture {
        id: CaptureId::from_parts(NOW, [number; 10]),
        payment_id: operation.payment_id,
        operation_id: operation.id,
        amount: eur(minor),
        refunded_minor: refunded,
        is_final: false,
        is_voided: false,
        merchant_reference: None,
        created_at: NOW,
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
            decline: None,
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
            ways: ways(Travel::Once),
            captures: captures(),
            earlier: Vec::new(),
            in_clearing: false,
        };
        let got = match refund_of(found, &command, NOW) {
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
    let operation = samples::operation();
    let capture = Capture {
        id: CaptureId::from_parts(NOW, [1; 10]),
        payment_id: payment.id,
        operation_id: operation.id,
        amount: operation.amount,
        refunded_minor: 0,
        is_final: true,
        is_voided: false,
        merchant_reference: None,
        created_at: NOW,
    };
    let found = Found {
        ways: travel.map(ways).unwrap_or_default(),
        payment: Box::new(payment),
        captures: vec![(capture.clone(), operation)],
        earlier: Vec::new(),
        in_clearing: false,
    };
    let plan = match void_of(found, NOW) {
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

/// By what is captured, refunded and pending: what is planned and owed, in which state the payment is then, or why
/// nothing is.
#[test]
fn everything_is_given_back_that_can_be() {
    let held = || PaymentState::Authorized {
        approval: approval(),
        expires_at: NOW.plus_ms(1),
    };
    let parts = |after_ms| PaymentState::PartiallyCaptured {
        approval: approval(),
        expires_at: NOW.plus_ms(after_ms),
    };
    let taken = || OperationState::Recorded;
    let one = |refunded| vec![capture(1, 500, refunded, taken())];
    let two = || vec![capture(1, 300, 0, taken()), capture(2, 200, 0, taken())];
    let queued = vec![capture(1, 500, 0, OperationState::Queued)];
    for (state, captures, (captured, pending, refunded), expected) in [
        (held(), vec![], (0, 0, 0), "Void 1250 [] VOIDING"),
        (held(), vec![], (500, 500, 0), "InProgress"),
        (parts(1), one(0), (500, 0, 0), "Refund 500 [750] CAPTURED"),
        (
            parts(1),
            one(100),
            (500, 0, 100),
            "Refund 400 [750] CAPTURED",
        ),
        (parts(1), one(500), (500, 0, 500), "Release 750 [] CAPTURED"),
        (
            parts(0),
            one(0),
            (500, 0, 0),
            "Refund 500 [] PARTIALLY_CAPTURED",
        ),
        (parts(0), one(500), (500, 0, 500), "State(Reversal)"),
        (parts(1), one(0), (800, 300, 0), "InProgress"),
        (parts(1), queued, (500, 0, 0), "InProgress"),
        (parts(1), two(), (500, 0, 0), "SeveralCaptures"),
        (PaymentState::Voided, vec![], (0, 0, 0), "State(Reversal)"),
    ] {
        let mut payment = payment();
        payment.state = state;
        payment.amounts.captured_minor = captured;
        payment.amounts.captured_pending_minor = pending;
        payment.amounts.refunded_minor = refunded;
        let found = |ways| Found {
            payment: Box::new(payment.clone()),
            ways,
            captures: captures.clone(),
            earlier: Vec::new(),
            in_clearing: false,
        };
        let got = match all_of(found(ways(Travel::Repeated)), NOW) {
            Err(refusal) => format!("{:?}", refusal.why),
            Ok(plan) => {
                let after = plan.after_it();
                let owed: Vec<i64> = plan
                    .owes
                    .iter()
                    .map(|owes| owes.amount.amount_minor())
                    .collect();
                let (kind, amount) = (plan.kind, plan.amount.amount_minor());
                format!("{kind:?} {amount} {owed:?} {}", after.state.name())
            }
        };
        assert_eq!(got, expected);
        let refused = all_of(found(Ways::default()), NOW).unwrap_err();
        assert!(!refused.to_string().is_empty());
    }
}
