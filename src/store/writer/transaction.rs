//! One transaction for a batch: multi-row statements, in an order that is the same on every node, so
//! that two nodes wait for each other in one direction at most.
//!
//! Order: requests, sealed cards, payments, operations (new); operations, payments, reversals
//! (changed); other statements. Each statement's rows are sorted by their key. On SQLite, where no other
//! node writes, the order is looser: the statements of some intents run before those of the others.

use std::collections::HashSet;
use std::sync::Arc;

use sqlx::Row;
use sqlx::any::AnyRow;

use super::change::{
    Change, IntentRows, OutcomeRows, QueuedChange, StatementResult, Statements, Verdict,
};
use super::statements::{
    CHANGED_OPERATIONS, CHANGED_PAYMENTS, ENVELOPES, FORGET_REQUEST, NEW_OPERATIONS, NEW_PAYMENTS,
    REQUEST_OWNER, REQUESTS, REVERSALS,
};
use crate::store::database::connection::{WriteConnection, WriteTransaction};
use crate::store::database::engine::Engine;
use crate::store::database::fault::{Fault, fault};
use crate::store::database::many_rows::{ManyRows, Part, Texts};
use crate::store::database::value::Value;

/// How much a batch finds out about its changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum WriteMode {
    /// Only the number of written rows is compared. A difference is [`Fault::Conflict`].
    Optimistic,
    /// The database says which rows it wrote, so that each change gets its own verdict.
    Checked,
    /// Checked, after a COMMIT that was not confirmed: a request that already belongs to its own
    /// operation counts as written. Outcomes need no such care: a caller that is told of a superseded
    /// outcome compares the answers.
    Retried,
}

/// Writes all changes in one transaction; the verdicts are in the changes' order.
pub(in crate::store) async fn write(
    engine: Engine,
    connection: &mut WriteConnection,
    texts: &mut Texts,
    batch: &[QueuedChange],
    mode: WriteMode,
) -> Result<Vec<Verdict>, Fault> {
    let before_commit = |error: sqlx::Error| fault(engine, &error);
    let mut transaction = connection.begin().await.map_err(before_commit)?;
    let mut writing = Writing {
        engine,
        transaction: &mut transaction,
        texts,
        mode,
    };
    let verdicts = match writing.all(batch).await {
        Ok(verdicts) => verdicts,
        Err(fault) => {
            // The rollback is explicit. A connection that can't roll back no longer knows whether it is
            // in a transaction, and would confirm changes that it never commits.
            return Err(match transaction.rollback().await {
                Err(error) if !matches!(fault, Fault::Lost(_)) => {
                    Fault::Lost(format!("no rollback: {error}"))
                }
                _ => fault,
            });
        }
    };
    match transaction.commit().await {
        Ok(()) => Ok(verdicts),
        // Only a serialization failure proves that nothing was written.
        Err(error) => match fault(engine, &error) {
            Fault::Retryable(reason) if engine == Engine::Postgres => Err(Fault::Retryable(reason)),
            _ => Err(Fault::CommitUnknown(error.to_string())),
        },
    }
}

struct Writing<'a, 'c> {
    engine: Engine,
    transaction: &'a mut WriteTransaction<'c>,
    texts: &'a mut Texts,
    mode: WriteMode,
}

impl Writing<'_, '_> {
    async fn all(&mut self, batch: &[QueuedChange]) -> Result<Vec<Verdict>, Fault> {
        let mut intents = Vec::new();
        let mut outcomes = Vec::new();
        for queued in batch {
            match &queued.change {
                Change::Intent(rows) => intents.push(rows.as_ref()),
                Change::Outcome(rows) => outcomes.push(rows.as_ref()),
                Change::Statements(_) => {}
            }
        }
        let intents = self.intents(intents).await?;
        let superseded = self.outcomes(outcomes).await?;
        let mut verdicts = Vec::with_capacity(batch.len());
        for queued in batch {
            verdicts.push(match &queued.change {
                Change::Intent(rows) => intents.verdict(&rows.operation_id),
                Change::Outcome(rows) if superseded.contains(&*rows.operation_id) => {
                    Verdict::Superseded
                }
                Change::Outcome(_) => Verdict::Written,
                Change::Statements(them) => Verdict::Ran(self.statements(them).await?),
            });
        }
        Ok(verdicts)
    }

    /// Returns how many rows were written.
    async fn count(&mut self, statement: &ManyRows, rows: &[&[Value]]) -> Result<usize, Fault> {
        let ran = self
            .texts
            .run(self.transaction, statement, rows, false)
            .await;
        ran.map(|ran| ran.count)
            .map_err(|error| fault(self.engine, &error))
    }

