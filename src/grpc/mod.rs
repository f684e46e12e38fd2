//! What the doors have in common: gRPC over TLS 1.3, before a call reaches its own code and after it has left
//! it. The map, in the order in which a call meets the files:
//!
//! - [`accept`]: accepts client connections, each step bounded. [`places`]: how many there may be, and which one makes room
//!   for another.
//! - [`tls`]: TLS 1.3, and the party that a client certificate names.
//! - [`connection`]: who is connected, from where, since when. [`records`]: where that is recorded.
//!   `shown`: the certificates that clients have shown, which are asked again while their connections are open.
//! - [`server`]: the limits of HTTP/2, health and reflection. [`free_calls`]: how many of these there may be.
//! - [`caller_deadline`]: how long the caller waits.
//! - [`codec`]: messages as bytes.
//! - [`body_hash`]: what "the same request again" is judged by.
//! - [`text`], [`page`]: reading what requests have in common. [`violations`]: what is wrong with a request,
//!   without repeating what was sent.
//! - [`time`]: moments. [`status`]: errors as gRPC statuses.
//! - [`client`]: the other end, for commands and tests.

pub(crate) mod accept;
pub(crate) mod body_hash;
pub(crate) mod caller_deadline;
pub mod client;
pub(crate) mod codec;
pub(crate) mod connection;
pub(crate) mod free_calls;
pub(crate) mod page;
pub(crate) mod places;
pub mod records;
pub mod server;
mod shown;
pub(crate) mod status;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod text;
pub(crate) mod time;
pub mod tls;
pub(crate) mod violations;
