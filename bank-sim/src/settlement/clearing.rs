//! A clearing file: a CSV of captures and refunds that a switch tells by file only. It counts whole or not at all.

use std::collections::BTreeSet;

use csv::{ReaderBuilder, StringRecord};
use time::Date;

use super::{
    date,
    item::{ItemKind, NewItem, Padded, Place},
};
use crate::currency::{Currency, minor_of};

pub(super) const HEADER: [&str; 10] = [
    "Record",
    "Business Date",
    "Acceptor",
    "Terminal",
    "Type",
    "RRN",
    "Approval Code",
    "Amount",
    "Currency",
    "Reference",
];

/// Where the columns are.
const RECORD: usize = 0;
const BUSINESS_DATE: usize = 1;
const ACCEPTOR: usize = 2;
const TERMINAL: usize = 3;
const TYPE: usize = 4;
const RRN: usize = 5;
const APPROVAL_CODE: usize = 6;
const AMOUNT: usize = 7;
const CURRENCY: usize = 8;
const REFERENCE: usize = 9;

/// The most faults that are listed; the others are only counted.
pub const MAX_LISTED_FAULTS: usize = 100;

/// How much of a wrong value is shown.
const MAX_SHOWN_CHARACTERS: usize = 40;

/// One fault of a clearing file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClearingFault {
    /// The line, from 1; 0 when the file as a whole is meant.
    pub line: u64,
    /// The column, what was expected, and what was there.
    pub problem: String,
}

/// What came of a clearing file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClearingAnswer {
    /// Every detail is booked.
    Accepted {
        /// How many items.
        items: u64,
        /// For how many of them an issuer of this simulator debited or credited the card.
        posted: u64,
    },
    /// The same bytes were accepted before; nothing is booked again.
    Duplicate,
    /// Nothing is booked.
    Refused {
        /// The first faults, in the order of the lines.
        faults: Vec<ClearingFault>,
        /// How many there are in all.
        fault_count: u64,
    },
}

/// One detail of a file.
#[derive(Debug)]
pub(super) struct Detail {
    pub(super) place: Place,
    pub(super) item: NewItem,
}

/// A file without faults.
#[derive(Debug)]
pub(super) struct ClearingFile {
    pub(super) business_date: Date,
    pub(super) details: Vec<Detail>,
}

/// Reads a whole file; every fault of it is found.
pub(super) fn read(bytes: &[u8]) -> Result<ClearingFile, ClearingAnswer> {
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .from_reader(bytes);
    let mut file = Reading::default();
    let mut record = StringRecord::new();
    let mut is_first = true;
    loop {
        let line = reader.position().line();
        match reader.read_record(&mut record) {
            Ok(false) => break,
            Ok(true) => {
                let line = record.position().map_or(line, csv::Position::line);
                if is_first {
                    file.header(line, &record);
                } else {
                    file.record(line, &record);
                }
            }
            Err(_) => file.faults.add(line, "expected text in UTF-8".to_owned()),
        }
        is_first = false;
    }
    file.finish()
}

/// What was read of a file so far.
#[derive(Debug, Default)]
struct Reading {
    details: Vec<Detail>,
    /// The dates of the details, and the lines that they were first on.
    dates: Vec<(Date, u64)>,
    currencies: BTreeSet<&'static str>,
    sum_minor: i128,
    /// How many details there are, those with faults too.
    count: u64,
    has_trailer: bool,
    /// The trailer's date.
    business_date: Option<Date>,
    faults: Faults,
}

#[derive(Debug, Default)]
struct Faults {
    listed: Vec<ClearingFault>,
    count: u64,
}

impl Faults {
    fn add(&mut self, line: u64, problem: String) {
        self.count += 1;
        if self.listed.len() < MAX_LISTED_FAULTS {
            self.listed.push(ClearingFault { line, problem });
        }
    }
}

/// One record while it is read.
struct Line<'a> {
    number: u64,
    record: &'a StringRecord,
    faults: &'a mut Faults,
}

impl Line<'_> {
    fn text(&self, column: usize) -> &str {
        self.record.get(column).unwrap_or_default()
    }

    /// What a column says; a fault when it can't be read.
    fn read<T>(
        &mut self,
        column: usize,
        expected: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let value = read(self.text(column));
        if value.is_none() {
            let name = HEADER.get(column).copied().unwrap_or_default();
            let got: String = self
                .text(column)
                .chars()
                .take(MAX_SHOWN_CHARACTERS)
                .collect();
            let problem = format!("{name}: expected {expected}, got {got:?}");
            self.faults.add(self.number, problem);
        }
        value
    }

    fn date(&mut self) -> Option<Date> {
        self.read(BUSINESS_DATE, "YYYY-MM-DD", date::parse)
    }
}

impl Reading {
    fn header(&mut self, line: u64, record: &StringRecord) {
        if *record != HEADER[..] {
            let problem = format!("expected the header {}", HEADER.join(","));
            self.faults.add(line, problem);
        }
    }

