//! Reads the items of batches: for their merchant, for their bank, and with their operations.

use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use crate::payment::difference::{Difference, DifferenceKind};
use crate::payment::ids::{HostId, MerchantId, OperationId, PaymentId, SubjectId};
use crate::payment::moment::BusinessDate;
use crate::payment::operation::OperationState;
use crate::payment::settlement::{BatchKey, BatchState, BatchTotals, ItemSettlement};
use crate::payment::totals::TotalsKey;
use crate::random::HashMap;
use crate::store::Store;
use crate::store::database::value::Value;
use crate::store::error::StoreError;
use crate::store::reads::by_ids::IDS;
use crate::store::records::lists::MAX_PAGE_SIZE;
use crate::store::records::settlement::{NotedBatch, SettlementItem, UploadedItem};
use crate::store::tables::columns::Columns;
use crate::store::tables::settlement_batches::{
    NOTED_COLUMNS, batch_key, item_fees, noted_batch, totals,
};
use crate::store::tables::settlement_items::item_kind;

/// What [`item`] reads.
const ITEM_COLUMNS: &str = "settlement_items.subject_id, settlement_items.payment_id, settlement_items.kind, \
    settlement_items.amount_minor, settlement_items.currency, payments.merchant_reference, operations.rrn, \
    operations.state, settlement_items.interchange_minor, settlement_items.scheme_fee_minor, \
    settlement_items.commission_minor, settlement_items.reject_code, settlement_items.fee_interchange_minor, \
    settlement_items.fee_scheme_minor, settlement_items.fee_markup_minor, settlement_items.fee_tax_minor";

/// What these are read from.
const ITEMS: &str = "settlement_items JOIN payments ON payments.id = settlement_items.payment_id \
    JOIN operations ON operations.id = settlement_items.operation_id";

/// Joins the batches that items are in.
const THEIR_BATCHES: &str = "settlement_batches AS batches ON batches.host_id = settlement_items.host_id \
    AND batches.business_date = settlement_items.business_date \
    AND batches.merchant_id = settlement_items.merchant_id AND batches.currency = settlement_items.currency";

