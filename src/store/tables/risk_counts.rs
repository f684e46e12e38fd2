//! What was counted for limits, by each node in rows of its own, and the last batch of each node.

use super::columns::Columns;
use crate::payment::ids::NodeId;
use crate::payment::moment::UnixMillis;
use crate::store::Store;
use crate::store::database::connection::Statement;
use crate::store::error::StoreError;
use crate::store::records::RiskCount;

impl Store {
    /// Adds counts to the rows of this node. A batch, by its number, is added once however often it is written; numbers
    /// grow.
    ///
    /// # Errors
    /// When the database is not available, or too much waits. The batch may be written nevertheless.
    pub async fn add_risk_counts(
        &self,
        batch: i64,
        counts: &[RiskCount],
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let node_id = self.node_id().to_string();
        let count = |it: &RiskCount| Statement {
            text: "INSERT INTO risk_counts (limit_name, subject, begins_ms, node_id, counted, batch, ends_ms) \
                VALUES ($1, $2, $3, $4, $5, $6, $7) \
                ON CONFLICT (limit_name, subject, begins_ms, node_id) DO UPDATE \
                SET counted = risk_counts.counted + excluded.counted, batch = excluded.batch \
                WHERE risk_counts.batch < excluded.batch",
            values: vec![
                it.limit.as_str().into(),
                it.subject.as_str().into(),
                it.begins_ms.into(),
                node_id.as_str().into(),
                it.count.into(),
                batch.into(),
                it.ends_ms.into(),
            ],
            returning: false,
        };
        let mut statements: Vec<Statement> = counts.iter().map(count).collect();
        statements.push(last_batch(&node_id, batch, now));
        self.inner.housekeeping.run(statements).await.map(drop)
    }

    /// The nodes that have counted something lately, each with its last batch.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn risk_nodes(&self) -> Result<Vec<(NodeId, i64)>, StoreError> {
        let rows = self
            .read("SELECT node_id, batch FROM risk_nodes", &[])
            .await?;
        let node = |row| {
            let columns = Columns::of(row, "risk_nodes", "node_id")?;
            Ok((columns.parsed("node_id")?, columns.integer("batch")?))
        };
        rows.iter().map(node).collect()
    }

    /// The last batch of the next rows of a node, about `rows` of them: those after one batch, up to another. None where there
    /// are none.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn risk_batches(
        &self,
        node_id: NodeId,
        (after, up_to): (i64, i64),
        rows: usize,
    ) -> Result<Option<i64>, StoreError> {
        let text = "SELECT MAX(batch) AS batch FROM (SELECT batch FROM risk_counts \
            WHERE node_id = $1 AND batch > $2 AND batch <= $3 ORDER BY batch LIMIT $4) AS next";
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        let values = [
            node_id.to_string().into(),
            after.into(),
            up_to.into(),
            rows.into(),
        ];
        let found = self.read(text, &values).await?;
        let batch = |row| {
            let columns = Columns::named(row, "risk_counts", node_id.to_string());
            columns.optional_integer("batch")
        };
        Ok(found.first().map(batch).transpose()?.flatten())
    }

    /// Takes back what all nodes together have counted in these windows, in the rows of this node, as its next batch. Of
    /// several nodes that do so at once one takes it back, and the others find nothing left; so it is where it runs twice.
    ///
    /// # Errors
    /// When the database is not available. It may be taken back nevertheless.
    pub async fn take_back_risk_counts(
        &self,
        batch: i64,
        windows: &[RiskCount],
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let node_id = self.node_id().to_string();
        // One after the other: each sees what the one before has taken back.
        let take_turns = Statement {
            text: "UPDATE risk_nodes SET batch = batch",
            values: Vec::new(),
            returning: false,
        };
        let take_back = |it: &RiskCount| Statement {
            text: "INSERT INTO risk_counts (limit_name, subject, begins_ms, node_id, counted, batch, ends_ms) \
                SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS BIGINT), CAST($4 AS TEXT), \
                CAST(-SUM(counted) AS BIGINT), CAST($5 AS BIGINT), CAST($6 AS BIGINT) FROM risk_counts \
                WHERE limit_name = $1 AND subject = $2 AND begins_ms = $3 HAVING SUM(counted) <> 0 \
                ON CONFLICT (limit_name, subject, begins_ms, node_id) DO UPDATE \
                SET counted = risk_counts.counted + excluded.counted, batch = excluded.batch",
            values: vec![
                it.limit.as_str().into(),
                it.subject.as_str().into(),
                it.begins_ms.into(),
                node_id.as_str().into(),
                batch.into(),
                it.ends_ms.into(),
            ],
            returning: false,
        };
        let mut statements = vec![take_turns];
        statements.extend(windows.iter().map(take_back));
        statements.push(last_batch(&node_id, batch, now));
        self.inner.housekeeping.run(statements).await.map(drop)
    }

    /// What all nodes together have counted, of the subjects and windows that the batches of one node are about: those
    /// after one batch, up to another.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn risk_counts(
        &self,
        node_id: NodeId,
        (after, up_to): (i64, i64),
    ) -> Result<Vec<RiskCount>, StoreError> {
        let text = "SELECT own.limit_name, own.subject, own.begins_ms, own.ends_ms, \
            (SELECT CAST(SUM(counted) AS BIGINT) FROM risk_counts AS every \
                WHERE every.limit_name = own.limit_name AND every.subject = own.subject \
                AND every.begins_ms = own.begins_ms) AS counted \
            FROM risk_counts AS own WHERE own.node_id = $1 AND own.batch > $2 AND own.batch <= $3";
        let values = [node_id.to_string().into(), after.into(), up_to.into()];
        let rows = self.read(text, &values).await?;
        let count = |row| {
            let columns = Columns::of(row, "risk_counts", "subject")?;
            Ok(RiskCount {
                limit: columns.text("limit_name")?.to_owned(),
                subject: columns.text("subject")?.to_owned(),
                begins_ms: columns.integer("begins_ms")?,
                ends_ms: columns.integer("ends_ms")?,
                count: columns.integer("counted")?,
            })
        };
        rows.iter().map(count).collect()
    }
}

/// Records the number of a node's last batch.
fn last_batch(node_id: &str, batch: i64, now: UnixMillis) -> Statement {
    Statement {
        text: "INSERT INTO risk_nodes (node_id, batch, written_ms) VALUES ($1, $2, $3) \
            ON CONFLICT (node_id) DO UPDATE SET batch = excluded.batch, written_ms = excluded.written_ms \
            WHERE risk_nodes.batch <= excluded.batch",
        values: vec![node_id.into(), batch.into(), now.as_i64().into()],
        returning: false,
    }
}
