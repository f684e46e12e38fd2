//! The fees of what is settled: computed batch by batch, some items in each transaction, and summed on the batch as it
//! goes on.

use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use super::columns::Columns;
use super::payments::card_brand;
use super::settlement_batches::{batch_key, item_fees};
use super::settlement_items::item_kind;
use crate::payment::ids::{BatchId, HostId, OperationId, PaymentId, SubjectId};
use crate::payment::moment::{BusinessDate, UnixMillis};
use crate::payment::settlement::ItemFees;
use crate::store::Store;
use crate::store::database::connection::Statement;
use crate::store::database::value::Value;
use crate::store::error::StoreError;
use crate::store::merchant_money::{FeeBatch, ItemToCharge, SettledItem};
use crate::store::reads::by_ids::IDS;
use crate::store::records::lists::MAX_PAGE_SIZE;

impl Store {
    /// The batches whose fees are not all computed, oldest first of each merchant, host and currency: none before those
    /// of its earlier days are, and none of the hosts `reporting` before their report is applied. At most `limit` (1 to
    /// [`MAX_PAGE_SIZE`]), going on after `after`.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn batches_without_fees(
        &self,
        reporting: &[HostId],
        limit: usize,
        after: Option<(BusinessDate, BatchId)>,
    ) -> Result<Vec<FeeBatch>, StoreError> {
        let limit = i64::try_from(limit.clamp(1, MAX_PAGE_SIZE)).unwrap_or(1);
        let mut text = "SELECT batches.* FROM settlement_batches AS batches WHERE batches.fees_at_ms IS NULL \
            AND (batches.business_date, batches.id) > ($1, $2) AND NOT EXISTS (SELECT 1 \
                FROM settlement_batches AS earlier WHERE earlier.fees_at_ms IS NULL \
                AND earlier.host_id = batches.host_id AND earlier.merchant_id = batches.merchant_id \
                AND earlier.currency = batches.currency AND earlier.business_date < batches.business_date) "
            .to_owned();
        let (date, id) = after.map_or_else(
            || (String::new(), String::new()),
            |(date, id)| (date.to_string(), id.to_string()),
        );
        let mut values: Vec<Value> = vec![date.into(), id.into(), limit.into()];
        if !reporting.is_empty() {
            let places: Vec<String> = (4..)
                .take(reporting.len())
                .map(|it| format!("${it}"))
                .collect();
            values.extend(reporting.iter().map(|host| Value::from(host.as_str())));
            text.push_str(&format!(
                "AND (batches.report_id IS NOT NULL OR batches.host_id NOT IN ({})) ",
                places.join(", ")
            ));
        }
        text.push_str("ORDER BY batches.business_date, batches.id LIMIT $3");
        let rows = self.read(AssertSqlSafe(text), &values).await?;
        rows.iter().map(fee_batch).collect()
    }

    /// A batch whose fees are not all computed, as it is now.
    ///
    /// # Errors
    /// When the database can't be read, or the row is corrupt.
    pub async fn batch_without_fees(&self, id: BatchId) -> Result<Option<FeeBatch>, StoreError> {
        let text = "SELECT * FROM settlement_batches WHERE id = $1 AND fees_at_ms IS NULL";
        let rows = self.read(text, &[id.to_string().into()]).await?;
        rows.first().map(fee_batch).transpose()
    }

    /// Begins the fees of a batch, or begins them anew by another plan: `version` and `plan` are those of the merchant's
    /// terms. Nothing is written where the batch is not as it was read.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn begin_fees(
        &self,
        batch: &FeeBatch,
        version: i64,
        plan: Option<&str>,
    ) -> Result<(), StoreError> {
        let begin = Statement {
            text: "UPDATE settlement_batches SET fee_terms_version = $3, fee_plan = $4, fees_to = NULL, \
                fee_interchange_minor = 0, fee_scheme_minor = 0, fee_markup_minor = 0, fee_tax_minor = 0 \
                WHERE id = $1 AND fees_at_ms IS NULL AND COALESCE(fee_terms_version, -1) = $2",
            values: vec![
                batch.id.to_string().into(),
                batch.terms_version.unwrap_or(-1).into(),
                version.into(),
                plan.map(str::to_owned).into(),
            ],
            returning: false,
        };
        let housekeeping = &self.inner.housekeeping;
        housekeeping.run(vec![begin]).await.map(drop)
    }

    /// The next items of a batch whose fees are to be computed, in the order of their captures and refunds; captures come
    /// first.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn items_to_charge(
        &self,
        batch: &FeeBatch,
        limit: usize,
    ) -> Result<Vec<ItemToCharge>, StoreError> {
        let limit = i64::try_from(limit.clamp(1, MAX_PAGE_SIZE)).unwrap_or(1);
        let text = "SELECT settlement_items.operation_id, settlement_items.subject_id, \
            settlement_items.payment_id, settlement_items.kind, settlement_items.amount_minor, \
            settlement_items.currency, settlement_items.interchange_minor, settlement_items.scheme_fee_minor, \
            payments.detail, operations.original_id FROM settlement_items \
            JOIN payments ON payments.id = settlement_items.payment_id \
            JOIN operations ON operations.id = settlement_items.operation_id \
            WHERE settlement_items.host_id = $1 AND settlement_items.business_date = $2 \
            AND settlement_items.merchant_id = $3 AND settlement_items.currency = $4 \
            AND settlement_items.subject_id > $5 ORDER BY settlement_items.subject_id LIMIT $6";
        let key = &batch.key;
        let after = batch.computed_to;
        let values = [
            key.host_id.as_str().into(),
            key.business_date.to_string().into(),
            key.merchant_id.as_str().into(),
            key.currency.code().into(),
            after
                .map_or_else(String::new, |after| after.to_string())
                .into(),
            limit.into(),
        ];
        let rows = self.read(text, &values).await?;
        let item = |row: &AnyRow| {
            let columns = Columns::of(row, "settlement_items", "subject_id")?;
            Ok(ItemToCharge {
                operation_id: columns.parsed("operation_id")?,
                original_id: columns.optional_parsed("original_id")?,
                subject_id: columns.parsed("subject_id")?,
                payment_id: columns.parsed("payment_id")?,
                kind: item_kind(&columns)?,
                amount: columns.money()?,
                brand: card_brand(&columns)?,
                bank_interchange_minor: columns.optional_integer("interchange_minor")?,
                bank_scheme_fee_minor: columns.optional_integer("scheme_fee_minor")?,
            })
        };
        rows.iter().map(item).collect()
    }

    /// All items of payments that are in a day.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn settled_items_of(
        &self,
        payments: &[PaymentId],
    ) -> Result<Vec<SettledItem>, StoreError> {
        let text = format!(
            "SELECT items.operation_id, items.subject_id, items.kind, items.business_date, items.amount_minor, \
             items.currency, items.fee_interchange_minor, items.fee_scheme_minor, items.fee_markup_minor, \
             items.fee_tax_minor, operations.original_id FROM settlement_items AS items \
             JOIN operations ON operations.id = items.operation_id \
             WHERE items.business_date IS NOT NULL AND items.payment_id {IDS}"
        );
        let ids = payments.iter().map(ToString::to_string).collect();
        let rows = self.of_ids(&text, ids).await?;
        let item = |row: &AnyRow| {
            let columns = Columns::of(row, "settlement_items", "subject_id")?;
            Ok(SettledItem {
                operation_id: columns.parsed("operation_id")?,
                original_id: columns.optional_parsed("original_id")?,
                subject_id: columns.parsed("subject_id")?,
                kind: item_kind(&columns)?,
                business_date: columns.parsed("business_date")?,
                amount: columns.money()?,
                fees: item_fees(&columns)?,
            })
        };
        rows.iter().map(item).collect()
    }

    /// Records what the next items of a batch cost, up to the one of `to`, which is the last of them. Another node may
    /// have been first, or this may run twice: nothing is summed again.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn charge_items(
        &self,
        batch: &FeeBatch,
        to: SubjectId,
        charged: &[(OperationId, ItemFees)],
    ) -> Result<(), StoreError> {
        let (id, to): (Value, Value) = (batch.id.to_string().into(), to.to_string().into());
        let version: Value = batch.terms_version.unwrap_or(-1).into();
        let sum = charged
            .iter()
            .fold(ItemFees::default(), |sum, (_, fees)| sum.plus(fees));
        let from = batch.computed_to;
        let mut values = vec![
            id.clone(),
            version.clone(),
            from.map_or_else(String::new, |from| from.to_string())
                .into(),
            to.clone(),
        ];
        values.extend(parts(&sum));
        let mut statements = vec![Statement {
            text: "UPDATE settlement_batches SET fees_to = $4, \
                fee_interchange_minor = fee_interchange_minor + $5, fee_scheme_minor = fee_scheme_minor + $6, \
                fee_markup_minor = fee_markup_minor + $7, fee_tax_minor = fee_tax_minor + $8 \
                WHERE id = $1 AND fees_at_ms IS NULL AND fee_terms_version = $2 AND COALESCE(fees_to, '') = $3",
            values,
            returning: false,
        }];
        for (operation, fees) in charged {
            let mut values = vec![id.clone(), version.clone(), to.clone()];
            values.push(operation.to_string().into());
            values.extend(parts(fees));
            statements.push(Statement {
                text: "UPDATE settlement_items SET fee_interchange_minor = $5, fee_scheme_minor = $6, \
                    fee_markup_minor = $7, fee_tax_minor = $8 WHERE operation_id = $4 AND EXISTS (SELECT 1 \
                        FROM settlement_batches WHERE settlement_batches.id = $1 \
                        AND settlement_batches.fee_terms_version = $2 AND settlement_batches.fees_to = $3)",
                values,
                returning: false,
            });
        }
        self.inner.housekeeping.run(statements).await.map(drop)
    }

    /// Records that all items of a batch are computed. Nothing is written where the batch is not as it was read.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn end_fees(&self, batch: &FeeBatch, at: UnixMillis) -> Result<(), StoreError> {
        let to = batch.computed_to;
        let end = Statement {
            text: "UPDATE settlement_batches SET fees_at_ms = $4 WHERE id = $1 AND fees_at_ms IS NULL \
                AND fee_terms_version = $2 AND COALESCE(fees_to, '') = $3",
            values: vec![
                batch.id.to_string().into(),
                batch.terms_version.unwrap_or(-1).into(),
                to.map_or_else(String::new, |to| to.to_string()).into(),
                at.as_i64().into(),
            ],
            returning: false,
        };
        self.inner.housekeeping.run(vec![end]).await.map(drop)
    }
}

fn parts(fees: &ItemFees) -> [Value; 4] {
    [fees.interchange, fees.scheme, fees.markup, fees.tax].map(Value::from)
}

fn fee_batch(row: &AnyRow) -> Result<FeeBatch, StoreError> {
    let columns = Columns::of(row, "settlement_batches", "id")?;
    Ok(FeeBatch {
        id: columns.parsed("id")?,
        key: batch_key(&columns)?,
        terms_version: columns.optional_integer("fee_terms_version")?,
        plan: columns.optional_text("fee_plan")?,
        computed_to: columns.optional_parsed("fees_to")?,
    })
}
