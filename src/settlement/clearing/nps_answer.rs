//! What a national card switch answers to a clearing file of the kind `nps`: a file that says what is wrong with it
//! (function code 699), or one that says what was taken (605).

use std::io::{self, Read};

use super::file_name::Cycle;
use super::nps_layout::SEPARATOR;
use crate::payment::moment::BusinessDate;
use crate::payment::money::Currency;
use crate::payment::settlement_file::{FileVerdict, RejectedRecord, Rejection, TakenSum};
use crate::settlement::amount_form::minor_of_decimal;
use crate::settlement::lines::{Line, Lines};
use crate::settlement::shown::shown;

/// The most rejections that are kept.
pub const MOST_REJECTIONS: usize = 100;
/// The most lines of a summary.
pub const MOST_LINES: usize = 1_000;

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NpsAnswer {
    /// The file that it is about.
    pub file: NpsFileId,
    /// What the switch says of it. Nothing of a file that is rejected was taken.
    pub verdict: FileVerdict,
}

/// How the switch knows a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NpsFileId {
    /// The member's number.
    pub member_id: String,
    /// The date of the file.
    pub business_date: BusinessDate,
    /// Which file of that date.
    pub cycle: Cycle,
}

impl NpsAnswer {
    /// Whether the switch has had a file of this name before. It says nothing of whether that one was taken.
    #[must_use]
    pub fn is_duplicate(&self) -> bool {
        let is_id = |rejection: &Rejection| rejection.field.eq_ignore_ascii_case("File ID");
        let says_so =
            |rejection: &Rejection| rejection.error.to_ascii_lowercase().contains("duplicate");
        match &self.verdict {
            FileVerdict::Accepted { .. } => false,
            FileVerdict::Rejected { rejections, .. } => {
                rejections.iter().any(|it| is_id(it) && says_so(it))
            }
        }
    }
}

/// Why a file is no answer that can be understood.
#[derive(Debug, thiserror::Error)]
pub enum NpsAnswerError {
    /// It can't be read.
    #[error("the answer can't be read")]
    Read(#[from] io::Error),
    /// A line is not what it should be.
    #[error("line {line}: expected {expected}, got {got:?}")]
    Line {
        /// The number of the line, from 1 on.
        line: u64,
        /// What should be there.
        expected: String,
        /// What is there, cut, and without card numbers.
        got: String,
    },
}

/// Reads an answer to its end.
///
/// # Errors
/// When it can't be read, is no answer, is cut, or does not sum to what its trailer says.
pub fn read_answer(from: impl Read) -> Result<NpsAnswer, NpsAnswerError> {
    let mut records = Records(Lines::new(from));
    let header = "1644^699 or 1644^605, O or R, member, date, cycle, I or O, and P or T";
    let Some(line) = records.next()? else {
        return Err(records.fault(header, "the end of the file"));
    };
    let fields: Vec<&str> = line.split(SEPARATOR).collect();
    let found = match *fields {
        ["1644", code, _, member_id, date, cycle, _, _, ..] => {
            let file = file_id(member_id, date, cycle);
            file.filter(|_| matches!(code, "699" | "605"))
                .map(|file| (code == "699", file))
        }
        _ => None,
    };
    let Some((is_reject, file)) = found else {
        return Err(records.fault(header, &line));
    };
    let verdict = match is_reject {
        true => rejected(records)?,
        false => accepted(records)?,
    };
    Ok(NpsAnswer { file, verdict })
}

fn file_id(member_id: &str, date: &str, cycle: &str) -> Option<NpsFileId> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|it| it.is_ascii_digit());
    let fits = is_number(member_id) && is_number(date) && is_number(cycle) && date.len() == 8;
    let (year, month, day) = (date.get(..4)?, date.get(4..6)?, date.get(6..)?);
    Some(NpsFileId {
        member_id: member_id.to_owned(),
        business_date: format!("{year}-{month}-{day}").parse().ok()?,
        cycle: cycle.parse().ok().and_then(Cycle::new).filter(|_| fits)?,
    })
}

