//! What `scripts/watch` measures: payments while nobody watches and while many do, and how long it takes until those
//! who watch are told. Merchants take turns with payments, and with watchers; each watcher has a connection of its own.
//!
//! A payment's event says when the gateway decided its outcome, in milliseconds. Until it was told includes the commit.

use std::error::Error;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clap::Parser;
use hdrhistogram::Histogram;
use payswitch::clock::{Clock as _, SystemClock};
use payswitch::commands::runtime::runtime;
use payswitch::grpc::client;
use payswitch::merchant_api::client::ApiKey;
use payswitch::merchant_api::pb;
use pb::authorize_payment_request::PaymentMethod;
use pb::event_service_client::EventServiceClient;
use pb::payment_service_client::PaymentServiceClient;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::codec::Streaming;
use tonic::transport::Channel;

/// Connections that payments are spread over.
const CONNECTIONS: usize = 8;
/// Payments in flight where the gateway does all that it can.
const CLOSED_LOOP: usize = 256;
/// The most payments in flight at half of that.
const OPEN_LOOP: usize = 4096;
/// More payments a second than any gateway takes.
const AS_FAST_AS_IT_CAN: f64 = 1e6;
/// What happens last is told within this.
const TOLD_WITHIN: Duration = Duration::from_secs(2);
/// Between two looks whether it was.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The longest time that is told apart.
const LONGEST: u64 = 60_000_000;

type Failure = Box<dyn Error + Send + Sync>;

#[derive(Debug, Parser)]
#[command(about = "Payments with and without those who watch: what scripts/watch measures.")]
struct Arguments {
    /// The ready file of the gateway that is watched, and that takes payments.
    #[arg(long)]
    ready_file: PathBuf,
    /// That of another gateway of the same database, which takes payments, too.
    #[arg(long)]
    other: Option<PathBuf>,
    /// The root of their certificates, PEM.
    #[arg(long)]
    ca: PathBuf,
    /// The API keys of the merchants, one a line.
    #[arg(long)]
    keys: PathBuf,
    /// Streams at once.
    #[arg(long, default_value_t = 1000)]
    watchers: usize,
    /// As many of them are not read.
    #[arg(long, default_value_t = 500)]
    slow: usize,
    /// How long payments are made each time.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    // Those who watch are to take no turns from those who pay.
    let watching = runtime()?;
    runtime()?.block_on(measure(&arguments, watching.handle()))
}

#[expect(clippy::print_stdout, reason = "the figures are the answer")]
async fn measure(arguments: &Arguments, watching: &Handle) -> Result<(), Failure> {
    let shops = Arc::new(Shops::read(arguments)?);
    let here = Gateway::connect(&shops, &arguments.ready_file).await?;
    let elsewhere = match &arguments.other {
        Some(ready_file) => Some(Gateway::connect(&shops, ready_file).await?),
        None => None,
    };
    // A merchant's first call is looked up, and of those there are few places.
    let mut cursors = vec![String::new(); shops.keys.len()];
    for gateway in [Some(&here), elsewhere.as_ref()].into_iter().flatten() {
        gateway.go_to_the_end(&mut cursors).await?;
    }
    let time = Duration::from_secs(arguments.seconds);
    // The first payments warm it up.
    here.pay(AS_FAST_AS_IT_CAN, CLOSED_LOOP, time).await?;
    let most = here.pay(AS_FAST_AS_IT_CAN, CLOSED_LOOP, time).await?.per_s;
    println!("{most:.0} payments/s at most; half of that is measured\n");
    println!(
        "{:<15}{:>12}{:>9}{:>9}{:>18}{:>13}{:>13}",
        "paid through", "payments/s", "p50_ms", "p99_ms", "told", "told_p50_ms", "told_p99_ms"
    );
    let (mut alone, mut watched) = (Vec::new(), Vec::new());
    for _ in 0..arguments.rounds {
        let paid = here.pay(most / 2.0, OPEN_LOOP, time).await?;
        println!("{:<15}{paid}", "not watched");
        alone.push(paid);
        here.go_to_the_end(&mut cursors).await?;
        let (gateway, cursors) = (Arc::clone(&here), cursors.clone());
        let watchers = Watchers::open(gateway, cursors, arguments.watchers, arguments.slow);
        let mut watchers = watching.spawn(watchers).await??;
        let paid = here.pay(most / 2.0, OPEN_LOOP, time).await?;
        println!("{:<15}{paid}{}", "this node", watchers.told(&paid).await?);
        watched.push(paid);
        if let Some(elsewhere) = &elsewhere {
            let paid = elsewhere.pay(most / 2.0, OPEN_LOOP, time).await?;
            println!(
                "{:<15}{paid}{}",
                "the other node",
                watchers.told(&paid).await?
            );
        }
    }
    let median = |of: &dyn Fn(&Paid) -> f64, all: &[Paid]| {
        let mut all: Vec<f64> = all.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(f64::NAN)
    };
    let ratio = |of: &dyn Fn(&Paid) -> f64| median(of, &watched) / median(of, &alone);
    println!(
        "\nwatched to not watched (medians): {:.2} of the rate, {:.2} of the p99",
        ratio(&|paid| paid.per_s),
        ratio(&|paid| paid.ms(0.99))
    );
    Ok(())
}

