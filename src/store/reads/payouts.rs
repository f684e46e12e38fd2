//! Reads payouts, and what they are made of.

use crate::ledger::account::AccountKind;
use crate::payment::ids::{BatchId, HostId, MerchantId, PayoutId};
use crate::payment::moment::{BusinessDate, UnixMillis};
use crate::payment::money::Currency;
use crate::payment::payout::PayoutState;
use crate::random::HashMap;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::index_walk::{IndexWalk, page};
use crate::store::merchant_money::{PayableBalance, Payout, PayoutFilter};
use crate::store::reads::by_ids::IDS;
use crate::store::records::lists::{ListOrder, MAX_PAGE_SIZE, Page};
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

    /// A merchant's payouts, `page_size` (1 to [`MAX_PAGE_SIZE`]) at a time, going on after `after`.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn list_payouts(
        &self,
        merchant: &MerchantId,
        filter: &PayoutFilter,
        order: ListOrder,
        page_size: usize,
        after: Option<PayoutId>,
    ) -> Result<Page<Payout, PayoutId>, StoreError> {
        let page_size = page_size.clamp(1, MAX_PAGE_SIZE);
        // Their names sort by when they were made.
        let mut walk = IndexWalk::new("payouts", &["payouts.id"], order);
        walk.only("payouts.merchant_id =", Some(merchant.as_str()));
        walk.after(after.as_ref());
        let end = self.end_of_look(&mut walk).await?;
        walk.only("payouts.state =", filter.state.map(PayoutState::name));
        let currency = filter.currency.map(Currency::code);
        walk.filtered("payouts.currency", currency);
        let millis = |at: Option<UnixMillis>| at.map(UnixMillis::as_i64);
        walk.only("payouts.created_at_ms >=", millis(filter.created_from));
        walk.only("payouts.created_at_ms <", millis(filter.created_before));
        let select = "SELECT * FROM payouts";
        let rows = self.walked(&walk, select, "", page_size + 1).await?;
        let items = rows.iter().map(payout).collect::<Result<Vec<_>, _>>()?;
        Ok(page(items, page_size, |last| last.id, end))
    }
}
