//! Totals that are agreed with hosts. A row goes on from version to version: of two nodes one is first.

use sqlx::any::AnyRow;

use super::columns::Columns;
use super::text_buffer::TextBuffer;
use crate::payment::ids::HostId;
use crate::payment::moment::UnixMillis;
use crate::payment::settlement::{BatchTotals, BusinessDay, SettlementBatch};
use crate::payment::totals::{Totals, TotalsKey, TotalsLevel, TotalsState, TotalsStep};
use crate::store::Store;
use crate::store::database::connection::Statement;
use crate::store::database::value::Value;
use crate::store::error::StoreError;
use crate::store::records::lists::MAX_PAGE_SIZE;
use crate::store::records::settlement::TotalsCursor;

/// The rows of a batch's totals, which `batches` are aliased to: of itself, of one of its terminals, or of all of the host.
pub(in crate::store) const OF_BATCH: &str = "settlement_totals.host_id = batches.host_id \
    AND settlement_totals.business_date = batches.business_date \
    AND settlement_totals.currency = batches.currency \
    AND settlement_totals.merchant_id IN ('', batches.merchant_id)";

/// The rows of a closed day whose batches are made: by what one message is about. Those of terminals are summed batch by
/// batch, so that a large day is many short statements.
pub(in crate::store) fn insert_totals(
    day: &BusinessDay,
    level: TotalsLevel,
    batches: &[SettlementBatch],
    at: UnixMillis,
) -> Vec<Statement> {
    const OF_MERCHANTS: &str = "INSERT INTO settlement_totals (host_id, business_date, currency, merchant_id, \
        terminal_id, acceptor_id, capture_count, captured_minor, refund_count, refunded_minor, state, uploaded, sent, \
        next_at_ms, version, updated_at_ms) \
        SELECT batches.host_id, batches.business_date, batches.currency, batches.merchant_id, '', \
        merchants.acceptor_id, batches.capture_count, batches.captured_minor, batches.refund_count, \
        batches.refunded_minor, 'DUE', 0, 0, CAST($3 AS BIGINT), 1, CAST($3 AS BIGINT) \
        FROM settlement_batches AS batches JOIN merchants ON merchants.id = batches.merchant_id \
        WHERE batches.host_id = $1 AND batches.business_date = $2 \
        AND batches.capture_count + batches.refund_count > 0 ON CONFLICT DO NOTHING";
    const OF_TERMINALS: &str = "INSERT INTO settlement_totals (host_id, business_date, currency, merchant_id, \
        terminal_id, acceptor_id, capture_count, captured_minor, refund_count, refunded_minor, state, uploaded, sent, \
        next_at_ms, version, updated_at_ms) \
        SELECT items.host_id, items.business_date, items.currency, items.merchant_id, operations.terminal_id, \
        merchants.acceptor_id, SUM(CASE WHEN items.kind = 'CAPTURE' THEN 1 ELSE 0 END), \
        CAST(SUM(CASE WHEN items.kind = 'CAPTURE' THEN items.amount_minor ELSE 0 END) AS BIGINT), \
        SUM(CASE WHEN items.kind = 'REFUND' THEN 1 ELSE 0 END), \
        CAST(SUM(CASE WHEN items.kind = 'REFUND' THEN items.amount_minor ELSE 0 END) AS BIGINT), \
        'DUE', 0, 0, CAST($3 AS BIGINT), 1, CAST($3 AS BIGINT) \
        FROM settlement_items AS items JOIN operations ON operations.id = items.operation_id \
        JOIN merchants ON merchants.id = items.merchant_id \
        WHERE items.host_id = $1 AND items.business_date = $2 AND items.merchant_id = $4 AND items.currency = $5 \
        AND items.kind IN ('CAPTURE', 'REFUND') \
        GROUP BY items.host_id, items.business_date, items.currency, items.merchant_id, operations.terminal_id, \
        merchants.acceptor_id ON CONFLICT DO NOTHING";
    const OF_HOST: &str = "INSERT INTO settlement_totals (host_id, business_date, currency, merchant_id, \
        terminal_id, acceptor_id, capture_count, captured_minor, refund_count, refunded_minor, state, uploaded, sent, \
        next_at_ms, version, updated_at_ms) \
        SELECT host_id, business_date, currency, '', '', '', CAST(SUM(capture_count) AS BIGINT), \
        CAST(SUM(captured_minor) AS BIGINT), CAST(SUM(refund_count) AS BIGINT), \
        CAST(SUM(refunded_minor) AS BIGINT), 'DUE', 0, 0, CAST($3 AS BIGINT), 1, CAST($3 AS BIGINT) \
        FROM settlement_batches WHERE host_id = $1 AND business_date = $2 AND capture_count + refund_count > 0 \
        GROUP BY host_id, business_date, currency ON CONFLICT DO NOTHING";
    let of_day = || -> Vec<Value> {
        vec![
            day.host_id.as_str().into(),
            day.date.to_string().into(),
            at.as_i64().into(),
        ]
    };
    let insert = |text, values| Statement {
        text,
        values,
        returning: false,
    };
    let of_batch = |batch: &SettlementBatch| {
        let mut values = of_day();
        values.push(batch.key.merchant_id.as_str().into());
        values.push(batch.key.currency.code().into());
        insert(OF_TERMINALS, values)
    };
    match level {
        TotalsLevel::Merchant => vec![insert(OF_MERCHANTS, of_day())],
        TotalsLevel::Terminal => batches.iter().map(of_batch).collect(),
        TotalsLevel::Host => vec![insert(OF_HOST, of_day())],
    }
}

