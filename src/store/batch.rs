//! One transaction for everything that waited: multi-row statements, in an order that is the same
//! on every node, so that two nodes wait for each other at most in one direction.
//!
//! Order: requests, sealed cards, payments, operations (new); operations, payments, reversals
//! (changed); other work. Each statement's rows are sorted by their key. On SQLite, where no other node
//! writes, the order is looser: statements go together, piece by piece.

use std::collections::HashSet;
use std::sync::Arc;

use sqlx::Row;
use sqlx::any::AnyRow;

use super::engine::Engine;
use super::error::{Fault, fault};
use super::item::{Done, IntentFate, IntentRows, Item, OutcomeFate, OutcomeRows, Work};
use super::sql::{ManyRows, Part, Texts, Value};
use super::statements::{
    CHANGED_OPERATIONS, CHANGED_PAYMENTS, ENVELOPES, FORGET_REQUEST, NEW_OPERATIONS, NEW_PAYMENTS,
    REQUEST_OWNER, REQUESTS, REVERSALS,
};
use super::write_connection::{WriteConnection, WriteTransaction};

/// What became of one item.
pub(super) enum Fate {
    Intent(IntentFate),
    Outcome(OutcomeFate),
    Work(Vec<Done>),
}

/// With how much care a batch is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Care {
    /// As if nothing stood in any record's way: only how many rows were written is looked at, and when
    /// that is not as hoped, the whole is [`Fault::Hindered`].
    Hopeful,
    /// Finding out what stands in which record's way.
    Careful,
    /// As careful, and an earlier attempt may have been committed after all: requests that are the
    /// items' own are taken as written. Outcomes need no such care: who finds one superseded
    /// compares the answers.
    Repeated,
}

/// Writes all `items` in one transaction; the fates are in the items' order.
pub(super) async fn write(
    engine: Engine,
    connection: &mut WriteConnection,
    texts: &mut Texts,
    items: &[Item],
    care: Care,
) -> Result<Vec<Fate>, Fault> {
    let before_commit = |error: sqlx::Error| fault(engine, &error);
    let mut transaction = connection.begin().await.map_err(before_commit)?;
    let mut writing = Writing {
        engine,
        transaction: &mut transaction,
        texts,
        care,
    };
    let fates = match writing.all(items).await {
        Ok(fates) => fates,
        Err(fault) => {
            // Said outright and not left to dropping it: a connection that can't roll back no longer
            // knows whether it is in a transaction, and would confirm what it never commits.
            return Err(match transaction.rollback().await {
                Err(error) if !matches!(fault, Fault::Lost(_)) => {
                    Fault::Lost(format!("no rollback: {error}"))
                }
                _ => fault,
            });
        }
    };
    match transaction.commit().await {
        Ok(()) => Ok(fates),
        // A serialization failure says for certain that nothing was written; nothing else does.
        Err(error) => match fault(engine, &error) {
            Fault::Again(reason) if engine == Engine::Postgres => Err(Fault::Again(reason)),
            _ => Err(Fault::Uncertain(error.to_string())),
        },
    }
}

struct Writing<'a, 'c> {
    engine: Engine,
    transaction: &'a mut WriteTransaction<'c>,
    texts: &'a mut Texts,
    care: Care,
}

impl Writing<'_, '_> {
    async fn all(&mut self, items: &[Item]) -> Result<Vec<Fate>, Fault> {
        let mut intents = Vec::new();
        let mut outcomes = Vec::new();
        for item in items {
            match item {
                Item::Intent(rows, _) => intents.push(rows.as_ref()),
                Item::Outcome(rows, _) => outcomes.push(rows.as_ref()),
                Item::Work(..) | Item::Close(_) => {}
            }
        }
        let intents = self.intents(intents).await?;
        let superseded = self.outcomes(outcomes).await?;
        let mut fates = Vec::with_capacity(items.len());
        for item in items {
            fates.push(match item {
                Item::Intent(rows, _) => Fate::Intent(intents.fate(&rows.operation_id)),
                Item::Outcome(rows, _) if superseded.contains(&*rows.operation_id) => {
                    Fate::Outcome(OutcomeFate::Superseded)
                }
                Item::Outcome(..) => Fate::Outcome(OutcomeFate::Recorded),
                Item::Work(work, _) => Fate::Work(self.work(work).await?),
                Item::Close(_) => Fate::Work(Vec::new()),
            });
        }
        Ok(fates)
    }

    /// Gives how many rows were written.
    async fn count(&mut self, statement: &ManyRows, rows: &[&[Value]]) -> Result<usize, Fault> {
        let ran = self
            .texts
            .run(self.transaction, statement, rows, false)
            .await;
        ran.map(|ran| ran.count)
            .map_err(|error| fault(self.engine, &error))
    }

