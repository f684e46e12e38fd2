//! What is owed: queues of a host and a node, steps under their versions, lists and counts.

use std::time::Duration;

use futures_util::future::join_all;

use super::make::{COMMITTED, NOW, intent, reversal_of, unknown};
use super::on_both;
use crate::payment::ids::{AuditId, HostId, NodeId};
use crate::payment::operation::{OperationState, ResolvedBy, SuspendReason};
use crate::payment::operation_kind::OperationKind;
use crate::payment::record::{Attempts, Operation};
use crate::store::Store;
use crate::store::change::{Change, OperationStep, PaymentChange, Verdict};
use crate::store::reads::owed::{OwedCount, OwedFilter};
use crate::store::records::callers::AuditRecord;
use crate::store::testing::TestDatabase;

on_both!(
    each_queue_has_its_own_and_what_is_due_comes_first,
    of_two_steps_of_an_entry_the_first_is_written,
    of_two_equal_steps_the_one_in_the_audit_trail_is_written,
    a_reversal_is_recorded_with_its_outcome_or_not_at_all,
    any_number_is_owed_with_an_intent_an_outcome_or_a_step,
);

const LONGEST: Duration = Duration::from_secs(300);

fn reversals() -> (HostId, OperationKind) {
    (host(), OperationKind::Reversal)
}

fn host() -> HostId {
    "acquirer".parse().unwrap()
}

/// A reversal that `node` sends, `after_ms` from now on; none where an operator has to look.
async fn owe(store: &Store, node: NodeId, after_ms: Option<i64>) -> Operation {
    let intent = intent("shop");
    store.record_intent(&intent).await.unwrap();
    let mut outcome = unknown(&intent);
    let reversal = outcome.reversal.as_mut().unwrap();
    reversal.node_id = node;
    reversal.attempts.next_at = after_ms.map(|ms| NOW.plus_ms(ms));
    if after_ms.is_none() {
        reversal.state = OperationState::Suspended {
            reason: SuspendReason::NoCard,
            response_code: None,
        };
    }
    store.record_outcome(&outcome).await.unwrap();
    outcome.reversal.unwrap()
}

