//! The bank's sums of a date, and the batch that a switch uploads when they are not its own.

use std::collections::BTreeSet;

use time::Date;

use super::{
    book::Book,
    item::{Item, ItemKey, NewItem, Scope, UploadKey},
    totals::Totals,
};

/// Whether an item counts in the totals of a date: it was reconciled with it, or with none and is not of a later one.
/// A dispute counts in none.
fn counts(key: &ItemKey, item: &Item, date: Date) -> bool {
    key.kind.counts_in_totals()
        && match item.reconciled_with {
            Some(reconciled) => reconciled == date,
            None => item.business_date <= date,
        }
}

impl Book {
    /// Sums up a scope and a currency for a date. The items are reconciled with that date from then on, so that the
    /// same is summed up when it is asked for again; what comes later is of a later date.
    pub(super) fn total(&mut self, scope: Scope, currency_numeric: u16, date: Date) -> Totals {
        let closed = self.closed.entry((scope, currency_numeric)).or_insert(date);
        *closed = date.max(*closed);
        self.drop_not_uploaded(scope, currency_numeric, date);
        let mut totals = Totals::default();
        let around = ItemKey::around(scope, currency_numeric);
        for (key, item) in self.items.range_mut(around) {
            if scope.has(key, currency_numeric) && counts(key, item, date) {
                item.reconciled_with = Some(date);
                item.is_uploaded = false;
                totals.add(key.kind, item.amount_minor);
            }
        }
        totals
    }

    /// Of an acceptor that has uploaded something since the last totals, all else leaves the date: it is of a later
    /// one, or gone if the bank only had it from an upload.
    fn drop_not_uploaded(&mut self, scope: Scope, currency_numeric: u16, date: Date) {
        let mut uploaders = BTreeSet::new();
        let mut others = Vec::new();
        let around = ItemKey::around(scope, currency_numeric);
        for (key, item) in self.items.range(around) {
            if scope.has(key, currency_numeric) && counts(key, item, date) {
                if item.is_uploaded {
                    uploaders.insert(key.acceptor);
                } else {
                    others.push(*key);
                }
            }
        }
        for key in others {
            if uploaders.contains(&key.acceptor) {
                self.drop_from_date(&key, date);
            }
        }
    }

    fn drop_from_date(&mut self, key: &ItemKey, date: Date) {
        let later = self.date_of(&key.place());
        let later = date.next_day().map_or(later, |next| next.max(later));
        if let Some(item) = self.items.get_mut(key) {
            item.reconciled_with = None;
            item.business_date = later;
            if item.is_from_upload {
                self.items.remove(key);
            }
        }
    }

    /// Takes an uploaded item of a date: the bank's own with the same place, RRN and kind takes the amount, and one that
    /// the bank does not have is added. Of several (parts of one authorization) the one that has the same approval code
    /// or the same amount is meant, and none that was uploaded already. Whether the upload is new.
    pub(super) fn upload(&mut self, upload: UploadKey, new: NewItem, date: Date) -> bool {
        if !self.uploads.is_new(upload) {
            return false;
        }
        let place = upload.place;
        let own = self
            .items
            .range(ItemKey::of_rrn(place, new.rrn, new.kind))
            .filter(|(_, item)| {
                !item.is_uploaded && item.reconciled_with.is_none_or(|with| with == date)
            })
            .max_by_key(|(key, item)| {
                let has_code = item.approval_code == new.approval_code;
                let has_amount = item.amount_minor == new.amount_minor;
                // The first of those that are equally good.
                (has_code, has_amount, std::cmp::Reverse(key.number))
            })
            .map(|(key, _)| *key);
        let amount_minor = new.amount_minor;
        let is_from_upload = own.is_none();
        let key = own.unwrap_or_else(|| self.new_key(place, &new));
        let item = self
            .items
            .entry(key)
            .or_insert_with(|| Item::new(new, amount_minor, date));
        item.amount_minor = amount_minor;
        item.reconciled_with = Some(date);
        item.is_uploaded = true;
        item.is_from_upload |= is_from_upload;
        true
    }
}
