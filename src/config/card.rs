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
}

impl Default for CardConfig {
    fn default() -> Self {
        Self {
            sealing_keys: "keys".into(),
            rsa_sealing_key: true,
            jwks_path: "jwks.json".into(),
            master_key_file: None,
        }
    }
}
