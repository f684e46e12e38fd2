//! Finds misspelt variables of the environment: one that is passed over in silence is a setting that
//! somebody believes in.

use super::admin_api::AdminApiConfig;
use super::{Config, ConfigError, ENVIRONMENT_PREFIX};

/// Variables of operators that are no settings.
const NOT_SETTINGS: [&str; 3] = [
    "PAYSWITCH_MASTER_KEY",
    "PAYSWITCH_API_KEY",
    "PAYSWITCH_READY_FILE",
];

/// What the tests are told. Nobody else means one of these.
const OF_TESTS: [&str; 3] = [
    "PAYSWITCH_BIN",
    "PAYSWITCH_TEST_POSTGRES",
    "PAYSWITCH_REQUIRE_PEERS",
];

/// The one setting in no section.
const ENVIRONMENT: &str = "PAYSWITCH_ENVIRONMENT";

/// Looks at every name that begins with the prefix. One with two underscores is a setting, and is
/// checked when it is read.
pub(super) fn check(names: impl Iterator<Item = String>) -> Result<(), ConfigError> {
    for name in names {
        if name.starts_with(ENVIRONMENT_PREFIX)
            && !name.contains("__")
            && !NOT_SETTINGS.contains(&name.as_str())
            && !OF_TESTS.contains(&name.as_str())
            && name != ENVIRONMENT
            && !is_of_kubernetes(&name)
        {
            return Err(ConfigError::UnknownVariable {
                nearest: nearest(&name),
                name,
            });
        }
    }
    Ok(())
}

/// Kubernetes tells each container where the services are: one named `payswitch` makes
/// `PAYSWITCH_SERVICE_HOST`, `PAYSWITCH_PORT_8443_TCP_ADDR` and so on.
fn is_of_kubernetes(name: &str) -> bool {
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.ends_with("_PORT")
        || (name.contains("_PORT_") && (name.contains("_TCP") || name.contains("_UDP")))
}

fn nearest(name: &str) -> String {
    let not_settings = NOT_SETTINGS.into_iter().map(str::to_owned);
    not_settings
        .chain(settings())
        .min_by_key(|known| distance(name, known))
        .unwrap_or_default()
}

/// The variable of each setting: `PAYSWITCH_STORE__URL` and so on.
fn settings() -> Vec<String> {
    let everything = Config {
        admin_api: Some(AdminApiConfig::default()),
        ..Config::default()
    };
    let defaults = serde_json::to_value(everything).unwrap_or_default();
    let mut settings = vec![ENVIRONMENT.to_owned()];
    for (section, keys) in defaults.as_object().into_iter().flatten() {
        for key in keys.as_object().into_iter().flatten().map(|(key, _)| key) {
            settings.push(format!("{ENVIRONMENT_PREFIX}{section}__{key}").to_uppercase());
        }
    }
    settings
}

/// How many letters have to be put in, taken out or changed (Levenshtein's distance).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (index, letter) in one.chars().enumerate() {
        let mut next = Vec::with_capacity(row.len());
        let mut left = index + 1;
        next.push(left);
        for (above_both, same) in row.windows(2).zip(other.chars()) {
            let [diagonal, above] = *above_both else {
                continue;
            };
            let changed = diagonal + usize::from(letter != same);
            left = changed.min(above + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_variable_is_named_with_the_nearest_one() {
        for (name, nearest) in [
            ("PAYSWITCH_STORE_URL", "PAYSWITCH_STORE__URL"),
            ("PAYSWITCH_MASTERKEY", "PAYSWITCH_MASTER_KEY"),
            ("PAYSWITCH_CARD_JWKS_PATH", "PAYSWITCH_CARD__JWKS_PATH"),
        ] {
            let error = check([name.to_owned()].into_iter())
                .unwrap_err()
                .to_string();
            assert!(error.contains(name), "{error}");
            assert!(error.contains(nearest), "{error}");
        }
    }

    #[test]
    fn no_variable_of_the_tests_is_suggested() {
        for name in ["PAYSWITCH_FOO", "PAYSWITCH_BINS", "PAYSWITCH_REQUIRE_PEER"] {
            let suggested = nearest(name);
            assert!(!OF_TESTS.contains(&suggested.as_str()), "{suggested}");
        }
    }

    #[test]
    fn what_is_known_or_somebody_elses_is_passed_over() {
        for name in [
            "PATH",
            "PAYSWITCH_MASTER_KEY",
            "PAYSWITCH_API_KEY",
            "PAYSWITCH_ENVIRONMENT",
            "PAYSWITCH_STORE__URL",
            "PAYSWITCH_BIN",
            "PAYSWITCH_SERVICE_HOST",
            "PAYSWITCH_SERVICE_PORT_GRPC",
            "PAYSWITCH_PORT",
            "PAYSWITCH_PORT_8443_TCP_ADDR",
        ] {
            check([name.to_owned()].into_iter()).unwrap();
        }
    }

    #[test]
    fn distances_are_counted_in_letters() {
        for (one, other, expected) in [("", "abc", 3), ("abc", "abc", 0), ("kitten", "sitting", 3)]
        {
            assert_eq!(distance(one, other), expected);
        }
    }

    #[test]
    fn every_setting_has_a_variable() {
        assert!(settings().contains(&"PAYSWITCH_CARD__MASTER_KEY_FILE".to_owned()));
        assert!(settings().contains(&"PAYSWITCH_STORE__URL".to_owned()));
        assert!(settings().contains(&"PAYSWITCH_ADMIN_API__LISTEN".to_owned()));
    }
}
