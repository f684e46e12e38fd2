//! An operator, and lines that do as they are told.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tonic::async_trait;

use super::lines::HostLines;
use crate::hosts::circuit::{CircuitState, CircuitView};
use crate::hosts::line::orders::Echo;
use crate::hosts::service::{HostView, LineEcho, NoEcho};
use crate::hosts::status::{HostStatus, LineState, LineStatus};
use crate::payment::decline::ResponseCode;
use crate::payment::ids::HostId;
use crate::payment::moment::UnixMillis;
use crate::store::records::callers::{OperatorRecord, OperatorRole};

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
            unmatched: 0,
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
            circuit: CircuitView {
                state: CircuitState::Closed,
                since: NOW,
            },
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
