//! What the bank has booked: ISO 20022 camt.054, of every version that has its namespace.
//!
//! A file is read entry by entry and never held as a whole. It is foreign: its size, depth and texts are bounded, and all
//! that is wrong with it is an error with its place.
//!
//! `CdtDbtInd` is the direction of the booking as it stands. `RvslInd` only says that the booking undoes another one, and
//! turns nothing round.

use std::collections::VecDeque;
use std::io::BufRead;

use self::booking::Booking;
use self::entry::{Account, Entry};
use self::error::Camt054Error;
use self::xml::{Elements, Step};

pub mod booking;
mod entry;
pub mod error;
pub mod limits;
pub mod source;
mod value;
mod xml;

/// The bookings of a notification, in the order of the file. After an error there are no more; those before it came from
/// a file that is wrong, and are better not used.
pub struct Camt054<R> {
    elements: Elements<R>,
    account: Account,
    entry: Option<Entry>,
    entry_count: u64,
    /// The currency that the element names which is being read.
    currency: Option<String>,
    bookings: VecDeque<Booking>,
    is_done: bool,
}

/// Reads the bookings of a notification.
pub fn read_camt054<R: BufRead>(input: R) -> Camt054<R> {
    Camt054 {
        elements: Elements::new(input),
        account: Account::default(),
        entry: None,
        entry_count: 0,
        currency: None,
        bookings: VecDeque::new(),
        is_done: false,
    }
}

impl<R: BufRead> Iterator for Camt054<R> {
    type Item = Result<Booking, Camt054Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.bookings.is_empty() && !self.is_done {
            match self.advance() {
                Ok(is_more) => self.is_done = !is_more,
                Err(error) => {
                    self.is_done = true;
                    return Some(Err(error));
                }
            }
        }
        self.bookings.pop_front().map(Ok)
    }
}

impl<R: BufRead> Camt054<R> {
    /// Takes one step; no more after the last.
    fn advance(&mut self) -> Result<bool, Camt054Error> {
        let Some((position, step)) = self.elements.next()? else {
            return Ok(false);
        };
        let fault = |fault| Camt054Error { position, fault };
        let path = self.elements.path();
        match step {
            Step::Begin { currency } => {
                self.currency = currency;
                match (path, &mut self.entry) {
                    ("Ntfctn", _) => self.account = Account::default(),
                    ("Ntfctn/Ntry", _) => {
                        self.entry_count += 1;
                        self.entry = Some(Entry::new(position, self.entry_count));
                    }
                    ("Ntfctn/Ntry/NtryDtls/TxDtls", Some(entry)) => {
                        entry.begin_transaction(position).map_err(fault)?;
                    }
                    _ => {}
                }
            }
            Step::End { text } => {
                if path == "Ntfctn/Ntry" {
                    let bookings = self.entry.take().map(|entry| entry.bookings(&self.account));
                    self.bookings
                        .extend(bookings.transpose()?.unwrap_or_default());
                } else if let Some(element) = path.strip_prefix("Ntfctn/Ntry/") {
                    let currency = self.currency.as_deref();
                    let taken = self
                        .entry
                        .as_mut()
                        .map(|entry| entry.take(element, &text, currency, &self.account));
                    taken.transpose().map_err(fault)?;
                } else if let Some(element) = path.strip_prefix("Ntfctn/") {
                    self.account.take(element, &text).map_err(fault)?;
                }
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
