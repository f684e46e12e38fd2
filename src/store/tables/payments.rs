//! Payments: one row for each.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sqlx::any::AnyRow;

use super::columns::Columns;
use super::operations::OPERATION_COLUMNS;
use super::text_buffer::{Names, TextBuffer};
use crate::payment::adjustment::Adjustment;
use crate::payment::amounts::Amounts;
use crate::payment::custody::{CustodyEnd, CustodyEntry};
use crate::payment::moment::UnixMillis;
use crate::payment::record::{Authorization, CardBrand, CardSummary, Payment};
use crate::payment::state::PaymentState;
use crate::store::change::NewCard;
use crate::store::database::many_rows::ManyRows;
use crate::store::database::value::Value;
use crate::store::error::StoreError;

/// Reads payments, each with what it shows of the operation that authorizes it, as [`payment`] takes them. A condition
/// on `payments` follows.
pub(in crate::store) const SELECT_PAYMENTS: &str = "SELECT payments.id AS payments_id, payments.merchant_id, \
    payments.merchant_reference, payments.customer_reference, payments.amount_minor AS payments_amount_minor, \
    payments.currency, payments.authorized_minor, payments.authorized_pending_minor, \
    payments.captured_minor, payments.captured_pending_minor, payments.refunded_minor, \
    payments.refunded_pending_minor, payments.disputed_minor, payments.released_minor, \
    payments.state AS payments_state, payments.state_detail AS payments_state_detail, \
    payments.created_at_ms AS payments_created_at_ms, payments.updated_at_ms AS payments_updated_at_ms, \
    payments.version AS payments_version, payments.detail, payments.fingerprint, payments.operation_id, \
    operations.kind, operations.host_id, operations.mti, operations.stan, \
    operations.rrn, operations.transmitted_at_ms, operations.terminal_id \
    FROM payments JOIN operations ON operations.id = payments.operation_id";

/// As [`SELECT_PAYMENTS`], and all of the operation that authorizes each, as [`operation`](super::operations::operation)
/// takes it, and its card in custody, as [`custody_entry`] does.
pub(in crate::store) fn select_with_authorizations() -> String {
    let more = format!("SELECT {OPERATION_COLUMNS}, payments.custody, payments.custody_key,");
    SELECT_PAYMENTS.replacen("SELECT", &more, 1)
}

/// A condition on what [`SELECT_PAYMENTS`] reads: a verification has a row in `payments`, and is no payment.
pub(in crate::store) const IS_PAYMENT: &str = "operations.kind <> 'VERIFICATION'";

/// A new payment has no amounts yet, and version 1.
pub(in crate::store) const NEW_PAYMENTS: ManyRows = ManyRows {
    name: "new payments",
    before: "INSERT /*SQLITE OR FAIL */INTO payments \
        (id, merchant_id, merchant_reference, customer_reference, operation_id, amount_minor, \
        currency, state, state_detail, created_at_ms, updated_at_ms, detail, fingerprint, velocity, \
        custody, custody_key, authorized_minor, \
        authorized_pending_minor, captured_minor, captured_pending_minor, refunded_minor, \
        refunded_pending_minor, disputed_minor, version) VALUES ",
    row: "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, 0, 0, 0, 0, 1)",
    after: "",
    returning: "",
};

/// What becomes of the card: it ends with its payment, but not while a message of it is owed. What has ended an
/// operation is written before this.
macro_rules! custody_after {
    () => {
        "custody = CASE WHEN changed.custody_until = 0 AND NOT EXISTS (SELECT 1 FROM operations \
            WHERE operations.payment_id = payments.id AND operations.open = 2) THEN NULL ELSE custody END, \
        custody_until_ms = COALESCE(changed.custody_until, custody_until_ms), "
    };
}

