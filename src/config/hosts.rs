//! Where the host profiles are.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The settings of the lines to the bank hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HostsConfig {
    /// The folder of host profiles: one `NAME.toml` for each bank host.
    pub profiles: PathBuf,
}

impl Default for HostsConfig {
    fn default() -> Self {
        Self {
            profiles: "hosts".into(),
        }
    }
}