    /// Gives which rows were written, by what the statement returns of them.
    async fn written(&mut self, statement: &ManyRows, rows: &[&[Value]]) -> Result<Written, Fault> {
        if self.care == Care::Hopeful {
            let count = self.count(statement, rows).await?;
            return if count == rows.len() {
                Ok(Written::All)
            } else {
                Err(Fault::Hindered)
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

    async fn intents(&mut self, mut intents: Vec<&IntentRows>) -> Result<Intents, Fault> {
        let mut fates = Intents::default();
        if intents.is_empty() {
            return Ok(fates);
        }
        intents.sort_by(|one, other| one.key.cmp(&other.key));
        if self.all_together() {
            return self.intents_together(&intents).await.map(|()| fates);
        }
        let rows: Vec<&[Value]> = intents.iter().map(|it| it.idempotency.as_slice()).collect();
        let new = self.written(&REQUESTS, &rows).await?;
        let mut kept = Vec::with_capacity(intents.len());
        for intent in intents {
            if new.contains(&intent.operation_id) {
                kept.push(intent);
            } else if self.care == Care::Repeated && self.is_own_request(intent).await? {
                // Its other rows were committed with its request.
                continue;
            } else {
                fates.key_taken.insert(intent.operation_id.clone());
            }
        }
        self.envelopes(&mut kept, &mut fates).await?;
        kept.sort_by(|one, other| one.operation_id.cmp(&other.operation_id));
        let payments: Vec<&[Value]> = kept.iter().map(|it| it.payment.as_slice()).collect();
        self.count(&NEW_PAYMENTS, &payments).await?;
        let operations: Vec<&[Value]> = kept.iter().map(|it| it.operation.as_slice()).collect();
        self.count(&NEW_OPERATIONS, &operations).await?;
        Ok(fates)
    }

    /// Whether statements go together, several in a text: on SQLite, and only as long as nobody has to
    /// know which of them wrote what.
    fn all_together(&self) -> bool {
        self.engine == Engine::Sqlite && self.care == Care::Hopeful
    }

    /// No statement writes more rows than it was given, so when the sum is as hoped each part is. (That
    /// must stay true of every statement that comes here.)
    async fn together(&mut self, parts: &[Part<'_>]) -> Result<(), Fault> {
        let hoped: usize = parts.iter().map(|part| part.rows.len()).sum();
        let count = self.texts.run_together(self.transaction, parts).await;
        match count {
            Ok(count) if count == hoped => Ok(()),
            Ok(_) => Err(Fault::Hindered),
            Err(error) => Err(fault(self.engine, &error)),
        }
    }

    async fn intents_together(&mut self, intents: &[&IntentRows]) -> Result<(), Fault> {
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

    async fn outcomes_together(&mut self, outcomes: &[&OutcomeRows]) -> Result<(), Fault> {
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

    /// Takes those whose sealed card was used before out of `kept`, and their requests back.
    async fn envelopes(
        &mut self,
        kept: &mut Vec<&IntentRows>,
        fates: &mut Intents,
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
            let good = intent.envelope.is_none() || fresh.contains(&intent.operation_id);
            if !good {
                replayed.push(*intent);
            }
            good
        });
        for intent in replayed {
            let key = intent.idempotency.get(..3).unwrap_or_default();
            self.one(FORGET_REQUEST, key).await?;
            fates.replayed.insert(intent.operation_id.clone());
        }
        Ok(())
    }

    /// Gives the operations whose outcome came too late.
    async fn outcomes(
        &mut self,
        mut outcomes: Vec<&OutcomeRows>,
    ) -> Result<HashSet<Arc<str>>, Fault> {
        let mut superseded = HashSet::new();
        if outcomes.is_empty() {
            return Ok(superseded);
        }
        outcomes.sort_by(|one, other| one.operation_id.cmp(&other.operation_id));
        if self.all_together() {
            return self.outcomes_together(&outcomes).await.map(|()| superseded);
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
        // The operation was as expected and its payment was not: half an outcome is never kept.
        if changed != kept.len() {
            return Err(Fault::Torn);
        }
        let rows: Vec<&[Value]> = kept
            .iter()
            .filter_map(|outcome| outcome.reversal.as_deref())
            .collect();
        self.count(&REVERSALS, &rows).await?;
        Ok(superseded)
    }

    async fn work(&mut self, work: &Work) -> Result<Vec<Done>, Fault> {
        let mut all = Vec::with_capacity(work.statements.len());
        for statement in &work.statements {
            let (text, values) = (statement.text, [statement.values.as_slice()]);
            let done = if statement.returning {
                let rows = self.transaction.fetch(text, &values).await;
                rows.map(|rows| Done {
                    rows_affected: u64::try_from(rows.len()).unwrap_or(u64::MAX),
                    rows,
                })
            } else {
                let rows_affected = self.transaction.execute(text, &values).await;
                rows_affected.map(|rows_affected| Done {
                    rows_affected,
                    rows: Vec::new(),
                })
            };
            all.push(done.map_err(|error| fault(self.engine, &error))?);
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

/// The intents that were not simply recorded, by operation.
#[derive(Debug, Default)]
struct Intents {
    key_taken: HashSet<Arc<str>>,
    replayed: HashSet<Arc<str>>,
}

impl Intents {
    fn fate(&self, operation_id: &str) -> IntentFate {
        if self.key_taken.contains(operation_id) {
            IntentFate::KeyTaken
        } else if self.replayed.contains(operation_id) {
            IntentFate::EnvelopeReplayed
        } else {
            IntentFate::Recorded
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
