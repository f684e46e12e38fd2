//! Reads the items of batches: for their merchant, for their bank, and with their operations.

use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use crate::payment::ids::{HostId, MerchantId, OperationId, SubjectId};
use crate::payment::moment::BusinessDate;
use crate::payment::operation::OperationState;
use crate::payment::settlement::{BatchKey, BatchState, ItemSettlement};
use crate::payment::totals::TotalsKey;
use crate::random::HashMap;
use crate::store::Store;
use crate::store::database::value::Value;
use crate::store::error::StoreError;
use crate::store::reads::by_ids::IDS;
use crate::store::records::lists::MAX_PAGE_SIZE;
use crate::store::records::settlement::{DatedOtherwise, SettlementItem, UploadedItem};
use crate::store::tables::columns::Columns;
use crate::store::tables::settlement_batches::item_fees;
use crate::store::tables::settlement_items::item_kind;

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
        let text = "SELECT settlement_items.subject_id, settlement_items.payment_id, settlement_items.kind, \
            settlement_items.amount_minor, settlement_items.currency, payments.merchant_reference, \
            operations.rrn, operations.state, settlement_items.interchange_minor, settlement_items.scheme_fee_minor, \
            settlement_items.commission_minor, settlement_items.reject_code, settlement_items.fee_interchange_minor, \
            settlement_items.fee_scheme_minor, settlement_items.fee_markup_minor, settlement_items.fee_tax_minor \
            FROM settlement_items JOIN payments ON payments.id = settlement_items.payment_id \
            JOIN operations ON operations.id = settlement_items.operation_id \
            WHERE settlement_items.host_id = $1 AND settlement_items.business_date = $2 \
            AND settlement_items.merchant_id = $3 AND settlement_items.currency = $4 \
            AND settlement_items.subject_id > $5 ORDER BY settlement_items.subject_id LIMIT $6";
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
        let rows = self.read(text, &values).await?;
        rows.iter().map(item).collect()
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

    /// The items of a day that their bank settles under another date, at most `limit`.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn dated_otherwise(
        &self,
        host: &HostId,
        date: BusinessDate,
        limit: usize,
    ) -> Result<Vec<DatedOtherwise>, StoreError> {
        let text = "SELECT settlement_items.subject_id, settlement_items.bank_date, settlement_items.host_id, \
            settlement_items.business_date, settlement_items.merchant_id, settlement_items.currency, \
            business_days.opened_at_ms FROM settlement_items JOIN business_days \
            ON business_days.host_id = settlement_items.host_id \
            AND business_days.business_date = settlement_items.business_date \
            WHERE settlement_items.host_id = $1 AND settlement_items.business_date = $2 \
            AND settlement_items.bank_date IS NOT NULL ORDER BY settlement_items.subject_id LIMIT $3";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let values = [host.as_str().into(), date.to_string().into(), limit.into()];
        let rows = self.read(text, &values).await?;
        let dated = |row: &AnyRow| {
            let columns = Columns::of(row, "settlement_items", "subject_id")?;
            Ok(DatedOtherwise {
                subject_id: columns.parsed("subject_id")?,
                batch_id: item_batch(&columns)?.id(columns.moment("opened_at_ms")?),
                bank_date: columns.parsed("bank_date")?,
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
             LEFT JOIN settlement_batches AS batches ON batches.host_id = settlement_items.host_id \
             AND batches.business_date = settlement_items.business_date \
             AND batches.merchant_id = settlement_items.merchant_id \
             AND batches.currency = settlement_items.currency \
             WHERE settlement_items.operation_id {IDS}"
        );
        let ids = operations.iter().map(ToString::to_string).collect();
        let rows = self.of_ids(&text, ids).await?;
        let settled = |row: &AnyRow| {
            let columns = Columns::of(row, "settlement_items", "operation_id")?;
            let key = item_batch(&columns)?;
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

/// The batch of an item, from a row with its columns.
fn item_batch(columns: &Columns<'_>) -> Result<BatchKey, StoreError> {
    Ok(BatchKey {
        business_date: columns.parsed("business_date")?,
        host_id: columns.parsed("host_id")?,
        merchant_id: columns.parsed("merchant_id")?,
        currency: columns.parsed("currency")?,
    })
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