impl Store {
    /// The items of a batch, by the names of their captures and refunds, at most `limit` (1 to [`MAX_PAGE_SIZE`]),
    /// going on after `after`.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn settlement_items(
        &self,
        batch: &BatchKey,
        limit: usize,
        after: Option<SubjectId>,
    ) -> Result<Vec<SettlementItem>, StoreError> {
        let limit = i64::try_from(limit.clamp(1, MAX_PAGE_SIZE)).unwrap_or(1);
        let text = format!(
            "SELECT {ITEM_COLUMNS} FROM {ITEMS} \
             WHERE settlement_items.host_id = $1 AND settlement_items.business_date = $2 \
             AND settlement_items.merchant_id = $3 AND settlement_items.currency = $4 \
             AND settlement_items.subject_id > $5 ORDER BY settlement_items.subject_id LIMIT $6"
        );
        let values = [
            batch.host_id.as_str().into(),
            batch.business_date.to_string().into(),
            batch.merchant_id.as_str().into(),
            batch.currency.code().into(),
            after
                .map_or_else(String::new, |after| after.to_string())
                .into(),
            limit.into(),
        ];
        let rows = self.read(AssertSqlSafe(text), &values).await?;
        rows.iter().map(item).collect()
    }

    /// The items that operations are and whose batches are funded, each with its batch.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn settled_items(
        &self,
        operations: &[OperationId],
    ) -> Result<HashMap<OperationId, (NotedBatch, SettlementItem)>, StoreError> {
        let text = format!(
            "SELECT settlement_items.operation_id, {ITEM_COLUMNS}, {NOTED_COLUMNS} FROM {ITEMS} \
             JOIN {THEIR_BATCHES} LEFT JOIN payouts ON payouts.id = batches.payout_id \
             WHERE batches.funded_at_ms IS NOT NULL AND settlement_items.operation_id {IDS}"
        );
        let ids = operations.iter().map(ToString::to_string).collect();
        let rows = self.of_ids(&text, ids).await?;
        let settled = |row: &AnyRow| {
            let columns = Columns::of(row, "settlement_items", "operation_id")?;
            Ok((
                columns.parsed("operation_id")?,
                (noted_batch(row)?, item(row)?),
            ))
        };
        rows.iter().map(settled).collect()
    }

    /// What the items of a payment sum to whose batches are funded.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn funded_of(&self, payment: PaymentId) -> Result<BatchTotals, StoreError> {
        let text = format!(
            "SELECT COUNT(CASE WHEN settlement_items.kind = 'CAPTURE' THEN 1 END) AS capture_count, \
             CAST(COALESCE(SUM(CASE WHEN settlement_items.kind = 'CAPTURE' THEN settlement_items.amount_minor END), 0) AS BIGINT) \
                 AS captured_minor, \
             COUNT(CASE WHEN settlement_items.kind = 'REFUND' THEN 1 END) AS refund_count, \
             CAST(COALESCE(SUM(CASE WHEN settlement_items.kind = 'REFUND' THEN settlement_items.amount_minor END), 0) AS BIGINT) \
                 AS refunded_minor \
             FROM settlement_items JOIN {THEIR_BATCHES} \
             WHERE batches.funded_at_ms IS NOT NULL AND settlement_items.payment_id = $1"
        );
        let payment = [payment.to_string().into()];
        let rows = self.read(AssertSqlSafe(text), &payment).await?;
        let sums = |row| totals(&Columns::named(row, "settlement_items", String::new()));
        Ok(rows.first().map(sums).transpose()?.unwrap_or_default())
    }

    /// The items behind totals, by the names of their captures and refunds, going on after `after`; `limit` is 1 to
    /// [`MAX_PAGE_SIZE`].
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn items_to_upload(
        &self,
        of: &TotalsKey,
        limit: usize,
        after: Option<SubjectId>,
    ) -> Result<Vec<UploadedItem>, StoreError> {
        let limit = i64::try_from(limit.clamp(1, MAX_PAGE_SIZE)).unwrap_or(1);
        let mut text = "SELECT settlement_items.subject_id, settlement_items.kind, settlement_items.amount_minor, \
            operations.rrn, operations.state_detail, operations.terminal_id, merchants.acceptor_id \
            FROM settlement_items JOIN operations ON operations.id = settlement_items.operation_id \
            JOIN merchants ON merchants.id = settlement_items.merchant_id \
            WHERE settlement_items.host_id = $1 AND settlement_items.business_date = $2 \
            AND settlement_items.currency = $3 AND settlement_items.subject_id > $4 \
            AND settlement_items.kind IN ('CAPTURE', 'REFUND')"
            .to_owned();
        let after = after.map_or_else(String::new, |after| after.to_string());
        let mut values: Vec<Value> = vec![
            of.host_id.as_str().into(),
            of.business_date.to_string().into(),
            of.currency.code().into(),
            after.into(),
            limit.into(),
        ];
        // What totals are not about is no condition, so that the index of the items has all that are there.
        let terminal = of.terminal_id.as_str();
        for (column, value) in [
            (
                "settlement_items.merchant_id",
                of.merchant_id.as_ref().map(MerchantId::as_str),
            ),
            (
                "operations.terminal_id",
                Some(terminal).filter(|it| !it.is_empty()),
            ),
        ] {
            if let Some(value) = value {
                values.push(value.into());
                text.push_str(&format!(" AND {column} = ${}", values.len()));
            }
        }
        text.push_str(" ORDER BY settlement_items.subject_id LIMIT $5");
        let rows = self.read(AssertSqlSafe(text), &values).await?;
        rows.iter().map(uploaded_item).collect()
    }

    /// The items of a day that their bank settles under another date, as its answers say (DE 15), at most `limit` (1 to
    /// [`MAX_PAGE_SIZE`]), going on after the capture or refund `after`.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn dated_otherwise(
        &self,
        host: &HostId,
        date: BusinessDate,
        limit: usize,
        after: &str,
    ) -> Result<Vec<Difference>, StoreError> {
        let text = "SELECT operation_id, subject_id, bank_date, merchant_id, currency FROM settlement_items \
            WHERE host_id = $1 AND business_date = $2 AND bank_date IS NOT NULL AND subject_id > $4 \
            ORDER BY subject_id LIMIT $3";
        let limit = i64::try_from(limit.clamp(1, MAX_PAGE_SIZE)).unwrap_or(1);
        let values = [
            host.as_str().into(),
            date.to_string().into(),
            limit.into(),
            after.into(),
        ];
        let rows = self.read(text, &values).await?;
        let dated = |row: &AnyRow| {
            let columns = Columns::of(row, "settlement_items", "subject_id")?;
            Ok(Difference {
                kind: DifferenceKind::DateDiffers,
                host_id: *host,
                business_date: date,
                merchant_id: Some(columns.parsed("merchant_id")?),
                currency: columns.parsed("currency")?,
                operation_id: Some(columns.parsed("operation_id")?),
                subject_id: Some(columns.parsed("subject_id")?),
                rrn: None,
                ours: Some(date.to_string()),
                theirs: Some(columns.text("bank_date")?.to_owned()),
                line: None,
                accepted_at: None,
                rule: None,
                candidates: Vec::new(),
            })
        };
        rows.iter().map(dated).collect()
    }

    /// How operations are settled, of those that are.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn settlement_of(
        &self,
        operations: &[OperationId],
    ) -> Result<HashMap<OperationId, ItemSettlement>, StoreError> {
        let text = format!(
            "SELECT settlement_items.operation_id, settlement_items.merchant_id, settlement_items.host_id, \
             settlement_items.acquirer_reference, settlement_items.reject_code, settlement_items.currency, settlement_items.business_date, business_days.opened_at_ms, \
             business_days.cut_at_ms, batches.state AS batch_state, batches.funded_at_ms FROM settlement_items JOIN business_days \
             ON business_days.host_id = settlement_items.host_id \
             AND business_days.business_date = settlement_items.business_date \
             LEFT JOIN {THEIR_BATCHES} WHERE settlement_items.operation_id {IDS}"
        );
        let ids = operations.iter().map(ToString::to_string).collect();
        let rows = self.of_ids(&text, ids).await?;
        let settled = |row: &AnyRow| {
            let columns = Columns::of(row, "settlement_items", "operation_id")?;
            let key = batch_key(&columns)?;
            let made = columns.optional_text("batch_state")?;
            let closed_at = columns.optional_moment("cut_at_ms")?;
            let settlement = ItemSettlement {
                business_date: key.business_date,
                batch_id: key.id(columns.moment("opened_at_ms")?),
                batch_state: match (closed_at, made.as_deref().and_then(BatchState::from_name)) {
                    (_, Some(state)) => state,
                    (Some(_), None) => BatchState::Closed,
                    (None, None) => BatchState::Open,
                },
                is_funded: columns.optional_moment("funded_at_ms")?.is_some(),
                acquirer_reference: columns.optional_text("acquirer_reference")?,
                is_rejected: columns.optional_text("reject_code")?.is_some(),
            };
            Ok((columns.parsed("operation_id")?, settlement))
        };
        rows.iter().map(settled).collect()
    }
}

