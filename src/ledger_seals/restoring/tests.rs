use crate::clock::{Clock as _, SystemClock};
use crate::payment::ids::{AuditId, HostId};
use crate::payment::moment::NumberDate;
use crate::payment::reference::after_restores;
use crate::payment::samples::NOW;
use crate::store::records::callers::AuditRecord;
use crate::store::testing::TestDatabase;

use super::super::tests::{Path, captured, sealed_twice, sealer, verify};

/// The database as it was after the first seal.
const OLDER: &str = "DELETE FROM journals WHERE position > 3; DELETE FROM ledger_lines WHERE position > 3; \
    DELETE FROM events WHERE position > 3; UPDATE positions SET next = 4; \
    DELETE FROM operations WHERE payment_id NOT IN (SELECT payment_id FROM events); \
    DELETE FROM payments WHERE id NOT IN (SELECT payment_id FROM events); \
    DELETE FROM ledger_seals WHERE number > 1; DELETE FROM audit; \
    UPDATE stores SET epoch = 1, restored_at_ms = 0, first_number = 0, numbers_until = NULL; \
    UPDATE sequences SET next_number = 10";

async fn a_restored_database_is_noticed_and_begins_an_epoch(database: TestDatabase) {
    let (path, other_path) = (Path::new(), Path::new());
    let (store, sealer) = sealed_twice(&database, &path).await;
    let (host, other): (HostId, HostId) = ("a-host".parse().unwrap(), "other".parse().unwrap());
    let now = SystemClock.now();
    let [today, tomorrow, later] = [0, 1, 2].map(|days| NumberDate::of(now.plus_days(days)));
    let number = async |host: &HostId, date| {
        let block = store.reserve_sequence(host, date, 10).await;
        block.unwrap().start
    };
    assert_eq!(number(&host, today).await, 0);
    assert_eq!(sealer.older().await.unwrap(), None);
    assert!(!sealer.restoration(0).await.unwrap().is_older);
    std::fs::copy(&path.0, &other_path.0).unwrap();

    database.execute(OLDER).await;
    let older = sealer.older().await.unwrap().unwrap();
    assert_eq!(
        (older.outside.sealed.number, older.outside.sealed.to),
        (2, 8)
    );
    assert_eq!((older.epoch, older.position), (1, 3));
    let first = sealer.restoration(0).await.unwrap();
    assert!(first.is_older);
    assert_eq!(
        (first.before.epoch, first.after.epoch, first.position),
        (1, 2, 3)
    );
    let left_out = first.left_out.last().unwrap();
    assert_eq!((left_out.host_id, left_out.date), (host, today));
    assert_eq!((left_out.first, left_out.end), (10, after_restores(10, 1)));
    // It was restored once before, and nothing tells of that.
    let lost = sealer.restoration(1).await.unwrap();
    assert_eq!(lost.after.epoch, 3);
    assert_eq!(lost.left_out.last().unwrap().end, after_restores(10, 2));
    let audit = |epoch| AuditRecord {
        id: AuditId::from_parts(NOW, [7; 10]),
        at: NOW,
        operator: "command-line".into(),
        action: "restored".into(),
        target: String::new(),
        reason: "a test".into(),
        request_id: format!("restored-{epoch}"),
        body_hash: [0; 32],
        outcome: None,
        answer: Vec::new(),
    };
    sealer.begin_epoch(&first, &audit(2)).await.unwrap();
    assert_eq!(store.identity().await.unwrap(), first.after);
    assert_eq!(sealer.older().await.unwrap(), None);
    assert!(!sealer.restoration(0).await.unwrap().is_older);
    // Begun by two, it is begun once.
    sealer.begin_epoch(&first, &audit(2)).await.unwrap_err();
    assert_eq!(store.seals_after(0, 10).await.unwrap().len(), 2);

    let begin = after_restores(0, 1);
    assert_eq!(number(&host, today).await, after_restores(10, 1));
    assert_eq!(number(&other, today).await, begin);
    assert_eq!(number(&host, tomorrow).await, begin);
    assert_eq!(number(&host, later).await, 0);
    // The file of another node ends with a seal that was lost, and gets the first one of the epoch.
    let elsewhere = self::sealer(&store, &other_path);
    assert_eq!(elsewhere.older().await.unwrap(), None);
    captured(&store, &[250]).await;
    sealer.seal().await.unwrap();
    elsewhere.seal().await.unwrap();
    for mut sealer in [elsewhere, self::sealer(&store, &path)] {
        sealer.seals_at_once = 1;
        let verified = verify(&sealer).await;
        assert_eq!(verified.findings, []);
        let end = verified.end.unwrap();
        assert_eq!((end.sealed_to, end.seals_in_file), (5, Some(4)));
    }

    // The same backup once more, on the same day.
    database.execute(OLDER).await;
    let second = sealer.restoration(0).await.unwrap();
    assert!(second.is_older);
    assert_eq!((second.before.epoch, second.after.epoch), (1, 3));
    assert_eq!(second.after.first_number, after_restores(0, 2));
    sealer.begin_epoch(&second, &audit(3)).await.unwrap();
    assert_eq!(number(&host, today).await, after_restores(10, 2));
    assert_eq!(verify(&sealer).await.findings, []);
    // To take away a seal of an epoch is no restore.
    database
        .execute("DELETE FROM ledger_seals WHERE number = 1")
        .await;
    assert_ne!(verify(&sealer).await.findings, []);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_database_begins_an_epoch_on_sqlite() {
    a_restored_database_is_noticed_and_begins_an_epoch(TestDatabase::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_database_begins_an_epoch_on_postgres() {
    a_restored_database_is_noticed_and_begins_an_epoch(TestDatabase::postgres().await).await;
}
