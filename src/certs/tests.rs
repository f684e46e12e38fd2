//! Real TLS handshakes with the chains that were made, and the files that they are written to.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use super::files::RootKeys;
use super::*;
use crate::card::key_files::Existing;
use crate::card::master_key::MasterKey;
use crate::clock::{Clock as _, SystemClock};
use crate::random::Random;

fn pki() -> DevelopmentPki {
    let (merchant, operator) = ("demo-shop".parse().unwrap(), "alice".parse().unwrap());
    DevelopmentPki::generate(&merchant, &operator, SystemClock.now()).unwrap()
}

fn certificate(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

fn roots(root: &Root) -> Arc<RootCertStore> {
    let mut store = RootCertStore::empty();
    store.add(certificate(root.certificate_pem())).unwrap();
    Arc::new(store)
}

fn chain(identity: &Identity) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    (
        vec![certificate(identity.certificate_pem())],
        PrivateKeyDer::from_pem_slice(&identity.key_pem()).unwrap(),
    )
}

/// A whole TLS 1.3 handshake in memory, each side demanding the other's certificate.
fn handshake(
    (server, client_root): (&Identity, &Root),
    (client, server_root): (&Identity, &Root),
    server_name: &str,
) -> Result<(), rustls::Error> {
    let provider = Arc::new(default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(roots(client_root), Arc::clone(&provider))
            .build()
            .unwrap();
    let (certificates, key) = chain(server);
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates, key)
        .unwrap();
    let (certificates, key) = chain(client);
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots(server_root))
        .with_client_auth_cert(certificates, key)
        .unwrap();
    let name = ServerName::try_from(server_name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let mut bytes = Vec::new();
        client.write_tls(&mut bytes).unwrap();
        server.read_tls(&mut bytes.as_slice()).unwrap();
        server.process_new_packets()?;
        let mut bytes = Vec::new();
        server.write_tls(&mut bytes).unwrap();
        client.read_tls(&mut bytes.as_slice()).unwrap();
        client.process_new_packets()?;
    }
    Ok(())
}

#[test]
fn every_leg_shakes_hands() {
    let pki = pki();
    let root = &pki.gateway_root;
    for name in ["payswitch.test", "localhost", "127.0.0.1", "::1"] {
        handshake((&pki.gateway, root), (&pki.merchant, root), name).unwrap();
        let root = &pki.operators_root;
        handshake((&pki.admin, root), (&pki.operator, root), name).unwrap();
    }
    for host in pki.hosts() {
        let name = format!("{}{HOST_DOMAIN}", host.name);
        handshake(
            (&host.server, &host.root),
            (&host.client, &host.root),
            &name,
        )
        .unwrap();
    }
}

#[test]
fn a_foreign_root_name_or_role_is_refused() {
    let pki = pki();
    let (acquirer, issuer) = (&pki.acquirer, &pki.issuer_a);
    let good_server = (&acquirer.server, &acquirer.root);
    let good_client = (&acquirer.client, &acquirer.root);
    let name = "acquirer.bank.test";
    let (admin, gateway) = (
        (&pki.admin, &pki.operators_root),
        (&pki.gateway, &pki.gateway_root),
    );
    let cases: [(&str, _, _, &str); 8] = [
        (
            "another name",
            good_server,
            good_client,
            "issuer-a.bank.test",
        ),
        (
            "a client of another host",
            good_server,
            (&issuer.client, &acquirer.root),
            name,
        ),
        (
            "a server of another root",
            good_server,
            (&acquirer.client, &issuer.root),
            name,
        ),
        (
            "a server as a client",
            good_server,
            (&acquirer.server, &acquirer.root),
            name,
        ),
        (
            "a client as a server",
            (&acquirer.client, &acquirer.root),
            good_client,
            name,
        ),
        (
            "a merchant at a bank",
            good_server,
            (&pki.merchant, &acquirer.root),
            name,
        ),
        (
            "a merchant at the operators' door",
            admin,
            (&pki.merchant, admin.1),
            "localhost",
        ),
        (
            "an operator at the merchants' door",
            gateway,
            (&pki.operator, gateway.1),
            "localhost",
        ),
    ];
    for (case, server, client, name) in cases {
        assert!(handshake(server, client, name).is_err(), "{case}");
    }
}