async fn each_queue_has_its_own_and_what_is_due_comes_first(database: TestDatabase) {
    let store = database.open().await;
    let (own, other) = (store.node_id(), NodeId::from_parts(NOW, [4; 10]));
    // A clock that was ahead wrote the third.
    let mut owed = Vec::new();
    for (node, after_ms) in [
        (own, Some(-10)),
        (own, Some(-20)),
        (own, Some(300_001)),
        (own, Some(5_000)),
        (other, Some(90_000)),
        (other, None),
    ] {
        owed.push(owe(&store, node, after_ms).await);
    }
    let due_of = async |node, at_ms: i64, limit| {
        let at = NOW.plus_ms(at_ms);
        let due = store.due_owed(reversals(), node, at, LONGEST, limit);
        let due = due.await.unwrap();
        for entry in &due {
            assert_eq!(entry.operation.original_id, Some(entry.original.id));
            assert_eq!(entry.operation.payment_id, entry.payment.id);
        }
        let position = |it| owed.iter().position(|owed| owed.id == it).unwrap();
        due.into_iter()
            .map(|it| position(it.operation.id))
            .collect::<Vec<_>>()
    };
    let due = async |at_ms, limit| due_of(own, at_ms, limit).await;
    assert_eq!(due(0, 10).await, [1, 0]);
    assert_eq!(due(0, 1).await, [1]);
    assert_eq!(due(-15, 10).await, [1]);
    assert_eq!(due(6_000, 10).await, [1, 0, 3]);
    // Nothing is due by the clock, so what is due never is due now.
    assert_eq!(due(-21, 10).await, [2]);

    let nodes = store.nodes_that_owe(reversals(), 10).await.unwrap();
    assert_eq!(nodes.len(), 2);
    assert!(nodes.contains(&own) && nodes.contains(&other));
    assert_eq!(store.nodes_that_owe(reversals(), 1).await.unwrap().len(), 1);
    let nobody = ("nobody".parse().unwrap(), OperationKind::Reversal);
    let captures = (host(), OperationKind::Capture);
    for queue in [nobody, captures] {
        assert_eq!(store.nodes_that_owe(queue, 10).await.unwrap(), []);
        let due = store.due_owed(queue, own, NOW, LONGEST, 10);
        assert_eq!(due.await.unwrap().len(), 0);
    }
    // What another node left is due when it would have been due there.
    for (at_ms, expected) in [(89_999, vec![]), (90_000, vec![4])] {
        assert_eq!(due_of(other, at_ms, 10).await, expected, "{at_ms}");
    }

    let suspended = OwedFilter {
        host_id: Some(host()),
        suspended_only: true,
    };
    assert_eq!(
        store.list_owed(&suspended, 10, None).await.unwrap(),
        [owed[5].clone()]
    );
    let mut all = owed.clone();
    all.sort_by_key(|operation| operation.id);
    let page = store
        .list_owed(&OwedFilter::default(), 4, None)
        .await
        .unwrap();
    assert_eq!(page, all[..4]);
    let after = Some(page[3].id);
    let page = store
        .list_owed(&OwedFilter::default(), 4, after)
        .await
        .unwrap();
    assert_eq!(page, all[4..]);
    let count = OwedCount {
        host_id: host(),
        kind: OperationKind::Reversal,
        owed: 6,
        suspended: 1,
        oldest: all
            .iter()
            .map(|operation| operation.created_at)
            .min()
            .unwrap(),
    };
    assert_eq!(store.count_owed().await.unwrap(), [count]);
    let entry = store.owed_entry(owed[0].id).await.unwrap().unwrap();
    assert_eq!(
        store.owed_of(&[entry.payment]).await.unwrap(),
        [owed[0].clone()]
    );
    store.close().await;
}

/// A node that takes an entry of another steps from the same version: what the other had in hand is fenced off.
async fn of_two_steps_of_an_entry_the_first_is_written(database: TestDatabase) {
    let store = database.open().await;
    let other = NodeId::from_parts(NOW, [4; 10]);
    let owed = owe(&store, other, Some(0)).await;
    let step = |node_id: NodeId, count: u32| Operation {
        state: OperationState::Sent,
        node_id,
        attempts: Attempts {
            count,
            first_at: Some(NOW),
            last_at: Some(NOW.plus_ms(1)),
            next_at: Some(NOW.plus_ms(2)),
        },
        version: 2,
        ..owed.clone()
    };
    let (taken, fenced) = (step(store.node_id(), 1), step(other, 1));
    let commit = async |operation: &Operation| {
        let change = Change {
            owed_step: Some(operation),
            ..Change::default()
        };
        store.commit(&change).await.unwrap()
    };
    assert_eq!(commit(&taken).await, COMMITTED);
    assert_eq!(commit(&fenced).await, Verdict::OperationMoved);
    assert_eq!(commit(&taken).await, COMMITTED, "the very same one");
    let standing = store.operation(owed.id).await.unwrap();
    assert_eq!(standing, Some(taken));
    let due = store.due_owed(reversals(), other, NOW.plus_ms(2), LONGEST, 10);
    assert_eq!(due.await.unwrap().len(), 0);
    store.close().await;
}

