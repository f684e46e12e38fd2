//! How a merchant is named in orders and on statements, and by which clock its days are counted.

use super::pain001::text::{TextFault, TextKind, check_text};
use crate::hosts::message::local_clock::is_time_zone;

/// The longest legal name: what every bank takes as the name of a creditor.
const MAX_NAME: usize = 70;

/// A legal name, a time zone, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MerchantDetails {
    legal_name: Option<String>,
    time_zone: Option<String>,
}

/// Why these can't be set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DetailsFault {
    /// Neither is there.
    #[error("expected a legal name, a time zone or both, got neither")]
    Nothing,
    /// A name that banks don't take.
    #[error("legal_name: {0}")]
    Name(#[from] TextFault),
    /// No zone.
    #[error("time_zone: expected an IANA time zone, for instance Europe/Madrid, got {0:?}")]
    Zone(String),
}

impl MerchantDetails {
    /// What is empty stays as it is.
    ///
    /// # Errors
    /// [`DetailsFault`], the first that there is.
    pub fn new(legal_name: &str, time_zone: &str) -> Result<Self, DetailsFault> {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let details = Self {
            legal_name: given(legal_name),
            time_zone: given(time_zone),
        };
        if let Some(name) = details.legal_name() {
            check_text(name, MAX_NAME, TextKind::Prose)?;
        }
        match details.time_zone() {
            Some(zone) if !is_time_zone(zone) => {
                let shown = zone.chars().take(MAX_NAME).collect();
                Err(DetailsFault::Zone(shown))
            }
            None if details.legal_name.is_none() => Err(DetailsFault::Nothing),
            _ => Ok(details),
        }
    }

    /// The name, where one is to be set.
    #[must_use]
    pub fn legal_name(&self) -> Option<&str> {
        self.legal_name.as_deref()
    }

    /// The zone, where one is to be set.
    #[must_use]
    pub fn time_zone(&self) -> Option<&str> {
        self.time_zone.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_banks_or_clocks_don_t_know_is_refused() {
        for (name, zone, expected) in [
            ("", "", "expected a legal name"),
            ("Bücher GmbH", "", "legal_name: expected letters"),
            (
                "Demo Shop GmbH",
                "Europe/Atlantis",
                "time_zone: expected an IANA",
            ),
        ] {
            let error = MerchantDetails::new(name, zone).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
        let both = MerchantDetails::new("Demo Shop GmbH", "Europe/Madrid").unwrap();
        assert_eq!(
            (both.legal_name(), both.time_zone()),
            (Some("Demo Shop GmbH"), Some("Europe/Madrid"))
        );
        assert_eq!(MerchantDetails::new("", "UTC").unwrap().legal_name(), None);
    }
}