/// An adjusted payment that nothing else has changed: its next state is known. The casts are for
/// PostgreSQL, which can't infer types through the list of values.
pub(in crate::store) const ADJUSTED_PAYMENTS: ManyRows = ManyRows {
    name: "adjusted payments",
    before: "WITH changed (id, version, state, state_detail, updated_at_ms, expires_at, custody_until, authorized, \
        authorized_pending, captured, captured_pending, refunded, refunded_pending, disputed, released) \
        AS (VALUES ",
    row: "(CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS TEXT), CAST(? AS TEXT), \
        CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT), \
        CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT), \
        CAST(? AS BIGINT), CAST(? AS BIGINT))",
    after: concat!(
        ") UPDATE /*SQLITE OR FAIL */payments SET version = changed.version, \
        state = changed.state, state_detail = changed.state_detail, \
        updated_at_ms = changed.updated_at_ms, expires_at_ms = changed.expires_at, ",
        custody_after!(),
        "authorized_minor = authorized_minor + changed.authorized, \
        authorized_pending_minor = authorized_pending_minor + changed.authorized_pending, \
        captured_minor = captured_minor + changed.captured, \
        captured_pending_minor = captured_pending_minor + changed.captured_pending, \
        refunded_minor = refunded_minor + changed.refunded, \
        refunded_pending_minor = refunded_pending_minor + changed.refunded_pending, \
        disputed_minor = disputed_minor + changed.disputed, \
        released_minor = released_minor + changed.released \
        FROM changed WHERE payments.id = changed.id AND payments.version = changed.version - 1"
    ),
    returning: "",
};

/// As [`ADJUSTED_PAYMENTS`], where nothing but the authorized amount changes: every authorization ends so,
/// and half the values are bound.
pub(in crate::store) const AUTHORIZED_PAYMENTS: ManyRows = ManyRows {
    name: "authorized payments",
    before: "WITH changed (id, version, state, state_detail, updated_at_ms, expires_at, custody_until, authorized) \
        AS (VALUES ",
    row: "(CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS TEXT), CAST(? AS TEXT), \
        CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT))",
    after: concat!(
        ") UPDATE /*SQLITE OR FAIL */payments SET version = changed.version, \
        state = changed.state, state_detail = changed.state_detail, \
        updated_at_ms = changed.updated_at_ms, expires_at_ms = changed.expires_at, ",
        custody_after!(),
        "authorized_minor = authorized_minor + changed.authorized \
        FROM changed WHERE payments.id = changed.id AND payments.version = changed.version - 1"
    ),
    returning: "",
};

/// An adjusted payment that something else may have changed: only where its state is one of `allowed`
/// (names between bars) and its limits hold. It returns what the next state follows from, and
/// [`PAYMENT_STATES`] writes that.
pub(in crate::store) const GUARDED_PAYMENTS: ManyRows = ManyRows {
    name: "guarded payments",
    before: "WITH changed (id, allowed, updated_at_ms, custody_until, authorized, authorized_pending, captured, \
        captured_pending, refunded, refunded_pending, disputed, released) AS (VALUES ",
    row: "(CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT), \
        CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT), \
        CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT))",
    after: concat!(
        ") UPDATE payments SET version = version + 1, updated_at_ms = changed.updated_at_ms, ",
        custody_after!(),
        "authorized_minor = authorized_minor + changed.authorized, \
        authorized_pending_minor = authorized_pending_minor + changed.authorized_pending, \
        captured_minor = captured_minor + changed.captured, \
        captured_pending_minor = captured_pending_minor + changed.captured_pending, \
        refunded_minor = refunded_minor + changed.refunded, \
        refunded_pending_minor = refunded_pending_minor + changed.refunded_pending, \
        disputed_minor = disputed_minor + changed.disputed, \
        released_minor = released_minor + changed.released \
        FROM changed WHERE payments.id = changed.id \
        AND changed.allowed LIKE '%|' || payments.state || '|%' \
        AND authorized_minor + changed.authorized <= 999999999999 \
        AND authorized_pending_minor + changed.authorized_pending >= 0 \
        AND captured_pending_minor + changed.captured_pending >= 0 \
        AND refunded_pending_minor + changed.refunded_pending >= 0 \
        AND disputed_minor + changed.disputed >= 0 \
        AND released_minor + changed.released >= 0 \
        AND captured_minor + changed.captured + released_minor + changed.released \
            <= authorized_minor + changed.authorized \
            - authorized_pending_minor - changed.authorized_pending \
        AND captured_pending_minor + changed.captured_pending <= captured_minor + changed.captured \
        AND refunded_minor + changed.refunded <= captured_minor + changed.captured \
            - captured_pending_minor - changed.captured_pending \
        AND refunded_pending_minor + changed.refunded_pending <= refunded_minor + changed.refunded"
    ),
    returning: " RETURNING payments.id, payments.state_detail, payments.version, \
        payments.authorized_minor, payments.authorized_pending_minor, payments.captured_minor, \
        payments.captured_pending_minor, payments.refunded_minor, payments.refunded_pending_minor, \
        payments.disputed_minor, payments.released_minor",
};

