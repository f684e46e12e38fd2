//! Reads that are slow, that nobody waits for any more, or that anybody makes up: they end in the database, too, and no
//! payment fails for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use payswitch::merchant_api::client::ApiKey;
use payswitch::merchant_api::pb;
use payswitch::merchant_api::pb::refund_service_client::RefundServiceClient;
use sqlx::Connection as _;
use tokio::time::timeout;
use tonic::Code;

use crate::database::{Database, Engine};
use crate::harness::{
    Payments, Switch, authorize, on_both_engines, pay_with, run, until, with_key,
};
use crate::postgres::connect;

on_both_engines!(
    cancelled_lists_over_many_rows_leave_no_reader_that_scans,
    a_list_looks_at_a_bounded_number_of_rows_and_goes_on_behind_them,
);

/// Payments that one merchant has.
const MANY: usize = 60_000;
/// A filter that none of them matches, and that no index knows.
const NOTHING: &str = "state=VOIDED";
/// Lists that are cancelled.
const CANCELLED: usize = 64;
/// How long those who list have patience.
const PATIENCE: Duration = Duration::from_millis(30);
/// Payments of the other merchant meanwhile.
const PAYMENTS: usize = 20;
/// Connections of a gateway to its server: 17, and those that are being closed.
const MOST_CONNECTIONS: i64 = 24;
/// Who makes up keys, at once.
const STRANGERS: usize = 100;

/// Copies a payment so many times: each is a millisecond older than the one before.
async fn copy(database: &Database, payment_id: &str, times: usize) {
    let columns = "merchant_id, merchant_reference, customer_reference, operation_id, amount_minor, currency, \
        authorized_minor, authorized_pending_minor, captured_minor, captured_pending_minor, refunded_minor, \
        refunded_pending_minor, disputed_minor, state, updated_at_ms, version, state_detail, detail";
    // The last character of an id says only a few bits.
    let text = format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {times}) \
         INSERT INTO payments (id, created_at_ms, {columns}) \
         SELECT SUBSTR(id, 1, 20) || SUBSTR(CAST(1000000000 + i AS TEXT), 2) || '0', created_at_ms - i, {columns} \
         FROM payments, n WHERE id = '{payment_id}'"
    );
    database.execute(text).await;
}

/// A merchant with many payments, and another one with few.
async fn with_many_payments(engine: Engine) -> (Switch, Payments) {
    let switch = Switch::start(engine).await;
    let (_, other) = switch.add_merchant("other-shop", |_| {}).await;
    let others = switch.payments_of(&other).await;
    let mut payments = switch.payments().await;
    let payment = authorize(&mut payments, pay_with("pm_test_visa", 1250, "EUR")).await;
    copy(&switch.database, &payment.payment_id, MANY).await;
    if engine == Engine::Postgres {
        switch.database.execute("ANALYZE payments").await;
    }
    (switch, others)
}

fn list(filter: &str, page_token: String) -> pb::ListPaymentsRequest {
    pb::ListPaymentsRequest {
        page_size: 100,
        filter: filter.to_owned(),
        page_token,
        ..Default::default()
    }
}

/// Pays again and again, lists now and then, and is never refused.
async fn pay_and_list(mut payments: Payments) {
    for number in 0..PAYMENTS {
        let payment = authorize(&mut payments, pay_with("pm_test_visa", 1250, "EUR")).await;
        assert_eq!(payment.state(), pb::PaymentState::Authorized, "{number}");
        let listed = payments.list_payments(list("", String::new())).await;
        let listed = listed.expect("a list").into_inner().payments;
        assert_eq!(listed.len(), number + 1);
    }
}

async fn cancelled_lists_over_many_rows_leave_no_reader_that_scans(engine: Engine) {
    let (switch, others) = with_many_payments(engine).await;
    let payments = switch.payments().await;
    let cancelled = (0..CANCELLED).map(|_| {
        let mut payments = payments.clone();
        async move {
            let listed = payments.list_payments(list(NOTHING, String::new()));
            let _ = timeout(PATIENCE, listed).await;
        }
    });
    tokio::join!(join_all(cancelled), pay_and_list(others));
    let reading = match engine {
        // A checkpoint waits for whoever reads, and says whether it had to give up.
        Engine::Sqlite => "PRAGMA wal_checkpoint(TRUNCATE)".to_owned(),
        Engine::Postgres => sessions("state = 'active' AND query LIKE '%FROM payments%'"),
    };
    until("no reader that scans", async || {
        switch.database.number(reading.clone()).await == 0
    })
    .await;
}

