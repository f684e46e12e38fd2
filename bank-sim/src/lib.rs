//! Simulated banks: an acquirer and issuers with accounts and money, which speak ISO 8583 over mutual
//! TLS. Never depends on the switch that it is the neighbour of.
//!
//! The modules, in the order in which a message meets them:
//!
//! - [`config`]: what to simulate; [`sim`]: starts it, and is the handle to what runs.
//! - `tls`: TLS 1.3, mutual, a private root for each host.
//! - `host`: a listener and its connections; `wire`: bytes, frames, codecs; [`iso8583_rs_codec`]:
//!   another project's codec in a process of its own.
//! - `message`: a message apart from any dialect; `network`: sign-on, sign-off, echo.
//! - `acquirer`: forwards by BIN over its own links and relays the answers.
//! - [`issuer`]: accounts, rules and holds; [`response_code`]: what DE 39 can say.
//! - [`test_cards`]: the cards and the amounts that provoke every answer.
//! - [`tap`] and [`counters`]: what a test or a demo sees of it all; [`clock`]: time as an argument.

mod acquirer;
mod host;
mod message;
mod network;
mod tls;
mod wire;

pub mod clock;
pub mod config;
pub mod counters;
pub mod iso8583_rs_codec;
pub mod issuer;
pub mod response_code;
pub mod sim;
pub mod tap;
pub mod test_cards;

pub use acquirer::MAX_REMEMBERED_ORIGINALS;
pub use config::SimConfig;
pub use host::MAX_CONNECTIONS;
pub use iso8583_rs_codec::run_codec_child_if_asked;
pub use sim::{BankSim, RunningSim, SimError};
pub use tls::TlsError;
