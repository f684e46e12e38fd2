//! A copy of the messages that pass, for the demo. Off unless asked for: the bytes are clear.

use std::fmt;
use std::sync::Arc;

use iso8583::Dialect;
use iso8583::masked::{self, DescribedField};
use zeroize::Zeroizing;

use crate::payment::ids::HostId;
use crate::payment::moment::UnixMillis;

/// Which way a message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// From payswitch to the bank.
    ToHost,
    /// From the bank to payswitch.
    FromHost,
}

/// A message that passed. The bytes hold clear PANs: `Debug` shows none, and they are wiped when
/// the last copy is dropped.
#[derive(Clone)]
pub struct TappedMessage {
    /// Which host.
    pub host_id: HostId,
    /// Which way it went.
    pub direction: Direction,
    /// How it is written.
    pub dialect: Arc<Dialect>,
    /// The message, without its framing.
    pub bytes: Arc<Zeroizing<Vec<u8>>>,
    /// When.
    pub at: UnixMillis,
}

impl TappedMessage {
    /// Its fields for people, with everything secret masked; none when it can't be read.
    #[must_use]
    pub fn described(&self) -> Vec<DescribedField> {
        self.dialect
            .decode(&self.bytes)
            .map(|message| masked::describe(&self.dialect, &message))
            .unwrap_or_default()
    }

    /// Its bytes in hex, with everything secret masked.
    #[must_use]
    pub fn masked_hex(&self) -> String {
        masked::masked_hex(&self.dialect, &self.bytes)
    }
}

impl fmt::Debug for TappedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TappedMessage")
            .field("host_id", &self.host_id)
            .field("direction", &self.direction)
            .field("bytes", &format_args!("{} bytes", self.bytes.len()))
            .field("at", &self.at)
            .finish()
    }
}
