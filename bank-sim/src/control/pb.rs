//! The generated side of `proto/banksim/v1`: messages, the server's trait and the client. The comments on its
//! items are those of the .proto file.
#![expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    unused_qualifications,
    reason = "the code is generated, and marks itself so"
)]

tonic::include_proto!("banksim.v1");

/// The compiled .proto files, imports and comments included: what reflection serves.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/banksim.v1.bin"));
