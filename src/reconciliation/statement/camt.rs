//! Statements as ISO 20022 messages: camt.053, and camt.052 of what is to be seen within the day.
//!
//! Where both balances are there, the booked entries must lead from one to the other; in a camt.052 that is not asked, since
//! a bank may tell only what is new. What the statement says of its entries' number and sums must be so.

use std::collections::VecDeque;
use std::io::BufRead;

use self::balances::Balances;
use self::summary::Summary;
use super::error::StatementError;
use super::part::{StatementEnd, StatementHead, StatementLine, StatementPart, StatementPurpose};
use crate::payment::bank_statement::{LineState, StatementKind};
use crate::payment::money::Currency;
use crate::settlement::iso20022::booking::{Booking, EntryStatus};
use crate::settlement::iso20022::entries::{Element, Entries, Part, mandatory};
use crate::settlement::iso20022::entry::UnknownAmounts;
use crate::settlement::iso20022::error::Iso20022Fault;
use crate::settlement::iso20022::message::Message;
use crate::settlement::iso20022::value::Value;
use crate::settlement::position::Position;
use crate::settlement::spool::MOST_BYTES;

mod balances;
mod summary;

/// The statements of a message.
pub struct CamtStatements<R> {
    entries: Entries<R>,
    parts: VecDeque<StatementPart>,
    open: Option<Open>,
    line_count: u64,
    is_done: bool,
}

/// A statement that is being read.
struct Open {
    position: Position,
    id: Option<String>,
    sequence: Option<u64>,
    page: Option<u64>,
    balances: Balances,
    summary: Summary,
    /// What its head said of the currency, once that was handed out.
    begun: Option<Currency>,
    booked_minor: i128,
    lines: u64,
}

impl<R: BufRead> CamtStatements<R> {
    /// Reads the statements of a message.
    pub fn new(input: R) -> Self {
        let allowed = &[Message::Statement, Message::Report];
        Self {
            entries: Entries::new(input, allowed, MOST_BYTES, UnknownAmounts::AreOneBooking),
            parts: VecDeque::new(),
            open: None,
            line_count: 0,
            is_done: false,
        }
    }

    fn take(&mut self, part: Part) -> Result<(), StatementError> {
        match part {
            Part::Begin(position) => {
                self.open = Some(Open {
                    position,
                    id: None,
                    sequence: None,
                    page: None,
                    balances: Balances::default(),
                    summary: Summary::default(),
                    begun: None,
                    booked_minor: 0,
                    lines: 0,
                });
                Ok(())
            }
            Part::Element(element) => self.take_element(&element),
            Part::Entry(bookings) => self.take_entry(bookings),
            Part::End(position) => self.end(position),
        }
    }

