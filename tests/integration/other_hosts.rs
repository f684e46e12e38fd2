//! Hosts that are nothing like the template: the example profiles alone, without a line of Rust, make reversals that
//! such a host understands. The bank checks every element and nothing else is there.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use iso8583::mti::Class;
use iso8583::{Dialect, MessageBuilder, Mti};
use payswitch::hosts::profile::load;
use payswitch::merchant_api::pb;
use payswitch::net::Net;
use pb::{PaymentState as State, PendingReason, PendingReversalState};
use rustls::RootCertStore;
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use crate::gateway::{Gateway, User};
use crate::harness::{Payments, authorize, eventually, pay_with, run, with_key};
use crate::unknown_outcomes::{found, reversed};

const MERCHANT: &str = "shop-a";

/// A bank that accepts sign-ons and echoes, and leaves everything else to the test.
struct Bank {
    received: mpsc::Receiver<MessageBuilder>,
    answers: mpsc::Sender<MessageBuilder>,
}

impl Bank {
    async fn start(certificates: &Path, dialect: Dialect) -> (SocketAddr, Self) {
        let acceptor = acceptor(certificates);
        let any = "127.0.0.1:0".parse().expect("an address");
        let listener = Net::SYSTEM.listen(any).await.expect("a listener");
        let address = listener.local_addr().expect("an address");
        let (to_test, received) = mpsc::channel(64);
        let (answers, mut to_write) = mpsc::channel::<MessageBuilder>(64);
        let confirm = answers.clone();
        tokio::spawn(async move {
            let (tcp, _) = listener.accept().await.expect("a connection");
            let stream = acceptor.accept(tcp).await.expect("a hand-shake");
            let (mut reader, mut writer) = tokio::io::split(stream);
            let dialect = Arc::new(dialect);
            let own = Arc::clone(&dialect);
            tokio::spawn(async move {
                while let Some(message) = to_write.recv().await {
                    let mut frame = vec![0, 0];
                    own.encode(&message, &mut frame).expect("a message");
                    let length = u16::try_from(frame.len() - 2).expect("it is short");
                    frame[..2].copy_from_slice(&length.to_be_bytes());
                    writer.write_all(&frame).await.expect("a write");
                    writer.flush().await.expect("a write");
                }
            });
            while let Ok(length) = reader.read_u16().await {
                let mut bytes = vec![0; usize::from(length)];
                reader.read_exact(&mut bytes).await.expect("a frame");
                let message = dialect.decode(&bytes).expect("a message").to_builder();
                if message.mti().class() == Class::NetworkManagement {
                    let accepted = if message.mti() == Mti::NETWORK_REQUEST {
                        "00"
                    } else {
                        "800"
                    };
                    let answer = answer(&message, &[(39, accepted)]);
                    confirm.send(answer).await.expect("a writer");
                } else if to_test.send(message).await.is_err() {
                    return;
                }
            }
        });
        (address, Self { received, answers })
    }

    async fn next(&mut self, mti: &str) -> MessageBuilder {
        let message = self.received.recv().await.expect("a message");
        assert_eq!(message.mti().to_string(), mti);
        message
    }

    async fn answer(&self, request: &MessageBuilder, elements: &[(u8, &str)]) {
        let answer = answer(request, elements);
        self.answers.send(answer).await.expect("a writer");
    }
}

fn acceptor(certificates: &Path) -> TlsAcceptor {
    let read = |name: &str| std::fs::read(certificates.join(name)).expect("a file");
    let chain = |pem: &[u8]| {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        chain.expect("certificates")
    };
    let mut roots = RootCertStore::empty();
    for root in chain(&read("acquirer-ca.pem")) {
        roots.add(root).expect("a root");
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider));
    let clients = clients.build().expect("a verifier");
    let key = PrivateKeyDer::from_pem_slice(&read("acquirer.key")).expect("a key");
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_client_cert_verifier(clients)
        .with_single_cert(chain(&read("acquirer.pem")), key)
        .expect("a certificate");
    TlsAcceptor::from(Arc::new(config))
}

