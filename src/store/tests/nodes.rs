//! Nodes: heartbeats, what a dead one left open, and a schema that moves on while one runs.

use std::time::Duration;

use sqlx::any::AnyConnectOptions;
use sqlx::{ConnectOptions, Connection};
use tokio::time::{Instant, sleep};

use super::make::{COMMITTED, NOW, approved, intent, random};
use super::migrating::{SINCE_VERSION_2, make_version_2};
use super::on_both;
use crate::clock::SystemClock;
use crate::payment::ids::{ConnectionId, NodeId};
use crate::store::Store;
use crate::store::database::schema;
use crate::store::error::StoreError;
use crate::store::records::callers::ClientConnection;
use crate::store::testing::{TestDatabase, migrate};

on_both!(
    heartbeats_of_running_nodes_are_listed,
    a_node_that_stops_closes_its_connections,
);

/// Longer than between two heartbeats.
const SOON: Duration = Duration::from_secs(5);

fn node(number: u8) -> NodeId {
    NodeId::from_parts(NOW, [number; 10])
}

async fn insert_node(database: &TestDatabase, id: NodeId, seen_at: i64, stopped_at: &str) {
    database
        .execute(&format!(
            "INSERT INTO nodes (id, started_at_ms, seen_at_ms, heartbeat, stopped_at_ms) \
             VALUES ('{id}', 0, {seen_at}, 7, {stopped_at})"
        ))
        .await;
}

async fn heartbeat(store: &Store, node: NodeId) -> Option<i64> {
    let heartbeats = store.heartbeats().await.unwrap();
    let own = heartbeats.iter().find(|(id, _)| *id == node);
    own.map(|(_, heartbeat)| *heartbeat)
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let give_up_at = Instant::now() + SOON;
    while !holds().await {
        assert!(Instant::now() < give_up_at, "{what}");
        sleep(Duration::from_millis(50)).await;
    }
}

async fn heartbeats_of_running_nodes_are_listed(database: TestDatabase) {
    let store = database.open().await;
    insert_node(&database, node(1), 1_000, "NULL").await;
    insert_node(&database, node(2), 3_000, "3001").await;
    insert_node(&database, node(3), 2_000, "NULL").await;
    let own = store.node_id();
    assert_eq!(
        store.heartbeats().await.unwrap(),
        [(own, 1), (node(3), 7), (node(1), 7)],
        "the latest first"
    );
    until("the second heartbeat", async || {
        heartbeat(&store, own).await == Some(2)
    })
    .await;
    store.close().await;

    // A process that holds a SQLite file knows that all others have stopped.
    let reopened = database.open().await;
    let listed = reopened.heartbeats().await.unwrap();
    let others = if reopened.exclusive() { 0 } else { 2 };
    assert_eq!(listed.len(), 1 + others);
    assert!(listed.iter().all(|(id, _)| *id != own));
}

fn connection() -> ClientConnection {
    ClientConnection {
        id: ConnectionId::from_parts(NOW, random()),
        peer_address: "192.0.2.1".into(),
        peer_port: 4000,
        identity: None,
        connected_at: NOW,
    }
}

async fn open_connections(store: &Store) -> Vec<NodeId> {
    let all = store.list_connections(100, None).await.unwrap();
    let open = all.iter().filter(|it| it.disconnected_at.is_none());
    open.map(|it| it.node_id).collect()
}

