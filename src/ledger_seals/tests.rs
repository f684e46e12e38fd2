use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::seal_file::{SealFile, own_seal};
use super::sealer::{LedgerSealer, SealingError};
use super::verification::{FindingKind as Kind, Verification};
use crate::clock::SystemClock;
use crate::ledger::seal::{SealKey, Sealed};
use crate::payment::adjustment::Adjustment;
use crate::payment::amounts::Amounts;
use crate::payment::custody::CustodyEnd;
use crate::payment::event::PaymentEvent;
use crate::payment::ids::{OperationId, PaymentId};
use crate::payment::operation::OperationState;
use crate::payment::operation_kind::OperationKind;
use crate::payment::record::{Operation, Payment};
use crate::payment::reference::SequenceNumber;
use crate::payment::samples::{self, NOW};
use crate::store::Store;
use crate::store::change::{Change, OperationStep, PaymentChange, Verdict};
use crate::store::testing::TestDatabase;

fn operation() -> Operation {
    static NUMBER: AtomicU64 = AtomicU64::new(1);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let mut random = [0; 10];
    random[2..].copy_from_slice(&number.to_be_bytes());
    let sample = samples::operation();
    let sequence = SequenceNumber::new(number).unwrap();
    Operation {
        id: OperationId::from_parts(NOW, random),
        payment_id: PaymentId::from_parts(NOW, random),
        stan: sequence.stan(),
        rrn: sequence.rrn(sample.number_date),
        ..sample
    }
}

async fn adjust(
    store: &Store,
    payment: &mut Payment,
    event: PaymentEvent,
    change: Amounts,
    (step, new_operation): (Option<&Operation>, Option<&Operation>),
) {
    let adjustment = Adjustment {
        event,
        change,
        at: NOW,
        custody: CustodyEnd::Unchanged,
    };
    *payment = *adjustment.apply(Box::new(payment.clone())).unwrap();
    let change = Change {
        payment: Some(PaymentChange::Adjusted {
            expected: payment,
            adjustment: &adjustment,
        }),
        step: step.map(|operation| OperationStep {
            operation,
            answers: false,
        }),
        new_operation,
        ..Change::default()
    };
    let verdict = store.commit(&change).await;
    assert_eq!(verdict, Ok(Verdict::Committed { payment: None }));
}

/// A payment of 12.50 EUR that is authorized, and captured in parts: one event more than there are captures.
pub(super) async fn captured(store: &Store, captures: &[i64]) {
    let mut operation = operation();
    let mut payment = samples::payment_of(&operation);
    let change = Change {
        payment: Some(PaymentChange::New {
            payment: &payment,
            card: None,
        }),
        new_operation: Some(&operation),
        ..Change::default()
    };
    let verdict = store.commit(&change).await;
    assert_eq!(verdict, Ok(Verdict::Committed { payment: None }));
    let approval = samples::approval();
    operation.state = OperationState::Approved {
        approval: approval.clone(),
        acknowledged: None,
    };
    operation.version = 2;
    let event = PaymentEvent::Approved {
        approval,
        expires_at: NOW.plus_ms(1_000_000),
    };
    let authorized = Amounts {
        authorized_minor: 1250,
        ..Amounts::ZERO
    };
    adjust(
        store,
        &mut payment,
        event,
        authorized,
        (Some(&operation), None),
    )
    .await;
    for &captured_minor in captures {
        let capture = Operation {
            kind: OperationKind::Capture,
            payment_id: payment.id,
            ..self::operation()
        };
        let change = Amounts {
            captured_minor,
            ..Amounts::ZERO
        };
        let event = PaymentEvent::Captured;
        adjust(store, &mut payment, event, change, (None, Some(&capture))).await;
    }
}

/// The path of a file of seals, which is gone afterwards.
pub(super) struct Path(pub(super) PathBuf);

impl Path {
    pub(super) fn new() -> Self {
        Self(std::env::temp_dir().join(format!("payswitch-seals-{}", operation().id)))
    }
}

impl Drop for Path {
    fn drop(&mut self) {
        // What can't be removed is in the temporary directory, where it does no harm.
        drop(std::fs::remove_file(&self.0));
    }
}

pub(super) fn sealer(store: &Store, path: &Path) -> LedgerSealer {
    LedgerSealer::new(
        store.clone(),
        SealKey::from_seed(&[7; 32]).unwrap(),
        Some(SealFile::at(path.0.clone())),
        Arc::new(SystemClock),
    )
}

/// Everything that is found, over all parts.
pub(super) async fn verify(sealer: &LedgerSealer) -> Verification {
    let mut all = Verification::default();
    let mut after = Some(0);
    while let Some(seal) = after {
        let part = sealer.verify(seal).await.unwrap();
        all.findings.extend(part.findings);
        all.seals += part.seals;
        all.journals += part.journals;
        all.end = part.end;
        after = part.next;
    }
    all
}