/// The answer to a request: what hosts echo, with these elements.
fn answer(request: &MessageBuilder, elements: &[(u8, &str)]) -> MessageBuilder {
    let mut answer = request.clone();
    answer.set_mti(request.mti().response().expect("a request"));
    for de in [2, 14, 22, 25, 43, 48, 61, 63, 90] {
        answer.remove(de);
    }
    for (de, value) in elements {
        answer.text(*de, value);
    }
    answer
}

fn text(message: &MessageBuilder, de: u8) -> String {
    let text = message.text_of(de).unwrap_or_else(|| panic!("DE {de}"));
    text.into_owned()
}

/// The reversal has these elements of its original, these values, and nothing else but its own numbers.
fn check(
    reversal: &MessageBuilder,
    original: &MessageBuilder,
    as_sent: &[u8],
    own: &[u8],
    values: &[(u8, &str)],
) {
    for de in as_sent {
        assert_eq!(text(reversal, *de), text(original, *de), "DE {de}");
    }
    for (de, value) in values {
        assert_eq!(text(reversal, *de), *value, "DE {de}");
    }
    let values = values.iter().map(|(de, _)| de);
    let mut expected: Vec<u8> = as_sent.iter().chain(own).chain(values).copied().collect();
    expected.sort_unstable();
    assert_eq!(reversal.iter_des().collect::<Vec<_>>(), expected);
}

/// A gateway whose only host has this profile, with its waits made short.
async fn start(profile: &str, host: &str, waits: &[(&str, &str)]) -> (Gateway, Bank, Payments) {
    let mut profile = profile
        .replace(&format!("{host}.example:7001"), "127.0.0.1:7001")
        .replace(&format!("{host}.example"), "acquirer.bank.test");
    for file in [
        "ca.pem",
        "member.pem",
        "client.pem",
        "member.key",
        "client.key",
    ] {
        let own = match file.split_once('.') {
            Some(("ca", _)) => "acquirer-ca.pem".to_owned(),
            Some((_, kind)) => format!("acquirer-client.{kind}"),
            None => unreachable!("each has an extension"),
        };
        profile = profile.replace(&format!("certs/{host}/{file}"), &format!("certs/dev/{own}"));
    }
    for (from, to) in waits {
        assert!(profile.contains(from), "{from}");
        profile = profile.replace(from, to);
    }
    let loaded = load::parse(&profile, Path::new("acquirer.toml"), Path::new("."));
    let dialect = (*loaded.expect("a profile").dialect).clone();
    let (gateway, bank) = Gateway::start_before(User::Own, &[MERCHANT], &profile, async |certs| {
        Bank::start(certs, dialect).await
    })
    .await;
    let payments = with_key(gateway.connect().await, &gateway.api_keys[0]);
    (gateway, bank, payments)
}

/// Pays, and leaves the request to the bank.
async fn paying(
    payments: &Payments,
    bank: &mut Bank,
    mti: &str,
) -> (tokio::task::JoinHandle<pb::Payment>, MessageBuilder) {
    let mut caller = payments.clone();
    let paid =
        tokio::spawn(
            async move { authorize(&mut caller, pay_with("pm_test_visa", 1250, "EUR")).await },
        );
    (paid, bank.next(mti).await)
}

fn reason_of(payment: &pb::Payment) -> PendingReason {
    let pending = payment.pending.as_ref();
    pending.expect("it is pending").reason()
}

