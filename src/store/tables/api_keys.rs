//! API keys, without their secrets.

use sqlx::any::AnyRow;

use super::columns::Columns;
use crate::payment::ids::MerchantId;
use crate::payment::moment::UnixMillis;
use crate::store::Store;
use crate::store::database::connection::Statement;
use crate::store::error::StoreError;
use crate::store::records::callers::ApiKeyRecord;

impl Store {
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
        self.inner.writer.run(vec![statement], false).await?;
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
        self.update_one(statement, "API key", key_id).await
    }
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
