//! All settlement items of an acquirer, without any I/O.

use std::collections::BTreeMap;

use time::Date;

use super::{
    error::SettlementError,
    item::{Item, ItemKey, NewItem, Place, SettlementItem},
};
use crate::{issuer::ExchangeKey, random::HashMap};

/// The settlement items, and the date that new ones are booked under.
#[derive(Debug)]
pub(super) struct Book {
    business_date: Date,
    items: BTreeMap<ItemKey, Item>,
    /// No more than there are exchanges that the acquirer has forwarded.
    exchanges: HashMap<ExchangeKey, Known>,
    next_number: u64,
}

/// What the books know of an exchange.
#[derive(Debug, Clone, Copy)]
enum Known {
    /// It has been booked, whether or not the item is still there.
    Booked(ItemKey, Date),
    /// Its reversal was acknowledged before it was approved; so much stays.
    Undone { kept_minor: i64 },
}

impl Book {
    pub(super) fn new(business_date: Date) -> Self {
        Self {
            business_date,
            items: BTreeMap::new(),
            exchanges: HashMap::default(),
            next_number: 0,
        }
    }

    /// Moves the date on, to the following one unless another is given; the new one.
    pub(super) fn move_on(&mut self, next: Option<Date>) -> Result<Date, SettlementError> {
        let business_date = self.business_date;
        let got = next.or(business_date.next_day()).unwrap_or(business_date);
        if got <= business_date {
            return Err(SettlementError::NotLater { business_date, got });
        }
        self.business_date = got;
        Ok(got)
    }

    /// The date that an item of this place is booked under now.
    pub(super) fn date_of(&self, _place: &Place) -> Date {
        self.business_date
    }

    /// Books an exchange, unless it is booked already; the date that it is booked under. The key is the exchange's
    /// and not just its RRN: an authorization that is completed in parts has several captures under one RRN.
    pub(super) fn book(&mut self, exchange: ExchangeKey, place: Place, item: NewItem) -> Date {
        let date = self.date_of(&place);
        let mut amount_minor = item.amount_minor;
        match self.exchanges.get(&exchange) {
            Some(Known::Booked(_, date)) => return *date,
            Some(Known::Undone { kept_minor }) => amount_minor = amount_minor.min(*kept_minor),
            None => {}
        }
        let key = self.new_key(place, &item);
        self.exchanges.insert(exchange, Known::Booked(key, date));
        if amount_minor > 0 {
            self.items.insert(
                key,
                Item {
                    amount_minor,
                    approval_code: item.approval_code,
                    card_masked: item.card_masked,
                    business_date: date,
                    reconciled_with: None,
                },
            );
        }
        date
    }

    /// Takes an exchange out of the books, down to the amount that stays. An item that is reconciled stays as it is.
    pub(super) fn undo(&mut self, exchange: ExchangeKey, kept_minor: i64) {
        let Some(Known::Booked(key, _)) = self.exchanges.get(&exchange) else {
            // The answer of the original may still be on its way.
            self.exchanges
                .insert(exchange, Known::Undone { kept_minor });
            return;
        };
        let Some(item) = self.items.get_mut(key) else {
            return;
        };
        if item.reconciled_with.is_some() {
            return;
        }
        item.amount_minor = item.amount_minor.min(kept_minor);
        if item.amount_minor <= 0 {
            self.items.remove(key);
        }
    }

    /// The items of a date, or all, by acceptor, currency and RRN. One that is reconciled is of the date that it is
    /// reconciled with.
    pub(super) fn items(&self, date: Option<Date>) -> Vec<SettlementItem> {
        let of_date = |item: &Item| item.reconciled_with.unwrap_or(item.business_date);
        self.items
            .iter()
            .filter(|(_, item)| date.is_none_or(|date| of_date(item) == date))
            .map(|(key, item)| item.snapshot(key))
            .collect()
    }

    fn new_key(&mut self, place: Place, item: &NewItem) -> ItemKey {
        let number = self.next_number;
        self.next_number = self.next_number.wrapping_add(1);
        ItemKey {
            acceptor: place.acceptor,
            currency_numeric: place.currency_numeric,
            rrn: item.rrn,
            kind: item.kind,
            terminal: place.terminal,
            number,
        }
    }
}
