//! Refunds: one row for each.

use std::sync::Arc;

use sqlx::any::AnyRow;

use super::columns::Columns;
use super::text_buffer::TextBuffer;
use crate::payment::refund::Refund;
use crate::store::database::many_rows::ManyRows;
use crate::store::database::value::Value;
use crate::store::error::StoreError;

/// All columns of a refund, as [`refund`] reads them.
pub(in crate::store) const REFUND_COLUMNS: &str = "refunds.id, refunds.merchant_id, refunds.payment_id, \
    refunds.operation_id, refunds.capture_id, refunds.amount_minor, refunds.currency, \
    refunds.merchant_reference, refunds.created_at_ms";

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

/// A refund from a row with [`REFUND_COLUMNS`].
pub(in crate::store) fn refund(row: &AnyRow) -> Result<Refund, StoreError> {
    let columns = Columns::of(row, "refunds", "id")?;
    Ok(Refund {
        id: columns.parsed("id")?,
        merchant_id: columns.parsed("merchant_id")?,
        payment_id: columns.parsed("payment_id")?,
        operation_id: columns.parsed("operation_id")?,
        capture_id: columns.parsed("capture_id")?,
        amount: columns.money()?,
        merchant_reference: columns.optional_text("merchant_reference")?,
        created_at: columns.moment("created_at_ms")?,
    })
}
