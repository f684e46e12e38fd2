//! What a bank is agreed to keep of captures and refunds, as its profile says: what its reports are compared with.
//!
//! ```toml
//! [settlement.fees]
//! tolerance_minor = 0
//!
//! [[settlement.fees.interchange]]
//! brand = "visa"
//! ppm = 2_000
//!
//! [[settlement.fees.scheme_fee]]
//! ppm = 500
//! ```

use std::fmt;

use serde::Deserialize;

use super::fee_plan::{FeeRule, Filter, Origin, check_table};
use super::fees::first_rule;
use super::format_error::{FormatError, Reading};
use super::report::file_format::ReportFormat;
use super::report::format::Field;
use crate::payment::money::{Currency, MAX_AMOUNT_MINOR};
use crate::payment::record::CardBrand;
use crate::payment::settlement::ItemKind;

const READING: Reading = Reading("settlement.fees");

/// A part of what a bank keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FeePart {
    /// The issuer's.
    Interchange,
    /// The scheme's.
    SchemeFee,
    /// The bank's own.
    Commission,
}

impl FeePart {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Interchange, Self::SchemeFee, Self::Commission];

    /// The name of its table, and of its column.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Interchange => "interchange",
            Self::SchemeFee => "scheme_fee",
            Self::Commission => "commission",
        }
    }

    const fn field(self) -> Field {
        match self {
            Self::Interchange => Field::Interchange,
            Self::SchemeFee => Field::SchemeFee,
            Self::Commission => Field::Commission,
        }
    }
}

/// What is kept of refunds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OfRefunds {
    /// Nothing.
    #[default]
    None,
    /// The same as of a capture of that amount.
    AsOfCaptures,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FeesFile {
    #[serde(default)]
    tolerance_minor: i64,
    #[serde(default)]
    refunds: OfRefunds,
    #[serde(default)]
    interchange: Vec<FeeRule>,
    #[serde(default)]
    scheme_fee: Vec<FeeRule>,
    #[serde(default)]
    commission: Vec<FeeRule>,
}

/// What a bank is agreed to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgreedFees {
    /// By how many minor units a part may be otherwise.
    tolerance_minor: i64,
    refunds: OfRefunds,
    /// The parts that something is agreed of.
    tables: Vec<(FeePart, Vec<FeeRule>)>,
}

/// What is agreed of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgreedPart {
    /// Which one.
    pub part: FeePart,
    /// The place of the rule in its table, from 0; none of a refund of which nothing is kept.
    pub rule: Option<usize>,
    /// Minor units, from the merchant.
    pub minor: i64,
}

impl fmt::Display for AgreedPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rule {
            Some(rule) => write!(f, "{}[{rule}]={}", self.part.name(), self.minor),
            None => write!(f, "{}={}", self.part.name(), self.minor),
        }
    }
}

impl AgreedFees {
    /// Reads the table `[settlement.fees]` of a profile, whose reports look like `report`.
    ///
    /// # Errors
    /// The first fault that it has, with its key, what was expected and what came.
    pub fn from_table(
        table: toml::Table,
        report: Option<&ReportFormat>,
    ) -> Result<Self, FormatError> {
        let raw: FeesFile = READING.table(table)?;
        if !(0..=MAX_AMOUNT_MINOR).contains(&raw.tolerance_minor) {
            let expected = format!("0 to {MAX_AMOUNT_MINOR}");
            let got = raw.tolerance_minor.to_string();
            return Err(READING.fault("tolerance_minor", expected, got));
        }
        let mut tables = Vec::new();
        for (part, rules) in
            FeePart::ALL
                .into_iter()
                .zip([raw.interchange, raw.scheme_fee, raw.commission])
        {
            let name = part.name();
            if let Err(fault) = check_table(name, &rules, 0) {
                let expected = "rules as those of a fee plan";
                return Err(READING.fault(name, expected, fault.to_string()));
            }
            if rules.is_empty() {
                continue;
            }
            if !report.is_some_and(|report| report.has_column(part.field())) {
                let expected = "nothing, since reports of this host do not tell it";
                let got = format!("{} rules", rules.len());
                return Err(READING.fault(name, expected, got));
            }
            tables.push((part, rules));
        }
        if tables.is_empty() {
            let expected = "rules, here or in scheme_fee or commission";
            return Err(READING.fault(FeePart::Interchange.name(), expected, "none"));
        }
        Ok(Self {
            tolerance_minor: raw.tolerance_minor,
            refunds: raw.refunds,
            tables,
        })
    }

    /// Whether any rule is for the cards of one brand.
    #[must_use]
    pub fn needs_brands(&self) -> bool {
        let mut rules = self.tables.iter().flat_map(|(_, rules)| rules);
        rules.any(|rule| rule.brand != Filter::Any)
    }

