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
    #[error("the CA: {0}")]
    Root(#[from] rustls::client::VerifierBuilderError),
}

/// Reads a key file: a plain one, or one that is wrapped under the master key.
pub type KeyLoader = dyn Fn(&Path) -> std::io::Result<Zeroizing<Vec<u8>>> + Send + Sync;

/// The TLS of the connections to one host.
pub(in crate::hosts) struct HostTls {
    pub(in crate::hosts) config: Arc<ClientConfig>,
    pub(in crate::hosts) server_name: ServerName<'static>,
}

/// Reads the certificates and the key of a host and puts its configuration together.
///
/// # Errors
/// When a file can't be read or does not hold what it should.
pub(in crate::hosts) fn host_tls(
    profile: &TlsProfile,
    key_loader: Option<&KeyLoader>,
) -> Result<HostTls, TlsError> {
    let server_name = match ServerName::try_from(profile.server_name.clone()) {
        Ok(name @ ServerName::DnsName(_)) => name,
        _ => {
            return Err(TlsError::ServerName {
                got: profile.server_name.clone(),
            });
        }
    };
    let mut roots = RootCertStore::empty();
    for certificate in certificates("CA", &profile.ca)? {
        roots.add(certificate)?;
    }
    let chain = certificates("client certificate", &profile.client_certificate)?;
    let key_pem = read("client key", &profile.client_key, key_loader)?;
    let key = PrivateKeyDer::from_pem_slice(&key_pem).map_err(|error| TlsError::Pem {
        what: "client key",
        expected: "a private key",
        got: error.to_string(),
    })?;

    // Passed explicitly: two providers are linked, and rustls refuses to choose between them.
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = PinnedVerifier {
        roots: WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()?,
        pins: profile.pins.clone(),
    };
    // All TLS 1.2 suites of rustls are ECDHE.
    let versions: &[&rustls::SupportedProtocolVersion] = if profile.allow_tls12 {
        &[&rustls::version::TLS13, &rustls::version::TLS12]
    } else {
        &[&rustls::version::TLS13]
    };
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_client_auth_cert(chain, key)?;
    // A resumed session would skip the check of the host's certificate.
    config.resumption = Resumption::disabled();
    Ok(HostTls {
        config: Arc::new(config),
        server_name,
    })
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

fn certificates(
    what: &'static str,
    source: &PemSource,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read(what, source, None)?;
    let fault = |got: String| TlsError::Pem {
        what,
        expected: "certificates",
        got,
    };
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&pem)
        .collect::<Result<_, _>>()
        .map_err(|error| fault(error.to_string()))?;
    if chain.is_empty() {
        return Err(fault("none".into()));
    }
    Ok(chain)
}

/// Checks the chain and the name as rustls does, and then the key against the pins.
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
        Err(rustls::Error::InvalidCertificate(CertificateError::Other(
            OtherError(Arc::new(mismatch)),
        )))
    }
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