/// The state that follows on a guarded change, in the same transaction.
pub(in crate::store) const PAYMENT_STATES: ManyRows = ManyRows {
    name: "payment states",
    before: "WITH changed (id, state, state_detail, expires_at) AS (VALUES ",
    row: "(CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS BIGINT))",
    after: ") UPDATE payments SET state = changed.state, state_detail = changed.state_detail, \
        expires_at_ms = changed.expires_at \
        FROM changed WHERE payments.id = changed.id",
    returning: "",
};

/// The column `detail`: the values that are never searched.
#[derive(Serialize, Deserialize)]
struct PaymentDetail<'p> {
    card: Cow<'p, CardSummary>,
    description: Option<Cow<'p, str>>,
}

/// A row of [`NEW_PAYMENTS`].
pub(in crate::store) fn new_payment_row(
    texts: &mut TextBuffer,
    payment: &Payment,
    card: Option<&NewCard>,
    names: &Names,
) -> Result<Vec<Value>, StoreError> {
    let entry = card.and_then(|card| card.entry.as_ref());
    let detail = PaymentDetail {
        card: Cow::Borrowed(&payment.card),
        description: payment.description.as_deref().map(Cow::Borrowed),
    };
    Ok(vec![
        (&names.payment_id).into(),
        texts.text(payment.merchant_id).into(),
        payment.merchant_reference.as_str().into(),
        payment.customer_reference.clone().into(),
        // A new payment is recorded with the operation that authorizes it.
        (&names.operation_id).into(),
        payment.amount.amount_minor().into(),
        Value::Static(payment.amount.currency().code()),
        Value::Static(payment.state.name()),
        texts.json(&payment.state)?.into(),
        payment.created_at.as_i64().into(),
        payment.updated_at.as_i64().into(),
        texts.json(&detail)?.into(),
        Value::OptionalText(payment.fingerprint.as_deref().map(Arc::from)),
        Value::OptionalText(card.map(|card| Arc::from(&*card.velocity))),
        Value::OptionalText(entry.map(|entry| Arc::from(&*entry.sealed))),
        entry.map(|entry| entry.key_version).into(),
    ])
}

/// A row of [`ADJUSTED_PAYMENTS`], or of [`AUTHORIZED_PAYMENTS`] where that is enough: `expected` is the
/// payment after `adjustment`, `state` its state as JSON.
pub(in crate::store) fn adjusted_payment_row(
    expected: &Payment,
    state: &Arc<str>,
    adjustment: &Adjustment,
    names: &Names,
) -> Vec<Value> {
    let mut row = vec![
        (&names.payment_id).into(),
        expected.version.into(),
        Value::Static(expected.state.name()),
        state.into(),
        adjustment.at.as_i64().into(),
        hold_end(&expected.state),
        custody_until(adjustment.custody),
    ];
    if adjustment.only_authorizes() {
        row.push(adjustment.change.authorized_minor.into());
    } else {
        row.extend(amounts_row(&adjustment.change));
    }
    row
}

/// A row of [`GUARDED_PAYMENTS`].
pub(in crate::store) fn guarded_payment_row(
    payment_id: &Arc<str>,
    adjustment: &Adjustment,
) -> Vec<Value> {
    let allowed = adjustment.allowed_states().join("|");
    let mut row = vec![
        payment_id.into(),
        format!("|{allowed}|").into(),
        adjustment.at.as_i64().into(),
        custody_until(adjustment.custody),
    ];
    row.extend(amounts_row(&adjustment.change));
    row
}

fn hold_end(state: &PaymentState) -> Value {
    state.hold_ends_at().map(UnixMillis::as_i64).into()
}

/// NULL changes nothing, and 0 removes the sealed card: at once, or once no message of the payment is owed any more.
fn custody_until(end: CustodyEnd) -> Value {
    match end {
        CustodyEnd::Unchanged => Value::OptionalInteger(None),
        CustodyEnd::Now => Value::Integer(0),
        CustodyEnd::At(at) => at.as_i64().into(),
    }
}

