//! Clearing files that are on the disk, what they claim, and what banks answer to them.

use iso8583::hex;
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use super::business_days::hold_positions;
use super::columns::Columns;
use super::text_buffer::TextBuffer;
use crate::payment::ids::HostId;
use crate::payment::moment::{BusinessDate, UnixMillis};
use crate::payment::operation::OperationState;
use crate::payment::record::CardSummary;
use crate::payment::settlement::ItemKind;
use crate::payment::settlement_file::{ClearedItem, FileAnswer, FileVerdict, SettlementFile};
use crate::store::Store;
use crate::store::database::connection::Statement;
use crate::store::error::StoreError;
use crate::store::records::lists::MAX_PAGE_SIZE;
use crate::store::records::settlement::ItemPlace;

/// What is kept of a card, among what is kept of its payment.
#[derive(serde::Deserialize)]
struct CardOfPayment {
    card: Option<CardSummary>,
}

impl Store {
    /// Records a file that is on the disk. With `submits`, the batches of its day are submitted by it. Another node may
    /// have been first with the same file.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn record_settlement_file(
        &self,
        file: &SettlementFile,
        submits: bool,
    ) -> Result<bool, StoreError> {
        let insert = Statement {
            text: "INSERT INTO settlement_files (host_id, business_date, cycle, name, sha256, bytes, item_count, sums, \
                written_at_ms, awaits_answer) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING",
            values: vec![
                file.host_id.as_str().into(),
                file.business_date.to_string().into(),
                file.cycle.into(),
                file.name.as_str().into(),
                hex::encode_lower(&file.sha256).into(),
                file.bytes.into(),
                file.item_count.into(),
                TextBuffer::new().json(&file.sums)?.into(),
                file.written_at.as_i64().into(),
                i64::from(file.awaits_answer).into(),
            ],
            returning: false,
        };
        let submit = Statement {
            text: "UPDATE settlement_batches SET state = 'SUBMITTED', submitted_at_ms = $3 WHERE host_id = $1 \
                AND business_date = $2 AND state = 'CLOSED'",
            values: vec![
                file.host_id.as_str().into(),
                file.business_date.to_string().into(),
                file.written_at.as_i64().into(),
            ],
            returning: false,
        };
        let statements = std::iter::once(insert).chain(submits.then_some(submit));
        let ran = self.inner.housekeeping.run(statements.collect()).await?;
        Ok(ran.first().is_some_and(|insert| insert.rows_affected == 1))
    }

    /// The files of a host's day, by their cycles.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn settlement_files(
        &self,
        host: &HostId,
        date: BusinessDate,
    ) -> Result<Vec<SettlementFile>, StoreError> {
        let text = "SELECT * FROM settlement_files WHERE host_id = $1 AND business_date = $2 ORDER BY cycle";
        let values = [host.as_str().into(), date.to_string().into()];
        let rows = self.read(text, &values).await?;
        rows.iter().map(file).collect()
    }

    /// Records what the bank has answered to a file as it was read. Where it does not agree, the batches of the day that
    /// are not funded are disputed, and what an approver has let count before counts no more. Another answer may have come
    /// meanwhile; then nothing is written.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn record_answer(
        &self,
        file: &SettlementFile,
        answer: &FileAnswer,
    ) -> Result<bool, StoreError> {
        let sha256 = hex::encode_lower(&answer.sha256);
        let before = file.answer.as_ref();
        let before = before.map(|before| hex::encode_lower(&before.sha256));
        let mut text = TextBuffer::new();
        let record = Statement {
            // Twice is as once.
            text: "UPDATE settlement_files SET answer_state = $4, answer_agrees = $5, answer = $6, answer_sha256 = $7, \
                answers_before = $8, answered_at_ms = $9, accepted_at_ms = NULL WHERE host_id = $1 \
                AND business_date = $2 AND cycle = $3 AND COALESCE(answer_sha256, '') IN ($7, $10)",
            values: vec![
                file.host_id.as_str().into(),
                file.business_date.to_string().into(),
                file.cycle.into(),
                answer.verdict.name().into(),
                i64::from(answer.agrees).into(),
                text.json(&answer.verdict)?.into(),
                sha256.as_str().into(),
                text.json(&answer.before)?.into(),
                answer.answered_at.as_i64().into(),
                before.unwrap_or_default().into(),
            ],
            returning: false,
        };
        let dispute = Statement {
            text: "UPDATE settlement_batches SET state = 'DISPUTED' WHERE host_id = $1 AND business_date = $2 \
                AND funded_at_ms IS NULL AND EXISTS (SELECT 1 FROM settlement_files AS files WHERE files.host_id = $1 \
                AND files.business_date = $2 AND files.cycle = $3 AND files.awaits_answer = 1 \
                AND files.answer_agrees = 0 AND files.answer_sha256 = $4)",
            values: vec![
                file.host_id.as_str().into(),
                file.business_date.to_string().into(),
                file.cycle.into(),
                sha256.into(),
            ],
            returning: false,
        };
        // A batch that is being funded meanwhile is before it or after it.
        let statements = vec![hold_positions(), record, dispute];
        let ran = self.inner.housekeeping.run(statements).await?;
        Ok(ran.get(1).is_some_and(|record| record.rows_affected == 1))
    }

    /// Lets the files of a host's day count as they are that the bank has not taken as they claim, with `unanswered` those too
    /// that it has not answered: their batches are funded all the same. How many there were.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn accept_files(
        &self,
        host: &HostId,
        date: BusinessDate,
        unanswered: bool,
        at: UnixMillis,
    ) -> Result<u64, StoreError> {
        let accept = Statement {
            text: "UPDATE settlement_files SET accepted_at_ms = $3 WHERE host_id = $1 AND business_date = $2 \
                AND awaits_answer = 1 AND COALESCE(answer_agrees, 0) = 0 AND accepted_at_ms IS NULL \
                AND (answer_state IS NOT NULL OR CAST($4 AS BIGINT) = 1)",
            values: vec![
                host.as_str().into(),
                date.to_string().into(),
                at.as_i64().into(),
                i64::from(unanswered).into(),
            ],
            returning: false,
        };
        let ran = self.inner.housekeeping.run(vec![accept]).await?;
        Ok(ran.first().map_or(0, |accepted| accepted.rows_affected))
    }

    /// The captures or the refunds of a day that no message has told its host, or all of them, by merchant, currency and
    /// name, at most `limit` (1 to [`MAX_PAGE_SIZE`]), going on after `after`: each with the place of it.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn items_to_clear(
        &self,
        (host, date): (&HostId, BusinessDate),
        (kind, all): (ItemKind, bool),
        limit: usize,
        after: &ItemPlace,
    ) -> Result<Vec<(ItemPlace, ClearedItem)>, StoreError> {
        let limit = i64::try_from(limit.clamp(1, MAX_PAGE_SIZE)).unwrap_or(1);
        let text = format!(
            // What no message tells, and captures, are known by the authorization's number.
            "SELECT items.subject_id, items.merchant_id, items.currency, items.kind, items.amount_minor, \
             own.terminal_id, merchants.acceptor_id, merchants.mcc, payments.detail, \
             CASE WHEN own.state = '{recorded}' OR items.kind = 'CAPTURE' THEN first.rrn ELSE own.rrn END AS rrn, \
             first.state_detail FROM settlement_items AS items \
             JOIN operations AS own ON own.id = items.operation_id \
             JOIN merchants ON merchants.id = items.merchant_id \
             JOIN payments ON payments.id = items.payment_id \
             JOIN operations AS first ON first.id = payments.operation_id \
             WHERE items.host_id = $1 AND items.business_date = $2 AND items.kind = $3 \
             AND (CAST($8 AS BIGINT) = 1 OR own.state = '{recorded}') \
             AND (items.merchant_id, items.currency, items.subject_id) > ($4, $5, $6) \
             ORDER BY items.merchant_id, items.currency, items.subject_id LIMIT $7",
            recorded = OperationState::Recorded.name()
        );
        let values = [
            host.as_str().into(),
            date.to_string().into(),
            kind.name().into(),
            after.merchant_id.as_str().into(),
            after.currency.as_str().into(),
            after.subject_id.as_str().into(),
            limit.into(),
            i64::from(all).into(),
        ];
        let rows = self.read(AssertSqlSafe(text), &values).await?;
        rows.iter().map(|row| cleared_item(row, kind)).collect()
    }
}

