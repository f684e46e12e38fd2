//! The bank hosts, as far as operators act on them.

use std::sync::Arc;

use tonic::async_trait;

use crate::hosts::Hosts;
use crate::hosts::service::{HostView, LineEcho};
use crate::payment::ids::HostId;

/// Whose lines are signed off and on.
#[async_trait]
pub trait HostLines: Send + Sync + 'static {
    /// All hosts, in the order of their names.
    fn hosts(&self) -> Vec<HostView>;

    /// Signs all lines of a host off until [`sign_on`](Self::sign_on), and waits a bounded time for them.
    /// Whether all of them are; `None` when there is no such host.
    async fn sign_off(&self, host_id: HostId) -> Option<bool>;

    /// Signs all lines of a host on, and waits a bounded time for them. Whether all of them are; `None` when
    /// there is no such host.
    async fn sign_on(&self, host_id: HostId) -> Option<bool>;

    /// Sends an echo on each line of a host, and waits a bounded time for the answers; `None` when there is
    /// no such host.
    async fn echo(&self, host_id: HostId) -> Option<Vec<LineEcho>>;
}

#[async_trait]
impl HostLines for Arc<Hosts> {
    fn hosts(&self) -> Vec<HostView> {
        self.views()
    }

    async fn sign_off(&self, host_id: HostId) -> Option<bool> {
        Hosts::sign_off(self, host_id).await
    }

    async fn sign_on(&self, host_id: HostId) -> Option<bool> {
        Hosts::sign_on(self, host_id).await
    }

    async fn echo(&self, host_id: HostId) -> Option<Vec<LineEcho>> {
        Hosts::echo(self, host_id).await
    }
}

/// The host of this name.
pub(super) fn named(lines: &dyn HostLines, host_id: HostId) -> Option<HostView> {
    let mut hosts = lines.hosts().into_iter();
    hosts.find(|host| host.status.host_id == host_id)
}
