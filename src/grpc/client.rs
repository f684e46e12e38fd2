//! The other end: how commands and tests reach a door.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::crypto::aws_lc_rs;
use rustls::version::TLS13;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::TlsConnector;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};
use tonic_types::StatusExt as _;

use crate::net::Net;

/// What a server may send ahead of what is read of one call, in bytes: as HTTP/2 has it where nothing is said
/// (RFC 9113 section 6.9.2).
const STREAM_WINDOW_BYTES: u32 = 65_535;
/// How long connecting may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// A door could not be reached.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The root certificate, the client certificate or its key is no PEM.
    #[error("expected {expected} in PEM, got something else")]
    NotPem {
        /// What was expected.
        expected: &'static str,
        /// What the PEM reader said.
        #[source]
        source: rustls_pki_types::pem::Error,
    },
    /// The TLS settings don't fit together.
    #[error("the TLS settings can't be used")]
    Tls(#[from] rustls::Error),
    /// The server's name is no DNS name or address.
    #[error("expected a DNS name or an address, got {got:?}")]
    ServerName {
        /// The name as it came.
        got: String,
    },
    /// Nothing answers there, or not as expected.
    #[error("no connection to {address}")]
    Unreachable {
        /// Where.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: tonic::transport::Error,
    },
}

/// A client certificate and its private key, both PEM.
pub struct ClientCertificate<'a> {
    /// The chain.
    pub chain: &'a [u8],
    /// The key (PKCS #8).
    pub key: &'a [u8],
}

/// TLS 1.3 to a server whose certificate comes from `ca`, for HTTP/2.
///
/// # Errors
/// When a text is not what it should be.
pub fn tls(
    ca: &[u8],
    certificate: Option<&ClientCertificate<'_>>,
) -> Result<TlsConnector, ConnectError> {
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(ca) {
        let not_pem = |source| ConnectError::NotPem {
            expected: "a root certificate",
            source,
        };
        roots.add(root.map_err(not_pem)?)?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots);
    let mut config = match certificate {
        None => builder.with_no_client_auth(),
        Some(certificate) => {
            let not_pem = |source| ConnectError::NotPem {
                expected: "a certificate",
                source,
            };
            let chain = CertificateDer::pem_slice_iter(certificate.chain)
                .collect::<Result<Vec<_>, _>>()
                .map_err(not_pem)?;
            let not_pem = |source| ConnectError::NotPem {
                expected: "a private key",
                source,
            };
            let key = PrivateKeyDer::from_pem_slice(certificate.key).map_err(not_pem)?;
            builder.with_client_auth_cert(chain, key)?
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Opens a connection: TLS 1.3, HTTP/2, no delay.
///
/// # Errors
/// When a text is not what it should be, or nothing answers.
pub async fn connect(
    address: SocketAddr,
    server_name: &str,
    ca: &[u8],
    certificate: Option<&ClientCertificate<'_>>,
) -> Result<Channel, ConnectError> {
    let tls = tls(ca, certificate)?;
    let name =
        ServerName::try_from(server_name.to_owned()).map_err(|_| ConnectError::ServerName {
            got: server_name.to_owned(),
        })?;
    let connector = tower::service_fn(move |_: http::Uri| {
        let (tls, name) = (tls.clone(), name.clone());
        async move {
            let tcp = Net::SYSTEM.connect(address).await?;
            Ok::<_, io::Error>(TokioIo::new(tls.connect(name, tcp).await?))
        }
    });
    // The scheme and authority only fill the request line; the connector has its own address.
    Endpoint::from_static("https://payswitch")
        .connect_timeout(CONNECT_WITHIN)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .connect_with_connector(connector)
        .await
        .map_err(|source| ConnectError::Unreachable { address, source })
}

/// The reason that an error names (`google.rpc.ErrorInfo`), such as `SEALED_CARD_REFUSED`; `None` when
/// the error does not come from a gateway.
#[must_use]
pub fn error_reason(status: &Status) -> Option<String> {
    status.get_details_error_info().map(|info| info.reason)
}