impl Store {
    /// The totals of a host whose turn it is, at most `limit`.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn due_totals(
        &self,
        host: &HostId,
        now: UnixMillis,
        limit: usize,
    ) -> Result<Vec<Totals>, StoreError> {
        let text = "SELECT * FROM settlement_totals WHERE host_id = $1 AND next_at_ms <= $2 \
            ORDER BY next_at_ms LIMIT $3";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let values = [host.as_str().into(), now.as_i64().into(), limit.into()];
        let rows = self.read(text, &values).await?;
        rows.iter().map(totals).collect()
    }

    /// The totals of a day, by merchant, currency and terminal, at most `limit` (1 to [`MAX_PAGE_SIZE`]), going on after
    /// `after`.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn totals_of_day(
        &self,
        day: &BusinessDay,
        limit: usize,
        after: Option<TotalsCursor>,
    ) -> Result<Vec<Totals>, StoreError> {
        let text = "SELECT * FROM settlement_totals WHERE host_id = $1 AND business_date = $2 \
            AND (merchant_id, currency, terminal_id) > ($3, $4, $5) \
            ORDER BY merchant_id, currency, terminal_id LIMIT $6";
        let limit = i64::try_from(limit.clamp(1, MAX_PAGE_SIZE)).unwrap_or(1);
        let after = after.unwrap_or_default();
        let values = [
            day.host_id.as_str().into(),
            day.date.to_string().into(),
            after.merchant_id.into(),
            after.currency.into(),
            after.terminal_id.into(),
            limit.into(),
        ];
        let rows = self.read(text, &values).await?;
        rows.iter().map(totals).collect()
    }

    /// The totals of a day that are not agreed: an operator may end them.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn open_totals(&self, day: &BusinessDay) -> Result<Vec<Totals>, StoreError> {
        let text = "SELECT * FROM settlement_totals WHERE host_id = $1 AND business_date = $2 \
            AND state IN ('DUE', 'UPLOADING', 'STOPPED') ORDER BY merchant_id, currency, terminal_id";
        let values = [day.host_id.as_str().into(), day.date.to_string().into()];
        let rows = self.read(text, &values).await?;
        rows.iter().map(totals).collect()
    }

    /// Records a step of totals, and what it means for their batches. The totals after it;
    /// none where another node was first, or the step has no place in their state.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn step_totals(
        &self,
        totals: &Totals,
        step: &TotalsStep,
        at: UnixMillis,
    ) -> Result<Option<Totals>, StoreError> {
        let Some(after) = totals.after(step, at) else {
            return Ok(None);
        };
        let moment = |at: Option<UnixMillis>| Value::from(at.map(UnixMillis::as_i64));
        let mut texts = TextBuffer::new();
        let mut values = key_values(&totals.key);
        values.extend([
            totals.version.into(),
            Value::Static(after.state.name()),
            match &after.theirs {
                Some(theirs) => texts.json(theirs)?.into(),
                None => None::<String>.into(),
            },
            after.response_code.map(|code| code.to_string()).into(),
            i64::from(after.uploaded).into(),
            after.uploaded_to.map(|subject| subject.to_string()).into(),
            match &after.upload {
                Some(numbers) => texts.json(numbers)?.into(),
                None => None::<String>.into(),
            },
            i64::from(after.sent).into(),
            after.stan.map(|stan| i64::from(u32::from(stan))).into(),
            moment(after.transmitted_at),
            moment(after.next_at),
            at.as_i64().into(),
        ]);
        let step_statement = Statement {
            text: "UPDATE settlement_totals SET state = $7, bank_totals = $8, response_code = $9, uploaded = $10, \
                uploaded_to = $11, upload = $12, sent = $13, stan = $14, transmitted_at_ms = $15, next_at_ms = $16, \
                version = version + 1, updated_at_ms = $17 WHERE host_id = $1 AND business_date = $2 \
                AND currency = $3 AND merchant_id = $4 AND terminal_id = $5 AND version = $6",
            values,
            returning: false,
        };
        let batches = match step {
            TotalsStep::Sent { .. } => Some(submitted(totals, at)),
            TotalsStep::Answered {
                state: TotalsState::Stopped,
                ..
            } => Some(batches_are(totals, "DISPUTED")),
            TotalsStep::Again => Some(batches_are(totals, "SUBMITTED")),
            _ => None,
        };
        let statements = std::iter::once(step_statement).chain(batches).collect();
        let ran = self.inner.housekeeping.run(statements).await?;
        let is_first = ran.first().is_some_and(|step| step.rows_affected == 1);
        Ok(is_first.then_some(after))
    }
}

