//! The merchant API: gRPC over TLS. The map, in the order in which a call meets the modules:
//!
//! - [`server`]: listens, serves the services, and stops when told.
//! - [`transport`]: what every call passes: the trailers, whether there is room, who is calling, the body. TLS and
//!   connections are in [`grpc`](crate::grpc).
//! - [`rpc`]: one file for each call: read the request, run the flow or the look-up, show the answer.
//! - `read`: what the calls share to read a request: money, texts, filters, and what is wrong with it.
//! - `show`: what the calls share to answer: payments, and errors as statuses.
//! - [`records`]: what the API reads and writes in the store.
//! - [`client`]: the other end, for `payswitch load`, the demo and the tests.
//! - [`pb`]: what is generated from `proto/payswitch/v1`.
//!
//! To add a call: its messages in `proto/`, its file in `rpc/`, and its line in the service's `impl`.

pub mod client;
pub mod pb;
pub mod read;
pub mod records;
pub mod rpc;
pub mod server;
mod show;
#[cfg(test)]
mod testing;
pub mod transport;
