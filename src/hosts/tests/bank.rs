//! A bank that does what a test tells it to, over real TLS.

use std::sync::Arc;

use iso8583::{Dialect, MessageBuilder, Mti};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, PublicKeyData,
    RevokedCertParams, SerialNumber,
};
use ring::digest::{SHA256, digest};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use crate::hosts::profile::{HostProfile, PemSource, SpkiPin};

use super::known::{self, template};
use crate::hosts::message::values::transmission_date_time;
use crate::net::{Listener, Net, Stream};
use crate::payment::record::Operation;

/// The name that profiles of these tests expect.
pub(in crate::hosts) const SERVER_NAME: &str = "acquirer.bank.test";

/// The name of each bank's root.
pub(in crate::hosts) const ROOT_NAME: &str = "bank root";

/// A private root.
pub(in crate::hosts) struct Root(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, PEM, and the pin of the key.
pub(in crate::hosts) struct Identity {
    pub(in crate::hosts) certificate: String,
    pub(in crate::hosts) key: String,
    pub(in crate::hosts) pin: SpkiPin,
}

impl Root {
    pub(in crate::hosts) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(in crate::hosts) fn issue(&self, name: &str, usage: ExtendedKeyUsagePurpose) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![usage];
        let spki = key.subject_public_key_info();
        let pin = <[u8; 32]>::try_from(digest(&SHA256, &spki).as_ref()).unwrap();
        Identity {
            certificate: params.signed_by(&key, &self.0).unwrap().pem(),
            key: key.serialize_pem(),
            pin: SpkiPin(pin),
        }
    }

    pub(in crate::hosts) fn pem(&self) -> String {
        self.0.pem()
    }

    /// The list of what it has revoked: one certificate or none, as PEM.
    pub(in crate::hosts) fn revocation_list(&self, revoked: Option<&str>) -> String {
        let at = known::NOW.utc();
        let serial = |pem: &str| {
            let der = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
            let (_, certificate) = X509Certificate::from_der(&der).unwrap();
            SerialNumber::from_slice(certificate.raw_serial())
        };
        let revoked = revoked.map(|certificate| RevokedCertParams {
            serial_number: serial(certificate),
            revocation_time: at,
            reason_code: None,
            invalidity_date: None,
        });
        let list = CertificateRevocationListParams {
            this_update: at,
            next_update: known::NOW.plus_days(1).utc(),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: revoked.into_iter().collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(&self.0).unwrap().pem().unwrap()
    }
}

pub(in crate::hosts) fn memory(pem: &str) -> PemSource {
    PemSource::Memory(Zeroizing::new(pem.as_bytes().to_vec()))
}

const TLS13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// Options of a test bank.
pub(in crate::hosts) struct BankOptions {
    pub(in crate::hosts) server_name: &'static str,
    pub(in crate::hosts) versions: &'static [&'static SupportedProtocolVersion],
}

impl Default for BankOptions {
    fn default() -> Self {
        Self {
            server_name: SERVER_NAME,
            versions: TLS13,
        }
    }
}

/// A bank that listens.
pub(crate) struct Bank {
    listener: Listener,
    pub(in crate::hosts) acceptor: TlsAcceptor,
    pub(in crate::hosts) root: Root,
    /// The certificate that it shows, PEM.
    pub(in crate::hosts) certificate: String,
    pub(in crate::hosts) pin: SpkiPin,
    /// How it writes messages.
    pub(in crate::hosts) dialect: Dialect,
}

impl Bank {
    pub(crate) async fn start() -> Self {
        Self::with(BankOptions::default()).await
    }

    pub(in crate::hosts) async fn with(options: BankOptions) -> Self {
        let root = Root::new(ROOT_NAME);
        let identity = root.issue(options.server_name, ExtendedKeyUsagePurpose::ServerAuth);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots
            .add(CertificateDer::from_pem_slice(root.pem().as_bytes()).unwrap())
            .unwrap();
        let clients =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
                .build()
                .unwrap();
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(options.versions)
            .unwrap()
            .with_client_cert_verifier(clients)
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap(),
            )
            .unwrap();
        Self {
            listener: Net::SYSTEM
                .listen("127.0.0.1:0".parse().unwrap())
                .await
                .unwrap(),
            acceptor: TlsAcceptor::from(Arc::new(config)),
            root,
            certificate: identity.certificate,
            pin: identity.pin,
            dialect: Dialect::builtin("iso1987-bcd").unwrap(),
        }
    }

    /// The template's profile, for one line to this bank.
    pub(crate) fn profile(&self) -> HostProfile {
        let client = self
            .root
            .issue("gateway.test", ExtendedKeyUsagePurpose::ClientAuth);
        let mut profile = template();
        profile.address = self.listener.local_addr().unwrap().to_string();
        profile.tls.server_name = SERVER_NAME.into();
        profile.tls.ca = memory(&self.root.pem());
        profile.tls.client_certificate = memory(&client.certificate);
        profile.tls.client_key = memory(&client.key);
        profile.lines = 1;
        profile.network.silence = std::time::Duration::from_secs(60);
        profile.least_reply = std::time::Duration::from_millis(1);
        profile.back_off.first = std::time::Duration::from_millis(1);
        profile.back_off.longest = std::time::Duration::from_millis(20);
        profile
    }

    /// The next connection, whether or not its handshake succeeds.
    pub(in crate::hosts) async fn try_accept(&self) -> std::io::Result<BankLine> {
        let (tcp, _) = self.listener.accept().await?;
        tcp.set_nodelay(true)?;
        let stream = self.acceptor.accept(tcp).await?;
        assert!(stream.get_ref().1.peer_certificates().is_some());
        Ok(BankLine {
            stream,
            dialect: self.dialect.clone(),
        })
    }

    /// The next connection, not signed on.
    pub(in crate::hosts) async fn accept(&self) -> BankLine {
        self.try_accept().await.unwrap()
    }

    /// The next connection, signed on.
    pub(crate) async fn accept_signed_on(&self) -> BankLine {
        let mut line = self.accept().await;
        let request = line.read().await.unwrap();
        assert_eq!(request.mti(), Mti::NETWORK_REQUEST);
        assert_eq!(request.text_of(70).as_deref(), Some("001"));
        line.write(&confirmation(&request, "00")).await;
        line
    }
}

