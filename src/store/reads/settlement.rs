//! Reads what is settled: days, batches, and their items. The batches of a day without batches yet are what its items
//! sum to.

use std::cmp::Ordering;

use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use crate::payment::ids::{BatchId, HostId, MerchantId, OperationId, SubjectId};
use crate::payment::moment::BusinessDate;
use crate::payment::money::Currency;
use crate::payment::operation::OperationState;
use crate::payment::settlement::{
    BatchKey, BatchState, BusinessDay, DayTotals, ItemFees, ItemSettlement, SettlementBatch,
};
use crate::payment::totals::TotalsKey;
use crate::random::HashMap;
use crate::store::Store;
use crate::store::database::value::Value;
use crate::store::error::StoreError;
use crate::store::reads::by_ids::IDS;
use crate::store::records::{
    BatchCursor, BatchFilter, DatedOtherwise, ListOrder, MAX_PAGE_SIZE, SettlementItem,
    UploadedItem,
};
use crate::store::tables::business_days::business_day;
use crate::store::tables::columns::Columns;
use crate::store::tables::settlement_batches::{SELECT_BATCHES, batch, item_fees, totals};
use crate::store::tables::settlement_items::item_kind;

/// What items sum to. The index has all that it needs.
const SUMS: &str = "SELECT merchant_id, currency, \
    SUM(CASE WHEN kind = 'CAPTURE' THEN 1 ELSE 0 END) AS capture_count, \
    CAST(SUM(CASE WHEN kind = 'CAPTURE' THEN amount_minor ELSE 0 END) AS BIGINT) AS captured_minor, \
    SUM(CASE WHEN kind = 'REFUND' THEN 1 ELSE 0 END) AS refund_count, \
    CAST(SUM(CASE WHEN kind = 'REFUND' THEN amount_minor ELSE 0 END) AS BIGINT) AS refunded_minor \
    FROM settlement_items WHERE host_id = $1 AND business_date = $2";

