//! Certificates: they are read, they fit their keys, each was issued by the next, they name somebody, and they are valid
//! for a while.

use std::path::Path;

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

use super::finding::Findings;
use super::keys::check_private_key_file;
use crate::app::parts::StartError;
use crate::payment::moment::UnixMillis;
use crate::telemetry::with_causes;

/// With fewer days left a certificate is to be renewed.
const WARN_DAYS: i64 = 30;
const SECONDS_OF_A_DAY: i64 = 24 * 60 * 60;

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// A server shows it.
    Server,
    /// A client shows it.
    Client,
    /// Others come from it.
    Root,
}

/// A door: what it shows, and which root the clients' certificates come from. `loaded` is what `serve` makes of it.
pub fn check_door(
    check: &str,
    loaded: Result<(), StartError>,
    (certificate, key): (&Path, &Path),
    client_ca: Option<&Path>,
    now: UnixMillis,
    findings: &mut Findings,
) {
    match loaded {
        Ok(()) => check_file(&format!("{check}: certificate"), certificate, Use::Server, now, findings),
        Err(error) => findings.failed(
            format!("{check}: certificate"),
            with_causes(&error),
            format!(
                "put the certificate chain into {} and its private key (PKCS #8, PEM) into {}; `openssl pkcs8 -topk8 \
                 -nocrypt` converts another form",
                certificate.display(),
                key.display()
            ),
        ),
    }
    check_private_key_file(check, key, findings);
    if let Some(client_ca) = client_ca {
        check_file(
            &format!("{check}: clients' root"),
            client_ca,
            Use::Root,
            now,
            findings,
        );
    }
}

/// The certificates of one file, the first of them for this use.
pub fn check_file(
    check: &str,
    path: &Path,
    for_use: Use,
    now: UnixMillis,
    findings: &mut Findings,
) {
    let unreadable = |reason: String| {
        (
            format!("{}: {reason}", path.display()),
            format!(
                "put certificates in PEM into {}, readable by the user of the service",
                path.display()
            ),
        )
    };
    let looked = std::fs::read(path)
        .map_err(|error| unreadable(error.to_string()))
        .and_then(|pem| {
            look(&pem, for_use, now).map_err(|fault| match fault {
                Fault::Unreadable(reason) => unreadable(reason.into()),
                Fault::Unfit { found, advice } => (format!("{}: {found}", path.display()), advice),
            })
        });
    match looked {
        Ok(Looked { found, days }) if days < WARN_DAYS => findings.warning(
            check,
            format!("{}: {found}", path.display()),
            format!("renew it, and put the new one into {}", path.display()),
        ),
        Ok(Looked { found, .. }) => findings.ok(check, format!("{}: {found}", path.display())),
        Err((found, advice)) => findings.failed(check, found, advice),
    }
}

/// Certificates that can be used.
struct Looked {
    found: String,
    /// Until the first of them ends.
    days: i64,
}

enum Fault {
    Unreadable(&'static str),
    Unfit { found: String, advice: String },
}

fn look(pem: &[u8], for_use: Use, now: UnixMillis) -> Result<Looked, Fault> {
    let ders: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|_| Fault::Unreadable("expected certificates in PEM, got something else"))?;
    let certificates = ders
        .iter()
        .map(|der| X509Certificate::from_der(der).map(|(_, certificate)| certificate))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| Fault::Unreadable("expected X.509 certificates, got something else"))?;
    let Some(first) = certificates.first() else {
        return Err(Fault::Unreadable(
            "expected at least one certificate, got none",
        ));
    };
    for certificate in &certificates {
        check_validity(certificate, now)?;
    }
    if for_use != Use::Root {
        check_chain(&certificates)?;
        check_use(first, for_use)?;
    }
    let ends = certificates
        .iter()
        .map(|it| it.validity().not_after.timestamp());
    let end = ends.min().unwrap_or_default();
    let days = (end - now.as_i64() / 1000) / SECONDS_OF_A_DAY;
    let names = names(first);
    let named = if names.is_empty() {
        String::new()
    } else {
        format!(", for {}", names.join(", "))
    };
    Ok(Looked {
        found: format!(
            "{}{named}, {days} days left ({} certificates)",
            first.subject(),
            certificates.len()
        ),
        days,
    })
}

fn check_validity(certificate: &X509Certificate<'_>, now: UnixMillis) -> Result<(), Fault> {
    let now = now.as_i64() / 1000;
    let validity = certificate.validity();
    let subject = certificate.subject();
    if validity.not_after.timestamp() < now {
        return Err(Fault::Unfit {
            found: format!("{subject} has expired at {}", validity.not_after),
            advice: "renew it".into(),
        });
    }
    if validity.not_before.timestamp() > now {
        return Err(Fault::Unfit {
            found: format!("{subject} is not valid before {}", validity.not_before),
            advice: "check the clock of this machine, or wait".into(),
        });
    }
    Ok(())
}

