//! The batches of days that are closed. What happens to one is an event of its merchant; its funding moves money, and is a
//! journal at the position of that event.

use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use super::business_days::hold_positions;
use super::columns::Columns;
use super::journals::JournalRows;
use super::settlement_totals::{OF_BATCH, insert_totals};
use super::text_buffer::TextBuffer;
use crate::fault_points::FaultPoint;
use crate::ledger::journal::Journal;
use crate::payment::event_kind::EventKind;
use crate::payment::moment::UnixMillis;
use crate::payment::settlement::{
    BatchKey, BatchState, BatchTotals, BusinessDay, ChargedBack, ItemFees, SettlementBatch,
};
use crate::payment::settlement_import::ReportRule;
use crate::payment::totals::TotalsLevel;
use crate::store::Store;
use crate::store::database::connection::Statement;
use crate::store::database::value::Value;
use crate::store::error::StoreError;
use crate::store::records::settlement::NotedBatch;

/// The batches that are written in one transaction, so that payments don't wait for more.
const BATCHES_AT_ONCE: usize = 20;

/// Selects batches, each with what the host says of it alone; what follows may name them as `batches`.
pub(in crate::store) const SELECT_BATCHES: &str = "SELECT batches.*, totals.bank_totals, \
    totals.state AS totals_state FROM settlement_batches AS batches \
    LEFT JOIN settlement_totals AS totals ON totals.host_id = batches.host_id \
    AND totals.business_date = batches.business_date AND totals.currency = batches.currency \
    AND totals.merchant_id = batches.merchant_id AND totals.terminal_id = ''";

/// What [`noted_batch`] reads but for the currency, of `batches` and the `payouts` that pay them.
pub(in crate::store) const NOTED_COLUMNS: &str = "batches.id AS batch_id, batches.state AS batch_state, \
    batches.merchant_id, batches.host_id, batches.business_date, batches.fees_at_ms, batches.funded_at_ms, \
    batches.payout_id, payouts.bank_reference";

