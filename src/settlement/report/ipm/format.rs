//! What a host's IPM files have that differs from one host to the next.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::settlement::format_error::{FormatError, Reading};
use crate::settlement::report::format::{ReportKind, cycles};

const READING: Reading = Reading("settlement.report");

/// Which date of a file is the business date of its lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateOf {
    /// Of the transaction, by the clock of its acceptor (DE 12).
    Transaction,
    /// Of the file (PDS 0105 of its header).
    File,
}

impl DateOf {
    const WORDS: [(&'static str, Self); 2] =
        [("transaction", Self::Transaction), ("file", Self::File)];
}

/// What a host's IPM files look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpmFormat {
    /// Which date counts.
    pub date: DateOf,
    /// In how many files the bank reports a date; none where it is one.
    pub cycles: Option<i64>,
    /// By the first two digits of the processing code (DE 3): what a presentment is; none of those that are left out.
    pub kinds: BTreeMap<String, Option<ReportKind>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IpmFile {
    date: Option<String>,
    cycles: Option<i64>,
    capture: Option<Vec<String>>,
    refund: Option<Vec<String>>,
    #[serde(default)]
    ignore: Vec<String>,
}

impl IpmFormat {
    /// Reads the table `[settlement.report]` of a profile, without its `format`.
    ///
    /// # Errors
    /// The first fault that it has, with its key, what was expected and what came.
    pub fn from_table(table: toml::Table) -> Result<Self, FormatError> {
        let raw: IpmFile = READING.table(table)?;
        let date = raw.date.as_deref().unwrap_or("transaction");
        let date = READING.word("date", date, &DateOf::WORDS)?;
        let or = |codes: Option<Vec<String>>, code: &str| codes.unwrap_or(vec![code.to_owned()]);
        let mut kinds = BTreeMap::new();
        for (key, codes, kind) in [
            ("capture", or(raw.capture, "00"), Some(ReportKind::Capture)),
            ("refund", or(raw.refund, "20"), Some(ReportKind::Refund)),
            ("ignore", raw.ignore, None),
        ] {
            for code in codes {
                let is_code = code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_digit());
                if !is_code {
                    let expected = "the first two digits of processing codes";
                    return Err(READING.fault(key, expected, format!("{code:?}")));
                }
                if kinds.contains_key(&code) {
                    let expected = "codes that stand for one kind each";
                    return Err(READING.fault(key, expected, format!("{code:?} again")));
                }
                kinds.insert(code, kind);
            }
        }
        let cycles = raw.cycles.map(cycles).transpose()?;
        Ok(Self {
            date,
            cycles,
            kinds,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<IpmFormat, String> {
        let table = toml::from_str(text).unwrap();
        IpmFormat::from_table(table).map_err(|error| error.to_string())
    }

    #[test]
    fn a_profile_says_which_codes_are_what() {
        let usual = read("").unwrap();
        assert_eq!(usual.date, DateOf::Transaction);
        let kinds = [
            ("00".to_owned(), Some(ReportKind::Capture)),
            ("20".to_owned(), Some(ReportKind::Refund)),
        ];
        assert_eq!(usual.kinds, BTreeMap::from(kinds));
        let own = read("date = \"file\"\ncapture = [\"00\", \"09\"]\nignore = [\"01\"]").unwrap();
        assert_eq!(own.date, DateOf::File);
        assert_eq!(own.kinds.get("09"), Some(&Some(ReportKind::Capture)));
        assert_eq!(own.kinds.get("01"), Some(&None));
        for (text, expected) in [
            (
                "date = \"today\"",
                "settlement.report.date: expected one of \"transaction\", \"file\", got \"today\"",
            ),
            (
                "refund = [\"2\"]",
                "settlement.report.refund: expected the first two digits of processing codes, got \"2\"",
            ),
            (
                "ignore = [\"00\"]",
                "settlement.report.ignore: expected codes that stand for one kind each, got \"00\" again",
            ),
        ] {
            assert_eq!(read(text).unwrap_err(), expected);
        }
        assert!(read("separator = \";\"").is_err());
    }
}
