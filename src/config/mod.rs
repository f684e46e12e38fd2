//! The configuration: one struct for each concern, each checked when it is read.
//!
//! - [`store`]: where the records are kept.
//! - [`hosts`]: where the host profiles are.
//! - [`card`]: the keys that open sealed cards, and how long cards are kept.
//! - [`merchant_api`]: the door for merchants. [`admin_api`]: the door for operators.
//! - [`environment`]: whether this is a test environment. [`ledger`]: where the ledger's seals go.
//! - [`settlement`]: where files for banks go, and which account pays merchants. [`reconciliation`]: what is done about
//!   what banks have otherwise. [`risk`]: how often a card may be tried. [`traces`]: where traces are sent.
//! - `load`: reads file and variables; `variables`: finds misspelt ones.

pub mod admin_api;
pub mod card;
pub mod environment;
pub mod hosts;
pub mod ledger;
mod load;
pub mod merchant_api;
pub mod reconciliation;
pub mod risk;
pub mod settlement;
pub mod store;
pub mod traces;
mod variables;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use self::traces::TracesConfig;

/// Before each environment variable; two underscores stand for a dot:
/// `PAYSWITCH_STORE__URL` is `store.url`.
pub const ENVIRONMENT_PREFIX: &str = "PAYSWITCH_";

/// Everything that an operator can set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Whether this is a test environment.
    pub environment: environment::Environment,
    /// Where the records are kept.
    pub store: store::StoreConfig,
    /// Where the host profiles are.
    pub hosts: hosts::HostsConfig,
    /// The keys that open sealed cards.
    pub card: card::CardConfig,
    /// The door for merchants.
    pub merchant_api: merchant_api::MerchantApiConfig,
    /// The door for operators; without it there is none.
    pub admin_api: Option<admin_api::AdminApiConfig>,
    /// The ledger's seals.
    pub ledger: ledger::LedgerConfig,
    /// The end of the bank's day.
    pub settlement: settlement::SettlementConfig,
    /// What is done about what banks have otherwise, and the accounts whose statements are taken in.
    pub reconciliation: reconciliation::ReconciliationConfig,
    /// How often a card, a merchant or an address may be tried.
    pub risk: risk::RiskConfig,
    /// Where traces are sent.
    pub traces: TracesConfig,
}

/// The configuration can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A named file that isn't there.
    #[error("the configuration file {} can't be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A key or value that doesn't fit; the text names it, and what was expected.
    #[error("the configuration is not usable")]
    Invalid(#[source] Box<figment::Error>),
    /// A variable of the environment that looks like ours and is none.
    #[error("the environment variable {name} is not known; did you mean {nearest}?")]
    UnknownVariable {
        /// Its name. Its value may be a secret.
        name: String,
        /// The known name that is most like it.
        nearest: String,
    },
    /// A value outside its range.
    #[error("expected {key} to be {expected}, got {got}")]
    OutOfRange {
        /// The key, with dots.
        key: &'static str,
        /// The range.
        expected: &'static str,
        /// The value as it came.
        got: String,
    },
}

impl Config {
    /// Refuses a value outside its range. The store checks its own.
    fn check(&self) -> Result<(), ConfigError> {
        let (api, card) = (&self.merchant_api, &self.card);
        let many = (100_000, "1 to 100000");
        for (key, value, (most, expected)) in [
            ("merchant_api.connections", api.connections, many),
            ("merchant_api.concurrent_calls", api.concurrent_calls, many),
            ("card.late_days", card.late_days.into(), (30, "1 to 30")),
            (
                "card.refund_days",
                card.refund_days.into(),
                (400, "1 to 400"),
            ),
        ] {
            if !(1..=most).contains(&value) {
                return Err(ConfigError::OutOfRange {
                    key,
                    expected,
                    got: value.to_string(),
                });
            }
        }
        let TracesConfig { endpoint, one_in } = &self.traces;
        if !(1..=1_000_000).contains(one_in) {
            return Err(ConfigError::OutOfRange {
                key: "traces.one_in",
                expected: "1 to 1000000",
                got: one_in.to_string(),
            });
        }
        if !self.traces.is_local() {
            return Err(ConfigError::OutOfRange {
                key: "traces.endpoint",
                expected: "the address of a collector on this machine, as http://127.0.0.1:4317",
                got: endpoint.clone().unwrap_or_default(),
            });
        }
        if endpoint.is_some() && cfg!(not(feature = "otlp")) {
            return Err(ConfigError::OutOfRange {
                key: "traces.endpoint",
                expected: "not set: this program was built without traces (the feature otlp)",
                got: endpoint.clone().unwrap_or_default(),
            });
        }
        let hours = self.settlement.account_change_hours;
        if hours > 720 {
            return Err(ConfigError::OutOfRange {
                key: "settlement.account_change_hours",
                expected: "0 to 720",
                got: hours.to_string(),
            });
        }
        Ok(())
    }
}
