//! One merchant floods the gateway with calls whose bodies come late, another pays: none of the other's payments
//! fails or is pending.
//!
//! It starts `$PAYSWITCH_BIN` in a process of its own, by default the program that was built. With it, it is the
//! whole flood: 3,000 streams for 12 s, 300 payments a second; without, a short slice. A binary from before the key
//! `environment` is given the configuration and the profile that it reads.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bank_sim::config::standard::{HostPems, StandardPki, StandardPorts};
use bank_sim::config::{Pem, SimConfig};
use bank_sim::{BankSim, RunningSim};
use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::future::{join, join_all};
use http_body::{Body as HttpBody, Frame};
use payswitch::grpc::client;
use prost::Message as _;
use serde_json::Value;
use tokio::time::{Instant, Sleep};
use tonic::Status;
use tonic::body::Body;
use tonic::transport::Channel;
use tower::ServiceExt as _;

use crate::demo::{PROGRAM, Process, text};
use crate::harness::{Payments, TempFolder, eventually, pay_with, run, with_key};
use crate::tools::output;

/// How long the bank takes.
const BANK_MS: u64 = 1_200;
/// How late the bodies of a flood come: at any time while a call may take.
const ANY_TIME_MS: Range<u64> = 2_500..4_700;
/// How late they come so that hardly a millisecond is left for the bank.
const LAST_MOMENT_MS: Range<u64> = 4_280..4_299;
/// Connections of the flood.
const CONNECTIONS: usize = 3;
const MASTER_KEY: &str = "cGF5c3dpdGNoIG1hc3RlciBrZXkgb2YgdGhlIHRlc3Q=";

/// How much of it.
struct Size {
    streams_per_connection: usize,
    payments_per_s: u32,
    seconds: u32,
}

const WHOLE: Size = Size {
    streams_per_connection: 1_000,
    payments_per_s: 300,
    seconds: 12,
};
const SLICE: Size = Size {
    streams_per_connection: 200,
    payments_per_s: 40,
    seconds: 6,
};

/// A gateway in a process of its own, with two merchants, before simulated banks.
struct Gateway {
    ready: Value,
    ca: Vec<u8>,
    flooder: String,
    payer: String,
    log: PathBuf,
    _process: Process,
    _banks: RunningSim,
    folder: TempFolder,
}

impl Gateway {
    async fn start(program: &Path) -> Self {
        let folder = TempFolder::new("flooding");
        let at = |name: &str| folder.path().join(name);
        let command = |arguments: &[&str]| {
            let mut command = Command::new(program);
            command
                .args(arguments)
                .current_dir(folder.path())
                .env("PAYSWITCH_MASTER_KEY", MASTER_KEY)
                .env_remove("PAYSWITCH_BIN")
                .env_remove("RUST_LOG");
            command
        };
        let succeed = |arguments: &[&str]| {
            let output = output(&mut command(arguments));
            let errors = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{arguments:?}: {errors}");
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        };
        succeed(&["certs"]);
        let banks = banks(&at("certs/dev")).await;
        let acquirer = banks.address("acquirer").expect("an address").to_string();
        std::fs::create_dir(at("hosts")).expect("a folder");
        let write = |older: bool| {
            let (profile, environment, card) = if older {
                let profile = include_str!("older/acquirer.toml");
                (profile, "", "[card]\ntest_payment_methods = true\n")
            } else {
                let profile = include_str!("../../hosts/acquirer.toml");
                (profile, "environment = \"test\"\n", "")
            };
            let profile = profile.replace("127.0.0.1:7001", &acquirer);
            std::fs::write(at("hosts/acquirer.toml"), profile).expect("a profile");
            let config = format!("{environment}{card}[merchant_api]\nlisten = \"127.0.0.1:0\"\n");
            std::fs::write(at("payswitch.toml"), config).expect("a configuration");
        };
        write(false);
        let tried = output(&mut command(&["migrate", "--config", "payswitch.toml"]));
        if String::from_utf8_lossy(&tried.stderr).contains("environment") {
            write(true);
            succeed(&["migrate", "--config", "payswitch.toml"]);
        }
        let mut keys = ["shop-a", "shop-b"].map(|merchant| {
            let merchant_command = ["merchant", "--config", "payswitch.toml"];
            let mut add = merchant_command.to_vec();
            add.extend(["add", merchant, "--name", "Shop", "--city", "Berlin"]);
            add.extend([
                "--country",
                "DE",
                "--country-numeric",
                "276",
                "--mcc",
                "5732",
            ]);
            add.extend(["--terminal", "WEB00001", "--acceptor", "SHOP00000000001"]);
            add.extend(["--acquirer", "acquirer"]);
            succeed(&add);
            let mut key = merchant_command.to_vec();
            key.extend(["key", merchant]);
            succeed(&key)
        });
        let log = at("log.txt");
        let process = Process::start(
            command(&[
                "serve",
                "--config",
                "payswitch.toml",
                "--ready-file",
                "ready.json",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).expect("a log")),
        );
        let ready = eventually("a gateway that is ready", async || {
            serde_json::from_str(&std::fs::read_to_string(at("ready.json")).ok()?).ok()
        })
        .await;
        Self {
            ready,
            ca: std::fs::read(at("certs/dev/gateway-ca.pem")).expect("the root"),
            flooder: std::mem::take(&mut keys[0]),
            payer: std::mem::take(&mut keys[1]),
            log,
            _process: process,
            _banks: banks,
            folder,
        }
    }

    async fn connect(&self) -> Channel {
        let address = self.ready["merchant_api"].as_str().expect("HOST:PORT");
        let address = address.parse().expect("HOST:PORT");
        client::connect(address, "localhost", &self.ca, None)
            .await
            .expect("a connection")
    }
}

