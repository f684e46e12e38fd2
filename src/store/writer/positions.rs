//! What a batch writes last: events and journals, at positions from the one row that all writers share.
//!
//! From the statement that takes the positions until the COMMIT no other node gets one. So positions come in the
//! order of the commits, and a rollback gives them back: they have no gap. Nothing but inserts comes between.

use std::sync::Arc;

use super::rows::{AdjustedRow, ChangeRows};
use crate::payment::event_kind::EventKind;
use crate::random::HashMap;
use crate::store::database::connection::NativeTransaction;
use crate::store::database::engine::Engine;
use crate::store::database::fault::{Fault, fault};
use crate::store::database::many_rows::Texts;
use crate::store::database::value::Value;
use crate::store::error::StoreError;
use crate::store::tables::events::{ChangedPayment, EVENTS, event_row};
use crate::store::tables::journals::{JOURNALS, LEDGER_LINES};
use crate::store::tables::payments::MovedPayment;
use crate::store::tables::text_buffer::TextBuffer;

/// Writes the events of all changes, then the journals. A payment stands in a batch once, so that its events
/// come in the order of its versions. `moved` are the payments that were adjusted under their guard.
/// Whether it has taken any position.
pub(super) async fn take_positions(
    engine: Engine,
    transaction: &mut NativeTransaction<'_>,
    texts: &mut Texts,
    changes: &[&ChangeRows],
    moved: &HashMap<Arc<str>, MovedPayment>,
) -> Result<bool, Fault> {
    let adjusted: Vec<(&ChangeRows, &AdjustedRow)> = changes
        .iter()
        .filter_map(|change| Some((*change, change.adjusted.as_ref()?)))
        .collect();
    let moved = moved_events(&adjusted, moved).map_err(Fault::Refused)?;
    let of_new = changes.iter().filter_map(|change| {
        let (_, event) = change.new_event.as_ref()?;
        Some(event.as_slice())
    });
    let of_adjusted = adjusted
        .iter()
        .zip(&moved)
        .map(|((_, row), moved)| moved.as_ref().unwrap_or(&row.event).as_slice());
    // Journals count back from the last event, and each is of an adjusted payment.
    let events: Vec<&[Value]> = of_new.chain(of_adjusted).collect();
    let ran = texts.run(transaction, &EVENTS, &events, false).await;
    // On SQLite the row of the positions counts too.
    if ran.map_err(|error| fault(engine, &error))?.count < events.len() {
        return Err(Fault::Refused(StoreError::NotFound {
            what: "row of the table positions",
            id: "0".into(),
        }));
    }
    let (mut journals, mut lines) = (Vec::new(), Vec::new());
    for ((_, row), back) in adjusted.iter().rev().zip(1_i64..) {
        let at = |row: &Vec<Value>| [&[back.into()], row.as_slice()].concat();
        if let Some(rows) = &row.journal {
            journals.push(at(&rows.journal));
            lines.extend(rows.lines.iter().map(at));
        }
    }
    for (statement, rows) in [(&JOURNALS, journals), (&LEDGER_LINES, lines)] {
        let rows: Vec<&[Value]> = rows.iter().map(Vec::as_slice).collect();
        let ran = texts.run(transaction, statement, &rows, false).await;
        ran.map_err(|error| fault(engine, &error))?;
    }
    Ok(!events.is_empty())
}

/// The events of payments that were adjusted under their guard, from what the database returned.
fn moved_events(
    adjusted: &[(&ChangeRows, &AdjustedRow)],
    moved: &HashMap<Arc<str>, MovedPayment>,
) -> Result<Vec<Option<Vec<Value>>>, StoreError> {
    let mut texts = TextBuffer::new();
    let event = |(change, row): &(&ChangeRows, &AdjustedRow)| {
        let Some(moved) = moved.get(&change.payment_id) else {
            return Ok(None);
        };
        let payment = ChangedPayment {
            payment_id: &change.payment_id,
            // It never changes, and stands last in the row that was expected.
            merchant_id: row.event.last().cloned().unwrap_or(Value::Static("")),
            version: moved.version,
            state: texts.json(&moved.state)?,
            amounts: &moved.amounts,
        };
        let happened = (EventKind::of(&row.adjustment.event), row.adjustment.at);
        event_row(&mut texts, payment, happened, &change.operation_id).map(Some)
    };
    adjusted.iter().map(event).collect()
}
