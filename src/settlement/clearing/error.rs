//! Why a clearing file was not written.

use std::io;

use super::value::{Row, Unfit};
use crate::payment::ids::SubjectId;
use crate::settlement::shown::shown;

/// Why a clearing file was not written. What was written of it is of no use.
#[derive(Debug, thiserror::Error)]
pub enum ClearingError {
    /// The place it is written to fails.
    #[error("the clearing file can't be written")]
    Write(#[from] io::Error),
    /// A value does not fit its field.
    #[error("item {sequence} ({subject_id}): {field}: expected {expected}, got {got:?}")]
    Field {
        /// The number of the item in the file.
        sequence: u64,
        /// The capture or refund.
        subject_id: SubjectId,
        /// The column, or the position of the field.
        field: String,
        /// What the field can hold.
        expected: String,
        /// What it should hold, without card numbers.
        got: String,
    },
    /// The items don't come in the order of their transaction codes.
    #[error(
        "item {sequence}: expected items in the order of their transaction codes, got {got} after {after}"
    )]
    Order {
        /// The number of the item in the file.
        sequence: u64,
        /// Its transaction code.
        got: String,
        /// The transaction code before.
        after: String,
    },
    /// There is more than the file's totals can say.
    #[error("item {sequence}: expected {expected}")]
    TooMuch {
        /// The number of the item in the file.
        sequence: u64,
        /// What the totals can say.
        expected: &'static str,
    },
}

impl ClearingError {
    pub(super) fn field(row: &Row<'_>, field: &str, unfit: Unfit) -> Self {
        Self::Field {
            sequence: row.sequence,
            subject_id: row.item.subject_id,
            field: field.to_owned(),
            expected: unfit.expected,
            got: shown(&unfit.got),
        }
    }
}
