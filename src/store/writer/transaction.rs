//! One transaction for a batch: multi-row statements in the order of [`PARTS`], which is the same on every
//! node, so that two nodes rarely wait for each other. On PostgreSQL each statement's rows are sorted by
//! their key, for the same reason. What takes a position comes last ([`super::positions`]).
//!
//! After an error nothing is committed. So a failed statement need not undo its own rows (OR FAIL), and
//! SQLite need not keep a copy of each page that it changes. (It still does where a foreign key is
//! checked.)

use std::collections::BTreeMap;
use std::sync::Arc;

use super::batch::Batch;
use super::items::change_items;
use super::positions::take_positions;
use super::rows::{AdjustedRow, ChangeRows, LeftOut, PARTS, Queued, Refusal, Request, Written};
use crate::random::{HashMap, HashSet};
use crate::store::database::connection::{NativeConnection, NativeTransaction};
use crate::store::database::engine::Engine;
use crate::store::database::fault::{Fault, fault};
use crate::store::database::many_rows::{ManyRows, ManyRowsResult, Part, Texts, first_texts};
use crate::store::database::value::Value;
use crate::store::tables::acts::ACTS;
use crate::store::tables::captures::{CAPTURE_AMOUNTS, CAPTURE_REFUNDS, NEW_CAPTURES};
use crate::store::tables::idempotency::{CLAIM_OWNER, CLAIMS, moved_answer};
use crate::store::tables::operations::{ANSWERS, NEW_OPERATIONS, OWED_STEPS, STEPS};
use crate::store::tables::payments::{
    GUARDED_PAYMENTS, MovedPayment, NEW_PAYMENTS, PAYMENT_STATES, guarded_payment_row,
    moved_payment, payment_state_row,
};
use crate::store::tables::refunds::NEW_REFUNDS;
use crate::store::tables::used_envelopes::ENVELOPES;

/// How much a batch finds out about its changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum WriteMode {
    /// Only the number of written rows is compared. A difference is [`Fault::Conflict`].
    Optimistic,
    /// The database says which rows it wrote, so that each change gets its own verdict. Where a change is
    /// refused nothing is committed, and the verdicts say which ones to leave out.
    Checked,
}

/// What became of a batch.
pub(in crate::store) enum Batched {
    /// It is committed: the results are in the requests' order.
    Committed(Vec<Written>),
    /// Nothing is committed, because of these changes (by their operations). They are to be left out.
    LeaveOut(HashMap<Arc<str>, LeftOut>),
}

/// Writes all requests in one transaction. `may_be_written` says that an earlier COMMIT of them was not
/// confirmed.
pub(in crate::store) async fn write(
    engine: Engine,
    connection: &mut NativeConnection,
    texts: &mut Texts,
    batch: &Batch,
    mode: WriteMode,
) -> Result<Batched, Fault> {
    let before_commit = |error: sqlx::Error| fault(engine, &error);
    let mut transaction = connection.begin().await.map_err(before_commit)?;
    let mut writing = Writing {
        engine,
        transaction: &mut transaction,
        texts,
        may_be_written: batch.may_be_written,
        left_out: HashMap::default(),
        moved: HashMap::default(),
    };
    let result = writing.all(&batch.requests, mode).await;
    let left_out = std::mem::take(&mut writing.left_out);
    match result {
        Ok(results) if left_out.is_empty() => match transaction.commit().await {
            Ok(()) => Ok(Batched::Committed(results)),
            // A serialization failure says for certain that nothing was written; nothing else does.
            Err(error) => match fault(engine, &error) {
                Fault::Retryable(reason) if engine == Engine::Postgres => {
                    Err(Fault::Retryable(reason))
                }
                _ => Err(Fault::CommitUnknown(error.to_string())),
            },
        },
        // The rollback is explicit. A connection that can't roll back no longer knows whether it is
        // in a transaction, and would confirm changes that it never commits.
        Ok(_) => match transaction.rollback().await {
            Ok(()) => Ok(Batched::LeaveOut(left_out)),
            Err(error) => Err(Fault::Lost(format!("no rollback: {error}"))),
        },
        Err(fault) => Err(match transaction.rollback().await {
            Err(error) if !matches!(fault, Fault::Lost(_)) => {
                Fault::Lost(format!("no rollback: {error}"))
            }
            _ => fault,
        }),
    }
}

