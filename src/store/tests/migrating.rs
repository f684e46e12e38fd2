//! The schema: brought up to date, and refused when it is another.

use std::sync::atomic::Ordering;

use iso8583::hex;
use ring::digest::{SHA256, digest};
use sqlx::any::AnyConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use super::make::{COMMITTED, METHOD, NOW, intent};
use super::wire::{LOSE_COMMIT, LOSE_CONFIRMATION, config_on_a_wire};
use super::{fails, on_both};
use crate::payment::ids::{BatchId, ImportId, PayoutId};
use crate::payment::moment::{NumberDate, UnixMillis};
use crate::payment::operation::{OperationState, SuspendReason};
use crate::store::Store;
use crate::store::change::Verdict;
use crate::store::database::engine::{Engine, for_engine};
use crate::store::database::schema::{self, MigrationReport};
use crate::store::error::StoreError;
use crate::store::records::lists::{ListOrder, PaymentFilter};
use crate::store::testing::{TestDatabase, migrate, open};

on_both!(another_schema_is_refused, a_changed_migration_is_refused,);

#[tokio::test]
async fn a_database_is_migrated_once() {
    for database in [
        TestDatabase::empty_sqlite(),
        TestDatabase::empty_postgres().await,
    ] {
        let first = migrate(&database.config).await.unwrap();
        let again = migrate(&database.config).await.unwrap();
        let report = |applied| MigrationReport {
            applied,
            version: schema::NEEDED,
        };
        let all = [&["payments", "keyed_tables"], SINCE_VERSION_2].concat();
        assert_eq!((first, again), (report(all), report(vec![])));
        database.open().await.close().await;
    }
}

/// The migrations that a database of version 2 lacks.
pub(super) const SINCE_VERSION_2: &[&str] = &[
    "operations",
    "custody",
    "owed",
    "reasons",
    "ledger",
    "ledger_seals",
    "captures",
    "holds",
    "partial_approvals",
    "event_lists",
    "releases",
    "explanations",
    "restorations",
    "unknown_outcomes",
    "business_days",
    "late_amounts",
    "totals",
    "reports",
    "merchant_money",
    "chargebacks",
    "clearing_answers",
    "report_lines",
    "bank_statements",
    "legal_names",
    "told_discrepancies",
    "risk_counts",
    "settled_items",
    "sealing_keys",
    "list_indexes",
    "settled_lines",
    "account_discrepancies",
    "report_cycles",
    "report_nets",
];

/// Makes a database as version 2 left it.
pub(super) async fn make_version_2(database: &TestDatabase) {
    make_version(database, 2).await;
}

async fn make_version(database: &TestDatabase, version: i64) {
    let engine = database.engine();
    if engine == Engine::Sqlite {
        std::fs::write(database.path(), "").unwrap();
    }
    database
        .execute(
            "CREATE TABLE schema_migrations (version BIGINT NOT NULL PRIMARY KEY, \
             name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at_ms BIGINT NOT NULL)",
        )
        .await;
    for (version, name, text) in schema::up_to(version) {
        database.execute(&for_engine(engine, text)).await;
        let checksum = hex::encode_lower(digest(&SHA256, text.as_bytes()).as_ref());
        database
            .execute(&format!(
                "INSERT INTO schema_migrations VALUES ({version}, '{name}', '{checksum}', 0)"
            ))
            .await;
    }
}

