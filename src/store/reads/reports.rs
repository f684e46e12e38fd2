//! Reads what the lines of a bank's report are compared with.

use sqlx::any::AnyRow;

use crate::payment::ids::{HostId, ImportId, MerchantId};
use crate::payment::moment::BusinessDate;
use crate::payment::reference::Rrn;
use crate::payment::settlement_import::ReportedItem;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::reads::by_ids::IDS;
use crate::store::records::lists::MAX_PAGE_SIZE;
use crate::store::records::settlement::{ItemPlace, ReportedFees};
use crate::store::tables::columns::Columns;
use crate::store::tables::settlement_items::item_kind;

/// What [`reported_item`] needs.
const ITEM: &str = "items.operation_id, items.subject_id, items.merchant_id, items.currency, items.kind, \
    items.amount_minor, items.business_date, items.settled_by, own.rrn AS own_rrn, items.payment_id, \
    CASE WHEN items.kind = 'CHARGEBACK' THEN (SELECT captured_minor - captured_pending_minor - refunded_minor \
        - disputed_minor FROM payments WHERE payments.id = items.payment_id) END AS left_minor";

impl Store {
    /// The items of a host whose payments have an operation with one of these RRNs, in a day each: once for each RRN by
    /// which it is found. A bank may know a capture by the RRN of its authorization.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn items_of_rrns(
        &self,
        host: &HostId,
        rrns: &[Rrn],
    ) -> Result<Vec<ReportedItem>, StoreError> {
        // The date and the host are no conditions that an index could have: the payment's few items are looked at.
        let text = format!(
            "SELECT DISTINCT found.rrn AS found_by, items.host_id, {ITEM} FROM operations AS found \
             JOIN settlement_items AS items ON items.payment_id = found.payment_id \
             JOIN operations AS own ON own.id = items.operation_id \
             WHERE COALESCE(items.business_date, '') <> '' AND found.rrn {IDS}"
        );
        let rrns = rrns.iter().map(ToString::to_string).collect();
        let rows = self.of_ids(&text, rrns).await?;
        let of_host = |row: &&AnyRow| {
            Columns::of(row, "settlement_items", "operation_id")
                .and_then(|columns| Ok(columns.text("host_id")? == host.as_str()))
                .unwrap_or(true)
        };
        rows.iter().filter(of_host).map(reported_item).collect()
    }

    /// The items of a day, by merchant, currency and name of their capture or refund, at most `limit` (1 to
    /// [`MAX_PAGE_SIZE`]), going on after `after`.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn items_of_day(
        &self,
        host: &HostId,
        date: BusinessDate,
        limit: usize,
        after: &ItemPlace,
    ) -> Result<Vec<ReportedItem>, StoreError> {
        let limit = i64::try_from(limit.clamp(1, MAX_PAGE_SIZE)).unwrap_or(1);
        let text = format!(
            "SELECT own.rrn AS found_by, {ITEM} FROM settlement_items AS items \
             JOIN operations AS own ON own.id = items.operation_id \
             WHERE items.host_id = $1 AND items.business_date = $2 \
             AND (items.merchant_id, items.currency, items.subject_id) > ($3, $4, $5) \
             ORDER BY items.merchant_id, items.currency, items.subject_id LIMIT $6"
        );
        let values = [
            host.as_str().into(),
            date.to_string().into(),
            after.merchant_id.as_str().into(),
            after.currency.as_str().into(),
            after.subject_id.as_str().into(),
            limit.into(),
        ];
        let rows = self.read(sqlx::AssertSqlSafe(text), &values).await?;
        rows.iter().map(reported_item).collect()
    }

    /// What a report says of items, by currency.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn reported_fees(&self, import: ImportId) -> Result<Vec<ReportedFees>, StoreError> {
        let text = "SELECT currency, COUNT(*) AS items, COUNT(reject_code) AS rejected, \
            CAST(COALESCE(SUM(interchange_minor), 0) AS BIGINT) AS interchange_minor, \
            CAST(COALESCE(SUM(scheme_fee_minor), 0) AS BIGINT) AS scheme_fee_minor, \
            CAST(COALESCE(SUM(commission_minor), 0) AS BIGINT) AS commission_minor \
            FROM settlement_items WHERE settled_by = $1 GROUP BY currency ORDER BY currency";
        let rows = self.read(text, &[import.to_string().into()]).await?;
        let fees = |row: &AnyRow| {
            let columns = Columns::of(row, "settlement_items", "currency")?;
            Ok(ReportedFees {
                currency: columns.parsed("currency")?,
                items: columns.integer("items")?,
                rejected: columns.integer("rejected")?,
                interchange_minor: columns.integer("interchange_minor")?,
                scheme_fee_minor: columns.integer("scheme_fee_minor")?,
                commission_minor: columns.integer("commission_minor")?,
            })
        };
        rows.iter().map(fees).collect()
    }

    /// The merchants of a host that have one of these acceptors (DE 42), each with its own.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn merchants_of_acceptors(
        &self,
        host: &HostId,
        acceptors: Vec<String>,
    ) -> Result<Vec<(String, MerchantId)>, StoreError> {
        let text =
            format!("SELECT id, acceptor_id, acquirer FROM merchants WHERE acceptor_id {IDS}");
        let rows = self.of_ids(&text, acceptors).await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            let columns = Columns::of(row, "merchants", "id")?;
            if columns.text("acquirer")? == host.as_str() {
                found.push((
                    columns.text("acceptor_id")?.trim_end().to_owned(),
                    columns.parsed("id")?,
                ));
            }
        }
        Ok(found)
    }
}

fn reported_item(row: &AnyRow) -> Result<ReportedItem, StoreError> {
    let columns = Columns::of(row, "settlement_items", "operation_id")?;
    Ok(ReportedItem {
        operation_id: columns.parsed("operation_id")?,
        subject_id: columns.parsed("subject_id")?,
        merchant_id: columns.parsed("merchant_id")?,
        currency: columns.parsed("currency")?,
        payment_id: columns.parsed("payment_id")?,
        kind: item_kind(&columns)?,
        amount_minor: columns.integer("amount_minor")?,
        business_date: columns.parsed("business_date")?,
        own_rrn: columns.parsed("own_rrn")?,
        found_by: columns.parsed("found_by")?,
        settled_by: columns.optional_parsed("settled_by")?,
        left_minor: columns.optional_integer("left_minor")?,
    })
}
