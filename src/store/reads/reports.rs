//! Reads what the lines of a bank's report are compared with.

use std::collections::BTreeMap;

use sqlx::any::AnyRow;

use crate::payment::ids::{HostId, ImportId, MerchantId, PaymentId, SubjectId};
use crate::payment::moment::BusinessDate;
use crate::payment::operation::{OperationState, ResolvedBy};
use crate::payment::record::CardBrand;
use crate::payment::reference::Rrn;
use crate::payment::settlement::ItemKind;
use crate::payment::settlement_import::ReportedItem;
use crate::store::Store;
use crate::store::database::value::Value;
use crate::store::error::StoreError;
use crate::store::reads::by_ids::IDS;
use crate::store::records::lists::{ListOrder, MAX_PAGE_SIZE};
use crate::store::records::settlement::{ItemPlace, ReportRun, ReportedFees, RunFilter};
use crate::store::tables::columns::Columns;
use crate::store::tables::payments::card_brand;
use crate::store::tables::settlement_items::item_kind;

/// What [`reported_item`] needs.
const ITEM: &str = "items.operation_id, items.subject_id, items.merchant_id, items.currency, items.kind, \
    items.amount_minor, items.business_date, items.settled_by, items.acquirer_reference, own.rrn AS own_rrn, \
    own.state_detail, original.state_detail AS original_detail, items.payment_id, \
    CASE WHEN items.kind = 'CHARGEBACK' THEN (SELECT captured_minor - captured_pending_minor - refunded_minor \
        - disputed_minor FROM payments WHERE payments.id = items.payment_id) END AS left_minor";

impl Store {
    /// The items of a host whose payments have an operation with one of these RRNs, in a day each: once for each kind of
    /// operation by whose RRN it is found. A bank may know a capture by the RRN of its authorization.
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
            "SELECT DISTINCT found.rrn AS found_by, found.kind AS found_kind, items.host_id, {ITEM} FROM operations AS found \
             JOIN settlement_items AS items ON items.payment_id = found.payment_id \
             JOIN operations AS own ON own.id = items.operation_id \
             LEFT JOIN operations AS original ON original.id = own.original_id \
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

