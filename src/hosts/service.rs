//! Taking a host out of service and back, and seeing whether it answers: what operators do.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::timeout;

use super::Hosts;
use super::circuit::CircuitView;
use super::host::Host;
use super::line::orders::{Echo, EchoRequest, Order};
use super::status::{HostStatus, LineState};
use crate::payment::ids::HostId;

/// How long the lines of a host may take to sign off or on before whoever asked is told that they have not.
const LINES_WITHIN: Duration = Duration::from_secs(10);
/// How much longer than the profile's time-out an echo is waited for: it may have to wait for the line's own.
const ECHO_MARGIN: Duration = Duration::from_millis(500);

/// A host, as operators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostView {
    /// Its lines and their states.
    pub status: HostStatus,
    /// Its address: `HOST:PORT`.
    pub address: String,
    /// Whether an operator has signed it off.
    pub signed_off: bool,
    /// Whether payments to it are sent.
    pub circuit: CircuitView,
}

/// What came of an echo on one line.
pub type LineEcho = Result<Echo, NoEcho>;

/// Why an echo was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoEcho {
    /// It was not sent.
    #[error("the line is not signed on")]
    NotSignedOn,
    /// Too many echoes are asked for already.
    #[error("the line has other echoes to send")]
    Busy,
    /// No answer came in time, and the line is connected anew; or it was lost before.
    #[error("the host did not answer in time")]
    NotAnswered,
}

impl Hosts {
    /// All hosts as operators see them, in the order of their names.
    #[must_use]
    pub fn views(&self) -> Vec<HostView> {
        let status = self.status().into_iter();
        let mut views: Vec<HostView> = status
            .zip(&self.hosts)
            .map(|(status, host)| HostView {
                status,
                address: host.endpoint.borrow().address.clone(),
                signed_off: *host.order.borrow() == Order::SignOff,
                circuit: host.circuit.view(),
            })
            .collect();
        views.sort_by_key(|view| view.status.host_id);
        views
    }

    /// Signs all lines of a host off and closes them, until [`sign_on`](Self::sign_on) or the end of this
    /// process. They take no new requests from now on, and wait for the answers to those in flight. Whether
    /// all of them are signed off within ten seconds; `None` when there is no such host.
    pub async fn sign_off(&self, host_id: HostId) -> Option<bool> {
        self.order(host_id, Order::SignOff, LineState::SignedOff)
            .await
    }

    /// Connects all lines of a host again and signs them on. Whether all of them are signed on within ten
    /// seconds; `None` when there is no such host.
    pub async fn sign_on(&self, host_id: HostId) -> Option<bool> {
        self.order(host_id, Order::Run, LineState::SignedOn).await
    }

    async fn order(&self, host_id: HostId, order: Order, state: LineState) -> Option<bool> {
        let host = self.host(host_id)?;
        host.order.send_if_modified(|current| {
            // The end is final.
            let changes = *current != order && *current != Order::End;
            if changes {
                *current = order;
            }
            changes
        });
        let mut status = self.watch();
        let all_there = |hosts: &Vec<HostStatus>| {
            let mut lines = hosts
                .iter()
                .filter(|host| host.host_id == host_id)
                .flat_map(|host| &host.lines);
            lines.all(|line| line.state == state)
        };
        let there = timeout(LINES_WITHIN, status.wait_for(all_there)).await;
        Some(there.is_ok_and(|seen| seen.is_ok()))
    }

    /// Sends an echo on each line of a host, and waits for the answers as long as its profile says; `None`
    /// when there is no such host.
    pub async fn echo(&self, host_id: HostId) -> Option<Vec<LineEcho>> {
        let host = self.host(host_id)?;
        Some(futures_util::future::join_all(host.echoes()).await)
    }
}

impl Host {
    /// Whether the host answers an echo on any of its lines; none where no line is there to send one.
    pub(super) async fn answers_echo(&self) -> Option<bool> {
        let echoes = futures_util::future::join_all(self.echoes()).await;
        if echoes.iter().any(Result::is_ok) {
            return Some(true);
        }
        echoes.contains(&Err(NoEcho::NotAnswered)).then_some(false)
    }

    /// An echo on each line.
    fn echoes(&self) -> impl Iterator<Item = impl Future<Output = LineEcho>> {
        let echo_timeout = self.profile.network.echo_timeout;
        let within = (echo_timeout.saturating_mul(2) + ECHO_MARGIN).min(LINES_WITHIN);
        self.lines.iter().map(move |line| async move {
            if !line.open.load(Ordering::Acquire) {
                return Err(NoEcho::NotSignedOn);
            }
            let (request, answered) = EchoRequest::new();
            line.echoes.try_send(request).map_err(|_| NoEcho::Busy)?;
            match timeout(within, answered).await {
                Ok(Ok(echo)) => Ok(echo),
                Ok(Err(_)) | Err(_) => Err(NoEcho::NotAnswered),
            }
        })
    }
}
