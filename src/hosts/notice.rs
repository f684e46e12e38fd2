//! Notices of a line: answers that decided nothing. The state of lines is on the status board, not here:
//! notices are bounded, and a line that comes and goes must not displace an answer.

use std::fmt;

use tokio::sync::oneshot;

use crate::payment::decline::ResponseCode;
use crate::payment::ids::{HostId, OperationId};
use crate::payment::moment::{BusinessDate, UnixMillis};
use crate::payment::reference::{Rrn, Stan};

use super::exchange::Exchange;
use super::message::match_key::{KeyField, ReceivedKey};

/// Something that the store should keep, or an operator should see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostNotice {
    /// An answer that did not decide its operation: the waiter had given up, or the answer does not
    /// say for certain what the bank did. Said once for each operation: a second answer is a
    /// duplicate and goes to the quarantine.
    LateResponse {
        /// Which host.
        host_id: HostId,
        /// The operation it answers.
        operation_id: OperationId,
        /// DE 39.
        response_code: ResponseCode,
        /// DE 38; empty when the bank sent none.
        approval_code: String,
        /// What the answer means.
        exchange: Exchange,
        /// When it came.
        at: UnixMillis,
    },
    /// A message that matched nothing. Boxed, because it is rare and large.
    Quarantined(Box<Quarantined>),
}

/// A host has begun another date (0800 with DE 70 = 201). It is answered once that is recorded.
#[derive(Debug)]
pub struct HostCutover {
    /// Which host.
    pub host_id: HostId,
    /// The date that it has begun.
    pub next: BusinessDate,
    /// Whether it is recorded, or is refused. Dropped, it is not answered, and the host says it again.
    pub recorded: oneshot::Sender<bool>,
}

/// A message in the quarantine: everything that may be kept of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Which host.
    pub host_id: HostId,
    /// Which of its lines, from 1.
    pub line: usize,
    /// Why it is here.
    pub reason: QuarantineReason,
    /// Its message type, four digits; `None` when not even that could be read.
    pub mti: Option<String>,
    /// DE 11, where there is a valid one.
    pub stan: Option<Stan>,
    /// DE 37, where there is a valid one.
    pub rrn: Option<Rrn>,
    /// Whether people may see DE 37: it may hold a part of a PAN.
    pub shows_rrn: bool,
    /// DE 39, where there is a valid one.
    pub response_code: Option<ResponseCode>,
    /// DE 38; empty when there is none.
    pub approval_code: String,
    /// By what it would be matched, where it is a message.
    pub key: Option<ReceivedKey>,
    /// Its bytes in hex, with everything secret masked.
    pub masked: String,
    /// When it came.
    pub at: UnixMillis,
}

impl Quarantined {
    /// DE 37, where people may see it.
    #[must_use]
    pub fn shown_rrn(&self) -> Option<Rrn> {
        self.rrn.filter(|_| self.shows_rrn)
    }
}

/// Why a message is in the quarantine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QuarantineReason {
    /// It answers what was answered before.
    Duplicate,
    /// No request of this line is known under its STAN.
    NoMatch,
    /// A request is known under its STAN, but these parts of the key differ.
    KeyMismatch {
        /// The parts, in the order of the key; never empty.
        fields: Vec<KeyField>,
    },
    /// It could not be read. The line was dropped, unless what it answers could.
    Undecodable {
        /// The error, and its place in the message.
        detail: String,
    },
    /// A request from the bank that payswitch does not serve.
    UnexpectedRequest,
    /// It answers a request and does not say what the bank decided: DE 39 is missing or unreadable.
    NoResponseCode,
}

impl QuarantineReason {
    /// The name that the store and the logs use.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Duplicate => "DUPLICATE",
            Self::NoMatch => "NO_MATCH",
            Self::KeyMismatch { .. } => "KEY_MISMATCH",
            Self::Undecodable { .. } => "UNDECODABLE",
            Self::UnexpectedRequest => "UNEXPECTED_REQUEST",
            Self::NoResponseCode => "NO_RESPONSE_CODE",
        }
    }
}

/// Shows the name, and what differs or is wrong.
impl fmt::Display for QuarantineReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::KeyMismatch { fields } => {
                for (index, field) in fields.iter().enumerate() {
                    f.write_str(if index == 0 { ": " } else { ", " })?;
                    write!(f, "{field}")?;
                }
                Ok(())
            }
            Self::Undecodable { detail } => write!(f, ": {detail}"),
            Self::Duplicate | Self::NoMatch | Self::UnexpectedRequest | Self::NoResponseCode => {
                Ok(())
            }
        }
    }
}
