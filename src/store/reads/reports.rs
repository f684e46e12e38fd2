//! Reads what the lines of a bank's report are compared with.

use std::collections::BTreeMap;

use sqlx::any::AnyRow;

use crate::payment::ids::{HostId, ImportId, MerchantId, PaymentId, SubjectId};
use crate::payment::moment::BusinessDate;
use crate::payment::operation::{OperationState, ResolvedBy};
use crate::payment::record::CardBrand;
use crate::payment::reference::Rrn;
use crate::payment::report_line::ReportedItem;
use crate::payment::settlement::ItemKind;
use crate::random::HashSet;
use crate::store::Store;
use crate::store::database::value::Value;
use crate::store::error::StoreError;
use crate::store::index_walk::{IndexWalk, page};
use crate::store::reads::by_ids::IDS;
use crate::store::records::lists::{ListOrder, MAX_PAGE_SIZE, Page};
use crate::store::records::settlement::{ItemPlace, ReportRun, ReportedFees, RunFilter};
use crate::store::tables::columns::Columns;
use crate::store::tables::payments::card_brand;
use crate::store::tables::settlement_items::item_kind;

/// What [`reported_item`] needs of an item itself.
macro_rules! of_item {
    () => {
        "items.operation_id, items.subject_id, items.merchant_id, items.currency, items.kind, items.amount_minor, \
         items.business_date, items.settled_by, items.acquirer_reference, items.payment_id, \
         CASE WHEN items.kind = 'CHARGEBACK' THEN (SELECT captured_minor - captured_pending_minor - refunded_minor \
             - disputed_minor FROM payments WHERE payments.id = items.payment_id) END AS left_minor, \
         original.state_detail AS original_detail"
    };
}

/// What [`reported_item`] needs, where `own` is the operation of the item.
const ITEM: &str = concat!(of_item!(), ", own.rrn AS own_rrn, own.state_detail");

/// The items of payments that have an operation with some RRN. Most are found by their own: those are not looked up once
/// more. The date and the host are no conditions that an index could have: the payment's few items are looked at.
const FOUND_ITEMS: &str = concat!(
    "SELECT found.rrn AS found_by, found.kind AS found_kind, items.host_id, ",
    of_item!(),
    ", COALESCE(own.rrn, found.rrn) AS own_rrn, COALESCE(own.state_detail, found.state_detail) AS state_detail \
     FROM operations AS found JOIN settlement_items AS items ON items.payment_id = found.payment_id \
     LEFT JOIN operations AS own ON own.id = CASE WHEN items.operation_id <> found.id THEN items.operation_id END \
     LEFT JOIN operations AS original \
     ON original.id = CASE WHEN own.id IS NULL THEN found.original_id ELSE own.original_id END \
     WHERE COALESCE(items.business_date, '') <> '' AND found.rrn IN (ids)"
);