/// The bank's end of one connection.
pub(crate) struct BankLine {
    stream: TlsStream<Stream>,
    pub(in crate::hosts) dialect: Dialect,
}

impl BankLine {
    /// The next message; `None` when the connection ends.
    pub(in crate::hosts) async fn read(&mut self) -> Option<MessageBuilder> {
        let length = self.stream.read_u16().await.ok()?;
        let mut bytes = vec![0; usize::from(length)];
        self.stream.read_exact(&mut bytes).await.ok()?;
        Some(self.dialect.decode(&bytes).unwrap().to_builder())
    }

    /// The next authorization request.
    pub(in crate::hosts) async fn read_request(&mut self) -> MessageBuilder {
        let request = self.read().await.expect("a request");
        assert_eq!(request.mti(), Mti::AUTHORIZATION_REQUEST);
        request
    }

    pub(in crate::hosts) fn frame(&self, message: &MessageBuilder) -> Vec<u8> {
        let mut frame = vec![0, 0];
        self.dialect.encode(message, &mut frame).unwrap();
        let length = u16::try_from(frame.len() - 2).unwrap().to_be_bytes();
        frame[..2].copy_from_slice(&length);
        frame
    }

    pub(crate) async fn write(&mut self, message: &MessageBuilder) {
        let frame = self.frame(message);
        self.write_raw(&frame).await;
    }

    pub(in crate::hosts) async fn write_raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// How the connection ends, once nothing more comes.
    pub(in crate::hosts) async fn end(&mut self) -> std::io::ErrorKind {
        self.stream.read_u8().await.unwrap_err().kind()
    }

    /// The certificate that payswitch has shown.
    pub(in crate::hosts) fn shown(&self) -> CertificateDer<'static> {
        let shown = self.stream.get_ref().1.peer_certificates().unwrap();
        shown[0].clone().into_owned()
    }

    pub(in crate::hosts) fn protocol_version(&self) -> Option<rustls::ProtocolVersion> {
        self.stream.get_ref().1.protocol_version()
    }

    /// Ends the connection with a RST, whatever is in progress.
    pub(in crate::hosts) fn reset(self) {
        let (tcp, _) = self.stream.into_inner();
        tcp.set_zero_linger().unwrap();
    }

    /// Ends the connection as TLS wants it.
    pub(in crate::hosts) async fn close(mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// Ends the TCP connection without the close_notify that ends a TLS session.
    pub(in crate::hosts) fn cut(self) {
        drop(self.stream.into_inner());
    }
}

/// The 0810 to a 0800.
pub(in crate::hosts) fn confirmation(
    request: &MessageBuilder,
    response_code: &str,
) -> MessageBuilder {
    let mut answer = request.clone();
    answer.set_mti(Mti::NETWORK_RESPONSE);
    answer.text(39, response_code);
    answer
}

/// An approval of what some process sent from this terminal: the key that its 0100 had.
pub(crate) fn approval_of(
    operation: &Operation,
    terminal_id: &str,
    approval_code: &str,
) -> MessageBuilder {
    let mut answer = MessageBuilder::new(Mti::AUTHORIZATION_RESPONSE);
    answer
        .header(&template().header)
        .text(4, "000000001250")
        .number(7, transmission_date_time(operation.transmitted_at))
        .number(11, u64::from(operation.stan.get()))
        .text(37, operation.rrn.as_str())
        .text(38, approval_code)
        .text(39, "00")
        .text(41, terminal_id)
        .number(49, u64::from(operation.amount.currency().numeric()));
    answer
}

/// The 0110 to a 0100: the key echoed, and an approval code where it approves.
pub(in crate::hosts) fn answer(request: &MessageBuilder, response_code: &str) -> MessageBuilder {
    let mut answer = request.clone();
    answer.set_mti(Mti::AUTHORIZATION_RESPONSE);
    for de in [2, 14, 18, 19, 22, 25, 43, 48] {
        answer.remove(de);
    }
    if response_code == "00" {
        answer.text(38, "A1B2C3");
    }
    answer.text(39, response_code);
    answer
}
