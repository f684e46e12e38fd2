//! Data keys. The key itself is never shown.

use crate::admin_api::pb;
use crate::grpc::time::timestamp;
use crate::store::records::CustodyKey;

/// A key.
pub(in crate::admin_api) fn data_key(key: CustodyKey) -> pb::DataKey {
    pb::DataKey {
        key_version: key.key_version,
        create_time: Some(timestamp(key.created_at)),
        expire_time: Some(timestamp(key.expires_at)),
        entry_count: key.entries,
    }
}
