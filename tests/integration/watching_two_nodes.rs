//! Two gateways on one PostgreSQL take payments from many writers at once. Those who watch are cut off again and again,
//! and go on at either gateway after their cursor; one gateway is killed in the middle. What each of them was told is
//! what is in the table, in its order, each event once.

use std::time::Duration;

use payswitch::merchant_api::pb;
use pb::event::Subject;
use sqlx::Connection as _;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::capturing::of;
use crate::database::{Database, Engine};
use crate::events::all;
use crate::harness::{TempFolder, pay_with, unique};
use crate::killing::scene::{Clients, Gateway, Scene};
use crate::postgres::connect;

/// How long payments go on, unless `WATCH_SECONDS` says otherwise.
const SECONDS: u32 = 6;
/// Payments at once.
const WRITERS: usize = 64;
/// Streams at once.
const WATCHERS: usize = 8;
/// A stream is cut off after less than so many milliseconds.
const CUT_OFF_MS: u64 = 500;
/// A writer and a watcher wait so long before they call again where a gateway is away.
const CALL_AGAIN_AFTER: Duration = Duration::from_millis(20);
/// After the last payment every watcher has been told everything within this.
const TOLD_WITHIN: Duration = Duration::from_secs(30);

/// An event: its payment, and that payment's version.
type Told = (String, i64);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_watchers_of_two_nodes_are_told_is_what_is_in_the_table() {
    let seconds = std::env::var("WATCH_SECONDS");
    let seconds = seconds.map_or(SECONDS, |text| text.parse().expect("a number"));
    let third = Duration::from_secs(1) * seconds / 3;
    let folder = TempFolder::new("watching");
    let scene = Scene::set(Engine::Postgres, &folder).await;
    let shop = scene.shop();
    let clients = async |gateway: &Gateway| {
        let address = gateway.address.expect("a gateway");
        shop.clients(address).await.expect("a connection")
    };
    let first = scene.gateway("gateway", None).await;
    let mut second = scene.gateway("second", None).await;
    let mut at_first = clients(&first).await;
    let (gateways, known) = watch::channel(vec![at_first.clone(), clients(&second).await]);
    let (last_cursor, last) = watch::channel(None);
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        writers.spawn(pay_on_and_on(known.clone()));
    }
    let mut watchers = JoinSet::new();
    for _ in 0..WATCHERS {
        watchers.spawn(watch_on_and_on(known.clone(), last.clone()));
    }
    sleep(third).await;
    second.process.send("KILL");
    second.process.exit().await;
    gateways.send_replace(vec![at_first.clone()]);
    let second = scene.gateway("second", None).await;
    let both = vec![at_first.clone(), clients(&second).await];
    gateways.send_replace(both.clone());
    sleep(third * 2).await;
    gateways.send_replace(Vec::new());
    let mut payments = 0;
    while let Some(paid) = writers.join_next().await {
        payments += paid.expect("a writer ends well");
    }
    // What the banks acknowledge now, and what the killed gateway left, are further events.
    let kept = kept(&scene.database).await;
    assert!(payments > 0 && kept.len() > payments, "{payments} payments");
    let listed = all(&mut at_first.events, 100).await;
    assert_same("listed", &rows(&listed), &kept);
    last_cursor.send_replace(Some(listed[kept.len() - 1].cursor.clone()));
    gateways.send_replace(both);
    let all_told = timeout(TOLD_WITHIN, watchers.join_all()).await;
    let all_told = all_told.expect("every watcher comes to the last event");
    for (streams, told) in all_told {
        assert!(streams > 2, "{streams} streams");
        assert_same("streamed", &rows(&told), &kept);
    }
    scene.database.assert_books_are_whole().await;
}

/// The same events in the same order, as far as both go.
fn assert_same(what: &str, told: &[Told], kept: &[Told]) {
    let differs = told.iter().zip(kept).position(|(told, kept)| told != kept);
    if let Some(at) = differs {
        let not_told = kept.iter().filter(|event| !told.contains(event)).count();
        panic!(
            "of {} events {} were {what}, and {not_told} of them never; number {at} is {:?}, not {:?}",
            kept.len(),
            told.len(),
            told[at],
            kept[at]
        );
    }
    assert!(told.len() >= kept.len(), "{} were {what}", told.len());
}

