//! The development PKI: certificates for one machine, so that every leg has real mutual TLS without
//! an authority.
//!
//! Each bank host has a private root of its own: whoever holds one host's root can't pose as another
//! host. certs/README.md says which file is what; [`files`] writes and reads them.

pub mod files;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};
use zeroize::Zeroizing;

use crate::card::key_files::KeyFileError;
use crate::card::master_key;
use crate::card::masters::MasterKeyError;
use crate::payment::ids::{MerchantId, OperatorName};
use crate::payment::moment::UnixMillis;

/// The name in the gateway's certificate, besides `localhost` and the loopback addresses.
pub const GATEWAY_NAME: &str = "payswitch.test";
/// What a merchant's name in its certificate begins with: exactly one SAN URI has this form.
pub const MERCHANT_URI_PREFIX: &str = "payswitch://merchant/";
/// What an operator's name in its certificate begins with: exactly one SAN URI has this form.
pub const OPERATOR_URI_PREFIX: &str = "payswitch://operator/";
/// What follows a host's name in its certificate.
pub const HOST_DOMAIN: &str = ".bank.test";
/// How long a root is good for, in days.
const ROOT_DAYS: i64 = 3650;
/// How long any other certificate is good for, in days.
const LEAF_DAYS: i64 = 825;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Why there is no development PKI.
#[derive(Debug, thiserror::Error)]
pub enum CertsError {
    /// A certificate could not be made.
    #[error("the certificate of {subject} could not be made")]
    NotMade {
        /// Whose it was to be.
        subject: String,
        /// What the library says.
        #[source]
        source: rcgen::Error,
    },
    /// A key can't be read, or wrapped and written.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// A file is there already, or can't be read or written; or the folder can't be made.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
}

/// A certificate and its private key.
pub struct Identity {
    certificate_pem: String,
    pkcs8: Zeroizing<Vec<u8>>,
}

impl Identity {
    /// The certificate, PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The private key, PKCS #8 in PEM.
    #[must_use]
    pub fn key_pem(&self) -> Zeroizing<Vec<u8>> {
        master_key::private_key_pem(&self.pkcs8)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(key masked)")
    }
}

/// A root: its certificate, and its key while that is kept.
pub struct Root {
    certificate_pem: String,
    /// None once it was read back from files that were written without it.
    pkcs8: Option<Zeroizing<Vec<u8>>>,
}

impl Root {
    /// The certificate, PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Root(key masked)")
    }
}

/// The certificates around one bank host.
#[derive(Debug)]
pub struct HostPki {
    /// The host's name: `acquirer`, `issuer-a` or `issuer-b`.
    pub name: &'static str,
    /// Its private root.
    pub root: Root,
    /// The host itself: `NAME.bank.test`.
    pub server: Identity,
    /// The one that connects to it: the gateway to the acquirer, the acquirer to an issuer.
    pub client: Identity,
}

/// All certificates of a development machine.
#[derive(Debug)]
pub struct DevelopmentPki {
    /// The root of the gateway and of its merchants.
    pub gateway_root: Root,
    /// The merchant API: `localhost`, `127.0.0.1`, `::1`, `payswitch.test`.
    pub gateway: Identity,
    /// One merchant's client certificate.
    pub merchant: Identity,
    /// The operators' own root: of their door and of their certificates.
    pub operators_root: Root,
    /// The operators' API, with the names of the merchant API.
    pub admin: Identity,
    /// One operator's client certificate.
    pub operator: Identity,
    /// The acquirer; its client is the gateway.
    pub acquirer: HostPki,
    /// The first issuer; its client is the acquirer.
    pub issuer_a: HostPki,
    /// The second issuer; its client is the acquirer.
    pub issuer_b: HostPki,
}

