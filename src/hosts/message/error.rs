//! Why a message can't be built.

use iso8583::EncodeError;

use crate::payment::operation_kind::OperationKind;

use super::amount::AmountNotExact;
use super::element::ElementName;
use crate::payment::reason::Reason;

/// Why a message can't be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// A data element can't be written in the host's dialect.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The amount can't be written exactly.
    #[error("DE 4: {0}")]
    Amount(#[from] AmountNotExact),
    /// A sub-element can't be written.
    #[error("DE {de}: expected a sub-element {tag} of at most {expected} ASCII characters")]
    Subelement {
        /// The data element.
        de: u8,
        /// The sub-element.
        tag: u16,
        /// The longest value that its length can say.
        expected: usize,
    },
    /// The message is longer than the framing can say.
    #[error("expected a message of at most {expected} bytes, got {got}")]
    TooLong {
        /// The limit.
        expected: usize,
        /// The length.
        got: usize,
    },
    /// The profile sends no message for this kind of operation.
    #[error("expected an operation that the profile sends a message for, got {}", .kind.name())]
    NoMapping {
        /// The kind.
        kind: OperationKind,
    },
    /// DE 41 does not fit, so that no answer could be matched.
    #[error("DE 41: expected a terminal of at most 8 characters, got {got}")]
    TerminalId {
        /// Its length.
        got: usize,
    },
    /// The merchant's time zone does not exist.
    #[error("expected an IANA time zone, got {got:?}")]
    TimeZone {
        /// The merchant's.
        got: String,
    },
    /// The message names the card, and the operation has none.
    #[error("expected an operation with its card, got one without")]
    NoCard,
    /// The message names its original, and the operation has none.
    #[error("expected an operation with its original, got one without")]
    NoOriginal,
    /// The message names a reason, and the operation has none, or one that the profile has no code for.
    #[error("expected an operation with a reason that the profile has a code for, got {}", .got.map_or("none", Reason::name))]
    Reason {
        /// The reason of the operation.
        got: Option<Reason>,
    },
    /// The record of the original lacks an element that the message repeats as it was sent.
    #[error("expected element {element} as the original sent it, got none")]
    NotRecorded {
        /// The element.
        element: ElementName,
    },
    /// An institution does not fit the original data.
    #[error("original data: expected DE {de} of at most 11 digits, got {got} characters")]
    Institution {
        /// The data element of the original.
        de: u8,
        /// Its length.
        got: usize,
    },
}
