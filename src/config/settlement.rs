//! The end of the bank's day.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::store::StoreConfig;

/// The settings of settlement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SettlementConfig {
    /// Where files for banks are written. Not set: `settlement` beside the database's file, or in the working folder.
    pub folder: Option<PathBuf>,
    /// How many hours after its confirmation another account of a merchant is used: 0 to 720.
    pub account_change_hours: u16,
    /// The account that payouts are paid from. Without it no payout is ordered.
    pub payouts: Option<PayoutsConfig>,
}

impl Default for SettlementConfig {
    fn default() -> Self {
        Self {
            folder: None,
            account_change_hours: 24,
            payouts: None,
        }
    }
}

impl SettlementConfig {
    /// Where files for banks are written, next to this store.
    #[must_use]
    pub fn folder(&self, store: &StoreConfig) -> PathBuf {
        let beside = || {
            let path = store.url.strip_prefix("sqlite://")?;
            let path = path.split('?').next().unwrap_or(path);
            Some(PathBuf::from(path).with_file_name("settlement"))
        };
        let folder = self.folder.clone().or_else(beside);
        folder.unwrap_or_else(|| PathBuf::from("settlement"))
    }
}

/// The account that payouts are paid from.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PayoutsConfig {
    /// Whose it is, as its bank knows it.
    pub name: String,
    /// Its IBAN, without spaces; this or `other`.
    pub iban: String,
    /// Another number that its bank knows.
    pub other: String,
    /// The BIC of its bank; may be empty.
    pub bic: String,
}

impl fmt::Debug for PayoutsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PayoutsConfig").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_beside_the_database() {
        let config = SettlementConfig::default();
        for (url, folder) in [
            (
                "sqlite:///var/lib/payswitch/payswitch.db",
                "/var/lib/payswitch/settlement",
            ),
            ("sqlite://payswitch.db?mode=rwc", "settlement"),
            ("postgres://payswitch@localhost/payswitch", "settlement"),
        ] {
            let store = StoreConfig {
                url: url.into(),
                ..StoreConfig::default()
            };
            assert_eq!(config.folder(&store), PathBuf::from(folder), "{url}");
        }
    }
}
