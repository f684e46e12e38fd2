//! Doubles of what is behind the door: operators and the audit trail in memory, and lines that do as they are
//! told.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tonic::async_trait;

use super::lines::HostLines;
use super::records::{AuditOutcome, OperatorChanged, OperatorRecords};
use crate::grpc::records::RecordsUnavailable;
use crate::hosts::line::orders::Echo;
use crate::hosts::service::{HostView, LineEcho, NoEcho};
use crate::hosts::status::{HostStatus, LineState, LineStatus};
use crate::payment::decline::ResponseCode;
use crate::payment::ids::{AuditId, HostId};
use crate::payment::moment::UnixMillis;
use crate::store::records::{AuditRecord, OperatorRecord, OperatorRole};

/// When everything happens.
pub(super) const NOW: UnixMillis = UnixMillis::new(1_763_757_000_123);

/// An operator with this role, added by `alice`.
pub(super) fn operator(name: &str, role: OperatorRole) -> OperatorRecord {
    OperatorRecord {
        name: name.into(),
        role,
        active: true,
        created_at: NOW,
        created_by: "alice".into(),
    }
}

/// What the store does, in memory.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) operators: Mutex<Vec<OperatorRecord>>,
    pub(super) rows: Mutex<Vec<AuditRecord>>,
    /// Whether everything fails.
    pub(super) down: AtomicBool,
}

impl Memory {
    fn reachable(&self) -> Result<(), RecordsUnavailable> {
        if self.down.load(Ordering::Relaxed) {
            let reason = "disk on fire".to_owned();
            return Err(RecordsUnavailable { reason });
        }
        Ok(())
    }

    fn taken(&self, row: &AuditRecord) -> Option<AuditRecord> {
        let rows = self.rows.lock().unwrap();
        let mut same = rows.iter().filter(|other| {
            (&other.operator, &other.request_id) == (&row.operator, &row.request_id)
        });
        same.next().cloned()
    }
}

#[async_trait]
impl OperatorRecords for Memory {
    async fn operator(&self, name: &str) -> Result<Option<OperatorRecord>, RecordsUnavailable> {
        self.reachable()?;
        let operators = self.operators.lock().unwrap();
        Ok(operators.iter().find(|it| it.name == name).cloned())
    }

    async fn operators(&self) -> Result<Vec<OperatorRecord>, RecordsUnavailable> {
        self.reachable()?;
        Ok(self.operators.lock().unwrap().clone())
    }

    async fn change_operator(
        &self,
        before: Option<&OperatorRecord>,
        after: &OperatorRecord,
        row: &AuditRecord,
    ) -> Result<OperatorChanged, RecordsUnavailable> {
        self.reachable()?;
        if let Some(taken) = self.taken(row) {
            return Ok(OperatorChanged::RequestTaken(Box::new(taken)));
        }
        let mut operators = self.operators.lock().unwrap();
        if operators.iter().find(|it| it.name == after.name) != before {
            return Ok(OperatorChanged::Superseded);
        }
        let approves = |it: &OperatorRecord| it.active && it.role == OperatorRole::Approver;
        let others = operators.iter().filter(|it| it.name != after.name);
        if before.is_some_and(approves) && !approves(after) && !others.clone().any(approves) {
            return Ok(OperatorChanged::LastApprover);
        }
        operators.retain(|it| it.name != after.name);
        operators.push(after.clone());
        self.rows.lock().unwrap().push(row.clone());
        Ok(OperatorChanged::Done)
    }

    async fn record(&self, row: &AuditRecord) -> Result<Option<AuditRecord>, RecordsUnavailable> {
        self.reachable()?;
        let taken = self.taken(row);
        if taken.is_none() {
            self.rows.lock().unwrap().push(row.clone());
        }
        Ok(taken)
    }

    async fn conclude(
        &self,
        id: AuditId,
        outcome: &AuditOutcome,
        answer: &[u8],
    ) -> Result<(), RecordsUnavailable> {
        self.reachable()?;
        let mut rows = self.rows.lock().unwrap();
        let row = rows.iter_mut().find(|row| row.id == id).unwrap();
        row.outcome = Some(outcome.to_string());
        row.answer = answer.to_vec();
        Ok(())
    }

    async fn audit_trail(
        &self,
        limit: usize,
        after: Option<AuditId>,
    ) -> Result<Vec<AuditRecord>, RecordsUnavailable> {
        self.reachable()?;
        let rows = self.rows.lock().unwrap();
        let older = rows
            .iter()
            .rev()
            .skip_while(|row| after.is_some_and(|after| row.id != after))
            .skip(usize::from(after.is_some()));
        Ok(older.take(limit).cloned().collect())
    }
}

/// One host, `acquirer`, with one line.
#[derive(Default)]
pub(super) struct Lines {
    pub(super) signed_off: AtomicBool,
    /// Whether the line does not get there in time, and answers no echo.
    pub(super) stuck: AtomicBool,
    /// How often something was asked of the host.
    pub(super) asked: AtomicU32,
}

impl Lines {
    fn ask<T>(&self, host_id: HostId, answer: impl FnOnce() -> T) -> Option<T> {
        (host_id.as_str() == "acquirer").then(|| {
            self.asked.fetch_add(1, Ordering::Relaxed);
            answer()
        })
    }
}

#[async_trait]
impl HostLines for Lines {
    fn hosts(&self) -> Vec<HostView> {
        let signed_off = self.signed_off.load(Ordering::Relaxed);
        let state = if signed_off {
            LineState::SignedOff
        } else {
            LineState::SignedOn
        };
        let line = LineStatus {
            state,
            since: NOW,
            signed_on: !signed_off,
            in_flight: 3,
            last_fault: Some("the host closed the connection".into()),
        };
        vec![HostView {
            status: HostStatus {
                host_id: "acquirer".parse().unwrap(),
                required: true,
                lines: vec![line],
            },
            address: "acquirer.bank.test:9443".into(),
            signed_off,
        }]
    }

    async fn sign_off(&self, host_id: HostId) -> Option<bool> {
        self.ask(host_id, || {
            self.signed_off.store(true, Ordering::Relaxed);
            !self.stuck.load(Ordering::Relaxed)
        })
    }

    async fn sign_on(&self, host_id: HostId) -> Option<bool> {
        self.ask(host_id, || {
            self.signed_off.store(false, Ordering::Relaxed);
            !self.stuck.load(Ordering::Relaxed)
        })
    }

    async fn echo(&self, host_id: HostId) -> Option<Vec<LineEcho>> {
        self.ask(host_id, || {
            vec![if self.stuck.load(Ordering::Relaxed) {
                Err(NoEcho::NotAnswered)
            } else {
                Ok(Echo {
                    response_code: Some(ResponseCode::APPROVED),
                    took: Duration::from_micros(1234),
                })
            }]
        })
    }
}