    fn take_element(&mut self, element: &Element) -> Result<(), StatementError> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        let position = element.position;
        let fault = |fault: Iso20022Fault| StatementError {
            position,
            fault: fault.into(),
        };
        let value = Value {
            element: &element.path,
            text: &element.text,
        };
        match element.path.as_str() {
            "Id" => open.id = value.reference().map_err(fault)?,
            "ElctrncSeqNb" => open.sequence = Some(value.parsed("a number").map_err(fault)?),
            "LglSeqNb" => {
                let number = value.parsed("a number").map_err(fault)?;
                open.sequence.get_or_insert(number);
            }
            "StmtPgntn/PgNb" | "RptPgntn/PgNb" => {
                open.page = Some(value.parsed("a number").map_err(fault)?);
            }
            path => {
                if path == "Bal" || path.starts_with("Bal/") {
                    if open.begun.is_some() {
                        let (expected, got) = ("it before the first Ntry", "it behind");
                        return Err(StatementError::value(position, "Bal", expected, got));
                    }
                    let currency = self.entries.account().currency;
                    open.balances.take(element, value, currency)?;
                } else if let Some(path) = path.strip_prefix("TxsSummry/") {
                    open.summary.take(path, element);
                }
            }
        }
        Ok(())
    }

    fn take_entry(&mut self, bookings: Vec<Booking>) -> Result<(), StatementError> {
        let named = bookings.first().map(|booking| booking.currency);
        let currency = self.begin(named)?;
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        let mut entry_minor = 0_i128;
        let is_credit = bookings.first().is_some_and(|booking| booking.is_credit);
        for booking in bookings {
            if booking.currency != currency {
                return Err(StatementError::value(
                    booking.position,
                    "Ntry/Amt/@Ccy",
                    format!("the account's currency {currency}"),
                    booking.currency,
                ));
            }
            let amount_minor = match booking.is_credit {
                true => booking.amount_minor,
                false => -booking.amount_minor,
            };
            entry_minor += i128::from(amount_minor);
            if booking.is_booked() {
                open.booked_minor += i128::from(amount_minor);
            }
            open.lines += 1;
            self.line_count += 1;
            self.parts.push_back(StatementPart::Line(StatementLine {
                number: self.line_count,
                state: match booking.status {
                    EntryStatus::Booked => LineState::Booked,
                    EntryStatus::Pending => LineState::Pending,
                    EntryStatus::Information | EntryStatus::Other(_) => LineState::Other,
                },
                booking_date: booking.booking_date,
                value_date: booking.value_date,
                amount_minor,
                currency,
                bank_reference: booking.servicer_reference,
                own_reference: booking.end_to_end_id,
                text: booking.text,
                reverses: booking.is_reversal,
                position: booking.position,
            }));
        }
        open.summary.count(entry_minor, is_credit);
        Ok(())
    }

    /// Hands out the head before the first line. Gives the currency of the statement: the account's, or that of its first
    /// amount.
    fn begin(&mut self, of_entry: Option<Currency>) -> Result<Currency, StatementError> {
        let account = self.entries.account();
        let message = self.entries.message();
        let part = message.map_or("", Message::part);
        let Some(open) = &mut self.open else {
            let (expected, got) = ("a statement", "none");
            return Err(StatementError::value(
                Position::BEGIN,
                "Ntry",
                expected,
                got,
            ));
        };
        if let Some(currency) = open.begun {
            return Ok(currency);
        }
        let currency = account.currency.or(open.balances.currency()).or(of_entry);
        let position = open.position;
        let currency = mandatory(currency, position, "Acct/Ccy", part)?;
        let id = mandatory(open.id.take(), position, "Id", part)?;
        let account = mandatory(account.number.clone(), position, "Acct/Id", part)?;
        open.begun = Some(currency);
        let kind = match message {
            Some(Message::Report) => StatementKind::Interim,
            _ => StatementKind::Booked,
        };
        self.parts.push_back(StatementPart::Begin(StatementHead {
            account,
            id,
            sequence: open.sequence,
            page: open.page,
            currency,
            kind,
            purpose: StatementPurpose::New,
            opening: open.balances.opening(),
            position,
        }));
        Ok(currency)
    }

    fn end(&mut self, position: Position) -> Result<(), StatementError> {
        let currency = self.begin(None)?;
        let is_booked = self.entries.message() == Some(Message::Statement);
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        open.summary.check(currency)?;
        let closing = open.balances.closing(!is_booked);
        if let (true, Some(opening), Some(closing)) = (is_booked, open.balances.opening(), closing)
        {
            let expected = i128::from(opening.amount_minor) + open.booked_minor;
            let got = i128::from(closing.amount_minor);
            if expected != got {
                return Err(StatementError::value(
                    position,
                    "Bal CLBD",
                    format!(
                        "{expected} minor units, which the opening balance and the entries make"
                    ),
                    got,
                ));
            }
        }
        self.parts.push_back(StatementPart::End(StatementEnd {
            closing,
            lines: open.lines,
        }));
        Ok(())
    }

    fn advance(&mut self) -> Result<(), StatementError> {
        match self.entries.next_part()? {
            Some(part) => self.take(part),
            None => {
                self.is_done = true;
                Ok(())
            }
        }
    }
}

impl<R: BufRead> Iterator for CamtStatements<R> {
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