fn rejected<R: Read>(mut records: Records<R>) -> Result<FileVerdict, NpsAnswerError> {
    let (mut rejections, mut count) = (Vec::new(), 0_i64);
    let mut record = None;
    loop {
        let Some(line) = records.next()? else {
            return Err(records.fault("a trailer, 1644^699", "the end of the file"));
        };
        let fields: Vec<&str> = line.split(SEPARATOR).collect();
        match *fields {
            ["1644", "699", ..] => break,
            [mti @ ("1240" | "1644" | "1664"), ..] => {
                let rrn = fields.get(5).filter(|_| mti == "1240");
                record = Some(RejectedRecord {
                    mti: mti.to_owned(),
                    rrn: rrn.and_then(|rrn| rrn.parse().ok()),
                });
            }
            [field, value, error] => {
                count = count.saturating_add(1);
                if rejections.len() < MOST_REJECTIONS {
                    rejections.push(Rejection {
                        record: record.clone(),
                        field: shown(field),
                        value: shown(value),
                        error: shown(error),
                    });
                }
            }
            _ => return Err(records.fault("a record, or Field^Value^Error", &line)),
        }
    }
    records.end()?;
    Ok(FileVerdict::Rejected { rejections, count })
}

fn accepted<R: Read>(mut records: Records<R>) -> Result<FileVerdict, NpsAnswerError> {
    let mut lines = Vec::new();
    let (mut hundredths, mut items) = (0_i64, 0_i64);
    loop {
        let Some(line) = records.next()? else {
            return Err(records.fault("a trailer, 1644^605", "the end of the file"));
        };
        let fields: Vec<&str> = line.split(SEPARATOR).collect();
        if let ["1644", "605", _, total, count] = *fields {
            if (minor_of_decimal(total, 2), number(count)) != (Ok(hundredths), Some(items)) {
                let expected = format!("a total of {hundredths} hundredths and {items} items");
                return Err(records.fault(&expected, &line));
            }
            break;
        }
        let sequence = i64::try_from(lines.len()).unwrap_or(i64::MAX);
        let read = summary_line(&fields, sequence.saturating_add(1));
        let sums = read.and_then(|(line, amount)| {
            let sums = (
                hundredths.checked_add(amount)?,
                items.checked_add(line.count)?,
            );
            lines.push(line);
            Some(sums)
        });
        let Some(sums) = sums.filter(|_| lines.len() <= MOST_LINES) else {
            let expected =
                "currency, sequence (growing by one), transaction code, amount and count";
            return Err(records.fault(expected, &line));
        };
        (hundredths, items) = sums;
    }
    records.end()?;
    Ok(FileVerdict::Accepted { taken: lines })
}

/// A line of a summary, and its amount in hundredths.
fn summary_line(fields: &[&str], expected_sequence: i64) -> Option<(TakenSum, i64)> {
    let [currency, sequence, code, amount, count] = *fields else {
        return None;
    };
    let is_code = code.len() == 2 && code.bytes().all(|it| it.is_ascii_digit());
    if number(sequence) != Some(expected_sequence) || !is_code {
        return None;
    }
    let currency = currency.parse().ok()?;
    let currency = iso_currency::Currency::from_numeric(currency)?;
    let currency: Currency = currency.code().parse().ok()?;
    let line = TakenSum {
        currency,
        transaction_code: code.to_owned(),
        sum_minor: minor_of_decimal(amount, currency.minor_digits()).ok()?,
        count: number(count)?,
    };
    Some((line, minor_of_decimal(amount, 2).ok()?))
}

/// A number of digits alone: no sign.
fn number(text: &str) -> Option<i64> {
    let is_number = text.bytes().all(|it| it.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

/// The lines that are not empty, as text.
struct Records<R>(Lines<R>);

impl<R: Read> Records<R> {
    fn next(&mut self) -> Result<Option<String>, NpsAnswerError> {
        loop {
            let text = match self.0.next_line()? {
                None => return Ok(None),
                Some(Line::Whole([])) => continue,
                Some(Line::Whole(line)) => std::str::from_utf8(line).ok().map(str::to_owned),
                Some(Line::TooLong) => None,
            };
            return match text {
                Some(text) => Ok(Some(text)),
                None => Err(self.fault("a line of text (UTF-8) of at most 64 KiB", "other bytes")),
            };
        }
    }

    /// Sees to it that nothing follows.
    fn end(&mut self) -> Result<(), NpsAnswerError> {
        match self.next()? {
            None => Ok(()),
            Some(line) => Err(self.fault("nothing after the trailer", &line)),
        }
    }

    fn fault(&self, expected: &str, got: &str) -> NpsAnswerError {
        NpsAnswerError::Line {
            line: self.0.number(),
            expected: expected.to_owned(),
            got: shown(got),
        }
    }
}

#[cfg(test)]
mod tests;