async fn a_list_looks_at_a_bounded_number_of_rows_and_goes_on_behind_them(engine: Engine) {
    let (mut switch, _) = with_many_payments(engine).await;
    let whole_table = "SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'payments'";
    let scans = async |switch: &Switch| match engine {
        Engine::Sqlite => 0,
        Engine::Postgres => switch.database.number(whole_table.to_owned()).await,
    };
    let scans_before = scans(&switch).await;
    let mut payments = switch.payments().await;
    let (mut pages, mut page_token) = (0, String::new());
    loop {
        let page = payments.list_payments(list(NOTHING, page_token)).await;
        let page = page.expect("a page").into_inner();
        assert_eq!(page.payments, []);
        pages += 1;
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    // Sessions tell what they have scanned when they end, at the latest.
    switch.restart_gateway().await;
    // 5,000 rows each.
    assert_eq!((pages, scans(&switch).await), (13, scans_before));
    let mut payments = switch.payments().await;
    // What matches is found behind what does not.
    let oldest = "SELECT id FROM payments ORDER BY created_at_ms LIMIT 1";
    let oldest = switch.database.text(oldest).await;
    let decline = format!("UPDATE payments SET currency = 'JPY' WHERE id = '{oldest}'");
    switch.database.execute(decline).await;
    let (mut found, mut page_token) = (Vec::new(), String::new());
    loop {
        let page = payments
            .list_payments(list("currency=JPY", page_token))
            .await;
        let page = page.expect("a page").into_inner();
        found.extend(page.payments.into_iter().map(|it| it.payment_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(found, [oldest]);
}

/// How many sessions of the server are so, in this database, without the one that asks.
fn sessions(are: &str) -> String {
    format!(
        "SELECT CAST(COUNT(*) AS BIGINT) FROM pg_stat_activity WHERE datname = current_database() \
         AND pid <> pg_backend_pid() AND {are}"
    )
}

/// Lists that hang, because somebody holds the table, are given up one after the other. The server goes on with none of
/// them, and opens no session for each; others list and pay as ever.
#[test]
fn cancelled_lists_end_at_the_server_too() {
    run(async {
        let switch = Switch::start(Engine::Postgres).await;
        let (_, other) = switch.add_merchant("other-shop", |_| {}).await;
        let others = switch.payments_of(&other).await;
        let key = ApiKey::new(&switch.api_key).expect("a key");
        let refunds = RefundServiceClient::new(key.on(switch.connect(None).await));
        let mut holding = connect(&switch.database.url()).await;
        let mut held = holding.begin().await.expect("a transaction");
        let lock = "LOCK TABLE refunds IN ACCESS EXCLUSIVE MODE";
        sqlx::query(lock).execute(&mut *held).await.expect("a lock");

        let listing = async {
            for _ in 0..CANCELLED {
                let mut refunds = refunds.clone();
                let listed = refunds.list_refunds(pb::ListRefundsRequest::default());
                assert!(
                    timeout(PATIENCE, listed).await.is_err(),
                    "the table is held"
                );
                let open = switch.database.number(sessions("true")).await;
                assert!(open <= MOST_CONNECTIONS, "{open} connections");
            }
        };
        tokio::join!(listing, pay_and_list(others));
        until("no session that waits for the table", async || {
            let waiting = sessions("wait_event_type = 'Lock'");
            switch.database.number(waiting).await == 0
        })
        .await;
        held.rollback().await.expect("the end of the lock");
        let mut refunds = refunds.clone();
        let listed = refunds.list_refunds(pb::ListRefundsRequest::default());
        assert_eq!(listed.await.expect("a list").into_inner().refunds, []);
    });
}

/// While the store does not say who has a key, those who make keys up take no service from those who are known.
#[test]
fn made_up_keys_take_nothing_from_known_ones_while_the_store_is_slow() {
    run(async {
        let switch = Switch::start(Engine::Postgres).await;
        let mut payments = switch.payments().await;
        let request = pay_with("pm_test_visa", 1250, "EUR");
        let first = authorize(&mut payments, request.clone()).await;
        let new_key = switch.issue_key(&switch.merchant_id).await;
        let mut holding = connect(&switch.database.url()).await;
        let mut held = holding.begin().await.expect("a transaction");
        let lock = "LOCK TABLE api_keys IN ACCESS EXCLUSIVE MODE";
        sqlx::query(lock).execute(&mut *held).await.expect("a lock");

        let channel = switch.connect(None).await;
        let stop = Arc::new(AtomicBool::new(false));
        let strangers = (0..STRANGERS).map(|stranger| {
            let (channel, stop) = (channel.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut call = 0;
                while !stop.load(Ordering::Relaxed) {
                    let key = format!("sk_test_{stranger:08x}{call:08x}.{}", "A".repeat(43));
                    call += 1;
                    let refused = with_key(channel.clone(), &key)
                        .authorize_payment(pay_with("pm_test_visa", 1250, "EUR"))
                        .await;
                    let refused = refused.expect_err("nobody has this key").code();
                    assert!(
                        matches!(refused, Code::Unavailable | Code::ResourceExhausted),
                        "{refused:?}"
                    );
                }
            })
        });
        let strangers: Vec<_> = strangers.collect();
        until("look-ups that wait for the table", async || {
            let waiting = sessions("wait_event_type = 'Lock'");
            switch.database.number(waiting).await > 0
        })
        .await;
        for _ in 0..PAYMENTS {
            let payment = authorize(&mut payments, pay_with("pm_test_visa", 1250, "EUR")).await;
            assert_eq!(payment.state(), pb::PaymentState::Authorized);
            // What a request was told before is read beside them.
            let again = authorize(&mut payments, request.clone()).await;
            assert_eq!(again, first);
        }
        stop.store(true, Ordering::Relaxed);
        for stranger in strangers {
            stranger.await.expect("a stranger who was refused");
        }
        held.rollback().await.expect("the end of the lock");
        // What timed out for them has failed for nobody else.
        let mut new_payments = switch.payments_of(&new_key).await;
        authorize(&mut new_payments, pay_with("pm_test_visa", 1250, "EUR")).await;
    });
}