struct Writing<'a, 'c> {
    engine: Engine,
    transaction: &'a mut NativeTransaction<'c>,
    texts: &'a mut Texts,
    may_be_written: bool,
    left_out: HashMap<Arc<str>, LeftOut>,
    /// The payments that were adjusted under their guard.
    moved: HashMap<Arc<str>, MovedPayment>,
}

impl Writing<'_, '_> {
    async fn all(&mut self, requests: &[Queued], mode: WriteMode) -> Result<Vec<Written>, Fault> {
        let changes: Vec<&ChangeRows> = requests
            .iter()
            .filter_map(|queued| match &queued.request {
                Request::Change(rows) => Some(&**rows),
                Request::Statements(_) => None,
            })
            .collect();
        match mode {
            WriteMode::Optimistic => self.optimistic(&changes).await?,
            WriteMode::Checked => self.checked(changes.clone()).await?,
        }
        // Nothing will be committed then.
        if !self.left_out.is_empty() {
            return Ok(Vec::new());
        }
        let mut ran = Vec::new();
        for queued in requests {
            if let Request::Statements(them) = &queued.request {
                let results = self.transaction.run(&them.statements).await;
                ran.push(results.map_err(|error| fault(self.engine, &error))?);
            }
        }
        let holds_positions = take_positions(
            self.engine,
            self.transaction,
            self.texts,
            &changes,
            &self.moved,
        )
        .await?;
        let stays = change_items(
            self.engine,
            self.transaction,
            self.texts,
            &changes,
            holds_positions,
        );
        for operation_id in stays.await? {
            let refused = LeftOut::Refused(Refusal::DayClosed);
            self.left_out.insert(operation_id, refused);
        }
        let mut ran = ran.into_iter();
        let written = |queued: &Queued| match &queued.request {
            Request::Change(rows) => {
                Written::Committed(self.moved.remove(&rows.payment_id).map(Box::new))
            }
            Request::Statements(_) => Written::Ran(ran.next().unwrap_or_default()),
        };
        Ok(requests.iter().map(written).collect())
    }

    /// No statement writes more rows than it was given, so if the sum is as expected each part is. That
    /// must stay true of every statement of [`PARTS`].
    ///
    /// The statements of one shape share a text on SQLite, where each text costs a round trip to its thread.
    /// On PostgreSQL all changes share each statement, in the order of the tables.
    async fn optimistic(&mut self, changes: &[&ChangeRows]) -> Result<(), Fault> {
        let mut groups: BTreeMap<usize, Vec<&ChangeRows>> = BTreeMap::new();
        for change in changes {
            let group = match self.engine {
                Engine::Sqlite => change.shape(),
                Engine::Postgres => 0,
            };
            groups.entry(group).or_default().push(change);
        }
        for mut group in groups.into_values() {
            group.sort_unstable_by(|one, other| one.operation_id.cmp(&other.operation_id));
            let mut parts = Vec::with_capacity(PARTS.len());
            for (statement, row) in PARTS {
                let mut rows: Vec<&[Value]> =
                    group.iter().filter_map(|change| row(change)).collect();
                if !rows.is_empty() {
                    // On SQLite the order of the operations is enough: it is about that of the keys, so that
                    // rows go in side by side, and nobody waits for a lock that another writer holds.
                    if self.engine == Engine::Postgres {
                        sort(&mut rows);
                    }
                    parts.push(Part { statement, rows });
                }
            }
            let expected: usize = parts.iter().map(|part| part.rows.len()).sum();
            let written = self.texts.run_all(self.transaction, &parts).await;
            if written.map_err(|error| fault(self.engine, &error))? != expected {
                return Err(Fault::Conflict);
            }
        }
        self.insert_owed(changes).await?;
        self.insert(changes, &ACTS, |change| change.act.as_deref())
            .await
    }