    fn record(&mut self, line: u64, record: &StringRecord) {
        if self.has_trailer {
            let problem = "expected nothing after the trailer".to_owned();
            self.faults.add(line, problem);
            return;
        }
        self.has_trailer = record.get(RECORD) == Some("T");
        if record.len() != HEADER.len() {
            let problem = format!("expected {} columns, got {}", HEADER.len(), record.len());
            self.faults.add(line, problem);
            return;
        }
        match record.get(RECORD) {
            Some("T") => self.trailer(line, record),
            Some("D") => self.detail(line, record),
            _ => {
                let faults = &mut self.faults;
                let mut line = Line {
                    number: line,
                    record,
                    faults,
                };
                line.read(RECORD, "D or T", |_| None::<()>);
            }
        }
    }

    fn detail(&mut self, number: u64, record: &StringRecord) {
        self.count += 1;
        let faults = &mut self.faults;
        let mut line = Line {
            number,
            record,
            faults,
        };
        let date = line.date();
        let acceptor = line.read(ACCEPTOR, "1 to 15 characters", padded::<15>);
        let terminal = line.read(TERMINAL, "1 to 8 characters", padded::<8>);
        let kind = line.read(TYPE, "SALE, CAPTURE or REFUND", |text| match text {
            "SALE" | "CAPTURE" => Some(ItemKind::Capture),
            "REFUND" => Some(ItemKind::Refund),
            _ => None,
        });
        let rrn = line.read(RRN, "12 characters", |text| {
            padded::<12>(text).filter(|_| text.len() == 12)
        });
        let approval_code = line.read(APPROVAL_CODE, "at most 6 characters", |text| {
            if text.is_empty() {
                return Some(Padded::of(b""));
            }
            padded::<6>(text)
        });
        let currency = line.read(CURRENCY, "a code of ISO 4217", Currency::from_code);
        let exponent = currency.map(Currency::exponent);
        let amount_minor = exponent.and_then(|exponent| {
            let expected = format!("more than 0, with at most {exponent} decimals");
            line.read(AMOUNT, &expected, |text| {
                minor_of(text, exponent).filter(|minor| *minor > 0)
            })
        });
        if let Some(date) = date
            && self.dates.iter().all(|(other, _)| *other != date)
        {
            self.dates.push((date, number));
        }
        self.currencies.extend(currency.map(Currency::code));
        self.sum_minor += i128::from(amount_minor.unwrap_or_default());
        let detail = || {
            Some(Detail {
                place: Place {
                    acceptor: acceptor?,
                    terminal: terminal?,
                    currency_numeric: currency?.numeric(),
                },
                item: NewItem {
                    kind: kind?,
                    rrn: rrn?,
                    amount_minor: amount_minor?,
                    approval_code: approval_code?,
                    card_masked: String::new(),
                },
            })
        };
        self.details.extend(detail());
    }

    fn trailer(&mut self, number: u64, record: &StringRecord) {
        let (sum_minor, count) = (self.sum_minor.to_string(), self.count.to_string());
        let currency = match self.currencies.first() {
            Some(code) if self.currencies.len() == 1 => *code,
            _ => "",
        };
        let are_details_read = self.faults.count == 0;
        let faults = &mut self.faults;
        let mut line = Line {
            number,
            record,
            faults,
        };
        let date = line.date();
        for (column, expected) in [
            (REFERENCE, count.as_str()),
            (AMOUNT, sum_minor.as_str()),
            (CURRENCY, currency),
        ] {
            // After a fault the sum is not what the file means.
            if are_details_read || column == REFERENCE {
                let said = format!("{expected:?}");
                line.read(column, &said, |text| (text == expected).then_some(()));
            }
        }
        for (other, first_on) in &self.dates {
            if date.is_some_and(|date| date != *other) {
                let problem = format!("Business Date: expected that of the trailer, got {other}");
                self.faults.add(*first_on, problem);
            }
        }
        self.business_date = date;
    }

    fn finish(mut self) -> Result<ClearingFile, ClearingAnswer> {
        if !self.has_trailer {
            let problem = "expected a trailer at the end, the file is cut".to_owned();
            self.faults.add(0, problem);
        }
        let Faults { mut listed, count } = self.faults;
        match self.business_date {
            Some(business_date) if count == 0 => Ok(ClearingFile {
                business_date,
                details: self.details,
            }),
            _ => {
                listed.sort_by_key(|fault| fault.line);
                Err(ClearingAnswer::Refused {
                    faults: listed,
                    fault_count: count,
                })
            }
        }
    }
}

/// A text of 1 to `N` printable characters.
fn padded<const N: usize>(text: &str) -> Option<Padded<N>> {
    let is_printable = text
        .bytes()
        .all(|byte| byte == b' ' || byte.is_ascii_graphic());
    let is_text = is_printable && (1..=N).contains(&text.len()) && !text.trim().is_empty();
    is_text.then(|| Padded::of(text.as_bytes()))
}
