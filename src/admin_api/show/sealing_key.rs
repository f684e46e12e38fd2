//! Sealing keys.

use pb::SealingKeyState as Shown;

use crate::admin_api::pb;
use crate::admin_api::sealing_keys::ShownKey;
use crate::grpc::time::timestamp;
use crate::store::records::keys::SealingKeyState;

/// A key that cards are sealed to.
pub(in crate::admin_api) fn sealing_key(key: ShownKey) -> pb::SealingKey {
    let state = match key.state {
        SealingKeyState::Upcoming => Shown::Upcoming,
        SealingKeyState::Active => Shown::Active,
        SealingKeyState::Retiring => Shown::Retiring,
        SealingKeyState::Retired => Shown::Retired,
    };
    pb::SealingKey {
        kid: key.kid,
        algorithm: key.algorithm,
        state: state.into(),
        since_time: Some(timestamp(key.since)),
        next_time: key.next_from.map(timestamp),
        last_use_time: key.used_at.map(timestamp),
        on_this_gateway: key.is_here,
    }
}
