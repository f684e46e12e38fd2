//! Gateway processes, one row for each start.

use sqlx::AssertSqlSafe;

use super::columns::Columns;
use crate::payment::ids::NodeId;
use crate::payment::moment::UnixMillis;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::records::MAX_PAGE_SIZE;

impl Store {
    /// The last heartbeat of each process that has not stopped in order, the latest first; at most
    /// [`MAX_PAGE_SIZE`]. The moments are from the clocks of those processes.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn heartbeats(&self) -> Result<Vec<(NodeId, UnixMillis)>, StoreError> {
        let text = format!(
            "SELECT id, seen_at_ms FROM nodes WHERE stopped_at_ms IS NULL \
             ORDER BY seen_at_ms DESC LIMIT {MAX_PAGE_SIZE}"
        );
        let rows = self.read(AssertSqlSafe(text), &[]).await?;
        let heartbeat = |row| {
            let columns = Columns::of(row, "nodes", "id")?;
            Ok((columns.parsed("id")?, columns.moment("seen_at_ms")?))
        };
        rows.iter().map(heartbeat).collect()
    }
}
