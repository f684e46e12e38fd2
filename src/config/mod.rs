//! The configuration: one struct for each concern, each checked when it is read.
//!
//! - [`store`]: where the records are kept.
//! - [`hosts`]: where the host profiles are.
//! - [`card`]: the keys that open sealed cards.
//! - [`merchant_api`]: the door for merchants.
//! - `environment`: finds misspelt variables.

pub mod card;
mod environment;
pub mod hosts;
pub mod merchant_api;
pub mod store;

use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Env, Format as _, Serialized, Toml};
use serde::{Deserialize, Serialize};

/// Before each environment variable; two underscores stand for a dot:
/// `PAYSWITCH_STORE__URL` is `store.url`.
pub const ENVIRONMENT_PREFIX: &str = "PAYSWITCH_";

/// Everything that an operator can set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the records are kept.
    pub store: store::StoreConfig,
    /// Where the host profiles are.
    pub hosts: hosts::HostsConfig,
    /// The keys that open sealed cards.
    pub card: card::CardConfig,
    /// The door for merchants.
    pub merchant_api: merchant_api::MerchantApiConfig,
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
    /// The defaults, over them the file, over that the environment.
    ///
    /// # Errors
    /// When the file can't be read, a key or a variable is unknown, or a value is of the wrong kind or
    /// range.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        environment::check(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()))?;
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        if let Some(path) = file {
            // Figment passes over a file that isn't there; one that was named must be, and be readable.
            std::fs::read(path).map_err(|source| ConfigError::Unreadable {
                path: path.to_path_buf(),
                source,
            })?;
            figment = figment.merge(Toml::file_exact(path));
        }
        // The master key is a secret, not a setting: only the custody of keys reads it.
        let environment = Env::prefixed(ENVIRONMENT_PREFIX)
            .filter(|key| key.as_str().contains("__"))
            .split("__");
        let config: Self = figment
            .merge(environment)
            .extract()
            .map_err(|error| ConfigError::Invalid(Box::new(with_plain_keys(error))))?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), ConfigError> {
        let in_range = |key, value: u64, lowest: u64, highest: u64, expected| {
            if (lowest..=highest).contains(&value) {
                Ok(())
            } else {
                Err(ConfigError::OutOfRange {
                    key,
                    expected,
                    got: value.to_string(),
                })
            }
        };
        let api = &self.merchant_api;
        let size = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
        in_range(
            "store.read_connections",
            self.store.read_connections.into(),
            1,
            64,
            "1 to 64",
        )?;
        in_range(
            "store.batch_records",
            size(self.store.batch_records),
            1,
            1000,
            "1 to 1000",
        )?;
        let queued = size(self.store.queued_records);
        in_range("store.queued_records", queued, 1, 100_000, "1 to 100000")?;
        in_range(
            "merchant_api.connections",
            size(api.connections),
            1,
            100_000,
            "1 to 100000",
        )?;
        let calls = size(api.concurrent_calls);
        in_range(
            "merchant_api.concurrent_calls",
            calls,
            1,
            100_000,
            "1 to 100000",
        )
    }
}

/// Figment puts the name of its profile before each key; there is only one, and nobody wrote it.
fn with_plain_keys(mut error: figment::Error) -> figment::Error {
    error.metadata = error
        .metadata
        .map(|metadata| metadata.interpolater(|_profile, keys| keys.join(".")));
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Config, ConfigError> {
        let folder = std::env::temp_dir().join(format!("payswitch-config-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join(format!(
            "{:x}.toml",
            text.len() + text.matches('a').count() * 997
        ));
        std::fs::write(&path, text).unwrap();
        let loaded = Config::load(Some(&path));
        std::fs::remove_file(&path).unwrap();
        loaded
    }

    #[test]
    fn a_file_changes_what_it_names() {
        let config = load("[store]\nurl = \"postgres://localhost/pay\"\n").unwrap();
        assert_eq!(config.store.url, "postgres://localhost/pay");
        assert_eq!(config.merchant_api, Config::default().merchant_api);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (text, named) in [
            ("[store]\nurll = \"x\"\n", "urll"),
            ("[stores]\n", "stores"),
            ("[store]\nread_connections = \"many\"\n", "read_connections"),
            ("[store]\nread_connections = 0\n", "store.read_connections"),
            ("[merchant_api]\nlisten = \"nowhere\"\n", "listen"),
        ] {
            let error = load(text).unwrap_err();
            let shown = format!("{error} {:?}", std::error::Error::source(&error));
            assert!(shown.contains(named), "{text}: {shown}");
            let source = std::error::Error::source(&error).map(ToString::to_string);
            assert!(!source.unwrap_or_default().contains("default."), "{text}");
        }
        let missing = Config::load(Some(Path::new("/nowhere/payswitch.toml"))).unwrap_err();
        assert!(missing.to_string().contains("/nowhere/payswitch.toml"));
    }
}