/// The merchants.
struct Shops {
    ca: Vec<u8>,
    keys: Vec<ApiKey>,
}

impl Shops {
    fn read(arguments: &Arguments) -> Result<Self, Failure> {
        let keys = std::fs::read_to_string(&arguments.keys)?;
        let keys: Result<_, _> = keys.lines().map(ApiKey::new).collect();
        Ok(Self {
            ca: std::fs::read(&arguments.ca)?,
            keys: keys?,
        })
    }
}

#[derive(serde::Deserialize)]
struct Ready {
    merchant_api: SocketAddr,
}

/// A gateway, and the connections on which payments are made.
struct Gateway {
    shops: Arc<Shops>,
    address: SocketAddr,
    connections: Vec<Channel>,
}

impl Gateway {
    async fn connect(shops: &Arc<Shops>, ready_file: &Path) -> Result<Arc<Self>, Failure> {
        let ready: Ready = serde_json::from_slice(&std::fs::read(ready_file)?)?;
        let mut gateway = Self {
            shops: Arc::clone(shops),
            address: ready.merchant_api,
            connections: Vec::new(),
        };
        for _ in 0..CONNECTIONS {
            gateway.connections.push(gateway.connection().await?);
        }
        Ok(Arc::new(gateway))
    }

    async fn connection(&self) -> Result<Channel, Failure> {
        Ok(client::connect(self.address, "localhost", &self.shops.ca, None).await?)
    }

    /// Makes so many payments a second for a time, at most so many at once.
    async fn pay(&self, per_s: f64, in_flight: usize, time: Duration) -> Result<Paid, Failure> {
        let places = Arc::new(Semaphore::new(in_flight));
        let (begin, name) = (Instant::now(), SystemClock.now_us());
        let turns = self
            .shops
            .keys
            .iter()
            .cycle()
            .zip(self.connections.iter().cycle());
        let mut calls = JoinSet::new();
        let mut times = Histogram::new_with_max(LONGEST, 3)?;
        for (number, (key, connection)) in (0_u32..).zip(turns) {
            let due = begin + Duration::from_secs_f64(f64::from(number) / per_s);
            tokio::time::sleep_until(due).await;
            let place = Arc::clone(&places).acquire_owned().await?;
            if begin.elapsed() >= time {
                break;
            }
            let mut payments = PaymentServiceClient::new(key.clone().on(connection.clone()));
            let request = pb::AuthorizePaymentRequest {
                request_id: format!("{name}-{number}"),
                amount: Some(pb::Money {
                    amount_minor: 100,
                    currency: "EUR".to_owned(),
                }),
                merchant_reference: format!("{name}-{number}"),
                payment_method: Some(PaymentMethod::PaymentMethodToken("pm_test_visa".to_owned())),
                ..Default::default()
            };
            calls.spawn(async move {
                let answer = payments.authorize_payment(request).await?.into_inner();
                drop(place);
                let state = answer.payment.map(|payment| payment.state());
                match state {
                    Some(pb::PaymentState::Authorized) => Ok(due.elapsed()),
                    other => Err(Failure::from(format!("a payment ended as {other:?}"))),
                }
            });
            while let Some(ended) = calls.try_join_next() {
                times.saturating_record(u64::try_from(ended??.as_micros())?);
            }
        }
        while let Some(ended) = calls.join_next().await {
            times.saturating_record(u64::try_from(ended??.as_micros())?);
        }
        let count = u32::try_from(times.len())?;
        Ok(Paid {
            per_s: f64::from(count) / begin.elapsed().as_secs_f64(),
            times,
        })
    }

