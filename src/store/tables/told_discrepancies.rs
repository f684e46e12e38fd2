//! The events of discrepancies that were found, or have ended by themselves: written afterwards, since an import takes no
//! positions.

use sqlx::any::AnyRow;

use super::business_days::hold_positions;
use super::columns::Columns;
use crate::store::Store;
use crate::store::database::many_rows::{ManyRows, rows_per_statement};
use crate::store::database::value::Value;
use crate::store::error::StoreError;

/// The most discrepancies that are told in one transaction.
const TOLD_AT_ONCE: i64 = 128;

/// A statement about discrepancies that are not told yet.
macro_rules! untold {
    ($name:literal, $statement:literal) => {
        ManyRows {
            name: $name,
            before: "WITH untold (id) AS (VALUES ",
            row: "(CAST(? AS TEXT))",
            after: concat!(") ", $statement),
            returning: "",
        }
    };
}

/// Holds them, also those that somebody has told meanwhile: what ends one waits, and is told later.
const UNTOLD: ManyRows = untold!(
    "untold discrepancies",
    "UPDATE settlement_differences SET version = version WHERE id IN (SELECT id FROM untold)"
);
/// Without a merchant there is nobody to tell.
const TOLD_EVENTS: ManyRows = untold!(
    "events of discrepancies",
    "INSERT INTO events (stream, position, payment_sequence, kind, at_ms, operation_id, state_detail, amounts, merchant_id) \
     SELECT 0, positions.next + ROW_NUMBER() OVER (ORDER BY found.id) - 1, 0, 'DISCREPANCY_UPDATED', found.updated_at_ms, \
     found.id, found.state, '', found.merchant_id FROM settlement_differences AS found JOIN positions ON positions.stream = 0 \
     WHERE found.id IN (SELECT id FROM untold) AND found.position IS NULL AND found.merchant_id IS NOT NULL"
);
const TOLD_POSITIONS: ManyRows = untold!(
    "positions of discrepancies",
    "UPDATE positions SET next = next + (SELECT COUNT(*) FROM settlement_differences \
     WHERE id IN (SELECT id FROM untold) AND position IS NULL AND merchant_id IS NOT NULL) WHERE stream = 0"
);
const TOLD: ManyRows = untold!(
    "told discrepancies",
    "UPDATE settlement_differences SET position = (SELECT next - 1 FROM positions WHERE stream = 0) \
     WHERE id IN (SELECT id FROM untold) AND position IS NULL"
);

impl Store {
    /// Writes the events of what was found or has ended by itself, and has none yet. An import takes no positions itself:
    /// payments would wait for it. What can't be told now is told the next time; what it is about is done all the same.
    pub async fn tell_discrepancies(&self) {
        if let Err(error) = self.try_to_tell_discrepancies().await {
            tracing::error!(%error, "Merchants are not told of discrepancies yet");
        }
    }

    /// The same, where it may fail.
    pub(in crate::store) async fn try_to_tell_discrepancies(&self) -> Result<(), StoreError> {
        let engine = self.inner.housekeeping.database.engine;
        let text =
            "SELECT id FROM settlement_differences WHERE position IS NULL ORDER BY id LIMIT $1";
        loop {
            let untold = self.read(text, &[TOLD_AT_ONCE.into()]).await?;
            if untold.is_empty() {
                return Ok(());
            }
            let id = |row: &AnyRow| {
                let columns = Columns::of(row, "settlement_differences", "id")?;
                Ok(vec![columns.text("id")?.into()])
            };
            // Each statement takes the positions that the one before it has left, so all are in one.
            let untold = untold.iter().take(rows_per_statement(untold.len()));
            let ids: Vec<Vec<Value>> = untold.map(id).collect::<Result<_, StoreError>>()?;
            // Who waits for a row does not hold the positions, for which payments wait.
            let mut all = UNTOLD.statements(engine, ids.clone());
            all.push(hold_positions());
            for statement in [&TOLD_EVENTS, &TOLD_POSITIONS, &TOLD] {
                all.extend(statement.statements(engine, ids.clone()));
            }
            self.inner.housekeeping.run(all).await?;
        }
    }
}
