//! How often a card, a merchant or an address may be tried.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The settings of the limits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RiskConfig {
    /// The limits. Where they are not set: [`LimitConfig::usual`], and none in a test environment, where everybody
    /// pays with the same few cards.
    pub limits: Option<Vec<LimitConfig>>,
}

/// One limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitConfig {
    /// Its name in figures, logs and records: 1 to 40 of a-z, 0-9 and `-`.
    pub name: String,
    /// What is tried.
    pub of: LimitedSubject,
    /// Whether it is counted for each merchant apart.
    #[serde(default)]
    pub by_merchant: bool,
    /// What counts.
    pub counts: CountedEvent,
    /// The operations that count and are limited; both where it is not said.
    #[serde(default = "LimitedOperation::all")]
    pub operations: Vec<LimitedOperation>,
    /// The most that count in a window: 1 to 1,000,000.
    pub most: u32,
    /// How long the window is that slides over time, in seconds: 1 to 86,400.
    pub window_seconds: u32,
    /// Another `most` for some merchants.
    #[serde(default)]
    pub most_of: BTreeMap<String, u32>,
}

/// What is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitedSubject {
    /// A card number.
    Card,
    /// All card numbers that differ in their last four digits only.
    CardRange,
    /// A merchant.
    Merchant,
    /// The address from which the merchant's server has connected.
    Address,
}

/// What counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CountedEvent {
    /// A request that goes to the bank.
    Attempts,
    /// A request that the issuer has declined.
    Declines,
}

/// The operations that come with a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LimitedOperation {
    /// `AuthorizePayment`.
    AuthorizePayment,
    /// `VerifyCard`.
    VerifyCard,
}

impl LimitedOperation {
    fn all() -> Vec<Self> {
        vec![Self::AuthorizePayment, Self::VerifyCard]
    }
}

impl LimitConfig {
    /// The limits of an installation that sets none. A shop does not meet them: nobody pays thirty times in ten minutes
    /// with one card, is declined fifteen times in a day, or knows thirty people with neighbouring card numbers.
    #[must_use]
    pub fn usual() -> Vec<Self> {
        use CountedEvent::{Attempts, Declines};
        use LimitedSubject::{Card, CardRange};
        let limit = |name: &str, of, counts, most, window_seconds| Self {
            name: name.to_owned(),
            of,
            by_merchant: of == CardRange,
            counts,
            operations: LimitedOperation::all(),
            most,
            window_seconds,
            most_of: BTreeMap::new(),
        };
        vec![
            limit("card-attempts", Card, Attempts, 30, 600),
            limit("card-declines", Card, Declines, 15, 86_400),
            limit("range-declines", CardRange, Declines, 30, 3_600),
        ]
    }
}
