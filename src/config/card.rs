//! The keys that open sealed cards.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The settings of card data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CardConfig {
    /// The folder of private sealing keys. Their public halves are written to `jwks_path`.
    pub sealing_keys: PathBuf,
    /// Whether an RSA key is made when there is none, for merchants whose libraries lack ECDH-ES.
    pub rsa_sealing_key: bool,
    /// Where the public keys to seal to are written (RFC 7517).
    pub jwks_path: PathBuf,
    /// The file with the master key that wraps everything secret at rest: 32 bytes in base64.
    /// The environment variable `PAYSWITCH_MASTER_KEY` takes its place (development only).
    pub master_key_file: Option<PathBuf>,
    /// How many days a card is kept for late messages: after its hold has ended, or after the last message of a
    /// reversal that the bank did not confirm. 1 to 30.
    pub late_days: u16,
    /// How many days a card is kept for refunds after the last capture, 1 to 400.
    pub refund_days: u16,
}

impl Default for CardConfig {
    fn default() -> Self {
        Self {
            sealing_keys: "keys".into(),
            rsa_sealing_key: true,
            jwks_path: "jwks.json".into(),
            master_key_file: None,
            late_days: 3,
            refund_days: 180,
        }
    }
}
