//! The kinds of reports that hosts send, and a report of either kind that is being read.

use std::io::Read;

use serde::{Deserialize, Deserializer};

use super::fault::ReportError;
use super::format::{CsvFormat, Field};
use super::ipm::format::IpmFormat;
use super::ipm::reader::IpmReader;
use super::line::ReportLine;
use super::reader::CsvReader;
use crate::settlement::format_error::{FormatError, Reading};

const READING: Reading = Reading("settlement.report");

/// What a host's settlement reports look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportFormat {
    /// Columns with names.
    Csv(CsvFormat),
    /// Mastercard's clearing file.
    Ipm(IpmFormat),
}

#[derive(Clone, Copy)]
enum FileKind {
    Csv,
    Ipm,
}

impl FileKind {
    const WORDS: [(&'static str, Self); 2] = [("csv", Self::Csv), ("ipm", Self::Ipm)];
}

impl ReportFormat {
    /// Reads the table `[settlement.report]` of a profile.
    ///
    /// # Errors
    /// The first fault that it has, with its key, what was expected and what came.
    pub fn from_table(mut table: toml::Table) -> Result<Self, FormatError> {
        let kind = match table.remove("format") {
            None => FileKind::Csv,
            Some(toml::Value::String(word)) => READING.word("format", &word, &FileKind::WORDS)?,
            Some(other) => {
                let got = format!("a value of type {}", other.type_str());
                return Err(READING.fault("format", "a text", got));
            }
        };
        Ok(match kind {
            FileKind::Csv => Self::Csv(CsvFormat::from_table(table)?),
            FileKind::Ipm => Self::Ipm(IpmFormat::from_table(table)?),
        })
    }

    /// In how many files the bank reports a date; none where it is one.
    #[must_use]
    pub const fn cycles(&self) -> Option<i64> {
        match self {
            Self::Csv(format) => format.cycles,
            Self::Ipm(format) => format.cycles,
        }
    }

    /// Whether such a report has columns, and one of them is for `field`.
    #[must_use]
    pub fn has_column(&self, field: Field) -> bool {
        match self {
            Self::Csv(format) => format.column(field).is_some(),
            Self::Ipm(_) => false,
        }
    }

    /// The lines of a report.
    ///
    /// # Errors
    /// When it can't be read, or its beginning is none of such a report.
    pub fn read<R: Read>(&self, from: R) -> Result<ReportReader<'_, R>, ReportError> {
        Ok(match self {
            Self::Csv(format) => ReportReader::Csv(Box::new(CsvReader::new(format, from)?)),
            Self::Ipm(format) => ReportReader::Ipm(Box::new(IpmReader::new(format, from)?)),
        })
    }
}

/// As [`ReportFormat::from_table`] does.
impl<'de> Deserialize<'de> for ReportFormat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let table = toml::Table::deserialize(deserializer)?;
        Self::from_table(table).map_err(serde::de::Error::custom)
    }
}

/// A report that is being read: its lines, each of which counts only when the last one has come without an error.
pub enum ReportReader<'f, R> {
    /// Columns with names.
    Csv(Box<CsvReader<'f, R>>),
    /// Mastercard's clearing file.
    Ipm(Box<IpmReader<'f, R>>),
}

impl<R: Read> Iterator for ReportReader<'_, R> {
    type Item = Result<ReportLine, ReportError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Csv(reader) => reader.next(),
            Self::Ipm(reader) => reader.next(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_names_the_format() {
        let read = |text: &str| ReportFormat::from_table(toml::from_str(text).unwrap());
        assert!(matches!(
            read("format = \"ipm\"").unwrap(),
            ReportFormat::Ipm(_)
        ));
        for (text, expected) in [
            (
                "format = \"xml\"",
                "settlement.report.format: expected one of \"csv\", \"ipm\", got \"xml\"",
            ),
            (
                "format = 1",
                "settlement.report.format: expected a text, got a value of type integer",
            ),
        ] {
            assert_eq!(read(text).unwrap_err().to_string(), expected);
        }
        let csv = read("separator = \";\"").unwrap_err().to_string();
        assert!(csv.contains("missing field"), "{csv}");
    }
}
