//! Intents and outcomes of authorizations.

use std::sync::Arc;

use super::Store;
use super::error::StoreError;
use super::hex::hex;
use super::records::{AuthorizationIntent, AuthorizationOutcome, IntentOutcome, OutcomeRecorded};
use super::tables::idempotency::answer;
use super::tables::payments::payment_detail;
use super::tables::reversals::reversal_row;
use super::tables::text_buffer::TextBuffer;
use super::writer::change::{Change, IntentRows, OutcomeRows, Verdict};
use crate::payment::ids::HostId;
use crate::payment::moment::BusinessDate;
use crate::payment::money::Money;
use crate::payment::operation::{OperationKind, OperationState};
use crate::payment::record::{Operation, Payment};
use crate::payment::reference::Rrn;
use crate::payment::state::PaymentState;

/// How often an intent is tried again after the request in its way has disappeared.
const INTENT_ATTEMPTS: u32 = 3;

impl Store {
    /// Makes an authorization durable before it is sent. Of any number of calls with the same
    /// (merchant, method, request id), at once or on several nodes, exactly one gets
    /// [`IntentOutcome::Recorded`].
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for records that do not belong together, [`StoreError::Busy`] when
    /// too much waits, [`StoreError::Conflict`] when an identity or an RRN with its STAN is there
    /// already, [`StoreError::OutcomeUnknown`] when the database went away while it committed:
    /// nothing may be sent then.
    pub async fn record_intent(
        &self,
        intent: &AuthorizationIntent,
    ) -> Result<IntentOutcome, StoreError> {
        for _ in 0..INTENT_ATTEMPTS {
            let change = Change::Intent(Box::new(intent_rows(intent)?));
            match self.inner.writer.submit(change).await? {
                Verdict::EnvelopeReplayed => return Ok(IntentOutcome::EnvelopeReplayed),
                Verdict::DuplicateRequest => {
                    let key = &intent.idempotency;
                    let recorded = self
                        .find_answer(&key.merchant_id, key.method, &key.request_id)
                        .await?;
                    if let Some(recorded) = recorded {
                        return Ok(IntentOutcome::Existing(Box::new(recorded)));
                    }
                    // The other request used a sealed card again and was deleted in the same
                    // transaction. This one can be written now.
                }
                _ => return Ok(IntentOutcome::Recorded),
            }
        }
        Err(StoreError::Conflict {
            what: "a request with this id",
            reason: "it came and went while this one was recorded".into(),
        })
    }

    /// Makes the end of an authorization durable before the merchant is told, together with what the
    /// merchant is told and the reversal that is owed. Written only when payment and operation are
    /// both at the version before. Recording the very same outcome again is fine.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for records that do not belong together, [`StoreError::Busy`] when
    /// too much waits, [`StoreError::NotFound`] when the payment was never recorded,
    /// [`StoreError::OutcomeUnknown`] when the database went away while it committed; the same
    /// outcome may be recorded again then.
    pub async fn record_outcome(
        &self,
        outcome: &AuthorizationOutcome,
    ) -> Result<OutcomeRecorded, StoreError> {
        let change = Change::Outcome(Box::new(outcome_rows(outcome)?));
        let verdict = self.inner.writer.submit(change).await?;
        if !matches!(verdict, Verdict::Superseded) {
            return Ok(OutcomeRecorded::Recorded);
        }
        let AuthorizationOutcome {
            payment, operation, ..
        } = outcome;
        if self.is_answer(operation.id, payment).await? {
            return Ok(OutcomeRecorded::Recorded);
        }
        let current = self.payment(&payment.merchant_id, payment.id).await?;
        let standing = self.operation(operation.id).await?;
        match (current, standing) {
            (Some(current), Some(operation)) => Ok(OutcomeRecorded::Superseded {
                current: Box::new(current),
                operation: Box::new(operation),
            }),
            _ => Err(StoreError::NotFound {
                what: "operation of a payment",
                id: operation.id.to_string(),
            }),
        }
    }
}

/// An intent's values.
///
/// # Errors
/// When the two records do not belong together, or are not new.
fn intent_rows(intent: &AuthorizationIntent) -> Result<IntentRows, StoreError> {
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
    let mut texts = TextBuffer::new();
    let merchant_id = texts.text(payment.merchant_id);
    let payment_id = texts.text(payment.id);
    let operation_id = texts.text(operation.id);
    let method: Arc<str> = idempotency.method.into();
    let request_id: Arc<str> = idempotency.request_id.as_str().into();
    let host_id = texts.text(payment.host_id);
    let currency: Arc<str> = payment.amount.currency().code().into();
    let rrn: Arc<str> = payment.rrn.as_str().into();
    let business_date = texts.text(payment.business_date);
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
            texts.json(&payment_detail(payment))?.into(),
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
            texts.text(operation.node_id).into(),
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
fn outcome_rows(outcome: &AuthorizationOutcome) -> Result<OutcomeRows, StoreError> {
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
    let mut texts = TextBuffer::new();
    let payment_id = texts.text(payment.id);
    let operation_id = texts.text(operation.id);
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
            texts.json(&payment.state)?.into(),
        ],
        operation: vec![
            (&operation_id).into(),
            operation.version.into(),
            operation.state.name().into(),
            operation.bank_us.into(),
            operation.updated_at.as_i64().into(),
            texts.json(&operation.state)?.into(),
            texts.json(&answer(payment))?.into(),
        ],
        reversal: reversal.as_ref().map(reversal_row).transpose()?,
        payment_id,
        operation_id,
    })
}