impl Store {
    /// Writes the batches of a day that is closed, each with its event; then that they are made, and the totals that are
    /// to be agreed. Two nodes may do so at once: they write the same.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn insert_batches(
        &self,
        day: &BusinessDay,
        batches: &[SettlementBatch],
        level: Option<TotalsLevel>,
        at: UnixMillis,
    ) -> Result<(), StoreError> {
        let housekeeping = &self.inner.housekeeping;
        for batches in batches.chunks(BATCHES_AT_ONCE) {
            let each = batches.iter().flat_map(|batch| insert_batch(batch, at));
            let statements = std::iter::once(hold_positions()).chain(each).collect();
            housekeeping.run(statements).await?;
        }
        let made = Statement {
            text: "UPDATE business_days SET batched_at_ms = $3 \
                WHERE host_id = $1 AND business_date = $2 AND batched_at_ms IS NULL",
            values: vec![
                day.host_id.as_str().into(),
                day.date.to_string().into(),
                at.as_i64().into(),
            ],
            returning: false,
        };
        let totals = level.map(|level| insert_totals(day, level, batches, at));
        for statement in totals.into_iter().flatten() {
            housekeeping.run(vec![statement]).await?;
        }
        FaultPoint::Batches.pass();
        housekeeping.run(vec![made]).await.map(drop)
    }

    /// The batches of a day that can be funded now, with the state that they have from then on: their fees are computed, and
    /// the host has agreed, or wants no totals, or ours stand although it does not agree. Of a host that sends `reports`,
    /// that of the day is applied, and its differences hold no batch back, or are accepted. Of a host that answers to its
    /// clearing files, it has taken what that of the day claims, or the file counts as it is.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn batches_to_fund(
        &self,
        day: &BusinessDay,
        limit: usize,
        reports: Option<ReportRule>,
    ) -> Result<Vec<(SettlementBatch, BatchState)>, StoreError> {
        let text = format!(
            "SELECT found.*, CAST(CASE WHEN EXISTS (SELECT 1 FROM settlement_totals WHERE settlement_totals.state = 'OUT_OF_BALANCE' \
             AND settlement_totals.host_id = found.host_id AND settlement_totals.business_date = found.business_date \
             AND settlement_totals.currency = found.currency \
             AND settlement_totals.merchant_id IN ('', found.merchant_id)) \
             OR EXISTS (SELECT 1 FROM settlement_differences AS differences WHERE differences.host_id = found.host_id \
             AND differences.business_date = found.business_date AND differences.merchant_id = found.merchant_id \
             AND differences.currency = found.currency) \
             OR EXISTS (SELECT 1 FROM settlement_files AS files WHERE files.host_id = found.host_id \
             AND files.business_date = found.business_date AND files.awaits_answer = 1 \
             AND COALESCE(files.answer_agrees, 0) = 0) THEN 1 ELSE 0 END AS BIGINT) AS differs \
             FROM ({SELECT_BATCHES} WHERE batches.host_id = $1 AND batches.business_date = $2 \
             AND batches.funded_at_ms IS NULL AND batches.fees_at_ms IS NOT NULL AND NOT EXISTS (SELECT 1 FROM settlement_totals WHERE {OF_BATCH} \
             AND settlement_totals.state NOT IN ('IN_BALANCE', 'OUT_OF_BALANCE')) \
             AND (CAST($4 AS BIGINT) = 0 OR batches.report_id IS NOT NULL) \
             AND (CAST($5 AS BIGINT) = 0 OR NOT EXISTS (SELECT 1 FROM settlement_differences AS differences \
             WHERE differences.host_id = batches.host_id AND differences.business_date = batches.business_date \
             AND differences.merchant_id = batches.merchant_id AND differences.currency = batches.currency \
             AND differences.accepted_at_ms IS NULL)) \
             AND NOT EXISTS (SELECT 1 FROM settlement_files AS files WHERE files.host_id = batches.host_id \
             AND files.business_date = batches.business_date AND files.awaits_answer = 1 \
             AND COALESCE(files.answer_agrees, 0) = 0 AND files.accepted_at_ms IS NULL) \
             ORDER BY batches.id LIMIT $3) AS found"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let values = [
            day.host_id.as_str().into(),
            day.date.to_string().into(),
            limit.into(),
            i64::from(reports.is_some()).into(),
            i64::from(reports == Some(ReportRule::DifferencesHold)).into(),
        ];
        let rows = self.read(AssertSqlSafe(text), &values).await?;
        let fundable = |row: &AnyRow| {
            let columns = Columns::of(row, "settlement_batches", "id")?;
            let state = match columns.flag("differs")? {
                true => BatchState::Disputed,
                false => BatchState::Settled,
            };
            Ok((batch(row)?, state))
        };
        rows.iter().map(fundable).collect()
    }

    /// Funds a batch as it was read: its money becomes available to its merchant. `journal` is none where no money moves.
    /// Another node may have been first, or another report may have come; then nothing is written.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn fund_batch(
        &self,
        batch: &SettlementBatch,
        state: BatchState,
        journal: Option<&Journal>,
        at: UnixMillis,
    ) -> Result<bool, StoreError> {
        let id: Value = batch.id.to_string().into();
        let report = batch.report_id.map(|report| report.to_string());
        let report: Value = report.unwrap_or_default().into();
        let kind = match state {
            BatchState::Disputed => EventKind::BatchDisputed,
            _ => EventKind::BatchSettled,
        };
        let mut statements = vec![
            hold_positions(),
            Statement {
                text: "UPDATE positions SET next = next + 1 WHERE stream = 0 AND EXISTS (SELECT 1 \
                    FROM settlement_batches WHERE id = $1 AND funded_at_ms IS NULL AND COALESCE(report_id, '') = $2)",
                values: vec![id.clone(), report.clone()],
                returning: false,
            },
            Statement {
                text: "INSERT INTO events (stream, position, payment_sequence, kind, at_ms, operation_id, \
                    state_detail, amounts, merchant_id) \
                    SELECT 0, positions.next - 1, 0, CAST($2 AS TEXT), CAST($3 AS BIGINT), batches.id, '', '', batches.merchant_id \
                    FROM settlement_batches AS batches, positions WHERE positions.stream = 0 \
                    AND batches.id = $1 AND batches.funded_at_ms IS NULL AND COALESCE(batches.report_id, '') = $4",
                values: vec![
                    id.clone(),
                    Value::Static(kind.name()),
                    at.as_i64().into(),
                    report.clone(),
                ],
                returning: false,
            },
        ];
        if let Some(journal) = journal {
            let rows = JournalRows::of(&mut TextBuffer::new(), journal);
            let mut values = vec![id.clone()];
            values.extend(rows.journal);
            values.push(report.clone());
            statements.push(Statement {
                text: "INSERT INTO journals (stream, position, id, at_ms, content_sha256, business_date) \
                    SELECT 0, positions.next - 1, CAST($2 AS TEXT), CAST($3 AS BIGINT), CAST($4 AS TEXT), batches.business_date \
                    FROM settlement_batches AS batches, positions WHERE positions.stream = 0 \
                    AND batches.id = $1 AND batches.funded_at_ms IS NULL AND COALESCE(batches.report_id, '') = $5",
                values,
                returning: false,
            });
            for line in rows.lines {
                let mut values = vec![id.clone()];
                values.extend(line);
                values.push(report.clone());
                statements.push(Statement {
                    text: "INSERT INTO ledger_lines (stream, position, n, account, merchant_id, host_id, \
                        currency, amount_minor) SELECT 0, positions.next - 1, CAST($2 AS BIGINT), CAST($3 AS TEXT), \
                        CAST($4 AS TEXT), CAST($5 AS TEXT), CAST($6 AS TEXT), CAST($7 AS BIGINT) \
                        FROM settlement_batches AS batches, positions WHERE positions.stream = 0 \
                        AND batches.id = $1 AND batches.funded_at_ms IS NULL AND COALESCE(batches.report_id, '') = $8",
                    values,
                    returning: false,
                });
            }
        }
        statements.push(Statement {
            text: "UPDATE settlement_batches SET state = $2, funded_at_ms = $3 WHERE id = $1 \
                AND funded_at_ms IS NULL AND COALESCE(report_id, '') = $4",
            values: vec![id, Value::Static(state.name()), at.as_i64().into(), report],
            returning: false,
        });
        let ran = self.inner.housekeeping.run(statements).await?;
        Ok(ran.last().is_some_and(|funded| funded.rows_affected == 1))
    }
}

