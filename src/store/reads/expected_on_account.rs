//! What should have come on a bank account, or left it, and is on no statement of which it is known.

use std::collections::BTreeSet;

use sqlx::any::AnyRow;

use crate::payment::bank_statement::DueDay;
use crate::payment::discrepancy::Discrepancy;
use crate::payment::ids::{BankAccountName, HostId, PayoutId};
use crate::payment::moment::BusinessDate;
use crate::payment::money::Currency;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::merchant_money::Payout;
use crate::store::records::lists::MAX_PAGE_SIZE;
use crate::store::tables::columns::Columns;
use crate::store::tables::payouts::payout;
use crate::store::tables::settlement_differences::{SELECT_DISCREPANCIES, discrepancy};

impl Store {
    /// The days of a host from one date to before another one, of which all batches in this currency are funded, or, where there
    /// are none, whose reports are applied, and whose money is matched with no line and was not missed yet.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn days_without_line(
        &self,
        host: HostId,
        currency: Currency,
        (from, before): (BusinessDate, BusinessDate),
    ) -> Result<Vec<DueDay>, StoreError> {
        let text = "SELECT days.business_date FROM business_days AS days WHERE days.host_id = $1 \
            AND days.business_date >= $3 AND days.business_date < $4 AND days.cut_at_ms IS NOT NULL \
            AND (EXISTS (SELECT 1 FROM settlement_batches AS funded WHERE funded.host_id = $1 \
                AND funded.business_date = days.business_date AND funded.currency = $2) \
                OR EXISTS (SELECT 1 FROM settlement_imports AS imports WHERE imports.host_id = $1 \
                    AND imports.business_date = days.business_date AND imports.state = 'DONE')) \
            AND NOT EXISTS (SELECT 1 FROM settlement_batches AS held WHERE held.host_id = $1 \
                AND held.business_date = days.business_date AND held.currency = $2 AND held.funded_at_ms IS NULL) \
            AND NOT EXISTS (SELECT 1 FROM bank_lines WHERE bank_lines.rule = 'SETTLEMENT' \
                AND bank_lines.matched_with = days.host_id || '/' || days.business_date || '/' || CAST($2 AS TEXT)) \
            AND NOT EXISTS (SELECT 1 FROM settlement_differences AS missed \
                WHERE missed.missing = days.host_id || '/' || days.business_date || '/' || CAST($2 AS TEXT)) \
            ORDER BY days.business_date";
        let values = [
            host.as_str().into(),
            currency.code().into(),
            from.to_string().into(),
            before.to_string().into(),
        ];
        let rows = self.read(text, &values).await?;
        let date = |row| {
            let columns = Columns::named(row, "business_days", host.to_string());
            columns.parsed("business_date")
        };
        let dates: Result<BTreeSet<BusinessDate>, _> = rows.iter().map(date).collect();
        let dates = dates?;
        let (Some(first), Some(last)) = (dates.first(), dates.last()) else {
            return Ok(Vec::new());
        };
        let is_wanted = |date| dates.contains(&date);
        self.due_days_where(host, currency, (*first, *last), is_wanted)
            .await
    }

    /// The payouts of a host that were ordered and have not come back, made from one date on, which should have arrived before
    /// another one, whose debit is matched with no line and was not missed yet: at most `limit` (1 to [`MAX_PAGE_SIZE`]), going
    /// on after `after`.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn payouts_without_line(
        &self,
        host: HostId,
        currency: Currency,
        (from, before): (BusinessDate, BusinessDate),
        limit: usize,
        after: Option<(BusinessDate, PayoutId)>,
    ) -> Result<Vec<Payout>, StoreError> {
        let text = "SELECT * FROM payouts WHERE host_id = $1 AND currency = $2 AND (made_on, id) > ($3, $5) \
            AND made_on < $4 AND arrival_date < $4 AND state IN ('SENT', 'PAID') \
            AND NOT EXISTS (SELECT 1 FROM bank_lines WHERE bank_lines.matched_with = payouts.id \
                AND bank_lines.rule = 'PAYOUT') \
            AND NOT EXISTS (SELECT 1 FROM settlement_differences AS missed WHERE missed.missing = payouts.id) \
            ORDER BY made_on, id LIMIT $6";
        let (from, id) = match after {
            Some((date, id)) => (date, id.to_string()),
            None => (from, String::new()),
        };
        let values = [
            host.as_str().into(),
            currency.code().into(),
            from.to_string().into(),
            before.to_string().into(),
            id.into(),
            i64::try_from(limit.clamp(1, MAX_PAGE_SIZE))
                .unwrap_or(1)
                .into(),
        ];
        let rows = self.read(text, &values).await?;
        rows.iter().map(payout).collect()
    }

    /// The discrepancies of an account that have not ended and are of no line, at most `limit` (1 to [`MAX_PAGE_SIZE`]), going
    /// on after `after`.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn open_beside_lines(
        &self,
        account: BankAccountName,
        limit: usize,
        after: &str,
    ) -> Result<Vec<Discrepancy>, StoreError> {
        let text = format!(
            "{SELECT_DISCREPANCIES} WHERE account = $1 AND id > $2 AND bank_line_id IS NULL AND account IS NOT NULL \
             AND state NOT IN ('ACCEPTED', 'CORRECTED') ORDER BY id LIMIT $3"
        );
        let values = [
            account.as_str().into(),
            after.into(),
            i64::try_from(limit.clamp(1, MAX_PAGE_SIZE))
                .unwrap_or(1)
                .into(),
        ];
        let rows = self.read(sqlx::AssertSqlSafe(text), &values).await?;
        rows.iter().map(|row: &AnyRow| discrepancy(row)).collect()
    }
}