/// A row of [`PAYMENT_STATES`].
pub(in crate::store) fn payment_state_row(
    payment_id: &Arc<str>,
    state: &PaymentState,
) -> Result<Vec<Value>, StoreError> {
    Ok(vec![
        payment_id.into(),
        Value::Static(state.name()),
        TextBuffer::new().json(state)?.into(),
        hold_end(state),
    ])
}

fn amounts_row(amounts: &Amounts) -> [Value; 8] {
    [
        amounts.authorized_minor,
        amounts.authorized_pending_minor,
        amounts.captured_minor,
        amounts.captured_pending_minor,
        amounts.refunded_minor,
        amounts.refunded_pending_minor,
        amounts.disputed_minor,
        amounts.released_minor,
    ]
    .map(Value::from)
}

/// What a guarded change left of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store) struct MovedPayment {
    pub(in crate::store) amounts: Amounts,
    pub(in crate::store) state: PaymentState,
    pub(in crate::store) version: i64,
}

/// A row that [`GUARDED_PAYMENTS`] returned: its key, and the payment with the state that it had before.
pub(in crate::store) fn moved_payment(
    row: &AnyRow,
) -> Result<(Arc<str>, MovedPayment), StoreError> {
    let columns = Columns::of(row, "payments", "id")?;
    let moved = MovedPayment {
        amounts: amounts(&columns)?,
        state: columns.json("state_detail")?,
        version: columns.integer("version")?,
    };
    Ok((columns.text("id")?.into(), moved))
}

fn amounts(columns: &Columns<'_>) -> Result<Amounts, StoreError> {
    Ok(Amounts {
        authorized_minor: columns.integer("authorized_minor")?,
        authorized_pending_minor: columns.integer("authorized_pending_minor")?,
        captured_minor: columns.integer("captured_minor")?,
        captured_pending_minor: columns.integer("captured_pending_minor")?,
        refunded_minor: columns.integer("refunded_minor")?,
        refunded_pending_minor: columns.integer("refunded_pending_minor")?,
        disputed_minor: columns.integer("disputed_minor")?,
        released_minor: columns.integer("released_minor")?,
    })
}

/// The brand of a payment's card, from a row with the column `detail`.
pub(in crate::store) fn card_brand(columns: &Columns<'_>) -> Result<CardBrand, StoreError> {
    let detail: PaymentDetail<'_> = columns.json("detail")?;
    Ok(detail.card.brand)
}

/// A payment from a row of [`SELECT_PAYMENTS`].
pub(in crate::store) fn payment(row: &AnyRow) -> Result<Payment, StoreError> {
    let columns = Columns::of(row, "payments", "payments_id")?;
    let detail: PaymentDetail<'_> = columns.json("detail")?;
    let state: PaymentState = columns.json("payments_state_detail")?;
    columns.same_state("payments_state", state.name())?;
    let (stan, rrn) = columns.numbers("operation_id")?;
    Ok(Payment {
        id: columns.parsed("payments_id")?,
        merchant_id: columns.parsed("merchant_id")?,
        merchant_reference: columns.text("merchant_reference")?.to_owned(),
        customer_reference: columns.optional_text("customer_reference")?,
        amount: columns.minor("payments_amount_minor", columns.parsed("currency")?)?,
        amounts: amounts(&columns)?,
        state,
        description: detail.description.map(Cow::into_owned),
        card: detail.card.into_owned(),
        fingerprint: columns.optional_text("fingerprint")?,
        authorization: Authorization {
            operation_id: columns.parsed("operation_id")?,
            kind: columns.variant("kind")?,
            host_id: columns.parsed("host_id")?,
            mti: columns.parsed("mti")?,
            stan,
            rrn,
            transmitted_at: columns.moment("transmitted_at_ms")?,
            terminal_id: columns.text("terminal_id")?.to_owned(),
        },
        created_at: columns.moment("payments_created_at_ms")?,
        updated_at: columns.moment("payments_updated_at_ms")?,
        version: columns.integer("payments_version")?,
    })
}

/// The card in custody, from a row of [`select_with_authorizations`].
pub(in crate::store) fn custody_entry(row: &AnyRow) -> Result<Option<CustodyEntry>, StoreError> {
    let columns = Columns::of(row, "payments", "payments_id")?;
    let Some(sealed) = columns.optional_text("custody")? else {
        return Ok(None);
    };
    Ok(Some(CustodyEntry {
        key_version: columns.integer("custody_key")?,
        sealed,
    }))
}
