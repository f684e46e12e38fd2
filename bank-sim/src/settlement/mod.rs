//! The acquirer's part in the end of the bank's day: what it books of each capture and refund that it relays an
//! approval of, what it books of disputes, and under which date.
//!
//! - `item`: what is booked; `read`: items, and what else messages about them say; `book`: all items, without any I/O.
//! - `totals`: sums as messages have them; `reconciliation`: the bank's sums beside the switch's, and what the switch
//!   uploads when they differ; `answer`: what the bank says to both.
//! - `clearing`: a file of items; `clearing_house`: such a file is taken.
//! - `dispute`: a capture is charged back, or given back.
//! - `report`: what the bank pays, as a file; `reference`: its reference of an item.
//! - `date`: business dates as elements and as text; `error`: what can't be done, and why.

mod answer;
mod book;
mod clearing;
mod clearing_house;
#[cfg(test)]
mod clearing_tests;
pub(crate) mod date;
mod dispute;
#[cfg(test)]
mod dispute_tests;
mod error;
mod item;
mod read;
mod reconciliation;
mod reference;
mod report;
mod totals;

use std::sync::{Mutex, MutexGuard, PoisonError};

use time::Date;

use self::book::Book;
pub use self::{
    clearing::{ClearingAnswer, ClearingFault, MAX_LISTED_FAULTS},
    dispute::{BookedDispute, Dispute},
    error::SettlementError,
    item::{ItemKind, SettlementItem},
};
use crate::{
    config::HostRules,
    issuer::{ExchangeKey, Issuer, MessageKind, kept_minor},
    message::BankMessage,
    outcome::Decided,
};

/// How an acquirer books.
#[derive(Debug)]
pub(crate) struct SettlementSettings {
    /// What the host wants of messages.
    pub(crate) rules: HostRules,
    /// Whether approvals tell the date that they are booked under.
    pub(crate) tells_date: bool,
    /// The most items that uploads and files may add to.
    pub(crate) capacity: usize,
    /// The acquirer's id.
    pub(crate) institution_id: String,
}

/// What an acquirer books, and its business date.
#[derive(Debug)]
pub(crate) struct Settlement {
    settings: SettlementSettings,
    book: Mutex<Book>,
}

impl Settlement {
    /// Empty books.
    pub(crate) fn new(settings: SettlementSettings, business_date: Date) -> Self {
        let book = Book::new(settings.capacity, business_date);
        Self {
            settings,
            book: Mutex::new(book),
        }
    }

    /// What the host wants of messages.
    pub(crate) fn rules(&self) -> HostRules {
        self.settings.rules
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Books what an issuer approved of a switch's request, and writes the date into the answer if it is told. What
    /// was booked before is not booked again.
    pub(crate) fn approved(
        &self,
        request: &BankMessage,
        issuers: &BankMessage,
        answer: &mut BankMessage,
    ) {
        let Some(kind) = MessageKind::at(request.mti(), self.rules()) else {
            return;
        };
        if kind == MessageKind::Authorization && !self.settings.tells_date {
            return;
        }
        let place = read::place(request);
        let date = match kind {
            MessageKind::Authorization => self.book().date_of(&place),
            MessageKind::Reversal => {
                let mut book = self.book();
                let original = ExchangeKey::of_original(request).ok();
                if let Some(original) = original.filter(|it| it.kind != MessageKind::Authorization)
                {
                    let kept_minor = kept_minor(request).ok().flatten();
                    book.undo(original, kept_minor.unwrap_or_default());
                }
                book.date_of(&place)
            }
            MessageKind::Financial | MessageKind::FinancialAdvice => {
                let exchange = ExchangeKey::by(request, kind, self.rules());
                match (exchange, read::item(request, issuers, self.rules())) {
                    (Ok(exchange), Some(item)) => self.book().book(exchange, place, item),
                    _ => self.book().date_of(&place),
                }
            }
        };
        if self.settings.tells_date {
            answer.set(15, date::element(date, request.is_of_1993()));
        }
    }

    /// Answers totals, or an item of a batch that is uploaded.
    pub(crate) fn decide(&self, request: &BankMessage) -> Decided {
        answer::decide(&mut self.book(), request, self.rules())
    }

    /// Books the items of a clearing file, all or none, unless the same bytes were accepted before. The issuers post
    /// what they know of.
    pub(crate) fn take_clearing_file<'a>(
        &self,
        bytes: &[u8],
        issuers: impl Iterator<Item = &'a Issuer>,
    ) -> Result<ClearingAnswer, SettlementError> {
        clearing_house::take(&mut self.book(), bytes, issuers)
    }

    /// Changes the amount of the item that was booked first under this RRN; the new amount.
    pub(crate) fn misbook(&self, rrn: &str, delta_minor: i64) -> Result<i64, SettlementError> {
        self.book().misbook(rrn, delta_minor)
    }

    /// Books a dispute under the date that is open. The issuer that knows the payment posts it.
    pub(crate) fn dispute<'a>(
        &self,
        dispute: &Dispute,
        issuers: impl Iterator<Item = &'a Issuer>,
    ) -> Result<BookedDispute, SettlementError> {
        dispute::take(&mut self.book(), dispute, issuers)
    }

    /// Moves the business date on, to the following one unless another is given; the new one.
    pub(crate) fn move_on(&self, next: Option<Date>) -> Result<Date, SettlementError> {
        self.book().move_on(next)
    }

    /// The items of a date, or all: by acceptor, currency and RRN.
    pub(crate) fn items(&self, date: Option<Date>) -> Vec<SettlementItem> {
        self.book().items(date)
    }

    /// The report of a date, in CSV: what is reconciled with it, or with none and booked under it.
    pub(crate) fn report(&self, date: Date) -> Vec<u8> {
        let items = self.items(Some(date));
        report::write(items, date, &self.settings.institution_id)
    }
}
