//! Items: what is settled, in the day that was open when it counted. They are written behind the row of the positions,
//! as a cutover is, so that each is in one day.

use std::sync::Arc;

use super::columns::Columns;
use super::text_buffer::{Names, TextBuffer};
use crate::payment::moment::NumberDate;
use crate::payment::record::Operation;
use crate::payment::settlement::{ItemChange, ItemKind};
use crate::store::database::many_rows::ManyRows;
use crate::store::database::value::Value;
use crate::store::error::StoreError;

/// Holds the row of the positions until the COMMIT, where nothing takes one.
pub(in crate::store) const HOLD_POSITIONS: &str =
    "UPDATE positions SET next = next WHERE stream = 0";

/// Items of the days that are open. Of an operation there is one.
pub(in crate::store) const NEW_ITEMS: ManyRows = ManyRows {
    name: "new settlement items",
    before: "WITH new (operation_id, subject_id, payment_id, host_id, currency, kind, amount_minor, at_ms, date, \
        bank_date) AS (VALUES ",
    row: "(CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), \
        CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS TEXT), CAST(? AS TEXT))",
    after: ") INSERT INTO settlement_items (operation_id, subject_id, payment_id, merchant_id, host_id, currency, \
        kind, amount_minor, business_date, at_ms, bank_date) \
        SELECT new.operation_id, new.subject_id, new.payment_id, payments.merchant_id, new.host_id, \
        new.currency, new.kind, new.amount_minor, business_days.business_date, new.at_ms, \
        CASE WHEN new.bank_date <> business_days.business_date THEN new.bank_date END \
        FROM new JOIN payments ON payments.id = new.payment_id \
        JOIN business_days ON business_days.host_id = new.host_id AND business_days.cut_at_ms IS NULL \
        WHERE 1 = 1 ON CONFLICT (operation_id) DO NOTHING",
    returning: "",
};

/// Opens a day for the hosts of [`NEW_ITEMS`] that have none: the first item of a host may come before its first day.
pub(in crate::store) const FIRST_DAYS: ManyRows = ManyRows {
    name: "first days",
    before: NEW_ITEMS.before,
    row: NEW_ITEMS.row,
    after: ") INSERT INTO business_days (host_id, business_date, opened_at_ms) \
        SELECT new.host_id, MAX(new.date), MIN(new.at_ms) FROM new WHERE NOT EXISTS (SELECT 1 \
            FROM business_days WHERE business_days.host_id = new.host_id AND business_days.cut_at_ms IS NULL) \
        GROUP BY new.host_id ON CONFLICT DO NOTHING",
    returning: "",
};

/// Takes items out of days that are open.
pub(in crate::store) const LEAVING_ITEMS: ManyRows = ManyRows {
    name: "leaving settlement items",
    before: "WITH leaving (operation_id) AS (VALUES ",
    row: "(CAST(? AS TEXT))",
    after: ") UPDATE settlement_items SET business_date = NULL FROM leaving, business_days \
        WHERE settlement_items.operation_id = leaving.operation_id \
        AND business_days.host_id = settlement_items.host_id \
        AND business_days.business_date = settlement_items.business_date AND business_days.cut_at_ms IS NULL \
        AND settlement_items.settled_by IS NULL",
    returning: " RETURNING settlement_items.operation_id",
};

/// Gives items that were taken out to the days that are open now.
pub(in crate::store) const RETURNING_ITEMS: ManyRows = ManyRows {
    name: "returning settlement items",
    before: "WITH returning_items (operation_id) AS (VALUES ",
    row: "(CAST(? AS TEXT))",
    after: ") UPDATE settlement_items SET business_date = business_days.business_date \
        FROM returning_items, business_days \
        WHERE settlement_items.operation_id = returning_items.operation_id \
        AND settlement_items.business_date IS NULL \
        AND business_days.host_id = settlement_items.host_id AND business_days.cut_at_ms IS NULL",
    returning: "",
};

/// What a change does to the items, as a row of its statement.
#[derive(Debug)]
pub(in crate::store) enum ItemRow {
    /// Of [`NEW_ITEMS`].
    New(Vec<Value>),
    /// Of [`LEAVING_ITEMS`].
    Leaving(Vec<Value>),
    /// Of [`RETURNING_ITEMS`].
    Returning(Vec<Value>),
}

impl ItemRow {
    /// The row of what an operation, whose name is `id`, does to the items.
    pub(in crate::store) fn of(
        texts: &mut TextBuffer,
        change: ItemChange,
        (operation, id): (&Operation, &Arc<str>),
        names: &Names,
    ) -> Self {
        match change {
            ItemChange::Counts(kind, subject) => Self::New(vec![
                id.into(),
                texts.text(subject).into(),
                (&names.payment_id).into(),
                texts.text(operation.host_id).into(),
                Value::Static(operation.amount.currency().code()),
                Value::Static(kind.name()),
                operation.approved_amount().amount_minor().into(),
                operation.updated_at.as_i64().into(),
                texts.text(NumberDate::of(operation.updated_at)).into(),
                match operation.settlement_date() {
                    Some(date) => texts.text(date).into(),
                    None => None::<String>.into(),
                },
            ]),
            ItemChange::Leaves(sale) => Self::Leaving(vec![texts.text(sale).into()]),
            ItemChange::Returns(sale) => Self::Returning(vec![texts.text(sale).into()]),
        }
    }
}

/// Which way the money of an item goes, from a row with the column `kind`.
pub(in crate::store) fn item_kind(columns: &Columns<'_>) -> Result<ItemKind, StoreError> {
    let kind = columns.text("kind")?;
    ItemKind::from_name(kind)
        .ok_or_else(|| columns.corrupt("kind", kind, "expected the kind of an item"))
}
