//! What `scripts/fairness` attacks a gateway with, or the bare server of `bare_unary`: clients that keep to TLS and
//! HTTP/2, and to no manners. Each goes on until it is told to stop (SIGTERM); then it prints how often it did what it
//! does, and what it was told (gRPC statuses; `-` where it was cut off).
//!
//! `newcomers` is the one that means well: each payment on a connection of its own, with its times.

mod client;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use clap::{Parser, ValueEnum};
use futures_util::future::join;
use hdrhistogram::Histogram;
use payswitch::commands::runtime::runtime;
use payswitch::grpc;
use payswitch::merchant_api::client::encoded::AUTHORIZE_PAYMENT;
use payswitch::merchant_api::pb;
use payswitch::random::Random;
use pb::authorize_payment_request::PaymentMethod;
use prost::Message as _;
use tokio::io::AsyncReadExt as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tonic_health::pb::HealthCheckRequest;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;

use client::{Client, FRAME_BYTES, Failure, Link, frame, open, read};

const LIST_PAYMENTS: &str = "/payswitch.v1.PaymentService/ListPayments";
const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const HEALTH_CHECK: &str = "/grpc.health.v1.Health/Check";
const HEALTH_WATCH: &str = "/grpc.health.v1.Health/Watch";
/// How late a body comes so that hardly a millisecond is left for the bank.
const LAST_MOMENT: Range<u64> = 4_280..4_299;
/// How late one comes at any time while a call may take.
const ANY_TIME: Range<u64> = 2_500..4_700;
/// After so long the caller of a list has left.
const LEAVES_AFTER: Duration = Duration::from_millis(30);
/// What is counted where a stream or a connection ended without an answer, and where a payment is authorized.
const CUT_OFF: &str = "-";
const GOOD: &str = "AUTHORIZED";
/// Between two attempts to connect.
const AGAIN: Duration = Duration::from_secs(1);
/// What a server may send ahead of one stream, in bytes, where nothing is said (RFC 9113 section 6.9.2).
const WINDOW_BYTES: u32 = 65_535;
/// The longest time that is told apart, in microseconds.
const LONGEST_US: u64 = 60_000_000;

#[derive(Debug, Parser)]
#[command(about = "Clients without manners: what scripts/fairness attacks with.")]
struct Arguments {
    attack: Attack,
    #[arg(long)]
    address: SocketAddr,
    /// The root of the server's certificate, PEM.
    #[arg(long)]
    ca: PathBuf,
    #[arg(long, env = "PAYSWITCH_API_KEY", hide_env_values = true)]
    api_key: String,
    /// A sealed card for [`ORDER`], of `payswitch seal`.
    #[arg(long)]
    sealed: Option<PathBuf>,
}

/// The order that `--sealed` is for, and its amount.
const ORDER: &str = "replayed-order";
const AMOUNT_MINOR: i64 = 1250;

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Attack {
    /// 3,600 streams whose bodies come when hardly a millisecond is left for the bank.
    LastMomentBodies,
    /// 3,000 streams whose bodies come at any time.
    LateBodies,
    /// 2,000 calls a second, each with another key that nobody has.
    UnknownKeys,
    /// 100 lists a second that find nothing, and whose callers leave.
    LeftLists,
    /// 860 TLS handshakes a second.
    Handshakes,
    /// 1,092 TLS connections on which nothing is said.
    IdleConnections,
    /// 500 payments a second, or as many as there are when each takes five.
    Payments,
    /// 1,500 TCP connections that never begin TLS, each opened again once it is closed.
    HalfOpen,
    /// 100 connections with 1,000 reflection streams each, of which not a byte is read.
    UnreadReflections,
    /// 40,000 streams of health.
    HealthWatches,
    /// 4,096 connections that ask for health now and then.
    IdleCalls,
    /// 1,000 payments a second with one sealed card.
    Replays,
    /// 1,000 repetitions of one request a second.
    Repetitions,
    /// 40 payments a second, each on a new connection: what they are told is to be OK.
    Newcomers,
}

