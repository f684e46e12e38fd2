//! What payswitch reads of certificates and of revocation lists, for its doors and for its lines to banks: when a
//! certificate is valid, which DNS names it carries, and whether a list was signed by the root whose certificates it
//! revokes.

use std::sync::Arc;

use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use x509_parser::prelude::{
    ASN1Time, CertificateRevocationList, FromDer as _, GeneralName, X509Certificate,
};

/// The first and the last second in which a certificate is valid, in seconds of Unix time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// The first one.
    pub from: u64,
    /// The last one.
    pub until: u64,
}

/// When what is in use at one place ends, in seconds of Unix time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ends {
    /// The place: a door or a host.
    pub of: String,
    /// The certificate that payswitch shows there; none where that can't be read.
    pub certificate: Option<u64>,
    /// The first of the revocation lists of the other side; none where there is no list, or none that says so.
    pub revocation_lists: Option<u64>,
}

/// Says when what is in use now ends.
pub type EndsNow = Arc<dyn Fn() -> Vec<Ends> + Send + Sync>;

/// A certificate can't be put in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected a certificate that is valid now, {}; got one that is valid from {} to {}",
    shown(*now), shown(validity.from), shown(validity.until)
)]
pub struct NotValidNow {
    validity: Validity,
    now: u64,
}

impl Validity {
    /// That of a certificate; none where it can't be read.
    #[must_use]
    pub fn of(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        let validity = certificate.validity();
        Some(Self {
            from: u64::try_from(validity.not_before.timestamp()).unwrap_or(0),
            until: u64::try_from(validity.not_after.timestamp()).ok()?,
        })
    }

    /// Whether it is now.
    ///
    /// # Errors
    /// When it is not.
    pub fn check(self, now: UnixTime) -> Result<(), NotValidNow> {
        let now = now.as_secs();
        if (self.from..=self.until).contains(&now) {
            return Ok(());
        }
        Err(NotValidNow {
            validity: self,
            now,
        })
    }
}

fn shown(second: u64) -> String {
    let second = i64::try_from(second).unwrap_or(i64::MAX);
    ASN1Time::from_timestamp(second).map_or_else(|_| second.to_string(), |time| time.to_string())
}

/// Whether a certificate carries exactly this DNS name, in any case of its letters. A wildcard is no name.
#[must_use]
pub fn has_dns_name(certificate: &CertificateDer<'_>, name: &str) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else {
        return false;
    };
    let Ok(Some(names)) = certificate.subject_alternative_name() else {
        return false;
    };
    let mut names = names.value.general_names.iter();
    names.any(|it| matches!(it, GeneralName::DNSName(it) if it.eq_ignore_ascii_case(name)))
}

/// A text of revocation lists can't be used.
#[derive(Debug, thiserror::Error)]
pub enum RevocationError {
    /// It is no PEM.
    #[error("expected revocation lists in PEM, got something else")]
    NotPem(#[source] rustls_pki_types::pem::Error),
    /// One of them can't be read.
    #[error("expected a revocation list (RFC 5280, section 5), got one that can't be read: {0}")]
    Unreadable(String),
    /// A root can't be read.
    #[error("expected a root certificate, got one that can't be read: {0}")]
    Root(String),
    /// A list has the name of a root, and another signer.
    #[error(
        "expected the revocation list of {issuer} to be signed by that root, got another signature"
    )]
    OtherSigner {
        /// Whose list it says it is.
        issuer: String,
    },
    /// A root has no list: whether its certificates are revoked is not known, so none of them would be accepted.
    #[error("expected a revocation list of each root, got none of {root}")]
    Missing {
        /// The root.
        root: String,
    },
}

/// Revocation lists, each of a root or of an authority below one.
#[derive(Debug, Clone)]
pub struct RevocationLists {
    /// The lists, as TLS takes them.
    pub lists: Vec<CertificateRevocationListDer<'static>>,
    /// When the first of them should have been replaced by a newer one, in seconds of Unix time; none where none says
    /// so.
    pub next_update: Option<u64>,
}