/// Batches that were funded before items were told, and payouts that were made before they named their batches: one is
/// paid, one came back and is paid by none, and one is funded after the payouts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_version_28_has_funded_is_paid_by_its_payout_and_not_told() {
    for database in [
        TestDatabase::empty_sqlite(),
        TestDatabase::empty_postgres().await,
    ] {
        make_version(&database, 28).await;
        for (number, position) in [(1, 10), (2, 20), (3, 30)] {
            let batch = BatchId::from_parts(NOW, [number; 10]);
            database
                .execute(&format!(
                    "INSERT INTO settlement_batches (id, merchant_id, host_id, business_date, currency, state, \
                     capture_count, captured_minor, refund_count, refunded_minor, opened_at_ms, closed_at_ms, \
                     funded_at_ms) VALUES ('{batch}', 'shop', 'acquirer', '2026-11-0{number}', 'EUR', 'SETTLED', \
                     1, 100, 0, 0, 0, 0, 7)"
                ))
                .await;
            database
                .execute(&format!(
                    "INSERT INTO journals (stream, position, id, at_ms, content_sha256) \
                     VALUES (0, {position}, '{batch}:settled', 0, '')"
                ))
                .await;
        }
        let payout = |number| PayoutId::from_parts(NOW, [number; 10]);
        for (number, position, state) in [(1, 15, "PAID"), (2, 25, "RETURNED")] {
            let id = payout(number);
            database
                .execute(&format!(
                    "INSERT INTO payouts (id, merchant_id, host_id, currency, amount_minor, reserve_minor, \
                     reserve_released_minor, state, made_on, arrival_date, account, destination, made_position, \
                     created_at_ms, version) VALUES ('{id}', 'shop', 'acquirer', 'EUR', 100, 0, 0, '{state}', \
                     '2026-11-02', '2026-11-03', '', '', {position}, 0, 1)"
                ))
                .await;
        }
        let report = migrate(&database.config).await.unwrap();
        assert_eq!(report.applied.first(), Some(&"settled_items"));
        let store = database.open().await;
        let paid = store.batches_paid_by(&[payout(1), payout(2)]).await;
        let first = BatchId::from_parts(NOW, [1; 10]);
        assert_eq!(
            paid.unwrap().into_iter().collect::<Vec<_>>(),
            [(payout(1), vec![first])]
        );
        assert_eq!(store.batches_to_tell(10).await, Ok(vec![]));
        store.close().await;
    }
}

/// What reports had otherwise before accounts had discrepancies.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_version_31_has_found_is_as_it_was() {
    for database in [
        TestDatabase::empty_sqlite(),
        TestDatabase::empty_postgres().await,
    ] {
        make_version(&database, 31).await;
        let import = ImportId::from_parts(NOW, [1; 10]);
        database
            .execute(&format!(
                "INSERT INTO settlement_differences (id, import_id, kind, host_id, business_date, currency, ours, theirs, \
                 line, found_at_ms, rule, state, owner, due_at_ms, updated_at_ms, version, position) VALUES ('dis_1', \
                 '{import}', 'AMOUNT_DIFFERS', 'acquirer', '2026-11-01', 'EUR', '100', '101', 2, 5, 'rrn', \
                 'ASSIGNED', 'alice', 6, 7, 3, 9)"
            ))
            .await;
        migrate(&database.config).await.unwrap();
        let store = database.open().await;
        let found = store.discrepancy("dis_1", None).await.unwrap().unwrap();
        let in_report = found.found.in_report().unwrap();
        assert_eq!(in_report.import_id, import);
        let difference = &in_report.difference;
        let sides = (difference.ours.as_deref(), difference.theirs.as_deref());
        assert_eq!(
            (sides, difference.line),
            ((Some("100"), Some("101")), Some(2))
        );
        assert_eq!((found.state.name(), found.version), ("ASSIGNED", 3));
        let moments = [Some(found.found_at), found.due_at, Some(found.updated_at)];
        let expected = [5, 6, 7].map(|it| Some(UnixMillis::new(it)));
        assert_eq!(moments, expected);
        assert_eq!(
            found.owner.map(|it| it.to_string()).as_deref(),
            Some("alice")
        );
        store.close().await;
    }
}

async fn database_of_version_2(database: &TestDatabase) {
    make_version_2(database).await;
    database.execute(include_str!("version_2.sql")).await;
}

