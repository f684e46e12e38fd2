//! Requests that were taken, and the answers that their merchants got.

use std::borrow::Cow;
use std::sync::Arc;

use super::payments::MovedPayment;
use super::text_buffer::{Names, TextBuffer};
use crate::payment::amounts::Amounts;
use crate::payment::moment::UnixMillis;
use crate::payment::operation::OperationState;
use crate::payment::record::{Attempts, Operation, Payment};
use crate::payment::state::PaymentState;
use crate::store::change::RequestClaim;
use crate::store::database::many_rows::ManyRows;
use crate::store::database::value::Value;
use crate::store::error::StoreError;
use iso8583::hex;
use serde::{Deserialize, Serialize};

/// A request that nobody has made before.
pub(in crate::store) const CLAIMS: ManyRows = ManyRows {
    name: "claims",
    before: "INSERT /*SQLITE OR FAIL */INTO idempotency \
        (merchant_id, method, request_id, operation_id, body_hash) VALUES ",
    row: "(?, ?, ?, ?, ?)",
    after: " ON CONFLICT (merchant_id, method, request_id) DO NOTHING",
    returning: " RETURNING operation_id",
};

/// The operation of a request.
pub(in crate::store) const CLAIM_OWNER: &str = "SELECT operation_id FROM idempotency \
    WHERE merchant_id = $1 AND method = $2 AND request_id = $3";

/// A row of [`CLAIMS`]; its first three values are the key.
pub(in crate::store) fn claim_row(
    texts: &mut TextBuffer,
    claim: &RequestClaim,
    names: &Names,
) -> Vec<Value> {
    vec![
        texts.text(claim.merchant_id).into(),
        Value::Static(claim.method),
        claim.request_id.as_str().into(),
        (&names.operation_id).into(),
        hex::encode_lower(&claim.body_hash).into(),
    ]
}

/// The column `answer` of an operation: what later changes overwrite of the payment and the operation that
/// were told. Everything else never changes in their rows.
#[derive(Serialize, Deserialize)]
pub(in crate::store) struct Answer<'a> {
    #[serde(flatten)]
    amounts: Amounts,
    state: Cow<'a, PaymentState>,
    updated_at: UnixMillis,
    version: i64,
    /// None in answers recorded by versions that kept only the payment: their operations are authorizations.
    #[serde(default)]
    operation: Option<Cow<'a, OperationState>>,
    /// Of what is sent until its host acknowledges it. None of others, and in answers of older versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attempts: Option<Attempts>,
}

impl Answer<'_> {
    /// Payment and operation as they were told, from what they are now.
    pub(in crate::store) fn of(
        self,
        payment: Payment,
        operation: Operation,
    ) -> (Box<Payment>, Box<Operation>) {
        let state = match self.operation {
            Some(state) => state.into_owned(),
            None => operation.state.clone(),
        };
        (
            Box::new(Payment {
                amounts: self.amounts,
                state: self.state.into_owned(),
                updated_at: self.updated_at,
                version: self.version,
                ..payment
            }),
            // The operation and its payment changed at the same moment.
            Box::new(Operation {
                state,
                attempts: self.attempts.unwrap_or(operation.attempts),
                updated_at: self.updated_at,
                ..operation
            }),
        )
    }
}

/// The column `answer` for a merchant that is told these.
pub(in crate::store) fn answer(
    texts: &mut TextBuffer,
    payment: &Payment,
    operation: &Operation,
) -> Result<Arc<str>, StoreError> {
    texts.json(&Answer {
        amounts: payment.amounts,
        state: Cow::Borrowed(&payment.state),
        updated_at: payment.updated_at,
        version: payment.version,
        operation: Some(Cow::Borrowed(&operation.state)),
        attempts: Some(operation.attempts).filter(|attempts| *attempts != Attempts::default()),
    })
}

/// An answer with the payment as it is, where something else had changed it too. `answer` was written by
/// [`answer`].
pub(in crate::store) fn moved_answer(answer: &Value, payment: &MovedPayment) -> Value {
    let Value::OptionalText(Some(text)) = answer else {
        return answer.clone();
    };
    let moved = serde_json::from_str::<Answer<'_>>(text).and_then(|expected| {
        serde_json::to_string(&Answer {
            amounts: payment.amounts,
            state: Cow::Borrowed(&payment.state),
            version: payment.version,
            ..expected
        })
    });
    // What was written as JSON reads back, so that the expected answer never has to do.
    moved.map_or_else(
        |_| answer.clone(),
        |text| Value::OptionalText(Some(text.into())),
    )
}
