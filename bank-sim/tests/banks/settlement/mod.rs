//! The end of the bank's day, as a switch meets it on its line.

mod booking;
mod cutover;

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