    /// Returns the rows that were written, by the first column that the statement returns.
    async fn written(&mut self, statement: &ManyRows, rows: &[&[Value]]) -> Result<Written, Fault> {
        if self.mode == WriteMode::Optimistic {
            let count = self.count(statement, rows).await?;
            return if count == rows.len() {
                Ok(Written::All)
            } else {
                Err(Fault::Conflict)
            };
        }
        let ran = self
            .texts
            .run(self.transaction, statement, rows, true)
            .await;
        let returned = ran.map_err(|error| fault(self.engine, &error))?.returned;
        first_texts(self.engine, &returned).map(Written::Only)
    }

    async fn one(&mut self, text: &'static str, values: &[Value]) -> Result<Vec<AnyRow>, Fault> {
        self.transaction
            .fetch(text, &[values])
            .await
            .map_err(|error| fault(self.engine, &error))
    }

    async fn intents(&mut self, mut intents: Vec<&IntentRows>) -> Result<IntentVerdicts, Fault> {
        let mut verdicts = IntentVerdicts::default();
        if intents.is_empty() {
            return Ok(verdicts);
        }
        intents.sort_by(|one, other| one.key.cmp(&other.key));
        if self.shares_texts() {
            return self.intents_in_few_texts(&intents).await.map(|()| verdicts);
        }
        let rows: Vec<&[Value]> = intents.iter().map(|it| it.idempotency.as_slice()).collect();
        let new = self.written(&REQUESTS, &rows).await?;
        let mut kept = Vec::with_capacity(intents.len());
        for intent in intents {
            if new.contains(&intent.operation_id) {
                kept.push(intent);
            } else if self.mode == WriteMode::Retried && self.is_own_request(intent).await? {
                // Its other rows were committed with its request.
                continue;
            } else {
                verdicts.duplicate.insert(intent.operation_id.clone());
            }
        }
        self.envelopes(&mut kept, &mut verdicts).await?;
        kept.sort_by(|one, other| one.operation_id.cmp(&other.operation_id));
        let payments: Vec<&[Value]> = kept.iter().map(|it| it.payment.as_slice()).collect();
        self.count(&NEW_PAYMENTS, &payments).await?;
        let operations: Vec<&[Value]> = kept.iter().map(|it| it.operation.as_slice()).collect();
        self.count(&NEW_OPERATIONS, &operations).await?;
        Ok(verdicts)
    }

    /// Whether several statements share a text: on SQLite only, and only while nobody asks which of
    /// them wrote what.
    fn shares_texts(&self) -> bool {
        self.engine == Engine::Sqlite && self.mode == WriteMode::Optimistic
    }

