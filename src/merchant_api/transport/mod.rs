//! What every call passes before its own code runs. The map, in the order in which a call meets the files:
//!
//! - `accept`: accepts client connections, each step bounded.
//! - [`tls`]: TLS 1.3, and the merchant that a client certificate names.
//! - [`connection`]: who is connected, from where, since when; recorded.
//! - [`trailers`]: how long the bank and payswitch took.
//! - `gate`: whether there is room, and who is calling. `caller_deadline`: how long the caller waits.
//! - `body`: reads the request, within a second.
//! - [`auth`]: one merchant, by API key or by client certificate. [`api_key`]: how a key is made and checked.
//!   `known`: what was looked up a moment ago.

pub(super) mod accept;
pub mod api_key;
pub mod auth;
pub(super) mod body;
mod caller_deadline;
pub mod connection;
pub(super) mod gate;
mod known;
pub mod tls;
pub mod trailers;
