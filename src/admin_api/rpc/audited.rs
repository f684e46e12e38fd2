//! What all calls that change something have in common: who calls is looked at, a row of the audit trail is
//! recorded, and the same request again gets the same answer and no second row.
//!
//! A change of the database is recorded in one transaction with its row. Anything else is done after its row was
//! recorded without an outcome, in a task of its own, so that a caller that goes away leaves no row without one.

use std::sync::Arc;

use prost::Message;
use tonic::{Request, Response, Status};
use tracing::error;

use crate::admin_api::gate;
use crate::admin_api::read::{self, Asked, Changes};
use crate::admin_api::records::{self, AuditOutcome, OperatorChanged};
use crate::admin_api::show::errors::{Refusal, end_not_recorded, in_progress, request_id_reused};
use crate::clock::Clock;
use crate::grpc::status::{of_invalid_request, of_unavailable, store_unavailable};
use crate::grpc::violations::Findings;
use crate::payment::ids::{AuditId, OperatorName};
use crate::random::Random;
use crate::store::Store;
use crate::store::records::callers::{AuditRecord, OperatorRecord, OperatorRole};

/// The role that a change needs where it says nothing else.
const LEAST_ROLE: OperatorRole = OperatorRole::Operator;
/// How often a change of an operator is tried again when another one came first.
const CHANGE_ATTEMPTS: u32 = 3;

/// A call that changes something, as it was read.
pub(super) struct Call {
    /// Who calls.
    pub(super) caller: OperatorRecord,
    /// Its request.
    pub(super) asked: Asked,
    /// The role that it needs.
    pub(super) least_role: OperatorRole,
    /// Service and RPC, for instance `HostService.SignOffHost`.
    pub(super) action: &'static str,
    /// What it is about.
    pub(super) target: String,
}

/// Reads a call that changes something: who calls, and what `read` finds in its request beside. `target` says what that
/// is about, for the audit trail.
///
/// # Errors
/// When the caller is not known, or fields are wrong: all of them are named.
pub(super) fn read_call<R: Changes, T>(
    request: Request<R>,
    read: impl FnOnce(&mut Findings, &R) -> Option<T>,
    target: impl FnOnce(&T) -> String,
) -> Result<(Call, T), Status> {
    let caller = gate::caller(&request, OperatorRole::Viewer)?;
    let mut findings = Findings::default();
    let asked = read::asked(&mut findings, request.get_ref());
    let about = read(&mut findings, request.get_ref());
    let (asked, about) = findings
        .finish(asked.zip(about))
        .map_err(of_invalid_request)?;
    let target = target(&about);
    let call = Call {
        caller,
        asked,
        least_role: LEAST_ROLE,
        action: R::ACTION,
        target,
    };
    Ok((call, about))
}

/// The operator that a caller with this role wants to change.
///
/// # Errors
/// When there is none, or its role is above the caller's own.
pub(super) fn to_change(
    before: Option<&OperatorRecord>,
    caller_role: OperatorRole,
) -> Result<OperatorRecord, Refusal> {
    let before = before.ok_or(Refusal::OperatorNotFound)?;
    if before.role > caller_role {
        return Err(Refusal::RoleTooLow);
    }
    Ok(before.clone())
}

/// How something ended that can fail in one way.
pub(super) fn done_or(done: bool, failure: &str) -> AuditOutcome {
    if done {
        AuditOutcome::Done
    } else {
        AuditOutcome::Failed(failure.into())
    }
}

/// Does calls that change something, and records them.
#[derive(Clone)]
pub(in crate::admin_api) struct Audited {
    pub(in crate::admin_api) store: Store,
    pub(in crate::admin_api) clock: Arc<dyn Clock>,
    pub(in crate::admin_api) random: Random,
}

