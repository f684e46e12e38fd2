//! Client connections to the merchant API and to the operators' API.

use sqlx::any::AnyRow;

use super::columns::Columns;
use crate::payment::ids::{ConnectionId, NodeId};
use crate::payment::moment::UnixMillis;
use crate::store::Store;
use crate::store::connection_log::Event;
use crate::store::error::StoreError;
use crate::store::records::callers::{ClientConnection, ConnectionRecord};

impl Store {
    /// Records that a client connected. It returns at once; the row appears a little later.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when too many events wait, [`StoreError::Closed`] when the store is.
    pub fn connection_opened(&self, connection: ClientConnection) -> Result<(), StoreError> {
        self.inner.connection_log.append(Event::Opened(connection))
    }

    /// Records who a connected client turned out to be.
    ///
    /// # Errors
    /// As [`Self::connection_opened`].
    pub fn connection_identified(
        &self,
        id: ConnectionId,
        identity: &str,
    ) -> Result<(), StoreError> {
        self.inner
            .connection_log
            .append(Event::Identified(id, identity.to_owned()))
    }

    /// Records that a client left.
    ///
    /// # Errors
    /// As [`Self::connection_opened`].
    pub fn connection_closed(&self, id: ConnectionId, at: UnixMillis) -> Result<(), StoreError> {
        self.inner.connection_log.append(Event::Closed(id, at))
    }

    /// Closes the connections that dead `nodes` left open.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn close_connections_of(&self, nodes: &[NodeId]) -> Result<(), StoreError> {
        self.inner.housekeeping.close_connections_of(nodes).await
    }

    /// Client connections, newest first, going on after `after`; `limit` is 1 to
    /// [`MAX_PAGE_SIZE`](crate::store::records::lists::MAX_PAGE_SIZE).
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn list_connections(
        &self,
        limit: usize,
        after: Option<ConnectionId>,
    ) -> Result<Vec<ConnectionRecord>, StoreError> {
        let rows = self
            .newest_first("client_connections", limit, after.map(|id| id.to_string()))
            .await?;
        rows.iter().map(connection).collect()
    }
}

fn connection(row: &AnyRow) -> Result<ConnectionRecord, StoreError> {
    let columns = Columns::of(row, "client_connections", "id")?;
    Ok(ConnectionRecord {
        connection: ClientConnection {
            id: columns.parsed("id")?,
            peer_address: columns.text("peer_address")?.to_owned(),
            peer_port: columns.number("peer_port")?,
            identity: columns.optional_text("identity")?,
            connected_at: columns.moment("connected_at_ms")?,
        },
        node_id: columns.parsed("node_id")?,
        disconnected_at: columns
            .optional_integer("disconnected_at_ms")?
            .map(UnixMillis::new),
        note: columns.optional_text("note")?,
    })
}
