//! All settlement items of an acquirer, without any I/O.

use std::collections::BTreeMap;

use time::Date;

use super::{
    error::SettlementError,
    item::{Item, ItemKey, NewItem, Padded, Place, Scope, SettlementItem, UploadKey},
};
use crate::{issuer::ExchangeKey, random::HashMap, recent::Recent};

/// The largest amount that DE 4 can say.
pub(super) const MAX_AMOUNT_MINOR: i64 = 999_999_999_999;

/// The most uploads that are known again as repeats.
const MAX_REMEMBERED_UPLOADS: usize = 100_000;

/// The most clearing files that are known again as duplicates.
const MAX_REMEMBERED_FILES: usize = 100_000;

/// The settlement items, and the date that new ones are booked under.
#[derive(Debug)]
pub(super) struct Book {
    business_date: Date,
    pub(super) items: BTreeMap<ItemKey, Item>,
    /// The most items that uploads and files may add to.
    capacity: usize,
    /// No more than there are exchanges that the acquirer has forwarded.
    exchanges: HashMap<ExchangeKey, Known>,
    next_number: u64,
    /// The last date of each scope and currency that has been reconciled: what comes later is of a later date.
    pub(super) closed: BTreeMap<(Scope, u16), Date>,
    /// The uploads that have had their effect.
    pub(super) uploads: Recent<UploadKey>,
    /// The digests of the clearing files that were accepted.
    pub(super) files: Recent<[u8; 32]>,
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
    pub(super) fn new(capacity: usize, business_date: Date) -> Self {
        Self {
            business_date,
            items: BTreeMap::new(),
            capacity,
            exchanges: HashMap::default(),
            next_number: 0,
            closed: BTreeMap::new(),
            uploads: Recent::new(MAX_REMEMBERED_UPLOADS),
            files: Recent::new(MAX_REMEMBERED_FILES),
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

    /// The present date, whatever has been reconciled.
    pub(super) fn business_date(&self) -> Date {
        self.business_date
    }

    /// The date that an item of this place is booked under now: after the last one that its scopes were reconciled
    /// for.
    pub(super) fn date_of(&self, place: &Place) -> Date {
        self.open_date(place, self.business_date)
    }

    /// A date, or where it has been reconciled the first later one that has not.
    fn open_date(&self, place: &Place, date: Date) -> Date {
        let Place {
            acceptor,
            terminal,
            currency_numeric,
        } = *place;
        let scopes = [
            Scope::Host,
            Scope::Acceptor(acceptor),
            Scope::Terminal(acceptor, terminal),
        ];
        scopes
            .iter()
            .filter_map(|scope| self.closed.get(&(*scope, currency_numeric))?.next_day())
            .fold(date, Date::max)
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
            self.items.insert(key, Item::new(item, amount_minor, date));
        }
        date
    }

    /// Books an item of a clearing file under the file's date.
    pub(super) fn book_detail(&mut self, place: Place, item: NewItem, date: Date) {
        let date = self.open_date(&place, date);
        let amount_minor = item.amount_minor;
        let key = self.new_key(place, &item);
        self.items.insert(key, Item::new(item, amount_minor, date));
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

    /// Changes the amount of the item that was booked first under this RRN; the new amount.
    pub(super) fn misbook(&mut self, rrn: &str, delta_minor: i64) -> Result<i64, SettlementError> {
        let named = Padded::of(rrn.as_bytes());
        let of_rrn = self.items.iter_mut().filter(|(key, _)| key.rrn == named);
        let first = of_rrn.min_by_key(|(key, _)| key.number);
        let (_, item) = first.ok_or_else(|| SettlementError::UnknownItem {
            rrn: rrn.to_owned(),
        })?;
        let amount_minor = item.amount_minor.checked_add(delta_minor);
        let amount_minor = amount_minor.filter(|minor| (1..=MAX_AMOUNT_MINOR).contains(minor));
        item.amount_minor = amount_minor.ok_or(SettlementError::Amount {
            amount_minor: item.amount_minor,
            delta_minor,
        })?;
        Ok(item.amount_minor)
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

    /// Whether there is room for so many items that the acquirer has not forwarded.
    pub(super) fn has_room_for(&self, more: usize) -> bool {
        self.items.len().saturating_add(more) <= self.capacity
    }

    pub(super) fn new_key(&mut self, place: Place, item: &NewItem) -> ItemKey {
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
