//! The generated side of `proto/payswitch/admin/v1`: messages, the server's traits and the clients.
#![expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    unused_qualifications,
    reason = "the code is generated, and marks itself so"
)]

use std::fmt;

tonic::include_proto!("payswitch.admin.v1");

/// The compiled .proto files, imports and comments included: what reflection serves.
pub const FILE_DESCRIPTOR_SET: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/payswitch.admin.v1.bin"));

impl fmt::Debug for ProposePayoutAccountRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProposePayoutAccountRequest")
            .finish_non_exhaustive()
    }
}