/// Host, date, currency, merchant and terminal: $1 to $5.
fn key_values(key: &TotalsKey) -> Vec<Value> {
    let merchant = key.merchant_id.as_ref();
    vec![
        key.host_id.as_str().into(),
        key.business_date.to_string().into(),
        key.currency.code().into(),
        merchant.map_or("", |merchant| merchant.as_str()).into(),
        key.terminal_id.as_str().into(),
    ]
}

/// Whether these totals have taken the step from their version: $1 to $5 are their key, $6 is the version after it.
macro_rules! stepped {
    () => {
        "AND EXISTS (SELECT 1 FROM settlement_totals WHERE settlement_totals.host_id = $1 \
         AND settlement_totals.business_date = $2 AND settlement_totals.currency = $3 \
         AND settlement_totals.merchant_id = $4 AND settlement_totals.terminal_id = $5 \
         AND settlement_totals.version = $6)"
    };
}

/// The batches of totals are submitted. Said again, it changes nothing.
fn submitted(totals: &Totals, at: UnixMillis) -> Statement {
    let mut values = key_values(&totals.key);
    values.extend([(totals.version + 1).into(), at.as_i64().into()]);
    Statement {
        text: concat!(
            "UPDATE settlement_batches SET state = 'SUBMITTED', submitted_at_ms = $7 WHERE host_id = $1 \
             AND business_date = $2 AND currency = $3 AND $4 IN ('', merchant_id) AND state = 'CLOSED' ",
            stepped!()
        ),
        values,
        returning: false,
    }
}

/// The batches of totals have another state, unless they are funded.
fn batches_are(totals: &Totals, state: &'static str) -> Statement {
    let mut values = key_values(&totals.key);
    values.extend([(totals.version + 1).into(), Value::Static(state)]);
    Statement {
        text: concat!(
            "UPDATE settlement_batches SET state = $7 WHERE host_id = $1 AND business_date = $2 \
             AND currency = $3 AND $4 IN ('', merchant_id) AND funded_at_ms IS NULL ",
            stepped!()
        ),
        values,
        returning: false,
    }
}

fn totals(row: &AnyRow) -> Result<Totals, StoreError> {
    let columns = Columns::of(row, "settlement_totals", "host_id")?;
    let merchant_id = columns.text("merchant_id")?;
    let merchant_id = match merchant_id {
        "" => None,
        _ => Some(columns.parsed("merchant_id")?),
    };
    let state = columns.text("state")?;
    let state = TotalsState::from_name(state)
        .ok_or_else(|| columns.corrupt("state", state, "expected the state of totals"))?;
    let stan = match columns.optional_integer("stan")? {
        None => None,
        Some(_) => Some(columns.stan("stan")?),
    };
    Ok(Totals {
        key: TotalsKey {
            host_id: columns.parsed("host_id")?,
            business_date: columns.parsed("business_date")?,
            currency: columns.parsed("currency")?,
            merchant_id,
            terminal_id: columns.text("terminal_id")?.to_owned(),
        },
        acceptor_id: columns.text("acceptor_id")?.to_owned(),
        ours: BatchTotals {
            capture_count: columns.integer("capture_count")?,
            captured_minor: columns.integer("captured_minor")?,
            refund_count: columns.integer("refund_count")?,
            refunded_minor: columns.integer("refunded_minor")?,
        },
        theirs: columns.optional_json("bank_totals")?,
        state,
        uploaded: columns.flag("uploaded")?,
        uploaded_to: columns.optional_parsed("uploaded_to")?,
        upload: columns.optional_json("upload")?,
        sent: columns.number("sent")?,
        stan,
        transmitted_at: columns.optional_moment("transmitted_at_ms")?,
        next_at: columns.optional_moment("next_at_ms")?,
        response_code: columns.optional_parsed("response_code")?,
        version: columns.integer("version")?,
    })
}