/// Everything that `version_2.sql` holds, read and used through the store.
async fn check_version_2(store: &Store) {
    let shop = store.merchant(&"shop".parse().unwrap()).await.unwrap();
    let shop = shop.unwrap();
    assert_eq!(
        (&*shop.city, &*shop.terminal_id, &*shop.time_zone),
        ("Köln", "T0000001", "UTC")
    );
    let key = store.api_key("pk_1").await.unwrap().unwrap();
    assert_eq!(key.label, "till");
    let connections = store.list_connections(10, None).await.unwrap();
    assert_eq!(
        connections[0].connection.identity.as_deref(),
        Some("merchant shop")
    );
    let quarantined = store.list_quarantine(10, None).await.unwrap();
    assert_eq!(quarantined[0].message, "0110 of nobody");
    let shop = "shop".parse().unwrap();
    let filter = PaymentFilter::default();
    let page = store
        .list_payments(&shop, &filter, ListOrder::OldestFirst, 10, None)
        .await
        .unwrap();
    let names: Vec<_> = page.items.iter().map(|it| it.state.name()).collect();
    assert_eq!(
        names,
        [
            "AUTHORIZED",
            "DECLINED",
            "AUTHORIZING",
            "AUTHORIZING",
            "AUTHORIZING"
        ]
    );
    for (number, payment) in page.items.iter().enumerate() {
        let operations = store.operations_of(payment.id).await.unwrap();
        // A reversal that was owed can't be sent, because no card was kept.
        let owed = &operations[1..];
        assert_eq!(
            owed.len(),
            usize::from((2..4).contains(&number)),
            "{number}"
        );
        for reversal in owed {
            let suspended = OperationState::Suspended {
                reason: SuspendReason::NoCard,
                response_code: None,
            };
            assert_eq!(reversal.state, suspended);
            assert_eq!(reversal.original_id, Some(operations[0].id));
            assert_eq!(operations[0].state.name(), "UNKNOWN");
        }
        let request_id = format!("request-{number}");
        let recorded = store.find_answer(&shop, METHOD, &request_id).await.unwrap();
        let recorded = recorded.unwrap();
        assert_eq!(recorded.body_hash, [7; 32]);
        // What was answered last is how the payment still is; the last one is in progress.
        // What was answered last is how both still are; the last one is in progress.
        let answer = recorded
            .answer
            .map(|(payment, operation)| (*payment, *operation));
        let standing = (payment.clone(), operations[0].clone());
        assert_eq!(answer, (number < 4).then_some(standing));
        let late = store.late_response(operations[0].id).await.unwrap();
        assert_eq!(late.is_some(), number == 2);
    }
    assert_eq!(store.owed().await.len(), 2);
    let open = store
        .unfinished_operations(UnixMillis::new(i64::MAX), 10, None)
        .await;
    let open: Vec<_> = open.unwrap().found.into_iter().map(|it| it.0.id).collect();
    assert_eq!(open, [page.items[4].id]);
    let numbers = store
        .reserve_sequence(&"acquirer".parse().unwrap(), NumberDate::of(NOW), 10)
        .await;
    assert_eq!(numbers, Ok(2_000..2_010));

    let mut again = intent("shop");
    again.claim.request_id = "request-0".into();
    assert_eq!(store.record_intent(&again).await, Ok(Verdict::RequestTaken));
    let mut replayed = intent("shop");
    replayed.claim.request_id = "new".into();
    replayed.envelope.as_mut().unwrap().jti = "jti-6".into();
    assert_eq!(
        store.record_intent(&replayed).await,
        Ok(Verdict::EnvelopeUsed)
    );
    let mut new = intent("shop");
    new.claim.request_id = "new".into();
    new.envelope.as_mut().unwrap().jti = "new".into();
    assert_eq!(store.record_intent(&new).await, Ok(COMMITTED));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_the_version_before_opens_and_goes_on() {
    for database in [
        TestDatabase::empty_sqlite(),
        TestDatabase::empty_postgres().await,
    ] {
        database_of_version_2(&database).await;
        let too_old = open(&database.config).await.unwrap_err();
        assert!(
            matches!(too_old, StoreError::Schema { found: 2, .. }),
            "{too_old}"
        );
        let report = migrate(&database.config).await.unwrap();
        assert_eq!(report.applied, SINCE_VERSION_2);
        let store = database.open().await;
        check_version_2(&store).await;
        store.close().await;
    }
}

/// A migration that is killed leaves nothing behind, wherever it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_that_is_killed_is_begun_again() {
    for database in [
        TestDatabase::empty_sqlite(),
        TestDatabase::empty_postgres().await,
    ] {
        database_of_version_2(&database).await;
        let engine = database.engine();
        let text = for_engine(
            engine,
            include_str!("../../../migrations/0003_operations.sql"),
        );
        let statements: Vec<&str> = text.split_inclusive(";\n").collect();
        for done in [1, statements.len() / 2, statements.len()] {
            let options: AnyConnectOptions = database.url.parse().unwrap();
            let mut connection = options.connect().await.unwrap();
            let begin = "BEGIN; INSERT INTO schema_migrations VALUES (3, 'operations', 'x', 0);";
            let killed = [&[begin], &statements[..done]].concat().concat();
            sqlx::raw_sql(AssertSqlSafe(killed))
                .execute(&mut connection)
                .await
                .unwrap();
            // The transaction ends with its connection, as it does when the process is killed.
            connection.close().await.unwrap();
        }
        let report = migrate(&database.config).await.unwrap();
        assert_eq!(report.applied, SINCE_VERSION_2);
        let store = database.open().await;
        check_version_2(&store).await;
        store.close().await;
    }
}