    /// The same statements one by one, finding out what stands in the way of which change. A change that is
    /// left out takes no part in the statements after.
    async fn checked(&mut self, mut changes: Vec<&ChangeRows>) -> Result<(), Fault> {
        let claim =
            |change: &ChangeRows| Some((Arc::clone(&change.operation_id), change.claim.clone()?));
        self.keep_written(&mut changes, &CLAIMS, Refusal::RequestTaken, claim)
            .await?;
        let envelope = |change: &ChangeRows| {
            Some((Arc::clone(&change.operation_id), change.envelope.clone()?))
        };
        self.keep_written(&mut changes, &ENVELOPES, Refusal::EnvelopeUsed, envelope)
            .await?;
        self.insert(&changes, &NEW_PAYMENTS, |change| {
            change.new_payment.as_deref()
        })
        .await?;
        // The operations' versions are the fence, so steps come before the payments that they adjust, and
        // before what they make owed.
        let step = |change: &ChangeRows| step_and_its_key(&change.step.as_ref()?.values);
        self.keep_written(&mut changes, &STEPS, Refusal::OperationMoved, step)
            .await?;
        let owed_step = |change: &ChangeRows| step_and_its_key(change.owed_step.as_deref()?);
        self.keep_written(
            &mut changes,
            &OWED_STEPS,
            Refusal::OperationMoved,
            owed_step,
        )
        .await?;
        self.adjust_payments(&mut changes).await?;
        let refunds = |change: &ChangeRows| step_and_its_key(change.capture_refunds.as_deref()?);
        self.keep_written(
            &mut changes,
            &CAPTURE_REFUNDS,
            Refusal::PaymentRefused,
            refunds,
        )
        .await?;
        self.insert(&changes, &CAPTURE_AMOUNTS, |change| {
            change.capture_amount.as_deref()
        })
        .await?;
        self.insert(&changes, &NEW_OPERATIONS, |change| {
            change.new_operation.as_deref()
        })
        .await?;
        self.insert_owed(&changes).await?;
        self.insert(&changes, &NEW_CAPTURES, |change| {
            change.new_capture.as_deref()
        })
        .await?;
        self.insert(&changes, &NEW_REFUNDS, |change| {
            change.new_refund.as_deref()
        })
        .await?;
        self.insert(&changes, &ACTS, |change| change.act.as_deref())
            .await?;
        self.correct_answers(&changes).await
    }

    async fn run(
        &mut self,
        statement: &ManyRows,
        mut rows: Vec<&[Value]>,
        returning: bool,
    ) -> Result<ManyRowsResult, Fault> {
        sort(&mut rows);
        let ran = self
            .texts
            .run(self.transaction, statement, &rows, returning)
            .await;
        ran.map_err(|error| fault(self.engine, &error))
    }

    async fn insert(
        &mut self,
        changes: &[&ChangeRows],
        statement: &ManyRows,
        row: impl Fn(&ChangeRows) -> Option<&[Value]>,
    ) -> Result<(), Fault> {
        let rows = changes.iter().filter_map(|change| row(change)).collect();
        self.run(statement, rows, false).await.map(drop)
    }

    /// What is owed from now on: rarely anything, and of one change any number.
    async fn insert_owed(&mut self, changes: &[&ChangeRows]) -> Result<(), Fault> {
        let owed = changes.iter().flat_map(|change| &change.owes);
        let rows = owed.map(Vec::as_slice).collect();
        self.run(&NEW_OPERATIONS, rows, false).await.map(drop)
    }

    /// Writes the rows of a statement that returns the operations whose rows it wrote, and leaves the changes
    /// of the others out. `row` gives a change's row, and the operation that is returned when it is written.
    async fn keep_written(
        &mut self,
        changes: &mut Vec<&ChangeRows>,
        statement: &ManyRows,
        refusal: Refusal,
        row: impl Fn(&ChangeRows) -> Option<(Arc<str>, Vec<Value>)>,
    ) -> Result<(), Fault> {
        let asked: HashMap<&Arc<str>, (Arc<str>, Vec<Value>)> = changes
            .iter()
            .filter_map(|change| Some((&change.operation_id, row(change)?)))
            .collect();
        let rows = asked.values().map(|(_, row)| row.as_slice()).collect();
        let returned = self.run(statement, rows, true).await?.returned;
        let written = first_texts(self.engine, &returned)?;
        for (operation_id, (returned, row)) in asked {
            if !written.contains(&returned) {
                let left_out = self.left_out(operation_id, refusal, &row).await?;
                self.left_out.insert(Arc::clone(operation_id), left_out);
            }
        }
        changes.retain(|change| !self.left_out.contains_key(&change.operation_id));
        Ok(())
    }

