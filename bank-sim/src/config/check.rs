//! Checks of a configuration that its types cannot make.

use super::{ConfigError, IssuerCodec, SimConfig};

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
        let Some(acquirer) = &self.acquirer else {
            return Ok(());
        };
        let is_digits =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
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
