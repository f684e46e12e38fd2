//! Records that no other test has.

use crate::payment::adjustment::Adjustment;
use crate::payment::amounts::Amounts;
use crate::payment::custody::CustodyEnd;
use crate::payment::decline::{Decline, DeclineAdvice, DeclineReason, UnknownReason};
use crate::payment::event::PaymentEvent;
use crate::payment::ids::{OperationId, PaymentId};
use crate::payment::merchant::Merchant;
use crate::payment::moment::{NumberDate, UnixMillis};
use crate::payment::operation::OperationState;
use crate::payment::operation_kind::OperationKind;
use crate::payment::reason::Reason;
use crate::payment::record::{Attempts, Element, Operation, Payment};
use crate::payment::reference::{RRN_COUNT, SequenceNumber};
use crate::payment::samples::{self, approval};
use crate::store::Store;
use crate::store::change::{
    Change, EnvelopeUse, OperationStep, PaymentChange, RequestClaim, Verdict,
};
use crate::store::error::StoreError;
use crate::store::reads::owed::OwedFilter;
use crate::store::testing::unique;

/// 2025-11-21T20:30:00Z.
pub(super) const NOW: UnixMillis = UnixMillis::new(1_763_757_000_000);
pub(super) const METHOD: &str = "AuthorizePayment";
pub(super) const COMMITTED: Verdict = Verdict::Committed { payment: None };

/// A payment that begins, with its operation, request and sealed card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Intent {
    pub(super) payment: Payment,
    pub(super) operation: Operation,
    pub(super) claim: RequestClaim,
    pub(super) envelope: Option<EnvelopeUse>,
}

/// The end of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    /// The payment after it, if nothing else has changed it.
    pub(super) payment: Payment,
    pub(super) adjustment: Adjustment,
    pub(super) operation: Operation,
    pub(super) reversal: Option<Operation>,
}

impl Store {
    pub(super) async fn record_intent(&self, intent: &Intent) -> Result<Verdict, StoreError> {
        self.commit(&Change {
            claim: Some(&intent.claim),
            envelope: intent.envelope.as_ref(),
            payment: Some(PaymentChange::New {
                payment: &intent.payment,
                card: None,
            }),
            new_operation: Some(&intent.operation),
            ..Change::default()
        })
        .await
    }

    pub(super) async fn record_outcome(&self, outcome: &Outcome) -> Result<Verdict, StoreError> {
        self.commit(&Change {
            payment: Some(PaymentChange::Adjusted {
                expected: &outcome.payment,
                adjustment: &outcome.adjustment,
            }),
            step: Some(OperationStep {
                operation: &outcome.operation,
                answers: true,
            }),
            owes: outcome.reversal.as_slice(),
            ..Change::default()
        })
        .await
    }
}

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
        time_zone: "Europe/Berlin".into(),
        ..samples::merchant()
    }
}

/// An operation with numbers of its own, made at `now`.
pub(super) fn operation_at(now: UnixMillis) -> Operation {
    let number = SequenceNumber::new(unique() % RRN_COUNT).unwrap();
    let number_date = NumberDate::of(now);
    Operation {
        id: OperationId::from_parts(now, random()),
        payment_id: PaymentId::from_parts(now, random()),
        stan: number.stan(),
        rrn: number.rrn(number_date),
        transmitted_at: now,
        number_date,
        deadline: now.plus_ms(4_000),
        sent: vec![Element {
            name: "12".into(),
            value: "213000".into(),
        }],
        created_at: now,
        updated_at: now,
        ..samples::operation()
    }
}

/// A new payment of 12.50 EUR with its operation, request and sealed card, made at `now`.
pub(super) fn intent_at(merchant: &str, now: UnixMillis) -> Intent {
    let operation = operation_at(now);
    Intent {
        payment: Payment {
            merchant_id: merchant.parse().unwrap(),
            merchant_reference: format!("order-{}", unique()),
            description: Some("Drei Bücher, \"neu\"".into()),
            ..samples::payment_of(&operation)
        },
        claim: claim(merchant),
        envelope: Some(EnvelopeUse {
            jti: format!("jti-{}", unique()),
            expires_at: now.plus_ms(300_000),
        }),
        operation,
    }
}

/// A request of `merchant` that nobody has made before.
pub(super) fn claim(merchant: &str) -> RequestClaim {
    RequestClaim {
        merchant_id: merchant.parse().unwrap(),
        method: METHOD,
        request_id: format!("request-{}", unique()),
        body_hash: [7; 32],
    }
}

pub(super) fn intent(merchant: &str) -> Intent {
    intent_at(merchant, NOW)
}

fn outcome(
    intent: &Intent,
    state: OperationState,
    event: PaymentEvent,
    authorized_minor: i64,
) -> Outcome {
    let at = intent.payment.created_at.plus_ms(120);
    let adjustment = Adjustment {
        event,
        change: Amounts {
            authorized_minor,
            ..Amounts::ZERO
        },
        at,
        custody: CustodyEnd::Unchanged,
    };
    Outcome {
        payment: *adjustment.apply(Box::new(intent.payment.clone())).unwrap(),
        adjustment,
        operation: Operation {
            state,
            bank_us: Some(118_250),
            kept: vec![Element {
                name: "63.02".into(),
                value: "\"x\"".into(),
            }],
            updated_at: at,
            version: 2,
            ..intent.operation.clone()
        },
        reversal: None,
    }
}

pub(super) fn approved(intent: &Intent) -> Outcome {
    let event = PaymentEvent::Approved {
        approval: approval(),
        expires_at: intent.payment.created_at.plus_ms(7 * 86_400_000),
    };
    let state = OperationState::Approved {
        approval: approval(),
        acknowledged: None,
    };
    outcome(intent, state, event, intent.payment.amount.amount_minor())
}

pub(super) fn declined(intent: &Intent) -> Outcome {
    let decline = Decline {
        reason: DeclineReason::InsufficientFunds,
        response_code: "51".parse().unwrap(),
        advice: DeclineAdvice::UseAnotherCard,
    };
    let state = OperationState::Declined { decline };
    outcome(intent, state, PaymentEvent::Declined(decline), 0)
}

pub(super) fn unknown(intent: &Intent) -> Outcome {
    let reason = UnknownReason::NoAnswerInTime;
    let state = OperationState::Unknown { reason };
    let mut unknown = outcome(intent, state, PaymentEvent::OutcomeUnknown(reason), 0);
    unknown.operation.bank_us = None;
    unknown.reversal = Some(reversal_of(&unknown.operation));
    unknown
}

/// The reversal of an operation, due at once.
pub(super) fn reversal_of(original: &Operation) -> Operation {
    let at = original.updated_at;
    Operation {
        kind: OperationKind::Reversal,
        state: OperationState::Queued,
        original_id: Some(original.id),
        reason: Some(Reason::TimeOut),
        payment_id: original.payment_id,
        mti: "0420".parse().unwrap(),
        attempts: Attempts {
            next_at: Some(at),
            ..Attempts::default()
        },
        ..operation_at(at)
    }
}

impl Store {
    /// What is owed, oldest first.
    pub(super) async fn owed(&self) -> Vec<Operation> {
        let all = self.list_owed(&OwedFilter::default(), 1000, None).await;
        all.unwrap()
    }
}
