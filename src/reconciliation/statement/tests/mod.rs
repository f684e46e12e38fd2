use super::error::StatementError;
use super::format::{StatementFormat, read_statements};
use super::part::*;
use crate::payment::bank_statement::{Balance, LineState, StatementKind};
use crate::payment::moment::BusinessDate;

mod bai2;
mod camt;
mod mt940;
mod random;
mod samples;

fn date(text: &str) -> BusinessDate {
    text.parse().unwrap()
}

/// The day on which the files are read.
fn today() -> BusinessDate {
    date("2026-12-02")
}

fn read(format: StatementFormat, text: &str) -> Result<Vec<StatementPart>, StatementError> {
    read_statements(format, text.as_bytes(), today()).collect()
}

/// The lines of a file that is right.
fn lines(format: StatementFormat, text: &str) -> Vec<StatementLine> {
    let parts = read(format, text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let line = |part| match part {
        StatementPart::Line(line) => Some(line),
        StatementPart::Begin(_) | StatementPart::End(_) => None,
    };
    parts.into_iter().filter_map(line).collect()
}

/// The amounts of its lines, and whether each undoes another.
fn movements(format: StatementFormat, text: &str) -> Vec<(i64, bool)> {
    let lines = lines(format, text);
    lines
        .iter()
        .map(|line| (line.amount_minor, line.reverses))
        .collect()
}

/// The heads and ends of the statements of a file that is right.
fn statements(format: StatementFormat, text: &str) -> Vec<(StatementHead, StatementEnd)> {
    let parts = read(format, text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let (mut heads, mut ends) = (Vec::new(), Vec::new());
    for part in parts {
        match part {
            StatementPart::Begin(head) => heads.push(head),
            StatementPart::End(end) => ends.push(end),
            StatementPart::Line(_) => {}
        }
    }
    assert_eq!(heads.len(), ends.len());
    heads.into_iter().zip(ends).collect()
}

/// The error of a file that is wrong, with its line.
fn refused(format: StatementFormat, text: &str) -> (u64, String) {
    let error = read(format, text).expect_err(text);
    (error.position.line, error.fault.to_string())
}

/// Every reader takes a file in pieces of any size, and says nothing behind an error.
#[test]
fn an_error_is_the_last_that_is_read() {
    for format in [
        StatementFormat::Camt,
        StatementFormat::Mt940,
        StatementFormat::Bai2,
    ] {
        for text in ["", "x", "<a/>", ":61:1", "16,1/"] {
            let mut parts = read_statements(format, text.as_bytes(), today());
            assert!(parts.next().unwrap().is_err(), "{format:?} {text:?}");
            assert!(parts.next().is_none());
        }
    }
}
