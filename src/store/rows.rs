//! Rows into records. Whatever a row holds that no version of this program wrote is an error that
//! names table, column and row.

use std::borrow::Cow;
use std::fmt::Display;
use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::error::StoreError;
use crate::payment::moment::UnixMillis;
use crate::payment::money::Money;
use crate::payment::operation::{OperationKind, OperationState};
use crate::payment::record::{CardSummary, Operation, Payment};
use crate::payment::reference::Stan;
use crate::payment::state::PaymentState;

/// All columns of a payment, as [`payment`] reads them.
pub(super) const PAYMENT_COLUMNS: &str = "payments.id, payments.merchant_id, \
    payments.merchant_reference, payments.customer_reference, payments.amount_minor, \
    payments.currency, payments.authorized_minor, payments.captured_minor, \
    payments.refunded_minor, payments.disputed_minor, payments.state, payments.host_id, \
    payments.stan, payments.rrn, payments.business_date, payments.created_at_ms, \
    payments.updated_at_ms, payments.version, payments.state_detail, payments.detail";

/// All columns of an operation, as [`operation`] reads them.
pub(super) const OPERATION_COLUMNS: &str = "operations.id, operations.payment_id, \
    operations.kind, operations.state, operations.host_id, operations.amount_minor, \
    operations.currency, operations.stan, operations.rrn, operations.business_date, \
    operations.transmitted_at_ms, operations.deadline_ms, operations.node_id, \
    operations.bank_us, operations.created_at_ms, operations.updated_at_ms, \
    operations.version, operations.state_detail";

/// What `payments.detail` holds: what nobody searches for.
#[derive(Serialize, Deserialize)]
struct PaymentDetail<'p> {
    card: Cow<'p, CardSummary>,
    description: Option<Cow<'p, str>>,
    terminal_id: Cow<'p, str>,
}

/// `payments.detail` of a payment.
pub(super) fn payment_detail(payment: &Payment) -> impl Serialize {
    PaymentDetail {
        card: Cow::Borrowed(&payment.card),
        description: payment.description.as_deref().map(Cow::Borrowed),
        terminal_id: Cow::Borrowed(&payment.terminal_id),
    }
}

/// What `operations.answer` holds: of the payment as the merchant was told it, what later changes
/// change. Everything else stands in the payment's row for good.
#[derive(Serialize, Deserialize)]
struct Told<'p> {
    authorized_minor: i64,
    captured_minor: i64,
    refunded_minor: i64,
    disputed_minor: i64,
    state: Cow<'p, PaymentState>,
    updated_at: UnixMillis,
    version: i64,
}

/// `operations.answer` for a merchant that is told `payment`.
pub(super) fn told(payment: &Payment) -> impl Serialize {
    Told {
        authorized_minor: payment.authorized_minor,
        captured_minor: payment.captured_minor,
        refunded_minor: payment.refunded_minor,
        disputed_minor: payment.disputed_minor,
        state: Cow::Borrowed(&payment.state),
        updated_at: payment.updated_at,
        version: payment.version,
    }
}

/// The payment as the merchant was told it, from a row with [`PAYMENT_COLUMNS`] and the `answer` of
/// an operation; `None` when there is no answer yet.
pub(super) fn answered_payment(
    row: &AnyRow,
    operation: &Columns<'_>,
) -> Result<Option<Payment>, StoreError> {
    if operation.optional_text("answer")?.is_none() {
        return Ok(None);
    }
    let told: Told<'_> = operation.json("answer")?;
    Ok(Some(Payment {
        authorized_minor: told.authorized_minor,
        captured_minor: told.captured_minor,
        refunded_minor: told.refunded_minor,
        disputed_minor: told.disputed_minor,
        state: told.state.into_owned(),
        updated_at: told.updated_at,
        version: told.version,
        ..payment(row)?
    }))
}

/// The name that serde gives a variant without data.
pub(super) fn variant_name(value: &impl Serialize) -> Result<String, StoreError> {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(name)) => Ok(name),
        other => Err(StoreError::Invalid {
            expected: "a variant without data",
            got: format!("{other:?}"),
        }),
    }
}

/// A row on its way into a record.
pub(super) struct Columns<'r> {
    row: &'r AnyRow,
    table: &'static str,
    key: String,
}

impl<'r> Columns<'r> {
    /// A row of `table`, named in errors by the column `key`.
    pub(super) fn of(
        row: &'r AnyRow,
        table: &'static str,
        key: &'static str,
    ) -> Result<Self, StoreError> {
        let mut columns = Self {
            row,
            table,
            key: String::new(),
        };
        columns.key = columns.text(key)?.to_owned();
        Ok(columns)
    }

    pub(super) fn corrupt(
        &self,
        column: &'static str,
        got: &str,
        reason: impl Display,
    ) -> StoreError {
        StoreError::Corrupt {
            table: self.table,
            column,
            row: self.key.clone(),
            got: got.chars().take(60).collect(),
            reason: reason.to_string(),
        }
    }

    fn get<T>(&self, column: &'static str) -> Result<T, StoreError>
    where
        T: sqlx::Decode<'r, sqlx::Any> + sqlx::Type<sqlx::Any>,
    {
        self.row
            .try_get(column)
            .map_err(|error| self.corrupt(column, "", error))
    }

    pub(super) fn text(&self, column: &'static str) -> Result<&'r str, StoreError> {
        self.get(column)
    }

    pub(super) fn optional_text(&self, column: &'static str) -> Result<Option<String>, StoreError> {
        self.get(column)
    }

    pub(super) fn integer(&self, column: &'static str) -> Result<i64, StoreError> {
        self.get(column)
    }

    pub(super) fn optional_integer(&self, column: &'static str) -> Result<Option<i64>, StoreError> {
        self.get(column)
    }

    pub(super) fn moment(&self, column: &'static str) -> Result<UnixMillis, StoreError> {
        self.integer(column).map(UnixMillis::new)
    }

    /// 0 or 1.
    pub(super) fn flag(&self, column: &'static str) -> Result<bool, StoreError> {
        match self.integer(column)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.corrupt(column, &other.to_string(), "expected 0 or 1")),
        }
    }

