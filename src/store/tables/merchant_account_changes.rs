//! Changes of the accounts that payouts go to.

use sqlx::any::AnyRow;

use super::business_days::hold_positions;
use super::columns::Columns;
use crate::payment::ids::{AccountChangeId, MerchantId};
use crate::payment::moment::UnixMillis;
use crate::store::Store;
use crate::store::database::connection::Statement;
use crate::store::error::StoreError;
use crate::store::merchant_money::{AccountChange, AccountChangeState, AccountText};
use crate::store::records::lists::MAX_PAGE_SIZE;

impl Store {
    /// Records a change that an operator asks for. Whether it is recorded: a merchant has one that is open.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn insert_account_change(&self, change: &AccountChange) -> Result<bool, StoreError> {
        let insert = Statement {
            text: "INSERT INTO merchant_account_changes (id, merchant_id, account, state, asked_by, asked_at_ms) \
                VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
            values: vec![
                change.id.to_string().into(),
                change.merchant_id.as_str().into(),
                change.account.0.as_str().into(),
                change.state.name().into(),
                change.asked_by.as_str().into(),
                change.asked_at.as_i64().into(),
            ],
            returning: false,
        };
        self.inner.housekeeping.run(vec![insert]).await?;
        // It may have run twice.
        Ok(self.account_change(change.id).await?.is_some())
    }

    /// Records that another operator confirms a change that is pending, and when payouts go there. Nothing is written
    /// where the operator is the one who asked, or the change is not pending.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn confirm_account_change(
        &self,
        id: AccountChangeId,
        by: &str,
        at: UnixMillis,
        effective_at: UnixMillis,
    ) -> Result<(), StoreError> {
        let confirm = Statement {
            text: "UPDATE merchant_account_changes SET state = 'CONFIRMED', confirmed_by = $2, \
                confirmed_at_ms = $3, effective_at_ms = $4 \
                WHERE id = $1 AND state = 'PENDING' AND asked_by <> $2",
            values: vec![
                id.to_string().into(),
                by.into(),
                at.as_i64().into(),
                effective_at.as_i64().into(),
            ],
            returning: false,
        };
        let housekeeping = &self.inner.housekeeping;
        housekeeping.run(vec![confirm]).await.map(drop)
    }

    /// Cancels a change whose time has not come.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn cancel_account_change(&self, id: AccountChangeId) -> Result<(), StoreError> {
        let cancel = Statement {
            text: "UPDATE merchant_account_changes SET state = 'CANCELLED' \
                WHERE id = $1 AND state IN ('PENDING', 'CONFIRMED')",
            values: vec![id.to_string().into()],
            returning: false,
        };
        let housekeeping = &self.inner.housekeeping;
        housekeeping
            .run(vec![hold_positions(), cancel])
            .await
            .map(drop)
    }

    /// Makes the accounts so whose time has come: from now on payouts go there.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn apply_account_changes(&self, now: UnixMillis) -> Result<(), StoreError> {
        let due = "SELECT COUNT(*) AS due FROM merchant_account_changes \
            WHERE state = 'CONFIRMED' AND effective_at_ms <= $1";
        let rows = self.read(due, &[now.as_i64().into()]).await?;
        let is_due = rows.first().map(|row| {
            Columns::named(row, "merchant_account_changes", String::new()).integer("due")
        });
        if is_due.transpose()?.unwrap_or(0) == 0 {
            return Ok(());
        }
        let take = Statement {
            text: "INSERT INTO merchant_terms (merchant_id, version, legal_name, account, updated_at_ms) \
                SELECT changes.merchant_id, 1, '', changes.account, CAST($1 AS BIGINT) \
                FROM merchant_account_changes AS changes JOIN merchants ON merchants.id = changes.merchant_id \
                WHERE changes.state = 'CONFIRMED' AND changes.effective_at_ms <= $1 \
                ON CONFLICT (merchant_id) DO UPDATE SET version = merchant_terms.version + 1, \
                account = excluded.account, updated_at_ms = excluded.updated_at_ms",
            values: vec![now.as_i64().into()],
            returning: false,
        };
        let taken = Statement {
            text: "UPDATE merchant_account_changes SET state = 'EFFECTIVE' \
                WHERE state = 'CONFIRMED' AND effective_at_ms <= $1",
            values: vec![now.as_i64().into()],
            returning: false,
        };
        let housekeeping = &self.inner.housekeeping;
        // What is cancelled meanwhile is before it or after it.
        let statements = vec![hold_positions(), take, taken];
        housekeeping.run(statements).await.map(drop)
    }

    /// A change.
    ///
    /// # Errors
    /// When the database can't be read, or the row is corrupt.
    pub async fn account_change(
        &self,
        id: AccountChangeId,
    ) -> Result<Option<AccountChange>, StoreError> {
        let text = "SELECT * FROM merchant_account_changes WHERE id = $1";
        let rows = self.read(text, &[id.to_string().into()]).await?;
        rows.first().map(change).transpose()
    }

    /// A merchant's changes, newest first, going on before `before`; `limit` is 1 to [`MAX_PAGE_SIZE`].
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn account_changes(
        &self,
        merchant: &MerchantId,
        limit: usize,
        before: Option<AccountChangeId>,
    ) -> Result<Vec<AccountChange>, StoreError> {
        let limit = i64::try_from(limit.clamp(1, MAX_PAGE_SIZE)).unwrap_or(1);
        let text = "SELECT * FROM merchant_account_changes WHERE merchant_id = $1 AND ($2 = '' OR id < $2) \
            ORDER BY id DESC LIMIT $3";
        let before = before.map_or_else(String::new, |before| before.to_string());
        let values = [merchant.as_str().into(), before.into(), limit.into()];
        let rows = self.read(text, &values).await?;
        rows.iter().map(change).collect()
    }
}

fn change(row: &AnyRow) -> Result<AccountChange, StoreError> {
    let columns = Columns::of(row, "merchant_account_changes", "id")?;
    let state = columns.text("state")?;
    let state = AccountChangeState::from_name(state)
        .ok_or_else(|| columns.corrupt("state", state, "expected the state of a change"))?;
    Ok(AccountChange {
        id: columns.parsed("id")?,
        merchant_id: columns.parsed("merchant_id")?,
        account: AccountText(columns.text("account")?.to_owned()),
        state,
        asked_by: columns.text("asked_by")?.to_owned(),
        asked_at: columns.moment("asked_at_ms")?,
        confirmed_by: columns.optional_text("confirmed_by")?,
        confirmed_at: columns.optional_moment("confirmed_at_ms")?,
        effective_at: columns.optional_moment("effective_at_ms")?,
    })
}