/// A batch with its event, unless it is there.
fn insert_batch(batch: &SettlementBatch, at: UnixMillis) -> [Statement; 3] {
    let id: Value = batch.id.to_string().into();
    let merchant: Value = batch.key.merchant_id.as_str().into();
    let take = Statement {
        text: "UPDATE positions SET next = next + 1 WHERE stream = 0 \
            AND NOT EXISTS (SELECT 1 FROM settlement_batches WHERE id = $1)",
        values: vec![id.clone()],
        returning: false,
    };
    let event = Statement {
        text: "INSERT INTO events (stream, position, payment_sequence, kind, at_ms, operation_id, state_detail, \
            amounts, merchant_id) SELECT 0, next - 1, 0, CAST($2 AS TEXT), CAST($3 AS BIGINT), CAST($1 AS TEXT), '', '', \
            CAST($4 AS TEXT) FROM positions \
            WHERE stream = 0 AND NOT EXISTS (SELECT 1 FROM settlement_batches WHERE id = $1)",
        values: vec![
            id.clone(),
            Value::Static(EventKind::BatchClosed.name()),
            at.as_i64().into(),
            merchant.clone(),
        ],
        returning: false,
    };
    let insert = Statement {
        text: "INSERT INTO settlement_batches (id, merchant_id, host_id, business_date, currency, \
            state, capture_count, captured_minor, refund_count, refunded_minor, opened_at_ms, closed_at_ms, \
            chargeback_count, charged_back_minor) \
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT DO NOTHING",
        values: vec![
            id,
            merchant,
            batch.key.host_id.as_str().into(),
            batch.key.business_date.to_string().into(),
            batch.key.currency.code().into(),
            batch.state.name().into(),
            batch.totals.capture_count.into(),
            batch.totals.captured_minor.into(),
            batch.totals.refund_count.into(),
            batch.totals.refunded_minor.into(),
            batch.opened_at.as_i64().into(),
            batch.closed_at.unwrap_or(batch.opened_at).as_i64().into(),
            batch.charged_back.count.into(),
            batch.charged_back.minor.into(),
        ],
        returning: false,
    };
    [take, event, insert]
}

