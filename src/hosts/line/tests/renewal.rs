//! How a host is reached is replaced while its line runs.

use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::*;
use crate::clock::Clock as _;
use crate::hosts::status::LineState;
use crate::hosts::tests::bank::{Root, answer, confirmation, memory};
use crate::payment::decline::FailureReason;

/// Reads the profile again and puts it in use; whether it was another one.
fn renew(started: &Started, profile: &HostProfile) -> bool {
    let now = ManualClock::at(known::NOW).unix_time();
    let renewal = started.hosts.read_again(profile, now).unwrap();
    let is_new = renewal.is_some();
    renewal.into_iter().for_each(|it| started.hosts.renew(it));
    is_new
}

async fn is_paid(started: &Started, line: &mut BankLine, number: u64) -> bool {
    let payment = started.pay(number);
    let request = line.read_request().await;
    line.write(&answer(&request, "00")).await;
    is_approved(&end_of(payment).await)
}

/// The line that is up keeps its certificate, and what is in flight on it; the next one shows the new.
#[tokio::test]
async fn a_new_certificate_is_shown_by_the_next_connection() {
    let bank = Bank::start().await;
    let mut profile = bank.profile();
    let started = Started::new(profile.clone());
    let mut line = bank.accept_signed_on().await;
    let first = line.shown();
    started.line_status(|line| line.signed_on).await;
    assert!(!renew(&started, &profile));
    let payment = started.pay(1);
    let request = line.read_request().await;
    let client = ExtendedKeyUsagePurpose::ClientAuth;
    let second = bank.root.issue("second.gateway.test", client);
    profile.tls.client_certificate = memory(&second.certificate);
    profile.tls.client_key = memory(&second.key);
    assert!(renew(&started, &profile));
    assert!(!renew(&started, &profile));
    line.write(&answer(&request, "00")).await;
    assert!(is_approved(&end_of(payment).await));
    assert!(is_paid(&started, &mut line, 2).await);
    assert_eq!(line.shown(), first);
    line.close().await;
    let line = bank.accept_signed_on().await;
    let second = CertificateDer::from_pem_slice(second.certificate.as_bytes()).unwrap();
    assert_eq!(line.shown(), second);
}

/// The answer to what it has still counts, it gets nothing more, and it is signed off. It is let in again once it is not
/// revoked any more.
#[tokio::test]
async fn a_line_to_a_host_that_is_revoked_ends() {
    let bank = Bank::start().await;
    let mut profile = bank.profile();
    profile.tls.crl = Some(memory(&bank.root.revocation_list(None)));
    let started = Started::new(profile.clone());
    let mut line = bank.accept_signed_on().await;
    started.line_status(|line| line.signed_on).await;
    let payment = started.pay(1);
    let request = line.read_request().await;
    let revoked = bank.root.revocation_list(Some(&bank.certificate));
    profile.tls.crl = Some(memory(&revoked));
    assert!(renew(&started, &profile));
    started
        .line_status(|line| line.state == LineState::Draining)
        .await;
    let refused = end_of(started.pay(2)).await;
    assert_eq!(refused, Exchange::NotSent(FailureReason::HostUnavailable));
    line.write(&answer(&request, "00")).await;
    assert!(is_approved(&end_of(payment).await));
    let sign_off = line.read().await.unwrap();
    assert_eq!(sign_off.text_of(70).as_deref(), Some("002"));
    line.write(&confirmation(&sign_off, "00")).await;
    assert!(line.read().await.is_none());
    assert!(bank.try_accept().await.is_err());
    let down = started.line_status(|line| line.state == LineState::BackingOff);
    let fault = down.await.last_fault.unwrap();
    assert!(fault.contains("Revoked"), "{fault}");

    profile.tls.crl = Some(memory(&bank.root.revocation_list(None)));
    assert!(renew(&started, &profile));
    let mut line = loop {
        // The attempts of before may still be under way.
        if let Ok(line) = bank.try_accept().await {
            break line;
        }
    };
    let request = line.read().await.unwrap();
    line.write(&confirmation(&request, "00")).await;
    started.line_status(|line| line.signed_on).await;
    assert!(is_paid(&started, &mut line, 3).await);
}

#[tokio::test]
async fn what_can_not_be_used_leaves_what_is() {
    let (started, bank, mut line) = Started::signed_on(|_| {}).await;
    // Its certificate comes from the same root, and is new.
    let profile = bank.profile();
    type Change = fn(&mut HostProfile, &Bank);
    let table: [(&str, Change); 7] = [
        ("expected lines as at the start", |profile, _| {
            profile.keys.insert("lines".into(), toml::Value::Integer(7));
        }),
        (
            "expected a host that the gateway has started with",
            |profile, _| {
                profile.host_id = "other".parse().unwrap();
            },
        ),
        ("expected certificates in PEM", |profile, _| {
            profile.tls.ca = memory("nothing")
        }),
        ("got none of CN=bank root", |profile, _| {
            profile.tls.crl = Some(memory(""))
        }),
        ("got another signature", |profile, _| {
            let impostor = Root::new(bank::ROOT_NAME);
            profile.tls.crl = Some(memory(&impostor.revocation_list(None)));
        }),
        ("the TLS configuration", |profile, bank| {
            let other = bank.root.issue("x", ExtendedKeyUsagePurpose::ClientAuth);
            profile.tls.client_key = memory(&other.key);
        }),
        ("expected a certificate that is valid now", |profile, _| {
            let mut params = CertificateParams::default();
            params.not_after = known::NOW.plus_ms(-1000).utc();
            let key = KeyPair::generate().unwrap();
            profile.tls.client_certificate = memory(&params.self_signed(&key).unwrap().pem());
            profile.tls.client_key = memory(&key.serialize_pem());
        }),
    ];
    let now = ManualClock::at(known::NOW).unix_time();
    for (number, (expected, change)) in (1..).zip(table) {
        let mut profile = profile.clone();
        change(&mut profile, &bank);
        let error = started.hosts.read_again(&profile, now).err().unwrap();
        assert!(error.to_string().contains(expected), "{expected}: {error}");
        assert!(is_paid(&started, &mut line, number).await);
    }
    assert!(renew(&started, &profile));
    assert!(is_paid(&started, &mut line, 99).await);
}
