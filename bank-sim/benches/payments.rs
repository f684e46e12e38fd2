//! How many payments a second pass through acquirer and issuer and back, over TLS on loopback, with
//! the client on the same cores: `cargo bench -p bank-sim --bench payments`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a bench that cannot run ends, and prints what it found"
)]

#[path = "../tests/banks/harness.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod harness;
#[path = "../tests/banks/pki.rs"]
mod pki;
#[path = "../tests/banks/switch.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod switch;

use std::collections::BTreeMap;

use harness::Banks;
use tokio::time::Instant;

const PAYMENTS: usize = 60_000;
const IN_FLIGHT: usize = 256;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    // `cargo test --benches` runs it too, and wants an answer and no figure.
    let is_measured = std::env::args().any(|argument| argument == "--bench");
    let payments = if is_measured { PAYMENTS } else { 2 * IN_FLIGHT };
    for (issuer, pan) in [
        ("issuer-a", "4111111111111111"),
        ("issuer-b", "5555555555554444"),
    ] {
        let rate = runtime.block_on(payments_per_second(pan, payments));
        println!("{issuer}: {rate} payments/s, {IN_FLIGHT} in flight");
    }
}

async fn payments_per_second(pan: &str, payments: usize) -> u128 {
    let banks = Banks::start().await;
    let mut switch = banks.switch().await;
    let frames: Vec<Vec<u8>> = (0..payments)
        .map(|_| {
            let request = switch.authorization(pan, 1_00);
            switch.frame(&request)
        })
        .collect();
    let began = Instant::now();
    let mut codes: BTreeMap<String, usize> = BTreeMap::new();
    let mut batches = frames.chunks(IN_FLIGHT / 2);
    // Half of what may be in flight is written whenever that many answers have come.
    for batch in batches.by_ref().take(2) {
        switch.write(&batch.concat()).await;
    }
    for answered in 1..=payments {
        *codes.entry(switch.receive().await.code()).or_default() += 1;
        if answered % (IN_FLIGHT / 2) == 0
            && let Some(batch) = batches.next()
        {
            switch.write(&batch.concat()).await;
        }
    }
    let took = began.elapsed();
    assert_eq!(codes, BTreeMap::from([("00".to_owned(), payments)]));
    banks.sim.shutdown().await;
    payments as u128 * 1_000_000 / took.as_micros().max(1)
}
