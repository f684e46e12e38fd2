//! What is forgotten in time, and what is not.

use super::make::{METHOD, NOW, intent, intent_at, random};
use super::on_both;
use crate::payment::ids::{ConnectionId, QuarantineId};
use crate::payment::moment::UnixMillis;
use crate::store::records::QuarantinedResponse;
use crate::store::records::callers::ClientConnection;
use crate::store::retention::prune;
use crate::store::testing::TestDatabase;

on_both!(
    old_envelopes_are_pruned,
    no_single_clock_forgets_a_used_envelope,
    old_traces_are_pruned
);

const DAY_MS: i64 = 24 * 3_600_000;

async fn old_envelopes_are_pruned(database: TestDatabase) {
    let store = database.open().await;
    let old = intent_at("shop", NOW);
    let recent = intent_at("shop", NOW.plus_ms(20 * DAY_MS));
    for intent in [&old, &recent] {
        store.record_intent(intent).await.unwrap();
    }
    let expiry = old.envelope.as_ref().unwrap().expires_at;
    assert_eq!(
        prune(&store.inner.housekeeping, expiry.plus_ms(3_600_000))
            .await
            .unwrap(),
        0
    );
    assert_eq!(
        prune(&store.inner.housekeeping, expiry.plus_ms(3_600_001))
            .await
            .unwrap(),
        1
    );
    let after_thirty_days = NOW.plus_ms(30 * DAY_MS + 1);
    assert_eq!(
        prune(&store.inner.housekeeping, after_thirty_days)
            .await
            .unwrap(),
        1
    );
    // A request is remembered for good.
    let key = &old.claim;
    let answer = store
        .find_answer(&key.merchant_id, METHOD, &key.request_id)
        .await;
    assert_eq!(answer.unwrap().unwrap().payment_id, old.payment.id);

    // More than one transaction's worth.
    database
        .execute(&format!(
            "INSERT INTO used_envelopes (merchant_id, jti, operation_id, expires_at_ms) \
             WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200) \
             SELECT 'shop', 'many-' || CAST(i AS TEXT), 'op', {} FROM n",
            NOW.as_i64()
        ))
        .await;
    let pruned = prune(&store.inner.housekeeping, after_thirty_days)
        .await
        .unwrap();
    assert_eq!(pruned, 1200);
}

/// A node whose clock is ahead would make cards reusable at all others, which still take them.
async fn no_single_clock_forgets_a_used_envelope(database: TestDatabase) {
    let store = database.open().await;
    let payment = intent_at("shop", NOW);
    store.record_intent(&payment).await.unwrap();
    let expires_at = payment.envelope.as_ref().unwrap().expires_at;
    let ahead = expires_at.plus_ms(6 * 60_000 + 3_600_000);
    let other = "node_00000000000000000000000001";
    let other_says = async |heartbeat: i64, now: UnixMillis| {
        let now = now.as_i64();
        database
            .execute(&format!(
                "INSERT INTO nodes (id, started_at_ms, seen_at_ms, heartbeat) \
                 VALUES ('{other}', 0, {now}, {heartbeat}) ON CONFLICT (id) DO UPDATE \
                 SET seen_at_ms = excluded.seen_at_ms, heartbeat = excluded.heartbeat"
            ))
            .await;
    };
    let used = async || {
        let used = prune(&store.inner.housekeeping, ahead).await.unwrap();
        1 - used
    };
    for heartbeat in [1, 2] {
        other_says(heartbeat, NOW).await;
        assert_eq!(used().await, 1, "the other node still takes the card");
    }
    // One that says nothing any more takes no card.
    assert_eq!(used().await, 0);
    let again = intent_at("shop", NOW);
    store.record_intent(&again).await.unwrap();
    other_says(3, expires_at.plus_ms(3_600_000)).await;
    assert_eq!(used().await, 1, "a millisecond is left of the hour");
    other_says(4, expires_at.plus_ms(3_600_001)).await;
    assert_eq!(used().await, 0);
}

fn connection(at: UnixMillis) -> ClientConnection {
    ClientConnection {
        id: ConnectionId::from_parts(at, random()),
        peer_address: "192.0.2.1".into(),
        peer_port: 4000,
        identity: None,
        connected_at: at,
    }
}

fn quarantined(at: UnixMillis) -> QuarantinedResponse {
    QuarantinedResponse {
        id: QuarantineId::from_parts(at, random()),
        host_id: "acquirer".parse().unwrap(),
        reason: "no match".into(),
        mti: "0110".into(),
        stan: None,
        rrn: None,
        response_code: None,
        message: "0110 of nobody".into(),
        received_at: at,
    }
}

async fn old_traces_are_pruned(database: TestDatabase) {
    let (old, later) = (NOW, NOW.plus_ms(DAY_MS));
    let after_ninety_days = NOW.plus_ms(90 * DAY_MS + 6);
    let store = database.open().await;
    let payment = intent("shop");
    store.record_intent(&payment).await.unwrap();
    let (closed, closed_later) = (connection(old), connection(later));
    for connection in [&closed, &closed_later] {
        store.connection_opened(connection.clone()).unwrap();
        let closed_at = connection.connected_at.plus_ms(5);
        store.connection_closed(connection.id, closed_at).unwrap();
    }
    let (quarantined, quarantined_later) = (quarantined(old), quarantined(later));
    for response in [&quarantined, &quarantined_later] {
        store.record_quarantined(response.clone()).await.unwrap();
    }
    store.close().await;
    database
        .execute(&format!(
            "INSERT INTO nodes (id, started_at_ms, seen_at_ms, stopped_at_ms) \
             VALUES ('node_00000000000000000000000001', 0, {0}, {0})",
            old.as_i64()
        ))
        .await;

    let store = database.open().await;
    // One that has been open all the time is known as long as it is.
    let open = connection(old);
    store.connection_opened(open.clone()).unwrap();
    while store.list_connections(10, None).await.unwrap().len() < 3 {
        tokio::task::yield_now().await;
    }
    // The envelope, a response and a process; the connection was closed a little later.
    let too_soon = after_ninety_days.plus_ms(-1);
    assert_eq!(prune(&store.inner.housekeeping, too_soon).await.unwrap(), 3);
    assert_eq!(
        prune(&store.inner.housekeeping, after_ninety_days)
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        prune(&store.inner.housekeeping, after_ninety_days)
            .await
            .unwrap(),
        0
    );
    let connections = store.list_connections(10, None).await.unwrap();
    let known: Vec<_> = connections.iter().map(|it| it.connection.id).collect();
    assert_eq!(known, [closed_later.id, open.id]);
    assert_eq!(
        store.list_quarantine(10, None).await.unwrap(),
        [quarantined_later]
    );
    let merchant_id = &payment.payment.merchant_id;
    let kept = store.payment(merchant_id, payment.payment.id).await;
    assert!(kept.unwrap().is_some());
}
