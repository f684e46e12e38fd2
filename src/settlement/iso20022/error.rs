//! What can be wrong with a message of the bank.

use super::limits::{MAX_DEPTH, MAX_EVENT_BYTES};
use crate::payment::money::Currency;
use crate::settlement::position::Position;

/// Why a message can't be read, and where that stands.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{position}: {fault}")]
pub struct Iso20022Error {
    /// Where the element, tag or text begins that is wrong; the end of the file, where something is missing there.
    pub position: Position,
    /// What is wrong with it.
    pub fault: Iso20022Fault,
}

/// What is wrong with a message. Elements are named from the notification, report, statement or entry that they are in.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Iso20022Fault {
    /// It is no XML, or the file can't be read.
    #[error("expected well-formed XML: {0}")]
    Xml(#[from] quick_xml::Error),
    /// The file is too large.
    #[error("expected a file of at most {most_bytes} bytes, got more")]
    FileTooLarge {
        /// How many bytes it may have.
        most_bytes: u64,
    },
    /// A tag, text or comment is too long.
    #[error("expected a tag or text of at most {MAX_EVENT_BYTES} bytes, got more")]
    EventTooLong,
    /// Elements are in too many others.
    #[error("expected elements at most {MAX_DEPTH} deep, got one more")]
    TooDeep,
    /// It has a document type, which may define entities.
    #[error("expected no document type, got one")]
    DocumentType,
    /// It refers to an entity that XML itself does not define, or to a character that XML has not.
    #[error("expected lt, gt, amp, quot, apos or a character's number, got &{got};")]
    Entity {
        /// The reference, cut to 40 characters.
        got: String,
    },
    /// It has another encoding.
    #[error("expected the encoding UTF-8, got {got:?}")]
    Encoding {
        /// The encoding, cut to 40 characters.
        got: String,
    },
    /// It is another document.
    #[error("expected {expected}, got {got}")]
    Document {
        /// What there should be.
        expected: String,
        /// What there is, cut to 80 characters.
        got: String,
    },
    /// It ends within an element.
    #[error("expected the end of {element}, got the end of the file")]
    Unfinished {
        /// The element.
        element: String,
    },
    /// A text stands between elements.
    #[error("expected elements or a text, got both")]
    MixedContent,
    /// A mandatory element is not there.
    #[error("expected {element}, got {parent} without it")]
    Missing {
        /// The element.
        element: &'static str,
        /// The element that it should be in.
        parent: &'static str,
    },
    /// There are too many of something.
    #[error("expected at most {most} {element}, got one more")]
    TooMany {
        /// What there are too many of.
        element: String,
        /// How many there may be.
        most: usize,
    },
    /// An element that may be there once is there again.
    #[error("expected {element} once, got it again")]
    Repeated {
        /// The element.
        element: String,
    },
    /// A text is none that the element may have.
    #[error("{element}: expected {expected}, got {got:?}")]
    Value {
        /// The element, or attribute.
        element: String,
        /// What it may have.
        expected: String,
        /// What it has, cut to 40 characters.
        got: String,
    },
    /// An amount is in another currency than its account or entry.
    #[error("{element}: expected the currency {expected}, got {got}")]
    Currency {
        /// The element.
        element: String,
        /// The currency of the account or entry.
        expected: Currency,
        /// The amount's.
        got: Currency,
    },
    /// The amounts of an entry's transactions are not what the entry says.
    #[error(
        "NtryDtls/TxDtls: expected amounts that sum to {expected_minor} minor units, got {got_minor}"
    )]
    TransactionSum {
        /// The entry's amount.
        expected_minor: i64,
        /// What its transactions sum to, in the entry's direction.
        got_minor: i128,
    },
}
