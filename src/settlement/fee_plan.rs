//! What a merchant pays for each capture and refund, as its operator wrote it: in TOML, or in JSON.
//!
//! ```toml
//! pricing = "blended"
//! tax_ppm = 210_000
//! refunds = "give_back"
//!
//! [[price]]
//! brand = "visa"
//! origin = "domestic"
//! currency = "EUR"
//! ppm = 14_000
//! fixed_minor = 25
//! cap_minor = 500
//!
//! [[price]]
//! ppm = 29_000
//! ```

use serde::de::IntoDeserializer;
use serde::de::value::Error as WordError;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::payment::money::{Currency, MAX_AMOUNT_MINOR};
use crate::payment::record::CardBrand;

use super::rounding::WHOLE_PPM;

/// The most rules of a table.
pub const MOST_RULES: usize = 500;
/// The word for a filter that everything passes.
const ANY: &str = "any";

/// Where a card was issued, seen from the merchant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// In the merchant's country, or in what its operator counts as that.
    Domestic,
    /// Elsewhere.
    CrossBorder,
}

/// What a rule is for: one value, or any. In a file the value's word, or `any`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Filter<T> {
    /// Every value passes.
    #[default]
    Any,
    /// This one passes.
    Only(T),
}

impl<T: PartialEq> Filter<T> {
    fn passes(&self, value: &T) -> bool {
        match self {
            Self::Any => true,
            Self::Only(only) => only == value,
        }
    }

    /// Whether every value that passes `other` passes this one.
    fn covers(&self, other: &Self) -> bool {
        match other {
            Self::Any => *self == Self::Any,
            Self::Only(value) => self.passes(value),
        }
    }
}

impl<T: Serialize> Serialize for Filter<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Any => serializer.serialize_str(ANY),
            Self::Only(value) => value.serialize(serializer),
        }
    }
}

impl<'de, T: for<'word> Deserialize<'word>> Deserialize<'de> for Filter<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        if word == ANY {
            return Ok(Self::Any);
        }
        let value = T::deserialize(word.as_str().into_deserializer());
        value.map(Self::Only).map_err(|error: WordError| {
            serde::de::Error::custom(format_args!("expected \"{ANY}\", or: {error}"))
        })
    }
}

/// A fee for the items that pass its three filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeeRule {
    /// The brands of the cards.
    #[serde(default)]
    pub brand: Filter<CardBrand>,
    /// Where the cards were issued.
    #[serde(default)]
    pub origin: Filter<Origin>,
    /// The currencies. Minor units below are those of the item's currency, whichever it is.
    #[serde(default)]
    pub currency: Filter<Currency>,
    /// A percentage of the item's amount, in parts per million: 0 to [`WHOLE_PPM`]; 14,000 are 1.4 %.
    #[serde(default)]
    pub ppm: u32,
    /// Added to it: minor units, 0 or more.
    #[serde(default)]
    pub fixed_minor: i64,
    /// The least that both together cost: minor units, 0 or more.
    #[serde(default)]
    pub minimum_minor: i64,
    /// The most that both together cost: minor units, the minimum or more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap_minor: Option<i64>,
}

impl FeeRule {
    /// Whether the rule is for such an item.
    #[must_use]
    pub fn is_for(&self, brand: CardBrand, origin: Origin, currency: Currency) -> bool {
        self.brand.passes(&brand) && self.origin.passes(&origin) && self.currency.passes(&currency)
    }

    fn covers(&self, other: &Self) -> bool {
        self.brand.covers(&other.brand)
            && self.origin.covers(&other.origin)
            && self.currency.covers(&other.currency)
    }

    fn check(&self, key: &str) -> Result<(), FeePlanError> {
        let (ppm, most_ppm) = (i64::from(self.ppm), i64::from(WHOLE_PPM));
        let cap = self.cap_minor.unwrap_or(MAX_AMOUNT_MINOR);
        within(key, "ppm", ppm, 0, most_ppm)?;
        within(key, "fixed_minor", self.fixed_minor, 0, MAX_AMOUNT_MINOR)?;
        let minimum = self.minimum_minor;
        within(key, "minimum_minor", minimum, 0, MAX_AMOUNT_MINOR)?;
        within(key, "cap_minor", cap, minimum, MAX_AMOUNT_MINOR)
    }
}

/// How the parts of a fee are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pricing {
    /// `price` is all that the merchant pays, but for tax. Interchange and scheme fee are parts of it, and the markup is
    /// what they leave, which may be negative.
    Blended,
    /// Interchange, scheme fee and `price`, which is the markup, add up.
    PlusPlus,
}

/// What a refund costs. Interchange and scheme fee that the bank names for a refund count as well: they change the markup of
/// a blended price, and are added to the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundFee {
    /// No price. The fee of the capture stays with the acquirer.
    #[default]
    None,
    /// A price of minor units, 0 or more, of the refund's currency, whichever it is.
    FixedMinor(i64),
    /// The fee of the capture comes back: its share of what is refunded.
    GiveBack,
}