/// Its COMMIT is lost, or the confirmation of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_migration_whose_server_went_away_is_begun_again_or_done() {
    for (at_commit, applied) in [
        (LOSE_COMMIT, SINCE_VERSION_2),
        (LOSE_CONFIRMATION, &SINCE_VERSION_2[1..]),
    ] {
        let database = TestDatabase::empty_postgres().await;
        database_of_version_2(&database).await;
        let (config, plan) = config_on_a_wire(&database).await;
        plan.store(at_commit, Ordering::SeqCst);
        fails!(migrate(&config).await, Unavailable);
        let report = migrate(&database.config).await.unwrap();
        assert_eq!(report.applied, applied);
        let store = database.open().await;
        check_version_2(&store).await;
        store.close().await;
    }
}

#[tokio::test]
async fn of_two_migrations_at_once_each_step_is_applied_once() {
    let database = TestDatabase::empty_postgres().await;
    let (one, two) = tokio::join!(migrate(&database.config), migrate(&database.config));
    let applied = one.unwrap().applied.len() + two.unwrap().applied.len();
    assert_eq!(applied, 2 + SINCE_VERSION_2.len());
}

#[tokio::test]
async fn a_database_that_was_not_migrated_is_refused() {
    let sqlite = TestDatabase::empty_sqlite();
    let missing = open(&sqlite.config).await.unwrap_err();
    assert!(
        missing.to_string().contains("payswitch migrate"),
        "{missing}"
    );
    assert!(!sqlite.path().exists());
    std::fs::write(sqlite.path(), "").unwrap();
    for database in [sqlite, TestDatabase::empty_postgres().await] {
        let error = open(&database.config).await.unwrap_err();
        let expected = StoreError::Schema {
            found: 0,
            needed: schema::NEEDED,
            advice: "run `payswitch migrate`",
        };
        assert_eq!(error, expected);
    }
}

async fn another_schema_is_refused(database: TestDatabase) {
    database
        .execute("INSERT INTO schema_migrations VALUES (99, 'later', 'x', 0)")
        .await;
    let opened = open(&database.config).await.map(drop);
    for refused in [opened, migrate(&database.config).await.map(drop)] {
        assert!(
            matches!(
                refused,
                Err(StoreError::Schema {
                    found: 99,
                    needed: schema::NEEDED,
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
    let error = open(&database.config).await.unwrap_err();
    assert!(
        matches!(error, StoreError::MigrationChanged { version: 1, .. }),
        "{error}"
    );
}
