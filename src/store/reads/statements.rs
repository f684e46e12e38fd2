//! Reads what moved a merchant's balance within a period.

use sqlx::any::AnyRow;

use crate::payment::ids::{MerchantId, PaymentId, SubjectId};
use crate::payment::moment::UnixMillis;
use crate::payment::money::Currency;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::records::lists::MAX_PAGE_SIZE;
use crate::store::tables::columns::Columns;

/// What a journal changed of what a merchant is owed in one currency, and what it held back and charged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Movement {
    /// The journal's position.
    pub position: i64,
    /// The journal: what caused it, ':', and the name of its template.
    pub journal_id: String,
    /// The payment that it is about, if any.
    pub payment_id: Option<PaymentId>,
    /// The capture or refund that it is about, if any.
    pub subject_id: Option<SubjectId>,
    /// When.
    pub at: UnixMillis,
    /// What is owed more, pending or available, in minor units; negative where it is less.
    pub owed_minor: i64,
    /// What is held back more, in minor units; negative where it is given back.
    pub reserved_minor: i64,
    /// What is charged, in minor units; negative where it is given back.
    pub fee_minor: i64,
}

impl Store {
    /// What a merchant was owed in a currency, pending or available, before a moment: minor units.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn owed_before(
        &self,
        merchant: &MerchantId,
        currency: Currency,
        moment: UnixMillis,
    ) -> Result<i64, StoreError> {
        let text = "SELECT CAST(COALESCE(SUM(-ledger_lines.amount_minor), 0) AS BIGINT) AS owed_minor \
            FROM ledger_lines JOIN journals ON journals.stream = 0 AND journals.position = ledger_lines.position \
            WHERE ledger_lines.merchant_id = $1 AND ledger_lines.currency = $2 \
            AND ledger_lines.account IN ('PAYABLE_PENDING', 'PAYABLE_AVAILABLE') AND journals.at_ms < $3";
        let values = [
            merchant.as_str().into(),
            currency.code().into(),
            moment.as_i64().into(),
        ];
        let rows = self.read(text, &values).await?;
        let owed = |row: &AnyRow| {
            Columns::named(row, "ledger_lines", merchant.to_string()).integer("owed_minor")
        };
        Ok(rows.first().map(owed).transpose()?.unwrap_or(0))
    }

    /// What changed what a merchant is owed in a currency, or what is held back of it, from one moment on and before another one, in the order of the
    /// ledger, going on after the position `after`; `limit` is 1 to [`MAX_PAGE_SIZE`].
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn movements(
        &self,
        merchant: &MerchantId,
        currency: Currency,
        (from, before): (UnixMillis, UnixMillis),
        limit: usize,
        after: i64,
    ) -> Result<Vec<Movement>, StoreError> {
        let limit = i64::try_from(limit.clamp(1, MAX_PAGE_SIZE)).unwrap_or(1);
        let text = "SELECT journals.position, journals.id, journals.at_ms, events.payment_id, \
            operations.subject_id, CAST(SUM(CASE WHEN ledger_lines.account IN ('PAYABLE_PENDING', 'PAYABLE_AVAILABLE') \
                THEN -ledger_lines.amount_minor ELSE 0 END) AS BIGINT) AS owed_minor, \
            CAST(SUM(CASE WHEN ledger_lines.account = 'RESERVE' \
                THEN -ledger_lines.amount_minor ELSE 0 END) AS BIGINT) AS reserved_minor, \
            CAST(SUM(CASE WHEN ledger_lines.account IN ('FEE_INTERCHANGE', 'FEE_SCHEME', 'FEE_MARKUP', 'FEE_TAX') \
                THEN -ledger_lines.amount_minor ELSE 0 END) AS BIGINT) AS fee_minor \
            FROM ledger_lines JOIN journals ON journals.stream = 0 AND journals.position = ledger_lines.position \
            LEFT JOIN events ON events.stream = 0 AND events.position = ledger_lines.position \
            LEFT JOIN operations ON operations.id = events.operation_id \
            WHERE ledger_lines.merchant_id = $1 AND ledger_lines.currency = $2 \
            AND journals.at_ms >= $3 AND journals.at_ms < $4 AND ledger_lines.position > $5 \
            GROUP BY journals.position, journals.id, journals.at_ms, events.payment_id, operations.subject_id \
            HAVING SUM(CASE WHEN ledger_lines.account IN ('PAYABLE_PENDING', 'PAYABLE_AVAILABLE') \
                THEN ledger_lines.amount_minor ELSE 0 END) <> 0 \
            OR SUM(CASE WHEN ledger_lines.account = 'RESERVE' THEN ledger_lines.amount_minor ELSE 0 END) <> 0 \
            ORDER BY journals.position LIMIT $6";
        let values = [
            merchant.as_str().into(),
            currency.code().into(),
            from.as_i64().into(),
            before.as_i64().into(),
            after.into(),
            limit.into(),
        ];
        let rows = self.read(text, &values).await?;
        let movement = |row: &AnyRow| {
            let columns = Columns::of(row, "journals", "id")?;
            Ok(Movement {
                position: columns.integer("position")?,
                journal_id: columns.text("id")?.to_owned(),
                payment_id: columns.optional_parsed("payment_id")?,
                subject_id: columns.optional_parsed("subject_id")?,
                at: columns.moment("at_ms")?,
                owed_minor: columns.integer("owed_minor")?,
                reserved_minor: columns.integer("reserved_minor")?,
                fee_minor: columns.integer("fee_minor")?,
            })
        };
        rows.iter().map(movement).collect()
    }
}
