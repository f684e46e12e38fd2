//! Events: one row for each change of a payment, or something else, that its merchant can see, in the order of the commits.

use std::sync::Arc;

use sqlx::any::AnyRow;

use super::columns::Columns;
use super::text_buffer::TextBuffer;
use crate::payment::amounts::Amounts;
use crate::payment::discrepancy::DiscrepancyState;
use crate::payment::event_kind::EventKind;
use crate::payment::ids::{BatchId, MerchantId, OperationId, PayoutId};
use crate::payment::moment::UnixMillis;
use crate::store::database::many_rows::ManyRows;
use crate::store::database::value::Value;
use crate::store::error::StoreError;
use crate::store::records::RecordedEvent;

/// Takes as many positions as there are rows, and writes the rows at them, in their order: in one round trip to
/// the database, for until its COMMIT no other writer gets a position.
pub(in crate::store) const EVENTS: ManyRows = ManyRows {
    name: "events",
    before: "/*SQLITE UPDATE positions SET next = next + {rows} WHERE stream = 0; WITH */\
        /*POSTGRES WITH taken AS (UPDATE positions SET next = next + {rows} WHERE stream = 0 \
        RETURNING next), */\
        new (number, payment_id, payment_sequence, kind, at_ms, operation_id, state_detail, amounts, \
            merchant_id) AS (VALUES ",
    row: "(#, CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS TEXT), \
        CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT))",
    after: ") INSERT INTO events (stream, position, payment_id, payment_sequence, kind, at_ms, operation_id, \
        state_detail, amounts, merchant_id) \
        SELECT 0, /*SQLITE (SELECT next FROM positions WHERE stream = 0)*//*POSTGRES taken.next*/ \
        - {rows} + new.number, new.payment_id, new.payment_sequence, new.kind, \
        new.at_ms, new.operation_id, new.state_detail, new.amounts, new.merchant_id FROM new \
        /*POSTGRES CROSS JOIN taken*/",
    returning: "",
};

/// A payment after a change.
pub(in crate::store) struct ChangedPayment<'a> {
    pub(in crate::store) payment_id: &'a Arc<str>,
    pub(in crate::store) merchant_id: Value,
    pub(in crate::store) version: i64,
    /// Its state, as JSON.
    pub(in crate::store) state: Arc<str>,
    pub(in crate::store) amounts: &'a Amounts,
}

/// A row of [`EVENTS`]: what happened to a payment, and when.
pub(in crate::store) fn event_row(
    texts: &mut TextBuffer,
    payment: ChangedPayment<'_>,
    (kind, at): (EventKind, UnixMillis),
    operation_id: &Arc<str>,
) -> Result<Vec<Value>, StoreError> {
    Ok(vec![
        payment.payment_id.into(),
        payment.version.into(),
        Value::Static(kind.name()),
        at.as_i64().into(),
        operation_id.into(),
        payment.state.into(),
        texts.json(payment.amounts)?.into(),
        payment.merchant_id,
    ])
}

/// All columns of an event, as [`event`] reads them.
pub(in crate::store) const EVENT_COLUMNS: &str = "position, merchant_id, payment_id, payment_sequence, kind, at_ms, \
    operation_id, state_detail, amounts";

/// An event from a row with [`EVENT_COLUMNS`].
pub(in crate::store) fn event(row: &AnyRow) -> Result<RecordedEvent, StoreError> {
    let position = Columns::named(row, "events", String::new()).integer("position")?;
    let columns = Columns::named(row, "events", position.to_string());
    Ok(RecordedEvent {
        position,
        merchant_id: columns.parsed("merchant_id")?,
        payment_id: columns.parsed("payment_id")?,
        version: columns.integer("payment_sequence")?,
        kind: columns.variant("kind")?,
        at: columns.moment("at_ms")?,
        operation_id: columns.parsed("operation_id")?,
        state: columns.json("state_detail")?,
        amounts: columns.json("amounts")?,
    })
}

/// An event, and what it is of.
pub(in crate::store) struct Recorded {
    pub(in crate::store) position: i64,
    pub(in crate::store) merchant_id: MerchantId,
    pub(in crate::store) kind: EventKind,
    pub(in crate::store) at: UnixMillis,
    pub(in crate::store) of: Of,
}

/// What an event is of.
pub(in crate::store) enum Of {
    /// A payment.
    Payment(Box<RecordedEvent>),
    /// The operation of a capture, a refund or a chargeback that is settled.
    Item(OperationId),
    /// A batch.
    Batch(BatchId),
    /// A payout.
    Payout(PayoutId),
    /// A discrepancy, and its state after it. Its name is text: of what an older version has found it is another one than
    /// today.
    Discrepancy(String, DiscrepancyState),
}

/// An event from a row with [`EVENT_COLUMNS`]. Where it is of no payment, what it is of stands in the place of the
/// operation.
pub(in crate::store) fn recorded(row: &AnyRow) -> Result<Recorded, StoreError> {
    use EventKind as K;
    let position = Columns::named(row, "events", String::new()).integer("position")?;
    let columns = Columns::named(row, "events", position.to_string());
    let kind = columns.variant("kind")?;
    let of = match kind {
        K::PaymentSettled => Of::Item(columns.parsed("operation_id")?),
        K::BatchClosed | K::BatchSettled | K::BatchDisputed => {
            Of::Batch(columns.parsed("operation_id")?)
        }
        K::PayoutMade | K::PayoutPaid | K::PayoutReturned | K::PayoutFailed => {
            Of::Payout(columns.parsed("operation_id")?)
        }
        K::DiscrepancyUpdated => {
            let state = columns.text("state_detail")?;
            let corrupt =
                || columns.corrupt("state_detail", state, "expected a discrepancy's state");
            let state = DiscrepancyState::from_name(state).ok_or_else(corrupt)?;
            Of::Discrepancy(columns.text("operation_id")?.to_owned(), state)
        }
        _ => Of::Payment(Box::new(event(row)?)),
    };
    Ok(Recorded {
        position,
        merchant_id: columns.parsed("merchant_id")?,
        kind,
        at: columns.moment("at_ms")?,
        of,
    })
}
