//! Reads the configuration: defaults, file, environment.

use std::path::Path;

use figment::Figment;
use figment::providers::{Env, Format as _, Serialized, Toml};

use super::{Config, ConfigError, ENVIRONMENT_PREFIX, variables};

impl Config {
    /// The defaults, over them the file, over that the environment.
    ///
    /// # Errors
    /// When the file can't be read, a key or a variable is unknown, or a value is of the wrong kind or
    /// range.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        variables::check(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()))?;
        let mut figment = Figment::from(Serialized::defaults(Self::default()));
        if let Some(path) = file {
            // Figment passes over a file that isn't there; one that was named must be, and be readable.
            std::fs::read(path).map_err(|source| ConfigError::Unreadable {
                path: path.to_path_buf(),
                source,
            })?;
            figment = figment.merge(Toml::file_exact(path));
        }
        // The master key is a secret, not a setting: only `card::master_key` reads it.
        let environment = Env::prefixed(ENVIRONMENT_PREFIX)
            .filter(|key| key.as_str().contains("__") || key == "environment")
            .split("__");
        let config: Self = figment
            .merge(environment)
            .extract()
            .map_err(|error| ConfigError::Invalid(Box::new(with_plain_keys(error))))?;
        config.check()?;
        Ok(config)
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
    use crate::config::environment::Environment;

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
        assert_eq!(config.environment, Environment::Live);
        let config = load("environment = \"test\"\n").unwrap();
        assert_eq!(config.environment, Environment::Test);
    }

    #[test]
    fn there_is_a_door_for_operators_where_the_section_is() {
        assert_eq!(load("[store]\n").unwrap().admin_api, None);
        let door = load("[admin_api]\n").unwrap().admin_api.unwrap();
        assert!(door.listen.ip().is_loopback());
        let door = load("[admin_api]\nlisten = \"192.0.2.7:9000\"\n").unwrap();
        let listen = door.admin_api.unwrap().listen;
        assert_eq!(listen, "192.0.2.7:9000".parse().unwrap());
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (text, named) in [
            ("[store]\nurll = \"x\"\n", "urll"),
            ("[stores]\n", "stores"),
            ("[store]\nread_connections = \"many\"\n", "read_connections"),
            (
                "[merchant_api]\nconnections = 0\n",
                "merchant_api.connections",
            ),
            ("[merchant_api]\nlisten = \"nowhere\"\n", "listen"),
            ("environment = \"production\"\n", "production"),
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