/// Two seals over positions 1 to 3 and 4 to 8: journals at 2, 3, 5, 7 and 8. After them position 9 and a journal at 10.
pub(super) async fn sealed_twice(database: &TestDatabase, path: &Path) -> (Store, LedgerSealer) {
    let store = database.open().await;
    let sealer = sealer(&store, path);
    captured(&store, &[500, 300]).await;
    sealer.seal().await.unwrap();
    captured(&store, &[100]).await;
    captured(&store, &[200, 300]).await;
    sealer.seal().await.unwrap();
    captured(&store, &[400]).await;
    (store, sealer)
}

async fn what_is_untouched_is_as_it_was_sealed(database: TestDatabase) {
    let path = Path::new();
    let (store, sealer) = sealed_twice(&database, &path).await;
    let verified = verify(&sealer).await;
    assert_eq!(verified.findings, []);
    assert_eq!((verified.seals, verified.journals), (2, 6));
    let end = verified.end.unwrap();
    assert_eq!((end.sealed_to, end.unsealed_positions), (8, 2));
    assert_eq!((end.unsealed_journals, end.seals_in_file), (1, Some(2)));
    let mut lines = Vec::new();
    let file = SealFile::at(path.0.clone());
    file.read(|line| lines.push(own_seal(line, &sealer.public_key()).unwrap()))
        .unwrap();
    let ranges = lines.iter().map(|seal| (seal.sealed.from, seal.sealed.to));
    assert!(ranges.eq([(1, 3), (4, 8)]));
    assert_eq!(lines[1].sealed.previous, lines[0].hash());
    // Part by part it is the same.
    let mut in_parts = self::sealer(&store, &path);
    in_parts.seals_at_once = 1;
    let first = in_parts.verify(0).await.unwrap();
    assert_eq!((first.seals, first.next, first.end), (1, Some(1), None));
    assert_eq!(verify(&in_parts).await, verified);
    assert_eq!(in_parts.verify(i64::MIN).await.unwrap(), first);
    // Nothing is sealed twice, and nothing that is not there.
    sealer.seal().await.unwrap();
    sealer.seal().await.unwrap();
    assert_eq!(verify(&sealer).await.end.unwrap().sealed_to, 10);
    assert_eq!(store.seals_after(0, 10).await.unwrap().len(), 3);
    store.close().await;
}

#[tokio::test]
async fn nothing_changes_on_sqlite() {
    what_is_untouched_is_as_it_was_sealed(TestDatabase::sqlite().await).await;
}

#[tokio::test]
async fn nothing_changes_on_postgres() {
    what_is_untouched_is_as_it_was_sealed(TestDatabase::postgres().await).await;
}

#[tokio::test]
async fn what_was_changed_by_hand_is_found_and_its_place_is_said() {
    // What is done, and what is found: its kind, the seal and the positions.
    type Found = (Kind, Option<i64>, i64, i64);
    let rows: [(&str, &[Found]); 12] = [
        (
            "UPDATE ledger_lines SET amount_minor = amount_minor + 1 WHERE position = 5 AND n = 0",
            &[(Kind::JournalAltered, Some(2), 5, 5)],
        ),
        (
            "UPDATE ledger_lines SET account = 'nonsense' WHERE position = 10",
            &[
                (Kind::JournalAltered, None, 10, 10),
                (Kind::PaymentDiffers, None, 9, 10),
            ],
        ),
        (
            "DELETE FROM ledger_lines WHERE position = 2 AND n = 1",
            &[(Kind::JournalAltered, Some(1), 2, 2)],
        ),
        (
            "DELETE FROM journals WHERE position = 5",
            &[
                (Kind::LinesWithoutJournal, Some(2), 5, 5),
                (Kind::JournalsDiffer, Some(2), 4, 8),
                (Kind::PaymentDiffers, Some(2), 4, 5),
            ],
        ),
        (
            "DELETE FROM journals WHERE position = 5; DELETE FROM ledger_lines WHERE position = 5",
            &[
                (Kind::JournalsDiffer, Some(2), 4, 8),
                (Kind::PaymentDiffers, Some(2), 4, 5),
            ],
        ),
        // Not sealed yet: only the payment tells.
        (
            "DELETE FROM journals WHERE position = 10; \
             DELETE FROM ledger_lines WHERE position = 10",
            &[(Kind::PaymentDiffers, None, 9, 10)],
        ),
        // Another journal with a hash of its own.
        (
            "INSERT INTO journals SELECT stream, 4, 'op_x:capture', NULL, at_ms, \
             '6a09e667f3bcc908bb67ae8584caa73b3c6ef372fe94f82ba54ff53a5f1d36f1' \
             FROM journals WHERE position = 5",
            &[
                (Kind::JournalAltered, Some(2), 4, 4),
                (Kind::JournalsDiffer, Some(2), 4, 8),
            ],
        ),
        // The hash of another journal: its own lines do not fit, and the seal does not either.
        (
            "UPDATE journals SET content_sha256 = (SELECT content_sha256 FROM journals \
             WHERE position = 7) WHERE position = 5",
            &[
                (Kind::JournalAltered, Some(2), 5, 5),
                (Kind::JournalsDiffer, Some(2), 4, 8),
            ],
        ),
        (
            "UPDATE ledger_seals SET line = REPLACE(line, 'seal 1 1 1 3 2 ', 'seal 1 1 1 3 3 ') \
             WHERE number = 1",
            &[
                (Kind::SealAltered, Some(1), 1, 3),
                (Kind::ChainBroken, Some(2), 4, 8),
                (Kind::SealAltered, Some(1), 1, 3),
            ],
        ),
        (
            "DELETE FROM ledger_seals WHERE number = 1",
            &[
                (Kind::SealMissing, None, 1, 1),
                (Kind::CutOff, Some(1), 1, 3),
            ],
        ),
        // The end is cut off, with its seal.
        (
            "DELETE FROM journals WHERE position > 3; DELETE FROM ledger_lines WHERE position > 3; \
             DELETE FROM ledger_seals WHERE number > 1",
            &[
                (Kind::PaymentDiffers, None, 4, 5),
                (Kind::PaymentDiffers, None, 6, 8),
                (Kind::PaymentDiffers, None, 9, 10),
                (Kind::CutOff, Some(2), 4, 8),
            ],
        ),
        (
            "DELETE FROM journals WHERE position > 3; DELETE FROM ledger_lines WHERE position > 3; \
             DELETE FROM events WHERE position > 3; UPDATE positions SET next = 4",
            &[
                (Kind::JournalsDiffer, Some(2), 4, 8),
                (Kind::CutOff, Some(2), 4, 8),
            ],
        ),
    ];
    for (done, expected) in rows {
        let (database, path) = (TestDatabase::sqlite().await, Path::new());
        let (store, sealer) = sealed_twice(&database, &path).await;
        database.execute(done).await;
        let found = verify(&sealer).await.findings;
        let found: Vec<_> = found
            .iter()
            .map(|it| (it.kind, it.seal, it.first, it.last))
            .collect();
        assert_eq!(found, expected, "{done}");
        store.close().await;
    }
}

