//! Which host a payment goes to.

use crate::payment::ids::HostId;
use crate::payment::merchant::Merchant;
use crate::payment::operation_kind::OperationKind;
use crate::payment::reference::Mti;

use super::profile::HostProfile;

/// Where a payment goes, and what the flow must know of that host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The host.
    pub host_id: HostId,
    /// The message type that the host's profile says.
    pub mti: Mti,
}

/// A payment that can't go anywhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// The merchant's acquirer has no profile.
    #[error("expected the merchant's acquirer to be one of the hosts {known}, got {got}")]
    UnknownHost {
        /// The hosts there are.
        known: String,
        /// The merchant's acquirer.
        got: HostId,
    },
    /// The profile of the merchant's acquirer has no such message.
    #[error("expected a message {kind} in the profile of host {host_id}, got none")]
    NoMessage {
        /// The host.
        host_id: HostId,
        /// The operation, as a profile names it.
        kind: &'static str,
    },
}

/// The route of a merchant's card payments: its acquirer, which asks the issuer.
pub(super) fn route<'a>(
    merchant: &Merchant,
    kind: OperationKind,
    profiles: impl Iterator<Item = &'a HostProfile> + Clone,
) -> Result<Route, RouteError> {
    let known = profiles.clone();
    let mut profiles = profiles;
    let profile = profiles
        .find(|profile| profile.host_id == merchant.acquirer)
        .ok_or_else(|| RouteError::UnknownHost {
            known: known
                .map(|profile| profile.host_id.as_str())
                .collect::<Vec<_>>()
                .join(", "),
            got: merchant.acquirer,
        })?;
    let mapping = profile
        .messages
        .get(kind)
        .and_then(|message| message.mapping.as_ref());
    let mti = mapping.map(|mapping| mapping.recorded_mti);
    Ok(Route {
        host_id: profile.host_id,
        mti: mti.ok_or(RouteError::NoMessage {
            host_id: profile.host_id,
            kind: kind.name(),
        })?,
    })
}
