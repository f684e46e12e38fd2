//! What can be wrong with a statement.

use crate::settlement::iso20022::error::{Iso20022Error, Iso20022Fault};
use crate::settlement::position::Position;
use crate::settlement::shown::shown;

/// Why a statement can't be read, and where that stands.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{position}: {fault}")]
pub struct StatementError {
    /// Where the element, field or record begins that is wrong.
    pub position: Position,
    /// What is wrong with it.
    pub fault: StatementFault,
}

/// What is wrong with a statement.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StatementFault {
    /// An ISO 20022 message does not read.
    #[error(transparent)]
    Iso20022(#[from] Iso20022Fault),
    /// The file can't be read.
    #[error("expected bytes of the file, got an error: {0}")]
    Read(String),
    /// Something is not what it has to be.
    #[error("{of}: expected {expected}, got {got}")]
    Other {
        /// The field, record or element.
        of: String,
        /// What it may be.
        expected: String,
        /// What it is.
        got: String,
    },
}

impl From<Iso20022Error> for StatementError {
    fn from(error: Iso20022Error) -> Self {
        Self {
            position: error.position,
            fault: error.fault.into(),
        }
    }
}

impl StatementError {
    /// Something of the file is not what it has to be. `got` is a text of the file: its beginning is shown, and no card
    /// number.
    pub(super) fn text(position: Position, of: &str, expected: &str, got: &str) -> Self {
        Self::value(position, of, expected, format!("{:?}", shown(got)))
    }

    /// The same, where what came is no text of the file.
    pub(in crate::reconciliation) fn value(
        position: Position,
        of: &str,
        expected: impl ToString,
        got: impl ToString,
    ) -> Self {
        Self {
            position,
            fault: StatementFault::Other {
                of: of.to_owned(),
                expected: expected.to_string(),
                got: got.to_string(),
            },
        }
    }

    /// The file can't be read.
    pub(super) fn read(position: Position, error: &std::io::Error) -> Self {
        Self {
            position,
            fault: StatementFault::Read(error.to_string()),
        }
    }
}
