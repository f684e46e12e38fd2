//! Who may take payments.

use serde::{Deserialize, Serialize};

use super::ids::{HostId, MerchantId};

/// A merchant as the banks know it. The texts are checked when a merchant is added, so that each fits
/// its data element.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Merchant {
    /// Its name in the API and in client certificates.
    pub id: MerchantId,
    /// Its name for people, and in DE 43: 1 to 22 ASCII letters, digits, spaces and punctuation.
    pub name: String,
    /// Its city, in DE 43: 1 to 13 characters.
    pub city: String,
    /// Its country: ISO 3166-1 alpha-2 in DE 43, for instance `DE`.
    pub country: String,
    /// ISO 3166-1 numeric of its country, in DE 19: 1 to 999.
    pub country_numeric: u16,
    /// Merchant category code, in DE 18 (ISO 18245): four digits.
    pub mcc: String,
    /// Card acceptor terminal identification, in DE 41: eight characters.
    pub terminal_id: String,
    /// Card acceptor identification code, in DE 42: 1 to 15 characters.
    pub acceptor_id: String,
    /// The acquirer that its card payments go to: the name of a host profile.
    pub acquirer: HostId,
    /// The IANA time zone of its clock, for DE 12 and DE 13: for instance `Europe/Madrid`.
    pub time_zone: String,
    /// Whether it may take payments.
    pub active: bool,
}
