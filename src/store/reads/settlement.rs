//! Reads batches. Those of a day whose batches are not made yet are what its items sum to.

use std::cmp::Ordering;

use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use crate::payment::ids::{BatchId, HostId, MerchantId};
use crate::payment::money::Currency;
use crate::payment::settlement::{BatchKey, BatchState, BusinessDay, DayTotals, SettlementBatch};
use crate::store::Store;
use crate::store::database::value::Value;
use crate::store::error::StoreError;
use crate::store::index_walk::{IndexWalk, page};
use crate::store::records::lists::{ListOrder, MAX_PAGE_SIZE, Page};
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

/// What batches are listed by. The index has it behind the merchant.
const BATCH_ORDER: [&str; 2] = ["batches.business_date", "batches.id"];

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

    /// A merchant's batches, by business date and id, `page_size` (1 to [`MAX_PAGE_SIZE`]) at a time, going on after
    /// `after`.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn list_settlement_batches(
        &self,
        merchant: &MerchantId,
        filter: &BatchFilter,
        order: ListOrder,
        page_size: usize,
        after: Option<BatchCursor>,
    ) -> Result<Page<SettlementBatch, BatchCursor>, StoreError> {
        let page_size = page_size.clamp(1, MAX_PAGE_SIZE);
        let way = match order {
            ListOrder::NewestFirst => Ordering::Less,
            ListOrder::OldestFirst => Ordering::Greater,
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
        let mut walk = IndexWalk::new("settlement_batches AS batches", &BATCH_ORDER, order);
        walk.only("batches.merchant_id =", Some(merchant.as_str()));
        let date = filter.business_date.map(|date| date.to_string());
        walk.only("batches.business_date =", date);
        walk.after(after.as_ref());
        let end = self.end_of_look(&mut walk).await?;
        walk.only("batches.state =", filter.state.map(BatchState::name));
        let host = filter.host_id.as_ref().map(HostId::as_str);
        walk.filtered("batches.host_id", host);
        let currency = filter.currency.map(Currency::code);
        walk.filtered("batches.currency", currency);
        let rows = self.walked(&walk, SELECT_BATCHES, "", page_size + 1);
        let mut found = rows
            .await?
            .iter()
            .map(batch)
            .collect::<Result<Vec<_>, _>>()?;
        not_made.retain(|batch| {
            let place = BatchCursor::of(batch);
            filter.shows(batch)
                && after.is_none_or(|after| place.cmp(&after) == way)
                // What lies behind the end of the look is on a later page.
                && end.is_none_or(|end: BatchCursor| place.cmp(&end) != way)
                && found.iter().all(|made| made.id != batch.id)
        });
        found.append(&mut not_made);
        found.sort_by_key(BatchCursor::of);
        if order == ListOrder::NewestFirst {
            found.reverse();
        }
        Ok(page(found, page_size, BatchCursor::of, end))
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
