//! The terms of merchants.

use sqlx::any::AnyRow;

use super::columns::Columns;
use crate::payment::ids::MerchantId;
use crate::payment::moment::UnixMillis;
use crate::store::Store;
use crate::store::database::connection::Statement;
use crate::store::error::StoreError;
use crate::store::merchant_money::{AccountText, Plan, TermsRecord};

impl Store {
    /// The terms of a merchant; none where nobody has set any.
    ///
    /// # Errors
    /// When the database can't be read, or the row is corrupt.
    pub async fn merchant_terms(
        &self,
        merchant: &MerchantId,
    ) -> Result<Option<TermsRecord>, StoreError> {
        let text = "SELECT * FROM merchant_terms WHERE merchant_id = $1";
        let rows = self.read(text, &[merchant.as_str().into()]).await?;
        rows.first().map(terms).transpose()
    }

    /// Sets a plan of a merchant. The same plan again changes nothing.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn set_plan(
        &self,
        merchant: &MerchantId,
        plan: Plan<'_>,
        at: UnixMillis,
    ) -> Result<(), StoreError> {
        let (text, plan) = match plan {
            Plan::Fees(plan) => (
                "INSERT INTO merchant_terms (merchant_id, version, legal_name, fee_plan, updated_at_ms) \
                 SELECT id, 1, '', CAST($2 AS TEXT), CAST($3 AS BIGINT) FROM merchants WHERE id = $1 \
                 ON CONFLICT (merchant_id) DO UPDATE SET version = merchant_terms.version + 1, \
                 fee_plan = excluded.fee_plan, updated_at_ms = excluded.updated_at_ms \
                 WHERE COALESCE(merchant_terms.fee_plan, '') <> excluded.fee_plan",
                plan,
            ),
            Plan::Payouts(plan) => (
                "INSERT INTO merchant_terms (merchant_id, version, legal_name, payout_plan, updated_at_ms) \
                 SELECT id, 1, '', CAST($2 AS TEXT), CAST($3 AS BIGINT) FROM merchants WHERE id = $1 \
                 ON CONFLICT (merchant_id) DO UPDATE SET version = merchant_terms.version + 1, \
                 payout_plan = excluded.payout_plan, updated_at_ms = excluded.updated_at_ms \
                 WHERE COALESCE(merchant_terms.payout_plan, '') <> excluded.payout_plan",
                plan,
            ),
        };
        let statement = Statement {
            text,
            values: vec![merchant.as_str().into(), plan.into(), at.as_i64().into()],
            returning: false,
        };
        let housekeeping = &self.inner.housekeeping;
        housekeeping.run(vec![statement]).await.map(drop)
    }

    /// Sets a merchant's legal name, its time zone, or both; what is none stays as it is.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn set_merchant_details(
        &self,
        merchant: &MerchantId,
        (legal_name, time_zone): (Option<&str>, Option<&str>),
        at: UnixMillis,
    ) -> Result<(), StoreError> {
        let id = merchant.as_str();
        let name = legal_name.map(|name| Statement {
            text: "INSERT INTO merchant_terms (merchant_id, version, legal_name, updated_at_ms) \
                 SELECT id, 1, CAST($2 AS TEXT), CAST($3 AS BIGINT) FROM merchants WHERE id = $1 \
                 ON CONFLICT (merchant_id) DO UPDATE SET version = merchant_terms.version + 1, \
                 legal_name = excluded.legal_name, updated_at_ms = excluded.updated_at_ms \
                 WHERE merchant_terms.legal_name <> excluded.legal_name",
            values: vec![id.into(), name.into(), at.as_i64().into()],
            returning: false,
        });
        let zone = time_zone.map(|zone| Statement {
            text: "UPDATE merchants SET time_zone = $2 WHERE id = $1",
            values: vec![id.into(), zone.into()],
            returning: false,
        });
        let housekeeping = &self.inner.housekeeping;
        let statements = name.into_iter().chain(zone).collect();
        housekeeping.run(statements).await.map(drop)
    }
}

fn terms(row: &AnyRow) -> Result<TermsRecord, StoreError> {
    let columns = Columns::of(row, "merchant_terms", "merchant_id")?;
    Ok(TermsRecord {
        merchant_id: columns.parsed("merchant_id")?,
        version: columns.integer("version")?,
        legal_name: columns.text("legal_name")?.to_owned(),
        fee_plan: columns.optional_text("fee_plan")?,
        payout_plan: columns.optional_text("payout_plan")?,
        account: columns.optional_text("account")?.map(AccountText),
        updated_at: columns.moment("updated_at_ms")?,
    })
}
