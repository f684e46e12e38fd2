//! The door for operators.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The operators' API's settings. Without the section `[admin_api]` there is no such door.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdminApiConfig {
    /// Where it listens; port 0 takes a free one. On loopback unless it is set.
    pub listen: SocketAddr,
    /// The server's certificate chain, PEM.
    pub certificate: PathBuf,
    /// The server's private key, PEM (PKCS #8), plain or wrapped under the master key.
    pub private_key: PathBuf,
    /// The root that operators' certificates come from, PEM: one of their own, never the merchants'.
    pub client_ca: PathBuf,
    /// The revocation lists of that root, PEM. Without it no certificate of the root is revoked.
    pub client_crl: Option<PathBuf>,
}

impl Default for AdminApiConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8444)),
            certificate: "certs/dev/admin.pem".into(),
            private_key: "certs/dev/admin.key".into(),
            client_ca: "certs/dev/operators-ca.pem".into(),
            client_crl: None,
        }
    }
}