impl Audited {
    /// Records that the call began, does `effect`, and records how it ended.
    pub(super) async fn perform<A: Message + Default + 'static>(
        &self,
        call: Call,
        effect: impl Future<Output = Result<(A, AuditOutcome), Refusal>> + Send + 'static,
    ) -> Result<Response<A>, Status> {
        let row = self.row(&call)?;
        if call.caller.role < call.least_role {
            return self.refuse(row, Refusal::RoleTooLow).await;
        }
        if let Some(earlier) = self.record(&row).await? {
            return self.again(&earlier, &row);
        }
        let store = self.store.clone();
        let task = tokio::spawn(async move {
            let done = effect.await;
            let (outcome, encoded) = match &done {
                Ok((answer, outcome)) => (outcome.clone(), answer.encode_to_vec()),
                Err(refusal) => (AuditOutcome::Refused(refusal.reason().into()), Vec::new()),
            };
            let told = outcome.to_string();
            if let Err(error) = store.set_audit_outcome(row.id, &told, &encoded).await {
                error!(
                    audit.id = %row.id, %outcome, %error,
                    "The end of an operator's call could not be recorded"
                );
            }
            done
        });
        match task.await {
            Ok(Ok((answer, _))) => Ok(Response::new(answer)),
            Ok(Err(refusal)) => Err(refusal.status()),
            Err(_) => Err(end_not_recorded()),
        }
    }

    /// Changes the operator `name` as `decide` says, who is given the operator as it is recorded.
    pub(super) async fn change<A: Message + Default>(
        &self,
        call: Call,
        name: OperatorName,
        decide: impl Fn(Option<&OperatorRecord>) -> Result<OperatorRecord, Refusal> + Send,
        answer: fn(&OperatorRecord) -> A,
    ) -> Result<Response<A>, Status> {
        let mut row = self.row(&call)?;
        if call.caller.role < call.least_role {
            return self.refuse(row, Refusal::RoleTooLow).await;
        }
        for _ in 0..CHANGE_ATTEMPTS {
            let before = self.store.operator(name.as_str()).await;
            let before = before.map_err(|error| of_unavailable(&error))?;
            let after = match decide(before.as_ref()) {
                Ok(after) => after,
                Err(refusal) => return self.refuse(row, refusal).await,
            };
            let told = answer(&after);
            row.outcome = Some(AuditOutcome::Done.to_string());
            row.answer = told.encode_to_vec();
            let changed = records::change_operator(&self.store, before.as_ref(), &after, &row);
            let changed = changed.await;
            match changed.map_err(|error| of_unavailable(&error))? {
                OperatorChanged::Done => return Ok(Response::new(told)),
                OperatorChanged::RequestTaken(earlier) => return self.again(&earlier, &row),
                OperatorChanged::LastApprover => {
                    return self.refuse(row, Refusal::LastApprover).await;
                }
                OperatorChanged::Superseded => {}
            }
        }
        Err(store_unavailable())
    }

    fn row(&self, call: &Call) -> Result<AuditRecord, Status> {
        let at = self.clock.now();
        let random = self.random.bytes_for_name().map_err(|error| {
            error!(%error, "An audit row could not be named");
            store_unavailable()
        })?;
        Ok(AuditRecord {
            id: AuditId::from_parts(at, random),
            at,
            operator: call.caller.name.clone(),
            action: call.action.to_owned(),
            target: call.target.clone(),
            reason: call.asked.reason.clone(),
            request_id: call.asked.request_id.clone(),
            body_hash: call.asked.body_hash,
            outcome: None,
            answer: Vec::new(),
        })
    }

    async fn record(&self, row: &AuditRecord) -> Result<Option<AuditRecord>, Status> {
        let recorded = records::record(&self.store, row).await;
        recorded.map_err(|error| of_unavailable(&error))
    }

    /// Records that the call was refused. A request that was recorded before is answered as it was then.
    async fn refuse<A: Message + Default>(
        &self,
        mut row: AuditRecord,
        refusal: Refusal,
    ) -> Result<Response<A>, Status> {
        row.outcome = Some(AuditOutcome::Refused(refusal.reason().into()).to_string());
        row.answer.clear();
        match self.record(&row).await? {
            Some(earlier) => self.again(&earlier, &row),
            None => Err(refusal.status()),
        }
    }

    /// The answer to a request that was recorded before.
    fn again<A: Message + Default>(
        &self,
        earlier: &AuditRecord,
        row: &AuditRecord,
    ) -> Result<Response<A>, Status> {
        if earlier.body_hash != row.body_hash || earlier.action != row.action {
            return Err(request_id_reused());
        }
        let Some(outcome) = &earlier.outcome else {
            let age_ms = row.at.as_i64().saturating_sub(earlier.at.as_i64());
            let limit = gate::answered_within(&row.action).as_millis();
            let may_run = u128::try_from(age_ms).is_ok_and(|ms| ms < limit);
            return Err(if may_run {
                in_progress()
            } else {
                end_not_recorded()
            });
        };
        match outcome.parse() {
            Ok(AuditOutcome::Refused(reason)) => Err(reason
                .parse::<Refusal>()
                .map_or_else(|_| end_not_recorded(), Refusal::status)),
            Ok(AuditOutcome::Done | AuditOutcome::Failed(_)) => A::decode(&*earlier.answer)
                .map(Response::new)
                .map_err(|error| {
                    error!(audit.id = %earlier.id, %error, "A recorded answer can't be read");
                    end_not_recorded()
                }),
            Err(error) => {
                error!(audit.id = %earlier.id, %error, "A recorded outcome can't be read");
                Err(end_not_recorded())
            }
        }
    }
}

#[cfg(test)]
mod tests;
