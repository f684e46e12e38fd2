//! The end of the bank's day, as a switch meets it on its line.

mod booking;
mod clearing;
mod cutover;
mod dispute;
mod report;
mod totals;
mod upload;

use bank_sim::settlement::{ItemKind, SettlementItem};
use iso8583::{MessageBuilder, Mti};
use time::{Date, macros::date};

use crate::harness::Banks;
use crate::switch::Switch;

/// The business date that the tests begin on.
pub(crate) const TODAY: Date = date!(2026 - 11 - 29);
pub(crate) const PAN: &str = "4111111111111111";

/// What the acquirer has booked: kind, amount, and the date that it belongs to.
fn booked(banks: &Banks) -> Vec<(ItemKind, i64)> {
    let items = banks.sim.settlement_items("acquirer", None).unwrap();
    let amounts = items.iter().map(|item| (item.kind, item.amount_minor));
    amounts.collect()
}

fn items(banks: &Banks) -> Vec<SettlementItem> {
    banks.sim.settlement_items("acquirer", None).unwrap()
}

fn sale(switch: &mut Switch, amount_minor: u64) -> MessageBuilder {
    switch.payment(Mti::FINANCIAL_REQUEST, PAN, amount_minor, "978")
}

fn refund(switch: &mut Switch, amount_minor: u64) -> MessageBuilder {
    let mut refund = sale(switch, amount_minor);
    refund.text(3, "200000");
    refund
}

/// What a switch says about its items: how many captures and refunds, and their amounts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sums {
    pub(crate) captures: (u64, u64),
    pub(crate) refunds: (u64, u64),
}

impl Sums {
    /// Captures only.
    pub(crate) fn captures(count: u64, amount_minor: u64) -> Self {
        Self {
            captures: (count, amount_minor),
            refunds: (0, 0),
        }
    }

    /// DE 74 to 77, 86 to 89 and 97, as messages have them.
    pub(crate) fn elements(self) -> Vec<(u8, String)> {
        let ((captures, captured), (refunds, refunded)) = (self.captures, self.refunds);
        let mut elements: Vec<(u8, String)> = Vec::new();
        for (de, count) in [(74, refunds), (75, 0), (76, captures), (77, 0)] {
            elements.push((de, format!("{count:010}")));
        }
        for (de, amount) in [(86, refunded), (87, 0), (88, captured), (89, 0)] {
            elements.push((de, format!("{amount:016}")));
        }
        let sign = if captured > refunded { 'D' } else { 'C' };
        elements.push((97, format!("{sign}{:016}", captured.abs_diff(refunded))));
        elements
    }
}

/// Totals of the whole host in euros for a date (`MMDD`).
pub(crate) fn totals(switch: &mut Switch, date: &str, sums: Sums) -> MessageBuilder {
    let mut message = MessageBuilder::new("0500".parse().unwrap());
    message
        .text(7, "1129230000")
        .text(11, &switch.next_stan())
        .text(12, "230000")
        .text(13, "1129")
        .text(15, date)
        .text(32, "123456")
        .text(50, "978");
    for (de, value) in sums.elements() {
        message.text(de, &value);
    }
    message
}

/// An item that a switch uploads for a date (`MMDD`): what it was booked for, with an amount.
pub(crate) fn upload(
    switch: &mut Switch,
    booked: &MessageBuilder,
    date: &str,
    amount_minor: u64,
) -> MessageBuilder {
    let mut message = MessageBuilder::new("0320".parse().unwrap());
    for de in [3, 37, 41, 42, 49] {
        message.text(de, &booked.text_of(de).unwrap());
    }
    message
        .text(4, &format!("{amount_minor:012}"))
        .text(7, "1129230000")
        .text(11, &switch.next_stan())
        .text(15, date);
    message
}
