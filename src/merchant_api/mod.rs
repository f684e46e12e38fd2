//! Where an authorization enters: gRPC over TLS, in the order in which a call meets the modules.
//!
//! - [`server`]: puts the door together: listen, shake hands, serve, and stop when told.
//! - `accept`: accepts client connections, each step bounded.
//! - [`tls`]: TLS 1.3, and the merchant that a client certificate names.
//! - [`connection`]: who is connected, from where, since when; recorded.
//! - `gate`: what every call passes first: is there room, and who is calling; `caller_deadline`: for how
//!   long the caller waits.
//! - [`auth`]: one merchant, by API key or by client certificate.
//! - [`payments`]: PaymentService: authorize, and find again.
//! - `sealing`: SealingService: the keys to seal to, and session keys.
//! - [`records`]: what the door reads and writes in the store.
//! - [`from_proto`]: reads requests; the wire format stops there.
//! - `violations`, `clear_card`: what is wrong with a request, all of it, without repeating it.
//! - [`filter`], `page_token`: the filter of lists, and where their next page begins.
//! - `to_proto`: writes answers, and errors as statuses.
//! - [`client`]: the other end, for `payswitch load`, the demo and the tests.
//! - [`trailers`]: how long the bank and payswitch took.
//! - [`pb`]: what is generated from `proto/payswitch/v1`.

mod accept;
pub mod auth;
mod caller_deadline;
mod clear_card;
pub mod client;
pub mod connection;
pub mod filter;
pub mod from_proto;
mod gate;
mod page_token;
pub mod payments;
pub mod pb;
pub mod records;
mod sealing;
pub mod server;
pub mod tls;
mod to_proto;
pub mod trailers;
mod violations;