    /// What is agreed of a capture or refund: of each part that a rule is for it. Nothing of a chargeback.
    #[must_use]
    pub fn of(
        &self,
        kind: ItemKind,
        brand: CardBrand,
        currency: Currency,
        amount_minor: i64,
    ) -> Vec<AgreedPart> {
        let is_kept = match kind {
            ItemKind::Capture => true,
            ItemKind::Refund => self.refunds == OfRefunds::AsOfCaptures,
            ItemKind::Chargeback | ItemKind::ChargebackReversal => return Vec::new(),
        };
        // Nothing is known of where a card was issued.
        let of = (brand, Origin::Domestic, currency);
        let agreed = self.tables.iter().filter_map(|(part, rules)| {
            let (rule, minor) = first_rule(rules, of, amount_minor)?;
            Some(AgreedPart {
                part: *part,
                rule: is_kept.then_some(rule),
                minor: if is_kept { minor } else { 0 },
            })
        });
        agreed.collect()
    }

    /// Whether so many minor units are as agreed, where `beside_minor` more than the profile says may be otherwise.
    #[must_use]
    pub const fn allows(&self, agreed_minor: i64, kept_minor: i64, beside_minor: u64) -> bool {
        let most = self.tolerance_minor.unsigned_abs();
        agreed_minor.abs_diff(kept_minor) <= most.saturating_add(beside_minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settlement::report::samples::report_with_fees;

    fn read(text: &str) -> Result<AgreedFees, FormatError> {
        let report = report_with_fees("");
        AgreedFees::from_table(toml::from_str(text).unwrap(), Some(&report))
    }

    fn shown(fees: &AgreedFees, kind: ItemKind, brand: CardBrand, minor: i64) -> String {
        let parts = fees.of(kind, brand, "EUR".parse().unwrap(), minor);
        let parts: Vec<String> = parts.iter().map(ToString::to_string).collect();
        parts.join(" ")
    }

    #[test]
    fn the_first_rule_that_is_for_an_item_says_what_is_kept_of_it() {
        let fees = read(
            "[[interchange]]\nbrand = \"visa\"\nppm = 2_000\n[[interchange]]\nppm = 9_000\ncap_minor = 5\n\
             [[scheme_fee]]\nbrand = \"visa\"\nppm = 500\nfixed_minor = 1\n",
        );
        let fees = fees.unwrap();
        assert!(fees.needs_brands());
        // 2.5 and 3.5 minor units: half to even.
        for (brand, minor, expected) in [
            (CardBrand::Visa, 1_250, "interchange[0]=2 scheme_fee[0]=2"),
            (CardBrand::Visa, 1_750, "interchange[0]=4 scheme_fee[0]=2"),
            (CardBrand::Mastercard, 1_250, "interchange[1]=5"),
        ] {
            assert_eq!(shown(&fees, ItemKind::Capture, brand, minor), expected);
        }
        let refund = shown(&fees, ItemKind::Refund, CardBrand::Visa, 1_250);
        assert_eq!(refund, "interchange=0 scheme_fee=0");
        let chargeback = shown(&fees, ItemKind::Chargeback, CardBrand::Visa, 1_250);
        assert_eq!(chargeback, "");
    }

    #[test]
    fn refunds_may_cost_what_captures_do_and_a_part_may_be_a_little_otherwise() {
        let fees =
            read("refunds = \"as_of_captures\"\ntolerance_minor = 1\n[[interchange]]\nppm = 2_000");
        let fees = fees.unwrap();
        assert!(!fees.needs_brands());
        let refund = shown(&fees, ItemKind::Refund, CardBrand::Other, 1_750);
        assert_eq!(refund, "interchange[0]=4");
        for (kept, expected) in [(2, false), (3, true), (4, true), (5, true), (6, false)] {
            assert_eq!(fees.allows(4, kept, 0), expected, "{kept}");
        }
    }

    #[test]
    fn what_can_not_be_compared_is_refused() {
        for (text, expected) in [
            (
                "",
                "settlement.fees.interchange: expected rules, here or in scheme_fee or commission, got none",
            ),
            (
                "tolerance_minor = -1\n[[interchange]]",
                "settlement.fees.tolerance_minor: expected 0 to 999999999999, got -1",
            ),
            (
                "[[interchange]]\n[[interchange]]",
                "settlement.fees.interchange: expected rules as those of a fee plan, got interchange[1]: expected a rule \
                 for items that none before is for",
            ),
            (
                "[[commission]]",
                "settlement.fees.commission: expected nothing, since reports of this host do not tell it, got 1 rules",
            ),
            ("[[interchange]]\nppm = -1", "settlement.fees: "),
            ("interchanges = 1", "settlement.fees: "),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{text}: {error}");
        }
        let table = toml::from_str("[[interchange]]").unwrap();
        assert!(AgreedFees::from_table(table, None).is_err());
    }
}