async fn a_node_that_stops_closes_its_connections(database: TestDatabase) {
    let store = database.open().await;
    store.connection_opened(connection()).unwrap();
    store.close().await;
    let reopened = database.open().await;
    let all = reopened.list_connections(10, None).await.unwrap();
    assert!(all[0].disconnected_at.is_some());
    assert_eq!(
        all[0].note.as_deref(),
        Some("the gateway process that held it stopped")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_of_dead_nodes_are_closed_and_no_others() {
    let database = TestDatabase::postgres().await;
    let store = database.open().await;
    for (number, node) in [node(1), node(2)].into_iter().enumerate() {
        database
            .execute(&format!(
                "INSERT INTO client_connections (id, node_id, peer_address, peer_port, \
                 connected_at_ms) VALUES ('{}', '{node}', '192.0.2.1', {number}, 0)",
                connection().id
            ))
            .await;
    }
    store.connection_opened(connection()).unwrap();
    until("the connection is recorded", async || {
        open_connections(&store).await.len() == 3
    })
    .await;
    store.close_connections_of(&[node(1)]).await.unwrap();
    store.close_connections_of(&[]).await.unwrap();
    let mut open = open_connections(&store).await;
    open.sort();
    let mut expected = [node(2), store.node_id()];
    expected.sort();
    assert_eq!(open, expected);
}

#[tokio::test]
async fn a_process_that_holds_a_file_closes_what_all_others_left() {
    let database = TestDatabase::sqlite().await;
    database
        .execute(&format!(
            "INSERT INTO client_connections (id, node_id, peer_address, peer_port, \
             connected_at_ms) VALUES ('{}', '{}', '192.0.2.1', 4000, 0)",
            connection().id,
            node(1)
        ))
        .await;
    let store = database.open().await;
    assert_eq!(open_connections(&store).await, []);
}

/// A node whose writer is held up must not look dead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heartbeats_go_on_while_the_writer_is_held_up() {
    let database = TestDatabase::postgres().await;
    let store = database.open().await;
    let options: AnyConnectOptions = database.url.parse().unwrap();
    let mut other = options.connect().await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE idempotency IN ACCESS EXCLUSIVE MODE")
        .execute(&mut other)
        .await
        .unwrap();
    let held_up = tokio::spawn({
        let store = store.clone();
        async move { store.record_intent(&intent("shop")).await }
    });
    let own = store.node_id();
    let before = heartbeat(&store, own).await.unwrap();
    until("two more heartbeats", async || {
        heartbeat(&store, own).await.unwrap() >= before + 2
    })
    .await;
    assert!(!held_up.is_finished());
    other.close().await.unwrap();
    held_up.await.unwrap().unwrap();
}

/// Its own connection may break like any other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heartbeats_go_on_after_their_connection_broke() {
    let database = TestDatabase::postgres().await;
    let store = database.open().await;
    let before = heartbeat(&store, store.node_id()).await.unwrap();
    let name = database.name();
    database
        .execute_as_admin(&format!(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'"
        ))
        .await;
    until("the next heartbeat", async || {
        heartbeat(&store, store.node_id()).await > Some(before)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_schema_moved_on_is_not_well() {
    let database = TestDatabase::postgres().await;
    let store = database.open().await;
    let in_progress = intent("shop");
    store.record_intent(&in_progress).await.unwrap();
    assert!(store.healthy().await);
    let later = schema::NEEDED + 1;
    database
        .execute(&format!(
            "INSERT INTO schema_migrations VALUES ({later}, 'later', 'x', 0)"
        ))
        .await;
    until("it notices", async || !store.healthy().await).await;
    let moved_on = StoreError::SchemaMovedOn {
        found: later,
        needed: schema::NEEDED,
    };
    assert_eq!(store.record_intent(&intent("shop")).await, Err(moved_on));
    let recorded = store.record_outcome(&approved(&in_progress)).await;
    assert_eq!(recorded, Ok(COMMITTED));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_in_use_is_not_migrated() {
    let database = TestDatabase::empty_postgres().await;
    make_version_2(&database).await;
    database
        .execute(&format!(
            "INSERT INTO nodes (id, started_at_ms, seen_at_ms) VALUES ('{}', 0, 1)",
            node(1)
        ))
        .await;
    let beating = tokio::spawn({
        let url = database.url.clone();
        async move {
            loop {
                sleep(Duration::from_millis(700)).await;
                let beat = "UPDATE nodes SET seen_at_ms = seen_at_ms + 1".to_owned();
                crate::store::testing::execute(&url, beat).await;
            }
        }
    });
    let refused = migrate(&database.config).await.unwrap_err();
    assert_eq!(refused, StoreError::InUse { nodes: 1 });
    beating.abort();
    let _aborted = beating.await;
    // It died: nothing changes any more.
    let watch_for = Duration::from_millis(1_500);
    let begun = Instant::now();
    let report = schema::migrate(&database.config, watch_for, &SystemClock)
        .await
        .unwrap();
    assert!(begun.elapsed() >= watch_for);
    assert_eq!(report.applied, SINCE_VERSION_2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_in_use_is_noticed_by_a_heartbeat() {
    let database = TestDatabase::postgres().await;
    let store = database.open().await;
    let in_use = Store::expect_no_gateway(&database.config).await;
    assert_eq!(in_use, Err(StoreError::InUse { nodes: 1 }));
    store.close().await;
    assert_eq!(Store::expect_no_gateway(&database.config).await, Ok(()));
}
