//! payswitch, a payment switch: merchants speak gRPC to it, banks speak ISO 8583 to it.
//!
//! The map, in the order in which an authorization meets the modules:
//!
//! - [`commands`]: the command line; each command is a file.
//! - [`app`]: puts the parts together, starts and drains them.
//! - [`config`]: the settings, one struct for each concern.
//! - [`grpc`]: what the doors have in common: TLS, connections, errors.
//! - [`merchant_api`]: where an authorization enters, over gRPC. [`admin_api`]: the door for operators.
//! - [`flows`]: one file for each kind of operation: what is recorded, and what an end means.
//! - [`operations`]: the one machine below every flow: record, send, record. [`ledger_seals`]: seals the ledger.
//!   [`settlement`]: the bank's days. [`reconciliation`]: what others say of the money.
//!   [`event_feed`]: hands what happens to those who watch.
//! - [`risk`]: limits on how often a card, a merchant or an address is tried.
//! - [`card`]: opens what the merchant sealed.
//! - [`hosts`]: where it leaves for a bank, as ISO 8583 over mutual TLS.
//! - [`store`]: keeps what was intended and what was answered; all SQL.
//! - [`payment`]: what a payment is, without any I/O. [`ledger`]: accounts and journals, without any I/O.
//! - [`pdf`]: pages on paper, for statements and for what people sign.
//! - [`shares`]: places that merchants and banks share, so that none takes another's.
//! - [`net`], [`clock`], [`random`]: sockets, time and randomness, handed to those who need them.
//! - [`stack`]: wipes what a computation on a card leaves there.
//! - [`telemetry`]: what the program says while it runs. [`metrics`]: what it counts. `traces`: what a call waited for.
//!   [`fault_points`]: where a test kills it.
//! - [`reloading`]: reads certificates, profiles and keys again while the gateway runs. [`x509`]: reads certificates and
//!   revocation lists.
//! - [`certs`]: makes the development PKI.
//!
//! ARCHITECTURE.md has the layers, what always holds, and what a new operation needs.

pub mod admin_api;
pub mod app;
pub mod card;
pub mod certs;
pub mod clock;
pub mod commands;
pub mod config;
pub mod event_feed;
pub mod fault_points;
pub mod flows;
pub mod grpc;
pub mod hosts;
pub mod ledger;
pub mod ledger_seals;
pub mod merchant_api;
pub mod metrics;
pub mod net;
pub mod operations;
pub mod payment;
pub mod pdf;
pub mod random;
pub mod reconciliation;
pub mod reloading;
pub mod risk;
pub mod settlement;
pub mod shares;
pub mod stack;
pub mod store;
pub mod telemetry;
mod traces;
pub mod x509;
