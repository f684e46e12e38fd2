//! One capture or refund in the acquirer's books.

use std::fmt;

use time::Date;

/// Whether the cardholder pays or is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ItemKind {
    /// A sale, or the completion of an authorization.
    Capture,
    /// A return of goods.
    Refund,
}

/// A settlement item as the books have it at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettlementItem {
    /// DE 42, without the blanks at its end.
    pub acceptor: String,
    /// DE 41, likewise.
    pub terminal: String,
    /// Whether the cardholder pays or is paid.
    pub kind: ItemKind,
    /// DE 37.
    pub rrn: String,
    /// DE 38; empty when there was none.
    pub approval_code: String,
    /// BIN and last four digits of the card; empty when the bank never saw it.
    pub card_masked: String,
    /// DE 49, the numeric code of ISO 4217.
    pub currency_numeric: u16,
    /// In minor units, more than 0.
    pub amount_minor: i64,
    /// The date that it is booked under.
    pub business_date: Date,
    /// The date that totals have reconciled it with.
    pub reconciled_with: Option<Date>,
}

/// ASCII of a fixed length, with blanks at its end where the text is shorter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Padded<const N: usize>([u8; N]);

impl<const N: usize> Padded<N> {
    /// The beginning of a text, as far as there is room.
    pub(super) fn of(text: &[u8]) -> Self {
        let mut padded = [b' '; N];
        for (place, byte) in padded.iter_mut().zip(text) {
            *place = *byte;
        }
        Self(padded)
    }

    /// The text without the blanks.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).trim_end().to_owned()
    }
}

impl<const N: usize> fmt::Debug for Padded<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

/// Where a payment was made, and in which currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// DE 42.
    pub(super) acceptor: Padded<15>,
    /// DE 41.
    pub(super) terminal: Padded<8>,
    /// DE 49.
    pub(super) currency_numeric: u16,
}

/// What tells an item from all others, in the order in which items are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ItemKey {
    pub(super) acceptor: Padded<15>,
    pub(super) currency_numeric: u16,
    pub(super) rrn: Padded<12>,
    pub(super) kind: ItemKind,
    pub(super) terminal: Padded<8>,
    /// Its number in the books: what completes one authorization in parts shares all the rest.
    pub(super) number: u64,
}

/// The part of a new item that its place does not say.
#[derive(Debug)]
pub(super) struct NewItem {
    pub(super) kind: ItemKind,
    pub(super) rrn: Padded<12>,
    pub(super) amount_minor: i64,
    pub(super) approval_code: Padded<6>,
    pub(super) card_masked: String,
}

/// An item in the books.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) amount_minor: i64,
    pub(super) approval_code: Padded<6>,
    pub(super) card_masked: String,
    pub(super) business_date: Date,
    pub(super) reconciled_with: Option<Date>,
}

impl Item {
    pub(super) fn snapshot(&self, key: &ItemKey) -> SettlementItem {
        SettlementItem {
            acceptor: key.acceptor.text(),
            terminal: key.terminal.text(),
            kind: key.kind,
            rrn: key.rrn.text(),
            approval_code: self.approval_code.text(),
            card_masked: self.card_masked.clone(),
            currency_numeric: key.currency_numeric,
            amount_minor: self.amount_minor,
            business_date: self.business_date,
            reconciled_with: self.reconciled_with,
        }
    }
}
