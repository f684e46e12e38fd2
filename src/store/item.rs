//! What waits for the writer: records turned into values to bind, by their callers, so that the
//! writer, which everybody waits for, has the least to do.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::draft::Draft;
use super::error::StoreError;
use super::records::{AuthorizationIntent, AuthorizationOutcome, ReversalOwed};
use super::rows::{payment_detail, told, variant_name};
use super::sql::{Value, hex};
use crate::payment::ids::HostId;
use crate::payment::moment::BusinessDate;
use crate::payment::money::Money;
use crate::payment::operation::{OperationKind, OperationState};
use crate::payment::record::{Operation, Payment};
use crate::payment::reference::Rrn;
use crate::payment::state::PaymentState;

/// An intent as values.
#[derive(Debug)]
pub(super) struct IntentRows {
    /// Merchant, method, request id: the order in which rows are locked.
    pub(super) key: (Arc<str>, Arc<str>, Arc<str>),
    pub(super) operation_id: Arc<str>,
    pub(super) idempotency: Vec<Value>,
    pub(super) envelope: Option<Vec<Value>>,
    pub(super) payment: Vec<Value>,
    pub(super) operation: Vec<Value>,
}

/// An outcome as values.
#[derive(Debug)]
pub(super) struct OutcomeRows {
    pub(super) payment_id: Arc<str>,
    pub(super) operation_id: Arc<str>,
    pub(super) payment: Vec<Value>,
    pub(super) operation: Vec<Value>,
    pub(super) reversal: Option<Vec<Value>>,
}

/// One statement of some other work.
#[derive(Debug, Clone)]
pub(super) struct Statement {
    pub(super) text: &'static str,
    pub(super) values: Vec<Value>,
    /// Whether it gives rows.
    pub(super) returning: bool,
}

/// Statements that belong together, in the transaction of the batch they come in.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) statements: Vec<Statement>,
    /// Whether running it twice is the same as running it once.
    pub(super) repeatable: bool,
}

/// What a statement did.
pub(super) struct Done {
    pub(super) rows_affected: u64,
    pub(super) rows: Vec<sqlx::any::AnyRow>,
}

/// What became of an intent in the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IntentFate {
    Recorded,
    KeyTaken,
    EnvelopeReplayed,
}

/// What became of an outcome in the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OutcomeFate {
    Recorded,
    Superseded,
}

pub(super) type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// One entry of the writer's queue.
pub(super) enum Item {
    Intent(Box<IntentRows>, Answer<IntentFate>),
    Outcome(Box<OutcomeRows>, Answer<OutcomeFate>),
    Work(Work, Answer<Vec<Done>>),
    /// Everything that came before it is taken out is written; then the writer ends.
    Close(oneshot::Sender<()>),
}

impl Item {
    /// Whether it is the intent of a payment with a sealed card, or of one without.
    pub(super) fn is_intent(&self, with_sealed_card: bool) -> bool {
        matches!(self, Self::Intent(rows, _) if rows.envelope.is_some() == with_sealed_card)
    }

    /// Answers with an error; who has gone away misses nothing.
    pub(super) fn refuse(self, error: StoreError) {
        match self {
            Self::Intent(_, answer) => drop(answer.send(Err(error))),
            Self::Outcome(_, answer) => drop(answer.send(Err(error))),
            Self::Work(_, answer) => drop(answer.send(Err(error))),
            Self::Close(closed) => drop(closed.send(())),
        }
    }
}

