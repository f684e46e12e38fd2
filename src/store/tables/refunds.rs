//! Refunds: one row for each.

use std::sync::Arc;

use sqlx::any::AnyRow;

use super::columns::Columns;
use super::operations::{OPERATION_COLUMNS, operation};
use super::text_buffer::TextBuffer;
use crate::payment::record::Operation;
use crate::payment::refund::Refund;
use crate::store::database::many_rows::ManyRows;
use crate::store::database::value::Value;
use crate::store::error::StoreError;

/// Reads refunds, each with its operation, as [`refund`] takes them. A condition follows.
pub(in crate::store) fn select_refunds() -> String {
    format!(
        "SELECT refunds.id AS refunds_id, refunds.merchant_id, refunds.capture_id, \
            refunds.amount_minor AS refunds_amount_minor, refunds.merchant_reference, \
            refunds.created_at_ms AS refunds_created_at_ms, {OPERATION_COLUMNS} \
         FROM refunds JOIN operations ON operations.id = refunds.operation_id"
    )
}

/// A new refund.
pub(in crate::store) const NEW_REFUNDS: ManyRows = ManyRows {
    name: "new refunds",
    before: "INSERT INTO refunds (id, merchant_id, payment_id, operation_id, capture_id, amount_minor, currency, \
        merchant_reference, created_at_ms) VALUES ",
    row: "(?, ?, ?, ?, ?, ?, ?, ?, ?)",
    after: "",
    returning: "",
};

/// A row of [`NEW_REFUNDS`].
pub(in crate::store) fn new_refund_row(
    texts: &mut TextBuffer,
    refund: &Refund,
    operation_id: &Arc<str>,
    payment_id: &Arc<str>,
) -> Vec<Value> {
    vec![
        texts.text(refund.id).into(),
        texts.text(refund.merchant_id).into(),
        payment_id.into(),
        operation_id.into(),
        texts.text(refund.capture_id).into(),
        refund.amount.amount_minor().into(),
        Value::Static(refund.amount.currency().code()),
        refund.merchant_reference.clone().into(),
        refund.created_at.as_i64().into(),
    ]
}

/// A refund and its operation, from a row of [`select_refunds`].
pub(in crate::store) fn refund(row: &AnyRow) -> Result<(Refund, Operation), StoreError> {
    let operation = operation(row)?;
    let columns = Columns::of(row, "refunds", "refunds_id")?;
    let refund = Refund {
        id: columns.parsed("refunds_id")?,
        merchant_id: columns.parsed("merchant_id")?,
        payment_id: operation.payment_id,
        operation_id: operation.id,
        capture_id: columns.parsed("capture_id")?,
        amount: columns.minor("refunds_amount_minor", operation.amount.currency())?,
        merchant_reference: columns.optional_text("merchant_reference")?,
        created_at: columns.moment("refunds_created_at_ms")?,
    };
    Ok((refund, operation))
}
