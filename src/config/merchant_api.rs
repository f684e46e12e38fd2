//! The door for merchants.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The merchant API's settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MerchantApiConfig {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The server's certificate chain, PEM.
    pub certificate: PathBuf,
    /// The server's private key, PEM (PKCS #8), plain or wrapped under the master key.
    pub private_key: PathBuf,
    /// The root that merchants' client certificates come from, PEM. Without it only API keys work.
    pub client_ca: Option<PathBuf>,
    /// The revocation lists of that root, PEM. Without it no certificate of the root is revoked.
    pub client_crl: Option<PathBuf>,
    /// The most client connections at once, 1 to 100,000; more are closed at once.
    pub connections: usize,
    /// The most calls at once over all connections, 1 to 100,000; more get RESOURCE_EXHAUSTED.
    pub concurrent_calls: usize,
}

impl Default for MerchantApiConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8443)),
            certificate: "certs/dev/gateway.pem".into(),
            private_key: "certs/dev/gateway.key".into(),
            client_ca: None,
            client_crl: None,
            connections: 4096,
            concurrent_calls: 2048,
        }
    }
}
