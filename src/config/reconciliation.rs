//! What is done about what banks have otherwise, and the bank accounts whose statements are taken in.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The settings of reconciliation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReconciliationConfig {
    /// What one operator decides alone, in minor units of whichever currency: more takes a second one.
    pub alone_minor: u32,
    /// What payswitch does by itself about what it finds: the first rule that fits.
    pub corrections: Vec<CorrectionRule>,
    /// The accounts, by a name of a-z, 0-9, `-` and `_`.
    pub accounts: BTreeMap<String, StatementAccountConfig>,
}

impl Default for ReconciliationConfig {
    fn default() -> Self {
        Self {
            alone_minor: 100,
            corrections: Vec::new(),
            accounts: BTreeMap::new(),
        }
    }
}

/// What is done about discrepancies of a kind that a correction can end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorrectionRule {
    /// Their kind.
    pub kind: CorrectedKind,
    /// Their currency (ISO 4217); all where it is not said.
    pub currency: Option<String>,
    /// The most minor units that one is about.
    pub up_to_minor: u32,
    /// Who bears it.
    pub bears: CorrectionBearer,
    /// Whether it is corrected at once. Otherwise that is proposed, and an approver agrees.
    #[serde(default)]
    pub applies: bool,
}

/// The kinds of discrepancies that rules correct.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CorrectedKind {
    /// Another amount.
    AmountDiffers,
    /// Nothing of an item.
    MissingAtBank,
    /// Something that is no item.
    UnknownToPayswitch,
    /// An item twice.
    DuplicateAtBank,
    /// An item that the bank does not settle.
    OutcomeDiffers,
    /// The other direction.
    SignDiffers,
    /// Something that payswitch has undone.
    ReversalNotApplied,
    /// Other fees than is agreed.
    FeeDiffers,
}

/// Who bears what a correction moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CorrectionBearer {
    /// The merchant.
    Merchant,
    /// Whoever operates payswitch.
    House,
}

/// One bank account.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatementAccountConfig {
    /// Its IBAN or other number, as its statements have it.
    pub number: String,
    /// The format of its statements: `camt` (camt.053, and camt.052 within the day), `mt940` or `bai2`.
    pub format: String,
    /// Its currency (ISO 4217).
    pub currency: String,
    /// The hosts whose days are paid on it, and whose payouts are paid from it.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// How many days after a host's date its money may come: 0 to 31.
    #[serde(default = "default_window_days")]
    pub window_days: u16,
}

/// Weekends and holidays lie between a date and its money.
const fn default_window_days() -> u16 {
    7
}

impl fmt::Debug for StatementAccountConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StatementAccountConfig")
            .finish_non_exhaustive()
    }
}
