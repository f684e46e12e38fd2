//! How a host is reached is read again while its lines run: address, certificates, revocation lists. A connection that
//! is there goes on with what it was made with, unless its host would not be trusted any more; the next one is made with
//! the new. Everything else of a profile stays as it was at the start, so that a payment has one profile from its
//! beginning to its end.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustls_pki_types::UnixTime;

use super::Hosts;
use super::line::endpoint::Endpoint;
use super::line::tls::TlsError;
use super::profile::HostProfile;
use crate::payment::ids::HostId;
use crate::reloading::Fingerprint;
use crate::x509::{Ends, NotValidNow};

/// The keys of a profile that are read again. What the files hold that they name is read again too.
pub const READ_AGAIN: [&str; 11] = [
    "address",
    "server_name",
    "ca",
    "crl",
    "client_certificate",
    "client_key",
    "pins",
    "allow_tls12",
    "connect_timeout_ms",
    "back_off_first_ms",
    "back_off_longest_ms",
];

/// Why a profile that was read again can't be used.
#[derive(Debug, thiserror::Error)]
pub enum RenewalError {
    /// The gateway has started without this host.
    #[error(
        "expected a host that the gateway has started with, got a new one: {0} needs a restart"
    )]
    NewHost(HostId),
    /// More has changed than can be.
    #[error(
        "expected {keys} as at the start, got something else: a change of that needs a restart"
    )]
    NeedsRestart {
        /// The keys.
        keys: String,
    },
    /// A certificate or a key.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Our certificate has ended, or does not begin yet.
    #[error("the client certificate: {0}")]
    NotValidNow(#[from] NotValidNow),
}

/// How a host is to be reached, read and checked.
pub struct Renewal {
    host: usize,
    endpoint: Endpoint,
}

impl Renewal {
    /// Tells it from others.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.endpoint.fingerprint
    }

    /// When the first revocation list should have been replaced by a newer one, in seconds of Unix time.
    #[must_use]
    pub fn crl_next_update(&self) -> Option<u64> {
        self.endpoint.tls.crl_next_update
    }
}

impl Hosts {
    /// Reads the certificates and the key that a profile names, and checks that they can be used from `now` on; none
    /// where they are in use.
    ///
    /// # Errors
    /// When a file can't be used, or when the profile has changed in something that needs a restart.
    pub fn read_again(
        &self,
        profile: &HostProfile,
        now: UnixTime,
    ) -> Result<Option<Renewal>, RenewalError> {
        let mut hosts = self.hosts.iter().enumerate();
        let (at, host) = hosts
            .find(|(_, host)| host.profile.host_id == profile.host_id)
            .ok_or(RenewalError::NewHost(profile.host_id))?;
        let keys = changed_keys(&host.profile.keys, &profile.keys);
        if !keys.is_empty() {
            let keys = keys.join(", ");
            return Err(RenewalError::NeedsRestart { keys });
        }
        let current = Arc::clone(&host.endpoint.borrow());
        let Some(endpoint) = current.read_again(profile, self.key_loader.as_deref())? else {
            return Ok(None);
        };
        // One that is in use is not made better by leaving out what else is new.
        let before = current.tls.validity;
        if let Some(validity) = endpoint.tls.validity.filter(|it| before != Some(*it)) {
            validity.check(now)?;
        }
        Ok(Some(Renewal { host: at, endpoint }))
    }

    /// From now on connections to the host are made so.
    pub fn renew(&self, renewal: Renewal) {
        if let Some(host) = self.hosts.get(renewal.host) {
            host.endpoint.send_replace(Arc::new(renewal.endpoint));
        }
    }

    /// When the certificates end that are shown to hosts, and the revocation lists of hosts.
    #[must_use]
    pub fn ends(&self) -> Vec<Ends> {
        let ends = self.hosts.iter().map(|host| {
            let endpoint = host.endpoint.borrow();
            Ends {
                of: format!("host {}", host.profile.host_id),
                certificate: endpoint.tls.validity.map(|validity| validity.until),
                revocation_lists: endpoint.tls.crl_next_update,
            }
        });
        ends.collect()
    }
}

/// The keys that differ and that are not read again; of a table that is in both, those within.
fn changed_keys(before: &toml::Table, after: &toml::Table) -> Vec<String> {
    let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let mut changed = Vec::new();
    for key in keys {
        if READ_AGAIN.contains(&key.as_str()) {
            continue;
        }
        match (before.get(key), after.get(key)) {
            (before, after) if before == after => {}
            (Some(toml::Value::Table(before)), Some(toml::Value::Table(after))) => {
                let within: BTreeSet<_> = before.keys().chain(after.keys()).collect();
                let within = within.into_iter();
                let within = within.filter(|inner| before.get(*inner) != after.get(*inner));
                changed.extend(within.map(|inner| format!("{key}.{inner}")));
            }
            _ => changed.push(key.clone()),
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_need_a_restart_are_named() {
        let table = |text: &str| toml::from_str::<toml::Table>(text).unwrap();
        let before = "address = 'a:1'\nlines = 2\n[messages.capture]\nmti = '0220'\n";
        for (after, expected) in [
            (before.to_owned(), ""),
            (before.replace("a:1", "b:2"), ""),
            (format!("crl = 'x'\n{before}"), ""),
            (before.replace("2\n[", "3\n["), "lines"),
            (before.replace("lines = 2", ""), "lines"),
            (before.replace("0220", "0221"), "messages.capture"),
            (
                format!("sign_on = false\n{}[mac]\n", before.replace("0220", "0221")),
                "mac, messages.capture, sign_on",
            ),
        ] {
            let changed = changed_keys(&table(before), &table(&after));
            assert_eq!(changed.join(", "), expected, "{after}");
        }
    }
}
