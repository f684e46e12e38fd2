//! Merchants.

use sqlx::any::AnyRow;

use super::columns::Columns;
use crate::payment::ids::MerchantId;
use crate::payment::merchant::Merchant;
use crate::store::Store;
use crate::store::database::connection::Statement;
use crate::store::database::value::Value;
use crate::store::error::StoreError;

impl Store {
    /// Adds a merchant.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when there is one of this name.
    pub async fn insert_merchant(&self, merchant: &Merchant) -> Result<(), StoreError> {
        let statement = Statement {
            text: "INSERT INTO merchants (id, name, city, country, country_numeric, mcc, \
                terminal_id, acceptor_id, acquirer, active, time_zone) \
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            values: merchant_values(merchant),
            returning: false,
        };
        self.inner.writer.run(vec![statement], false).await?;
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
                acquirer = $9, active = $10, time_zone = $11 WHERE id = $1",
            values: merchant_values(merchant),
            returning: false,
        };
        self.update_one(statement, "merchant", merchant.id.as_str())
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
        merchant.time_zone.as_str().into(),
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
        time_zone: columns.text("time_zone")?.to_owned(),
        active: columns.flag("active")?,
    })
}
