//! What a payment is: pure values and the rules between them.
//!
//! No async, no clock, no I/O: everything here is decided from its arguments, so that every rule can
//! be tested as a table.
//!
//! - [`money`]: amounts in minor units with their ISO 4217 currency.
//! - [`ids`]: prefixed, sortable identifiers.
//! - [`moment`]: wall-clock milliseconds and the business date.
//! - [`reference`]: STAN and RRN, the numbers under which a bank knows a message.
//! - [`decline`]: response codes, why a payment was declined, why one failed.
//! - [`state`]: the states of a payment and the one function that moves between them.
//! - [`operation`]: the states of one exchange with a host.
//! - [`merchant`]: who may take payments.
//! - [`record`]: `Payment` and `Operation`, the records everything else passes around.

pub mod decline;
pub mod ids;
pub mod merchant;
pub mod moment;
pub mod money;
pub mod operation;
pub mod record;
pub mod reference;
pub mod state;
