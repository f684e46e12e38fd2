//! The generated side of `proto/payswitch/admin/v1`: messages, the server's traits and the clients.
#![expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    unused_qualifications,
    reason = "the code is generated, and marks itself so"
)]

tonic::include_proto!("payswitch.admin.v1");

/// The compiled .proto files, imports and comments included: what reflection serves.
pub const FILE_DESCRIPTOR_SET: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/payswitch.admin.v1.bin"));