fn cleared_item(row: &AnyRow, kind: ItemKind) -> Result<(ItemPlace, ClearedItem), StoreError> {
    let columns = Columns::of(row, "settlement_items", "subject_id")?;
    let place = ItemPlace {
        merchant_id: columns.text("merchant_id")?.to_owned(),
        currency: columns.text("currency")?.to_owned(),
        subject_id: columns.text("subject_id")?.to_owned(),
    };
    let state: OperationState = columns.json("state_detail")?;
    let of_payment: CardOfPayment = columns.json("detail")?;
    let masked = |card: CardSummary| format!("{}******{}", card.bin, card.last_four);
    let item = ClearedItem {
        subject_id: columns.parsed("subject_id")?,
        kind,
        amount: columns.money()?,
        acceptor_id: columns.text("acceptor_id")?.to_owned(),
        terminal_id: columns.text("terminal_id")?.to_owned(),
        mcc: columns.text("mcc")?.to_owned(),
        rrn: columns.parsed("rrn")?,
        approval_code: match state {
            OperationState::Approved { approval, .. } => approval.approval_code,
            _ => String::new(),
        },
        card_masked: of_payment.card.map(masked).unwrap_or_default(),
    };
    Ok((place, item))
}

fn file(row: &AnyRow) -> Result<SettlementFile, StoreError> {
    let columns = Columns::of(row, "settlement_files", "name")?;
    Ok(SettlementFile {
        host_id: columns.parsed("host_id")?,
        business_date: columns.parsed("business_date")?,
        cycle: columns.integer("cycle")?,
        name: columns.text("name")?.to_owned(),
        sha256: columns.hash("sha256")?,
        bytes: columns.integer("bytes")?,
        item_count: columns.integer("item_count")?,
        sums: columns.json("sums")?,
        written_at: columns.moment("written_at_ms")?,
        awaits_answer: columns.flag("awaits_answer")?,
        answer: answer(&columns)?,
        accepted_at: columns.optional_moment("accepted_at_ms")?,
    })
}

fn answer(columns: &Columns<'_>) -> Result<Option<FileAnswer>, StoreError> {
    let Some(verdict) = columns.optional_json::<FileVerdict>("answer")? else {
        return Ok(None);
    };
    let state = columns.text("answer_state")?;
    if state != verdict.name() {
        let reason = format!("the column answer says {}", verdict.name());
        return Err(columns.corrupt("answer_state", state, reason));
    }
    Ok(Some(FileAnswer {
        verdict,
        agrees: columns.flag("answer_agrees")?,
        sha256: columns.hash("answer_sha256")?,
        before: columns.json("answers_before")?,
        answered_at: columns.moment("answered_at_ms")?,
    }))
}
