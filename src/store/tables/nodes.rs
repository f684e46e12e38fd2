//! Gateway processes, one row for each start.

use sqlx::AssertSqlSafe;

use super::columns::Columns;
use crate::payment::ids::NodeId;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::records::lists::MAX_PAGE_SIZE;

impl Store {
    /// The heartbeat of each process that has not stopped in order, the one that was seen last first; at most
    /// [`MAX_PAGE_SIZE`]. A living process's heartbeat grows by one every two seconds.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn heartbeats(&self) -> Result<Vec<(NodeId, i64)>, StoreError> {
        let text = format!(
            "SELECT id, heartbeat FROM nodes WHERE stopped_at_ms IS NULL \
             ORDER BY seen_at_ms DESC LIMIT {MAX_PAGE_SIZE}"
        );
        let rows = self.read(AssertSqlSafe(text), &[]).await?;
        let heartbeat = |row| {
            let columns = Columns::of(row, "nodes", "id")?;
            Ok((columns.parsed("id")?, columns.integer("heartbeat")?))
        };
        rows.iter().map(heartbeat).collect()
    }
}
