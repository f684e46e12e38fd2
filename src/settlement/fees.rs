//! What one item costs its merchant: interchange, scheme fee, markup and tax, each in whole minor units.
//!
//! Each part is an exact fraction that is rounded once, half to even.

use std::num::NonZero;

use crate::payment::money::{Currency, MAX_AMOUNT_MINOR, Money};
use crate::payment::record::CardBrand;
use crate::payment::settlement::{ItemFees, ItemKind};

use super::fee_plan::{FeePlan, FeeRule, Origin, Pricing, RefundFee};
use super::rounding::{half_even, per_million};

/// An item that is charged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeeItem {
    /// Which way its money goes.
    pub kind: ItemKind,
    /// The card's brand.
    pub brand: CardBrand,
    /// Where the card was issued.
    pub origin: Origin,
    /// The amount that is captured or refunded.
    pub amount: Money,
    /// The interchange that the bank's report names, in minor units: in place of the plan's. Negative: it comes back.
    pub bank_interchange: Option<i64>,
    /// The scheme fee that the bank's report names, in the same way.
    pub bank_scheme_fee: Option<i64>,
    /// What a refund gives back of; only needed by a plan that gives fees back.
    pub refunded: Option<RefundedCapture>,
}

/// The capture that a refund gives back of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefundedCapture {
    /// The amount that was captured.
    pub amount: Money,
    /// What earlier refunds gave back of it, in minor units. They are counted in the order in which they were charged, so
    /// that the fees of all of them sum to what the capture cost.
    pub refunded_before_minor: i64,
    /// What the capture cost.
    pub fees: ItemFees,
}

/// Why an item can't be charged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FeeError {
    /// The plan has no rule for such an item.
    #[error("{table}: expected a rule for {brand:?} {origin:?} in {currency}, got none")]
    NoRule {
        /// The table that lacks it.
        table: &'static str,
        /// The card's brand.
        brand: CardBrand,
        /// Where it was issued.
        origin: Origin,
        /// The item's currency.
        currency: Currency,
    },
    /// The plan gives fees back, and the refund does not say of which capture.
    #[error("expected the capture that is refunded, whose fee comes back, got none")]
    NoCapture,
    /// The capture that is refunded has another currency.
    #[error("expected a refund in {expected}, as was captured, got {got}")]
    RefundCurrency {
        /// The capture's currency.
        expected: Currency,
        /// The refund's.
        got: Currency,
    },
    /// More is refunded than was captured.
    #[error(
        "expected refunds of 0 to {captured_minor} minor units in all, got {before_minor} and {refund_minor}"
    )]
    RefundAboveCapture {
        /// What was captured.
        captured_minor: i64,
        /// What was refunded before.
        before_minor: i64,
        /// What is refunded now.
        refund_minor: i64,
    },
    /// A figure is larger than any fee.
    #[error("{figure}: expected at most {most_minor} minor units either way, got {got_minor}")]
    OutOfRange {
        /// Which figure.
        figure: &'static str,
        /// The most that it may be, with either sign.
        most_minor: i64,
        /// The figure, in minor units.
        got_minor: i64,
    },
}

/// What `item` costs by `plan`. The bank's own figures stand in place of the plan's interchange and scheme fee.
///
/// # Errors
/// [`FeeError`].
pub fn fee_of(plan: &FeePlan, item: &FeeItem) -> Result<ItemFees, FeeError> {
    let terms = plan.terms();
    let interchange = figure("bank_interchange", item.bank_interchange)?;
    let scheme = figure("bank_scheme_fee", item.bank_scheme_fee)?;
    let (price, interchange, scheme) = match (item.kind, terms.refunds) {
        (ItemKind::Capture, _) => (
            required("price", &terms.price, item)?,
            interchange.map_or_else(|| optional("interchange", &terms.interchange, item), Ok)?,
            scheme.map_or_else(|| optional("scheme_fee", &terms.scheme_fee, item), Ok)?,
        ),
        (ItemKind::Refund, RefundFee::None) => (0, interchange.unwrap_or(0), scheme.unwrap_or(0)),
        (ItemKind::Refund, RefundFee::FixedMinor(price)) => {
            (price, interchange.unwrap_or(0), scheme.unwrap_or(0))
        }
        (ItemKind::Chargeback, _) => (terms.chargeback_minor, 0, 0),
        (ItemKind::ChargebackReversal, _) => return Ok(ItemFees::default()),
        (ItemKind::Refund, RefundFee::GiveBack) => {
            return given_back(plan, item, interchange, scheme);
        }
    };
    Ok(charged(plan, price, interchange, scheme))
}

/// The parts of what is charged; only the tax is rounded here.
fn charged(plan: &FeePlan, price: i64, interchange: i64, scheme: i64) -> ItemFees {
    let terms = plan.terms();
    let markup = match terms.pricing {
        Pricing::Blended => price - interchange - scheme,
        Pricing::PlusPlus => price,
    };
    let before_tax = interchange + scheme + markup;
    ItemFees {
        interchange,
        scheme,
        markup,
        tax: whole(per_million(before_tax, terms.tax_ppm, 0)),
    }
}