fn main() -> Result<(), Failure> {
    runtime()?.block_on(attack(Arguments::parse()))
}

#[expect(clippy::print_stdout, reason = "the figures are the answer")]
async fn attack(arguments: Arguments) -> Result<(), Failure> {
    let attacker = Arc::new(Attacker {
        client: Client {
            address: arguments.address,
            from: match arguments.attack {
                Attack::Newcomers => Ipv4Addr::LOCALHOST,
                _ => Ipv4Addr::new(127, 0, 0, 2),
            },
            tls: grpc::client::tls(&std::fs::read(&arguments.ca)?, None)?,
        },
        key: arguments.api_key,
        sealed: arguments.sealed.map(std::fs::read_to_string).transpose()?,
        log: Mutex::new(Log {
            told: BTreeMap::new(),
            times: Histogram::new_with_max(LONGEST_US, 3)?,
        }),
    });
    let mut stop = signal(SignalKind::terminate())?;
    // Whatever it is at when it is told to stop is dropped.
    tokio::select! {
        () = attacker.go(arguments.attack) => {}
        _ = stop.recv() => {}
    }
    let log = attacker.log();
    let made: u64 = log.told.values().sum();
    // The names of `payswitch load`.
    let figures = serde_json::json!({
        "made": made,
        "errors": made - log.told.get(GOOD).unwrap_or(&0),
        "not_made": 0,
        "states": log.told,
        "latency": { "total_us": { "p99": log.times.value_at_quantile(0.99) } },
    });
    println!("{figures}");
    Ok(())
}

struct Attacker {
    client: Client,
    key: String,
    sealed: Option<String>,
    log: Mutex<Log>,
}

struct Log {
    told: BTreeMap<String, u64>,
    /// In microseconds, of newcomers.
    times: Histogram<u64>,
}

