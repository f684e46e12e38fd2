//! What a dead process left unfinished, and the heartbeats of the others.

use super::make::{NOW, approved, intent_at};
use super::on_both;
use crate::payment::ids::OperationId;
use crate::store::Store;
use crate::store::testing::TestDatabase;

on_both!(
    unfinished_operations_come_in_parts,
    a_corrupt_row_holds_up_no_other,
);

/// All unfinished operations in parts of `limit`, and how many parts there were.
async fn in_parts(store: &Store, limit: usize) -> (Vec<OperationId>, usize) {
    let (mut all, mut parts, mut after) = (Vec::new(), 0, None);
    loop {
        let part = store
            .unfinished_operations(NOW.plus_ms(60_000), limit, after.as_ref())
            .await
            .unwrap();
        parts += 1;
        assert!(part.found.len() <= limit);
        for (payment, operation) in part.found {
            assert_eq!(operation.payment_id, payment.id);
            all.push(operation.id);
        }
        match part.next {
            Some(next) => after = Some(next),
            None => return (all, parts),
        }
    }
}

async fn unfinished_operations_come_in_parts(database: TestDatabase) {
    let store = database.open().await;
    let mut expected = Vec::new();
    for number in 0..7 {
        // Several with the same deadline, and not in the order in which they are recorded.
        let intent = intent_at("shop", NOW.plus_ms(-(number / 3)));
        store.record_intent(&intent).await.unwrap();
        expected.push((intent.operation.deadline, intent.operation.id));
    }
    let finished = intent_at("shop", NOW);
    store.record_intent(&finished).await.unwrap();
    store.record_outcome(&approved(&finished)).await.unwrap();
    let not_due = intent_at("shop", NOW.plus_ms(60_000));
    store.record_intent(&not_due).await.unwrap();

    expected.sort();
    let expected: Vec<_> = expected.into_iter().map(|(_, id)| id).collect();
    // (limit, parts): a full part does not know that it is the last.
    for (limit, parts) in [(1, 8), (2, 4), (3, 3), (7, 2), (8, 1), (1000, 1)] {
        let found = in_parts(&store, limit).await;
        assert_eq!(found, (expected.clone(), parts), "{limit}");
    }
}

async fn a_corrupt_row_holds_up_no_other(database: TestDatabase) {
    let store = database.open().await;
    let mut intents = Vec::new();
    for number in 0..6 {
        let intent = intent_at("shop", NOW.plus_ms(number));
        store.record_intent(&intent).await.unwrap();
        intents.push(intent);
    }
    let spoil = async |table: &str, change: &str, id: String| {
        let text = format!("UPDATE {table} SET {change} WHERE id = '{id}'");
        database.execute(&text).await;
    };
    let id = |index: usize| intents[index].operation.id;
    spoil("operations", "kind = 'GIFT'", id(0).to_string()).await;
    spoil("operations", "state_detail = '{}'", id(1).to_string()).await;
    let payment = intents[4].payment.id.to_string();
    spoil("payments", "state_detail = '{}'", payment).await;

    let good = vec![id(2), id(3), id(5)];
    // With two in a part, the first has nothing in it that can be read.
    for (limit, parts) in [(1, 7), (2, 4), (10, 1)] {
        assert_eq!(in_parts(&store, limit).await, (good.clone(), parts));
    }
}
