//! Statements as BAI2 files.
//!
//! A record of an account's movement (16) has no sign: its type code is the direction. The totals of 49, 98 and 99 add
//! amounts as they are written, debits too; they and the counts of records, accounts and groups must be so. Whether the
//! lines lead from one balance to the other is not asked, since a bank may tell some of them only.

use std::collections::VecDeque;
use std::io::Read;

use self::account::{AccountRecord, read_account};
use self::detail::movement;
use self::headers::{FileHeader, GroupHeader, read_file_header, read_group_header};
use self::record::{Code, Record};
use self::records::Records;
use super::error::StatementError;
use super::part::{StatementEnd, StatementHead, StatementLine, StatementPart};
use crate::payment::bank_statement::{Balance, LineState};
use crate::payment::moment::BusinessDate;
use crate::payment::money::Currency;

mod account;
mod detail;
mod headers;
mod record;
mod records;

/// The statements of a file: one for each account of each group.
pub struct Bai2<R> {
    records: Records<R>,
    today: BusinessDate,
    parts: VecDeque<StatementPart>,
    file: Option<FileHeader>,
    group: Option<GroupHeader>,
    account: Option<AccountRecord>,
    totals: Totals,
    line_count: u64,
    lines_before: u64,
    /// Whether 99 was read.
    ended: bool,
    is_done: bool,
}

/// What the trailers say, as it is counted.
#[derive(Debug, Default)]
struct Totals {
    account: Level,
    group: Level,
    file: Level,
}

/// What one trailer says.
#[derive(Debug, Default)]
struct Level {
    /// The sum of the amounts as they are written.
    sum: i128,
    /// The records, with the trailer and all that continue others.
    records: u64,
    /// The accounts of a group, or the groups of a file.
    members: u64,
}

impl<R: Read> Bai2<R> {
    /// Reads the statements of a file.
    pub fn new(input: R, today: BusinessDate) -> Self {
        Self {
            records: Records::new(input),
            today,
            parts: VecDeque::new(),
            file: None,
            group: None,
            account: None,
            totals: Totals::default(),
            line_count: 0,
            lines_before: 0,
            ended: false,
            is_done: false,
        }
    }

    fn advance(&mut self) -> Result<(), StatementError> {
        let Some(record) = self.records.next()? else {
            self.is_done = true;
            return match self.ended {
                true => Ok(()),
                false => {
                    let position = self.records.position();
                    let got = "the end of the file";
                    Err(StatementError::value(
                        position,
                        "file",
                        self.expected(),
                        got,
                    ))
                }
            };
        };
        for level in [
            &mut self.totals.account,
            &mut self.totals.group,
            &mut self.totals.file,
        ] {
            level.records += record.physical;
        }
        match (
            record.code,
            &self.file,
            self.group.as_ref(),
            &mut self.account,
        ) {
            (Code::FileHeader, None, _, _) => {
                self.file = Some(read_file_header(&record, self.today)?);
                Ok(())
            }
            (Code::GroupHeader, Some(_), None, _) if !self.ended => {
                self.totals.group = Level {
                    records: record.physical,
                    ..Level::default()
                };
                self.totals.file.members += 1;
                self.group = Some(read_group_header(&record, self.today)?);
                Ok(())
            }
            (Code::Account, Some(_), Some(_), None) => self.begin(&record),
            (Code::Detail, _, Some(group), Some(account)) => {
                let date = group.date;
                let currency = account.currency;
                self.line(&record, date, currency)
            }
            (Code::AccountTrailer, _, _, Some(_)) => self.end_account(&record),
            (Code::GroupTrailer, _, Some(_), None) => self.end_group(&record),
            (Code::FileTrailer, Some(_), None, _) if !self.ended => self.end_file(&record),
            (code, ..) => Err(StatementError::value(
                record.position,
                "record",
                self.expected(),
                code.digits(),
            )),
        }
    }

    /// The records that may come next.
    fn expected(&self) -> &'static str {
        match (self.file.is_some(), self.group.is_some(), &self.account) {
            (false, _, _) => "01",
            (true, _, _) if self.ended => "the end of the file",
            (true, false, _) => "02 or 99",
            (true, true, None) => "03 or 98",
            (true, true, Some(_)) => "16, 88 or 49",
        }
    }

    fn begin(&mut self, record: &Record) -> Result<(), StatementError> {
        let (Some(file), Some(group)) = (&self.file, &self.group) else {
            return Ok(());
        };
        let account = read_account(record, group.currency)?;
        self.totals.account = Level {
            sum: account.sum,
            records: record.physical,
            members: 0,
        };
        self.totals.group.members += 1;
        self.lines_before = self.line_count;
        self.parts.push_back(StatementPart::Begin(StatementHead {
            account: account.number.clone(),
            id: file.key.clone(),
            sequence: None,
            page: None,
            currency: account.currency,
            kind: group.kind,
            purpose: group.purpose,
            opening: account.opening_minor.map(|amount_minor| Balance {
                amount_minor,
                date: None,
            }),
            position: record.position,
        }));
        self.account = Some(account);
        Ok(())
    }

    fn line(
        &mut self,
        record: &Record,
        date: BusinessDate,
        currency: Currency,
    ) -> Result<(), StatementError> {
        let Some(movement) = movement(record, self.today)? else {
            return Ok(());
        };
        self.totals.account.sum += i128::from(movement.amount_minor.abs());
        self.line_count += 1;
        self.parts.push_back(StatementPart::Line(StatementLine {
            number: self.line_count,
            state: LineState::Booked,
            booking_date: Some(date),
            value_date: movement.value_date,
            amount_minor: movement.amount_minor,
            currency,
            bank_reference: movement.bank_reference,
            own_reference: movement.own_reference,
            text: movement.text,
            reverses: false,
            position: record.position,
        }));
        Ok(())
    }

    fn end_account(&mut self, record: &Record) -> Result<(), StatementError> {
        let totals = std::mem::take(&mut self.totals.account);
        record.is_sum(0, totals.sum)?;
        record.is_count(1, totals.records)?;
        self.totals.group.sum += totals.sum;
        let account = self.account.take();
        let closing_minor = account.and_then(|account| account.closing_minor);
        let date = self.group.as_ref().map(|group| group.date);
        self.parts.push_back(StatementPart::End(StatementEnd {
            closing: closing_minor.map(|amount_minor| Balance { amount_minor, date }),
            lines: self.line_count - self.lines_before,
        }));
        Ok(())
    }

    fn end_group(&mut self, record: &Record) -> Result<(), StatementError> {
        let totals = std::mem::take(&mut self.totals.group);
        record.is_sum(0, totals.sum)?;
        record.is_count(1, totals.members)?;
        record.is_count(2, totals.records)?;
        self.totals.file.sum += totals.sum;
        self.group = None;
        Ok(())
    }

    fn end_file(&mut self, record: &Record) -> Result<(), StatementError> {
        let totals = std::mem::take(&mut self.totals.file);
        record.is_sum(0, totals.sum)?;
        record.is_count(1, totals.members)?;
        record.is_count(2, totals.records)?;
        self.ended = true;
        Ok(())
    }
}

impl<R: Read> Iterator for Bai2<R> {
    type Item = Result<StatementPart, StatementError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.parts.is_empty() && !self.is_done {
            if let Err(error) = self.advance() {
                self.is_done = true;
                return Some(Err(error));
            }
        }
        self.parts.pop_front().map(Ok)
    }
}
