//! Everything that is recorded of one payment, and payments by whatever names them.

use sqlx::AssertSqlSafe;

use crate::payment::ids::{CaptureId, MerchantId, OperationId, PaymentId, RefundId};
use crate::payment::moment::UnixMillis;
use crate::payment::operation::OperationState;
use crate::payment::record::{Operation, Payment};
use crate::payment::reference::Rrn;
use crate::payment::state::PaymentState;
use crate::random::HashMap;
use crate::store::Store;
use crate::store::database::value::Value;
use crate::store::error::StoreError;
use crate::store::reads::by_ids::IDS;
use crate::store::reads::explained_items::ExplainedItem;
use crate::store::reads::ledger::KeptJournal;
use crate::store::records::callers::AuditRecord;
use crate::store::records::lists::MAX_PAGE_SIZE;
use crate::store::records::{LateResponse, QuarantinedResponse, RecordedEvent};
use crate::store::tables::audit::audit;
use crate::store::tables::columns::Columns;
use crate::store::tables::events::{EVENT_COLUMNS, event};
use crate::store::tables::idempotency::Answer;
use crate::store::tables::operations::{OPERATION_COLUMNS, operation};
use crate::store::tables::payments::{SELECT_PAYMENTS, payment};
use crate::store::tables::quarantine::quarantined;

/// What names a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PaymentName<'a> {
    /// Its own name.
    Payment(PaymentId),
    /// An operation of it.
    Operation(OperationId),
    /// A capture of it.
    Capture(CaptureId),
    /// A refund of it.
    Refund(RefundId),
    /// DE 37 of one of its operations, which may come again; of one merchant or of all.
    Rrn(Rrn, Option<MerchantId>),
    /// The merchant's reference of the order.
    MerchantReference(MerchantId, &'a str),
    /// A request of the merchant, to one of these RPCs.
    Request(MerchantId, &'a [&'static str], &'a str),
}

/// Everything that is recorded of one payment.
#[derive(Debug, Clone)]
pub struct PaymentRecords {
    /// The payment as it is.
    pub payment: Payment,
    /// Its operations, oldest first.
    pub operations: Vec<Operation>,
    /// The requests that began them, or cancelled one.
    pub requests: Vec<RecordedRequest>,
    /// What happened to it, in the order of the commits.
    pub events: Vec<RecordedEvent>,
    /// Its movements of money, in their order.
    pub journals: Vec<KeptJournal>,
    /// Answers that came too late.
    pub late: Vec<LateResponse>,
    /// Messages that matched nothing and have the RRN of one of its operations.
    pub quarantined: Vec<QuarantinedResponse>,
    /// What operators did with its operations.
    pub audit: Vec<AuditRecord>,
    /// How its captures, refunds and chargebacks are settled.
    pub settled: Vec<ExplainedItem>,
}

/// A request that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedRequest {
    /// The RPC.
    pub method: String,
    /// The merchant's name of it.
    pub request_id: String,
    /// The operation that it began, or that it cancelled.
    pub operation_id: OperationId,
    /// What its merchant was answered; none before that.
    pub told: Option<ToldRecords>,
}

/// Where a payment and its operation stood when their merchant was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToldRecords {
    /// Where the payment stood.
    pub payment: PaymentState,
    /// Where the operation stood.
    pub operation: OperationState,
    /// When the answer was recorded.
    pub at: UnixMillis,
}

