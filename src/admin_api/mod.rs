//! The operators' door: gRPC over mutual TLS, on a listener and under a root of its own. The map, in the order
//! in which a call meets the modules:
//!
//! - [`server`]: listens, serves the services, and stops when told.
//! - `gate`: whether there is room, and which operator is calling; one log line for each call.
//! - `rpc`: one file for each call. `rpc/audited` is what all calls that change something have in common.
//! - `read`: reading requests; `show`: answers. [`explain`]: one payment in words.
//! - [`records`]: operators and the audit trail in the store. [`lines`]: the lines to the bank hosts. [`sealing_keys`]: the
//!   folder of sealing keys, and what gateways have found in it.
//! - `metrics_page`: what the gateway counts, for Prometheus.
//! - [`pb`]: what is generated from `proto/payswitch/admin/v1`.
//!
//! To add a call: its messages in `proto/`, its file in `rpc/`, and its line in the service's `impl`. One that
//! changes something goes through `audited`.

pub mod explain;
mod gate;
pub mod lines;
mod metrics_page;
pub mod pb;
mod read;
pub mod records;
mod rpc;
pub mod sealing_keys;
pub mod server;
mod show;
#[cfg(test)]
mod testing;
