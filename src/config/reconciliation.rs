//! The bank accounts whose statements are taken in.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The settings of reconciliation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReconciliationConfig {
    /// The accounts, by a name of a-z, 0-9, `-` and `_`.
    pub accounts: BTreeMap<String, StatementAccountConfig>,
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
