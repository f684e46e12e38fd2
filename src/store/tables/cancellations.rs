//! Requests that are taken before they come, so that they are refused when they do.

use iso8583::hex;

use crate::store::Store;
use crate::store::change::RequestClaim;
use crate::store::database::connection::Statement;
use crate::store::database::value::Value;
use crate::store::error::StoreError;

/// Takes a request that has not come before it does: it has no operation then, and never gets one.
const CANCEL_UNSEEN: &str = "INSERT INTO idempotency \
    (merchant_id, method, request_id, operation_id, body_hash) VALUES ($1, $2, $3, '', $4) \
    ON CONFLICT (merchant_id, method, request_id) DO NOTHING";
/// Takes the request that cancels another one, where that one has no operation.
const CANCELLATION: &str = "INSERT INTO idempotency \
    (merchant_id, method, request_id, operation_id, body_hash) \
    SELECT merchant_id, $4, $5, '', $6 FROM idempotency \
    WHERE merchant_id = $1 AND method = $2 AND request_id = $3 AND operation_id = '' \
    ON CONFLICT (merchant_id, method, request_id) DO NOTHING";

impl Store {
    /// Takes the request (`method`, `request_id`) of a merchant before it comes, for good, and with it `cancellation`,
    /// which is about it. Whether it has not come before.
    ///
    /// # Errors
    /// When the database can't be written; it may have taken the request then.
    pub async fn cancel_unseen(
        &self,
        (method, request_id): (&'static str, &str),
        cancellation: &RequestClaim,
    ) -> Result<bool, StoreError> {
        let merchant_id = || cancellation.merchant_id.as_str().into();
        let body_hash = || hex::encode_lower(&cancellation.body_hash).into();
        let statements = vec![
            Statement {
                text: CANCEL_UNSEEN,
                values: vec![
                    merchant_id(),
                    Value::Static(method),
                    request_id.into(),
                    body_hash(),
                ],
                returning: false,
            },
            Statement {
                text: CANCELLATION,
                values: vec![
                    merchant_id(),
                    Value::Static(method),
                    request_id.into(),
                    Value::Static(cancellation.method),
                    cancellation.request_id.as_str().into(),
                    body_hash(),
                ],
                returning: false,
            },
        ];
        self.inner.writer.run(statements, true).await?;
        let taken = self.without_operation(&cancellation.merchant_id, method, request_id);
        Ok(taken.await?.is_some())
    }
}