/// Banks that answer the card of `pm_test_late_answer` after [`BANK_MS`].
async fn banks(certificates: &Path) -> RunningSim {
    let pems = |host: &str| {
        let pem = |name: &str| Pem::file(certificates.join(format!("{host}{name}")));
        HostPems {
            ca: pem("-ca.pem"),
            certificate: pem(".pem"),
            key: pem(".key"),
            client_certificate: pem("-client.pem"),
            client_key: pem("-client.key"),
        }
    };
    let pki = StandardPki {
        acquirer: pems("acquirer"),
        issuer_a: pems("issuer-a"),
        issuer_b: pems("issuer-b"),
    };
    let mut config = SimConfig::standard(StandardPorts::ANY, pki);
    config.codec_program = Some(PROGRAM.into());
    for issuer in &mut config.issuers {
        issuer.late_answer_ms = BANK_MS;
    }
    let banks = BankSim::start(config).await.expect("the banks start");
    assert!(banks.wait_for_links(Duration::from_secs(10)).await);
    banks
}

/// A request whose body comes late.
struct LateBody {
    message: Option<Bytes>,
    delay: Pin<Box<Sleep>>,
}

impl HttpBody for LateBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        ready!(self.delay.as_mut().poll(cx));
        Poll::Ready(self.message.take().map(|message| Ok(Frame::data(message))))
    }
}

/// One stream of the flood after another, until the end.
async fn flood(channel: Channel, key: &str, late_ms: Range<u64>, seed: usize, end: Instant) {
    let mut random = u64::try_from(seed).expect("a small number");
    while Instant::now() < end {
        // Any spread will do (Knuth's multiplier).
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let spread = late_ms.end - late_ms.start;
        let late = Duration::from_millis(late_ms.start + (random >> 33) % spread);
        let encoded = pay_with("pm_test_visa", 1250, "EUR").encode_to_vec();
        let mut message = BytesMut::new();
        message.put_u8(0);
        message.put_u32(u32::try_from(encoded.len()).expect("a small message"));
        message.put_slice(&encoded);
        let body = LateBody {
            message: Some(message.freeze()),
            delay: Box::pin(tokio::time::sleep(late)),
        };
        let request = http::Request::post("/payswitch.v1.PaymentService/AuthorizePayment")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("authorization", format!("Bearer {key}"))
            .body(Body::new(body))
            .expect("a request");
        // Whatever it is told, it goes on when its body would have come.
        let call = async { drop(channel.clone().oneshot(request).await) };
        join(call, tokio::time::sleep(late)).await;
    }
}

/// Pays at a steady rate, and counts what came of it.
async fn pay(payments: Payments, size: &Size) -> BTreeMap<String, usize> {
    let mut every = tokio::time::interval(Duration::from_secs(1) / size.payments_per_s);
    let mut calls = Vec::new();
    for _ in 0..size.payments_per_s * size.seconds {
        every.tick().await;
        let mut payments = payments.clone();
        calls.push(tokio::spawn(async move {
            let request = pay_with("pm_test_late_answer", 1250, "EUR");
            match payments.authorize_payment(request).await {
                Ok(answer) => {
                    let payment = answer.into_inner().payment.expect("a payment");
                    payment.state().as_str_name().to_owned()
                }
                Err(status) => format!("{:?}: {}", status.code(), status.message()),
            }
        }));
    }
    let mut outcomes = BTreeMap::new();
    for outcome in join_all(calls).await {
        *outcomes.entry(outcome.expect("a call")).or_default() += 1;
    }
    outcomes
}

#[test]
fn a_flood_of_late_bodies_costs_another_merchant_nothing() {
    costs_another_merchant_nothing(&ANY_TIME_MS);
}

#[test]
fn a_flood_of_bodies_at_the_last_moment_costs_another_merchant_nothing() {
    costs_another_merchant_nothing(&LAST_MOMENT_MS);
}

fn costs_another_merchant_nothing(late_ms: &Range<u64>) {
    let asked_for = std::env::var_os("PAYSWITCH_BIN");
    let size = if asked_for.is_some() { WHOLE } else { SLICE };
    let program = asked_for.map_or_else(|| PROGRAM.into(), PathBuf::from);
    run(async {
        let gateway = Gateway::start(&program).await;
        let mut flooding = Vec::new();
        let end = Instant::now() + Duration::from_secs(u64::from(size.seconds) + 3);
        for connection in 0..CONNECTIONS {
            let channel = gateway.connect().await;
            for stream in 0..size.streams_per_connection {
                let (channel, key) = (channel.clone(), gateway.flooder.clone());
                let late_ms = late_ms.clone();
                let seed = connection * size.streams_per_connection + stream;
                flooding.push(tokio::spawn(async move {
                    flood(channel, &key, late_ms, seed, end).await;
                }));
            }
        }
        // The first bodies come after this.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let payments = with_key(gateway.connect().await, &gateway.payer);
        let outcomes = pay(payments, &size).await;
        let sent = usize::try_from(size.payments_per_s * size.seconds).expect("a small number");
        let expected = BTreeMap::from([("PAYMENT_STATE_AUTHORIZED".to_owned(), sent)]);
        let log = text(&gateway.log);
        let lost: Vec<_> = log.lines().filter(|line| line.contains("lost")).collect();
        let (first, rest) = lost.split_at(lost.len().min(10));
        assert_eq!(
            outcomes,
            expected,
            "{} in {}; {} further lines after {first:#?}",
            program.display(),
            gateway.folder.path().display(),
            rest.len()
        );
        for stream in flooding {
            stream.abort();
        }
    });
}
