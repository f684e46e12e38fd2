//! Reads a clearing file, a line at a time.

use std::io::{self, Read};

use iso8583::Message;

use super::format::{DateOf, IpmFormat};
use super::message::{Dialects, private};
use super::presentment::{Presentment, Wrong, date};
use super::records::{RecordError, Records};
use crate::payment::moment::BusinessDate;
use crate::settlement::report::fault::{Fault, Faults, ReportError};
use crate::settlement::report::line::ReportLine;
use crate::settlement::report::step::{Step, Steps};

/// The function codes (DE 24) of a header and a trailer.
const HEADER: u64 = 697;
const TRAILER: u64 = 695;

/// A clearing file that is being read: an iterator over its lines, each of which counts only when the last one has come
/// without an error. The number of a line is that of its record. After the first fault it yields nothing but the error, at
/// the end of the file, which names all of them; records can't be found any more after one whose length is wrong.
pub struct IpmReader<'f, R> {
    format: &'f IpmFormat,
    dialects: Dialects,
    records: Records<R>,
    /// The file that is open: between its header and its trailer.
    open: Option<Open>,
    /// Whether there was a header.
    has_begun: bool,
    faults: Faults,
    is_done: bool,
}

/// What the messages of a file come to so far.
struct Open {
    date: Option<BusinessDate>,
    messages: u64,
    amount: u128,
    /// Whether all amounts are in the sum.
    is_summed: bool,
}

impl<'f, R: Read> IpmReader<'f, R> {
    /// Looks at the beginning of the file to see whether it has blocks.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn new(format: &'f IpmFormat, from: R) -> Result<Self, ReportError> {
        let failed = |source| ReportError::Read { line: 0, source };
        let dialects = Dialects::read();
        Ok(Self {
            format,
            dialects: dialects.map_err(|error| failed(io::Error::other(error)))?,
            records: Records::new(from).map_err(failed)?,
            open: None,
            has_begun: false,
            faults: Faults::default(),
            is_done: false,
        })
    }

    /// What the record says that was read just now.
    fn message(&mut self) -> Step {
        let record = self.records.record();
        let number = self.records.number();
        let fault = |de: Option<u8>, offset: usize, expected: String, got: &str| {
            let offset = u64::try_from(offset).unwrap_or(u64::MAX);
            let byte = self.records.offset_in_record(offset);
            let place = match de {
                Some(de) => format!("DE {de}, byte {byte}"),
                None => format!("byte {byte}"),
            };
            Fault::new(number, Some(&place), expected, got)
        };
        let decoded = match self.dialects.of(record).decode(record) {
            Ok(message) if !message.has(1) => Err(fault(
                Some(1),
                4,
                "bitmaps of 128 bits".to_owned(),
                "64 bits",
            )),
            Ok(message) => Ok(message),
            Err(error) => Err(fault(
                error.de(),
                error.offset(),
                error.expected().to_owned(),
                error.got(),
            )),
        };
        let is_counted = decoded.is_ok();
        let read = decoded.and_then(|message| {
            let wrong = |it: Wrong| fault(Some(it.de), it.offset, it.expected, &it.got);
            said(self.format, &mut self.open, &message, number).map_err(wrong)
        });
        self.has_begun |= self.open.is_some();
        match read {
            Ok(Some(line)) if self.faults.count == 0 => Step::Line(Box::new(line)),
            Ok(_) => Step::Nothing,
            Err(fault) => {
                self.faults.add(fault);
                match &mut self.open {
                    // Other records may be wrong too.
                    Some(open) => {
                        open.is_summed = false;
                        let uncounted = u64::from(!is_counted);
                        open.messages = open.messages.saturating_add(uncounted);
                        Step::Nothing
                    }
                    None if self.has_begun => Step::Nothing,
                    // It is another kind of file.
                    None => Step::End,
                }
            }
        }
    }
}

impl<R: Read> Steps for IpmReader<'_, R> {
    fn step(&mut self) -> Result<Step, ReportError> {
        match self.records.advance() {
            Ok(true) => Ok(self.message()),
            Ok(false) => {
                let expected = match (&self.open, self.records.number()) {
                    (Some(_), _) => "a trailer (message type 1644, function code 695)",
                    (None, 0) => "a header (message type 1644, function code 697)",
                    (None, _) => return Ok(Step::End),
                };
                let got = "the end of the file";
                let fault = Fault::new(self.records.number(), None, expected, got);
                self.faults.add(fault);
                Ok(Step::End)
            }
            Err(RecordError::Read(source)) => {
                let line = self.records.number();
                Err(ReportError::Read { line, source })
            }
            Err(RecordError::Misframed(found)) => {
                let place = format!("byte {}", found.offset);
                let number = self.records.number();
                let fault = Fault::new(number, Some(&place), found.expected, &found.got);
                self.faults.add(fault);
                Ok(Step::End)
            }
        }
    }

    fn end(&mut self) -> Result<(), ReportError> {
        match self.faults.count {
            0 => Ok(()),
            _ => Err(ReportError::Faults(std::mem::take(&mut self.faults))),
        }
    }

    fn is_done(&mut self) -> &mut bool {
        &mut self.is_done
    }
}

