//! What a host's days come to, as far as they are funded.

use sqlx::any::AnyRow;

use crate::payment::bank_statement::FundedDay;
use crate::payment::ids::HostId;
use crate::payment::moment::BusinessDate;
use crate::payment::money::Currency;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::tables::columns::Columns;

impl Store {
    /// The days of a host from one date to another, both included, of which batches in this currency are funded.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn funded_days(
        &self,
        host: HostId,
        currency: Currency,
        from: BusinessDate,
        to: BusinessDate,
    ) -> Result<Vec<FundedDay>, StoreError> {
        let text = "SELECT days.host_id, days.business_date, days.net_minor, CAST(COALESCE((SELECT \
                SUM(COALESCE(items.interchange_minor, 0) + COALESCE(items.scheme_fee_minor, 0) \
                    + COALESCE(items.commission_minor, 0)) \
                FROM settlement_batches AS batches JOIN settlement_items AS items ON items.host_id = batches.host_id \
                    AND items.business_date = batches.business_date AND items.merchant_id = batches.merchant_id \
                    AND items.currency = batches.currency \
                WHERE batches.host_id = days.host_id AND batches.business_date = days.business_date \
                    AND batches.currency = $2 AND batches.funded_at_ms IS NOT NULL), 0) AS BIGINT) AS kept_minor \
            FROM (SELECT host_id, business_date, CAST(SUM(captured_minor - refunded_minor - charged_back_minor) \
                    AS BIGINT) AS net_minor FROM settlement_batches WHERE host_id = $1 AND currency = $2 \
                    AND business_date >= $3 AND business_date <= $4 AND funded_at_ms IS NOT NULL \
                GROUP BY host_id, business_date) AS days ORDER BY days.business_date";
        let values = [
            host.as_str().into(),
            currency.code().into(),
            from.to_string().into(),
            to.to_string().into(),
        ];
        let rows = self.read(text, &values).await?;
        let day = |row: &AnyRow| {
            let columns = Columns::of(row, "settlement_batches", "business_date")?;
            Ok(FundedDay {
                host_id: columns.parsed("host_id")?,
                date: columns.parsed("business_date")?,
                currency,
                net_minor: columns.integer("net_minor")?,
                kept_minor: columns.integer("kept_minor")?,
            })
        };
        rows.iter().map(day).collect()
    }
}
