//! How many messages a host has seen, by MTI.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use iso8583::Mti;

/// The most distinct MTIs that are counted apart; further ones are counted as `other`, so that
/// garbage on a line cannot grow the table.
const MAX_COUNTED_MTIS: usize = 64;

/// A host's counts since it was first started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostCounters {
    /// Messages received, by MTI.
    pub received: BTreeMap<String, u64>,
    /// Messages sent, by MTI.
    pub sent: BTreeMap<String, u64>,
    /// Connections that were accepted and passed the TLS handshake.
    pub connections: u64,
    /// Connections that failed the TLS handshake.
    pub refused_handshakes: u64,
    /// Lines dropped because of bytes that could not be read or matched to an answer.
    pub dropped_lines: u64,
}

impl HostCounters {
    /// How many messages of this MTI were received.
    #[must_use]
    pub fn received(&self, mti: &str) -> u64 {
        self.received.get(mti).copied().unwrap_or(0)
    }

    /// How many messages of this MTI were sent.
    #[must_use]
    pub fn sent(&self, mti: &str) -> u64 {
        self.sent.get(mti).copied().unwrap_or(0)
    }
}

/// The counts of one host, shared by its connections.
#[derive(Debug, Default)]
pub(crate) struct Counters(Mutex<HostCounters>);

impl Counters {
    pub(crate) fn snapshot(&self) -> HostCounters {
        self.with(|counters| counters.clone())
    }

    pub(crate) fn with<T>(&self, change: impl FnOnce(&mut HostCounters) -> T) -> T {
        // Counts stay meaningful even when a thread died while counting.
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn received(&self, mti: Mti) {
        self.with(|counters| count(&mut counters.received, mti));
    }

    pub(crate) fn sent(&self, mti: Mti) {
        self.with(|counters| count(&mut counters.sent, mti));
    }
}

fn count(table: &mut BTreeMap<String, u64>, mti: Mti) {
    let ascii = mti.ascii();
    let mti = str::from_utf8(&ascii).unwrap_or("other");
    if let Some(seen) = table.get_mut(mti) {
        *seen += 1;
    } else {
        let name = if table.len() < MAX_COUNTED_MTIS {
            mti
        } else {
            "other"
        };
        *table.entry(name.to_owned()).or_insert(0) += 1;
    }
}