impl RevocationLists {
    /// Reads lists from PEM. Each root has one that it signed. The lists of other authorities are checked in the
    /// handshake, which knows their certificates.
    ///
    /// # Errors
    /// When a list can't be read, is not signed by the root whose name it has, or is missing.
    pub fn read(pem: &[u8], roots: &[CertificateDer<'_>]) -> Result<Self, RevocationError> {
        let lists: Vec<_> = CertificateRevocationListDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(RevocationError::NotPem)?;
        let mut parsed = Vec::with_capacity(lists.len());
        for list in &lists {
            let (_, list) = CertificateRevocationList::from_der(list)
                .map_err(|error| RevocationError::Unreadable(error.to_string()))?;
            parsed.push(list);
        }
        let mut authorities = Vec::with_capacity(roots.len());
        for root in roots {
            let (_, root) = X509Certificate::from_der(root)
                .map_err(|error| RevocationError::Root(error.to_string()))?;
            authorities.push(root);
        }
        for list in &parsed {
            let named = authorities.iter().filter(|root| has_name_of(list, root));
            let mut named = named.peekable();
            if named.peek().is_some() && !named.any(|root| is_signed_by(list, root)) {
                let issuer = list.issuer().to_string();
                return Err(RevocationError::OtherSigner { issuer });
            }
        }
        for root in &authorities {
            let of_root = |list| has_name_of(list, root) && is_signed_by(list, root);
            if !parsed.iter().any(of_root) {
                let root = root.subject().to_string();
                return Err(RevocationError::Missing { root });
            }
        }
        let ends = parsed
            .iter()
            .filter_map(CertificateRevocationList::next_update);
        let next_update = ends
            .filter_map(|end| u64::try_from(end.timestamp()).ok())
            .min();
        Ok(Self { lists, next_update })
    }
}

fn has_name_of(list: &CertificateRevocationList<'_>, root: &X509Certificate<'_>) -> bool {
    list.issuer().as_raw() == root.subject().as_raw()
}

fn is_signed_by(list: &CertificateRevocationList<'_>, root: &X509Certificate<'_>) -> bool {
    list.verify_signature(root.public_key()).is_ok()
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, CertifiedIssuer,
        DnType, IsCa, KeyIdMethod, KeyPair, KeyUsagePurpose, SerialNumber,
    };
    use time::macros::datetime;

    use super::*;

    fn root(name: &str) -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    fn list(root: &CertifiedIssuer<'static, KeyPair>) -> String {
        let list = CertificateRevocationListParams {
            this_update: datetime!(2026-11-01 00:00 UTC),
            next_update: datetime!(2026-12-01 00:00 UTC),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        list.signed_by(root).unwrap().pem().unwrap()
    }

    #[test]
    fn each_root_has_a_list_that_it_signed() {
        let (one, other, impostor) = (root("one"), root("other"), root("one"));
        let roots = [one.der().clone(), other.der().clone()];
        let both = list(&one) + &list(&other);
        let read = RevocationLists::read(both.as_bytes(), &roots).unwrap();
        assert_eq!(read.lists.len(), 2);
        let end = datetime!(2026-12-01 00:00 UTC).unix_timestamp();
        assert_eq!(read.next_update, u64::try_from(end).ok());
        // The list of an authority below a root is checked in the handshake.
        let three = both.clone() + &list(&root("below"));
        let read = RevocationLists::read(three.as_bytes(), &roots).unwrap();
        assert_eq!(read.lists.len(), 3);
        for (text, expected) in [
            (String::new(), "got none of CN=one"),
            (list(&one), "got none of CN=other"),
            (list(&other) + &list(&impostor), "got another signature"),
            (
                both + "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n",
                "can't be read",
            ),
            (
                "-----BEGIN X509 CRL-----\n".to_owned(),
                "got something else",
            ),
        ] {
            let error = RevocationLists::read(text.as_bytes(), &roots).unwrap_err();
            assert!(error.to_string().contains(expected), "{expected}: {error}");
        }
    }

    #[test]
    fn a_certificate_is_valid_in_its_time_and_for_its_names_only() {
        let mut params = CertificateParams::new(vec!["Bank.test".to_owned()]).unwrap();
        params
            .subject_alt_names
            .push(rcgen::SanType::DnsName("*.bank.test".try_into().unwrap()));
        params.not_before = datetime!(2026-11-01 00:00 UTC);
        params.not_after = datetime!(2026-12-01 00:00 UTC);
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let certificate = certificate.der();
        for (name, expected) in [("bank.test", true), ("a.bank.test", false), ("test", false)] {
            assert_eq!(has_dns_name(certificate, name), expected, "{name}");
        }
        let validity = Validity::of(certificate).unwrap();
        for (at, expected) in [
            (validity.from - 1, false),
            (validity.from, true),
            (validity.until, true),
            (validity.until + 1, false),
        ] {
            let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(at));
            assert_eq!(validity.check(now).is_ok(), expected, "{at}");
        }
        let late = UnixTime::since_unix_epoch(std::time::Duration::from_secs(validity.until + 1));
        let error = validity.check(late).unwrap_err().to_string();
        assert!(error.contains("Dec  1 00:00:00 2026"), "{error}");
    }
}
