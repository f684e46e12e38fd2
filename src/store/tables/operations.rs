//! Operations: one row for each exchange with a host.

use std::sync::Arc;

use sqlx::any::AnyRow;

use super::columns::Columns;
use super::text_buffer::TextBuffer;
use crate::payment::moment::UnixMillis;
use crate::payment::operation::{Open, OperationState};
use crate::payment::operation_kind::OperationKind;
use crate::payment::record::{Attempts, Element, Operation};
use crate::payment::reference::Rrn;
use crate::store::database::many_rows::ManyRows;
use crate::store::database::value::Value;
use crate::store::error::StoreError;

/// All columns of an operation, as [`operation`] reads them.
pub(in crate::store) const OPERATION_COLUMNS: &str = "operations.id, operations.payment_id, \
    operations.kind, operations.state, operations.original_id, operations.reason, operations.subject_id, \
    operations.host_id, \
    operations.amount_minor, operations.currency, operations.accepts_partial, operations.releases_minor, operations.mti, operations.stan, operations.rrn, \
    operations.number_date, operations.transmitted_at_ms, \
    operations.terminal_id, operations.deadline_ms, operations.node_id, operations.bank_us, \
    operations.attempts, operations.first_sent_ms, operations.last_sent_ms, \
    operations.next_attempt_ms, operations.sent, operations.kept, operations.created_at_ms, operations.updated_at_ms, \
    operations.version, operations.state_detail";

/// A new operation has version 1. It has its answer where nobody waits for its end.
pub(in crate::store) const NEW_OPERATIONS: ManyRows = ManyRows {
    name: "new operations",
    before: "INSERT INTO operations \
        (id, payment_id, kind, state, state_detail, open, original_id, reason, subject_id, host_id, amount_minor, \
        currency, accepts_partial, releases_minor, mti, stan, rrn, number_date, transmitted_at_ms, terminal_id, \
        deadline_ms, node_id, sent, next_attempt_ms, created_at_ms, updated_at_ms, answer, attempts, version) VALUES ",
    row: "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 1)",
    after: "",
    returning: "",
};

/// An operation that goes on. Its version is the fence: of two steps from one version the first is written.
/// The casts are for PostgreSQL, which can't infer types through the list of values.
pub(in crate::store) const STEPS: ManyRows = ManyRows {
    name: "steps",
    before: "WITH changed (id, version, state, state_detail, open, bank_us, kept, updated_at_ms, \
        answer) AS (VALUES ",
    row: "(CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS TEXT), CAST(? AS TEXT), \
        CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS TEXT))",
    after: ") UPDATE /*SQLITE OR FAIL */operations SET version = changed.version, \
        state = changed.state, state_detail = changed.state_detail, open = changed.open, \
        bank_us = changed.bank_us, kept = changed.kept, updated_at_ms = changed.updated_at_ms, \
        answer = COALESCE(changed.answer, operations.answer) FROM changed \
        WHERE operations.id = changed.id AND operations.version = changed.version - 1",
    returning: " RETURNING operations.id",
};

/// An operation that is repeated until its host acknowledges it, and goes on. Its version is the fence: a node
/// that takes it from another changes the version too.
pub(in crate::store) const OWED_STEPS: ManyRows = ManyRows {
    name: "owed steps",
    before: "WITH changed (id, version, state, state_detail, open, bank_us, node_id, attempts, \
        first_sent_ms, last_sent_ms, next_attempt_ms, updated_at_ms) AS (VALUES ",
    row: "(CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS TEXT), CAST(? AS TEXT), \
        CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS TEXT), CAST(? AS BIGINT), \
        CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT))",
    after: ") UPDATE /*SQLITE OR FAIL */operations SET version = changed.version, \
        state = changed.state, state_detail = changed.state_detail, open = changed.open, \
        bank_us = changed.bank_us, node_id = changed.node_id, attempts = changed.attempts, \
        first_sent_ms = changed.first_sent_ms, last_sent_ms = changed.last_sent_ms, \
        next_attempt_ms = changed.next_attempt_ms, updated_at_ms = changed.updated_at_ms \
        FROM changed \
        WHERE operations.id = changed.id AND operations.version = changed.version - 1",
    returning: " RETURNING operations.id",
};

/// Answers that are not as expected, because something else had changed the payment too.
pub(in crate::store) const ANSWERS: ManyRows = ManyRows {
    name: "answers",
    before: "WITH changed (id, answer) AS (VALUES ",
    row: "(CAST(? AS TEXT), CAST(? AS TEXT))",
    after: ") UPDATE operations SET answer = changed.answer FROM changed \
        WHERE operations.id = changed.id",
    returning: "",
};

