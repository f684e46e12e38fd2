//! The one machine below every flow: it records what is intended, sends it, and records its end.
//!
//! - [`flow`]: what a flow is, and the table of flows by the kind of their operations. [`basis`]: what it begins on.
//!   [`plan`]: what it wants recorded.
//! - [`new_card`]: a card that comes with a request. [`later`]: why a later operation of a recorded payment is refused.
//! - [`giving_back`]: plans of what is given back to a cardholder, which several flows make.
//! - [`acknowledgement`]: what a host's answer to a message that is repeated says.
//! - [`call`]: the input of an operation, its result, and its errors.
//! - [`machine`]: what the machine is made of; its limits, and its drain.
//! - [`card_custody`]: keeps the card of a payment, sealed, for messages that may still have to be sent.
//! - `kept_card`: the card of a later message.
//! - `intent`: the records that a plan makes; [`resource`]: a capture or a refund among them. `begin`: records them,
//!   sends the message, waits for the bank.
//! - [`cancel`]: cancels a request by its name.
//! - [`conclude`]: records the end, and only then lets it be told.
//! - `owe`: makes what an intent or an outcome owes; `owed`: sends what is owed to each host, of which
//!   `owed_queue` knows what is in hand; `attempt`: sends
//!   one such message once, and records what came of it; [`resolve_owed`]: what operators and reports do with it;
//!   [`resolution`]: what becomes of it by what was found out.
//! - `hold`: what a bank holds, message by message, and which messages a release undoes. `increments`: what is owed
//!   where an incremented payment is voided.
//! - `outcome`: the end of an operation; `in_progress`: what this process is working on, and ends that the store
//!   has not taken yet.
//! - `node_liveness`: which nodes are dead.
//! - [`expiry`]: ends payments whose hold has ended by itself.
//! - `recovery`: gives an end to what a dead node left.
//! - `late_responses`: answers that came too late, and messages that match nothing; `late_answer`: what follows from
//!   them.

pub mod acknowledgement;
pub(crate) mod attempt;
pub mod basis;
mod begin;
pub mod call;
pub mod cancel;
pub mod card_custody;
pub mod conclude;
pub mod expiry;
pub mod flow;
pub mod giving_back;
pub(crate) mod hold;
mod in_progress;
pub(crate) mod increments;
pub(crate) mod intent;
mod kept_card;
pub(crate) mod late_answer;
mod late_responses;
pub mod later;
pub mod machine;
pub mod new_card;
mod node_liveness;
pub(crate) mod outcome;
pub(crate) mod owe;
mod owed;
mod owed_queue;
pub(crate) mod owed_step;
pub mod plan;
mod recovery;
pub mod resolution;
pub mod resolve_owed;
pub mod resource;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