/// What a plan says, as it is written. A [`FeePlan`] is one that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeeTerms {
    /// How the parts are told apart.
    pub pricing: Pricing,
    /// A tax on the fee, in parts per million of it: 0 to [`WHOLE_PPM`].
    #[serde(default)]
    pub tax_ppm: u32,
    /// What a refund costs.
    #[serde(default)]
    pub refunds: RefundFee,
    /// What a chargeback costs, before tax: minor units, 0 or more, of its currency, whichever it is. One that is given back
    /// costs nothing, and gives none of it back.
    #[serde(default)]
    pub chargeback_minor: i64,
    /// The merchant's price, or the markup: the first rule that is for an item gives it. At least one rule.
    pub price: Vec<FeeRule>,
    /// The issuer's share, where the bank does not name it: the first rule that is for an item. Empty: nothing.
    #[serde(default)]
    pub interchange: Vec<FeeRule>,
    /// The scheme's share, in the same way.
    #[serde(default)]
    pub scheme_fee: Vec<FeeRule>,
}

/// A plan that an item can be charged by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "FeeTerms", into = "FeeTerms")]
pub struct FeePlan(FeeTerms);

/// Why terms are no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FeePlanError {
    /// A number is out of its range.
    #[error("{key}: expected {least} to {most}, got {got}")]
    Value {
        /// The key, with the table and place it is in.
        key: String,
        /// The least that it may be.
        least: i64,
        /// The most.
        most: i64,
        /// The number.
        got: i64,
    },
    /// A table has too many rules, or there is no price.
    #[error("{table}: expected {least} to {MOST_RULES} rules, got {got}")]
    RuleCount {
        /// The table.
        table: &'static str,
        /// The least that it may have.
        least: usize,
        /// How many it has.
        got: usize,
    },
    /// A rule is for no item, since an earlier one is for all of its items.
    #[error(
        "{table}[{place}]: expected a rule for items that none before is for, got one after {table}[{earlier}], which is for all of them"
    )]
    Unreachable {
        /// The table.
        table: &'static str,
        /// The place of the rule, from 0.
        place: usize,
        /// The place of the earlier one.
        earlier: usize,
    },
}

impl FeePlan {
    /// A plan of these terms.
    ///
    /// # Errors
    /// [`FeePlanError`], the first that there is.
    pub fn new(terms: FeeTerms) -> Result<Self, FeePlanError> {
        within("", "tax_ppm", terms.tax_ppm.into(), 0, WHOLE_PPM.into())?;
        if let RefundFee::FixedMinor(minor) = terms.refunds {
            within("refunds.", "fixed_minor", minor, 0, MAX_AMOUNT_MINOR)?;
        }
        let minor = terms.chargeback_minor;
        within("", "chargeback_minor", minor, 0, MAX_AMOUNT_MINOR)?;
        for (table, rules, least) in [
            ("price", &terms.price, 1),
            ("interchange", &terms.interchange, 0),
            ("scheme_fee", &terms.scheme_fee, 0),
        ] {
            check_table(table, rules, least)?;
        }
        Ok(Self(terms))
    }

    /// What it says.
    #[must_use]
    pub fn terms(&self) -> &FeeTerms {
        &self.0
    }
}

impl TryFrom<FeeTerms> for FeePlan {
    type Error = FeePlanError;

    fn try_from(terms: FeeTerms) -> Result<Self, Self::Error> {
        Self::new(terms)
    }
}

impl From<FeePlan> for FeeTerms {
    fn from(plan: FeePlan) -> Self {
        plan.0
    }
}

/// Checks the rules of a table: each number, and that each rule is for something that none before is for.
///
/// # Errors
/// [`FeePlanError`], the first that there is.
pub(super) fn check_table(
    table: &'static str,
    rules: &[FeeRule],
    least: usize,
) -> Result<(), FeePlanError> {
    let got = rules.len();
    if !(least..=MOST_RULES).contains(&got) {
        return Err(FeePlanError::RuleCount { table, least, got });
    }
    for (place, rule) in rules.iter().enumerate() {
        rule.check(&format!("{table}[{place}]."))?;
        let before = rules.iter().take(place);
        if let Some(earlier) = before.into_iter().position(|before| before.covers(rule)) {
            return Err(FeePlanError::Unreachable {
                table,
                place,
                earlier,
            });
        }
    }
    Ok(())
}

fn within(table: &str, key: &str, got: i64, least: i64, most: i64) -> Result<(), FeePlanError> {
    if (least..=most).contains(&got) {
        return Ok(());
    }
    let key = format!("{table}{key}");
    Err(FeePlanError::Value {
        key,
        least,
        most,
        got,
    })
}

#[cfg(test)]
mod tests;