#[tokio::test]
async fn two_nodes_make_one_chain_and_a_file_ahead_of_the_database_is_left_alone() {
    let database = TestDatabase::postgres().await;
    let (path, other_path) = (Path::new(), Path::new());
    let (store, first) = sealed_twice(&database, &path).await;
    let other_store = database.open().await;
    let second = sealer(&other_store, &other_path);
    let (one, other) = tokio::join!(first.seal(), second.seal());
    one.unwrap();
    other.unwrap();
    for sealer in [&first, &second] {
        sealer.seal().await.unwrap();
        let verified = verify(sealer).await;
        assert_eq!(verified.findings, []);
        assert_eq!(verified.end.unwrap().seals_in_file, Some(3));
    }
    database
        .execute("DELETE FROM ledger_seals WHERE number = 3")
        .await;
    database.execute("UPDATE positions SET next = 9").await;
    let refused = first.seal().await;
    assert!(
        matches!(refused, Err(SealingError::Ahead { number: 3 })),
        "{refused:?}"
    );
    store.close().await;
    other_store.close().await;
}

/// The line of a seal with this number, of the installation with this key.
pub(super) fn line(number: i64, key: &SealKey) -> String {
    let sealed = Sealed {
        number,
        epoch: 1,
        from: number,
        to: number,
        journals: 0,
        root: [1; 32],
        previous: [2; 32],
        at: NOW,
    };
    format!("{}\n", key.seal(sealed))
}

#[tokio::test]
async fn lines_of_others_in_the_file_are_named_and_sealing_goes_on() {
    let (database, path) = (TestDatabase::sqlite().await, Path::new());
    let (store, sealer) = sealed_twice(&database, &path).await;
    let own = std::fs::read_to_string(&path.0).unwrap();
    let (first, second) = own.split_once('\n').unwrap();
    let foreign = line(3, &SealKey::from_seed(&[8; 32]).unwrap());
    let unsigned = line(3, &sealer.key).replace("seal 1 3 3 ", "seal 1 3 4 ");
    std::fs::write(&path.0, format!("{second}note\n{foreign}{unsigned}")).unwrap();
    let sealer = self::sealer(&store, &path);
    let told = sealer.seal().await;
    assert!(matches!(told, Err(SealingError::Foreign)), "{told:?}");
    let verified = verify(&sealer).await;
    let found: Vec<_> = verified
        .findings
        .iter()
        .map(|it| (it.kind, it.text.as_str()))
        .collect();
    assert_eq!(
        found,
        [
            (Kind::SealAltered, "line 2 of the file is no seal"),
            (
                Kind::SealAltered,
                "line 3 of the file is a seal of another installation"
            ),
            (
                Kind::SealAltered,
                "line 4 of the file is a seal with a wrong signature"
            ),
            (Kind::SealMissing, "seal 1 is not in the file"),
        ]
    );
    let end = verified.end.unwrap();
    assert_eq!((end.sealed_to, end.seals_in_file), (10, Some(2)));
    let after = std::fs::read_to_string(&path.0).unwrap();
    assert!(after.starts_with(second) && !after.contains(first));
    store.close().await;
}