    /// Moves each merchant's cursor behind its last event.
    async fn go_to_the_end(&self, cursors: &mut [String]) -> Result<(), Failure> {
        for (key, cursor) in self.shops.keys.iter().zip(cursors) {
            let mut events = EventServiceClient::new(key.clone().on(self.connection().await?));
            loop {
                let after_cursor = cursor.clone();
                let request = pb::ListEventsRequest {
                    page_size: 100,
                    after_cursor,
                    kinds: Vec::new(),
                };
                let page = events.list_events(request).await?.into_inner();
                if page.events.is_empty() {
                    break;
                }
                *cursor = page.next_cursor;
            }
        }
        Ok(())
    }
}

/// How many payments were made, and how long they took, in microseconds from when they were due.
struct Paid {
    per_s: f64,
    times: Histogram<u64>,
}

impl Paid {
    fn ms(&self, quantile: f64) -> f64 {
        let us = self.times.value_at_quantile(quantile);
        u32::try_from(us).map_or(f64::INFINITY, |us| f64::from(us) / 1000.0)
    }
}

impl std::fmt::Display for Paid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:>12.0}{:>9.2}{:>9.2}",
            self.per_s,
            self.ms(0.5),
            self.ms(0.99)
        )
    }
}

/// Those who watch, until it is dropped.
struct Watchers {
    /// Milliseconds from the outcome until it was told.
    told: Arc<Mutex<Histogram<u64>>>,
    /// Those who read.
    reading: JoinSet<Result<(), Failure>>,
    merchants: usize,
    _slow: Vec<Streaming<pb::WatchEventsResponse>>,
}

impl Watchers {
    /// Opens streams at a gateway that go on after the merchants' cursors; some of them are not read.
    async fn open(
        gateway: Arc<Gateway>,
        cursors: Vec<String>,
        watchers: usize,
        slow: usize,
    ) -> Result<Self, Failure> {
        let told = Arc::new(Mutex::new(Histogram::new_with_max(LONGEST, 3)?));
        let (mut reading, mut not_read) = (JoinSet::new(), Vec::new());
        let turns = gateway.shops.keys.iter().zip(cursors).cycle();
        for (number, (key, after_cursor)) in (0..watchers).zip(turns) {
            let connection = key.clone().on(gateway.connection().await?);
            let request = pb::WatchEventsRequest {
                after_cursor,
                kinds: Vec::new(),
            };
            let mut events = EventServiceClient::new(connection);
            let stream = events.watch_events(request).await?.into_inner();
            if number < watchers.saturating_sub(slow) {
                reading.spawn(read(stream, Arc::clone(&told)));
            } else {
                not_read.push(stream);
            }
        }
        Ok(Self {
            told,
            reading,
            merchants: gateway.shops.keys.len(),
            _slow: not_read,
        })
    }

    /// How long it took until everything of these payments was told to all who read.
    async fn told(&mut self, paid: &Paid) -> Result<Told, Failure> {
        // Merchants take turns with payments and with watchers: merchant m has the readers m, m + merchants, and so on.
        let all = |number| {
            (self.reading.len() + self.merchants - 1 - number % self.merchants) / self.merchants
        };
        let expected = (0..usize::try_from(paid.times.len())?).map(all).sum();
        let give_up_at = Instant::now() + TOLD_WITHIN;
        while locked(&self.told).len() < u64::try_from(expected)? && Instant::now() < give_up_at {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        if let Some(ended) = self.reading.try_join_next() {
            return ended?.and(Err("a stream ended".into()));
        }
        let mut told = locked(&self.told);
        let times = told.clone();
        told.reset();
        Ok(Told { times, expected })
    }
}

async fn read(
    mut stream: Streaming<pb::WatchEventsResponse>,
    told: Arc<Mutex<Histogram<u64>>>,
) -> Result<(), Failure> {
    while let Some(message) = stream.message().await? {
        let now = SystemClock.now().as_i64();
        let at = message.event.and_then(|event| event.create_time);
        if let Some(at) = at {
            let at = at.seconds * 1000 + i64::from(at.nanos) / 1_000_000;
            locked(&told).saturating_record(u64::try_from(now - at).unwrap_or(0));
        }
    }
    Ok(())
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What those who read were told of payments, and how many messages it should have been.
struct Told {
    times: Histogram<u64>,
    expected: usize,
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (p50, p99) = (
            self.times.value_at_quantile(0.5),
            self.times.value_at_quantile(0.99),
        );
        let of = format!("{}/{}", self.times.len(), self.expected);
        write!(f, "{of:>18}{p50:>13}{p99:>13}")
    }
}
