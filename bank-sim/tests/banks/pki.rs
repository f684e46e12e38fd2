//! A PKI for each host, and clients that show themselves with it.

use std::{net::SocketAddr, sync::Arc};

use bank_sim::{
    config::{
        Pem,
        standard::{HostPems, server_name},
    },
    net::{Net, Stream},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, crypto::aws_lc_rs};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// A private root with a server and a client certificate under it.
pub(crate) struct HostPki {
    pub(crate) ca: String,
    pub(crate) certificate: String,
    pub(crate) key: String,
    pub(crate) client_certificate: String,
    pub(crate) client_key: String,
}

impl HostPki {
    pub(crate) fn new(host: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let leaf = |name: String| {
            let key = KeyPair::generate().unwrap();
            let params = CertificateParams::new(vec![name]).unwrap();
            let certificate = params.signed_by(&key, &ca).unwrap();
            (certificate.pem(), key.serialize_pem())
        };
        let (certificate, key) = leaf(server_name(host));
        let (client_certificate, client_key) = leaf(format!("client.{host}.test"));
        Self {
            ca: ca.pem(),
            certificate,
            key,
            client_certificate,
            client_key,
        }
    }

    pub(crate) fn pems(&self) -> HostPems {
        HostPems {
            ca: Pem::text(&self.ca),
            certificate: Pem::text(&self.certificate),
            key: Pem::text(&self.key),
            client_certificate: Pem::text(&self.client_certificate),
            client_key: Pem::text(&self.client_key),
        }
    }
}

/// How a client shows itself.
pub(crate) fn client_config(
    root: &str,
    identity: Option<(&str, &str)>,
    versions: &[&'static SupportedProtocolVersion],
) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(root.as_bytes()).unwrap())
        .unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap(),
    }
}

pub(crate) async fn connect_tls(
    address: SocketAddr,
    host: &str,
    config: ClientConfig,
) -> std::io::Result<TlsStream<Stream>> {
    let stream = Net::SYSTEM.connect(address).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from(server_name(host)).unwrap();
    TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}
