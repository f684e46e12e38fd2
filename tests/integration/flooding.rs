//! One merchant floods the gateway with calls whose bodies come late, another pays: none of the other's payments
//! fails or is pending.
//!
//! With `$PAYSWITCH_BIN` it is the whole flood: 3,000 streams for 12 s, 300 payments a second; without, a short
//! slice.

use std::collections::BTreeMap;
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bank_sim::SimConfig;
use bytes::{BufMut as _, Bytes, BytesMut};
use futures_util::future::{join, join_all};
use http_body::{Body as HttpBody, Frame};
use prost::Message as _;
use tokio::time::{Instant, Sleep};
use tonic::Status;
use tonic::body::Body;
use tonic::transport::Channel;
use tower::ServiceExt as _;

use crate::demo::text;
use crate::gateway::{Gateway, User, asked_for};
use crate::harness::{Payments, pay_with, run, with_key};

/// How long the bank takes.
const BANK_MS: u64 = 1_200;
/// How late the bodies of a flood come: at any time while a call may take.
const ANY_TIME_MS: Range<u64> = 2_500..4_700;
/// How late they come so that hardly a millisecond is left for the bank.
const LAST_MOMENT_MS: Range<u64> = 4_280..4_299;
/// Connections of the flood.
const CONNECTIONS: usize = 3;
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

/// Banks that answer the card of `pm_test_late_answer` after [`BANK_MS`].
fn slow(banks: &mut SimConfig) {
    for issuer in &mut banks.issuers {
        issuer.late_answer_ms = BANK_MS;
    }
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
    let size = if asked_for().is_some() { WHOLE } else { SLICE };
    run(async {
        let gateway = Gateway::start(User::Own, &["shop-a", "shop-b"], slow).await;
        let [flooder, payer] = [0, 1].map(|merchant| gateway.api_keys[merchant].clone());
        let mut flooding = Vec::new();
        let end = Instant::now() + Duration::from_secs(u64::from(size.seconds) + 3);
        for connection in 0..CONNECTIONS {
            let channel = gateway.connect().await;
            for stream in 0..size.streams_per_connection {
                let (channel, key) = (channel.clone(), flooder.clone());
                let late_ms = late_ms.clone();
                let seed = connection * size.streams_per_connection + stream;
                flooding.push(tokio::spawn(async move {
                    flood(channel, &key, late_ms, seed, end).await;
                }));
            }
        }
        // The first bodies come after this.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let payments = with_key(gateway.connect().await, &payer);
        let outcomes = pay(payments, &size).await;
        let sent = usize::try_from(size.payments_per_s * size.seconds).expect("a small number");
        let expected = BTreeMap::from([("PAYMENT_STATE_AUTHORIZED".to_owned(), sent)]);
        let log = text(&gateway.log);
        let lost: Vec<_> = log.lines().filter(|line| line.contains("lost")).collect();
        let (first, rest) = lost.split_at(lost.len().min(10));
        assert_eq!(
            outcomes,
            expected,
            "{}; {} further lines after {first:#?}",
            gateway.folder.path().display(),
            rest.len()
        );
        for stream in flooding {
            stream.abort();
        }
    });
}
