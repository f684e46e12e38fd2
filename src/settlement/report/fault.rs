//! What is wrong with a report.

use std::fmt;
use std::io;

use crate::settlement::shown::shown;

/// The most faults that are kept.
pub const MOST_FAULTS: usize = 100;

/// What is wrong with one line: the first thing that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The number of the line: 1 is that of the column names. Of a clearing file that of the record.
    pub line: u64,
    /// The column, where it is one. Of a clearing file the element and the byte of the file.
    pub column: Option<String>,
    /// What should be there.
    pub expected: String,
    /// What is there, cut, and without card numbers.
    pub got: String,
}

impl Fault {
    pub(super) fn new(
        line: u64,
        column: Option<&str>,
        expected: impl Into<String>,
        got: &str,
    ) -> Self {
        Self {
            line,
            column: column.map(str::to_owned),
            expected: expected.into(),
            got: shown(got),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        if let Some(column) = &self.column {
            write!(f, "{column}: ")?;
        }
        write!(f, "expected {}, got {:?}", self.expected, self.got)
    }
}

/// All that is wrong with a report.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Faults {
    /// The first [`MOST_FAULTS`], in the order of their lines.
    pub first: Vec<Fault>,
    /// How many lines have one.
    pub count: u64,
}

impl Faults {
    pub(super) fn add(&mut self, fault: Fault) {
        self.count = self.count.saturating_add(1);
        if self.first.len() < MOST_FAULTS {
            self.first.push(fault);
        }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} faults", self.count)?;
        for (index, fault) in self.first.iter().enumerate() {
            write!(f, "{} {fault}", if index == 0 { ":" } else { ";" })?;
        }
        Ok(())
    }
}

/// Why nothing of a report counts.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// It can't be read.
    #[error("the report can't be read after line {line}")]
    Read {
        /// The last line that was read.
        line: u64,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Its first line does not have the columns of the format.
    #[error("line 1: expected {expected}, got {got:?}")]
    Header {
        /// What should be there.
        expected: String,
        /// What is there, cut.
        got: String,
    },
    /// Lines of it are wrong.
    #[error("the report has {0}")]
    Faults(Faults),
}
