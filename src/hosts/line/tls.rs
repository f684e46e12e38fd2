//! The TLS of a line to a bank: TLS 1.3, a private root for each host, its exact name, pins of its key,
//! our certificate, no resumption.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ring::digest::{SHA256, digest};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore,
    SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use crate::hosts::profile::{PemSource, SpkiPin, TlsProfile};
use crate::x509::{RevocationError, RevocationLists, Validity, has_dns_name};

/// Why the TLS of a host can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file can't be read.
    #[error("failed to read the {what} `{path}`")]
    Read {
        /// The kind of its content.
        what: &'static str,
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A text holds no such thing in PEM.
    #[error("the {what}: expected {expected} in PEM, got {got}")]
    Pem {
        /// The kind of content that it should hold.
        what: &'static str,
        /// In which form.
        expected: &'static str,
        /// The content that it has.
        got: String,
    },
    /// The server name is no DNS name.
    #[error("the server name: expected a DNS name, got {got:?}")]
    ServerName {
        /// The name as it stands.
        got: String,
    },
    /// The pieces don't make a configuration.
    #[error("the TLS configuration: {0}")]
    Rustls(#[from] rustls::Error),
    /// The root can't be used to check certificates.
    #[error("the CA, or its revocation lists: {0}")]
    Root(#[from] rustls::client::VerifierBuilderError),
    /// The revocation lists can't be used.
    #[error("the revocation lists: {0}")]
    Revocation(#[from] RevocationError),
}

/// Reads a key file: a plain one, or one that is wrapped under the master key.
pub type KeyLoader = dyn Fn(&Path) -> std::io::Result<Zeroizing<Vec<u8>>> + Send + Sync;

/// The texts that the TLS of a host is made of, in PEM.
pub(in crate::hosts) struct HostTexts {
    ca: Zeroizing<Vec<u8>>,
    crl: Option<Zeroizing<Vec<u8>>>,
    client_certificate: Zeroizing<Vec<u8>>,
    client_key: Zeroizing<Vec<u8>>,
}

impl HostTexts {
    /// Reads them from where the profile says that they are.
    ///
    /// # Errors
    /// When a file can't be read.
    pub(in crate::hosts) fn read(
        profile: &TlsProfile,
        key_loader: Option<&KeyLoader>,
    ) -> Result<Self, TlsError> {
        let crl = profile.crl.as_ref();
        Ok(Self {
            ca: read("CA", &profile.ca, None)?,
            crl: crl
                .map(|crl| read("revocation list", crl, None))
                .transpose()?,
            client_certificate: read("client certificate", &profile.client_certificate, None)?,
            client_key: read("client key", &profile.client_key, key_loader)?,
        })
    }

    /// The texts: root, revocation lists, our certificate, its key.
    pub(in crate::hosts) fn parts(&self) -> [Option<&[u8]>; 4] {
        [
            Some(&self.ca),
            self.crl.as_ref().map(|crl| crl.as_slice()),
            Some(&self.client_certificate),
            Some(&self.client_key),
        ]
    }
}

/// The TLS of the connections to one host.
pub(in crate::hosts) struct HostTls {
    pub(in crate::hosts) config: Arc<ClientConfig>,
    pub(in crate::hosts) server_name: ServerName<'static>,
    verifier: Arc<PinnedVerifier>,
    /// When our certificate is valid; none where that can't be read.
    pub(in crate::hosts) validity: Option<Validity>,
    /// When the first revocation list should have been replaced by a newer one, in seconds of Unix time.
    pub(in crate::hosts) crl_next_update: Option<u64>,
}

impl HostTls {
    /// Puts the configuration of a host together.
    ///
    /// # Errors
    /// When a text does not hold what it should.
    pub(in crate::hosts) fn new(profile: &TlsProfile, texts: &HostTexts) -> Result<Self, TlsError> {
        let server_name = match ServerName::try_from(profile.server_name.clone()) {
            Ok(name @ ServerName::DnsName(_)) => name,
            _ => {
                return Err(TlsError::ServerName {
                    got: profile.server_name.clone(),
                });
            }
        };
        let authorities = certificates("CA", &texts.ca)?;
        let revoked = texts.crl.as_ref();
        let revoked = revoked
            .map(|crl| RevocationLists::read(crl, &authorities))
            .transpose()?;
        let crl_next_update = revoked.as_ref().and_then(|revoked| revoked.next_update);
        let mut roots = RootCertStore::empty();
        for authority in authorities {
            roots.add(authority)?;
        }
        let chain = certificates("client certificate", &texts.client_certificate)?;
        let validity = chain.first().and_then(Validity::of);
        let key = PrivateKeyDer::from_pem_slice(&texts.client_key);
        let key = key.map_err(|error| TlsError::Pem {
            what: "client key",
            expected: "a private key",
            got: error.to_string(),
        })?;

        // Passed explicitly: two providers are linked, and rustls refuses to choose between them.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let roots =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let lists = revoked.map_or_else(Vec::new, |revoked| revoked.lists);
        let verifier = Arc::new(PinnedVerifier {
            roots: roots.with_crls(lists).build()?,
            pins: profile.pins.clone(),
        });
        // All TLS 1.2 suites of rustls are ECDHE.
        let versions: &[&rustls::SupportedProtocolVersion] = if profile.allow_tls12 {
            &[&rustls::version::TLS13, &rustls::version::TLS12]
        } else {
            &[&rustls::version::TLS13]
        };
        let checks: Arc<dyn ServerCertVerifier> = Arc::<PinnedVerifier>::clone(&verifier);
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)?
            .dangerous()
            .with_custom_certificate_verifier(checks)
            .with_client_auth_cert(chain, key)?;
        // A resumed session would skip the check of the host's certificate.
        config.resumption = Resumption::disabled();
        Ok(Self {
            config: Arc::new(config),
            server_name,
            verifier,
            validity,
            crl_next_update,
        })
    }

    /// Whether a host that shows this chain would be trusted at `now`.
    ///
    /// # Errors
    /// When it would not.
    pub(in crate::hosts) fn check_host(
        &self,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let (shown, above) = chain
            .split_first()
            .ok_or(rustls::Error::NoCertificatesPresented)?;
        self.verifier
            .verify_server_cert(shown, above, &self.server_name, &[], now)
            .map(drop)
    }
}

fn read(
    what: &'static str,
    source: &PemSource,
    key_loader: Option<&KeyLoader>,
) -> Result<Zeroizing<Vec<u8>>, TlsError> {
    let read_plain = |path: &Path| std::fs::read(path).map(Zeroizing::new);
    match source {
        PemSource::Memory(text) => Ok(text.clone()),
        PemSource::File(path) => key_loader
            .map_or_else(|| read_plain(path), |load| load(path))
            .map_err(|source| TlsError::Read {
                what,
                path: path.clone(),
                source,
            }),
    }
}

fn certificates(what: &'static str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let fault = |got: String| TlsError::Pem {
        what,
        expected: "certificates",
        got,
    };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| fault(error.to_string()))?;
    if chain.is_empty() {
        return Err(fault("none".into()));
    }
    Ok(chain)
}