impl Store {
    /// The payments that a name may mean, newest first, at most `limit` (1 to [`MAX_PAGE_SIZE`]). A verification lies
    /// with a payment, too.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn payments_named(
        &self,
        name: PaymentName<'_>,
        limit: usize,
    ) -> Result<Vec<Payment>, StoreError> {
        let of = |table: &str, column: &str| {
            format!(
                "payments.id IN (SELECT named.payment_id FROM {table} AS named WHERE named.{column} = $1)"
            )
        };
        let (condition, values): (String, Vec<Value>) = match name {
            PaymentName::Payment(id) => ("payments.id = $1".into(), vec![id.to_string().into()]),
            PaymentName::Operation(id) => (of("operations", "id"), vec![id.to_string().into()]),
            PaymentName::Capture(id) => (of("captures", "id"), vec![id.to_string().into()]),
            PaymentName::Refund(id) => (of("refunds", "id"), vec![id.to_string().into()]),
            PaymentName::Rrn(rrn, None) => (of("operations", "rrn"), vec![rrn.as_str().into()]),
            PaymentName::Rrn(rrn, Some(merchant)) => (
                format!("{} AND merchant_id = $2", of("operations", "rrn")),
                vec![rrn.as_str().into(), merchant.as_str().into()],
            ),
            PaymentName::MerchantReference(merchant, reference) => (
                "merchant_id = $1 AND merchant_reference = $2".into(),
                vec![merchant.as_str().into(), reference.into()],
            ),
            PaymentName::Request(merchant, methods, request_id) => {
                let mut values = vec![merchant.as_str().into(), request_id.into()];
                values.extend(methods.iter().map(|method| Value::Static(method)));
                let places: Vec<String> = (3..=values.len()).map(|n| format!("${n}")).collect();
                let condition = format!(
                    "payments.id IN (SELECT named.payment_id FROM idempotency \
                     JOIN operations AS named ON named.id = idempotency.operation_id \
                     WHERE idempotency.merchant_id = $1 AND request_id = $2 AND method IN ({}))",
                    places.join(", ")
                );
                (condition, values)
            }
        };
        let limit = limit.clamp(1, MAX_PAGE_SIZE);
        let text = format!(
            "{SELECT_PAYMENTS} WHERE {condition} \
             ORDER BY payments.created_at_ms DESC, payments.id DESC LIMIT {limit}"
        );
        let rows = self.read(AssertSqlSafe(text), &values).await?;
        rows.iter().map(payment).collect()
    }

    /// Everything that is recorded of a payment: at most [`MAX_PAGE_SIZE`] events, journals, quarantined messages and
    /// entries of the audit trail. The reads are one after another, so that a payment that moves meanwhile may be told
    /// half before and half after.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn payment_records(&self, payment: Payment) -> Result<PaymentRecords, StoreError> {
        let payment_id = payment.id.to_string();
        let text = format!(
            "SELECT answer, {OPERATION_COLUMNS} FROM operations WHERE payment_id = $1 \
             ORDER BY created_at_ms, id"
        );
        let rows = self
            .read(AssertSqlSafe(text), &[payment_id.as_str().into()])
            .await?;
        let mut operations = Vec::with_capacity(rows.len());
        let mut told: HashMap<OperationId, ToldRecords> = HashMap::default();
        for row in &rows {
            let operation = operation(row)?;
            let answer: Option<Answer<'_>> =
                Columns::of(row, "operations", "id")?.optional_json("answer")?;
            if let Some(answer) = answer {
                let (as_told, operation) = answer.of(payment.clone(), operation.clone());
                let records = ToldRecords {
                    at: as_told.updated_at,
                    payment: as_told.state,
                    operation: operation.state,
                };
                told.insert(operation.id, records);
            }
            operations.push(operation);
        }
        let late_of: Vec<OperationId> = operations.iter().map(|it| it.id).collect();
        let ids: Vec<String> = operations.iter().map(|it| it.id.to_string()).collect();
        let mut rrns: Vec<String> = operations.iter().map(|it| it.rrn.to_string()).collect();
        rrns.sort_unstable();
        rrns.dedup();

        let text = format!(
            "SELECT method, request_id, operation_id FROM idempotency WHERE operation_id {IDS}"
        );
        let mut requests = Vec::new();
        for row in &self.of_ids(&text, ids.clone()).await? {
            let columns = Columns::of(row, "idempotency", "request_id")?;
            let operation_id = columns.parsed("operation_id")?;
            requests.push(RecordedRequest {
                method: columns.text("method")?.to_owned(),
                request_id: columns.text("request_id")?.to_owned(),
                operation_id,
                told: told.get(&operation_id).cloned(),
            });
        }
        let text = format!("SELECT * FROM quarantine WHERE rrn {IDS} LIMIT {MAX_PAGE_SIZE}");
        let rows = self.of_ids(&text, rrns).await?;
        let quarantined: Result<Vec<_>, _> = rows.iter().map(quarantined).collect();
        let mut quarantined = quarantined?;
        // Numbers come again at another host, and after some time.
        quarantined.retain(|message| {
            operations.iter().any(|operation| {
                Some(operation.rrn) == message.rrn
                    && operation.host_id == message.host_id
                    && operation.created_at <= message.received_at
            })
        });
        let text = format!("SELECT * FROM audit WHERE target {IDS} LIMIT {MAX_PAGE_SIZE}");
        let rows = self.of_ids(&text, ids).await?;
        let audit: Result<Vec<_>, _> = rows.iter().map(audit).collect();
        Ok(PaymentRecords {
            events: self.events_of_payment(payment.id).await?,
            journals: self
                .journals_after(Some(payment.id), 0, MAX_PAGE_SIZE)
                .await?,
            settled: self.explained_items(payment.id).await?,
            payment,
            operations,
            requests,
            late: self.late_responses_of(&late_of).await?,
            quarantined,
            audit: audit?,
        })
    }

    async fn events_of_payment(&self, id: PaymentId) -> Result<Vec<RecordedEvent>, StoreError> {
        let text = format!(
            "SELECT {EVENT_COLUMNS} FROM events WHERE payment_id = $1 \
             ORDER BY position LIMIT {MAX_PAGE_SIZE}"
        );
        let rows = self
            .read(AssertSqlSafe(text), &[id.to_string().into()])
            .await?;
        rows.iter().map(event).collect()
    }
}
