//! Opening and closing; what a process leaves behind; rows that nobody wrote.

use std::os::unix::fs::PermissionsExt;

use super::make::{COMMITTED, METHOD, NOW, approved, intent, merchant, random};
use super::on_both;
use crate::config::store::StoreConfig;
use crate::net::Net;
use crate::payment::ids::ConnectionId;
use crate::store::error::StoreError;
use crate::store::records::callers::ClientConnection;
use crate::store::testing::{TestDatabase, migrate, open};

on_both!(
    after_closing_nothing_is_taken,
    closing_writes_what_waits,
    connections_are_recorded,
    corrupt_rows_are_named,
    a_well_store_says_so,
);

#[tokio::test]
async fn the_sqlite_file_is_its_owners_alone() {
    let database = TestDatabase::empty_sqlite();
    migrate(&database.config).await.unwrap();
    let store = database.open().await;
    store.record_intent(&intent("shop")).await.unwrap();
    for name in ["test.db", "test.db-wal", "test.db-shm", "test.db.lock"] {
        let mode = std::fs::metadata(database.path().with_file_name(name))
            .unwrap()
            .permissions();
        assert_eq!(mode.mode() & 0o777, 0o600, "{name}");
    }
    store.close().await;
}

#[tokio::test]
async fn one_sqlite_file_serves_one_gateway() {
    let database = TestDatabase::sqlite().await;
    let store = database.open().await;
    assert!(store.exclusive());
    let second = open(&database.config).await.unwrap_err();
    assert!(matches!(second, StoreError::Locked { .. }), "{second}");
    let migration = migrate(&database.config).await.unwrap_err();
    assert!(
        matches!(migration, StoreError::Locked { .. }),
        "{migration}"
    );
    // The same file by another name.
    let link = database.path().with_file_name("link.db");
    std::os::unix::fs::symlink(database.path(), &link).unwrap();
    let by_link = StoreConfig {
        url: format!("sqlite://{}", link.display()),
        ..database.config.clone()
    };
    let third = open(&by_link).await.unwrap_err();
    assert!(matches!(third, StoreError::Locked { .. }), "{third}");
    store.close().await;
    database.open().await.close().await;
}

#[tokio::test]
async fn several_gateways_share_one_postgres() {
    let database = TestDatabase::postgres().await;
    let (one, two) = (database.open().await, database.open().await);
    assert!(!one.exclusive());
    assert_ne!(one.node_id(), two.node_id());
    let intent = intent("shop");
    one.record_intent(&intent).await.unwrap();
    let seen = two
        .payment(&intent.payment.merchant_id, intent.payment.id)
        .await
        .unwrap();
    assert_eq!(seen, Some(intent.payment));
    one.close().await;
    two.close().await;
}

#[tokio::test]
async fn settings_out_of_range_are_refused() {
    let database = TestDatabase::sqlite().await;
    let config = || database.config.clone();
    for bad in [
        StoreConfig {
            batch_records: 0,
            ..config()
        },
        StoreConfig {
            batch_records: 1001,
            ..config()
        },
        StoreConfig {
            queued_records: 100_001,
            ..config()
        },
        StoreConfig {
            read_connections: 65,
            ..config()
        },
    ] {
        let error = open(&bad).await.unwrap_err();
        assert!(
            matches!(error, StoreError::Configuration { .. }),
            "{bad:?}: {error}"
        );
    }
}

#[tokio::test]
async fn an_unreachable_postgres_is_unavailable() {
    let listener = Net::SYSTEM
        .listen("127.0.0.1:0".parse().unwrap())
        .await
        .unwrap();
    let port = listener.local_addr().unwrap().port();
    let config = StoreConfig {
        url: format!("postgres://payswitch@127.0.0.1:{port}/nothing"),
        ..StoreConfig::default()
    };
    // One that accepts and says nothing, and one that is not there.
    let silent = open(&config).await.unwrap_err();
    assert!(matches!(silent, StoreError::Unavailable { .. }), "{silent}");
    drop(listener);
    let absent = open(&config).await.unwrap_err();
    assert!(matches!(absent, StoreError::Unavailable { .. }), "{absent}");
}

async fn after_closing_nothing_is_taken(database: TestDatabase) {
    let store = database.open().await;
    store.close().await;
    assert_eq!(
        store.record_intent(&intent("shop")).await,
        Err(StoreError::Closed)
    );
    let connection = client(1);
    assert_eq!(
        store.connection_closed(connection.id, NOW),
        Err(StoreError::Closed)
    );
    assert_eq!(store.list_merchants().await, Err(StoreError::Closed));
    assert!(!store.healthy().await);
    store.close().await;
}

async fn closing_writes_what_waits(database: TestDatabase) {
    let store = database.open().await;
    let intents: Vec<_> = (0..300).map(|_| intent("shop")).collect();
    let tasks: Vec<_> = intents
        .iter()
        .cloned()
        .map(|intent| {
            let store = store.clone();
            tokio::spawn(async move { store.record_intent(&intent).await })
        })
        .collect();
    store.close().await;
    let reopened = database.open().await;
    for (task, intent) in tasks.into_iter().zip(intents) {
        let told = task.await.unwrap();
        let merchant = &intent.payment.merchant_id;
        let stored = reopened.payment(merchant, intent.payment.id).await.unwrap();
        match told {
            Ok(outcome) => {
                assert_eq!(outcome, COMMITTED);
                assert_eq!(stored, Some(intent.payment));
            }
            Err(error) => {
                assert_eq!(error, StoreError::Closed);
                assert_eq!(stored, None);
            }
        }
    }
    reopened.close().await;
}

