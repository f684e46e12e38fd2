//! TLS towards clients: version 1.3 only; a client certificate is optional or mandatory, as the door wants it. The
//! settings may be replaced while the door is open.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ServerConfig, WebPkiClientVerifier};
use rustls::version::TLS13;
use rustls::{RootCertStore, ServerConnection};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tokio::sync::watch;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use crate::reloading::Fingerprint;
use crate::x509::{RevocationError, RevocationLists, Validity};

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
    #[error("the root for client certificates, or its revocation lists, can't be used")]
    UnusableClientRoot(#[from] rustls::server::VerifierBuilderError),
    /// The revocation lists can't be used.
    #[error("the revocation lists of client certificates can't be used")]
    Revocation(#[from] RevocationError),
}

/// The root that client certificates come from, PEM.
#[derive(Debug, Clone, Copy)]
pub struct ClientRoot<'a> {
    /// The root, or several.
    pub ca: &'a [u8],
    /// The certificates of it that are revoked; where there is no list, none is.
    pub crl: Option<&'a [u8]>,
}

/// Which certificates clients present.
#[derive(Debug, Clone, Copy)]
pub enum ClientCertificates<'a> {
    /// None: the server does not ask.
    None,
    /// One that comes from this root, or none.
    Optional(ClientRoot<'a>),
    /// One that comes from this root. Without it the handshake fails.
    Mandatory(ClientRoot<'a>),
}

/// What the settings of a door are made of: texts in PEM.
#[derive(Clone, Copy)]
pub struct DoorTexts<'a> {
    /// The certificate that it shows, and those above it.
    pub certificate: &'a [u8],
    /// Its private key: PKCS #8, SEC1 or PKCS #1.
    pub private_key: &'a [u8],
    /// What clients show.
    pub clients: ClientCertificates<'a>,
}

impl DoorTexts<'_> {
    /// Tells these texts from others.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let (asked, root) = match self.clients {
            ClientCertificates::None => ("none", None),
            ClientCertificates::Optional(root) => ("optional", Some(root)),
            ClientCertificates::Mandatory(root) => ("mandatory", Some(root)),
        };
        Fingerprint::of(&[
            Some(self.certificate),
            Some(self.private_key),
            Some(asked.as_bytes()),
            root.map(|root| root.ca),
            root.and_then(|root| root.crl),
        ])
    }
}

/// The TLS settings of a door.
#[derive(Debug)]
pub struct DoorTls {
    config: Arc<ServerConfig>,
    /// What checks the certificates of clients, where they are asked for any.
    clients: Option<Arc<dyn ClientCertVerifier>>,
    validity: Option<Validity>,
    crl_next_update: Option<u64>,
    fingerprint: Fingerprint,
}

