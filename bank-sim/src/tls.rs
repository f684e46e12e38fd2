//! TLS 1.3, mutual, with a private root for each host, from PEM.

use std::{path::PathBuf, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
};
use rustls_pki_types::{
    CertificateDer, InvalidDnsNameError, PrivateKeyDer, ServerName,
    pem::{self, PemObject},
};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::config::{ClientTls, ListenerTls, Pem};

/// Certificates or keys that cannot be used.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A PEM file cannot be read.
    #[error("failed to read `{path}`")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The text holds no such PEM section, or a broken one.
    #[error("{from}: expected {expected} in PEM")]
    NotPem {
        /// The file, or that the text was given in code.
        from: String,
        /// The PEM section that was expected.
        expected: &'static str,
        /// Why.
        #[source]
        source: pem::Error,
    },
    /// The text holds no certificate.
    #[error("{from}: expected at least one certificate in PEM, got none")]
    NoCertificate {
        /// The file, or that the text was given in code.
        from: String,
    },
    /// rustls refuses what it was given: key and certificate do not fit, say.
    #[error("the certificate, key or root cannot be used")]
    Refused(#[from] rustls::Error),
    /// No verifier can be made from the root.
    #[error("the root cannot verify clients")]
    Verifier(#[from] rustls::client::VerifierBuilderError),
    /// The issuer's name is no DNS name.
    #[error("`{name}` is not a server name")]
    ServerName {
        /// The name.
        name: String,
        /// Why.
        #[source]
        source: InvalidDnsNameError,
    },
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// The settings of a listener: TLS 1.3 only, and a client certificate under the host's root required.
pub(crate) fn server_config(tls: &ListenerTls) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = provider();
    let roots = Arc::new(root_store(&tls.client_ca)?);
    let clients =
        WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider)).build()?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(clients)
        .with_single_cert(certificates(&tls.certificate)?, private_key(&tls.key)?)?;
    // Every connection makes a full handshake; bank lines are few and long.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(Arc::new(config))
}

/// The settings of the acquirer's connection to an issuer, and the name that the issuer must prove.
pub(crate) fn client_config(
    tls: &ClientTls,
) -> Result<(Arc<ClientConfig>, ServerName<'static>), TlsError> {
    let config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(root_store(&tls.ca)?)
        .with_client_auth_cert(certificates(&tls.certificate)?, private_key(&tls.key)?)?;
    let name =
        ServerName::try_from(tls.server_name.clone()).map_err(|source| TlsError::ServerName {
            name: tls.server_name.clone(),
            source,
        })?;
    Ok((Arc::new(config), name))
}

fn root_store(ca: &Pem) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca)? {
        roots.add(certificate)?;
    }
    Ok(roots)
}

fn certificates(pem: &Pem) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = text_of(pem)?;
    let found = CertificateDer::pem_slice_iter(text.as_bytes())
        .collect::<Result<Vec<_>, _>>()
        .map_err(|source| TlsError::NotPem {
            from: origin(pem),
            expected: "certificates",
            source,
        })?;
    if found.is_empty() {
        return Err(TlsError::NoCertificate { from: origin(pem) });
    }
    Ok(found)
}

fn private_key(pem: &Pem) -> Result<PrivateKeyDer<'static>, TlsError> {
    let text = text_of(pem)?;
    PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|source| TlsError::NotPem {
        from: origin(pem),
        expected: "a private key",
        source,
    })
}

fn text_of(pem: &Pem) -> Result<Zeroizing<String>, TlsError> {
    match pem {
        Pem::Text(text) => Ok(text.clone()),
        Pem::File(path) => std::fs::read_to_string(path)
            .map(Zeroizing::new)
            .map_err(|source| TlsError::Unreadable {
                path: path.clone(),
                source,
            }),
    }
}

fn origin(pem: &Pem) -> String {
    match pem {
        Pem::File(path) => format!("`{}`", path.display()),
        Pem::Text(_) => "the PEM given in code".to_owned(),
    }
}
