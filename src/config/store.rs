//! Where the records are kept.

use serde::{Deserialize, Serialize};

/// The store's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// `sqlite://PATH` or `postgres://USER@HOST/DATABASE`.
    pub url: String,
    /// Connections for reading, 1 to 64; writing has one of its own.
    pub read_connections: u32,
    /// The most records that share one transaction, 1 to 1000.
    pub batch_records: usize,
    /// The most records that wait for a transaction before new ones are refused, 1 to 100,000.
    pub queued_records: usize,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            url: "sqlite://payswitch.db".into(),
            read_connections: 4,
            batch_records: 256,
            queued_records: 4096,
        }
    }
}
