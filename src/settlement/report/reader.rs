//! Reads a report, a line at a time.

use std::io::Read;

use super::fault::{Fault, Faults, ReportError};
use super::fields::{Fields, Splitter};
use super::format::{CsvFormat, Field};
use super::line::{ReportLine, RowReader};
use super::step::{Step, Steps};
use super::totals::Totals;
use crate::settlement::lines::{Line, Lines};
use crate::settlement::shown::shown;

/// A report that is being read: an iterator over its lines, each of which counts only when the last one has come
/// without an error. After the first wrong line it yields nothing but the error, at the end of the report, which names
/// all wrong lines.
///
/// It reads to the end of what it reads from, so that a hash taken on the way is that of the whole report.
pub struct CsvReader<'f, R> {
    lines: Lines<R>,
    splitter: Splitter,
    body: Body<'f>,
    faults: Faults,
    is_done: bool,
}

/// What follows the names of the columns.
struct Body<'f> {
    format: &'f CsvFormat,
    /// Where the columns of the format are.
    places: Vec<(Field, usize)>,
    /// How many columns there are.
    width: usize,
    totals: Totals,
    /// Which file of its date it is, as its first line says.
    cycle: Option<i64>,
    /// Whether all lines are in the totals.
    is_summed: bool,
    has_ended: bool,
}

impl<'f, R: Read> CsvReader<'f, R> {
    /// Reads the names of the columns.
    ///
    /// # Errors
    /// When they can't be read, or a column of the format is not there, or there twice.
    pub fn new(format: &'f CsvFormat, from: R) -> Result<Self, ReportError> {
        let mut lines = Lines::new(from);
        let mut splitter = Splitter::new(format.separator);
        let header = |expected: String, got: &str| ReportError::Header {
            expected,
            got: shown(got),
        };
        let line = lines.next_line();
        let line = line.map_err(|source| ReportError::Read { line: 0, source })?;
        let Some(Line::Whole(line)) = line else {
            let got = if line.is_some() { "a longer line" } else { "" };
            return Err(header("a line of column names".to_owned(), got));
        };
        let fields = splitter.split(line);
        let fields = fields.map_err(|expected| {
            let got = String::from_utf8_lossy(line);
            header(expected.to_owned(), &got)
        })?;
        let mut places = Vec::with_capacity(format.columns.len());
        for (field, name) in &format.columns {
            let is_it = |index: &usize| fields.bytes(*index) == name.as_bytes();
            let mut found = (0..fields.len()).filter(is_it);
            match (found.next(), found.next()) {
                (Some(place), None) => places.push((*field, place)),
                (None, _) => {
                    let got = String::from_utf8_lossy(line);
                    return Err(header(format!("a column {name:?}"), &got));
                }
                (Some(_), Some(_)) => {
                    return Err(header(format!("one column {name:?}"), "two of them"));
                }
            }
        }
        let width = fields.len();
        Ok(Self {
            lines,
            splitter,
            body: Body {
                format,
                places,
                width,
                totals: Totals::default(),
                cycle: None,
                is_summed: true,
                has_ended: false,
            },
            faults: Faults::default(),
            is_done: false,
        })
    }
}

impl<R: Read> Steps for CsvReader<'_, R> {
    fn step(&mut self) -> Result<Step, ReportError> {
        let before = self.lines.number();
        let line = self.lines.next_line();
        let line = line.map_err(|source| ReportError::Read {
            line: before,
            source,
        })?;
        let number = before.saturating_add(1);
        let read = match line {
            None => return Ok(Step::End),
            Some(Line::TooLong) => {
                let expected = "a line of at most 64 KiB";
                Err(Fault::new(number, None, expected, "more"))
            }
            Some(Line::Whole(line)) => {
                let fields = self.splitter.split(line);
                let fields = fields.map_err(|expected| {
                    let got = String::from_utf8_lossy(line);
                    Fault::new(number, None, expected, &got)
                });
                fields.and_then(|fields| self.body.line(number, fields))
            }
        };
        Ok(match read {
            Ok(Some(line)) if self.faults.count == 0 => Step::Line(Box::new(line)),
            Ok(_) => Step::Nothing,
            Err(fault) => {
                self.faults.add(fault);
                // A wrong end line is no line that the sums lack.
                self.body.is_summed &= self.body.has_ended;
                Step::Nothing
            }
        })
    }

    fn end(&mut self) -> Result<(), ReportError> {
        let missing = match &self.body.format.end {
            None => None,
            Some(end) if !self.body.has_ended => {
                Some(format!("a last line that begins with {end}"))
            }
            Some(_) if self.faults.count > 0 => None,
            Some(_) => {
                let currency = self.body.totals.not_ended();
                currency.map(|currency| format!("an end line of {currency}"))
            }
        };
        if let Some(expected) = missing {
            let got = "the end of the report";
            let fault = Fault::new(self.lines.number(), None, expected, got);
            self.faults.add(fault);
        }
        if self.faults.count > 0 {
            return Err(ReportError::Faults(std::mem::take(&mut self.faults)));
        }
        Ok(())
    }

    fn is_done(&mut self) -> &mut bool {
        &mut self.is_done
    }
}

impl Body<'_> {
    /// What a line says, where it says anything.
    fn line(&mut self, number: u64, fields: Fields<'_>) -> Result<Option<ReportLine>, Fault> {
        let fault = |expected: String, got: &str| Fault::new(number, None, expected, got);
        let end = self.format.end.as_ref();
        if end.is_some_and(|end| fields.bytes(0) == end.as_bytes()) {
            self.has_ended = true;
            return match self.is_summed {
                true => self.totals.end(self.format, number, fields).map(|()| None),
                false => Ok(None),
            };
        }
        if self.has_ended {
            let got = String::from_utf8_lossy(fields.bytes(0));
            return Err(fault("nothing after the end line".to_owned(), &got));
        }
        if fields.len() != self.width {
            let expected = format!("{} fields", self.width);
            return Err(fault(expected, &fields.len().to_string()));
        }
        let reader = RowReader {
            format: self.format,
            places: &self.places,
            number,
            fields,
        };
        let Some(row) = reader.row()? else {
            return Ok(None);
        };
        if !self.totals.add(&row) {
            return Err(fault("sums of at most 64 bits".to_owned(), "more"));
        }
        let cycle = row.line.as_ref().and_then(|line| line.cycle);
        if let (Some(first), Some(cycle)) = (self.cycle, cycle)
            && first != cycle
        {
            let column = self.format.column(Field::Cycle);
            let expected = format!("{first}, as the first line has");
            return Err(Fault::new(number, column, expected, &cycle.to_string()));
        }
        self.cycle = self.cycle.or(cycle);
        Ok(row.line)
    }
}

impl<R: Read> Iterator for CsvReader<'_, R> {
    type Item = Result<ReportLine, ReportError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_line()
    }
}

#[cfg(test)]
mod tests;
