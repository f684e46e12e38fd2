//! Reads by kind: each has connections of its own, so that none waits for what another reads.

use std::sync::Arc;

use super::Database;
use super::canceller::Canceller;
use super::readers::Readers;
use crate::store::error::StoreError;

/// How many connections of a kind there may be.
const CONNECTIONS: std::ops::RangeInclusive<u32> = 1..=64;
/// Connections that look up callers who are not known: anybody can make these up.
const OF_UNKNOWN_CALLERS: u32 = 2;

/// What is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadKind {
    /// Keys and certificates that are not known yet.
    UnknownCallers,
    /// Those that were known a moment ago, and what a request was told before.
    Requests,
    /// Payments, and what their operations begin on.
    Payments,
    /// Lists, reports, and the work on settlement.
    Lists,
}

/// How many connections read at the most, where the settings say so many for a kind.
#[must_use]
pub fn most_readers(of_a_kind: u32) -> u64 {
    3 * u64::from(of_a_kind) + u64::from(OF_UNKNOWN_CALLERS)
}

/// The connections that read, of each kind.
#[derive(Debug)]
pub(in crate::store) struct ReadersByKind {
    unknown_callers: Readers,
    requests: Readers,
    payments: Readers,
    lists: Readers,
    canceller: Arc<Canceller>,
}

impl ReadersByKind {
    /// At most `most` (1 to 64) connections of each kind, of which none is open yet.
    pub(in crate::store) fn new(database: &Database, most: u32) -> Result<Self, StoreError> {
        if !CONNECTIONS.contains(&most) {
            return Err(StoreError::Configuration {
                expected: "1 to 64 read connections",
                got: most.to_string(),
            });
        }
        let canceller = Arc::new(Canceller::new(database.clone()));
        let readers = |most| Readers::new(database.clone(), Arc::clone(&canceller), most);
        Ok(Self {
            unknown_callers: readers(OF_UNKNOWN_CALLERS),
            requests: readers(most),
            payments: readers(most),
            lists: readers(most),
            canceller,
        })
    }

    pub(in crate::store) const fn of(&self, kind: ReadKind) -> &Readers {
        match kind {
            ReadKind::UnknownCallers => &self.unknown_callers,
            ReadKind::Requests => &self.requests,
            ReadKind::Payments => &self.payments,
            ReadKind::Lists => &self.lists,
        }
    }

    /// Lets running reads end and closes the connections, within bounds.
    pub(in crate::store) async fn close(&self) {
        tokio::join!(
            self.unknown_callers.close(),
            self.requests.close(),
            self.payments.close(),
            self.lists.close(),
        );
        self.canceller.close().await;
    }
}