/// The line that a message is, where it is one; and what it adds to the file.
fn said(
    format: &IpmFormat,
    open: &mut Option<Open>,
    message: &Message<'_>,
    number: u64,
) -> Result<Option<ReportLine>, Wrong> {
    let mti = message.mti().ascii();
    let function = message.number(24).unwrap_or_default();
    let is_header = mti == *b"1644" && function == HEADER;
    let Some(file) = open else {
        if !is_header {
            let expected = "a header (message type 1644, function code 697)";
            return Err(instead(expected, message, function));
        }
        *open = Some(begun(format, message)?);
        return Ok(None);
    };
    file.messages = file.messages.saturating_add(1);
    if is_header {
        let expected = "a trailer (message type 1644, function code 695) before the next header";
        return Err(instead(expected, message, function));
    }
    let is_chargeback = match &mti {
        b"1644" if function == TRAILER => {
            let ended = end_of(file, message);
            *open = None;
            return ended.map(|()| None);
        }
        b"1644" => return Ok(None),
        b"1240" => false,
        b"1442" => true,
        b"1740" => {
            file.add(message);
            return Ok(None);
        }
        _ => {
            let expected = "a message of type 1240, 1442, 1644 or 1740";
            return Err(instead(expected, message, function));
        }
    };
    file.add(message);
    let presentment = Presentment {
        format,
        message,
        number,
        file_date: file.date,
        is_chargeback,
    };
    presentment.line()
}

/// Another message than one that has a place here.
fn instead(expected: &str, message: &Message<'_>, function: u64) -> Wrong {
    let mti = message.mti();
    Wrong {
        de: 24,
        offset: message.offset(24).unwrap_or_default(),
        expected: expected.to_owned(),
        got: format!("message type {mti}, function code {function:03}"),
    }
}

impl Open {
    /// Adds the amount of a message (DE 4), whatever its currency: the sum is a check, and no money.
    fn add(&mut self, message: &Message<'_>) {
        let amount = u128::from(message.number(4).unwrap_or_default());
        self.amount = self.amount.saturating_add(amount);
    }
}

/// What a header begins.
fn begun(format: &IpmFormat, header: &Message<'_>) -> Result<Open, Wrong> {
    // File type (3), date (YYMMDD), processor (11), number (5).
    let id = needed(header, "0105").ok();
    let file_date = id.as_deref().and_then(|id| date(id.get(3..)?));
    if file_date.is_none() && format.date == DateOf::File {
        let expected = "PDS 0105 with the date of the file";
        return Err(at_private(header, expected, &id.unwrap_or_default()));
    }
    Ok(Open {
        date: file_date,
        messages: 1,
        amount: 0,
        is_summed: true,
    })
}

/// Compares what a trailer says with what came before it: how many messages, the header and itself too, and the sum of
/// their amounts.
fn end_of(file: &Open, trailer: &Message<'_>) -> Result<(), Wrong> {
    for (tag, what, expected) in [
        ("0306", "messages", Some(u128::from(file.messages))),
        (
            "0301",
            "as the sum of amounts",
            Some(file.amount).filter(|_| file.is_summed),
        ),
    ] {
        let said = needed(trailer, tag)?;
        let is_number = said.bytes().all(|byte| byte.is_ascii_digit());
        let number: Option<u128> = said.parse().ok().filter(|_| is_number);
        let is_right = match expected {
            Some(expected) => number == Some(expected),
            None => number.is_some(),
        };
        if !is_right {
            let expected = expected.map_or("a number".to_owned(), |it| it.to_string());
            let expected = format!("PDS {tag}: {expected} {what}");
            let got = number.map_or(said, |number| number.to_string());
            return Err(at_private(trailer, &expected, &got));
        }
    }
    Ok(())
}

fn needed(message: &Message<'_>, tag: &str) -> Result<String, Wrong> {
    let found = private(message, tag).map_err(|fault| Wrong {
        de: fault.de,
        offset: fault.offset,
        expected: fault.expected.to_owned(),
        got: "other characters".to_owned(),
    })?;
    found.ok_or_else(|| at_private(message, &format!("PDS {tag}"), "none"))
}

fn at_private(message: &Message<'_>, expected: &str, got: &str) -> Wrong {
    Wrong {
        de: 48,
        offset: message.offset(48).unwrap_or_default(),
        expected: expected.to_owned(),
        got: got.to_owned(),
    }
}

impl<R: Read> Iterator for IpmReader<'_, R> {
    type Item = Result<ReportLine, ReportError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_line()
    }
}

#[cfg(test)]
mod tests;
