//! Where an authorization enters: gRPC over TLS, one file for each concern.
//!
//! - [`pb`]: what is generated from `proto/payswitch/v1`.

pub mod pb;