/// Everything that is in the table, which has every position from 1.
async fn kept(database: &Database) -> Vec<Told> {
    let mut connection = connect(&database.url()).await;
    let text = "SELECT position, payment_id, payment_sequence FROM events ORDER BY position";
    let rows: Vec<(i64, String, i64)> = sqlx::query_as(text)
        .fetch_all(&mut connection)
        .await
        .expect("the events");
    connection.close().await.expect("a connection closes");
    let missing = (1..).zip(&rows).find(|(expected, row)| row.0 != *expected);
    assert!(
        missing.is_none(),
        "expected and found position: {missing:?}"
    );
    rows.into_iter()
        .map(|(_, id, version)| (id, version))
        .collect()
}

fn rows(events: &[pb::Event]) -> Vec<Told> {
    let row = |event: &pb::Event| {
        let payment_id = match event.subject.as_ref().expect("a subject") {
            Subject::Payment(payment) => &payment.payment_id,
            Subject::Capture(capture) => &capture.payment_id,
            other => panic!("{other:?}"),
        };
        (payment_id.clone(), event.payment_sequence)
    };
    events.iter().map(row).collect()
}

/// One of the gateways, if there is one.
fn one_of(gateways: &watch::Receiver<Vec<Clients>>) -> Option<Clients> {
    let gateways = gateways.borrow();
    let number = usize::try_from(unique()).expect("a number");
    let index = number.checked_rem(gateways.len())?;
    Some(gateways[index].clone())
}

/// Pays and captures until there is no gateway, each call at any of them; gives how many payments were answered. What a
/// killed gateway did not answer is left.
async fn pay_on_and_on(gateways: watch::Receiver<Vec<Clients>>) -> usize {
    let mut paid = 0;
    while let Some(mut gateway) = one_of(&gateways) {
        let request = pay_with("pm_test_visa", 100, "EUR");
        let Ok(answer) = gateway.payments.authorize_payment(request).await else {
            sleep(CALL_AGAIN_AFTER).await;
            continue;
        };
        paid += 1;
        let payment = answer.into_inner().payment.expect("a payment");
        let Some(mut gateway) = one_of(&gateways) else {
            break;
        };
        let _unanswered = gateway.payments.capture_payment(of(&payment, None)).await;
    }
    paid
}

/// Watches at one gateway after the other, until the last event; gives how many streams it had, and what they told.
async fn watch_on_and_on(
    gateways: watch::Receiver<Vec<Clients>>,
    last: watch::Receiver<Option<String>>,
) -> (usize, Vec<pb::Event>) {
    let mut streams = 0;
    let mut told: Vec<pb::Event> = Vec::new();
    let is_all = |told: &[pb::Event]| {
        let last = last.borrow();
        let is_last = |event: &pb::Event| Some(&event.cursor) == last.as_ref();
        last.is_some() && told.iter().rev().any(is_last)
    };
    while !is_all(&told) {
        let after_cursor = told.last().map(|event| event.cursor.clone());
        let request = pb::WatchEventsRequest {
            after_cursor: after_cursor.unwrap_or_default(),
            kinds: Vec::new(),
        };
        let stream = match one_of(&gateways) {
            Some(mut gateway) => gateway.events.watch_events(request).await.ok(),
            None => None,
        };
        let Some(stream) = stream else {
            sleep(CALL_AGAIN_AFTER).await;
            continue;
        };
        streams += 1;
        let mut stream = stream.into_inner();
        let until_cut_off = Duration::from_millis(unique() * 37 % CUT_OFF_MS);
        let _cut_off = timeout(until_cut_off, async {
            while let Ok(Some(message)) = stream.message().await {
                told.extend(message.event);
                if is_all(&told) {
                    return;
                }
            }
        })
        .await;
    }
    (streams, told)
}
