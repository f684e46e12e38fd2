//! What is counted and listed of statements of bank accounts.

use std::fmt;
use std::str::FromStr;

use crate::payment::bank_statement::BankLine;

/// The lines of a statement, by where they stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LineCounts {
    /// Those that are matched.
    pub matched: i64,
    /// Those that fit nothing, or nothing that is free.
    pub unmatched: i64,
    /// Those that fit two things.
    pub ambiguous: i64,
    /// Those that are not booked.
    pub not_counted: i64,
}

/// The place of a line in the list of its account: `3:7`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinePlace {
    /// Which statement of the account it came by first.
    pub ordinal: i64,
    /// Its number in the file.
    pub number: i64,
}

impl LinePlace {
    /// The place of a line.
    #[must_use]
    pub const fn of(line: &BankLine) -> Self {
        Self {
            ordinal: line.ordinal,
            number: line.number,
        }
    }
}

impl fmt::Display for LinePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.ordinal, self.number)
    }
}

/// A text that names no place of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected two numbers and a colon between them")]
pub struct InvalidPlace;

impl FromStr for LinePlace {
    type Err = InvalidPlace;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (ordinal, number) = text.split_once(':').ok_or(InvalidPlace)?;
        Ok(Self {
            ordinal: ordinal.parse().map_err(|_| InvalidPlace)?,
            number: number.parse().map_err(|_| InvalidPlace)?,
        })
    }
}
