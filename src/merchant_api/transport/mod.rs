//! What every call passes before its own code runs. The map, in the order in which a call meets the files:
//!
//! - [`trailers`]: how long the bank and payswitch took.
//! - `gate`: whether there is room, and who is calling.
//! - `body`: reads the request, within a second.
//! - [`auth`]: one merchant, by API key or by client certificate. [`api_key`]: how a key is made and checked.
//!   `known_callers`: who was looked up a moment ago.

pub mod api_key;
pub mod auth;
pub(super) mod body;
pub(super) mod gate;
mod known_callers;
pub mod trailers;
