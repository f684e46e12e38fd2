//! Records that no other test has.

use crate::payment::decline::{
    Approval, Decline, DeclineAdvice, DeclineReason, ResponseCode, UnknownReason,
};
use crate::payment::ids::{NodeId, OperationId, PaymentId};
use crate::payment::merchant::Merchant;
use crate::payment::moment::{BusinessDate, UnixMillis};
use crate::payment::money::Money;
use crate::payment::operation::{OperationKind, OperationState};
use crate::payment::record::{CardBrand, CardSummary, Operation, Payment};
use crate::payment::reference::{RRN_COUNT, SequenceNumber};
use crate::payment::state::PaymentState;
use crate::store::records::{
    AuthorizationIntent, AuthorizationOutcome, EnvelopeUse, IdempotencyKey, ReversalOwed,
};
use crate::store::testing::unique;

/// 2025-11-21T20:30:00Z.
pub(super) const NOW: UnixMillis = UnixMillis::new(1_763_757_000_000);
pub(super) const METHOD: &str = "AuthorizePayment";

/// Ten bytes that differ each time.
pub(super) fn random() -> [u8; 10] {
    let mut bytes = [0; 10];
    bytes[2..].copy_from_slice(&unique().to_be_bytes());
    bytes
}

pub(super) fn merchant(id: &str) -> Merchant {
    Merchant {
        id: id.parse().unwrap(),
        name: "Bücher & Töne".into(),
        city: "Köln".into(),
        country: "DE".into(),
        country_numeric: 276,
        mcc: "5942".into(),
        terminal_id: "T0000001".into(),
        acceptor_id: "M00000000000001".into(),
        acquirer: "acquirer".parse().unwrap(),
        active: true,
    }
}

/// A new payment of 12.50 EUR with its operation, request and sealed card, made at `now`.
pub(super) fn intent_at(merchant: &str, now: UnixMillis) -> AuthorizationIntent {
    let number = SequenceNumber::new(unique() % RRN_COUNT).unwrap();
    let date = BusinessDate::of(now);
    let payment = Payment {
        id: PaymentId::from_parts(now, random()),
        merchant_id: merchant.parse().unwrap(),
        merchant_reference: format!("order-{}", unique()),
        customer_reference: None,
        description: Some("Drei Bücher, \"neu\"".into()),
        terminal_id: "T0000001".into(),
        amount: Money::new(1250, "EUR".parse().unwrap()).unwrap(),
        authorized_minor: 0,
        captured_minor: 0,
        refunded_minor: 0,
        disputed_minor: 0,
        state: PaymentState::Authorizing { pending: None },
        card: CardSummary {
            brand: CardBrand::Visa,
            bin: "411111".into(),
            last_four: "1111".into(),
        },
        host_id: "acquirer".parse().unwrap(),
        stan: number.stan(),
        rrn: number.rrn(date),
        business_date: date,
        created_at: now,
        updated_at: now,
        version: 1,
    };
    let operation = Operation {
        id: OperationId::from_parts(now, random()),
        payment_id: payment.id,
        kind: OperationKind::Authorization,
        state: OperationState::Created,
        host_id: payment.host_id,
        amount: payment.amount,
        stan: payment.stan,
        rrn: payment.rrn,
        transmitted_at: now,
        business_date: date,
        deadline: now.plus_ms(4_000),
        node_id: NodeId::from_parts(now, [1; 10]),
        bank_us: None,
        created_at: now,
        updated_at: now,
        version: 1,
    };
    AuthorizationIntent {
        idempotency: IdempotencyKey {
            merchant_id: payment.merchant_id,
            method: METHOD,
            request_id: format!("request-{}", unique()),
            body_hash: [7; 32],
        },
        envelope: Some(EnvelopeUse {
            jti: format!("jti-{}", unique()),
            expires_at: now.plus_ms(300_000),
        }),
        payment: Box::new(payment),
        operation: Box::new(operation),
    }
}

pub(super) fn intent(merchant: &str) -> AuthorizationIntent {
    intent_at(merchant, NOW)
}

/// The next versions of an intent's records, not yet in another state.
fn changed(intent: &AuthorizationIntent) -> (Box<Payment>, Box<Operation>) {
    let at = intent.payment.created_at.plus_ms(120);
    let mut payment = intent.payment.clone();
    payment.version += 1;
    payment.updated_at = at;
    let mut operation = intent.operation.clone();
    operation.version += 1;
    operation.updated_at = at;
    operation.bank_us = Some(118_250);
    (payment, operation)
}

pub(super) fn approval() -> Approval {
    Approval {
        approval_code: "A1B2C3".into(),
        response_code: ResponseCode::APPROVED,
    }
}

pub(super) fn approved(intent: &AuthorizationIntent) -> AuthorizationOutcome {
    let (mut payment, mut operation) = changed(intent);
    payment.authorized_minor = payment.amount.amount_minor();
    payment.state = PaymentState::Authorized {
        approval: approval(),
        expires_at: payment.updated_at.plus_ms(7 * 86_400_000),
    };
    operation.state = OperationState::Approved {
        approval: approval(),
    };
    AuthorizationOutcome {
        payment,
        operation,
        reversal: None,
    }
}

pub(super) fn declined(intent: &AuthorizationIntent) -> AuthorizationOutcome {
    let (mut payment, mut operation) = changed(intent);
    let decline = Decline {
        reason: DeclineReason::InsufficientFunds,
        response_code: "51".parse().unwrap(),
        advice: DeclineAdvice::UseAnotherCard,
    };
    payment.state = PaymentState::Declined { decline };
    operation.state = OperationState::Declined { decline };
    AuthorizationOutcome {
        payment,
        operation,
        reversal: None,
    }
}

pub(super) fn unknown(intent: &AuthorizationIntent) -> AuthorizationOutcome {
    let (mut payment, mut operation) = changed(intent);
    let reason = UnknownReason::NoAnswerInTime;
    payment.state = PaymentState::Authorizing {
        pending: Some(reason),
    };
    operation.state = OperationState::ReversalQueued { reason };
    operation.bank_us = None;
    AuthorizationOutcome {
        reversal: Some(ReversalOwed {
            operation_id: operation.id,
            reason,
            due_at: operation.updated_at,
        }),
        payment,
        operation,
    }
}
