//! What is forgotten in time, so that nothing that others can make more of grows for ever. Payments,
//! operations and requests are kept for good.

use std::time::Duration;

use tokio::time::Instant;

use super::Store;
use super::error::StoreError;
use super::item::Statement;
use super::sql::Value;
use crate::payment::ids::{ConnectionId, QuarantineId};
use crate::payment::moment::UnixMillis;

/// How long a sealed card's use is remembered after the card expired, in milliseconds.
const ENVELOPE_KEPT_MS: i64 = 3_600_000;
/// How long is known who was connected, what was quarantined and which processes there were: 90 days,
/// in milliseconds.
const TRACES_KEPT_MS: i64 = 90 * 24 * 3_600_000;
/// The most rows that one transaction removes, so that no payment waits long for it.
const PRUNED_ROWS: i64 = 500;
/// How long one run of pruning may take.
const PRUNING_FOR: Duration = Duration::from_secs(30);

impl Store {
    /// Forgets, in small transactions between which payments are written: the use of sealed cards that
    /// expired more than an hour before `now`; connections that are closed, and quarantined responses,
    /// both of which came more than 90 days before; and processes that gave no sign of life since.
    /// Gives how many rows that were; what is too many for one call is left to the next.
    ///
    /// # Errors
    /// When the database is not available or too much waits.
    pub async fn prune(&self, now: UnixMillis) -> Result<u64, StoreError> {
        let expired = now.plus_ms(-ENVELOPE_KEPT_MS);
        let old = now.plus_ms(-TRACES_KEPT_MS);
        // Identifiers begin with the time, and the one with nothing after it comes first.
        let first_connection = ConnectionId::from_parts(old, [0; 10]).to_string();
        let first_quarantined = QuarantineId::from_parts(old, [0; 10]).to_string();
        let give_up_at = Instant::now() + PRUNING_FOR;
        let mut pruned = 0;
        for (text, before) in [
            (
                "DELETE FROM used_envelopes WHERE (merchant_id, jti) IN \
                    (SELECT merchant_id, jti FROM used_envelopes WHERE expires_at_ms < $1 \
                     ORDER BY expires_at_ms LIMIT $2)",
                expired.as_i64().into(),
            ),
            (
                "DELETE FROM client_connections WHERE id IN \
                    (SELECT id FROM client_connections WHERE id < $1 \
                     AND disconnected_at_ms IS NOT NULL ORDER BY id LIMIT $2)",
                first_connection.into(),
            ),
            (
                "DELETE FROM quarantine WHERE id IN \
                    (SELECT id FROM quarantine WHERE id < $1 ORDER BY id LIMIT $2)",
                first_quarantined.into(),
            ),
            (
                "DELETE FROM nodes WHERE id IN \
                    (SELECT id FROM nodes WHERE seen_at_ms < $1 ORDER BY seen_at_ms LIMIT $2)",
                old.as_i64().into(),
            ),
        ] {
            if Instant::now() >= give_up_at {
                break;
            }
            pruned += self.prune_rows(text, before, give_up_at).await?;
        }
        Ok(pruned)
    }

    async fn prune_rows(
        &self,
        text: &'static str,
        before: Value,
        give_up_at: Instant,
    ) -> Result<u64, StoreError> {
        let forget = Statement {
            text,
            values: vec![before, PRUNED_ROWS.into()],
            returning: false,
        };
        let mut pruned = 0;
        while Instant::now() < give_up_at {
            let done = self.inner.writer.work(vec![forget.clone()], true).await?;
            let rows = done.first().map_or(0, |done| done.rows_affected);
            pruned += rows;
            if rows < PRUNED_ROWS.unsigned_abs() {
                return Ok(pruned);
            }
        }
        tracing::warn!(pruned, "more has expired than could be forgotten in time");
        Ok(pruned)
    }
}