/// Checks the chain and the name as rustls does, then that the name is there itself, without a wildcard, and the key
/// against the pins.
#[derive(Debug)]
struct PinnedVerifier {
    roots: Arc<WebPkiServerVerifier>,
    pins: Vec<SpkiPin>,
}

/// The host showed a key that is none of the pinned ones.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected one of the pinned keys {expected:?}, got {got}")]
pub struct PinMismatch {
    /// The pins.
    pub expected: Vec<SpkiPin>,
    /// The key's own.
    pub got: SpkiPin,
}

/// The host's certificate covers its name by a wildcard only.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected the name {expected} itself in the certificate, got a wildcard that covers it")]
pub struct NameNotExact {
    /// The name.
    pub expected: String,
}

impl PinnedVerifier {
    fn check_pin(&self, certificate: &CertificateDer<'_>) -> Result<(), rustls::Error> {
        if self.pins.is_empty() {
            return Ok(());
        }
        let (_, parsed) = X509Certificate::from_der(certificate)
            .map_err(|_| rustls::Error::InvalidCertificate(CertificateError::BadEncoding))?;
        let hash = digest(&SHA256, parsed.public_key().raw);
        let got = <[u8; 32]>::try_from(hash.as_ref())
            .map(SpkiPin)
            .map_err(|_| rustls::Error::General("SHA-256 has 32 bytes".into()))?;
        if self.pins.contains(&got) {
            return Ok(());
        }
        let mismatch = PinMismatch {
            expected: self.pins.clone(),
            got,
        };
        Err(refused(mismatch))
    }
}

fn refused(why: impl std::error::Error + Send + Sync + 'static) -> rustls::Error {
    rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(why))))
}

impl ServerCertVerifier for PinnedVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.roots.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        )?;
        let expected = server_name.to_str();
        if !has_dns_name(end_entity, &expected) {
            let expected = expected.into_owned();
            return Err(refused(NameNotExact { expected }));
        }
        self.check_pin(end_entity)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.roots
            .verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.roots
            .verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.roots.supported_verify_schemes()
    }
}
