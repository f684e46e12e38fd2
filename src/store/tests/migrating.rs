//! The schema: brought up to date, and refused when it is another.

use ring::digest::{SHA256, digest};

use super::make::{METHOD, NOW, intent};
use super::on_both;
use crate::store::Store;
use crate::store::change::Verdict;
use crate::store::database::schema::MigrationReport;
use crate::store::error::StoreError;
use crate::store::hex::hex;
use crate::store::retention::prune;
use crate::store::testing::TestDatabase;

on_both!(another_schema_is_refused, a_changed_migration_is_refused,);

#[tokio::test]
async fn a_database_is_migrated_once() {
    for database in [
        TestDatabase::empty_sqlite(),
        TestDatabase::empty_postgres().await,
    ] {
        let first = Store::migrate(&database.config).await.unwrap();
        let again = Store::migrate(&database.config).await.unwrap();
        let report = |applied| MigrationReport {
            applied,
            version: 3,
        };
        let all = vec!["payments", "keyed_tables", "operations"];
        assert_eq!((first, again), (report(all), report(vec![])));
        database.open().await.close().await;
    }
}

/// A request and a sealed card that an earlier version of the program took.
#[tokio::test]
async fn what_an_older_schema_holds_is_brought_along() {
    let sqlite = TestDatabase::empty_sqlite();
    std::fs::write(sqlite.path(), "").unwrap();
    for database in [sqlite, TestDatabase::empty_postgres().await] {
        let first = include_str!("../../../migrations/0001_payments.sql");
        database.execute(first).await;
        let checksum = hex(digest(&SHA256, first.as_bytes()).as_ref());
        database
            .execute(&format!(
                "CREATE TABLE schema_migrations (version BIGINT NOT NULL PRIMARY KEY, \
                    name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at_ms BIGINT NOT NULL); \
                 INSERT INTO schema_migrations VALUES (1, 'payments', '{checksum}', 0); \
                 INSERT INTO idempotency VALUES ('shop', '{METHOD}', 'r-1', 'op_1', 'hash', 0); \
                 INSERT INTO used_envelopes VALUES ('shop', 'jti-1', 'op_1', 0)"
            ))
            .await;
        let report = Store::migrate(&database.config).await.unwrap();
        assert_eq!(report.applied, ["keyed_tables", "operations"]);
        let store = database.open().await;
        let mut again = intent("shop");
        again.claim.request_id = "r-1".into();
        let taken = store.record_intent(&again).await;
        assert_eq!(taken, Ok(Verdict::RequestTaken));
        assert_eq!(prune(&store.inner.housekeeping, NOW).await.unwrap(), 1);
        store.close().await;
    }
}

#[tokio::test]
async fn of_two_migrations_at_once_each_step_is_applied_once() {
    let database = TestDatabase::empty_postgres().await;
    let (one, two) = tokio::join!(
        Store::migrate(&database.config),
        Store::migrate(&database.config)
    );
    let applied = one.unwrap().applied.len() + two.unwrap().applied.len();
    assert_eq!(applied, 3);
}

#[tokio::test]
async fn a_database_that_was_not_migrated_is_refused() {
    let sqlite = TestDatabase::empty_sqlite();
    let missing = Store::open(&sqlite.config).await.unwrap_err();
    assert!(
        missing.to_string().contains("payswitch migrate"),
        "{missing}"
    );
    assert!(!sqlite.path().exists());
    std::fs::write(sqlite.path(), "").unwrap();
    for database in [sqlite, TestDatabase::empty_postgres().await] {
        let error = Store::open(&database.config).await.unwrap_err();
        let expected = StoreError::Schema {
            found: 0,
            needed: 3,
            advice: "run `payswitch migrate`",
        };
        assert_eq!(error, expected);
    }
}

async fn another_schema_is_refused(database: TestDatabase) {
    database
        .execute("INSERT INTO schema_migrations VALUES (4, 'later', 'x', 0)")
        .await;
    let opened = Store::open(&database.config).await.map(drop);
    for refused in [opened, Store::migrate(&database.config).await.map(drop)] {
        assert!(
            matches!(
                refused,
                Err(StoreError::Schema {
                    found: 4,
                    needed: 3,
                    ..
                })
            ),
            "{refused:?}"
        );
    }
}

async fn a_changed_migration_is_refused(database: TestDatabase) {
    database
        .execute("UPDATE schema_migrations SET checksum = 'other' WHERE version = 1")
        .await;
    let error = Store::open(&database.config).await.unwrap_err();
    assert!(
        matches!(error, StoreError::MigrationChanged { version: 1, .. }),
        "{error}"
    );
}
