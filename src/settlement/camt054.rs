//! What became of payouts, as the bank tells it: ISO 20022 camt.054, of every version that has its namespace.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::io::BufRead;

use super::iso20022::booking::Booking;
use super::iso20022::entries::{Entries, Part};
use super::iso20022::entry::UnknownAmounts;
use super::iso20022::error::Iso20022Error;
use super::iso20022::message::Message;
use crate::card::clear_card::without_card_numbers;

/// The largest file: its bookings are held until the last of them is read.
pub const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// The bookings of a notification, in the order of the file. After an error there are no more; those before it came from
/// a file that is wrong, and are better not used.
pub struct Camt054<R> {
    entries: Entries<R>,
    bookings: VecDeque<Booking>,
    is_done: bool,
}

/// Reads the bookings of a notification.
pub fn read_camt054<R: BufRead>(input: R) -> Camt054<R> {
    let allowed = &[Message::Notification];
    Camt054 {
        entries: Entries::new(input, allowed, MOST_BYTES, UnknownAmounts::AreRefused),
        bookings: VecDeque::new(),
        is_done: false,
    }
}

impl<R: BufRead> Iterator for Camt054<R> {
    type Item = Result<Booking, Iso20022Error>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.bookings.is_empty() && !self.is_done {
            match self.entries.next_part() {
                Ok(Some(Part::Entry(bookings))) => self.bookings.extend(bookings),
                Ok(Some(Part::Begin(_) | Part::Element(_) | Part::End(_))) => {}
                Ok(None) => self.is_done = true,
                Err(error) => {
                    self.is_done = true;
                    return Some(Err(error));
                }
            }
        }
        self.bookings.pop_front().map(without_cards).map(Ok)
    }
}

/// A booking whose texts have no card number.
fn without_cards(mut booking: Booking) -> Booking {
    let texts = [
        &mut booking.servicer_reference,
        &mut booking.end_to_end_id,
        &mut booking.return_reason,
        &mut booking.text,
    ];
    for text in texts.into_iter().flatten() {
        if let Cow::Owned(masked) = without_card_numbers(text) {
            *text = masked;
        }
    }
    booking
}

#[cfg(test)]
mod tests;
