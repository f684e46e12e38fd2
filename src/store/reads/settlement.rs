//! Reads batches. Those of a day whose batches are not made yet are what its items sum to.

use std::cmp::Ordering;

use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use crate::payment::ids::{BatchId, MerchantId};
use crate::payment::money::Currency;
use crate::payment::settlement::{BatchKey, BatchState, BusinessDay, DayTotals, SettlementBatch};
use crate::store::Store;
use crate::store::database::value::Value;
use crate::store::error::StoreError;
use crate::store::records::lists::{ListOrder, MAX_PAGE_SIZE};
use crate::store::records::settlement::{BatchCursor, BatchFilter, NotedBatch};
use crate::store::tables::business_days::business_day;
use crate::store::tables::columns::Columns;
use crate::store::tables::settlement_batches::{
    NOTED_COLUMNS, SELECT_BATCHES, batch, charged_back, noted_batch, totals,
};

/// What items sum to. The index has all that it needs.
const SUMS: &str = "SELECT merchant_id, currency, \
    SUM(CASE WHEN kind = 'CAPTURE' THEN 1 ELSE 0 END) AS capture_count, \
    CAST(SUM(CASE WHEN kind = 'CAPTURE' THEN amount_minor ELSE 0 END) AS BIGINT) AS captured_minor, \
    SUM(CASE WHEN kind = 'REFUND' THEN 1 ELSE 0 END) AS refund_count, \
    CAST(SUM(CASE WHEN kind = 'REFUND' THEN amount_minor ELSE 0 END) AS BIGINT) AS refunded_minor, \
    SUM(CASE WHEN kind IN ('CHARGEBACK', 'CHARGEBACK_REVERSAL') THEN 1 ELSE 0 END) AS chargeback_count, \
    CAST(SUM(CASE WHEN kind = 'CHARGEBACK' THEN amount_minor WHEN kind = 'CHARGEBACK_REVERSAL' THEN -amount_minor \
        ELSE 0 END) AS BIGINT) AS charged_back_minor \
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

    /// A merchant's batch, as far as its notes need it; another merchant's is as if it were not there.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn noted_batch(
        &self,
        merchant: &MerchantId,
        id: BatchId,
    ) -> Result<Option<NotedBatch>, StoreError> {
        if let Some((day, key)) = self.key_not_made(merchant, id).await? {
            return Ok(Some(NotedBatch {
                id,
                key,
                state: state_of(&day),
                is_charged: false,
                funded_at: None,
                payout_id: None,
                bank_reference: None,
            }));
        }
        let text = format!(
            "SELECT {NOTED_COLUMNS}, batches.currency FROM settlement_batches AS batches \
             LEFT JOIN payouts ON payouts.id = batches.payout_id \
             WHERE batches.id = $1 AND batches.merchant_id = $2"
        );
        let values = [id.to_string().into(), merchant.as_str().into()];
        let rows = self.read(AssertSqlSafe(text), &values).await?;
        rows.first().map(noted_batch).transpose()
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
        charged_back: charged_back(&columns)?,
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
