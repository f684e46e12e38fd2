//! The records of a file: each begins with two digits and a comma, and ends in a slash, but for a detail with a text, which
//! ends with its line. 88 continues whatever came before. A line may hold several records; none may stand behind a text.

use std::io::Read;

use super::record::{Code, Record};
use crate::reconciliation::statement::error::StatementError;
use crate::reconciliation::statement::text::{MOST_FIELD_BYTES, next_line};
use crate::settlement::lines::Lines;
use crate::settlement::position::Position;

/// The records of a file, one at a time.
pub(super) struct Records<R> {
    lines: Lines<R>,
    /// What is not read yet of the line, and where that begins.
    rest: String,
    position: Position,
    record: Option<Record>,
    bytes: usize,
}

impl<R: Read> Records<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            lines: Lines::new(input),
            rest: String::new(),
            position: Position::BEGIN,
            record: None,
            bytes: 0,
        }
    }

    /// Where the record begins that was read last.
    pub(super) const fn position(&self) -> Position {
        self.position
    }

    /// The next record with all that continue it; none at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<Record>, StatementError> {
        loop {
            let begin = self.rest.len() - self.rest.trim_start().len();
            self.skip(begin);
            if self.rest.is_empty() {
                let Some((position, line)) = next_line(&mut self.lines)? else {
                    return Ok(self.record.take());
                };
                line.trim_end().clone_into(&mut self.rest);
                self.position = position;
                continue;
            }
            let code = self.code()?;
            if code != Code::Continuation
                && let Some(record) = self.record.take()
            {
                return Ok(Some(record));
            }
            self.read(code)?;
        }
    }

    /// The code at the beginning of the rest.
    fn code(&self) -> Result<Code, StatementError> {
        let code = self
            .rest
            .split_once(',')
            .and_then(|(code, _)| Code::of(code));
        code.ok_or_else(|| {
            let expected = "01, 02, 03, 16, 49, 88, 98 or 99 and a comma";
            StatementError::text(self.position, "record", expected, &self.rest)
        })
    }

    /// Reads one record, behind those that it continues.
    fn read(&mut self, code: Code) -> Result<(), StatementError> {
        let position = self.position;
        let mut record = match (code, self.record.take()) {
            (Code::Continuation, None) => {
                let expected = "a record before it, which it continues";
                return Err(StatementError::value(position, "88", expected, "none"));
            }
            (_, Some(record)) => record,
            (code, None) => {
                self.bytes = 0;
                Record {
                    code,
                    position,
                    segments: Vec::new(),
                    text: None,
                    physical: 0,
                }
            }
        };
        record.physical += 1;
        self.bytes = self.bytes.saturating_add(self.rest.len());
        if self.bytes > MOST_FIELD_BYTES {
            let expected = format!("at most {MOST_FIELD_BYTES} bytes, with all that continue it");
            let of = record.code.digits();
            return Err(StatementError::value(record.position, of, expected, "more"));
        }
        // The code and its comma.
        self.skip(3);
        let taken = match record.code {
            Code::Detail => take_detail(&mut record, code, &self.rest),
            _ => {
                let Some((fields, _)) = self.rest.split_once('/') else {
                    let expected = "a record that ends in /";
                    return Err(StatementError::text(
                        position,
                        code.digits(),
                        expected,
                        &self.rest,
                    ));
                };
                let own = fields.split(',').map(str::to_owned);
                record.segments.push(own.collect());
                fields.len() + 1
            }
        };
        self.skip(taken);
        self.record = Some(record);
        Ok(())
    }

    fn skip(&mut self, bytes: usize) {
        let rest = self.rest.split_off(bytes.min(self.rest.len()));
        self.rest = rest;
        let count = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.position.column = self.position.column.saturating_add(count);
        self.position.offset = self.position.offset.saturating_add(count);
    }
}

/// Takes the fields of a detail, or of what continues it, and its text. Gives how many bytes were taken.
fn take_detail(record: &mut Record, code: Code, rest: &str) -> usize {
    let mut fields: Vec<String> = record.segments.pop().unwrap_or_default();
    let mut left = rest;
    let mut ended = false;
    while !ended && fields.len() < fields_before_text(&fields) {
        let end = left.find([',', '/']).unwrap_or(left.len());
        let (field, behind) = left.split_at_checked(end).unwrap_or((left, ""));
        fields.push(field.to_owned());
        ended = !behind.starts_with(',');
        left = behind.get(1..).unwrap_or("");
    }
    let has_all = fields.len() >= fields_before_text(&fields);
    record.segments.push(fields);
    let taken = |left: &str| rest.len().saturating_sub(left.len());
    if ended || !has_all {
        return taken(left);
    }
    // A detail without a text says so with a slash in the place of it.
    if code == Code::Detail && left.starts_with('/') {
        return taken(left.get(1..).unwrap_or(""));
    }
    match &mut record.text {
        Some(text) => {
            text.push('\n');
            text.push_str(left);
        }
        None => record.text = Some(left.to_owned()).filter(|text| !text.is_empty()),
    }
    rest.len()
}

/// How many fields stand before the text: type, amount, funds type and what that has behind it, and two references.
pub(super) fn fields_before_text(fields: &[String]) -> usize {
    /// The most parts of an amount that is available on several days.
    const MOST_PARTS: usize = 99;
    let of_funds = match fields.get(2).map(|field| field.trim()) {
        Some("S") => 3,
        Some("V") => 2,
        Some("D") => {
            let parts = fields.get(3).and_then(|count| count.trim().parse().ok());
            1 + 2 * parts.unwrap_or(0_usize).min(MOST_PARTS)
        }
        _ => 0,
    };
    5 + of_funds
}
