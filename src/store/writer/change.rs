//! Changes that wait for the writer. Their callers turn records into values to bind, so that the
//! writer, for which everybody waits, has the least to do.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::store::database::value::Value;
use crate::store::error::StoreError;

/// What one caller wants written: all of it or nothing.
#[derive(Debug)]
pub(in crate::store) enum Change {
    Intent(Box<IntentRows>),
    Outcome(Box<OutcomeRows>),
    Statements(Statements),
}

impl Change {
    /// Whether it is the intent of a payment with a sealed card, or of one without.
    pub(in crate::store) fn is_intent(&self, with_sealed_card: bool) -> bool {
        matches!(self, Self::Intent(rows) if rows.envelope.is_some() == with_sealed_card)
    }
}

/// An intent as values.
#[derive(Debug)]
pub(in crate::store) struct IntentRows {
    /// Merchant, method, request id: the order in which rows are locked.
    pub(in crate::store) key: (Arc<str>, Arc<str>, Arc<str>),
    pub(in crate::store) operation_id: Arc<str>,
    pub(in crate::store) idempotency: Vec<Value>,
    pub(in crate::store) envelope: Option<Vec<Value>>,
    pub(in crate::store) payment: Vec<Value>,
    pub(in crate::store) operation: Vec<Value>,
}

/// An outcome as values.
#[derive(Debug)]
pub(in crate::store) struct OutcomeRows {
    pub(in crate::store) payment_id: Arc<str>,
    pub(in crate::store) operation_id: Arc<str>,
    pub(in crate::store) payment: Vec<Value>,
    pub(in crate::store) operation: Vec<Value>,
    pub(in crate::store) reversal: Option<Vec<Value>>,
}

/// Statements that belong together, outside the path of a payment.
#[derive(Debug)]
pub(in crate::store) struct Statements {
    pub(in crate::store) statements: Vec<Statement>,
    /// Whether running them twice is the same as running them once.
    pub(in crate::store) repeatable: bool,
}

/// One statement and its values.
#[derive(Debug, Clone)]
pub(in crate::store) struct Statement {
    pub(in crate::store) text: &'static str,
    pub(in crate::store) values: Vec<Value>,
    /// Whether it returns rows.
    pub(in crate::store) returning: bool,
}

/// What a statement did.
pub(in crate::store) struct StatementResult {
    pub(in crate::store) rows_affected: u64,
    pub(in crate::store) rows: Vec<sqlx::any::AnyRow>,
}

/// What became of a change.
pub(in crate::store) enum Verdict {
    Written,
    /// Nothing was written: there is a request with this key.
    DuplicateRequest,
    /// Nothing was written: the sealed card was used before.
    EnvelopeReplayed,
    /// Nothing was written: another change of the operation or its payment came first.
    Superseded,
    /// What each of the statements did.
    Ran(Vec<StatementResult>),
}

/// A change and its caller.
pub(in crate::store) struct QueuedChange {
    pub(in crate::store) change: Change,
    pub(in crate::store) answer: oneshot::Sender<Result<Verdict, StoreError>>,
}

impl QueuedChange {
    /// Tells the caller, who may have stopped waiting.
    pub(in crate::store) fn answer(self, verdict: Result<Verdict, StoreError>) {
        drop(self.answer.send(verdict));
    }
}
