//! Where the records are kept.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The store's settings.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// `sqlite://PATH` or `postgres://USER@HOST/DATABASE`.
    pub url: String,
    /// Connections that read callers and requests, as many for payments, and as many for lists, 1 to 64; writing has one
    /// of its own.
    pub read_connections: u32,
    /// The most records that share one transaction, 1 to 1000.
    pub batch_records: usize,
    /// The most records that wait for a transaction before new ones are refused, 1 to 100,000.
    pub queued_records: usize,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            url: "sqlite://payswitch.db".into(),
            read_connections: 4,
            batch_records: 256,
            queued_records: 4096,
        }
    }
}

impl StoreConfig {
    /// The URL as it may be shown.
    #[must_use]
    pub fn shown_url(&self) -> String {
        shown_url(&self.url)
    }
}

/// The URL as it may be shown: a password, in either place where a URL can carry one, is left out.
#[must_use]
pub fn shown_url(url: &str) -> String {
    let (before_query, query) = url.split_once('?').unwrap_or((url, ""));
    let mut shown = match before_query.split_once("://") {
        Some((scheme, rest)) => match rest.rsplit_once('@') {
            Some((login, place)) => {
                let user = login.split(':').next().unwrap_or_default();
                format!("{scheme}://{user}@{place}")
            }
            None => before_query.to_owned(),
        },
        None => before_query.to_owned(),
    };
    for (index, pair) in query.split('&').filter(|pair| !pair.is_empty()).enumerate() {
        shown.push(if index == 0 { '?' } else { '&' });
        shown.push_str(if pair.starts_with("password=") {
            "password=…"
        } else {
            pair
        });
    }
    shown
}

impl fmt::Debug for StoreConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreConfig")
            .field("url", &self.shown_url())
            .field("read_connections", &self.read_connections)
            .field("batch_records", &self.batch_records)
            .field("queued_records", &self.queued_records)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for (url, shown) in [
            ("sqlite://a/b.db", "sqlite://a/b.db"),
            (
                "postgres://me:p@ss:word@db:5432/pay",
                "postgres://me@db:5432/pay",
            ),
            (
                "postgres://me@db/pay?sslmode=require&password=secret",
                "postgres://me@db/pay?sslmode=require&password=…",
            ),
        ] {
            let config = StoreConfig {
                url: url.into(),
                ..StoreConfig::default()
            };
            assert_eq!(config.shown_url(), shown);
            let debug = format!("{config:?}");
            assert!(
                !debug.contains("ss:word") && !debug.contains("secret"),
                "{debug}"
            );
        }
    }
}
