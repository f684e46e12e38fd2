//! What nodes have counted for limits.

use super::make::NOW;
use super::on_both;
use crate::store::records::RiskCount;
use crate::store::retention::prune;
use crate::store::testing::TestDatabase;

on_both!(
    counts_of_nodes_add_up,
    what_two_nodes_take_back_at_once_is_taken_back_once,
);

fn count(subject: &str, count: i64) -> RiskCount {
    RiskCount {
        limit: "card-attempts".into(),
        subject: subject.into(),
        begins_ms: NOW.as_i64(),
        ends_ms: NOW.as_i64() + 1_000,
        count,
    }
}

/// A batch counts once however often it is written, each node has rows of its own, and what no window needs goes.
async fn counts_of_nodes_add_up(database: TestDatabase) {
    let first = database.open().await;
    let one = first.node_id();
    for batch in [1, 1] {
        let counts = [count("a", 2), count("b", 1)];
        first.add_risk_counts(batch, &counts, NOW).await.unwrap();
    }
    for batch in [2, 2, 1] {
        let counts = [count("a", 3)];
        first.add_risk_counts(batch, &counts, NOW).await.unwrap();
    }
    first.close().await;

    let second = database.open().await;
    let other = second.node_id();
    let counts = [count("a", -1)];
    second.add_risk_counts(1, &counts, NOW).await.unwrap();
    let nodes = second.risk_nodes().await.unwrap();
    let batch_of = |node| nodes.iter().find(|(it, _)| *it == node).map(|(_, it)| *it);
    let batches = (nodes.len(), batch_of(one), batch_of(other));
    assert_eq!(batches, (2, Some(2), Some(1)));
    for (node, batches, expected) in [
        (one, (0, 2), vec![count("a", 4), count("b", 1)]),
        (one, (0, 1), vec![count("b", 1)]),
        (one, (1, 2), vec![count("a", 4)]),
        (one, (2, 9), vec![]),
        (other, (0, 1), vec![count("a", 4)]),
    ] {
        let mut counts = second.risk_counts(node, batches).await.unwrap();
        counts.sort_by(|one, other| one.subject.cmp(&other.subject));
        assert_eq!(counts, expected, "{node} {batches:?}");
    }

    // However far the number of a batch is from the next one that has a row.
    for (between, rows, expected) in [
        ((0, 900), 1, Some(1)),
        ((0, 900), 10, Some(2)),
        ((1, 900), 10, Some(2)),
        ((0, 1), 10, Some(1)),
        ((2, 900), 10, None),
    ] {
        let next = second.risk_batches(one, between, rows).await.unwrap();
        assert_eq!(next, expected, "{between:?} {rows}");
    }

    const DAY_MS: i64 = 24 * 3_600_000;
    for (later_ms, pruned) in [(1_000, 0), (1_001, 3), (3 * DAY_MS, 0), (3 * DAY_MS + 1, 2)] {
        let now = NOW.plus_ms(later_ms);
        let rows = prune(&second.inner.housekeeping, now).await.unwrap();
        assert_eq!(rows, pruned, "{later_ms}");
    }
    assert!(second.risk_nodes().await.unwrap().is_empty());
}

/// Whoever comes second finds nothing left: a sum below nothing would let as many more attempts pass.
async fn what_two_nodes_take_back_at_once_is_taken_back_once(database: TestDatabase) {
    let first = database.open().await;
    let second = database.open_beside(&first).await;
    let other = [count("b", 1)];
    first.add_risk_counts(1, &other, NOW).await.unwrap();
    for round in 0..20 {
        let (subject, batch) = (format!("a{round}"), 10 * round + 1);
        let counts = [count(&subject, 3)];
        first.add_risk_counts(batch, &counts, NOW).await.unwrap();
        let counts = [count(&subject, 4)];
        second
            .add_risk_counts(batch + 1, &counts, NOW)
            .await
            .unwrap();
        let windows = [count(&subject, 0), count("c", 0)];
        let (one, other) = tokio::join!(
            first.take_back_risk_counts(batch + 2, &windows, NOW),
            second.take_back_risk_counts(batch + 3, &windows, NOW),
        );
        one.unwrap();
        other.unwrap();
        // Once more, as after a COMMIT that was not confirmed.
        let again = first.take_back_risk_counts(batch + 4, &windows, NOW);
        again.await.unwrap();
    }
    let mut sums = Vec::new();
    for node in [first.node_id(), second.node_id()] {
        sums.extend(first.risk_counts(node, (0, 1_000)).await.unwrap());
    }
    for sum in &sums {
        let left = i64::from(sum.subject == "b");
        assert_eq!(sum, &count(&sum.subject, left));
    }

    // What comes afterwards counts, and what was below nothing before is nothing then.
    let (counts, windows) = ([count("a", -2)], [count("a", 0)]);
    second.add_risk_counts(901, &counts, NOW).await.unwrap();
    let taken_back = first.take_back_risk_counts(902, &windows, NOW);
    taken_back.await.unwrap();
    let counts = [count("a", 1)];
    second.add_risk_counts(903, &counts, NOW).await.unwrap();
    let sums = first.risk_counts(second.node_id(), (902, 903)).await;
    assert_eq!(sums, Ok(vec![count("a", 1)]));
}