    /// Whether a change whose row was not written was written by the COMMIT that was not confirmed: its
    /// claim stands with its own operation. (Of a step the caller finds that out.)
    async fn left_out(
        &mut self,
        operation_id: &Arc<str>,
        refusal: Refusal,
        row: &[Value],
    ) -> Result<LeftOut, Fault> {
        let found = match refusal {
            Refusal::RequestTaken if self.may_be_written => {
                let key = row.get(..3).unwrap_or_default();
                self.fetch(CLAIM_OWNER, key).await?
            }
            _ => HashSet::default(),
        };
        Ok(if found.contains(operation_id) {
            LeftOut::WrittenBefore
        } else {
            LeftOut::Refused(refusal)
        })
    }

    async fn fetch(
        &mut self,
        text: &'static str,
        values: &[Value],
    ) -> Result<HashSet<Arc<str>>, Fault> {
        let rows = self.transaction.fetch(text, &[values]).await;
        first_texts(
            self.engine,
            &rows.map_err(|error| fault(self.engine, &error))?,
        )
    }

    /// Adjusts payments under their guards. The state that follows is computed from what the database
    /// returned, and written by a second statement.
    async fn adjust_payments(&mut self, changes: &mut Vec<&ChangeRows>) -> Result<(), Fault> {
        let adjusted: HashMap<&Arc<str>, (&Arc<str>, &AdjustedRow)> = changes
            .iter()
            .filter_map(|change| {
                let row = change.adjusted.as_ref()?;
                Some((&change.payment_id, (&change.operation_id, row)))
            })
            .collect();
        let rows: Vec<Vec<Value>> = adjusted
            .iter()
            .map(|(payment_id, (_, row))| guarded_payment_row(payment_id, &row.adjustment))
            .collect();
        let rows = rows.iter().map(Vec::as_slice).collect();
        let returned = self.run(&GUARDED_PAYMENTS, rows, true).await?.returned;
        let mut states = Vec::with_capacity(returned.len());
        for row in &returned {
            let (payment_id, mut moved) = moved_payment(row).map_err(Fault::Refused)?;
            let Some((_, row)) = adjusted.get(&payment_id) else {
                continue;
            };
            // Refused below, and so is a state that can't take the event although its name is allowed.
            if row.only_version.is_some_and(|only| only != moved.version) {
                continue;
            }
            let Ok(state) = row.adjustment.state_after(&moved.state, &moved.amounts) else {
                continue;
            };
            states.push(payment_state_row(&payment_id, &state).map_err(Fault::Refused)?);
            moved.state = state;
            self.moved.insert(payment_id, moved);
        }
        for (payment_id, (operation_id, _)) in adjusted {
            if !self.moved.contains_key(payment_id) {
                let refused = LeftOut::Refused(Refusal::PaymentRefused);
                self.left_out.insert(Arc::clone(operation_id), refused);
            }
        }
        changes.retain(|change| !self.left_out.contains_key(&change.operation_id));
        let rows = states.iter().map(Vec::as_slice).collect();
        self.run(&PAYMENT_STATES, rows, false).await.map(drop)
    }

    /// The merchant is told of the payment as it is after its adjustment.
    async fn correct_answers(&mut self, changes: &[&ChangeRows]) -> Result<(), Fault> {
        let rows: Vec<Vec<Value>> = changes
            .iter()
            .filter_map(|change| {
                let payment = self.moved.get(&change.payment_id)?;
                let answer = moved_answer(change.answer()?, payment);
                Some(vec![(&change.operation_id).into(), answer])
            })
            .collect();
        let rows = rows.iter().map(Vec::as_slice).collect();
        self.run(&ANSWERS, rows, false).await.map(drop)
    }
}

/// A row of a step, whose key is the operation's own.
fn step_and_its_key(row: &[Value]) -> Option<(Arc<str>, Vec<Value>)> {
    match row.first() {
        Some(Value::Text(id)) => Some((Arc::clone(id), row.to_vec())),
        _ => None,
    }
}

/// By their keys, which come first: two nodes lock rows in the same order.
fn sort(rows: &mut [&[Value]]) {
    rows.sort_by(|one, other| one.iter().take(3).cmp(other.iter().take(3)));
}
