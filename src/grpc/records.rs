//! Where the doors' client connections are recorded.

use crate::payment::ids::ConnectionId;
use crate::payment::moment::UnixMillis;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::records::callers::ClientConnection;

/// The records can't be read or written.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the records are out of reach: {reason}")]
pub struct RecordsUnavailable {
    /// What the store said.
    pub reason: String,
}

impl From<StoreError> for RecordsUnavailable {
    fn from(error: StoreError) -> Self {
        Self {
            reason: error.to_string(),
        }
    }
}

/// Where client connections are recorded. Nothing here waits for the store.
pub trait ConnectionLog: Send + Sync + 'static {
    /// A client came.
    ///
    /// # Errors
    /// When it can't be recorded.
    fn opened(&self, connection: ClientConnection) -> Result<(), RecordsUnavailable>;

    /// It turned out who a client is.
    ///
    /// # Errors
    /// When it can't be recorded.
    fn identified(&self, id: ConnectionId, identity: &str) -> Result<(), RecordsUnavailable>;

    /// A client left.
    ///
    /// # Errors
    /// When it can't be recorded.
    fn closed(&self, id: ConnectionId, at: UnixMillis) -> Result<(), RecordsUnavailable>;
}

impl ConnectionLog for Store {
    fn opened(&self, connection: ClientConnection) -> Result<(), RecordsUnavailable> {
        Ok(self.connection_opened(connection)?)
    }

    fn identified(&self, id: ConnectionId, identity: &str) -> Result<(), RecordsUnavailable> {
        Ok(self.connection_identified(id, identity)?)
    }

    fn closed(&self, id: ConnectionId, at: UnixMillis) -> Result<(), RecordsUnavailable> {
        Ok(self.connection_closed(id, at)?)
    }
}
