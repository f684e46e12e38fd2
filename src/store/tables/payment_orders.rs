//! Orders to banks: each payout is in one, and none in two.

use sqlx::any::AnyRow;

use super::business_days::hold_positions;
use super::columns::Columns;
use super::payouts::payout;
use crate::payment::ids::OrderId;
use crate::payment::moment::UnixMillis;
use crate::store::Store;
use crate::store::database::connection::Statement;
use crate::store::error::StoreError;
use crate::store::merchant_money::{AccountText, PaymentOrderRecord, Payout};

impl Store {
    /// Puts the payouts of a host that are in no order into this one, the oldest first and at most `limit`. Nothing is
    /// written where there is none, or the order is there.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn make_order(
        &self,
        order: &PaymentOrderRecord,
        limit: usize,
    ) -> Result<(), StoreError> {
        let make = Statement {
            text: "INSERT INTO payment_orders (id, host_id, debtor, file_name, created_at_ms) \
                SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS TEXT), CAST($5 AS BIGINT) \
                WHERE EXISTS (SELECT 1 FROM payouts WHERE host_id = $2 AND order_id IS NULL \
                    AND state = 'CREATED') ON CONFLICT DO NOTHING",
            values: vec![
                order.id.to_string().into(),
                order.host_id.as_str().into(),
                order.debtor.0.as_str().into(),
                order.file_name.as_str().into(),
                order.created_at.as_i64().into(),
            ],
            returning: false,
        };
        // Run twice, it adds nothing to what may be written already.
        let fill = Statement {
            text: "UPDATE payouts SET order_id = $1, version = version + 1 WHERE order_id IS NULL \
                AND id IN (SELECT id FROM payouts WHERE host_id = $2 AND order_id IS NULL AND state = 'CREATED' \
                    ORDER BY id LIMIT $3) \
                AND EXISTS (SELECT 1 FROM payment_orders WHERE payment_orders.id = $1) \
                AND NOT EXISTS (SELECT 1 FROM payouts AS ordered WHERE ordered.order_id = $1)",
            values: vec![
                order.id.to_string().into(),
                order.host_id.as_str().into(),
                i64::try_from(limit).unwrap_or(i64::MAX).into(),
            ],
            returning: false,
        };
        let housekeeping = &self.inner.housekeeping;
        let statements = vec![hold_positions(), make, fill];
        housekeeping.run(statements).await.map(drop)
    }

    /// The orders whose files are not known to be there, oldest first.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn unsent_orders(&self) -> Result<Vec<PaymentOrderRecord>, StoreError> {
        let text =
            "SELECT * FROM payment_orders WHERE sent_at_ms IS NULL ORDER BY created_at_ms, id";
        let rows = self.read(text, &[]).await?;
        rows.iter().map(order).collect()
    }

    /// An order.
    ///
    /// # Errors
    /// When the database can't be read, or the row is corrupt.
    pub async fn payment_order(
        &self,
        id: OrderId,
    ) -> Result<Option<PaymentOrderRecord>, StoreError> {
        let text = "SELECT * FROM payment_orders WHERE id = $1";
        let rows = self.read(text, &[id.to_string().into()]).await?;
        rows.first().map(order).transpose()
    }

    /// The payouts of an order, by their names.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn payouts_of_order(&self, id: OrderId) -> Result<Vec<Payout>, StoreError> {
        let text = "SELECT * FROM payouts WHERE order_id = $1 ORDER BY id";
        let rows = self.read(text, &[id.to_string().into()]).await?;
        rows.iter().map(payout).collect()
    }

    /// Records that the file of an order is there: its payouts are sent.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn send_order(
        &self,
        id: OrderId,
        sha256: &str,
        at: UnixMillis,
    ) -> Result<(), StoreError> {
        let sent = Statement {
            text: "UPDATE payment_orders SET sha256 = $2, sent_at_ms = $3 WHERE id = $1 AND sent_at_ms IS NULL",
            values: vec![id.to_string().into(), sha256.into(), at.as_i64().into()],
            returning: false,
        };
        let payouts = Statement {
            text: "UPDATE payouts SET state = 'SENT', sent_at_ms = $2, version = version + 1 \
                WHERE order_id = $1 AND state = 'CREATED'",
            values: vec![id.to_string().into(), at.as_i64().into()],
            returning: false,
        };
        let housekeeping = &self.inner.housekeeping;
        housekeeping.run(vec![sent, payouts]).await.map(drop)
    }
}

fn order(row: &AnyRow) -> Result<PaymentOrderRecord, StoreError> {
    let columns = Columns::of(row, "payment_orders", "id")?;
    Ok(PaymentOrderRecord {
        id: columns.parsed("id")?,
        host_id: columns.parsed("host_id")?,
        debtor: AccountText(columns.text("debtor")?.to_owned()),
        file_name: columns.text("file_name")?.to_owned(),
        created_at: columns.moment("created_at_ms")?,
    })
}