impl DoorTls {
    /// The settings that are made of these texts.
    ///
    /// # Errors
    /// When a text is not what it should be, or the parts don't fit together.
    pub fn new(texts: &DoorTexts<'_>) -> Result<Self, TlsError> {
        // Two providers are linked, so rustls can't choose one by itself and would panic.
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&TLS13])?;
        let mut crl_next_update = None;
        let mut verifier = |root: ClientRoot<'_>| {
            let mut roots = RootCertStore::empty();
            let authorities = certificates(root.ca, "the client CA")?;
            let mut builder_crls = Vec::new();
            if let Some(crl) = root.crl {
                let read = RevocationLists::read(crl, &authorities)?;
                crl_next_update = read.next_update;
                builder_crls = read.lists;
            }
            for authority in authorities {
                roots.add(authority)?;
            }
            let verifier =
                WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
            Ok::<_, TlsError>(verifier.with_crls(builder_crls))
        };
        let clients = match texts.clients {
            ClientCertificates::None => None,
            ClientCertificates::Optional(root) => {
                Some(verifier(root)?.allow_unauthenticated().build()?)
            }
            ClientCertificates::Mandatory(root) => Some(verifier(root)?.build()?),
        };
        let builder = match &clients {
            None => builder.with_no_client_auth(),
            Some(clients) => builder.with_client_cert_verifier(Arc::clone(clients)),
        };
        let key = PrivateKeyDer::from_pem_slice(texts.private_key);
        let key = key.map_err(|source| TlsError::NotPem {
            expected: "a private key",
            source,
        })?;
        let chain = certificates(texts.certificate, "the certificate chain")?;
        let validity = chain.first().and_then(Validity::of);
        let mut config = builder.with_single_cert(chain, key)?;
        config.alpn_protocols = vec![ALPN_HTTP_2.to_vec()];
        // A resumed session skips the check of the client's certificate, and early data can be replayed.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        Ok(Self {
            config: Arc::new(config),
            clients,
            validity,
            crl_next_update,
            fingerprint: texts.fingerprint(),
        })
    }

    /// The settings of a handshake.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }

    /// When the certificate is valid; none where that can't be read.
    #[must_use]
    pub fn validity(&self) -> Option<Validity> {
        self.validity
    }

    /// When the first of the revocation lists should have been replaced by a newer one, in seconds of Unix time; none
    /// where there is no list, or none that says so.
    #[must_use]
    pub fn crl_next_update(&self) -> Option<u64> {
        self.crl_next_update
    }

    /// Tells what they were made of.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    /// Whether a client that shows this chain would be let in at `now`.
    ///
    /// # Errors
    /// When it would not.
    pub(crate) fn check_client(
        &self,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let (Some(clients), Some((shown, above))) = (&self.clients, chain.split_first()) else {
            return Err(rustls::Error::NoCertificatesPresented);
        };
        clients.verify_client_cert(shown, above, now).map(drop)
    }
}

/// The settings that a door has now: each handshake takes them from here.
#[derive(Debug, Clone)]
pub struct CurrentTls(Arc<watch::Sender<Arc<DoorTls>>>);

impl CurrentTls {
    /// Begins with these.
    #[must_use]
    pub fn new(tls: DoorTls) -> Self {
        Self(Arc::new(watch::Sender::new(Arc::new(tls))))
    }

    /// Those of now.
    #[must_use]
    pub fn now(&self) -> Arc<DoorTls> {
        Arc::clone(&self.0.borrow())
    }

    /// From now on these. Connections that are open stay, but for those whose client would not be let in any more.
    pub fn replace(&self, tls: DoorTls) {
        self.0.send_replace(Arc::new(tls));
    }

    /// A receiver that sees each change.
    pub(crate) fn watch(&self) -> watch::Receiver<Arc<DoorTls>> {
        self.0.subscribe()
    }
}

fn certificates(
    pem: &[u8],
    within: &'static str,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|source| TlsError::NotPem {
            expected: within,
            source,
        })?;
    if certificates.is_empty() {
        return Err(TlsError::NoCertificate { within });
    }
    Ok(certificates)
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
        let tls = |chain: &str, key: &str, clients| {
            DoorTls::new(&DoorTexts {
                certificate: chain.as_bytes(),
                private_key: key.as_bytes(),
                clients,
            })
        };
        let root = |ca, crl| ClientRoot { ca, crl };
        let clients = ClientCertificates::Mandatory(root(chain.as_bytes(), None));
        let door = tls(&chain, &key, clients).unwrap();
        assert_eq!(door.config.alpn_protocols, [b"h2"]);
        let no_ca = ClientCertificates::Optional(root(b"", None));
        let no_list = ClientCertificates::Optional(root(chain.as_bytes(), Some(b"")));
        let none = ClientCertificates::None;
        for (chain, key, clients, expected) in [
            ("", &*key, none, "in the certificate chain, got none"),
            (&*chain, "", none, "a private key"),
            (&*chain, &*key, no_ca, "in the client CA, got none"),
            (&*chain, &*key, no_list, "the revocation lists"),
        ] {
            let error = tls(chain, key, clients);
            let error = error.unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