/// Each was issued by the next: the order in which TLS shows them (RFC 8446, section 4.4.2).
fn check_chain(certificates: &[X509Certificate<'_>]) -> Result<(), Fault> {
    for pair in certificates.windows(2) {
        if let [certificate, issuer] = pair
            && certificate.issuer() != issuer.subject()
        {
            return Err(Fault::Unfit {
                found: format!(
                    "expected {} to be followed by the certificate of its issuer {}, got {}",
                    certificate.subject(),
                    certificate.issuer(),
                    issuer.subject()
                ),
                advice:
                    "put the certificates in their order: the own one first, then each one's issuer"
                        .into(),
            });
        }
    }
    Ok(())
}

/// It may be used so, and a server's names somebody.
fn check_use(certificate: &X509Certificate<'_>, for_use: Use) -> Result<(), Fault> {
    let uses = certificate.extended_key_usage().ok().flatten();
    let allowed = uses.is_none_or(|uses| {
        let uses = uses.value;
        uses.any
            || if for_use == Use::Server {
                uses.server_auth
            } else {
                uses.client_auth
            }
    });
    if !allowed {
        let whose = if for_use == Use::Server {
            "servers"
        } else {
            "clients"
        };
        return Err(Fault::Unfit {
            found: format!(
                "{} is not for TLS {whose} (extended key usage)",
                certificate.subject()
            ),
            advice: format!("get a certificate for TLS {whose}"),
        });
    }
    if for_use == Use::Server && names(certificate).is_empty() {
        return Err(Fault::Unfit {
            found: format!("{} has no DNS name and no IP address", certificate.subject()),
            advice: "get a certificate with the name that clients connect to, as a subject alternative name".into(),
        });
    }
    Ok(())
}

/// The names and addresses among the subject alternative names.
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.iter().flat_map(|names| &names.value.general_names);
    names
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some((*name).to_owned()),
            GeneralName::IPAddress(bytes) => shown_address(bytes),
            _ => None,
        })
        .collect()
}

fn shown_address(bytes: &[u8]) -> Option<String> {
    if let Ok(four) = <[u8; 4]>::try_from(bytes) {
        return Some(std::net::Ipv4Addr::from(four).to_string());
    }
    let sixteen = <[u8; 16]>::try_from(bytes).ok()?;
    Some(std::net::Ipv6Addr::from(sixteen).to_string())
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose,
        IsCa, KeyPair, date_time_ymd,
    };

    use super::*;
    use crate::commands::doctor::finding::Standing;
    use crate::commands::doctor::finding::testing::only;

    /// 2026-11-01.
    const NOW: UnixMillis = UnixMillis::new(1_793_491_200_000);

    fn params(subject: &str, names: &[&str], (year, month): (i32, u8)) -> CertificateParams {
        let names: Vec<String> = names.iter().map(|&name| name.into()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.distinguished_name.push(DnType::CommonName, subject);
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(year, month, 1);
        params
    }

    fn root(subject: &str) -> CertifiedIssuer<'static, KeyPair> {
        let mut params = params(subject, &[], (2036, 1));
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    fn issued(params: CertificateParams, issuer: &CertifiedIssuer<'static, KeyPair>) -> String {
        let key = KeyPair::generate().unwrap();
        params.signed_by(&key, issuer).unwrap().pem()
    }

    #[test]
    fn what_is_wrong_with_a_certificate_is_said() {
        let (issuer, other) = (root("Our Root"), root("Another Root"));
        let end = |end| params("Gateway", &["pay.example"], end);
        let for_clients = |mut params: CertificateParams| {
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            params
        };
        let good = issued(end((2027, 6)), &issuer);
        for (what, pem, for_use, standing, said) in [
            (
                "good",
                good.clone(),
                Use::Server,
                Standing::Ok,
                "for pay.example, 212 days left",
            ),
            (
                "with its root",
                good.clone() + &issuer.pem(),
                Use::Server,
                Standing::Ok,
                "2 certificates",
            ),
            (
                "with another root",
                good.clone() + &other.pem(),
                Use::Server,
                Standing::Failed,
                "Another Root",
            ),
            (
                "ends soon",
                issued(end((2026, 11)), &issuer),
                Use::Server,
                Standing::Warning,
                "0 days left",
            ),
            (
                "ended",
                issued(end((2026, 10)), &issuer),
                Use::Server,
                Standing::Failed,
                "expired",
            ),
            (
                "without a name",
                issued(params("Gateway", &[], (2027, 6)), &issuer),
                Use::Server,
                Standing::Failed,
                "no DNS name",
            ),
            (
                "of a client",
                issued(for_clients(end((2027, 6))), &issuer),
                Use::Client,
                Standing::Ok,
                "days left",
            ),
            (
                "of a client, at a server",
                issued(for_clients(end((2027, 6))), &issuer),
                Use::Server,
                Standing::Failed,
                "not for TLS servers",
            ),
            ("a root", issuer.pem(), Use::Root, Standing::Ok, "Our Root"),
            (
                "a key",
                KeyPair::generate().unwrap().serialize_pem(),
                Use::Root,
                Standing::Failed,
                "got none",
            ),
        ] {
            let path =
                std::env::temp_dir().join(format!("payswitch-doctor-{}.pem", std::process::id()));
            std::fs::write(&path, pem).unwrap();
            let mut findings = Findings::default();
            check_file("door", &path, for_use, NOW, &mut findings);
            let finding = only(&findings, standing);
            assert!(finding.found.contains(said), "{what}: {finding:?}");
            std::fs::remove_file(&path).unwrap();
        }
        let mut findings = Findings::default();
        check_file(
            "door",
            Path::new("/nowhere/gateway.pem"),
            Use::Server,
            NOW,
            &mut findings,
        );
        assert!(
            only(&findings, Standing::Failed)
                .found
                .contains("/nowhere/gateway.pem")
        );
    }
}
