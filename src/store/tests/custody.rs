//! Cards in custody: written with the intent, removed with the outcome or when they have ended; and data keys that are
//! destroyed for good.

use std::str::FromStr;

use sqlx::any::AnyConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row};

use super::make::{Intent, NOW, approved, intent, intent_at, unknown};
use super::on_both;
use crate::payment::custody::{CustodyEnd, CustodyEntry};
use crate::payment::ids::PaymentId;
use crate::payment::moment::UnixMillis;
use crate::store::Store;
use crate::store::change::{Change, NewCard, PaymentChange};
use crate::store::database::engine::Engine;
use crate::store::records::{CardsCounted, CustodyKey};
use crate::store::testing::TestDatabase;

on_both!(
    custody_ends_with_the_commit,
    cards_that_have_ended_are_removed,
    no_file_holds_a_destroyed_key,
);

fn entry(key_version: i64) -> CustodyEntry {
    CustodyEntry {
        key_version,
        sealed: "c2VhbGVk".into(),
    }
}

async fn record(store: &Store, intent: &Intent, key_version: i64) {
    let card = NewCard {
        entry: Some(entry(key_version)),
        velocity: "00ff".into(),
    };
    let change = Change {
        claim: Some(&intent.claim),
        payment: Some(PaymentChange::New {
            payment: &intent.payment,
            card: Some(&card),
        }),
        new_operation: Some(&intent.operation),
        ..Change::default()
    };
    store.commit(&change).await.unwrap();
}

/// Every payment named around `NOW`.
fn around_now() -> (PaymentId, PaymentId) {
    (
        PaymentId::from_parts(NOW.plus_ms(-60_000), [0; 10]),
        PaymentId::from_parts(NOW.plus_ms(60_000), [0xff; 10]),
    )
}

async fn custody_ends_with_the_commit(database: TestDatabase) {
    let store = database.open().await;
    for (end, kept) in [
        (CustodyEnd::Unchanged, true),
        (CustodyEnd::At(NOW.plus_ms(5)), true),
        (CustodyEnd::Now, false),
    ] {
        // The payment as the outcome expects it, and one that something else has changed.
        for moved_on in [false, true] {
            let mut intent = intent("shop");
            intent.payment.fingerprint = Some("0123".into());
            record(&store, &intent, 7).await;
            let id = intent.payment.id;
            assert_eq!(store.custody_entry(id).await, Ok(Some(entry(7))));
            if moved_on {
                let moved = format!("UPDATE payments SET version = 9 WHERE id = '{id}'");
                database.execute(&moved).await;
            }
            let mut outcome = approved(&intent);
            outcome.adjustment.custody = end;
            store.record_outcome(&outcome).await.unwrap();
            let expected = kept.then(|| entry(7));
            let standing = store.custody_entry(id).await;
            assert_eq!(standing, Ok(expected), "{end:?} {moved_on}");
            let payment = store.payment(&intent.payment.merchant_id, id).await;
            let payment = payment.unwrap().unwrap();
            assert_eq!(payment.state.name(), "AUTHORIZED");
            assert_eq!(payment.fingerprint.as_deref(), Some("0123"));
        }
    }
    // What another message needs stays until that is not owed any more.
    for (version, change) in [(1, 1250), (1, 0), (9, 1250)] {
        let (ended, other) = (intent("shop"), intent("shop"));
        record(&store, &ended, 7).await;
        store.record_intent(&other).await.unwrap();
        let (id, other) = (ended.payment.id, other.operation.id);
        for text in [
            format!("UPDATE operations SET open = 2, payment_id = '{id}' WHERE id = '{other}'"),
            format!("UPDATE payments SET version = {version} WHERE id = '{id}'"),
        ] {
            database.execute(&text).await;
        }
        let mut outcome = approved(&ended);
        outcome.adjustment.custody = CustodyEnd::Now;
        outcome.adjustment.change.authorized_minor = change;
        store.record_outcome(&outcome).await.unwrap();
        let kept = store.custody_entry(id).await;
        assert_eq!(kept, Ok(Some(entry(7))), "{version} {change}");
        let paid = format!("UPDATE operations SET open = 0 WHERE id = '{other}'");
        database.execute(&paid).await;
        store.end_custody(7, around_now(), NOW).await.unwrap();
        assert_eq!(store.custody_entry(id).await, Ok(None));
    }
    store.close().await;
}

