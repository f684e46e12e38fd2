//! Reads payouts, and what they are made of.

use sqlx::AssertSqlSafe;

use crate::ledger::account::AccountKind;
use crate::payment::ids::{BatchId, HostId, MerchantId, PayoutId};
use crate::payment::moment::BusinessDate;
use crate::payment::money::Currency;
use crate::random::HashMap;
use crate::store::Store;
use crate::store::database::value::Value;
use crate::store::error::StoreError;
use crate::store::merchant_money::{PayableBalance, Payout, PayoutFilter};
use crate::store::reads::by_ids::IDS;
use crate::store::records::lists::{ListOrder, MAX_PAGE_SIZE};
use crate::store::tables::columns::Columns;
use crate::store::tables::payouts::payout;

impl Store {
    /// The merchants that can be paid out: they have a payout plan and an account. At most `limit` (1 to
    /// [`MAX_PAGE_SIZE`]), by their names, going on after `after`.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn merchants_to_pay(
        &self,
        limit: usize,
        after: Option<MerchantId>,
    ) -> Result<Vec<MerchantId>, StoreError> {
        let limit = i64::try_from(limit.clamp(1, MAX_PAGE_SIZE)).unwrap_or(1);
        let text = "SELECT merchant_id FROM merchant_terms WHERE payout_plan IS NOT NULL AND account IS NOT NULL \
            AND merchant_id > $1 ORDER BY merchant_id LIMIT $2";
        let after = after.map_or_else(String::new, |after| after.to_string());
        let rows = self.read(text, &[after.into(), limit.into()]).await?;
        let merchant =
            |row| Columns::named(row, "merchant_terms", String::new()).parsed("merchant_id");
        rows.iter().map(merchant).collect()
    }

    /// What a merchant has in each currency at each host, for payouts on `on`, which says the date at a host; hosts of
    /// which it says none are left out.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn payable_balances(
        &self,
        merchant: &MerchantId,
        on: impl Fn(HostId) -> Option<BusinessDate>,
    ) -> Result<Vec<(HostId, Currency, PayableBalance)>, StoreError> {
        // Read first: what moves afterwards is after it.
        let position = self.last_position().await?;
        let mut found = Vec::<(HostId, Currency, PayableBalance)>::new();
        for account in self.balances(merchant).await? {
            let Some(date) = on(account.host_id).filter(|_| {
                matches!(
                    account.kind,
                    AccountKind::PayableAvailable | AccountKind::Reserve
                )
            }) else {
                continue;
            };
            let key = (account.host_id, account.currency);
            let place = found
                .iter()
                .position(|(host, currency, _)| (*host, *currency) == key);
            let available_minor = match account.kind {
                AccountKind::PayableAvailable => account.amount_minor.saturating_neg(),
                _ => 0,
            };
            match place.and_then(|place| found.get_mut(place)) {
                Some((_, _, balance)) => balance.available_minor += available_minor,
                None => {
                    let balance = PayableBalance {
                        position,
                        available_minor,
                        ..self.payouts_before(merchant, key, date).await?
                    };
                    found.push((account.host_id, account.currency, balance));
                }
            }
        }
        Ok(found)
    }

    /// What earlier payouts have left to one of `date`.
    async fn payouts_before(
        &self,
        merchant: &MerchantId,
        (host, currency): (HostId, Currency),
        date: BusinessDate,
    ) -> Result<PayableBalance, StoreError> {
        let text = "SELECT \
            CAST(COALESCE(SUM(CASE WHEN state IN ('RETURNED', 'FAILED') AND ended_position > (SELECT MAX(made_position) \
                FROM payouts WHERE merchant_id = $1 AND host_id = $2 AND currency = $3) \
                THEN amount_minor ELSE 0 END), 0) AS BIGINT) AS came_back_minor, \
            CAST(COALESCE(SUM(CASE WHEN reserve_minor > 0 AND reserve_released_by IS NULL AND reserve_until <= $4 \
                THEN reserve_minor ELSE 0 END), 0) AS BIGINT) AS reserve_due_minor, \
            CAST(COALESCE(MAX(CASE WHEN made_on = $4 THEN 1 ELSE 0 END), 0) AS BIGINT) AS is_paid_out \
            FROM payouts WHERE merchant_id = $1 AND host_id = $2 AND currency = $3";
        let values = [
            merchant.as_str().into(),
            host.as_str().into(),
            currency.code().into(),
            date.to_string().into(),
        ];
        let rows = self.read(text, &values).await?;
        let Some(row) = rows.first() else {
            return Ok(PayableBalance::default());
        };
        let columns = Columns::named(row, "payouts", merchant.to_string());
        Ok(PayableBalance {
            came_back_minor: columns.integer("came_back_minor")?,
            reserve_due_minor: columns.integer("reserve_due_minor")?,
            is_paid_out: columns.flag("is_paid_out")?,
            ..PayableBalance::default()
        })
    }

    /// A payout, whosever it is.
    ///
    /// # Errors
    /// When the database can't be read, or the row is corrupt.
    pub async fn payout_by_id(&self, id: PayoutId) -> Result<Option<Payout>, StoreError> {
        let text = "SELECT * FROM payouts WHERE id = $1";
        let rows = self.read(text, &[id.to_string().into()]).await?;
        rows.first().map(payout).transpose()
    }

    /// A merchant's payout; another merchant's is as if it were not there.
    ///
    /// # Errors
    /// When the database can't be read, or the row is corrupt.
    pub async fn payout(
        &self,
        merchant: &MerchantId,
        id: PayoutId,
    ) -> Result<Option<Payout>, StoreError> {
        let found = self.payout_by_id(id).await?;
        Ok(found.filter(|payout| payout.merchant_id == *merchant))
    }

    /// The batches that payouts pay, or have paid before they came back, by their dates.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn batches_paid_by(
        &self,
        payouts: &[PayoutId],
    ) -> Result<HashMap<PayoutId, Vec<BatchId>>, StoreError> {
        let text = format!("SELECT payout_id, batch_id FROM payout_batches WHERE payout_id {IDS}");
        let ids = payouts.iter().map(ToString::to_string).collect();
        let mut paid = HashMap::<PayoutId, Vec<BatchId>>::default();
        for row in &self.of_ids(&text, ids).await? {
            let columns = Columns::of(row, "payout_batches", "payout_id")?;
            let of_payout = paid.entry(columns.parsed("payout_id")?).or_default();
            of_payout.push(columns.parsed("batch_id")?);
        }
        for batches in paid.values_mut() {
            batches.sort_unstable();
        }
        Ok(paid)
    }

    /// A merchant's payouts, at most `limit` (1 to [`MAX_PAGE_SIZE`]), going on after `after`.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn list_payouts(
        &self,
        merchant: &MerchantId,
        filter: &PayoutFilter,
        order: ListOrder,
        limit: usize,
        after: Option<PayoutId>,
    ) -> Result<Vec<Payout>, StoreError> {
        let limit = limit.clamp(1, MAX_PAGE_SIZE);
        let (beyond, direction) = match order {
            ListOrder::NewestFirst => ("<", "DESC"),
            ListOrder::OldestFirst => (">", "ASC"),
        };
        let mut text = "SELECT * FROM payouts WHERE merchant_id = $1".to_owned();
        let mut values: Vec<Value> = vec![merchant.as_str().into()];
        // Their names sort by when they were made.
        for (condition, value) in [
            ("state =", filter.state.map(|it| it.name().into())),
            ("currency =", filter.currency.map(|it| it.code().into())),
            (
                "created_at_ms >=",
                filter.created_from.map(|it| it.as_i64().into()),
            ),
            (
                "created_at_ms <",
                filter.created_before.map(|it| it.as_i64().into()),
            ),
            (
                &*format!("id {beyond}"),
                after.map(|after| after.to_string().into()),
            ),
        ] {
            if let Some(value) = value {
                values.push(value);
                text.push_str(&format!(" AND {condition} ${}", values.len()));
            }
        }
        text.push_str(&format!(" ORDER BY id {direction} LIMIT {limit}"));
        let rows = self.read(AssertSqlSafe(text), &values).await?;
        rows.iter().map(payout).collect()
    }
}