    /// The brands of the cards of payments.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn card_brands(
        &self,
        payments: &[PaymentId],
    ) -> Result<BTreeMap<PaymentId, CardBrand>, StoreError> {
        let text = format!("SELECT payments.id, payments.detail FROM payments WHERE id {IDS}");
        let ids = payments.iter().map(ToString::to_string).collect();
        let rows = self.of_ids(&text, ids).await?;
        let brand = |row: &AnyRow| {
            let columns = Columns::of(row, "payments", "id")?;
            Ok((columns.parsed("id")?, card_brand(&columns)?))
        };
        rows.iter().map(brand).collect()
    }

    /// The items of merchants that no line has settled, of the days from `from` to `to`, with the references of their
    /// merchants, at most `limit`, the newest first.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn open_items(
        &self,
        host: &HostId,
        merchants: &[MerchantId],
        (from, to): (BusinessDate, BusinessDate),
        limit: usize,
    ) -> Result<Vec<ReportedItem>, StoreError> {
        let text = format!(
            "SELECT own.rrn AS found_by, own.kind AS found_kind, payments.merchant_reference, {ITEM} FROM settlement_items AS items \
             JOIN operations AS own ON own.id = items.operation_id \
             LEFT JOIN operations AS original ON original.id = own.original_id \
             JOIN payments ON payments.id = items.payment_id \
             WHERE items.settled_by IS NULL AND items.business_date IS NOT NULL AND items.host_id = $1 \
             AND items.merchant_id = $2 AND items.business_date >= $3 AND items.business_date <= $4 \
             ORDER BY items.business_date DESC, items.operation_id LIMIT $5"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut found = Vec::new();
        for merchant in merchants {
            let values = [
                host.as_str().into(),
                merchant.as_str().into(),
                from.to_string().into(),
                to.to_string().into(),
                limit.into(),
            ];
            let rows = self
                .read(sqlx::AssertSqlSafe(text.clone()), &values)
                .await?;
            for row in &rows {
                let columns = Columns::of(row, "settlement_items", "operation_id")?;
                found.push(ReportedItem {
                    merchant_reference: columns.optional_text("merchant_reference")?,
                    ..reported_item(row)?
                });
            }
        }
        Ok(found)
    }

    /// The item of a capture or refund that is settled with this host.
    ///
    /// # Errors
    /// When the database can't be read, or the row is corrupt.
    pub async fn item_of_subject(
        &self,
        host: &HostId,
        subject: SubjectId,
    ) -> Result<Option<ReportedItem>, StoreError> {
        let text = format!(
            "SELECT own.rrn AS found_by, own.kind AS found_kind, {ITEM} FROM settlement_items AS items \
             JOIN operations AS own ON own.id = items.operation_id \
             LEFT JOIN operations AS original ON original.id = own.original_id \
             WHERE items.subject_id = $1 AND items.host_id = $2 AND items.business_date IS NOT NULL \
             AND items.payment_id IN (SELECT payment_id FROM captures WHERE id = $1 \
                 UNION ALL SELECT payment_id FROM refunds WHERE id = $1)"
        );
        let values = [subject.to_string().into(), host.as_str().into()];
        let rows = self.read(sqlx::AssertSqlSafe(text), &values).await?;
        rows.first().map(reported_item).transpose()
    }

    /// The items of a day that no line has settled, by merchant, currency and name of their capture or refund, at most
    /// `limit` (1 to [`MAX_PAGE_SIZE`]), going on after `after`.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn unsettled_items_of_day(
        &self,
        host: &HostId,
        date: BusinessDate,
        limit: usize,
        after: &ItemPlace,
    ) -> Result<Vec<ReportedItem>, StoreError> {
        let limit = i64::try_from(limit.clamp(1, MAX_PAGE_SIZE)).unwrap_or(1);
        let text = format!(
            "SELECT own.rrn AS found_by, own.kind AS found_kind, {ITEM} FROM settlement_items AS items \
             JOIN operations AS own ON own.id = items.operation_id \
             LEFT JOIN operations AS original ON original.id = own.original_id \
             WHERE items.host_id = $1 AND items.business_date = $2 AND items.settled_by IS NULL \
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

    /// The reports that are applied of the hosts that a merchant has batches with, by their names, at most `limit` (1 to
    /// [`MAX_PAGE_SIZE`]), going on after `after`.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn report_runs(
        &self,
        merchant: &MerchantId,
        filter: &RunFilter,
        order: ListOrder,
        limit: usize,
        after: Option<ImportId>,
    ) -> Result<Vec<ReportRun>, StoreError> {
        let limit = limit.clamp(1, MAX_PAGE_SIZE);
        let (beyond, direction) = match order {
            ListOrder::NewestFirst => ("<", "DESC"),
            ListOrder::OldestFirst => (">", "ASC"),
        };
        let mut text = "SELECT imports.id, imports.host_id, imports.business_date, imports.at_ms, \
            CASE WHEN imports.cycle > 0 THEN (SELECT COUNT(*) FROM settlement_items \
                WHERE settlement_items.settled_by = imports.id AND settlement_items.merchant_id = $1) ELSE \
            (SELECT CAST(COALESCE(SUM(capture_count + refund_count), 0) AS BIGINT) FROM settlement_batches \
                WHERE settlement_batches.host_id = imports.host_id AND settlement_batches.merchant_id = $1 \
                AND settlement_batches.business_date = imports.business_date) - (SELECT COUNT(*) \
                FROM settlement_differences WHERE import_id = imports.id AND merchant_id = $1 \
                AND kind = 'NOT_IN_REPORT') END AS matched, \
            (SELECT COUNT(*) FROM settlement_differences WHERE import_id = imports.id AND merchant_id = $1) AS differing \
            FROM settlement_imports AS imports WHERE imports.state = 'DONE' AND EXISTS (SELECT 1 \
                FROM settlement_batches AS batches WHERE batches.host_id = imports.host_id \
                AND batches.business_date = imports.business_date AND batches.merchant_id = $1)"
            .to_owned();
        let mut values: Vec<Value> = vec![merchant.as_str().into()];
        let date = filter.business_date.map(|date| date.to_string());
        let host = filter.host_id.map(|it| it.as_str().into());
        for (condition, value) in [
            ("id =", filter.import_id.map(|it| it.to_string().into())),
            ("host_id =", host),
            ("business_date =", date.map(Into::into)),
            (
                &*format!("id {beyond}"),
                after.map(|after| after.to_string().into()),
            ),
        ] {
            if let Some(value) = value {
                values.push(value);
                text.push_str(&format!(" AND imports.{condition} ${}", values.len()));
            }
        }
        text.push_str(&format!(" ORDER BY imports.id {direction} LIMIT {limit}"));
        let rows = self.read(sqlx::AssertSqlSafe(text), &values).await?;
        let run = |row: &AnyRow| {
            let columns = Columns::of(row, "settlement_imports", "id")?;
            Ok(ReportRun {
                import_id: columns.parsed("id")?,
                host_id: columns.parsed("host_id")?,
                business_date: columns.parsed("business_date")?,
                matched: columns.integer("matched")?,
                discrepancies: columns.integer("differing")?,
                at: columns.moment("at_ms")?,
            })
        };
        rows.iter().map(run).collect()
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
    let states: [Option<OperationState>; 2] = [
        Some(columns.json("state_detail")?),
        columns.optional_json("original_detail")?,
    ];
    let codes = states.iter().flatten().filter_map(OperationState::approval);
    let mut approval_codes: Vec<String> = codes
        .map(|approval| approval.approval_code.clone())
        .filter(|code| !code.trim().is_empty())
        .collect();
    approval_codes.dedup();
    let own = states.first().and_then(Option::as_ref);
    let by_report = matches!(
        own,
        Some(OperationState::Resolved {
            by: ResolvedBy::Report,
            ..
        })
    );
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
        found_kind: ItemKind::of_operation(columns.variant("found_kind")?),
        approval_codes,
        acquirer_reference: columns.optional_text("acquirer_reference")?,
        merchant_reference: None,
        settled_by: columns.optional_parsed("settled_by")?,
        by_report,
        left_minor: columns.optional_integer("left_minor")?,
        brand: None,
    })
}
