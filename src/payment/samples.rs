//! The records that tests begin with, written out once. A test changes what it is about.

use super::amounts::Amounts;
use super::capture::Capture;
use super::decline::{Approval, ResponseCode};
use super::ids::{CaptureId, NodeId, OperationId, PaymentId};
use super::merchant::Merchant;
use super::moment::{NumberDate, UnixMillis};
use super::money::Money;
use super::operation::OperationState;
use super::operation_kind::OperationKind;
use super::record::{Attempts, CardBrand, CardSummary, Operation, Payment};
use super::reference::SequenceNumber;
use super::state::PaymentState;

/// When samples were made: 2026-11-18.
pub(crate) const NOW: UnixMillis = UnixMillis::new(1_795_000_000_000);

/// The merchant demo-shop, whose acquirer is the host `acquirer`.
pub(crate) fn merchant() -> Merchant {
    Merchant {
        id: "demo-shop".parse().unwrap(),
        name: "Demo Shop".into(),
        city: "Berlin".into(),
        country: "DE".into(),
        country_numeric: 276,
        mcc: "5732".into(),
        terminal_id: "WEB00001".into(),
        acceptor_id: "DEMOSHOP0000001".into(),
        acquirer: "acquirer".parse().unwrap(),
        time_zone: "UTC".into(),
        active: true,
    }
}

/// An authorization of 12.50 EUR of which nothing was sent yet, the 42nd message of its date.
pub(crate) fn operation() -> Operation {
    let number_date = NumberDate::of(NOW);
    let number = SequenceNumber::new(41).unwrap();
    Operation {
        id: OperationId::from_parts(NOW, [2; 10]),
        payment_id: PaymentId::from_parts(NOW, [1; 10]),
        kind: OperationKind::Authorization,
        state: OperationState::Created,
        original_id: None,
        reason: None,
        subject_id: None,
        host_id: "acquirer".parse().unwrap(),
        amount: eur(1250),
        accepts_partial: false,
        releases_minor: 0,
        mti: "0100".parse().unwrap(),
        stan: number.stan(),
        rrn: number.rrn(number_date),
        transmitted_at: NOW,
        number_date,
        terminal_id: "WEB00001".into(),
        deadline: NOW.plus_ms(4300),
        node_id: NodeId::from_parts(NOW, [3; 10]),
        bank_us: None,
        attempts: Attempts::default(),
        sent: Vec::new(),
        kept: Vec::new(),
        created_at: NOW,
        updated_at: NOW,
        version: 1,
    }
}

/// The payment of demo-shop that `operation` authorizes, as it is recorded first.
pub(crate) fn payment_of(operation: &Operation) -> Payment {
    Payment {
        id: operation.payment_id,
        merchant_id: "demo-shop".parse().unwrap(),
        merchant_reference: "order-1".into(),
        customer_reference: None,
        description: None,
        amount: operation.amount,
        amounts: Amounts::ZERO,
        state: PaymentState::Authorizing { pending: None },
        card: CardSummary {
            brand: CardBrand::Visa,
            bin: "411111".into(),
            last_four: "1111".into(),
        },
        fingerprint: None,
        authorization: operation.as_authorization(),
        created_at: operation.created_at,
        updated_at: operation.created_at,
        version: 1,
    }
}

/// An approval of all that was asked for.
pub(crate) fn approval() -> Approval {
    Approval {
        approval_code: "A1B2C3".into(),
        response_code: ResponseCode::APPROVED,
        partial_minor: None,
    }
}

/// So much in EUR.
pub(crate) fn eur(minor: i64) -> Money {
    Money::new(minor, "EUR".parse().unwrap()).unwrap()
}

/// The capture that an operation carries out.
pub(crate) fn capture_of(operation: &Operation) -> Capture {
    Capture {
        id: CaptureId::from_parts(operation.created_at, [1; 10]),
        payment_id: operation.payment_id,
        operation_id: operation.id,
        amount: operation.amount,
        refunded_minor: 0,
        is_final: false,
        is_voided: false,
        merchant_reference: None,
        created_at: operation.created_at,
    }
}
