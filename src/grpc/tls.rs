//! TLS towards clients: version 1.3 only; a client certificate is optional or mandatory, as the door wants it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::server::{NoServerSessionStorage, ServerConfig, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{RootCertStore, ServerConnection};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

/// HTTP/2, the only protocol spoken (RFC 7540, section 3.3).
const ALPN_HTTP_2: &[u8] = b"h2";

/// The TLS settings can't be built.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A PEM text holds no certificate or key, or a broken one.
    #[error("expected {expected} in PEM, got something else")]
    NotPem {
        /// What was expected.
        expected: &'static str,
        /// What the PEM reader said.
        #[source]
        source: rustls_pki_types::pem::Error,
    },
    /// A PEM text holds no certificate at all.
    #[error("expected at least one certificate in {within}, got none")]
    NoCertificate {
        /// The text it should be in.
        within: &'static str,
    },
    /// rustls refuses the certificate or the key.
    #[error("the certificate and the private key can't be used")]
    Unusable(#[from] rustls::Error),
    /// The root for client certificates can't be used.
    #[error("the root for client certificates can't be used")]
    UnusableClientRoot(#[from] rustls::server::VerifierBuilderError),
}

/// Which certificates clients present. The roots are PEM.
#[derive(Debug, Clone, Copy)]
pub enum ClientCertificates<'a> {
    /// None: the server does not ask.
    None,
    /// One that comes from this root, or none.
    Optional(&'a [u8]),
    /// One that comes from this root. Without it the handshake fails.
    Mandatory(&'a [u8]),
}

/// The settings of the listening side.
///
/// `certificate_chain` and `private_key` are PEM (PKCS #8, SEC1 or PKCS #1).
///
/// # Errors
/// When a text is not what it should be, or the parts don't fit together.
pub fn server_config(
    certificate_chain: &[u8],
    private_key: &[u8],
    clients: ClientCertificates<'_>,
) -> Result<ServerConfig, TlsError> {
    // Two providers are linked, so rustls can't choose one by itself and would panic.
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])?;
    let verifier = |client_ca| {
        let mut roots = RootCertStore::empty();
        for root in certificates(client_ca, "the client CA")? {
            roots.add(root)?;
        }
        Ok::<_, TlsError>(WebPkiClientVerifier::builder_with_provider(
            Arc::new(roots),
            provider,
        ))
    };
    let builder = match clients {
        ClientCertificates::None => builder.with_no_client_auth(),
        ClientCertificates::Optional(client_ca) => {
            builder.with_client_cert_verifier(verifier(client_ca)?.allow_unauthenticated().build()?)
        }
        ClientCertificates::Mandatory(client_ca) => {
            builder.with_client_cert_verifier(verifier(client_ca)?.build()?)
        }
    };
    let key = PrivateKeyDer::from_pem_slice(private_key).map_err(|source| TlsError::NotPem {
        expected: "a private key",
        source,
    })?;
    let chain = certificates(certificate_chain, "the certificate chain")?;
    let mut config = builder.with_single_cert(chain, key)?;
    config.alpn_protocols = vec![ALPN_HTTP_2.to_vec()];
    // A resumed session skips the check of the client's certificate, and early data can be replayed.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Ok(config)
}

fn certificates(
    pem: &[u8],
    within: &'static str,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|source| TlsError::NotPem {
            expected: "certificates",
            source,
        })?;
    if certificates.is_empty() {
        return Err(TlsError::NoCertificate { within });
    }
    Ok(certificates)
}

/// When the first certificate of a PEM text ends, in seconds of Unix time; none where there is none that can be read.
#[must_use]
pub fn certificate_end(pem: &[u8]) -> Option<u64> {
    let certificate = CertificateDer::pem_slice_iter(pem).next()?.ok()?;
    let (_, certificate) = X509Certificate::from_der(&certificate).ok()?;
    u64::try_from(certificate.validity().not_after.timestamp()).ok()
}

/// Whom a client certificate can name.
pub(crate) trait Party:
    FromStr + fmt::Display + fmt::Debug + Clone + Ord + Send + Sync + 'static
{
    /// What comes before the name in the only URI among the certificate's subject alternative names.
    const URI_PREFIX: &'static str;
    /// What comes before the name where a connection is recorded.
    const KIND: &'static str;
}

/// Whom a client's certificate names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CertificateIdentity<P> {
    /// The client presented none.
    None,
    /// It names exactly one.
    Named(P),
    /// It is trusted and names nobody, or more than one.
    Unnamed,
}

/// Whom the client's certificate names. rustls has checked by then that the certificate comes from the
/// client CA; it checks no name, so this does.
pub(crate) fn certificate_identity<P: Party>(
    connection: &ServerConnection,
) -> CertificateIdentity<P> {
    match connection.peer_certificates().and_then(<[_]>::first) {
        None => CertificateIdentity::None,
        Some(certificate) => {
            named_in(certificate).map_or(CertificateIdentity::Unnamed, CertificateIdentity::Named)
        }
    }
}

fn named_in<P: Party>(certificate: &[u8]) -> Option<P> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let names = certificate.subject_alternative_name().ok()??;
    let mut uris = names
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        });
    let uri = uris.next()?;
    if uris.next().is_some() {
        return None;
    }
    uri.strip_prefix(P::URI_PREFIX)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;
    use crate::payment::ids::MerchantId;

    fn certificate(names: &[&str]) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = names
            .iter()
            .map(|name| match name.strip_prefix("dns:") {
                Some(dns) => SanType::DnsName(dns.try_into().unwrap()),
                None => SanType::URI((*name).try_into().unwrap()),
            })
            .collect();
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn exactly_one_uri_names_the_party() {
        let shop = "payswitch://merchant/demo-shop";
        for (names, merchant) in [
            (&[shop][..], Some("demo-shop")),
            (&["dns:shop.example", shop], Some("demo-shop")),
            (&[], None),
            (&["dns:demo-shop"], None),
            (&[shop, "payswitch://merchant/other"], None),
            (&[shop, "https://shop.example"], None),
            (&["payswitch://merchant/"], None),
            (&["payswitch://merchant/Demo"], None),
            (&["payswitch://merchants/demo-shop"], None),
            (&["https://payswitch://merchant/demo-shop"], None),
        ] {
            let named: Option<MerchantId> = named_in(&certificate(names));
            assert_eq!(
                named.as_ref().map(MerchantId::as_str),
                merchant,
                "{names:?}"
            );
        }
        assert_eq!(named_in::<MerchantId>(b"no certificate"), None);
    }

    #[test]
    fn settings_name_what_is_missing() {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::default().self_signed(&key).unwrap();
        let (chain, key) = (certificate.pem(), key.serialize_pem());
        let clients = ClientCertificates::Mandatory(chain.as_bytes());
        let config = server_config(chain.as_bytes(), key.as_bytes(), clients);
        assert_eq!(config.unwrap().alpn_protocols, [b"h2"]);
        for (chain, key, client_ca, expected) in [
            ("", &*key, None, "in the certificate chain, got none"),
            (&*chain, "", None, "a private key"),
            (&*chain, &*key, Some(&b""[..]), "in the client CA, got none"),
        ] {
            let error = server_config(
                chain.as_bytes(),
                key.as_bytes(),
                client_ca.map_or(ClientCertificates::None, ClientCertificates::Optional),
            );
            let error = error.unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