/// What the captures and refunds of a batch sum to, from a row with these columns.
pub(in crate::store) fn totals(columns: &Columns<'_>) -> Result<BatchTotals, StoreError> {
    Ok(BatchTotals {
        capture_count: columns.integer("capture_count")?,
        captured_minor: columns.integer("captured_minor")?,
        refund_count: columns.integer("refund_count")?,
        refunded_minor: columns.integer("refunded_minor")?,
    })
}

/// What the chargebacks of a batch sum to, from a row with these columns.
pub(in crate::store) fn charged_back(columns: &Columns<'_>) -> Result<ChargedBack, StoreError> {
    Ok(ChargedBack {
        count: columns.integer("chargeback_count")?,
        minor: columns.integer("charged_back_minor")?,
    })
}

/// What an item, or all of a batch, costs, from a row with these columns; none where it is not computed.
pub(in crate::store) fn item_fees(columns: &Columns<'_>) -> Result<Option<ItemFees>, StoreError> {
    let Some(interchange) = columns.optional_integer("fee_interchange_minor")? else {
        return Ok(None);
    };
    Ok(Some(ItemFees {
        interchange,
        scheme: columns.integer("fee_scheme_minor")?,
        markup: columns.integer("fee_markup_minor")?,
        tax: columns.integer("fee_tax_minor")?,
    }))
}

/// What notes need of a batch, from a row with [`NOTED_COLUMNS`].
pub(in crate::store) fn noted_batch(row: &AnyRow) -> Result<NotedBatch, StoreError> {
    let columns = Columns::of(row, "settlement_batches", "batch_id")?;
    Ok(NotedBatch {
        id: columns.parsed("batch_id")?,
        key: batch_key(&columns)?,
        state: batch_state(&columns, "batch_state")?,
        is_charged: columns.optional_moment("fees_at_ms")?.is_some(),
        funded_at: columns.optional_moment("funded_at_ms")?,
        payout_id: columns.optional_parsed("payout_id")?,
        bank_reference: columns.optional_text("bank_reference")?,
    })
}

/// What a batch is of, from a row with these columns.
pub(in crate::store) fn batch_key(columns: &Columns<'_>) -> Result<BatchKey, StoreError> {
    Ok(BatchKey {
        business_date: columns.parsed("business_date")?,
        host_id: columns.parsed("host_id")?,
        merchant_id: columns.parsed("merchant_id")?,
        currency: columns.parsed("currency")?,
    })
}

fn batch_state(columns: &Columns<'_>, name: &'static str) -> Result<BatchState, StoreError> {
    let state = columns.text(name)?;
    BatchState::from_name(state)
        .ok_or_else(|| columns.corrupt(name, state, "expected the state of a batch"))
}

/// A batch from a row of [`SELECT_BATCHES`].
pub(in crate::store) fn batch(row: &AnyRow) -> Result<SettlementBatch, StoreError> {
    let columns = Columns::of(row, "settlement_batches", "id")?;
    let state = batch_state(&columns, "state")?;
    let ours = totals(&columns)?;
    let bank_totals = match columns.optional_json("bank_totals")? {
        None if columns.optional_text("totals_state")?.as_deref() == Some("IN_BALANCE") => {
            Some(ours)
        }
        theirs => theirs,
    };
    Ok(SettlementBatch {
        id: columns.parsed("id")?,
        key: batch_key(&columns)?,
        state,
        totals: ours,
        charged_back: charged_back(&columns)?,
        opened_at: columns.moment("opened_at_ms")?,
        closed_at: Some(columns.moment("closed_at_ms")?),
        submitted_at: columns.optional_moment("submitted_at_ms")?,
        funded_at: columns.optional_moment("funded_at_ms")?,
        bank_totals,
        report_id: columns.optional_parsed("report_id")?,
        fees: match columns.optional_moment("fees_at_ms")? {
            Some(_) => item_fees(&columns)?,
            None => None,
        },
    })
}
