//! Captures: one row for each.

use std::sync::Arc;

use sqlx::any::AnyRow;

use super::columns::Columns;
use super::operations::{OPERATION_COLUMNS, operation};
use super::text_buffer::TextBuffer;
use crate::payment::capture::Capture;
use crate::payment::record::Operation;
use crate::payment::state::PaymentState;
use crate::store::database::many_rows::ManyRows;
use crate::store::database::value::Value;
use crate::store::error::StoreError;

/// Reads captures, each with its operation, as [`capture`] takes them. A condition follows.
pub(in crate::store) fn select_captures() -> String {
    format!(
        "SELECT captures.id AS captures_id, captures.amount_minor AS captures_amount_minor, \
            captures.refunded_minor, captures.is_final, captures.merchant_reference, \
            captures.created_at_ms AS captures_created_at_ms, \
            (SELECT state FROM payments WHERE payments.id = captures.payment_id) AS payment_state, \
            {OPERATION_COLUMNS} \
         FROM captures JOIN operations ON operations.id = captures.operation_id"
    )
}

/// Of a new capture nothing is refunded.
pub(in crate::store) const NEW_CAPTURES: ManyRows = ManyRows {
    name: "new captures",
    before: "INSERT INTO captures (id, payment_id, operation_id, amount_minor, currency, is_final, \
        merchant_reference, created_at_ms, refunded_minor) VALUES ",
    row: "(?, ?, ?, ?, ?, ?, ?, ?, 0)",
    after: "",
    returning: "",
};

/// What is added to what is refunded of a capture, where it stays within the capture's amount. The casts are for
/// PostgreSQL, which can't infer types through the list of values.
pub(in crate::store) const CAPTURE_REFUNDS: ManyRows = ManyRows {
    name: "capture refunds",
    before: "WITH changed (operation_id, refunded) AS (VALUES ",
    row: "(CAST(? AS TEXT), CAST(? AS BIGINT))",
    after: ") UPDATE /*SQLITE OR FAIL */captures \
        SET refunded_minor = captures.refunded_minor + changed.refunded FROM changed \
        WHERE captures.operation_id = changed.operation_id \
        AND captures.refunded_minor + changed.refunded >= 0 \
        AND captures.refunded_minor + changed.refunded <= captures.amount_minor",
    returning: " RETURNING captures.operation_id",
};

/// The amount of a sale's capture, where its bank approved less than was asked for.
pub(in crate::store) const CAPTURE_AMOUNTS: ManyRows = ManyRows {
    name: "capture amounts",
    before: "WITH changed (operation_id, amount) AS (VALUES ",
    row: "(CAST(? AS TEXT), CAST(? AS BIGINT))",
    after: ") UPDATE captures SET amount_minor = changed.amount FROM changed \
        WHERE captures.operation_id = changed.operation_id",
    returning: "",
};

/// A row of [`NEW_CAPTURES`].
pub(in crate::store) fn new_capture_row(
    texts: &mut TextBuffer,
    capture: &Capture,
    operation_id: &Arc<str>,
    payment_id: &Arc<str>,
) -> Vec<Value> {
    vec![
        texts.text(capture.id).into(),
        payment_id.into(),
        operation_id.into(),
        capture.amount.amount_minor().into(),
        Value::Static(capture.amount.currency().code()),
        i64::from(capture.is_final).into(),
        capture.merchant_reference.clone().into(),
        capture.created_at.as_i64().into(),
    ]
}

/// A capture and its operation, from a row of [`select_captures`].
pub(in crate::store) fn capture(row: &AnyRow) -> Result<(Capture, Operation), StoreError> {
    let operation = operation(row)?;
    let columns = Columns::of(row, "captures", "captures_id")?;
    let capture = Capture {
        id: columns.parsed("captures_id")?,
        payment_id: operation.payment_id,
        operation_id: operation.id,
        amount: columns.minor("captures_amount_minor", operation.amount.currency())?,
        refunded_minor: columns.integer("refunded_minor")?,
        is_final: columns.integer("is_final")? != 0,
        is_voided: columns.text("payment_state")? == PaymentState::Voided.name(),
        merchant_reference: columns.optional_text("merchant_reference")?,
        created_at: columns.moment("captures_created_at_ms")?,
    };
    Ok((capture, operation))
}