    /// A text that the domain reads.
    pub(super) fn parsed<T>(&self, column: &'static str) -> Result<T, StoreError>
    where
        T: FromStr,
        T::Err: Display,
    {
        let text = self.text(column)?;
        text.parse()
            .map_err(|error| self.corrupt(column, text, error))
    }

    /// A text that the domain reads, or none.
    pub(super) fn optional_parsed<T>(&self, column: &'static str) -> Result<Option<T>, StoreError>
    where
        T: FromStr,
        T::Err: Display,
    {
        match self.optional_text(column)? {
            Some(_) => self.parsed(column).map(Some),
            None => Ok(None),
        }
    }

    /// A number that the domain reads.
    pub(super) fn number<T>(&self, column: &'static str) -> Result<T, StoreError>
    where
        T: TryFrom<i64>,
        T::Error: Display,
    {
        let number = self.integer(column)?;
        T::try_from(number).map_err(|error| self.corrupt(column, &number.to_string(), error))
    }

    pub(super) fn stan(&self, column: &'static str) -> Result<Stan, StoreError> {
        let number: u32 = self.number(column)?;
        Stan::try_from(number).map_err(|error| self.corrupt(column, &number.to_string(), error))
    }

    /// A text of JSON.
    pub(super) fn json<T: DeserializeOwned>(&self, column: &'static str) -> Result<T, StoreError> {
        let text = self.text(column)?;
        serde_json::from_str(text).map_err(|error| self.corrupt(column, text, error))
    }

    /// The name of a variant without data.
    pub(super) fn variant<T: DeserializeOwned>(
        &self,
        column: &'static str,
    ) -> Result<T, StoreError> {
        let text = self.text(column)?;
        serde_json::from_value(serde_json::Value::String(text.to_owned()))
            .map_err(|error| self.corrupt(column, text, error))
    }

    /// The column that is searched must name the state that the other one owns.
    fn same_state(&self, detailed: &str) -> Result<(), StoreError> {
        let state = self.text("state")?;
        if state == detailed {
            return Ok(());
        }
        let reason = format!("the column state_detail says {detailed}");
        Err(self.corrupt("state", state, reason))
    }

    fn money(&self) -> Result<Money, StoreError> {
        let amount_minor = self.integer("amount_minor")?;
        Money::new(amount_minor, self.parsed("currency")?)
            .map_err(|error| self.corrupt("amount_minor", &amount_minor.to_string(), error))
    }
}

/// A payment from a row with [`PAYMENT_COLUMNS`].
pub(super) fn payment(row: &AnyRow) -> Result<Payment, StoreError> {
    let columns = Columns::of(row, "payments", "id")?;
    let detail: PaymentDetail<'_> = columns.json("detail")?;
    let state: PaymentState = columns.json("state_detail")?;
    columns.same_state(state.name())?;
    Ok(Payment {
        id: columns.parsed("id")?,
        merchant_id: columns.parsed("merchant_id")?,
        merchant_reference: columns.text("merchant_reference")?.to_owned(),
        customer_reference: columns.optional_text("customer_reference")?,
        amount: columns.money()?,
        authorized_minor: columns.integer("authorized_minor")?,
        captured_minor: columns.integer("captured_minor")?,
        refunded_minor: columns.integer("refunded_minor")?,
        disputed_minor: columns.integer("disputed_minor")?,
        state,
        description: detail.description.map(Cow::into_owned),
        terminal_id: detail.terminal_id.into_owned(),
        card: detail.card.into_owned(),
        host_id: columns.parsed("host_id")?,
        stan: columns.stan("stan")?,
        rrn: columns.parsed("rrn")?,
        business_date: columns.parsed("business_date")?,
        created_at: columns.moment("created_at_ms")?,
        updated_at: columns.moment("updated_at_ms")?,
        version: columns.integer("version")?,
    })
}

/// An operation from a row with [`OPERATION_COLUMNS`].
pub(super) fn operation(row: &AnyRow) -> Result<Operation, StoreError> {
    let columns = Columns::of(row, "operations", "id")?;
    let state: OperationState = columns.json("state_detail")?;
    columns.same_state(state.name())?;
    Ok(Operation {
        id: columns.parsed("id")?,
        payment_id: columns.parsed("payment_id")?,
        kind: columns.variant::<OperationKind>("kind")?,
        state,
        host_id: columns.parsed("host_id")?,
        amount: columns.money()?,
        stan: columns.stan("stan")?,
        rrn: columns.parsed("rrn")?,
        transmitted_at: columns.moment("transmitted_at_ms")?,
        business_date: columns.parsed("business_date")?,
        deadline: columns.moment("deadline_ms")?,
        node_id: columns.parsed("node_id")?,
        bank_us: columns.optional_integer("bank_us")?,
        created_at: columns.moment("created_at_ms")?,
        updated_at: columns.moment("updated_at_ms")?,
        version: columns.integer("version")?,
    })
}

/// The first column of a row, as a number.
pub(super) fn first_integer(
    row: &AnyRow,
    table: &'static str,
    column: &'static str,
    key: &str,
) -> Result<i64, StoreError> {
    row.try_get(0).map_err(|error| StoreError::Corrupt {
        table,
        column,
        row: key.to_owned(),
        got: String::new(),
        reason: error.to_string(),
    })
}
