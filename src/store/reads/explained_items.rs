//! Reads how the captures and refunds of one payment are settled, down to what the bank said of each and the payout that
//! it was in.

use crate::payment::difference::DifferenceKind;
use crate::payment::ids::{HostId, OperationId, PaymentId, PayoutId};
use crate::payment::money::Money;
use crate::payment::payout::PayoutState;
use crate::payment::settlement::{ItemFees, ItemKind, ItemSettlement};
use crate::random::HashMap;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::reads::by_ids::IDS;
use crate::store::records::lists::MAX_PAGE_SIZE;
use crate::store::tables::columns::Columns;
use crate::store::tables::settlement_batches::item_fees;
use crate::store::tables::settlement_items::item_kind;

/// How one capture, refund or chargeback is settled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExplainedItem {
    /// Its operation.
    pub operation_id: OperationId,
    /// Whose day it is of.
    pub host_id: HostId,
    /// Which way its money goes.
    pub kind: ItemKind,
    /// How much it is.
    pub amount: Money,
    /// Its day and batch, and the acquirer's reference.
    pub settlement: ItemSettlement,
    /// What it costs; none before that is computed.
    pub fees: Option<ItemFees>,
    /// What the bank's report of its day says of it; none before that is applied.
    pub report: Option<ItemInReport>,
    /// The payout that pays its batch.
    pub payout: Option<ItemPayout>,
}

/// What the bank's report of its day says of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemInReport {
    /// The report's file.
    pub name: String,
    /// Whether it has a line for the item.
    pub has_it: bool,
    /// The interchange, in minor units.
    pub interchange_minor: Option<i64>,
    /// The scheme's fee, in minor units.
    pub scheme_fee_minor: Option<i64>,
    /// The bank's commission, in minor units.
    pub commission_minor: Option<i64>,
    /// Why the bank does not settle it.
    pub reject_code: Option<String>,
    /// What it has otherwise: the kind, ours and theirs.
    pub differences: Vec<(DifferenceKind, Option<String>, Option<String>)>,
}

/// The payout that an item was in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemPayout {
    /// Its name.
    pub id: PayoutId,
    /// Where it stands.
    pub state: PayoutState,
    /// The bank's own reference (UTR), once it has one.
    pub bank_reference: Option<String>,
}

impl Store {
    /// How the captures, refunds and chargebacks of a payment are settled, of those that are, in the order in which they
    /// counted; at most [`MAX_PAGE_SIZE`].
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn explained_items(
        &self,
        payment: PaymentId,
    ) -> Result<Vec<ExplainedItem>, StoreError> {
        let text = format!(
            "SELECT items.operation_id, items.kind, items.amount_minor, items.currency, items.host_id, \
             items.interchange_minor, items.scheme_fee_minor, items.commission_minor, items.reject_code, \
             items.fee_interchange_minor, items.fee_scheme_minor, items.fee_markup_minor, items.fee_tax_minor, \
             items.settled_by, imports.id AS import_id, imports.name AS import_name, payouts.id AS payout_id, \
             payouts.state AS payout_state, payouts.bank_reference \
             FROM settlement_items AS items \
             LEFT JOIN settlement_batches AS batches ON batches.host_id = items.host_id \
             AND batches.business_date = items.business_date AND batches.merchant_id = items.merchant_id \
             AND batches.currency = items.currency \
             LEFT JOIN settlement_imports AS imports ON imports.id = COALESCE(items.settled_by, batches.report_id) \
             LEFT JOIN payouts ON payouts.id = batches.payout_id \
             WHERE items.payment_id = $1 AND items.business_date IS NOT NULL \
             ORDER BY items.at_ms, items.operation_id LIMIT {MAX_PAGE_SIZE}"
        );
        let payment = [payment.to_string().into()];
        let rows = self.read(sqlx::AssertSqlSafe(text), &payment).await?;
        let mut differences = HashMap::<String, _>::default();
        let operations: Result<Vec<String>, StoreError> = rows
            .iter()
            .map(|row| {
                let columns = Columns::of(row, "settlement_items", "operation_id")?;
                Ok(columns.text("operation_id")?.to_owned())
            })
            .collect();
        let text = format!(
            "SELECT id, kind, ours, theirs, operation_id FROM settlement_differences WHERE operation_id {IDS} \
             ORDER BY found_at_ms, id"
        );
        for row in &self.of_ids(&text, operations?).await? {
            let columns = Columns::of(row, "settlement_differences", "id")?;
            let kind = columns.text("kind")?;
            let kind = DifferenceKind::from_name(kind).ok_or_else(|| {
                columns.corrupt("kind", kind, "expected the kind of a difference")
            })?;
            let (ours, theirs) = (
                columns.optional_text("ours")?,
                columns.optional_text("theirs")?,
            );
            let of_item: &mut Vec<_> = differences
                .entry(columns.text("operation_id")?.to_owned())
                .or_default();
            of_item.push((kind, ours, theirs));
        }
        let ids: Result<Vec<OperationId>, StoreError> = rows
            .iter()
            .map(|row| Columns::of(row, "settlement_items", "operation_id")?.parsed("operation_id"))
            .collect();
        let mut settlements = self.settlement_of(&ids?).await?;
        let mut items = Vec::with_capacity(rows.len());
        for row in &rows {
            let columns = Columns::of(row, "settlement_items", "operation_id")?;
            let operation_id: OperationId = columns.parsed("operation_id")?;
            // Without a day it has left it meanwhile.
            let Some(settlement) = settlements.remove(&operation_id) else {
                continue;
            };
            let found = differences.remove(columns.text("operation_id")?);
            items.push(ExplainedItem {
                operation_id,
                host_id: columns.parsed("host_id")?,
                kind: item_kind(&columns)?,
                amount: columns.money()?,
                settlement,
                fees: item_fees(&columns)?,
                report: in_report(&columns, found.unwrap_or_default())?,
                payout: payout(&columns)?,
            });
        }
        Ok(items)
    }
}

fn in_report(
    columns: &Columns<'_>,
    differences: Vec<(DifferenceKind, Option<String>, Option<String>)>,
) -> Result<Option<ItemInReport>, StoreError> {
    let Some(name) = columns.optional_text("import_name")? else {
        return Ok(None);
    };
    Ok(Some(ItemInReport {
        name,
        has_it: columns.optional_text("settled_by")?.is_some(),
        interchange_minor: columns.optional_integer("interchange_minor")?,
        scheme_fee_minor: columns.optional_integer("scheme_fee_minor")?,
        commission_minor: columns.optional_integer("commission_minor")?,
        reject_code: columns.optional_text("reject_code")?,
        differences,
    }))
}

fn payout(columns: &Columns<'_>) -> Result<Option<ItemPayout>, StoreError> {
    let Some(id) = columns.optional_parsed("payout_id")? else {
        return Ok(None);
    };
    let state = columns.optional_text("payout_state")?.unwrap_or_default();
    let state = PayoutState::from_name(&state)
        .ok_or_else(|| columns.corrupt("payout_state", &state, "expected the state of a payout"))?;
    Ok(Some(ItemPayout {
        id,
        state,
        bank_reference: columns.optional_text("bank_reference")?,
    }))
}
