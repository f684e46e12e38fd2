//! Retention: tables that callers can grow are pruned. Payments, operations and requests are kept for
//! good.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::database::connection::Statement;
use super::database::value::Value;
use super::error::StoreError;
use super::housekeeping::Housekeeping;
use super::tables::columns::Columns;
use crate::payment::ids::{ConnectionId, NodeId, QuarantineId};
use crate::payment::moment::UnixMillis;

/// How long a sealed card's use is remembered after the card expired, in milliseconds.
const ENVELOPE_KEPT_MS: i64 = 3_600_000;
/// How long closed connections, quarantined responses and dead processes are kept: 90 days, in
/// milliseconds.
const HISTORY_KEPT_MS: i64 = 90 * 24 * 3_600_000;
/// How long a node's last batch of counts is kept, in milliseconds: longer than any of its counts.
const RISK_NODES_KEPT_MS: i64 = 3 * 24 * 3_600_000;
/// The most rows that one transaction removes, so that no payment waits long for it.
const MAX_PRUNED_ROWS: i64 = 500;
/// The most other nodes whose clocks are asked.
const MOST_NODES: i64 = 1_000;
/// Between two runs of pruning; at least twice as long as one run may take.
pub(super) const PRUNE_EVERY: Duration = Duration::from_secs(60);
/// How long one run may prune one table, so that no table starves another.
const PRUNE_TABLE_WITHIN: Duration = Duration::from_secs(7);

/// Deletes old rows, in small transactions between which payments are written. Old are: sealed cards
/// that expired more than an hour before `now`, by the clocks of all living nodes; connections that closed, quarantined responses that
/// came and last heartbeats more than 90 days before `now`; counts of windows that nobody asks for. Returns how many rows it deleted; the
/// rest is left to the next call.
///
/// # Errors
/// When the database is not available or too much waits.
pub(super) async fn prune(housekeeping: &Housekeeping, now: UnixMillis) -> Result<u64, StoreError> {
    let expired = latest_clock(housekeeping, now)
        .await?
        .plus_ms(-ENVELOPE_KEPT_MS);
    let old = now.plus_ms(-HISTORY_KEPT_MS);
    // Identifiers begin with the time, and the one with nothing after it comes first.
    let first_connection = ConnectionId::from_parts(old, [0; 10]).to_string();
    let first_quarantined = QuarantineId::from_parts(old, [0; 10]).to_string();
    let mut pruned = 0;
    for (text, values) in [
        (
            "DELETE FROM used_envelopes WHERE (merchant_id, jti) IN \
                    (SELECT merchant_id, jti FROM used_envelopes WHERE expires_at_ms < $1 \
                     ORDER BY expires_at_ms LIMIT $2)",
            vec![expired.as_i64().into(), MAX_PRUNED_ROWS.into()],
        ),
        (
            "DELETE FROM client_connections WHERE id IN \
                    (SELECT id FROM client_connections WHERE id < $1 \
                     AND disconnected_at_ms < $3 ORDER BY id LIMIT $2)",
            vec![
                first_connection.into(),
                MAX_PRUNED_ROWS.into(),
                old.as_i64().into(),
            ],
        ),
        (
            "DELETE FROM quarantine WHERE id IN \
                    (SELECT id FROM quarantine WHERE id < $1 ORDER BY id LIMIT $2)",
            vec![first_quarantined.into(), MAX_PRUNED_ROWS.into()],
        ),
        (
            "DELETE FROM risk_counts WHERE (limit_name, subject, begins_ms, node_id) IN \
                    (SELECT limit_name, subject, begins_ms, node_id FROM risk_counts WHERE ends_ms < $1 \
                     ORDER BY ends_ms LIMIT $2)",
            vec![now.as_i64().into(), MAX_PRUNED_ROWS.into()],
        ),
        (
            "DELETE FROM risk_nodes WHERE node_id IN \
                    (SELECT node_id FROM risk_nodes WHERE written_ms < $1 LIMIT $2)",
            vec![
                now.plus_ms(-RISK_NODES_KEPT_MS).as_i64().into(),
                MAX_PRUNED_ROWS.into(),
            ],
        ),
        (
            "DELETE FROM nodes WHERE id IN \
                    (SELECT id FROM nodes WHERE seen_at_ms < $1 ORDER BY seen_at_ms LIMIT $2)",
            vec![old.as_i64().into(), MAX_PRUNED_ROWS.into()],
        ),
    ] {
        pruned += prune_rows(housekeeping, text, values).await?;
    }
    Ok(pruned)
}

/// What the living node whose clock is the last to come there says; `now` is this one's. A sealed card that is alive by
/// it may be used there, so that no single clock makes the others forget that it was. A node lives whose heartbeat has
/// grown since the last look, or that was not there then.
async fn latest_clock(
    housekeeping: &Housekeeping,
    now: UnixMillis,
) -> Result<UnixMillis, StoreError> {
    let read = Statement {
        text: "SELECT id, heartbeat, seen_at_ms FROM nodes \
            WHERE stopped_at_ms IS NULL AND id <> $1 ORDER BY seen_at_ms DESC LIMIT $2",
        values: vec![housekeeping.node_id.to_string().into(), MOST_NODES.into()],
        returning: true,
    };
    let read = housekeeping.run(vec![read]).await?;
    let mut heartbeats = BTreeMap::new();
    let mut latest = now;
    let mut before = housekeeping.heartbeats.lock().await;
    for row in read.iter().flat_map(|read| &read.rows) {
        let columns = Columns::of(row, "nodes", "id")?;
        let node_id: NodeId = columns.parsed("id")?;
        let heartbeat = columns.integer("heartbeat")?;
        if before.get(&node_id) != Some(&heartbeat) {
            latest = latest.min(columns.moment("seen_at_ms")?);
        }
        heartbeats.insert(node_id, heartbeat);
    }
    *before = heartbeats;
    Ok(latest)
}

async fn prune_rows(
    housekeeping: &Housekeeping,
    text: &'static str,
    values: Vec<Value>,
) -> Result<u64, StoreError> {
    let delete = Statement {
        text,
        values,
        returning: false,
    };
    let mut pruned = 0;
    let give_up_at = Instant::now() + PRUNE_TABLE_WITHIN;
    while Instant::now() < give_up_at {
        let done = housekeeping.run(vec![delete.clone()]).await?;
        let rows = done.first().map_or(0, |done| done.rows_affected);
        pruned += rows;
        if rows < MAX_PRUNED_ROWS.unsigned_abs() {
            return Ok(pruned);
        }
    }
    tracing::warn!(
        pruned,
        "more rows have expired than could be pruned in time"
    );
    Ok(pruned)
}
