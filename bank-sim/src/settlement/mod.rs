//! The acquirer's part in the end of the bank's day: what it books of each capture and refund that it relays an
//! approval of, and under which date.
//!
//! - `item`: what is booked; `read`: the item of a message; `book`: all items, without any I/O.
//! - `date`: business dates as elements and as text; `error`: what can't be done, and why.

mod book;
pub(crate) mod date;
mod error;
mod item;
mod read;

use std::sync::{Mutex, MutexGuard, PoisonError};

use time::Date;

use self::book::Book;
pub use self::{
    error::SettlementError,
    item::{ItemKind, SettlementItem},
};
use crate::{
    config::HostRules,
    issuer::{ExchangeKey, MessageKind, kept_minor},
    message::BankMessage,
};

/// What an acquirer books, and its business date.
#[derive(Debug)]
pub(crate) struct Settlement {
    rules: HostRules,
    /// Whether approvals tell the date that they are booked under.
    tells_date: bool,
    book: Mutex<Book>,
}

impl Settlement {
    /// Empty books.
    pub(crate) fn new(rules: HostRules, tells_date: bool, business_date: Date) -> Self {
        Self {
            rules,
            tells_date,
            book: Mutex::new(Book::new(business_date)),
        }
    }

    /// What the host wants of messages.
    pub(crate) fn rules(&self) -> HostRules {
        self.rules
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
        let Some(kind) = MessageKind::at(request.mti(), self.rules) else {
            return;
        };
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
                let exchange = ExchangeKey::by(request, kind, self.rules);
                match (exchange, read::item(request, issuers, self.rules)) {
                    (Ok(exchange), Some(item)) => self.book().book(exchange, place, item),
                    _ => self.book().date_of(&place),
                }
            }
        };
        if self.tells_date {
            answer.set(15, date::element(date, request.is_of_1993()));
        }
    }

    /// Moves the business date on, to the following one unless another is given; the new one.
    pub(crate) fn move_on(&self, next: Option<Date>) -> Result<Date, SettlementError> {
        self.book().move_on(next)
    }

    /// The items of a date, or all: by acceptor, currency and RRN.
    pub(crate) fn items(&self, date: Option<Date>) -> Vec<SettlementItem> {
        self.book().items(date)
    }
}
