//! What a batch writes behind the row of the positions, after the events: the items of the bank's days. A cutover holds
//! that row too, so that each item is in the day that is open at its COMMIT.

use std::sync::Arc;

use super::rows::ChangeRows;
use crate::random::HashSet;
use crate::store::database::connection::NativeTransaction;
use crate::store::database::engine::Engine;
use crate::store::database::fault::{Fault, fault};
use crate::store::database::many_rows::{ManyRows, Texts, first_texts};
use crate::store::database::value::Value;
use crate::store::tables::settlement_items::{
    FIRST_DAYS, HOLD_POSITIONS, ItemRow, LEAVING_ITEMS, NEW_ITEMS, RETURNING_ITEMS,
};

/// Writes what all changes do to the items. Gives the operations of the changes that can't be written: their sales are
/// items of days that are closed. `holds_positions` says whether the transaction has taken a position.
pub(super) async fn change_items(
    engine: Engine,
    transaction: &mut NativeTransaction<'_>,
    texts: &mut Texts,
    changes: &[&ChangeRows],
    holds_positions: bool,
) -> Result<Vec<Arc<str>>, Fault> {
    let in_engine = |error: sqlx::Error| fault(engine, &error);
    let (mut new, mut leaving, mut returning) = (Vec::new(), Vec::new(), Vec::new());
    for change in changes {
        match &change.item {
            Some(ItemRow::New(row)) => new.push(row.as_slice()),
            Some(ItemRow::Leaving(row)) => leaving.push((&change.operation_id, row.as_slice())),
            Some(ItemRow::Returning(row)) => returning.push(row.as_slice()),
            None => {}
        }
    }
    if new.is_empty() && leaving.is_empty() && returning.is_empty() {
        return Ok(Vec::new());
    }
    if engine == Engine::Postgres && !holds_positions {
        let held = transaction.execute(HOLD_POSITIONS, &[]).await;
        held.map_err(in_engine)?;
    }
    let mut write = async |statement: &ManyRows, rows: &[&[Value]], returning| {
        let ran = texts.run(transaction, statement, rows, returning).await;
        ran.map_err(in_engine)
    };
    let mut written = write(&NEW_ITEMS, &new, false).await?.count;
    if written < new.len() {
        write(&FIRST_DAYS, &new, false).await?;
        // What was written above is left as it is.
        written += write(&NEW_ITEMS, &new, false).await?.count;
    }
    written += write(&RETURNING_ITEMS, &returning, false).await?.count;
    let expected = new.len() + returning.len();
    if written < expected {
        tracing::error!(written, expected, "What counts is not settled with a day");
    }
    let rows: Vec<&[Value]> = leaving.iter().map(|(_, row)| *row).collect();
    let returned = write(&LEAVING_ITEMS, &rows, true).await?.returned;
    let left: HashSet<Arc<str>> = first_texts(engine, &returned)?;
    let stays = leaving
        .into_iter()
        .filter(|(_, row)| !matches!(row.first(), Some(Value::Text(sale)) if left.contains(sale)));
    Ok(stays
        .map(|(operation_id, _)| Arc::clone(operation_id))
        .collect())
}