/// A row of [`NEW_OPERATIONS`].
pub(in crate::store) fn new_operation_row(
    texts: &mut TextBuffer,
    operation: &Operation,
    operation_id: &Arc<str>,
    payment_id: &Arc<str>,
    answer: Option<Arc<str>>,
) -> Result<Vec<Value>, StoreError> {
    let optional = |text: Option<Arc<str>>| Value::OptionalText(text);
    Ok(vec![
        operation_id.into(),
        payment_id.into(),
        Value::Static(operation.kind.name()),
        Value::Static(operation.state.name()),
        texts.json(&operation.state)?.into(),
        open(operation).into(),
        optional(operation.original_id.map(|id| texts.text(id))),
        operation
            .reason
            .map_or(Value::OptionalText(None), |reason| {
                Value::Static(reason.name())
            }),
        optional(operation.subject_id.map(|id| texts.text(id))),
        texts.text(operation.host_id).into(),
        operation.amount.amount_minor().into(),
        Value::Static(operation.amount.currency().code()),
        i64::from(operation.accepts_partial).into(),
        operation.releases_minor.into(),
        operation.mti.as_str().into(),
        i64::from(operation.stan.get()).into(),
        match operation.rrn {
            // The index of the numbers of a host knows no two of one.
            Rrn::NONE => operation_id.into(),
            ref rrn => rrn.as_str().into(),
        },
        texts.text(operation.number_date).into(),
        operation.transmitted_at.as_i64().into(),
        operation.terminal_id.as_str().into(),
        operation.deadline.as_i64().into(),
        texts.text(operation.node_id).into(),
        elements(texts, &operation.sent)?,
        operation.attempts.next_at.map(UnixMillis::as_i64).into(),
        operation.created_at.as_i64().into(),
        operation.updated_at.as_i64().into(),
        optional(answer),
    ])
}

/// A row of [`STEPS`].
pub(in crate::store) fn step_row(
    texts: &mut TextBuffer,
    operation: &Operation,
    operation_id: &Arc<str>,
    answer: Option<Arc<str>>,
) -> Result<Vec<Value>, StoreError> {
    Ok(vec![
        operation_id.into(),
        operation.version.into(),
        Value::Static(operation.state.name()),
        texts.json(&operation.state)?.into(),
        open(operation).into(),
        operation.bank_us.into(),
        elements(texts, &operation.kept)?,
        operation.updated_at.as_i64().into(),
        Value::OptionalText(answer),
    ])
}

/// A row of [`OWED_STEPS`].
pub(in crate::store) fn owed_step_row(
    texts: &mut TextBuffer,
    operation: &Operation,
    operation_id: &Arc<str>,
) -> Result<Vec<Value>, StoreError> {
    let attempts = operation.attempts;
    let moment = |at: Option<UnixMillis>| at.map(UnixMillis::as_i64).into();
    Ok(vec![
        operation_id.into(),
        operation.version.into(),
        Value::Static(operation.state.name()),
        texts.json(&operation.state)?.into(),
        open(operation).into(),
        operation.bank_us.into(),
        texts.text(operation.node_id).into(),
        i64::from(attempts.count).into(),
        moment(attempts.first_at),
        moment(attempts.last_at),
        moment(attempts.next_at),
        operation.updated_at.as_i64().into(),
    ])
}

/// The column `open`, which the indexes of recovery (1) and of what is owed (2) are for.
fn open(operation: &Operation) -> i64 {
    match operation.state.open() {
        Open::No => 0,
        Open::Request => 1,
        Open::Owed => 2,
    }
}

fn elements(texts: &mut TextBuffer, elements: &[Element]) -> Result<Value, StoreError> {
    Ok(Value::OptionalText(if elements.is_empty() {
        None
    } else {
        Some(texts.json(&elements)?)
    }))
}

/// An operation from a row with [`OPERATION_COLUMNS`].
pub(in crate::store) fn operation(row: &AnyRow) -> Result<Operation, StoreError> {
    let columns = Columns::of(row, "operations", "id")?;
    let state: OperationState = columns.json("state_detail")?;
    columns.same_state("state", state.name())?;
    let (stan, rrn) = columns.numbers("id")?;
    Ok(Operation {
        id: columns.parsed("id")?,
        payment_id: columns.parsed("payment_id")?,
        kind: columns.variant::<OperationKind>("kind")?,
        state,
        original_id: columns.optional_parsed("original_id")?,
        reason: columns.optional_variant("reason")?,
        subject_id: columns.optional_parsed("subject_id")?,
        host_id: columns.parsed("host_id")?,
        amount: columns.money()?,
        accepts_partial: columns.integer("accepts_partial")? != 0,
        releases_minor: columns.integer("releases_minor")?,
        mti: columns.parsed("mti")?,
        stan,
        rrn,
        transmitted_at: columns.moment("transmitted_at_ms")?,
        number_date: columns.parsed("number_date")?,
        terminal_id: columns.text("terminal_id")?.to_owned(),
        deadline: columns.moment("deadline_ms")?,
        node_id: columns.parsed("node_id")?,
        bank_us: columns.optional_integer("bank_us")?,
        attempts: Attempts {
            count: columns.number("attempts")?,
            first_at: columns.optional_moment("first_sent_ms")?,
            last_at: columns.optional_moment("last_sent_ms")?,
            next_at: columns.optional_moment("next_attempt_ms")?,
        },
        sent: columns.optional_json("sent")?.unwrap_or_default(),
        kept: columns.optional_json("kept")?.unwrap_or_default(),
        created_at: columns.moment("created_at_ms")?,
        updated_at: columns.moment("updated_at_ms")?,
        version: columns.integer("version")?,
    })
}