/// An intent's values.
///
/// # Errors
/// When the two records do not belong together, or are not new.
pub(super) fn intent_rows(intent: &AuthorizationIntent) -> Result<IntentRows, StoreError> {
    let AuthorizationIntent {
        payment,
        operation,
        idempotency,
        envelope,
    } = intent;
    let untouched = payment.authorized_minor == 0
        && payment.captured_minor == 0
        && payment.refunded_minor == 0
        && payment.disputed_minor == 0
        && operation.bank_us.is_none()
        && payment.state == PaymentState::Authorizing { pending: None }
        && operation.state == OperationState::Created
        && operation.kind == OperationKind::Authorization;
    if !untouched
        || payment.version != 1
        || operation.version != 1
        || operation.payment_id != payment.id
        || idempotency.merchant_id != payment.merchant_id
        || (&operation.host_id, operation.rrn, operation.business_date)
            != (&payment.host_id, payment.rrn, payment.business_date)
        || operation.amount.currency() != payment.amount.currency()
    {
        return Err(StoreError::Invalid {
            expected: "a new payment (AUTHORIZING) and its new operation (AUTHORIZATION, CREATED), of the \
                merchant that asks, with the same host, RRN, bank day and currency",
            got: shown(payment, operation),
        });
    }
    // What stands in several rows is one text.
    let mut draft = Draft::new();
    let merchant_id = draft.text(payment.merchant_id);
    let payment_id = draft.text(payment.id);
    let operation_id = draft.text(operation.id);
    let method: Arc<str> = idempotency.method.into();
    let request_id: Arc<str> = idempotency.request_id.as_str().into();
    let host_id = draft.text(payment.host_id);
    let currency: Arc<str> = payment.amount.currency().code().into();
    let rrn: Arc<str> = payment.rrn.as_str().into();
    let business_date = draft.text(payment.business_date);
    Ok(IntentRows {
        idempotency: vec![
            (&merchant_id).into(),
            (&method).into(),
            (&request_id).into(),
            (&operation_id).into(),
            hex(&idempotency.body_hash).into(),
        ],
        envelope: envelope.as_ref().map(|envelope| {
            vec![
                (&merchant_id).into(),
                envelope.jti.as_str().into(),
                (&operation_id).into(),
                envelope.expires_at.as_i64().into(),
            ]
        }),
        payment: vec![
            (&payment_id).into(),
            (&merchant_id).into(),
            payment.merchant_reference.as_str().into(),
            payment.customer_reference.clone().into(),
            payment.amount.amount_minor().into(),
            (&currency).into(),
            (&host_id).into(),
            i64::from(payment.stan.get()).into(),
            (&rrn).into(),
            (&business_date).into(),
            payment.created_at.as_i64().into(),
            payment.updated_at.as_i64().into(),
            draft.json(&payment_detail(payment))?.into(),
        ],
        operation: vec![
            (&operation_id).into(),
            payment_id.into(),
            host_id.into(),
            operation.amount.amount_minor().into(),
            currency.into(),
            i64::from(operation.stan.get()).into(),
            rrn.into(),
            business_date.into(),
            operation.transmitted_at.as_i64().into(),
            operation.deadline.as_i64().into(),
            draft.text(operation.node_id).into(),
            operation.created_at.as_i64().into(),
            operation.updated_at.as_i64().into(),
        ],
        key: (merchant_id, method, request_id),
        operation_id,
    })
}

/// A payment and an operation as they stand in a refusal: all that they must agree on.
fn shown(payment: &Payment, operation: &Operation) -> String {
    let shared = |host_id: &HostId, rrn: Rrn, business_date: BusinessDate, amount: Money| {
        let (rrn, currency) = (rrn.as_str(), amount.currency().code());
        format!("{host_id}, RRN {rrn}, {business_date}, {currency}")
    };
    format!(
        "payment {} {} version {} ({}), operation {} {} {} version {} of payment {} ({})",
        payment.id,
        payment.state.name(),
        payment.version,
        shared(
            &payment.host_id,
            payment.rrn,
            payment.business_date,
            payment.amount
        ),
        operation.id,
        operation.kind.name(),
        operation.state.name(),
        operation.version,
        operation.payment_id,
        shared(
            &operation.host_id,
            operation.rrn,
            operation.business_date,
            operation.amount
        ),
    )
}

/// An outcome's values.
///
/// # Errors
/// When the records do not belong together, or have no earlier version.
pub(super) fn outcome_rows(outcome: &AuthorizationOutcome) -> Result<OutcomeRows, StoreError> {
    let AuthorizationOutcome {
        payment,
        operation,
        reversal,
    } = outcome;
    let of_another = reversal
        .as_ref()
        .is_some_and(|reversal| reversal.operation_id != operation.id);
    if operation.payment_id != payment.id
        || payment.version < 2
        || operation.version < 2
        || of_another
    {
        return Err(StoreError::Invalid {
            expected: "a changed payment, its changed operation and that operation's reversal",
            got: shown(payment, operation),
        });
    }
    let mut draft = Draft::new();
    let payment_id = draft.text(payment.id);
    let operation_id = draft.text(operation.id);
    Ok(OutcomeRows {
        payment: vec![
            (&payment_id).into(),
            payment.version.into(),
            payment.authorized_minor.into(),
            payment.captured_minor.into(),
            payment.refunded_minor.into(),
            payment.disputed_minor.into(),
            payment.state.name().into(),
            payment.updated_at.as_i64().into(),
            draft.json(&payment.state)?.into(),
        ],
        operation: vec![
            (&operation_id).into(),
            operation.version.into(),
            operation.state.name().into(),
            operation.bank_us.into(),
            operation.updated_at.as_i64().into(),
            draft.json(&operation.state)?.into(),
            draft.json(&told(payment))?.into(),
        ],
        reversal: reversal.as_ref().map(reversal_row).transpose()?,
        payment_id,
        operation_id,
    })
}

/// A row of `reversals`.
pub(super) fn reversal_row(reversal: &ReversalOwed) -> Result<Vec<Value>, StoreError> {
    Ok(vec![
        reversal.operation_id.to_string().into(),
        variant_name(&reversal.reason)?.into(),
        reversal.due_at.as_i64().into(),
    ])
}
