//! One capture, refund or dispute in the acquirer's books.

use std::{fmt, ops::RangeInclusive};

use time::Date;

use crate::issuer::PaymentKind;

/// Whether the cardholder pays or is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ItemKind {
    /// A sale, or the completion of an authorization.
    Capture,
    /// A return of goods.
    Refund,
    /// The issuer takes a capture back.
    Chargeback,
    /// The issuer gives back what it had charged back.
    ChargebackReversed,
}

impl ItemKind {
    /// Whether the cardholder pays; otherwise the cardholder is paid.
    pub(super) fn cardholder_pays(self) -> bool {
        match self {
            Self::Capture | Self::ChargebackReversed => true,
            Self::Refund | Self::Chargeback => false,
        }
    }

    /// What it is to the cardholder's account.
    pub(super) fn payment_kind(self) -> PaymentKind {
        if self.cardholder_pays() {
            PaymentKind::Debit
        } else {
            PaymentKind::Credit
        }
    }

    /// Whether totals compare it. No message tells a switch of a dispute, so its totals cannot have it.
    pub(super) fn counts_in_totals(self) -> bool {
        match self {
            Self::Capture | Self::Refund => true,
            Self::Chargeback | Self::ChargebackReversed => false,
        }
    }
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
    /// Before and after every other text.
    const FIRST: Self = Self([0; N]);
    const LAST: Self = Self([u8::MAX; N]);

    /// The beginning of a text, as far as there is room.
    pub(super) fn of(text: &[u8]) -> Self {
        let mut padded = [b' '; N];
        for (place, byte) in padded.iter_mut().zip(text) {
            *place = *byte;
        }
        Self(padded)
    }

    /// The text with the blanks.
    pub(super) fn bytes(&self) -> [u8; N] {
        self.0
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Place {
    /// DE 42.
    pub(super) acceptor: Padded<15>,
    /// DE 41.
    pub(super) terminal: Padded<8>,
    /// DE 49.
    pub(super) currency_numeric: u16,
}

/// The items that totals are about, of one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scope {
    /// All.
    Host,
    /// Those of a card acceptor.
    Acceptor(Padded<15>),
    /// Those of one of its terminals.
    Terminal(Padded<15>, Padded<8>),
}

impl Scope {
    /// Whether an item is of this scope and currency.
    pub(super) fn has(self, key: &ItemKey, currency_numeric: u16) -> bool {
        let is_of_scope = match self {
            Self::Host => true,
            Self::Acceptor(acceptor) => key.acceptor == acceptor,
            Self::Terminal(acceptor, terminal) => {
                (key.acceptor, key.terminal) == (acceptor, terminal)
            }
        };
        is_of_scope && key.currency_numeric == currency_numeric
    }
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

impl ItemKey {
    /// The keys that a scope lies between; there may be others.
    pub(super) fn around(scope: Scope, currency_numeric: u16) -> RangeInclusive<Self> {
        let (first, last) = match scope {
            Scope::Host => ((Padded::FIRST, u16::MIN), (Padded::LAST, u16::MAX)),
            Scope::Acceptor(acceptor) | Scope::Terminal(acceptor, _) => {
                ((acceptor, currency_numeric), (acceptor, currency_numeric))
            }
        };
        let first = Self {
            acceptor: first.0,
            currency_numeric: first.1,
            rrn: Padded::FIRST,
            kind: ItemKind::Capture,
            terminal: Padded::FIRST,
            number: u64::MIN,
        };
        let last = Self {
            acceptor: last.0,
            currency_numeric: last.1,
            rrn: Padded::LAST,
            kind: ItemKind::ChargebackReversed,
            terminal: Padded::LAST,
            number: u64::MAX,
        };
        first..=last
    }

    /// The keys of one RRN at one place.
    pub(super) fn of_rrn(place: Place, rrn: Padded<12>, kind: ItemKind) -> RangeInclusive<Self> {
        let first = Self {
            acceptor: place.acceptor,
            currency_numeric: place.currency_numeric,
            rrn,
            kind,
            terminal: place.terminal,
            number: u64::MIN,
        };
        let number = u64::MAX;
        first..=Self { number, ..first }
    }

    pub(super) fn place(&self) -> Place {
        Place {
            acceptor: self.acceptor,
            terminal: self.terminal,
            currency_numeric: self.currency_numeric,
        }
    }
}

/// What tells an upload from all others; a repeat has the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct UploadKey {
    pub(super) stan: [u8; 6],
    /// DE 7, or in 1993 the same places of DE 12.
    pub(super) transmitted: [u8; 10],
    pub(super) rrn: Padded<12>,
    pub(super) place: Place,
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
    /// Whether the switch has uploaded it since the last totals.
    pub(super) is_uploaded: bool,
    /// Whether the bank only has it from an upload.
    pub(super) is_from_upload: bool,
}

impl Item {
    /// A new item of this date.
    pub(super) fn new(item: NewItem, amount_minor: i64, business_date: Date) -> Self {
        Self {
            amount_minor,
            approval_code: item.approval_code,
            card_masked: item.card_masked,
            business_date,
            reconciled_with: None,
            is_uploaded: false,
            is_from_upload: false,
        }
    }

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
