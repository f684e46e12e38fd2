//! Where traces are sent.

use serde::{Deserialize, Serialize};

/// The settings of traces.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TracesConfig {
    /// The collector, which takes OTLP over gRPC: `http://127.0.0.1:4317`. It is on this machine, and sends them on: they
    /// say who pays whom, and go in clear. Without it there are no traces.
    pub endpoint: Option<String>,
    /// Of so many traces one is sent: 1 to 1,000,000. All where it is 1.
    pub one_in: u32,
}

impl Default for TracesConfig {
    fn default() -> Self {
        Self {
            endpoint: None,
            one_in: 100,
        }
    }
}

impl TracesConfig {
    /// Whether its collector is on this machine.
    #[must_use]
    pub fn is_local(&self) -> bool {
        let Some(endpoint) = &self.endpoint else {
            return true;
        };
        let Ok(endpoint) = endpoint.parse::<http::Uri>() else {
            return false;
        };
        let host = endpoint.host().unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_loopback = |host: &str| {
            let address = host.parse::<std::net::IpAddr>();
            address.is_ok_and(|address| address.is_loopback())
        };
        endpoint.scheme_str() == Some("http") && (host == "localhost" || is_loopback(host))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_on_this_machine() {
        for (endpoint, is_local) in [
            ("http://127.0.0.1:4317", true),
            ("http://[::1]:4317", true),
            ("http://localhost:4317", true),
            ("https://127.0.0.1:4317", false),
            ("http://192.0.2.1:4317", false),
            ("http://localhost.example:4317", false),
            ("127.0.0.1:4317", false),
            ("", false),
        ] {
            let config = TracesConfig {
                endpoint: Some(endpoint.to_owned()),
                ..TracesConfig::default()
            };
            assert_eq!(config.is_local(), is_local, "{endpoint}");
        }
        assert!(TracesConfig::default().is_local());
    }
}
