//! What a host pays for its days: what its reports of a date come to, and where there are none, its funded batches.

use std::collections::BTreeMap;

use sqlx::any::AnyRow;

use crate::payment::bank_statement::DueDay;
use crate::payment::ids::HostId;
use crate::payment::moment::BusinessDate;
use crate::payment::money::Currency;
use crate::payment::settlement_import::{SettlementImport, reported_minor};
use crate::store::Store;
use crate::store::database::value::Value;
use crate::store::error::StoreError;
use crate::store::tables::columns::Columns;

impl Store {
    /// The days of a host from one date to another, both included, whose money in this currency may have come: those of which
    /// batches are funded, and those without batches whose reports are applied.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn due_days(
        &self,
        host: HostId,
        currency: Currency,
        from: BusinessDate,
        to: BusinessDate,
    ) -> Result<Vec<DueDay>, StoreError> {
        let all = |_: BusinessDate| true;
        self.due_days_where(host, currency, (from, to), all).await
    }

    /// Those of them that are wanted: what is kept of many items is summed up for no other day.
    pub(super) async fn due_days_where(
        &self,
        host: HostId,
        currency: Currency,
        (from, to): (BusinessDate, BusinessDate),
        is_wanted: impl Fn(BusinessDate) -> bool,
    ) -> Result<Vec<DueDay>, StoreError> {
        let mut reported = self.reported_between(host, currency, (from, to)).await?;
        reported.retain(|date, _| is_wanted(*date));
        let text = "SELECT business_date, COUNT(funded_at_ms) AS funded, CAST(COALESCE(SUM(CASE WHEN funded_at_ms IS NULL \
                THEN 0 ELSE captured_minor - refunded_minor - charged_back_minor END), 0) AS BIGINT) AS net_minor \
            FROM settlement_batches WHERE host_id = $1 AND currency = $2 AND business_date >= $3 \
            AND business_date <= $4 GROUP BY business_date";
        let values: [Value; 4] = [
            host.as_str().into(),
            currency.code().into(),
            from.to_string().into(),
            to.to_string().into(),
        ];
        let rows = self.read(text, &values).await?;
        let mut due: BTreeMap<BusinessDate, Option<i64>> = reported
            .iter()
            .map(|(date, minor)| (*date, Some(*minor)))
            .collect();
        for row in &rows {
            let columns = Columns::of(row, "settlement_batches", "business_date")?;
            let date: BusinessDate = columns.parsed("business_date")?;
            if !is_wanted(date) {
                continue;
            }
            let minor = match (columns.integer("funded")?, reported.get(&date)) {
                (0, _) => None,
                (_, Some(minor)) => Some(*minor),
                (_, None) => {
                    let kept_minor = self.kept_of_day(host, currency, date).await?;
                    Some(columns.integer("net_minor")?.saturating_sub(kept_minor))
                }
            };
            due.insert(date, minor);
        }
        let day = |(date, due_minor): (BusinessDate, Option<i64>)| {
            Some(DueDay {
                host_id: host,
                date,
                currency,
                due_minor: due_minor?,
            })
        };
        Ok(due.into_iter().filter_map(day).collect())
    }

    /// What a host's reports pay in a currency, by their dates: those of which all are applied, and which say so.
    async fn reported_between(
        &self,
        host: HostId,
        currency: Currency,
        dates: (BusinessDate, BusinessDate),
    ) -> Result<BTreeMap<BusinessDate, i64>, StoreError> {
        let mut reports: BTreeMap<BusinessDate, Vec<SettlementImport>> = BTreeMap::new();
        for report in self.reports_between(&host, dates).await? {
            reports
                .entry(report.business_date)
                .or_default()
                .push(report);
        }
        let reported = reports.into_iter().filter_map(|(date, reports)| {
            let minor = reported_minor(&reports, currency)?;
            Some((date, minor))
        });
        Ok(reported.collect())
    }

    /// What the bank keeps of the funded batches of a day, as its report says of each item.
    async fn kept_of_day(
        &self,
        host: HostId,
        currency: Currency,
        date: BusinessDate,
    ) -> Result<i64, StoreError> {
        let text = "SELECT CAST(COALESCE(SUM(COALESCE(items.interchange_minor, 0) + COALESCE(items.scheme_fee_minor, 0) \
                + COALESCE(items.commission_minor, 0)), 0) AS BIGINT) AS kept_minor \
            FROM settlement_batches AS batches JOIN settlement_items AS items ON items.host_id = batches.host_id \
                AND items.business_date = batches.business_date AND items.merchant_id = batches.merchant_id \
                AND items.currency = batches.currency \
            WHERE batches.host_id = $1 AND batches.currency = $2 AND batches.business_date = $3 \
                AND batches.funded_at_ms IS NOT NULL";
        let values = [
            host.as_str().into(),
            currency.code().into(),
            date.to_string().into(),
        ];
        let rows = self.read(text, &values).await?;
        let kept = |row: &AnyRow| {
            let columns = Columns::named(row, "settlement_items", date.to_string());
            columns.integer("kept_minor")
        };
        Ok(rows.first().map(kept).transpose()?.unwrap_or(0))
    }
}
