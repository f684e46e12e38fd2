//! What a link has to say about answers that decided nothing. Where its lines stand is on the status
//! board, not here: notices are bounded, and a line that flaps must not displace an answer.

use std::fmt;

use crate::payment::decline::ResponseCode;
use crate::payment::ids::{HostId, OperationId};
use crate::payment::moment::UnixMillis;
use crate::payment::reference::{Rrn, Stan};

use super::match_key::ReceivedKey;

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
        /// When it came.
        at: UnixMillis,
    },
    /// A message that matched nothing. Boxed, because it is rare and large.
    Quarantined(Box<Quarantined>),
}

/// A message in the quarantine: everything that may be kept of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    /// Which host.
    pub host_id: HostId,
    /// Which of its lines, from 0.
    pub line: usize,
    /// Why it is here.
    pub reason: QuarantineReason,
    /// Its message type, four digits; `None` when not even that could be read.
    pub mti: Option<String>,
    /// DE 11, where there is a valid one.
    pub stan: Option<Stan>,
    /// DE 37, where there is a valid one.
    pub rrn: Option<Rrn>,
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
        /// What is wrong, and where.
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

/// A part of the key under which a response finds its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyField {
    /// The message type.
    Mti,
    /// DE 4, amount.
    Amount,
    /// DE 7, transmission date and time.
    TransmissionDateTime,
    /// DE 11, system trace audit number.
    Stan,
    /// DE 37, retrieval reference number.
    Rrn,
    /// DE 41, card acceptor terminal identification.
    TerminalId,
    /// DE 49, currency code, transaction.
    Currency,
}

impl KeyField {
    /// Every part that has a DE number.
    pub const DES: [Self; 6] = [
        Self::Amount,
        Self::TransmissionDateTime,
        Self::Stan,
        Self::Rrn,
        Self::TerminalId,
        Self::Currency,
    ];

    /// Its DE number; `None` for the MTI.
    #[must_use]
    pub fn de(self) -> Option<u8> {
        match self {
            Self::Mti => None,
            Self::Amount => Some(4),
            Self::TransmissionDateTime => Some(7),
            Self::Stan => Some(11),
            Self::Rrn => Some(37),
            Self::TerminalId => Some(41),
            Self::Currency => Some(49),
        }
    }
}

impl fmt::Display for KeyField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.de() {
            None => f.write_str("MTI"),
            Some(de) => write!(f, "DE {de}"),
        }
    }
}
