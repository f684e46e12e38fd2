//! Which hosts a line trusts.

use rcgen::ExtendedKeyUsagePurpose;
use rustls::ProtocolVersion;

use super::*;
use crate::hosts::HostsError;
use crate::hosts::message::source::Source;
use crate::hosts::profile::SpkiPin;
use crate::hosts::tests::bank::{BankOptions, ROOT_NAME, Root, memory};
use crate::net::Net;
use crate::random::Random;

const TLS12: BankOptions = BankOptions {
    server_name: bank::SERVER_NAME,
    versions: &[&rustls::version::TLS12],
};

/// Each bank below is refused in the handshake, and no line to it ever signs on.
#[tokio::test]
async fn banks_that_are_not_trusted_are_refused() {
    type Change = fn(&mut HostProfile);
    let other_name = BankOptions {
        server_name: "issuer.bank.test",
        ..BankOptions::default()
    };
    let wildcard = BankOptions {
        server_name: "*.bank.test",
        ..BankOptions::default()
    };
    let table: [(&str, BankOptions, Change); 7] = [
        ("not valid for name", other_name, |_| {}),
        ("NameNotExact", wildcard, |_| {}),
        ("UnknownIssuer", BankOptions::default(), |profile| {
            profile.tls.ca = memory(&Root::new("another root").pem());
        }),
        ("BadSignature", BankOptions::default(), |profile| {
            profile.tls.ca = memory(&Root::new(ROOT_NAME).pem());
        }),
        ("ProtocolVersion", TLS12, |_| {}),
        ("PinMismatch", BankOptions::default(), |profile| {
            profile.tls.pins = vec![SpkiPin([7; 32])];
        }),
        ("alert", BankOptions::default(), |profile| {
            let root = Root::new(ROOT_NAME);
            let client = root.issue("gateway.test", ExtendedKeyUsagePurpose::ClientAuth);
            profile.tls.client_certificate = memory(&client.certificate);
            profile.tls.client_key = memory(&client.key);
        }),
    ];
    for (expected, options, change) in table {
        let bank = Bank::with(options).await;
        let mut profile = bank.profile();
        change(&mut profile);
        let started = Started::new(profile);
        assert!(bank.try_accept().await.is_err(), "{expected}");
        let fault = started.fault().await;
        assert!(fault.contains(expected), "{expected}: {fault}");
        assert!(!started.hosts.status()[0].signed_on());
    }
}

#[tokio::test]
async fn the_current_and_the_next_key_may_be_pinned() {
    for position in 0..2 {
        let bank = Bank::start().await;
        let mut profile = bank.profile();
        profile.tls.pins = vec![SpkiPin([7; 32]); 2];
        profile.tls.pins[position] = bank.pin;
        let started = Started::new(profile);
        let line = bank.accept_signed_on().await;
        assert_eq!(line.protocol_version(), Some(ProtocolVersion::TLSv1_3));
        assert!(started.hosts.ready(TEST_TIMEOUT).await);
    }
}

#[tokio::test]
async fn a_profile_can_except_a_host_from_tls_13() {
    let bank = Bank::with(TLS12).await;
    let mut profile = bank.profile();
    profile.tls.allow_tls12 = true;
    let started = Started::new(profile);
    let line = bank.accept_signed_on().await;
    assert_eq!(line.protocol_version(), Some(ProtocolVersion::TLSv1_2));
    assert!(started.hosts.ready(TEST_TIMEOUT).await);
}

#[tokio::test]
async fn what_can_not_be_set_up_is_said_at_the_start() {
    let bank = Bank::start().await;
    type Change = fn(&mut Vec<HostProfile>);
    let table: [(&str, Change); 6] = [
        (
            "expected one profile for each host, got two for acquirer",
            |profiles| {
                profiles.push(profiles[0].clone());
            },
        ),
        (
            "the CA: expected certificates in PEM, got none",
            |profiles| {
                profiles[0].tls.ca = memory("nothing");
            },
        ),
        ("failed to read the client key `no-such-file`", |profiles| {
            profiles[0].tls.client_key =
                crate::hosts::profile::PemSource::File("no-such-file".into());
        }),
        (
            "the client key: expected a private key in PEM",
            |profiles| {
                profiles[0].tls.client_key = memory("nothing");
            },
        ),
        ("expected a DNS name, got \"127.0.0.1\"", |profiles| {
            profiles[0].tls.server_name = "127.0.0.1".into();
        }),
        ("DE 25: expected", |profiles| {
            for message in profiles[0].messages.iter_mut() {
                let too_long = (25, Source::Literal("599".into()));
                message.mapping.as_mut().unwrap().fields = vec![too_long];
            }
        }),
    ];
    for (expected, change) in table {
        let mut profiles = vec![bank.profile()];
        change(&mut profiles);
        let (notices, _) = mpsc::channel(1);
        let clock = Arc::new(ManualClock::at(known::NOW));
        let error: HostsError =
            Hosts::start(profiles, None, Net::SYSTEM, clock, Random::SYSTEM, notices).unwrap_err();
        let shown = error.to_string();
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
}

/// A key file may be wrapped: the key loader reads it.
#[tokio::test]
async fn keys_are_read_by_the_key_loader() {
    let bank = Bank::start().await;
    let mut profile = bank.profile();
    let crate::hosts::profile::PemSource::Memory(key) = profile.tls.client_key else {
        panic!("expected a key in memory");
    };
    profile.tls.client_key = crate::hosts::profile::PemSource::File("wrapped.key".into());
    let key_loader = Arc::new(move |path: &std::path::Path| {
        assert_eq!(path, std::path::Path::new("wrapped.key"));
        Ok(key.clone())
    });
    let started = Started::with(profile, Some(key_loader));
    let _line = bank.accept_signed_on().await;
    assert!(started.hosts.ready(TEST_TIMEOUT).await);
}