#[test]
fn merchants_and_operators_have_exactly_one_uri_and_no_other_name() {
    let pki = pki();
    for (identity, expected) in [
        (&pki.merchant, "payswitch://merchant/demo-shop"),
        (&pki.operator, "payswitch://operator/alice"),
    ] {
        let der = certificate(identity.certificate_pem());
        let (_, parsed) = X509Certificate::from_der(&der).unwrap();
        let names = parsed.subject_alternative_name().unwrap().unwrap();
        let names = names.value.general_names.as_slice();
        assert!(
            matches!(names, [GeneralName::URI(uri)] if *uri == expected),
            "{names:?}"
        );
        assert!(!parsed.is_ca());
    }
}

/// A folder that is removed with everything in it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let random = u64::from_be_bytes(Random::SYSTEM.bytes().unwrap());
        Self(std::env::temp_dir().join(format!("payswitch-pki-{random:016x}")))
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort_unstable();
        names
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn files_are_written_once_and_keys_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let (folder, pki) = (Folder::new(), pki());
    pki.write_to(&folder.0, RootKeys::Forget, Existing::Refuse)
        .unwrap();
    let with_keys = "acquirer acquirer-client admin gateway issuer-a issuer-a-client issuer-b \
        issuer-b-client merchant operator";
    let roots = "acquirer-ca gateway-ca issuer-a-ca issuer-b-ca operators-ca";
    let mut expected: Vec<_> = format!("{with_keys} {roots}")
        .split(' ')
        .map(|name| format!("{name}.pem"))
        .chain(with_keys.split(' ').map(|name| format!("{name}.key")))
        .collect();
    expected.sort_unstable();
    assert_eq!(folder.names(), expected);
    for name in folder.names() {
        let permissions = std::fs::metadata(folder.0.join(&name))
            .unwrap()
            .permissions();
        let expected = if name.ends_with(".key") { 0o600 } else { 0o644 };
        assert_eq!(permissions.mode() & 0o777, expected, "{name}");
    }
    let before = std::fs::read(folder.0.join("gateway.pem")).unwrap();
    let again = self::pki();
    let refused = again.write_to(&folder.0, RootKeys::Forget, Existing::Refuse);
    assert!(matches!(
        refused,
        Err(CertsError::KeyFile(KeyFileError::AlreadyThere { .. }))
    ));
    assert_eq!(std::fs::read(folder.0.join("gateway.pem")).unwrap(), before);
    again
        .write_to(&folder.0, RootKeys::Keep, Existing::Replace)
        .unwrap();
    assert_ne!(std::fs::read(folder.0.join("gateway.pem")).unwrap(), before);
    let names = folder.names();
    let root_keys = names.iter().filter(|name| name.ends_with("-ca.key"));
    assert_eq!(root_keys.count(), 5);
}

#[test]
fn a_wrapped_pki_reads_back_under_its_master_key_only() {
    use base64::Engine as _;
    let master_key = |byte| {
        let text = base64::engine::general_purpose::STANDARD.encode([byte; 32]);
        MasterKey::from_base64(&text, &Random::SYSTEM).unwrap()
    };
    let (folder, pki) = (Folder::new(), pki());
    let written = pki.write_wrapped_to(&folder.0, &master_key(1)).unwrap();
    for path in written {
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("BEGIN PRIVATE KEY"), "{}", path.display());
    }
    let read = DevelopmentPki::read_from(&folder.0, &master_key(1)).unwrap();
    assert_eq!(read.issuer_b.client.pkcs8, pki.issuer_b.client.pkcs8);
    let root = &read.gateway_root;
    handshake((&read.gateway, root), (&read.merchant, root), "localhost").unwrap();
    assert!(DevelopmentPki::read_from(&folder.0, &master_key(2)).is_err());
}

#[test]
fn debug_shows_no_key() {
    let pki = pki();
    let shown = format!("{pki:?}");
    assert!(
        shown.contains("masked") && !shown.contains("BEGIN"),
        "{shown}"
    );
    assert!(shown.len() < 2000, "{}", shown.len());
}