impl DevelopmentPki {
    /// Makes new keys and certificates (ECDSA on P-256), good from the day before `now`.
    ///
    /// # Errors
    /// When the library makes no key or certificate.
    pub fn generate(
        merchant_id: &MerchantId,
        operator: &OperatorName,
        now: UnixMillis,
    ) -> Result<Self, CertsError> {
        let root = new_root("gateway", now)?;
        let operators_root = new_root("operators", now)?;
        let gateway_names = vec![
            dns(GATEWAY_NAME)?,
            dns("localhost")?,
            SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)),
            SanType::IpAddress(IpAddr::V6(Ipv6Addr::LOCALHOST)),
        ];
        Ok(Self {
            gateway: issue(
                &root,
                GATEWAY_NAME,
                gateway_names.clone(),
                Side::Server,
                now,
            )?,
            merchant: issue(
                &root,
                merchant_id.as_str(),
                vec![uri(MERCHANT_URI_PREFIX, merchant_id.as_str())?],
                Side::Client,
                now,
            )?,
            gateway_root: keep(&root),
            admin: issue(
                &operators_root,
                GATEWAY_NAME,
                gateway_names,
                Side::Server,
                now,
            )?,
            operator: issue(
                &operators_root,
                operator.as_str(),
                vec![uri(OPERATOR_URI_PREFIX, operator.as_str())?],
                Side::Client,
                now,
            )?,
            operators_root: keep(&operators_root),
            acquirer: host("acquirer", "gateway", now)?,
            issuer_a: host("issuer-a", "acquirer", now)?,
            issuer_b: host("issuer-b", "acquirer", now)?,
        })
    }

    /// The bank hosts: the acquirer, then the issuers.
    #[must_use]
    pub fn hosts(&self) -> [&HostPki; 3] {
        [&self.acquirer, &self.issuer_a, &self.issuer_b]
    }
}

#[derive(Clone, Copy)]
enum Side {
    Server,
    Client,
}

type Issuing = CertifiedIssuer<'static, KeyPair>;

fn host(name: &'static str, client: &str, now: UnixMillis) -> Result<HostPki, CertsError> {
    let root = new_root(name, now)?;
    let server_name = format!("{name}{HOST_DOMAIN}");
    let client_name = format!("{client} as client of {name}");
    Ok(HostPki {
        name,
        server: issue(
            &root,
            &server_name,
            vec![dns(&server_name)?],
            Side::Server,
            now,
        )?,
        client: issue(&root, &client_name, Vec::new(), Side::Client, now)?,
        root: keep(&root),
    })
}

fn not_made(subject: &str) -> impl FnOnce(rcgen::Error) -> CertsError {
    let subject = subject.to_owned();
    move |source| CertsError::NotMade { subject, source }
}

fn dns(name: &str) -> Result<SanType, CertsError> {
    let parsed = name.try_into().map_err(not_made(name))?;
    Ok(SanType::DnsName(parsed))
}

fn uri(prefix: &str, name: &str) -> Result<SanType, CertsError> {
    let uri = format!("{prefix}{name}");
    let parsed = uri.as_str().try_into().map_err(not_made(&uri))?;
    Ok(SanType::URI(parsed))
}

fn params(subject: &str, days: i64, now: UnixMillis) -> CertificateParams {
    let mut params = CertificateParams::default();
    params
        .distinguished_name
        .push(DnType::OrganizationName, "payswitch development");
    params.distinguished_name.push(DnType::CommonName, subject);
    // A day back, because no two clocks agree.
    params.not_before = now.plus_ms(-DAY_MS).utc();
    params.not_after = now.plus_ms(days * DAY_MS).utc();
    params
}

fn new_root(name: &str, now: UnixMillis) -> Result<Issuing, CertsError> {
    let subject = format!("{name} root");
    let mut params = params(&subject, ROOT_DAYS, now);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
        .and_then(|key| CertifiedIssuer::self_signed(params, key))
        .map_err(not_made(&subject))
}

fn issue(
    root: &Issuing,
    subject: &str,
    names: Vec<SanType>,
    side: Side,
    now: UnixMillis,
) -> Result<Identity, CertsError> {
    let mut params = params(subject, LEAF_DAYS, now);
    params.subject_alt_names = names;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![match side {
        Side::Server => ExtendedKeyUsagePurpose::ServerAuth,
        Side::Client => ExtendedKeyUsagePurpose::ClientAuth,
    }];
    params.use_authority_key_identifier_extension = true;
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(not_made(subject))?;
    let certificate = params.signed_by(&key, root).map_err(not_made(subject))?;
    Ok(Identity {
        certificate_pem: certificate.pem(),
        pkcs8: Zeroizing::new(key.serialize_der()),
    })
}

fn keep(root: &Issuing) -> Root {
    Root {
        certificate_pem: root.pem(),
        pkcs8: Some(Zeroizing::new(root.key().serialize_der())),
    }
}

#[cfg(test)]
mod tests;