fn client(number: u16) -> ClientConnection {
    ClientConnection {
        id: ConnectionId::from_parts(NOW.plus_ms(i64::from(number)), random()),
        peer_address: "2001:db8::1".into(),
        peer_port: 40_000 + number,
        identity: None,
        connected_at: NOW.plus_ms(i64::from(number)),
    }
}

async fn connections_are_recorded(database: TestDatabase) {
    let store = database.open().await;
    let clients: Vec<_> = (0..200).map(client).collect();
    for connection in &clients {
        store.connection_opened(connection.clone()).unwrap();
    }
    store
        .connection_identified(clients[0].id, "merchant shop, key psk_1")
        .unwrap();
    store
        .connection_closed(clients[0].id, NOW.plus_ms(500))
        .unwrap();
    let node = store.node_id();
    store.close().await;

    let store = database.open().await;
    let records = store.list_connections(1000, None).await.unwrap();
    assert_eq!(records.len(), 200);
    let newest_first: Vec<_> = clients.iter().rev().map(|client| client.id).collect();
    let listed: Vec<_> = records.iter().map(|record| record.connection.id).collect();
    assert_eq!(listed, newest_first);
    assert!(records.iter().all(|record| record.node_id == node));
    let first = records.last().unwrap();
    assert_eq!(
        first.connection.identity.as_deref(),
        Some("merchant shop, key psk_1")
    );
    assert_eq!(
        (first.disconnected_at, &first.note),
        (Some(NOW.plus_ms(500)), &None)
    );
    assert_eq!(first.connection.peer_port, 40_000);
    // The others were still open when their process stopped.
    let second = &records[198];
    assert!(second.disconnected_at.is_some());
    assert_eq!(
        second.note.as_deref(),
        Some("the gateway process that held it stopped")
    );
    let page = store.list_connections(2, Some(listed[1])).await.unwrap();
    assert_eq!(page, records[2..4]);
    store.close().await;
}

async fn corrupt_rows_are_named(database: TestDatabase) {
    let store = database.open().await;
    let shop = merchant("shop");
    store.insert_merchant(&shop).await.unwrap();
    // (table, column, what is written there)
    let cases = [
        ("payments", "state", "'CAPTURED'"),
        ("payments", "state_detail", "'{}'"),
        ("payments", "detail", "'no json'"),
        ("payments", "currency", "'XXX'"),
        ("payments", "amount_minor", "-1"),
        ("operations", "state", "'APPROVED'"),
        ("operations", "kind", "'GIFT'"),
        ("operations", "mti", "'01'"),
        ("operations", "stan", "0"),
        ("operations", "rrn", "'short'"),
        ("operations", "number_date", "'2026-02-30'"),
        ("operations", "host_id", "'Not A Slug'"),
        ("operations", "kept", "'no json'"),
        ("operations", "node_id", "'node_'"),
        ("operations", "answer", "'{\"id\": 1}'"),
        ("idempotency", "body_hash", "'abc'"),
        ("operations", "attempts", "-1"),
        ("merchants", "active", "2"),
        ("merchants", "country_numeric", "70000"),
    ];
    for (table, column, value) in cases {
        let intent = intent("shop");
        store.record_intent(&intent).await.unwrap();
        let row = match table {
            "payments" => intent.payment.id.to_string(),
            "merchants" => "shop".into(),
            _ => intent.operation.id.to_string(),
        };
        if column == "answer" {
            store.record_outcome(&approved(&intent)).await.unwrap();
        }
        let key = match table {
            "idempotency" => "operation_id",
            _ => "id",
        };
        database
            .execute(&format!(
                "UPDATE {table} SET {column} = {value} WHERE {key} = '{row}'"
            ))
            .await;
        let request = &intent.claim;
        let error = match (table, column) {
            ("payments", _) => store.payment(&shop.id, intent.payment.id).await.err(),
            ("idempotency", _) | (_, "answer") => store
                .find_answer(&shop.id, METHOD, &request.request_id)
                .await
                .err(),
            ("operations", _) => store.operation(intent.operation.id).await.err(),
            _ => store.merchant(&shop.id).await.err(),
        };
        match error {
            Some(StoreError::Corrupt {
                table: in_table,
                column: in_column,
                row: in_row,
                ..
            }) => assert_eq!((in_table, in_column, in_row), (table, column, row)),
            other => panic!("{table}.{column}: {other:?}"),
        }
        store.update_merchant(&shop).await.unwrap();
    }
    store.close().await;
}

async fn a_well_store_says_so(database: TestDatabase) {
    let store = database.open().await;
    assert!(store.healthy().await);
    store.close().await;
    assert!(!store.healthy().await);
}
