//! A message of the bank, handed out part by part.

use std::io::BufRead;

use super::booking::Booking;
use super::entry::{Account, Entry, UnknownAmounts};
use super::error::{Iso20022Error, Iso20022Fault};
use super::message::Message;
use super::xml::{Elements, Step};
use crate::settlement::position::Position;

/// A part of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// A notification, report or statement of one account begins.
    Begin(Position),
    /// An element of it has ended that belongs to no entry and not to the account.
    Element(Element),
    /// The bookings that an entry is.
    Entry(Vec<Booking>),
    /// It ends; the position is that of its beginning.
    End(Position),
}

/// An element that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// Where its tag is.
    pub position: Position,
    /// Its path in the notification, report or statement.
    pub path: String,
    /// Its text; empty where it held elements.
    pub text: String,
    /// The attribute Ccy of it.
    pub currency: Option<String>,
}

/// The parts of a message, in the order of the file. After an error there are no more.
pub struct Entries<R> {
    elements: Elements<R>,
    unknown: UnknownAmounts,
    account: Account,
    entry: Option<Entry>,
    entry_count: u64,
    /// The currency that the element names which is being read.
    currency: Option<String>,
}

impl<R: BufRead> Entries<R> {
    /// Reads a file that may be any of these messages, and has so many bytes at most.
    pub fn new(
        input: R,
        allowed: &'static [Message],
        most_bytes: u64,
        unknown: UnknownAmounts,
    ) -> Self {
        Self {
            elements: Elements::new(input, allowed, most_bytes),
            unknown,
            account: Account::default(),
            entry: None,
            entry_count: 0,
            currency: None,
        }
    }

    /// The message that it is; none before its first part.
    pub fn message(&self) -> Option<Message> {
        self.elements.message()
    }

    /// The account that is being read about, as far as it is known.
    pub const fn account(&self) -> &Account {
        &self.account
    }

    /// The next part; none at the end of the file.
    ///
    /// # Errors
    /// [`Iso20022Error`]. The parts before it came from a file that is wrong, and are better not used.
    pub fn next_part(&mut self) -> Result<Option<Part>, Iso20022Error> {
        loop {
            let Some((position, step)) = self.elements.next()? else {
                return Ok(None);
            };
            if let Some(part) = self.take(position, step)? {
                return Ok(Some(part));
            }
        }
    }

    fn take(&mut self, position: Position, step: Step) -> Result<Option<Part>, Iso20022Error> {
        let fault = |fault| Iso20022Error { position, fault };
        let part = self.elements.message().map_or("", Message::part);
        let whole = self.elements.path();
        let Some(path) = whole.strip_prefix(part) else {
            return Ok(None);
        };
        match step {
            Step::Begin { currency } => {
                self.currency = currency;
                match (path, &mut self.entry) {
                    ("", _) => {
                        self.account = Account::default();
                        return Ok(Some(Part::Begin(position)));
                    }
                    ("/Ntry", _) => {
                        self.entry_count += 1;
                        self.entry = Some(Entry::new(position, self.entry_count));
                    }
                    ("/Ntry/NtryDtls/TxDtls", Some(entry)) => {
                        entry.begin_transaction(position).map_err(fault)?;
                    }
                    _ => {}
                }
            }
            Step::End { text } => {
                let Some(path) = path.strip_prefix('/') else {
                    return Ok(path.is_empty().then_some(Part::End(position)));
                };
                if path == "Ntry" {
                    let entry = self.entry.take();
                    let bookings =
                        entry.map(|entry| entry.bookings(&self.account, part, self.unknown));
                    return Ok(bookings.transpose()?.map(Part::Entry));
                }
                if let Some(element) = path.strip_prefix("Ntry/") {
                    let currency = self.currency.as_deref();
                    let taken = self
                        .entry
                        .as_mut()
                        .map(|entry| entry.take(element, &text, currency, &self.account));
                    taken.transpose().map_err(fault)?;
                    return Ok(None);
                }
                if path.starts_with("Acct/") {
                    self.account.take(path, &text).map_err(fault)?;
                    return Ok(None);
                }
                return Ok(Some(Part::Element(Element {
                    position,
                    path: path.to_owned(),
                    text,
                    currency: self.currency.clone(),
                })));
            }
        }
        Ok(None)
    }
}

/// What a part has that it must have.
///
/// # Errors
/// When it has it not.
pub fn mandatory<T>(
    value: Option<T>,
    position: Position,
    element: &'static str,
    parent: &'static str,
) -> Result<T, Iso20022Error> {
    let fault = Iso20022Fault::Missing { element, parent };
    value.ok_or(Iso20022Error { position, fault })
}