/// Two callers did the same in the same millisecond: one of them did it.
async fn of_two_equal_steps_the_one_in_the_audit_trail_is_written(database: TestDatabase) {
    let store = database.open().await;
    let owed = owe(&store, store.node_id(), None).await;
    let ended = Operation {
        state: OperationState::Resolved {
            by: ResolvedBy::Report,
            response_code: None,
            took_effect: true,
            decline: None,
        },
        version: 2,
        ..owed.clone()
    };
    let [one, other] = [1, 2].map(|line| AuditRecord {
        id: AuditId::from_parts(NOW, [line; 10]),
        at: NOW,
        operator: "payswitch".into(),
        action: "SettlementAdminService.ImportReport".into(),
        target: owed.id.to_string(),
        reason: "the report has it as booked".into(),
        request_id: format!("a report:{line}"),
        body_hash: [7; 32],
        outcome: Some("DONE".into()),
        answer: Vec::new(),
    });
    let commit = async |act: &AuditRecord| {
        let change = Change {
            owed_step: Some(&ended),
            act: Some(act),
            ..Change::default()
        };
        store.commit(&change).await.unwrap()
    };
    assert_eq!(commit(&one).await, COMMITTED);
    assert_eq!(commit(&other).await, Verdict::OperationMoved);
    assert_eq!(commit(&one).await, COMMITTED, "the very same one");
    assert_eq!(store.list_audit(10, None).await.unwrap(), [one]);
    store.close().await;
}

/// It belongs to the outcome: a second one, and one whose outcome is refused, leave nothing.
async fn a_reversal_is_recorded_with_its_outcome_or_not_at_all(database: TestDatabase) {
    let store = database.open().await;
    let intent = intent("shop");
    store.record_intent(&intent).await.unwrap();
    let outcome = unknown(&intent);
    assert_eq!(store.record_outcome(&outcome).await, Ok(COMMITTED));
    let mut another = outcome.clone();
    another.operation.updated_at = NOW.plus_ms(500);
    another.reversal = Some(reversal_of(&another.operation));
    let refused = store.record_outcome(&another).await;
    assert_eq!(refused, Ok(Verdict::OperationMoved));
    assert_eq!(store.owed().await, [outcome.reversal.unwrap()]);
    store.close().await;
}

/// All or none: several of many payments at once, in one batch, whole or with one that is refused.
async fn any_number_is_owed_with_an_intent_an_outcome_or_a_step(database: TestDatabase) {
    let store = database.open().await;
    let intents: Vec<_> = (0..20).map(|_| intent("shop")).collect();
    let mut expected = Vec::new();
    let owed_with = |operation: &Operation| [(); 3].map(|()| reversal_of(operation));
    let commits = intents.iter().map(|intent| {
        let owes = owed_with(&intent.operation);
        expected.extend(owes.clone());
        let store = &store;
        async move {
            let change = Change {
                claim: Some(&intent.claim),
                payment: Some(PaymentChange::New {
                    payment: &intent.payment,
                    card: None,
                }),
                new_operation: Some(&intent.operation),
                owes: &owes,
                ..Change::default()
            };
            assert_eq!(store.commit(&change).await, Ok(COMMITTED));
        }
    });
    join_all(commits).await;
    let steps = intents.iter().enumerate().map(|(number, intent)| {
        let outcome = unknown(intent);
        let owes = owed_with(&outcome.operation);
        let moved = number == 0;
        if !moved {
            expected.extend(owes.clone());
        }
        let store = &store;
        async move {
            let step = Operation {
                version: if moved { 5 } else { 2 },
                ..outcome.operation
            };
            let change = Change {
                step: Some(OperationStep {
                    operation: &step,
                    answers: false,
                }),
                owes: &owes,
                ..Change::default()
            };
            let verdict = store.commit(&change).await.unwrap();
            assert_eq!(verdict == COMMITTED, !moved, "{verdict:?}");
        }
    });
    join_all(steps).await;
    let sent = Operation {
        state: OperationState::Sent,
        version: 2,
        ..expected[0].clone()
    };
    let owes = owed_with(&intents[0].operation);
    let change = Change {
        owed_step: Some(&sent),
        owes: &owes,
        ..Change::default()
    };
    assert_eq!(store.commit(&change).await, Ok(COMMITTED));
    expected[0] = sent;
    expected.extend(owes);
    expected.sort_by_key(|operation| operation.id);
    assert_eq!(store.owed().await, expected);
    store.close().await;
}