impl Attacker {
    async fn go(self: &Arc<Self>, attack: Attack) {
        let (s, ms) = (Duration::from_secs, Duration::from_millis);
        match attack {
            Attack::LastMomentBodies => {
                let one =
                    |me: Arc<Self>, link| async move { me.late_body(link, LAST_MOMENT).await };
                self.keep((6, 600), ms(0), one).await;
            }
            Attack::LateBodies => {
                let one = |me: Arc<Self>, link| async move { me.late_body(link, ANY_TIME).await };
                self.keep((3, 1_000), ms(0), one).await;
            }
            Attack::UnknownKeys => {
                let one = |me: Arc<Self>, link| async move {
                    let key = format!("sk_test_{:016x}.{:043x}", any(), any());
                    let list = pb::ListPaymentsRequest::default();
                    me.call(link, LIST_PAYMENTS, &key, &list).await
                };
                self.keep((4, 375), ms(750), one).await;
            }
            Attack::LeftLists => {
                let one = |me: Arc<Self>, link| async move {
                    let list = pb::ListPaymentsRequest {
                        filter: "state=EXPIRED AND currency=JPY".to_owned(),
                        ..pb::ListPaymentsRequest::default()
                    };
                    let call = me.call(link, LIST_PAYMENTS, &me.key, &list);
                    match timeout(LEAVES_AFTER, call).await {
                        Ok(is_connected) => is_connected,
                        Err(_) => me.told("left"),
                    }
                };
                self.keep((1, 10), ms(100), one).await;
            }
            Attack::Handshakes => {
                let one = |me: Arc<Self>| async move {
                    match me.client.handshake().await {
                        Ok(_) => me.told("handshake"),
                        Err(_) => me.told(CUT_OFF),
                    }
                };
                self.at_once(86, ms(100), one).await;
            }
            Attack::IdleConnections => {
                let one = |me: Arc<Self>| async move {
                    if let Ok(mut tls) = me.client.handshake().await {
                        me.told("handshake");
                        let _ = tls.read_u8().await;
                    }
                    me.told(CUT_OFF)
                };
                self.at_once(1_092, s(5), one).await;
            }
            Attack::Payments => {
                let one = |me: Arc<Self>, link| async move {
                    let payment = payment(any(), test_card());
                    me.call(link, AUTHORIZE_PAYMENT, &me.key, &payment).await
                };
                self.keep((4, 625), s(5), one).await;
            }
            Attack::HalfOpen => {
                let one = |me: Arc<Self>| async move {
                    if let Ok(mut tcp) = me.client.connect().await {
                        let _ = tcp.read_u8().await;
                    }
                    me.told(CUT_OFF)
                };
                self.at_once(1_500, ms(1), one).await;
            }
            Attack::UnreadReflections => {
                let request = ServerReflectionRequest {
                    message_request: Some(MessageRequest::FileContainingSymbol(
                        "payswitch.v1.PaymentService".to_owned(),
                    )),
                    ..ServerReflectionRequest::default()
                };
                self.hold((100, 1_000), REFLECTION, frame(&request)).await;
            }
            Attack::HealthWatches => {
                let request = frame(&HealthCheckRequest::default());
                self.hold((40, 1_000), HEALTH_WATCH, request).await;
            }
            Attack::IdleCalls => {
                let one = |me: Arc<Self>, link| async move {
                    let check = HealthCheckRequest::default();
                    me.call(link, HEALTH_CHECK, "", &check).await
                };
                self.keep((4_096, 1), s(30), one).await;
            }
            Attack::Replays => {
                let one = |me: Arc<Self>, link| async move {
                    let sealed = me.sealed.clone().unwrap_or_default();
                    let sealed = PaymentMethod::SealedCard(sealed.trim().to_owned());
                    let payment = pb::AuthorizePaymentRequest {
                        merchant_reference: ORDER.to_owned(),
                        ..payment(any(), sealed)
                    };
                    me.call(link, AUTHORIZE_PAYMENT, &me.key, &payment).await
                };
                self.keep((4, 250), s(1), one).await;
            }
            Attack::Repetitions => {
                let id = any();
                let one = move |me: Arc<Self>, link| async move {
                    let payment = payment(id, test_card());
                    me.call(link, AUTHORIZE_PAYMENT, &me.key, &payment).await
                };
                self.keep((4, 250), s(1), one).await;
            }
            Attack::Newcomers => {
                let one = |me: Arc<Self>| async move { me.come_and_pay().await };
                self.at_once(40, s(1), one).await;
            }
        }
    }

    /// Does something again and again, so many at once, and each at most once in a while; who is told that it makes no
    /// sense any more ends.
    async fn at_once<F>(
        self: &Arc<Self>,
        count: u32,
        every: Duration,
        one: impl Fn(Arc<Self>) -> F + Clone + Send + 'static,
    ) where
        F: Future<Output = bool> + Send + 'static,
    {
        let mut all = JoinSet::new();
        for number in 0..count {
            let (me, one) = (Arc::clone(self), one.clone());
            all.spawn(async move {
                // Not all in the same moment.
                sleep(every * number / count).await;
                while join(one(Arc::clone(&me)), sleep(every)).await.0 {}
            });
        }
        all.join_all().await;
    }

    /// Does something on so many streams of so many connections. A connection that was ended is opened again.
    async fn keep<F>(
        self: &Arc<Self>,
        (connections, streams): (u32, u32),
        every: Duration,
        one: impl Fn(Arc<Self>, Link) -> F + Clone + Send + Sync + 'static,
    ) where
        F: Future<Output = bool> + Send + 'static,
    {
        let connection = move |me: Arc<Self>| {
            let one = one.clone();
            async move {
                if let Ok(link) = me.client.link(WINDOW_BYTES).await {
                    let stream = move |me| one(me, link.clone());
                    me.at_once(streams, every, stream).await;
                }
                me.told(CUT_OFF)
            }
        };
        self.at_once(connections, AGAIN, connection).await;
    }