/// The share of a capture's fee that comes back with a refund of it.
fn given_back(
    plan: &FeePlan,
    item: &FeeItem,
    interchange: Option<i64>,
    scheme: Option<i64>,
) -> Result<ItemFees, FeeError> {
    let share = RefundShare::of(item)?;
    let fees = share.fees;
    let pricing = plan.terms().pricing;
    let price = match pricing {
        Pricing::Blended => fees.before_tax(),
        Pricing::PlusPlus => fees.markup,
    };
    // Where the bank gives back another interchange, a price that is added to it leaves another sum, with another tax.
    let is_share = pricing == Pricing::Blended || (interchange.is_none() && scheme.is_none());
    let back = charged(
        plan,
        -share.part(price),
        interchange.unwrap_or_else(|| -share.part(fees.interchange)),
        scheme.unwrap_or_else(|| -share.part(fees.scheme)),
    );
    Ok(match is_share {
        true => ItemFees {
            tax: -share.part(fees.tax),
            ..back
        },
        false => back,
    })
}

/// Which part of a capture a refund gives back.
struct RefundShare {
    captured_minor: NonZero<u64>,
    before_minor: i64,
    after_minor: i64,
    fees: ItemFees,
}

impl RefundShare {
    fn of(item: &FeeItem) -> Result<Self, FeeError> {
        let capture = item.refunded.ok_or(FeeError::NoCapture)?;
        let (expected, got) = (capture.amount.currency(), item.amount.currency());
        if expected != got {
            return Err(FeeError::RefundCurrency { expected, got });
        }
        let captured_minor = capture.amount.amount_minor();
        let before_minor = capture.refunded_before_minor;
        let refund_minor = item.amount.amount_minor();
        let above = FeeError::RefundAboveCapture {
            captured_minor,
            before_minor,
            refund_minor,
        };
        let after_minor = before_minor
            .checked_add(refund_minor)
            .filter(|after| before_minor >= 0 && *after <= captured_minor)
            .ok_or(above)?;
        for (name, part) in [
            ("refunded.fees.interchange", capture.fees.interchange),
            ("refunded.fees.scheme", capture.fees.scheme),
            ("refunded.fees.markup", capture.fees.markup),
            ("refunded.fees.tax", capture.fees.tax),
        ] {
            // A part of a capture's fee is made of three prices, each at most an amount and a fixed part.
            bounded(name, part, 6 * MAX_AMOUNT_MINOR)?;
        }
        let captured = u64::try_from(captured_minor).ok().and_then(NonZero::new);
        Ok(Self {
            captured_minor: captured.ok_or(above)?,
            before_minor,
            after_minor,
            fees: capture.fees,
        })
    }

    /// The refund's share of a part of the fee. What all refunds so far give back is rounded, less what those before gave
    /// back: so that the shares of a whole capture sum to the part, however it is cut.
    fn part(&self, part: i64) -> i64 {
        let until = |refunded_minor: i64| {
            half_even(
                i128::from(part) * i128::from(refunded_minor),
                self.captured_minor,
            )
        };
        whole(until(self.after_minor) - until(self.before_minor))
    }
}

/// The first rule that is for such an item: its place in the table, from 0, and what it costs in minor units.
pub(super) fn first_rule(
    rules: &[FeeRule],
    (brand, origin, currency): (CardBrand, Origin, Currency),
    amount_minor: i64,
) -> Option<(usize, i64)> {
    let place = rules
        .iter()
        .position(|rule| rule.is_for(brand, origin, currency))?;
    let rule = rules.get(place)?;
    let exact = per_million(amount_minor, rule.ppm, rule.fixed_minor);
    let cap = rule.cap_minor.unwrap_or(i64::MAX);
    Some((place, whole(exact).clamp(rule.minimum_minor, cap)))
}

fn required(table: &'static str, rules: &[FeeRule], item: &FeeItem) -> Result<i64, FeeError> {
    let of = (item.brand, item.origin, item.amount.currency());
    let first = first_rule(rules, of, item.amount.amount_minor());
    first.map(|(_, minor)| minor).ok_or(FeeError::NoRule {
        table,
        brand: item.brand,
        origin: item.origin,
        currency: item.amount.currency(),
    })
}

/// A plan without such a table knows nothing of the part; one that has the table must have a rule.
fn optional(table: &'static str, rules: &[FeeRule], item: &FeeItem) -> Result<i64, FeeError> {
    match rules.is_empty() {
        true => Ok(0),
        false => required(table, rules, item),
    }
}

fn figure(name: &'static str, got: Option<i64>) -> Result<Option<i64>, FeeError> {
    got.map(|minor| bounded(name, minor, MAX_AMOUNT_MINOR))
        .transpose()
}

fn bounded(figure: &'static str, got_minor: i64, most_minor: i64) -> Result<i64, FeeError> {
    match (-most_minor..=most_minor).contains(&got_minor) {
        true => Ok(got_minor),
        false => Err(FeeError::OutOfRange {
            figure,
            most_minor,
            got_minor,
        }),
    }
}

/// Minor units as 64 bits. Amounts, rates and figures are bounded, so none is cut.
fn whole(minor: i128) -> i64 {
    i64::try_from(minor).unwrap_or(if minor < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests;