    /// No statement may write more rows than it is given. So each part is complete when the sum is.
    async fn together(&mut self, parts: &[Part<'_>]) -> Result<(), Fault> {
        let expected: usize = parts.iter().map(|part| part.rows.len()).sum();
        let count = self.texts.run_together(self.transaction, parts).await;
        match count {
            Ok(count) if count == expected => Ok(()),
            Ok(_) => Err(Fault::Conflict),
            Err(error) => Err(fault(self.engine, &error)),
        }
    }

    async fn intents_in_few_texts(&mut self, intents: &[&IntentRows]) -> Result<(), Fault> {
        let (sealed, other): (Vec<&IntentRows>, Vec<&IntentRows>) =
            intents.iter().partition(|intent| intent.envelope.is_some());
        for intents in [sealed, other] {
            let part = |statement, rows: fn(&IntentRows) -> Option<&[Value]>| Part {
                statement,
                rows: intents.iter().filter_map(|intent| rows(intent)).collect(),
            };
            let mut parts = vec![
                part(&REQUESTS, |intent| Some(&intent.idempotency)),
                part(&ENVELOPES, |intent| intent.envelope.as_deref()),
                part(&NEW_PAYMENTS, |intent| Some(&intent.payment)),
                part(&NEW_OPERATIONS, |intent| Some(&intent.operation)),
            ];
            parts.retain(|part| !part.rows.is_empty());
            self.together(&parts).await?;
        }
        Ok(())
    }

    async fn outcomes_in_few_texts(&mut self, outcomes: &[&OutcomeRows]) -> Result<(), Fault> {
        let part = |statement, rows: fn(&OutcomeRows) -> Option<&[Value]>| Part {
            statement,
            rows: outcomes.iter().filter_map(|it| rows(it)).collect(),
        };
        self.together(&[
            part(&CHANGED_OPERATIONS, |outcome| Some(&outcome.operation)),
            part(&CHANGED_PAYMENTS, |outcome| Some(&outcome.payment)),
        ])
        .await?;
        let reversals = part(&REVERSALS, |outcome| outcome.reversal.as_deref());
        self.count(&REVERSALS, &reversals.rows).await?;
        Ok(())
    }

    async fn is_own_request(&mut self, intent: &IntentRows) -> Result<bool, Fault> {
        let key = intent.idempotency.get(..3).unwrap_or_default();
        let returned = self.one(REQUEST_OWNER, key).await?;
        Ok(first_texts(self.engine, &returned)?.contains(&*intent.operation_id))
    }

    /// Removes intents whose sealed card was used before from `kept`, and deletes their requests.
    async fn envelopes(
        &mut self,
        kept: &mut Vec<&IntentRows>,
        verdicts: &mut IntentVerdicts,
    ) -> Result<(), Fault> {
        let mut rows: Vec<&[Value]> = kept
            .iter()
            .filter_map(|intent| intent.envelope.as_deref())
            .collect();
        if rows.is_empty() {
            return Ok(());
        }
        rows.sort_by(|one, other| envelope_key(one).cmp(&envelope_key(other)));
        let fresh = self.written(&ENVELOPES, &rows).await?;
        let mut replayed = Vec::new();
        kept.retain(|intent| {
            let first_use = intent.envelope.is_none() || fresh.contains(&intent.operation_id);
            if !first_use {
                replayed.push(*intent);
            }
            first_use
        });
        for intent in replayed {
            let key = intent.idempotency.get(..3).unwrap_or_default();
            self.one(FORGET_REQUEST, key).await?;
            verdicts.replayed.insert(intent.operation_id.clone());
        }
        Ok(())
    }

    /// Returns the operations whose outcome was superseded.
    async fn outcomes(
        &mut self,
        mut outcomes: Vec<&OutcomeRows>,
    ) -> Result<HashSet<Arc<str>>, Fault> {
        let mut superseded = HashSet::new();
        if outcomes.is_empty() {
            return Ok(superseded);
        }
        outcomes.sort_by(|one, other| one.operation_id.cmp(&other.operation_id));
        if self.shares_texts() {
            return self
                .outcomes_in_few_texts(&outcomes)
                .await
                .map(|()| superseded);
        }
        let rows: Vec<&[Value]> = outcomes.iter().map(|it| it.operation.as_slice()).collect();
        let changed = self.written(&CHANGED_OPERATIONS, &rows).await?;
        let mut kept = Vec::with_capacity(outcomes.len());
        for outcome in outcomes {
            if changed.contains(&outcome.operation_id) {
                kept.push(outcome);
            } else {
                superseded.insert(outcome.operation_id.clone());
            }
        }
        kept.sort_by(|one, other| one.payment_id.cmp(&other.payment_id));
        let rows: Vec<&[Value]> = kept.iter().map(|it| it.payment.as_slice()).collect();
        let changed = self.count(&CHANGED_PAYMENTS, &rows).await?;
        // An operation changed and its payment did not: half an outcome is never committed.
        if changed != kept.len() {
            return Err(Fault::PartialUpdate);
        }
        let rows: Vec<&[Value]> = kept
            .iter()
            .filter_map(|outcome| outcome.reversal.as_deref())
            .collect();
        self.count(&REVERSALS, &rows).await?;
        Ok(superseded)
    }

    async fn statements(&mut self, them: &Statements) -> Result<Vec<StatementResult>, Fault> {
        let mut all = Vec::with_capacity(them.statements.len());
        for statement in &them.statements {
            let (text, values) = (statement.text, [statement.values.as_slice()]);
            let result = if statement.returning {
                let rows = self.transaction.fetch(text, &values).await;
                rows.map(|rows| StatementResult {
                    rows_affected: u64::try_from(rows.len()).unwrap_or(u64::MAX),
                    rows,
                })
            } else {
                let rows_affected = self.transaction.execute(text, &values).await;
                rows_affected.map(|rows_affected| StatementResult {
                    rows_affected,
                    rows: Vec::new(),
                })
            };
            all.push(result.map_err(|error| fault(self.engine, &error))?);
        }
        Ok(all)
    }
}

/// Which rows a statement wrote.
enum Written {
    All,
    Only(HashSet<Arc<str>>),
}

impl Written {
    fn contains(&self, key: &str) -> bool {
        match self {
            Self::All => true,
            Self::Only(keys) => keys.contains(key),
        }
    }
}

/// The intents that were not written, by operation.
#[derive(Debug, Default)]
struct IntentVerdicts {
    duplicate: HashSet<Arc<str>>,
    replayed: HashSet<Arc<str>>,
}

impl IntentVerdicts {
    fn verdict(&self, operation_id: &str) -> Verdict {
        if self.duplicate.contains(operation_id) {
            Verdict::DuplicateRequest
        } else if self.replayed.contains(operation_id) {
            Verdict::EnvelopeReplayed
        } else {
            Verdict::Written
        }
    }
}

/// Merchant and jti, as texts.
fn envelope_key(row: &[Value]) -> [&str; 2] {
    let text = |index: usize| match row.get(index) {
        Some(Value::Text(text)) => text,
        _ => "",
    };
    [text(0), text(1)]
}

/// The first column of each row.
fn first_texts(engine: Engine, rows: &[AnyRow]) -> Result<HashSet<Arc<str>>, Fault> {
    rows.iter()
        .map(|row| {
            row.try_get::<String, _>(0)
                .map(Arc::from)
                .map_err(|error| fault(engine, &error))
        })
        .collect()
}