impl Store {
    /// The batches of a day, as its items sum to, by merchant and currency. Each merchant is read by itself, so that a
    /// large day is many short reads.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn batches_of_day(
        &self,
        day: &BusinessDay,
    ) -> Result<Vec<SettlementBatch>, StoreError> {
        let text = format!(
            "{SUMS} AND merchant_id = (SELECT MIN(next.merchant_id) FROM settlement_items AS next \
                WHERE next.host_id = $1 AND next.business_date = $2 AND next.merchant_id > $3) \
             GROUP BY merchant_id, currency ORDER BY currency"
        );
        let (mut found, mut last) = (Vec::<SettlementBatch>::new(), String::new());
        loop {
            let values = [
                day.host_id.as_str().into(),
                day.date.to_string().into(),
                last.as_str().into(),
            ];
            let rows = self.read(AssertSqlSafe(text.clone()), &values).await?;
            for row in &rows {
                found.push(summed_batch(day, row)?);
            }
            match found.last() {
                Some(batch) if !rows.is_empty() => last = batch.key.merchant_id.to_string(),
                _ => return Ok(found),
            }
        }
    }

    /// What the batches of a day sum to that are made, by currency.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn totals_of_batches(&self, day: &BusinessDay) -> Result<Vec<DayTotals>, StoreError> {
        let text = "SELECT currency, COUNT(*) AS batch_count, \
            CAST(SUM(capture_count) AS BIGINT) AS capture_count, \
            CAST(SUM(captured_minor) AS BIGINT) AS captured_minor, \
            CAST(SUM(refund_count) AS BIGINT) AS refund_count, \
            CAST(SUM(refunded_minor) AS BIGINT) AS refunded_minor FROM settlement_batches \
            WHERE host_id = $1 AND business_date = $2 GROUP BY currency ORDER BY currency";
        let values = [day.host_id.as_str().into(), day.date.to_string().into()];
        let rows = self.read(text, &values).await?;
        let day_totals = |row: &AnyRow| {
            let columns = Columns::of(row, "settlement_batches", "currency")?;
            Ok(DayTotals {
                currency: columns.parsed("currency")?,
                batch_count: columns.integer("batch_count")?,
                totals: totals(&columns)?,
            })
        };
        rows.iter().map(day_totals).collect()
    }

    /// The days whose batches are not made yet: those that are open, and those that were closed a moment ago.
    async fn days_not_batched(&self) -> Result<Vec<BusinessDay>, StoreError> {
        let text = "SELECT * FROM business_days WHERE batched_at_ms IS NULL";
        let rows = self.read(text, &[]).await?;
        rows.iter().map(business_day).collect()
    }

    /// A merchant's batches of a day, as its items sum to: of all currencies, or of one.
    async fn sums_of(
        &self,
        day: &BusinessDay,
        merchant: &MerchantId,
        currency: Option<Currency>,
    ) -> Result<Vec<SettlementBatch>, StoreError> {
        let mut text = format!("{SUMS} AND merchant_id = $3");
        let mut values: Vec<Value> = vec![
            day.host_id.as_str().into(),
            day.date.to_string().into(),
            merchant.as_str().into(),
        ];
        if let Some(currency) = currency {
            text.push_str(" AND currency = $4");
            values.push(currency.code().into());
        }
        text.push_str(" GROUP BY merchant_id, currency");
        let rows = self.read(AssertSqlSafe(text), &values).await?;
        rows.iter().map(|row| summed_batch(day, row)).collect()
    }

    /// The day and the key of a merchant's batch that is not made yet.
    async fn key_not_made(
        &self,
        merchant: &MerchantId,
        id: BatchId,
    ) -> Result<Option<(BusinessDay, BatchKey)>, StoreError> {
        for day in self.days_not_batched().await? {
            if day.opened_at != id.opened_at() {
                continue;
            }
            let mut last = String::new();
            // Its currencies one by one: each is found at once, however many items the day has.
            let text = "SELECT MIN(currency) AS currency FROM settlement_items WHERE host_id = $1 \
                AND business_date = $2 AND merchant_id = $3 AND currency > $4";
            loop {
                let values = [
                    day.host_id.as_str().into(),
                    day.date.to_string().into(),
                    merchant.as_str().into(),
                    last.as_str().into(),
                ];
                let rows = self.read(text, &values).await?;
                let currency = rows.first().map(|row| {
                    Columns::named(row, "settlement_items", String::new())
                        .optional_parsed::<Currency>("currency")
                });
                let Some(currency) = currency.transpose()?.flatten() else {
                    break;
                };
                let key = BatchKey {
                    business_date: day.date,
                    host_id: day.host_id,
                    merchant_id: *merchant,
                    currency,
                };
                if key.id(day.opened_at) == id {
                    return Ok(Some((day, key)));
                }
                last = currency.code().to_owned();
            }
        }
        Ok(None)
    }

    async fn batch_made(
        &self,
        merchant: &MerchantId,
        id: BatchId,
    ) -> Result<Option<SettlementBatch>, StoreError> {
        let text = format!("{SELECT_BATCHES} WHERE batches.id = $1 AND batches.merchant_id = $2");
        let values = [id.to_string().into(), merchant.as_str().into()];
        let rows = self.read(AssertSqlSafe(text), &values).await?;
        rows.first().map(batch).transpose()
    }

    /// A merchant's batch; another merchant's is as if it were not there.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn settlement_batch(
        &self,
        merchant: &MerchantId,
        id: BatchId,
    ) -> Result<Option<SettlementBatch>, StoreError> {
        if let Some(made) = self.batch_made(merchant, id).await? {
            return Ok(Some(made));
        }
        if let Some((day, key)) = self.key_not_made(merchant, id).await? {
            let summed = self.sums_of(&day, merchant, Some(key.currency)).await?;
            return Ok(summed.into_iter().next());
        }
        // It may have been made between the two looks.
        self.batch_made(merchant, id).await
    }

    /// What a merchant's batch is of, where it stands and what it costs, where that is computed; another merchant's is as if it were not there.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn settlement_batch_key(
        &self,
        merchant: &MerchantId,
        id: BatchId,
    ) -> Result<Option<(BatchKey, BatchState, Option<ItemFees>)>, StoreError> {
        if let Some((day, key)) = self.key_not_made(merchant, id).await? {
            return Ok(Some((key, state_of(&day), None)));
        }
        let made = self.batch_made(merchant, id).await?;
        Ok(made.map(|batch| (batch.key, batch.state, batch.fees)))
    }

    /// A merchant's batches, by business date and id, at most `limit` (1 to [`MAX_PAGE_SIZE`]), going on after
    /// `after`.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn list_settlement_batches(
        &self,
        merchant: &MerchantId,
        filter: &BatchFilter,
        order: ListOrder,
        limit: usize,
        after: Option<BatchCursor>,
    ) -> Result<Vec<SettlementBatch>, StoreError> {
        let limit = limit.clamp(1, MAX_PAGE_SIZE);
        let (direction, beyond, way) = match order {
            ListOrder::NewestFirst => ("DESC", "<", Ordering::Less),
            ListOrder::OldestFirst => ("ASC", ">", Ordering::Greater),
        };
        // First what is not made yet: what is made meanwhile is found by the second look.
        let mut not_made = Vec::new();
        for day in self.days_not_batched().await? {
            // What earlier pages have shown is not summed again.
            let is_shown = |after: BatchCursor| day.date.cmp(&after.business_date) == way.reverse();
            if after.is_some_and(is_shown) {
                continue;
            }
            not_made.extend(self.sums_of(&day, merchant, filter.currency).await?);
        }
        not_made.retain(|batch| {
            let place = BatchCursor::of(batch);
            filter.shows(batch) && after.is_none_or(|after| place.cmp(&after) == way)
        });
        let mut text = format!("{SELECT_BATCHES} WHERE batches.merchant_id = $1");
        let mut values: Vec<Value> = vec![merchant.as_str().into()];
        let date = filter.business_date.map(|date| date.to_string());
        for (column, value) in [
            ("state", filter.state.map(|state| state.name().into())),
            ("host_id", filter.host_id.map(|host| host.as_str().into())),
            ("business_date", date.map(Value::from)),
            ("currency", filter.currency.map(|it| it.code().into())),
        ] {
            if let Some(value) = value {
                values.push(value);
                text.push_str(&format!(" AND batches.{column} = ${}", values.len()));
            }
        }
        if let Some(after) = after {
            values.push(after.business_date.to_string().into());
            values.push(after.id.to_string().into());
            text.push_str(&format!(
                " AND (batches.business_date, batches.id) {beyond} (${}, ${})",
                values.len() - 1,
                values.len()
            ));
        }
        text.push_str(&format!(
            " ORDER BY batches.business_date {direction}, batches.id {direction} LIMIT {limit}"
        ));
        let rows = self.read(AssertSqlSafe(text), &values).await?;
        let made: Result<Vec<SettlementBatch>, StoreError> = rows.iter().map(batch).collect();
        let mut found = made?;
        not_made.retain(|batch| found.iter().all(|made| made.id != batch.id));
        found.append(&mut not_made);
        found.sort_by_key(BatchCursor::of);
        if order == ListOrder::NewestFirst {
            found.reverse();
        }
        found.truncate(limit);
        Ok(found)
    }

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
        let text = "SELECT settlement_items.subject_id, settlement_items.kind, settlement_items.amount_minor, \
            operations.rrn, operations.state_detail, operations.terminal_id, merchants.acceptor_id \
            FROM settlement_items JOIN operations ON operations.id = settlement_items.operation_id \
            JOIN merchants ON merchants.id = settlement_items.merchant_id \
            WHERE settlement_items.host_id = $1 AND settlement_items.business_date = $2 \
            AND settlement_items.currency = $3 AND $4 IN ('', settlement_items.merchant_id) \
            AND $5 IN ('', operations.terminal_id) AND settlement_items.subject_id > $6 \
            ORDER BY settlement_items.subject_id LIMIT $7";
        let merchant = of.merchant_id.as_ref();
        let values = [
            of.host_id.as_str().into(),
            of.business_date.to_string().into(),
            of.currency.code().into(),
            merchant.map_or("", |merchant| merchant.as_str()).into(),
            of.terminal_id.as_str().into(),
            after
                .map_or_else(String::new, |after| after.to_string())
                .into(),
            limit.into(),
        ];
        let rows = self.read(text, &values).await?;
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
             business_days.cut_at_ms, batches.state AS batch_state FROM settlement_items JOIN business_days \
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
                acquirer_reference: columns.optional_text("acquirer_reference")?,
                is_rejected: columns.optional_text("reject_code")?.is_some(),
            };
            Ok((columns.parsed("operation_id")?, settlement))
        };
        rows.iter().map(settled).collect()
    }
}

fn summed_batch(day: &BusinessDay, row: &AnyRow) -> Result<SettlementBatch, StoreError> {
    let columns = Columns::named(row, "settlement_items", day.date.to_string());
    let key = BatchKey {
        business_date: day.date,
        host_id: day.host_id,
        merchant_id: columns.parsed("merchant_id")?,
        currency: columns.parsed("currency")?,
    };
    Ok(SettlementBatch {
        id: key.id(day.opened_at),
        key,
        state: state_of(day),
        totals: totals(&columns)?,
        opened_at: day.opened_at,
        closed_at: day.cut_at,
        submitted_at: None,
        funded_at: None,
        bank_totals: None,
        report_id: None,
        fees: None,
    })
}

const fn state_of(day: &BusinessDay) -> BatchState {
    match day.cut_at {
        None => BatchState::Open,
        Some(_) => BatchState::Closed,
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