/// How many items of a day are looked at for those that are not settled.
const LOOKED_AT_ONCE: i64 = 20_000;
/// How many RRNs are looked up together.
const RRNS_AT_ONCE: usize = 256;

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
        let of_host = |row: &&AnyRow| {
            Columns::of(row, "settlement_items", "operation_id")
                .and_then(|columns| Ok(columns.text("host_id")? == host.as_str()))
                .unwrap_or(true)
        };
        let (mut items, mut known) = (Vec::with_capacity(rrns.len()), HashSet::default());
        // Few at a time: whatever else this thread has to do waits while rows are read.
        for rrns in rrns.chunks(RRNS_AT_ONCE) {
            let rrns = rrns.iter().map(ToString::to_string).collect();
            let rows = self.of_ids(FOUND_ITEMS, rrns).await?;
            for row in rows.iter().filter(of_host) {
                let item = reported_item(row)?;
                if known.insert((item.operation_id, item.found_by, item.found_kind)) {
                    items.push(item);
                }
            }
        }
        Ok(items)
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
        // What is open of a day whose report is applied, or all of its cycles, is marked. Of other days all items are looked at.
        let text = format!(
            "SELECT own.rrn AS found_by, own.kind AS found_kind, payments.merchant_reference, {ITEM} FROM ( \
                 SELECT missed.operation_id, missed.business_date FROM settlement_items AS missed \
                 WHERE missed.missed = 1 AND missed.settled_by IS NULL AND missed.host_id = $1 \
                 AND missed.merchant_id = $2 AND missed.business_date >= $3 AND missed.business_date <= $4 \
                 UNION ALL SELECT open.operation_id, open.business_date FROM business_days AS days \
                 JOIN settlement_items AS open ON open.host_id = days.host_id AND open.business_date = days.business_date \
                 WHERE days.host_id = $1 AND days.business_date >= $3 AND days.business_date <= $4 \
                 AND open.merchant_id = $2 AND open.settled_by IS NULL AND COALESCE(open.missed, 0) <> 1 \
                 AND NOT EXISTS (SELECT 1 FROM settlement_imports AS imports WHERE imports.host_id = days.host_id \
                     AND imports.business_date = days.business_date AND imports.kind = 'REPORT' AND imports.state = 'DONE' \
                     AND (imports.cycle = 0 OR EXISTS (SELECT 1 FROM settlement_batches AS batches \
                         WHERE batches.host_id = days.host_id AND batches.business_date = days.business_date \
                         AND batches.report_id IS NOT NULL))) \
                 ORDER BY business_date DESC, operation_id LIMIT $5) AS found \
             JOIN settlement_items AS items ON items.operation_id = found.operation_id \
             JOIN operations AS own ON own.id = items.operation_id \
             LEFT JOIN operations AS original ON original.id = own.original_id \
             JOIN payments ON payments.id = items.payment_id \
             ORDER BY items.business_date DESC, items.operation_id"
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
        // Most of a day is settled: a bounded number of its items are looked at in turn.
        let end = "SELECT merchant_id, currency, subject_id FROM settlement_items WHERE host_id = $1 \
            AND business_date = $2 AND (merchant_id, currency, subject_id) > ($3, $4, $5) \
            ORDER BY merchant_id, currency, subject_id LIMIT 1 OFFSET $6";
        let place = |row: &AnyRow| {
            let columns = Columns::of(row, "settlement_items", "subject_id")?;
            let texts =
                ["merchant_id", "currency", "subject_id"].map(|column| columns.text(column));
            let [merchant, currency, subject] = texts;
            Ok::<[Value; 3], StoreError>([merchant?.into(), currency?.into(), subject?.into()])
        };
        let day: [Value; 2] = [host.as_str().into(), date.to_string().into()];
        let mut from: [Value; 3] = [
            after.merchant_id.as_str().into(),
            after.currency.as_str().into(),
            after.subject_id.as_str().into(),
        ];
        loop {
            let values = [&day[..], &from, &[LOOKED_AT_ONCE.into()]].concat();
            let rows = self.read(end, &values).await?;
            let end = rows.first().map(place).transpose()?;
            let (to, bound) = match &end {
                Some(end) => (
                    &end[..],
                    "AND (items.merchant_id, items.currency, items.subject_id) <= ($7, $8, $9)",
                ),
                None => (&[][..], ""),
            };
            let text = format!(
                "SELECT own.rrn AS found_by, own.kind AS found_kind, {ITEM} FROM settlement_items AS items \
                 JOIN operations AS own ON own.id = items.operation_id \
                 LEFT JOIN operations AS original ON original.id = own.original_id \
                 WHERE items.host_id = $1 AND items.business_date = $2 AND items.settled_by IS NULL \
                 AND (items.merchant_id, items.currency, items.subject_id) > ($3, $4, $5) {bound} \
                 ORDER BY items.merchant_id, items.currency, items.subject_id LIMIT $6"
            );
            let values = [&day[..], &from, &[limit.into()], to].concat();
            let rows = self.read(sqlx::AssertSqlSafe(text), &values).await?;
            match end {
                Some(end) if rows.is_empty() => from = end,
                _ => return rows.iter().map(reported_item).collect(),
            }
        }
    }

    /// The reports that are applied of the hosts that a merchant has batches with, by their names, `page_size` (1 to
    /// [`MAX_PAGE_SIZE`]) at a time, going on after `after`.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn report_runs(
        &self,
        merchant: &MerchantId,
        filter: &RunFilter,
        order: ListOrder,
        page_size: usize,
        after: Option<ImportId>,
    ) -> Result<Page<ReportRun, ImportId>, StoreError> {
        let page_size = page_size.clamp(1, MAX_PAGE_SIZE);
        let mut walk = IndexWalk::new("settlement_imports AS imports", &["imports.id"], order);
        walk.only("imports.id =", filter.import_id.map(|it| it.to_string()));
        walk.after(after.as_ref());
        let end = self.end_of_look(&mut walk).await?;
        walk.filtered(
            "imports.host_id",
            filter.host_id.as_ref().map(HostId::as_str),
        );
        let date = filter.business_date.map(|date| date.to_string());
        walk.filtered("imports.business_date", date);
        walk.only_where("imports.state = 'DONE'");
        let merchant = walk.place_of(merchant.as_str());
        walk.only_where(format!(
            "EXISTS (SELECT 1 FROM settlement_batches AS batches WHERE batches.host_id = imports.host_id \
             AND batches.business_date = imports.business_date AND batches.merchant_id = {merchant})"
        ));
        let select = format!(
            "SELECT imports.id, imports.host_id, imports.business_date, imports.at_ms, \
             CASE WHEN imports.cycle > 0 THEN (SELECT COUNT(*) FROM settlement_items \
                WHERE settlement_items.host_id = imports.host_id AND settlement_items.business_date = imports.business_date \
                AND settlement_items.merchant_id = {merchant} AND settlement_items.settled_by = imports.id) ELSE \
             (SELECT CAST(COALESCE(SUM(capture_count + refund_count), 0) AS BIGINT) FROM settlement_batches \
                WHERE settlement_batches.host_id = imports.host_id AND settlement_batches.merchant_id = {merchant} \
                AND settlement_batches.business_date = imports.business_date) - (SELECT COUNT(*) \
                FROM settlement_differences WHERE import_id = imports.id AND merchant_id = {merchant} \
                AND kind = 'NOT_IN_REPORT') END AS matched, \
             (SELECT COUNT(*) FROM settlement_differences WHERE import_id = imports.id \
                AND merchant_id = {merchant}) AS differing FROM settlement_imports AS imports"
        );
        let rows = self.walked(&walk, &select, "", page_size + 1).await?;
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
        let items = rows.iter().map(run).collect::<Result<Vec<_>, _>>()?;
        Ok(page(items, page_size, |last| last.import_id, end))
    }

    /// What a report says of items, by currency.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn reported_fees(&self, import: ImportId) -> Result<Vec<ReportedFees>, StoreError> {
        let text = "SELECT items.currency, COUNT(*) AS items, COUNT(items.reject_code) AS rejected, \
            CAST(COALESCE(SUM(items.interchange_minor), 0) AS BIGINT) AS interchange_minor, \
            CAST(COALESCE(SUM(items.scheme_fee_minor), 0) AS BIGINT) AS scheme_fee_minor, \
            CAST(COALESCE(SUM(items.commission_minor), 0) AS BIGINT) AS commission_minor \
            FROM settled_lines AS settled JOIN settlement_items AS items ON items.operation_id = settled.operation_id \
            AND items.settled_by = settled.import_id WHERE settled.import_id = $1 \
            GROUP BY items.currency ORDER BY items.currency";
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