fn uploaded_item(row: &AnyRow) -> Result<UploadedItem, StoreError> {
    let columns = Columns::of(row, "settlement_items", "subject_id")?;
    let state: OperationState = columns.json("state_detail")?;
    Ok(UploadedItem {
        subject_id: columns.parsed("subject_id")?,
        kind: item_kind(&columns)?,
        amount_minor: columns.integer("amount_minor")?,
        rrn: columns.parsed("rrn")?,
        approval_code: match state {
            OperationState::Approved { approval, .. } => approval.approval_code,
            _ => String::new(),
        },
        terminal_id: columns.text("terminal_id")?.to_owned(),
        acceptor_id: columns.text("acceptor_id")?.to_owned(),
    })
}

fn item(row: &AnyRow) -> Result<SettlementItem, StoreError> {
    let columns = Columns::of(row, "settlement_items", "subject_id")?;
    let is_recorded = columns.text("state")? == OperationState::Recorded.name();
    let rrn = columns.parsed("rrn")?;
    Ok(SettlementItem {
        subject_id: columns.parsed("subject_id")?,
        payment_id: columns.parsed("payment_id")?,
        kind: item_kind(&columns)?,
        amount: columns.money()?,
        merchant_reference: columns.text("merchant_reference")?.to_owned(),
        rrn: (!is_recorded).then_some(rrn),
        interchange_minor: columns.optional_integer("interchange_minor")?,
        scheme_fee_minor: columns.optional_integer("scheme_fee_minor")?,
        commission_minor: columns.optional_integer("commission_minor")?,
        reject_code: columns.optional_text("reject_code")?,
        fees: item_fees(&columns)?,
    })
}
