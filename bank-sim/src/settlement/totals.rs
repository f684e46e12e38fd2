//! Sums of items, as messages about totals have them.

use super::item::ItemKind;
use crate::{
    issuer::{FormatError, number},
    message::BankMessage,
};

/// How many, and how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sum {
    count: i64,
    amount_minor: i64,
}

/// Refunds are credits and captures are debits, as the cardholder sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Totals {
    credits: Sum,
    credit_reversals: Sum,
    debits: Sum,
    debit_reversals: Sum,
    /// Credits less debits.
    net_minor: i64,
}

impl Totals {
    pub(super) fn add(&mut self, kind: ItemKind, amount_minor: i64) {
        let (sum, net_minor) = if kind.cardholder_pays() {
            (&mut self.debits, -amount_minor)
        } else {
            (&mut self.credits, amount_minor)
        };
        sum.count = sum.count.saturating_add(1);
        sum.amount_minor = sum.amount_minor.saturating_add(amount_minor);
        self.net_minor = self.net_minor.saturating_add(net_minor);
    }

    /// The totals that a message tells.
    pub(super) fn read(message: &BankMessage) -> Result<Self, FormatError> {
        let sum = |count, amount| {
            Ok(Sum {
                count: number(message, count, "10 digits")?,
                amount_minor: number(message, amount, "16 digits")?,
            })
        };
        Ok(Self {
            credits: sum(74, 86)?,
            credit_reversals: sum(75, 87)?,
            debits: sum(76, 88)?,
            debit_reversals: sum(77, 89)?,
            net_minor: net(message).ok_or(FormatError {
                de: 97,
                expected: "C or D and 16 digits",
            })?,
        })
    }

    /// Tells these totals in a message.
    pub(super) fn write(&self, message: &mut BankMessage) {
        for (count, amount, sum) in [
            (74, 86, self.credits),
            (75, 87, self.credit_reversals),
            (76, 88, self.debits),
            (77, 89, self.debit_reversals),
        ] {
            message.set(count, format!("{:010}", sum.count));
            message.set(amount, format!("{:016}", sum.amount_minor));
        }
        let sign = if self.net_minor < 0 { 'D' } else { 'C' };
        message.set(97, format!("{sign}{:016}", self.net_minor.unsigned_abs()));
    }
}

fn net(message: &BankMessage) -> Option<i64> {
    let (sign, digits) = message.text(97)?.split_at_checked(1)?;
    if digits.len() != 16 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let minor: i64 = digits.parse().ok()?;
    match sign {
        "C" => Some(minor),
        "D" => Some(-minor),
        _ => None,
    }
}