    /// Opens so many streams on so many connections, and reads none of them.
    async fn hold(
        self: &Arc<Self>,
        (connections, streams): (u32, u32),
        path: &'static str,
        request: Bytes,
    ) {
        let connection = move |me: Arc<Self>| {
            let request = request.clone();
            async move {
                let mut held = Vec::new();
                if let Ok(link) = me.client.link(0).await {
                    while held.len() < streams as usize
                        && let Ok((response, mut body)) = open(&link, path, "").await
                    {
                        let _ = body.send_data(request.clone(), false);
                        me.told("stream");
                        held.push((response, body));
                    }
                    // Until the connection has ended.
                    while link.clone().ready().await.is_ok() {
                        sleep(AGAIN).await;
                    }
                }
                me.told(CUT_OFF)
            }
        };
        self.at_once(connections, AGAIN, connection).await;
    }

    /// Begins a payment, and sends its body late. Whether there is still a connection.
    async fn late_body(&self, link: Link, late_ms: Range<u64>) -> bool {
        let payment = payment(any(), test_card());
        let Ok((response, mut body)) = open(&link, AUTHORIZE_PAYMENT, &self.key).await else {
            return false;
        };
        let spread = late_ms.end - late_ms.start;
        let late = Duration::from_millis(late_ms.start + any() % spread);
        let send = async {
            sleep(late).await;
            let _ = body.send_data(frame(&payment), true);
        };
        let (answer, ()) = join(read(response), send).await;
        self.told(answer.as_ref().map_or(CUT_OFF, |(status, _)| status))
    }

    /// Calls, and reads the answer. Whether there still is a connection.
    async fn call(&self, link: Link, path: &str, key: &str, message: &impl prost::Message) -> bool {
        let Ok((response, mut body)) = open(&link, path, key).await else {
            return false;
        };
        let _ = body.send_data(frame(message), true);
        let answer = read(response).await;
        self.told(answer.as_ref().map_or(CUT_OFF, |(status, _)| status))
    }

    async fn come_and_pay(&self) -> bool {
        let begun = Instant::now();
        let payment = payment(any(), test_card());
        let paid = async {
            let link = self.client.link(WINDOW_BYTES).await?;
            let (response, mut body) = open(&link, AUTHORIZE_PAYMENT, &self.key).await?;
            body.send_data(frame(&payment), true)?;
            let (status, message) = read(response).await?;
            let message = message.get(FRAME_BYTES..).unwrap_or_default();
            let answer = pb::AuthorizePaymentResponse::decode(message)?;
            let payment = answer.payment.unwrap_or_default();
            Ok::<_, Failure>(match payment.state() {
                pb::PaymentState::Authorized => GOOD.to_owned(),
                other => format!("{status} {}", other.as_str_name()),
            })
        };
        let told = paid.await.unwrap_or_else(|error| error.to_string());
        let us = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.log().times.saturating_record(us);
        self.told(&told)
    }

    /// Counts what one attempt came to. It goes on.
    fn told(&self, what: &str) -> bool {
        let mut log = self.log();
        match log.told.get_mut(what) {
            Some(count) => *count += 1,
            None => drop(log.told.insert(what.to_owned(), 1)),
        }
        true
    }

    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn test_card() -> PaymentMethod {
    PaymentMethod::PaymentMethodToken("pm_test_visa".to_owned())
}

fn payment(id: u64, method: PaymentMethod) -> pb::AuthorizePaymentRequest {
    // Fewer digits in a row than a card number has.
    let id = format!("{}-attack-{}", id >> 32, id & u64::from(u32::MAX));
    pb::AuthorizePaymentRequest {
        request_id: id.clone(),
        amount: Some(pb::Money {
            amount_minor: AMOUNT_MINOR,
            currency: "EUR".to_owned(),
        }),
        merchant_reference: id,
        payment_method: Some(method),
        ..pb::AuthorizePaymentRequest::default()
    }
}

/// A number that did not come before.
fn any() -> u64 {
    Random::SYSTEM.bytes().map_or(0, u64::from_le_bytes)
}
