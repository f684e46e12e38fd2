//! Payments by what banks call their messages.

use crate::payment::ids::PaymentId;
use crate::payment::record::{Operation, Payment};
use crate::payment::reference::Rrn;
use crate::random::HashMap;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::reads::by_ids::IDS;
use crate::store::tables::columns::Columns;
use crate::store::tables::payments::{SELECT_PAYMENTS, payment};

impl Store {
    /// The payments that have an operation with one of these RRNs, each with all of its operations, oldest first. RRNs
    /// come round again, and other hosts give them too.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn payments_of_rrns(
        &self,
        rrns: &[Rrn],
    ) -> Result<Vec<(Payment, Vec<Operation>)>, StoreError> {
        let text = format!("SELECT DISTINCT payment_id FROM operations WHERE rrn {IDS}");
        let rrns = rrns.iter().map(ToString::to_string).collect();
        let rows = self.of_ids(&text, rrns).await?;
        let ids = rows
            .iter()
            .map(|row| Columns::of(row, "operations", "payment_id")?.parsed("payment_id"));
        let mut ids = ids.collect::<Result<Vec<PaymentId>, _>>()?;
        ids.sort_unstable();
        ids.dedup();
        let mut operations = self.operations_of_all(&ids).await?;
        operations.sort_by_key(|operation| operation.id);
        let mut by_payment: HashMap<PaymentId, Vec<Operation>> = HashMap::default();
        for operation in operations {
            let of_payment = by_payment.entry(operation.payment_id).or_default();
            of_payment.push(operation);
        }
        let text = format!("{SELECT_PAYMENTS} WHERE payments.id {IDS}");
        let names = ids.iter().map(ToString::to_string).collect();
        let rows = self.of_ids(&text, names).await?;
        let payments: Vec<Payment> = rows.iter().map(payment).collect::<Result<_, _>>()?;
        let mut known: HashMap<PaymentId, Payment> = payments
            .into_iter()
            .map(|payment| (payment.id, payment))
            .collect();
        let with_operations = |id: PaymentId| {
            let operations = by_payment.remove(&id).unwrap_or_default();
            known.remove(&id).map(|payment| (payment, operations))
        };
        Ok(ids.into_iter().filter_map(with_operations).collect())
    }
}
