//! Checks of a configuration that its types cannot make.

use super::{ConfigError, HostRules, IssuerCodec, IssuerConfig, SimConfig};
use crate::currency::Currency;

/// The dialect of an issuer that speaks through `iso8583_rs`.
const ISO8583_RS_DIALECT: &str = "iso1987-ascii-binary";

impl SimConfig {
    /// Refuses values that the types allow and the simulator does not.
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let mut names: Vec<&str> = self
            .issuers
            .iter()
            .map(|issuer| issuer.name.as_str())
            .collect();
        names.extend(self.acquirer.iter().map(|acquirer| acquirer.name.as_str()));
        names.sort_unstable();
        if let Some([twice, _]) = names.array_windows::<2>().find(|[one, other]| one == other) {
            return Err(ConfigError::Invalid {
                host: (*twice).to_owned(),
                setting: "name",
                expected: "a name that no other host has",
                got: (*twice).to_owned(),
            });
        }
        for issuer in &self.issuers {
            if issuer.codec == IssuerCodec::Iso8583Rs && issuer.dialect != ISO8583_RS_DIALECT {
                return Err(ConfigError::Invalid {
                    host: issuer.name.clone(),
                    setting: "dialect",
                    expected: ISO8583_RS_DIALECT,
                    got: issuer.dialect.clone(),
                });
            }
        }
        for issuer in &self.issuers {
            if !issuer.dialect.starts_with("iso1987") {
                return Err(ConfigError::Invalid {
                    host: issuer.name.clone(),
                    setting: "dialect",
                    expected: "a dialect of 1987; only the acquirer speaks that of 1993",
                    got: issuer.dialect.clone(),
                });
            }
            check_cards(issuer)?;
        }
        if let Some(control) = &self.control
            && !control.listen.ip().is_loopback()
        {
            return Err(ConfigError::Invalid {
                host: "control".to_owned(),
                setting: "listen",
                expected: "an address of loopback",
                got: control.listen.to_string(),
            });
        }
        let Some(acquirer) = &self.acquirer else {
            return Ok(());
        };
        let invalid = |setting, expected, got: &str| ConfigError::Invalid {
            host: acquirer.name.clone(),
            setting,
            expected,
            got: got.to_owned(),
        };
        if !is_digits(&acquirer.institution_id) || acquirer.institution_id.len() > 11 {
            return Err(invalid(
                "institution_id",
                "1 to 11 digits",
                &acquirer.institution_id,
            ));
        }
        if acquirer.rules == HostRules::Nps && !acquirer.dialect.starts_with("iso1987") {
            return Err(invalid(
                "rules",
                "`standard`, or a dialect of 1987 too",
                "nps",
            ));
        }
        let mut bins: Vec<&str> = acquirer
            .links
            .iter()
            .flat_map(|link| &link.bins)
            .map(String::as_str)
            .collect();
        bins.sort_unstable();
        if let Some(bin) = bins.iter().find(|bin| !is_digits(bin)) {
            return Err(invalid("bins", "digits", bin));
        }
        match bins.array_windows::<2>().find(|[one, other]| one == other) {
            Some([twice, _]) => Err(invalid("bins", "BINs that are listed once", twice)),
            None => Ok(()),
        }
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn check_cards(issuer: &IssuerConfig) -> Result<(), ConfigError> {
    let mut pans: Vec<&str> = issuer.cards.iter().map(|card| card.pan.as_str()).collect();
    pans.sort_unstable();
    let is_listed_twice = pans.array_windows::<2>().any(|[one, other]| one == other);
    for card in &issuer.cards {
        let digits = |text: &str, range: std::ops::RangeInclusive<usize>| {
            is_digits(text) && range.contains(&text.len())
        };
        let mut currencies: Vec<&str> = Vec::new();
        for account in &card.accounts {
            currencies.push(account.currency.as_str());
        }
        currencies.sort_unstable();
        let (setting, expected) = if !digits(&card.pan, 12..=19) || is_listed_twice {
            ("card.pan", "12 to 19 digits, each number once")
        } else if !digits(&card.expiry_yymm, 4..=4) {
            ("card.expiry_yymm", "four digits, YYMM")
        } else if !digits(&card.cvv2, 3..=4) || !digits(&card.pin, 4..=12) {
            ("card.cvv2, card.pin", "3 or 4 digits, 4 to 12 digits")
        } else if currencies.is_empty()
            || currencies
                .iter()
                .any(|code| Currency::from_code(code).is_none())
            || currencies
                .array_windows::<2>()
                .any(|[one, other]| one == other)
        {
            ("card.account.currency", "ISO 4217 codes, each once")
        } else if card
            .accounts
            .iter()
            .any(|account| account.balance_minor < 0 || account.credit_line_minor < 0)
        {
            ("card.account", "amounts of 0 or more")
        } else {
            continue;
        };
        return Err(ConfigError::Invalid {
            host: issuer.name.clone(),
            setting,
            expected,
            got: format!(
                "something else at the card that ends in {}",
                last_four(&card.pan)
            ),
        });
    }
    Ok(())
}

fn last_four(pan: &str) -> &str {
    pan.len()
        .checked_sub(4)
        .and_then(|begin| pan.get(begin..))
        .unwrap_or_default()
}
