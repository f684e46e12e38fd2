//! Merchants and their API keys.

use sqlx::any::AnyRow;

use super::Store;
use super::error::StoreError;
use super::item::Statement;
use super::records::ApiKeyRecord;
use super::rows::Columns;
use super::sql::Value;
use crate::payment::ids::MerchantId;
use crate::payment::merchant::Merchant;
use crate::payment::moment::UnixMillis;

impl Store {
    /// Adds a merchant.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when there is one of this name.
    pub async fn insert_merchant(&self, merchant: &Merchant) -> Result<(), StoreError> {
        let statement = Statement {
            text: "INSERT INTO merchants (id, name, city, country, country_numeric, mcc, \
                terminal_id, acceptor_id, acquirer, active) \
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            values: merchant_values(merchant),
            returning: false,
        };
        self.inner.writer.work(vec![statement], false).await?;
        Ok(())
    }

    /// Changes everything of a merchant but its name in the API.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is none.
    pub async fn update_merchant(&self, merchant: &Merchant) -> Result<(), StoreError> {
        let statement = Statement {
            text: "UPDATE merchants SET name = $2, city = $3, country = $4, \
                country_numeric = $5, mcc = $6, terminal_id = $7, acceptor_id = $8, \
                acquirer = $9, active = $10 WHERE id = $1",
            values: merchant_values(merchant),
            returning: false,
        };
        self.change_one(statement, "merchant", merchant.id.as_str())
            .await
    }

    /// A merchant.
    ///
    /// # Errors
    /// When the database can't be read, or the row is corrupt.
    pub async fn merchant(&self, id: &MerchantId) -> Result<Option<Merchant>, StoreError> {
        let rows = self
            .read(
                "SELECT * FROM merchants WHERE id = $1",
                &[id.as_str().into()],
            )
            .await?;
        rows.first().map(merchant).transpose()
    }

    /// All merchants, by name.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn list_merchants(&self) -> Result<Vec<Merchant>, StoreError> {
        let rows = self
            .read("SELECT * FROM merchants ORDER BY id", &[])
            .await?;
        rows.iter().map(merchant).collect()
    }

    /// Adds an API key.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when there is one with this id, [`StoreError::Refused`] when there is
    /// no such merchant.
    pub async fn insert_api_key(&self, key: &ApiKeyRecord) -> Result<(), StoreError> {
        let statement = Statement {
            text: "INSERT INTO api_keys (key_id, merchant_id, secret_hmac_hex, label, \
                created_at_ms, revoked_at_ms) VALUES ($1, $2, $3, $4, $5, $6)",
            values: vec![
                key.key_id.as_str().into(),
                key.merchant_id.as_str().into(),
                key.secret_hmac_hex.as_str().into(),
                key.label.as_str().into(),
                key.created_at.as_i64().into(),
                key.revoked_at.map(UnixMillis::as_i64).into(),
            ],
            returning: false,
        };
        self.inner.writer.work(vec![statement], false).await?;
        Ok(())
    }

    /// An API key, revoked or not.
    ///
    /// # Errors
    /// When the database can't be read, or the row is corrupt.
    pub async fn api_key(&self, key_id: &str) -> Result<Option<ApiKeyRecord>, StoreError> {
        let rows = self
            .read("SELECT * FROM api_keys WHERE key_id = $1", &[key_id.into()])
            .await?;
        rows.first().map(api_key).transpose()
    }

    /// A merchant's API keys, oldest first.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn api_keys_of(
        &self,
        merchant: &MerchantId,
    ) -> Result<Vec<ApiKeyRecord>, StoreError> {
        let rows = self
            .read(
                "SELECT * FROM api_keys WHERE merchant_id = $1 ORDER BY created_at_ms, key_id",
                &[merchant.as_str().into()],
            )
            .await?;
        rows.iter().map(api_key).collect()
    }

    /// Revokes an API key from `at` on. One that is revoked already keeps its moment.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is none.
    pub async fn revoke_api_key(&self, key_id: &str, at: UnixMillis) -> Result<(), StoreError> {
        let statement = Statement {
            text: "UPDATE api_keys SET revoked_at_ms = COALESCE(revoked_at_ms, $2) \
                WHERE key_id = $1",
            values: vec![key_id.into(), at.as_i64().into()],
            returning: false,
        };
        self.change_one(statement, "API key", key_id).await
    }

    /// Runs a change that is the same when it is run twice, and says when it found no row.
    async fn change_one(
        &self,
        statement: Statement,
        what: &'static str,
        id: &str,
    ) -> Result<(), StoreError> {
        let done = self.inner.writer.work(vec![statement], true).await?;
        if done.iter().all(|done| done.rows_affected == 0) {
            return Err(StoreError::NotFound {
                what,
                id: id.to_owned(),
            });
        }
        Ok(())
    }
}

fn merchant_values(merchant: &Merchant) -> Vec<Value> {
    vec![
        merchant.id.as_str().into(),
        merchant.name.as_str().into(),
        merchant.city.as_str().into(),
        merchant.country.as_str().into(),
        i64::from(merchant.country_numeric).into(),
        merchant.mcc.as_str().into(),
        merchant.terminal_id.as_str().into(),
        merchant.acceptor_id.as_str().into(),
        merchant.acquirer.as_str().into(),
        i64::from(merchant.active).into(),
    ]
}

fn merchant(row: &AnyRow) -> Result<Merchant, StoreError> {
    let columns = Columns::of(row, "merchants", "id")?;
    Ok(Merchant {
        id: columns.parsed("id")?,
        name: columns.text("name")?.to_owned(),
        city: columns.text("city")?.to_owned(),
        country: columns.text("country")?.to_owned(),
        country_numeric: columns.number("country_numeric")?,
        mcc: columns.text("mcc")?.to_owned(),
        terminal_id: columns.text("terminal_id")?.to_owned(),
        acceptor_id: columns.text("acceptor_id")?.to_owned(),
        acquirer: columns.parsed("acquirer")?,
        active: columns.flag("active")?,
    })
}

fn api_key(row: &AnyRow) -> Result<ApiKeyRecord, StoreError> {
    let columns = Columns::of(row, "api_keys", "key_id")?;
    Ok(ApiKeyRecord {
        key_id: columns.text("key_id")?.to_owned(),
        merchant_id: columns.parsed("merchant_id")?,
        secret_hmac_hex: columns.text("secret_hmac_hex")?.to_owned(),
        label: columns.text("label")?.to_owned(),
        created_at: columns.moment("created_at_ms")?,
        revoked_at: columns
            .optional_integer("revoked_at_ms")?
            .map(UnixMillis::new),
    })
}