/// Under the numbers of the original, which it names by local time; DE 39 says why; repeated as it was.
#[test]
fn a_switch_that_wants_the_originals_numbers() {
    run(async {
        let profile = include_str!("../../hosts/examples/nps.toml");
        let waits = [
            ("reply_timeout_ms = 4000", "reply_timeout_ms = 1100"),
            ("first_ms = 15000", "first_ms = 100"),
        ];
        let (_gateway, mut bank, mut payments) = start(profile, "switch", &waits).await;
        let (paid, original) = paying(&payments, &mut bank, "0100").await;
        let told = paid.await.expect("an answer");
        assert_eq!(reason_of(&told), PendingReason::NoAnswerInTime);

        let reversal = bank.next("0420").await;
        let original_data = format!(
            "0100{}{}{}{:0>11}{:0>11}",
            text(&original, 11),
            text(&original, 12),
            text(&original, 13),
            text(&original, 32),
            ""
        );
        // Channel, electronic commerce, transaction id; no CVV2.
        let private = format!("0500020105400207061012{}", text(&original, 37));
        check(
            &reversal,
            &original,
            &[
                2, 3, 4, 11, 12, 13, 18, 19, 22, 25, 32, 37, 41, 42, 43, 49, 61,
            ],
            &[7],
            &[(39, "68"), (48, &private), (90, &original_data)],
        );
        // Not answered, and not taken: the same message again, bit for bit.
        for code in ["91", "00"] {
            let repeat = bank.next("0420").await;
            for de in reversal.iter_des() {
                assert_eq!(text(&repeat, de), text(&reversal, de), "DE {de}");
            }
            bank.answer(&repeat, &[(39, code)]).await;
        }
        reversed(&mut payments, &told.payment_id).await;
    });
}

/// ISO 8583:1993; the original is named in DE 48 by what the host's own answer said, or by its time alone.
#[test]
fn a_host_that_wants_its_own_numbers_back() {
    run(async {
        let profile = include_str!("../../hosts/examples/own-numbers.toml");
        let waits = [
            (
                "hold_days = 7\n",
                "hold_days = 7\nreply_timeout_ms = 1100\n",
            ),
            ("first_ms = 10000", "first_ms = 100"),
        ];
        let (_gateway, mut bank, mut payments) = start(profile, "acquirer", &waits).await;
        let as_sent = [3, 4, 29, 32, 37, 41, 42, 49];

        // An answer that names another amount: the host's STAN, time and RRN come back.
        let (paid, original) = paying(&payments, &mut bank, "1100").await;
        let numbers = "002006987654003012261121111213004012999988887777";
        let partly = [
            (4, "000000000500"),
            (38, "A1B2C3"),
            (39, "002"),
            (48, numbers),
            (63, "003001M"),
        ];
        bank.answer(&original, &partly).await;
        let told = paid.await.expect("an answer");
        assert_eq!(reason_of(&told), PendingReason::AmountDiffers);
        let reversal = bank.next("1420").await;
        let why = [(24, "400"), (25, "4020"), (48, numbers), (63, "003001M")];
        check(&reversal, &original, &as_sent, &[11, 12], &why);
        assert_ne!(text(&reversal, 11), text(&original, 11));
        bank.answer(&reversal, &[(39, "400")]).await;
        reversed(&mut payments, &told.payment_id).await;

        // No answer: the time alone. Three attempts, then a person.
        let (paid, original) = paying(&payments, &mut bank, "1100").await;
        let told = paid.await.expect("an answer");
        assert_eq!(reason_of(&told), PendingReason::NoAnswerInTime);
        let time = format!("003012{}", text(&original, 12));
        let why = [(24, "400"), (25, "4021"), (48, time.as_str())];
        for mti in ["1420", "1421", "1421"] {
            let reversal = bank.next(mti).await;
            check(&reversal, &original, &as_sent, &[11, 12], &why);
        }
        let suspended = eventually("a reversal that is suspended", async || {
            let payment = found(&mut payments, &told.payment_id).await;
            let reversal = payment.pending.as_ref()?.reversal?;
            (reversal.state() == PendingReversalState::Suspended).then_some(payment)
        })
        .await;
        assert_eq!(suspended.state(), State::Reversing);
        assert!(bank.received.try_recv().is_err());
    });
}
