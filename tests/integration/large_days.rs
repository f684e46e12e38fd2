//! A day with very many items is ended while payments are made: each batch holds what its items sum to, and the payments go
//! on.
//!
//! `scripts/days` runs it with a million items, and says how long it took.
#![expect(clippy::print_stdout, reason = "a measurement says what came out")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use payswitch::admin_api::pb as admin;
use payswitch::admin_api::pb::settlement_admin_service_client::SettlementAdminServiceClient;
use payswitch::merchant_api::pb;
use pb::SettlementBatchState as BatchState;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::capturing::minor;
use crate::database::Engine;
use crate::harness::{Switch, authorize, eventually, on_both_engines};
use crate::operators::operator;
use crate::sales::sale;
use crate::settling::{batch, batches, cutover_of, days, open_date, settlement_of};

on_both_engines!(a_day_with_many_items_is_closed_while_payments_go_on);

/// Items, unless `DAY_ITEMS` says otherwise.
const ITEMS: u64 = 20_000;
/// Merchants that share them.
const MERCHANTS: u64 = 100;
/// Payments at once.
const WORKERS: usize = 4;

/// How long payments took, one after the other.
#[derive(Default)]
struct Times(Vec<Duration>);

impl Times {
    /// What all but one of a hundred stayed below.
    fn p99(mut self) -> Duration {
        self.0.sort_unstable();
        let place = self.0.len().saturating_sub(1) * 99 / 100;
        self.0.get(place).copied().unwrap_or_default()
    }
}

/// Pays without a pause until told to stop.
async fn pay(switch: &Switch, stop: &Arc<AtomicBool>) -> JoinSet<Times> {
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        let (mut payments, stop) = (switch.payments().await, Arc::clone(stop));
        workers.spawn(async move {
            let mut times = Times::default();
            while !stop.load(Ordering::Relaxed) {
                let began = Instant::now();
                authorize(&mut payments, sale("pm_test_visa", 100)).await;
                times.0.push(began.elapsed());
            }
            times
        });
    }
    workers
}

async fn all(workers: JoinSet<Times>) -> Times {
    let times = workers.join_all().await.into_iter();
    Times(times.flat_map(|times| times.0).collect())
}

async fn a_day_with_many_items_is_closed_while_payments_go_on(engine: Engine) {
    let items = std::env::var("DAY_ITEMS").map_or(ITEMS, |text| text.parse().expect("a number"));
    let mut switch = Switch::start(engine).await;
    let mut client = SettlementAdminServiceClient::new(operator(&switch).await);
    let today = open_date(&mut client).await;
    switch.stop_gateway().await;
    // One item in five is a refund. Every hundredth is the demo's merchant's.
    let fill = format!(
        "WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {items}) \
         INSERT INTO settlement_items (operation_id, subject_id, payment_id, merchant_id, host_id, currency, kind, \
         amount_minor, business_date, at_ms) SELECT 'op_' || n, 'cap_' || n, 'pay_' || n, \
         CASE WHEN n % {MERCHANTS} = 0 THEN '{}' ELSE 'shop-' || (n % {MERCHANTS}) END, 'acquirer', 'EUR', \
         CASE WHEN n % 5 = 0 THEN 'REFUND' ELSE 'CAPTURE' END, 100 + n % 977, '{today}', 0 FROM numbers",
        switch.merchant_id
    );
    switch.database.execute(fill).await;
    switch.start_gateway().await;
    let mut client = SettlementAdminServiceClient::new(operator(&switch).await);
    let mut settlement = settlement_of(&switch, &switch.api_key).await;
    let [open] = &batches(&mut settlement).await[..] else {
        panic!("one batch");
    };
    let batch_id = open.batch_id.clone();

    let stop = Arc::new(AtomicBool::new(false));
    let before = pay(&switch, &stop).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    stop.store(true, Ordering::Relaxed);
    let before = all(before).await.p99();
    let stop = Arc::new(AtomicBool::new(false));
    let meanwhile = pay(&switch, &stop).await;
    let began = Instant::now();
    let ended = client.cutover(cutover_of(&today)).await.expect("a day");
    let ended = ended.into_inner().business_day.expect("the day");
    let closed = eventually("the batch", async || {
        let found = batch(&mut settlement, &batch_id).await;
        (found.state() != BatchState::Open).then_some(found)
    })
    .await;
    let took = began.elapsed();
    stop.store(true, Ordering::Relaxed);
    let meanwhile = all(meanwhile).await.p99();

    // What the items sum to, asked of the database itself.
    let sum = |what: &str, merchant: &str| {
        format!(
            "SELECT CAST(COALESCE(SUM({what}), 0) AS BIGINT) FROM settlement_items \
             WHERE business_date = '{today}'{merchant}"
        )
    };
    let of_shop = format!(" AND merchant_id = '{}'", switch.merchant_id);
    let signed = "CASE WHEN kind = 'REFUND' THEN -amount_minor ELSE amount_minor END";
    let net = switch.database.number(sum(signed, &of_shop)).await;
    let count = switch.database.number(sum("1", &of_shop)).await;
    assert_eq!(minor(&closed.net_total), net);
    assert_eq!(closed.payment_count + closed.refund_count, count);
    let ([totals], admin::BusinessDayState::Closed) = (&ended.totals[..], ended.state()) else {
        panic!("{ended:?}");
    };
    let net = switch.database.number(sum(signed, "")).await;
    assert_eq!(totals.captured_minor - totals.refunded_minor, net);
    assert_eq!(
        totals.batch_count,
        i64::try_from(MERCHANTS).expect("a count")
    );
    let all_days = days(&mut client).await;
    let totals = all_days.iter().flat_map(|day| &day.totals);
    let in_days: i64 = totals.map(|it| it.capture_count + it.refund_count).sum();
    assert_eq!(
        in_days,
        switch.database.count("settlement_items").await,
        "each item in one day"
    );
    println!(
        "{engine:?}, {items} items of {MERCHANTS} merchants: closed {:.2} s after the call; p99 of payments meanwhile \
         {:.2} of that before",
        took.as_secs_f64(),
        meanwhile.as_secs_f64() / before.as_secs_f64()
    );
}
