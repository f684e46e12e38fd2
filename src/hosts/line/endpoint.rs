//! How a host is reached. It may be replaced while lines run: each connection takes what is there when it is made.

use std::time::Duration;

use super::tls::{HostTexts, HostTls, KeyLoader, TlsError};
use crate::hosts::profile::{BackOff, HostProfile};
use crate::reloading::Fingerprint;

/// How a host is reached.
pub(in crate::hosts) struct Endpoint {
    /// `HOST:PORT`.
    pub(in crate::hosts) address: String,
    /// How long TCP and TLS together may take to connect.
    pub(super) connect_timeout: Duration,
    /// How long to wait before connecting again.
    pub(in crate::hosts) back_off: BackOff,
    /// Which hosts are trusted, and the certificate that is shown to them.
    pub(in crate::hosts) tls: HostTls,
    /// Tells what it was made of.
    pub(in crate::hosts) fingerprint: Fingerprint,
}

impl Endpoint {
    /// What a profile says, with the certificates and the key that it names.
    ///
    /// # Errors
    /// When a file can't be read or does not hold what it should.
    pub(in crate::hosts) fn read(
        profile: &HostProfile,
        key_loader: Option<&KeyLoader>,
    ) -> Result<Self, TlsError> {
        let texts = HostTexts::read(&profile.tls, key_loader)?;
        Self::new(profile, &texts)
    }

    /// The same, where it is another one than this.
    ///
    /// # Errors
    /// When a file can't be read or does not hold what it should.
    pub(in crate::hosts) fn read_again(
        &self,
        profile: &HostProfile,
        key_loader: Option<&KeyLoader>,
    ) -> Result<Option<Self>, TlsError> {
        let texts = HostTexts::read(&profile.tls, key_loader)?;
        if fingerprint(profile, &texts) == self.fingerprint {
            return Ok(None);
        }
        Self::new(profile, &texts).map(Some)
    }

    fn new(profile: &HostProfile, texts: &HostTexts) -> Result<Self, TlsError> {
        Ok(Self {
            address: profile.address.clone(),
            connect_timeout: profile.connect_timeout,
            back_off: profile.back_off,
            tls: HostTls::new(&profile.tls, texts)?,
            fingerprint: fingerprint(profile, texts),
        })
    }
}

fn fingerprint(profile: &HostProfile, texts: &HostTexts) -> Fingerprint {
    let tls = &profile.tls;
    let said = (
        (&profile.address, profile.connect_timeout, profile.back_off),
        (&tls.server_name, &tls.pins, tls.allow_tls12),
    );
    let said = format!("{said:?}");
    let [ca, crl, certificate, key] = texts.parts();
    Fingerprint::of(&[Some(said.as_bytes()), ca, crl, certificate, key])
}
