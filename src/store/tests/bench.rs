//! How many payments a second the store takes, intent and outcome each durable, and what processor
//! time one takes of this process (SQLite's share is in it, PostgreSQL's server's is not). Not a
//! test: run it
//! with `cargo test --release --lib store::tests::bench -- --ignored --nocapture --test-threads 1`.

use tokio::time::Instant;

use super::make::{COMMITTED, Intent, approved, intent};
use crate::store::Store;
use crate::store::testing::{Server, TestDatabase, migrate};

const PAYMENTS: usize = 40_000;
const IN_FLIGHT: [usize; 4] = [1, 16, 64, 256];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it measures; nothing is asserted about time"]
async fn sqlite() {
    for in_flight in IN_FLIGHT {
        let database = TestDatabase::sqlite().await;
        measure("SQLite", &database.open().await, in_flight).await;
    }
}

/// With fsync, unlike the server of the tests.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it measures; nothing is asserted about time"]
async fn postgres() {
    let server: &'static Server = Box::leak(Box::new(Server::start("-c fsync=on")));
    for in_flight in IN_FLIGHT {
        let database = TestDatabase::empty_postgres_on(server).await;
        migrate(&database.config).await.unwrap();
        measure("PostgreSQL", &database.open().await, in_flight).await;
    }
}

async fn measure(engine: &str, store: &Store, in_flight: usize) {
    let count = PAYMENTS.min(in_flight * 2_000);
    let mut shares: Vec<Vec<Intent>> = vec![Vec::new(); in_flight];
    for number in 0..count {
        shares[number % in_flight].push(intent("shop"));
    }
    let begun = Instant::now();
    let processor_begun = processor_ms();
    let tasks: Vec<_> = shares
        .into_iter()
        .map(|share| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut latencies = Vec::with_capacity(share.len());
                for intent in share {
                    let begun = Instant::now();
                    let outcome = approved(&intent);
                    assert_eq!(store.record_intent(&intent).await.unwrap(), COMMITTED);
                    assert_eq!(store.record_outcome(&outcome).await.unwrap(), COMMITTED);
                    latencies.push(begun.elapsed());
                }
                latencies
            })
        })
        .collect();
    let mut latencies = Vec::with_capacity(count);
    for task in tasks {
        latencies.extend(task.await.unwrap());
    }
    let seconds = begun.elapsed().as_secs_f64();
    let processor_us = (processor_ms() - processor_begun) * 1000 / u64::try_from(count).unwrap();
    latencies.sort();
    let at = |permille: usize| latencies[(count - 1) * permille / 1000].as_secs_f64() * 1000.0;
    println!(
        "{engine}: {in_flight} in flight, {count} payments in {seconds:.2} s: {:.0} payments/s; \
         {processor_us} µs of processor time each; ms for both records p50 {:.2}, p99 {:.2}, p99.9 {:.2}, longest {:.2}",
        f64::from(u32::try_from(count).unwrap()) / seconds,
        at(500),
        at(990),
        at(999),
        at(1000),
    );
    store.close().await;
}

/// Processor time of this process so far, by all its threads.
fn processor_ms() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // After the name, which may hold anything: the 12th and 13th are user and system time, in ticks
    // of 10 ms (proc(5)).
    let (_, after_name) = stat.rsplit_once(") ").unwrap();
    let ticks = |index: usize| -> u64 {
        let field = after_name.split(' ').nth(index).unwrap();
        field.parse().unwrap()
    };
    (ticks(11) + ticks(12)) * 10
}