/// More payments than are looked at in one go: some end at the time, some later, some have no end yet, and some are
/// sealed under another key.
async fn cards_that_have_ended_are_removed(database: TestDatabase) {
    const PAYMENTS: i64 = 1_200;
    let store = database.open().await;
    let ends = NOW.plus_ms(1000);
    let mut tasks = Vec::new();
    for number in 0..PAYMENTS {
        let store = store.clone();
        tasks.push(tokio::spawn(async move {
            let intent = intent_at("shop", NOW.plus_ms(number));
            record(&store, &intent, 7 + i64::from(number % 4 == 3)).await;
            let mut outcome = approved(&intent);
            outcome.adjustment.custody = match number % 4 {
                0 => CustodyEnd::At(ends),
                1 => CustodyEnd::At(ends.plus_ms(number)),
                2 => return (number, intent.payment.id),
                _ => CustodyEnd::At(ends),
            };
            store.record_outcome(&outcome).await.unwrap();
            (number, intent.payment.id)
        }));
    }
    let mut payments = Vec::new();
    for task in tasks {
        payments.push(task.await.unwrap());
    }
    let counted = |kept, next_end| CardsCounted { kept, next_end };
    let early = ends.plus_ms(-1);
    let first = store.end_custody(7, around_now(), early).await;
    assert_eq!(first, Ok(counted(900, early)), "nothing has ended");
    // One that is owed keeps its card, and its key with it.
    let owed = payments[0].1;
    let open = async |open: i64| {
        let text = format!("UPDATE operations SET open = {open} WHERE payment_id = '{owed}'");
        database.execute(&text).await;
    };
    open(2).await;
    let owing = store.end_custody(7, around_now(), ends).await;
    assert_eq!(owing, Ok(counted(601, ends)));
    assert!(store.custody_entry(owed).await.unwrap().is_some());
    open(0).await;
    let second = store.end_custody(7, around_now(), ends).await;
    assert_eq!(second, Ok(counted(600, ends)));
    for (number, id) in &payments {
        let kept = store.custody_entry(*id).await.unwrap().is_some();
        assert_eq!(kept, number % 4 != 0, "{number}");
    }
    // Those without an end end with their key.
    let undated: Vec<_> = payments
        .iter()
        .filter(|(number, _)| number % 4 == 2)
        .collect();
    let (from, to) = (undated[0].1, undated[299].1);
    let all = UnixMillis::new(i64::MAX);
    let range = (PaymentId::from_parts(NOW, [0; 10]), to);
    assert!(from > range.0);
    let third = store.end_custody(7, range, all).await;
    assert_eq!(third, Ok(counted(0, all)));
    let rest = store.end_custody(8, around_now(), early).await;
    assert_eq!(rest, Ok(counted(300, ends)));
    store.close().await;
}

/// Whether a file of the database holds a text: on PostgreSQL the server itself looks.
async fn holds(database: &TestDatabase, text: &str) -> bool {
    match database.engine() {
        Engine::Sqlite => ["", "-wal"].iter().any(|ending| {
            let mut path = database.path().into_os_string();
            path.push(ending);
            let content = std::fs::read(&path).unwrap();
            content
                .windows(text.len())
                .any(|part| part == text.as_bytes())
        }),
        Engine::Postgres => {
            let mut connection = AnyConnectOptions::from_str(&database.url)
                .unwrap()
                .connect()
                .await
                .unwrap();
            let query = format!(
                "SELECT COUNT(*) FROM (SELECT 'base/' || oid || '/' AS folder FROM pg_database \
                    WHERE datname = current_database()) AS own, LATERAL pg_ls_dir(own.folder) AS file \
                 WHERE position('{text}'::bytea IN \
                    pg_read_binary_file(own.folder || file, 0, 100000000, true)) > 0"
            );
            let found = sqlx::query(AssertSqlSafe(query));
            let found: i64 = found.fetch_one(&mut connection).await.unwrap().get(0);
            connection.close().await.unwrap();
            found > 0
        }
    }
}

/// Keys that fill several pages, were counted, and are not the last.
async fn no_file_holds_a_destroyed_key(database: TestDatabase) {
    let store = database.open().await;
    let key = |key_version: i64| CustodyKey {
        key_version,
        wrapped: format!("wrapped-{key_version:03}-{}", "x".repeat(70)),
        created_at: NOW,
        expires_at: NOW.plus_ms(1000),
        entries: None,
        next_count: NOW,
    };
    for version in 1..=120 {
        let key = key(version);
        store.insert_custody_key(&key).await.unwrap();
        let counted = store.set_custody_count(&key, Some(version), NOW.plus_ms(version));
        assert_eq!(counted.await, Ok(true));
    }
    let again = store.set_custody_count(&key(1), Some(0), NOW).await;
    assert_eq!(again, Ok(false), "somebody else has counted");
    let other = CustodyKey {
        wrapped: "another".into(),
        ..key(120)
    };
    store.insert_custody_key(&other).await.unwrap();
    if database.engine() == Engine::Postgres {
        database.execute("CHECKPOINT").await;
    }
    assert!(holds(&database, "wrapped-001-").await);
    let destroyed: Vec<i64> = (1..=119).filter(|version| version % 7 != 0).collect();
    store.destroy_custody_keys(&destroyed).await.unwrap();
    let left = store.custody_keys(1000, None).await.unwrap();
    let versions: Vec<i64> = left.iter().map(|key| key.key_version).collect();
    let mut expected: Vec<i64> = (1..=120).filter(|it| !destroyed.contains(it)).collect();
    expected.reverse();
    assert_eq!(versions, expected);
    assert_eq!(left[0].wrapped, key(120).wrapped);
    assert_eq!(left[1].entries, Some(left[1].key_version));
    for version in 1..=120 {
        let found = holds(&database, &format!("wrapped-{version:03}-")).await;
        assert_eq!(found, !destroyed.contains(&version), "{version}");
    }
    let page = store.custody_keys(2, Some(120)).await.unwrap();
    assert_eq!(page, left[1..3]);
    // An intent and its outcome go on being recorded.
    let intent = intent("shop");
    store.record_intent(&intent).await.unwrap();
    store.record_outcome(&unknown(&intent)).await.unwrap();
    store.close().await;
}
