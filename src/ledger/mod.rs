//! Money that moves: accounts, journals that sum to zero, and a template for each event.
//!
//! Pure, as `payment/` is. docs/ledger.md has the accounts and templates as tables, with their signs.
//!
//! - [`account`]: what a line is booked on.
//! - [`journal`]: lines that sum to zero for each currency, and the hash of what they say.
//! - [`template`]: which lines an event has.
//! - [`seal`]: what the ledger held up to a position, signed.

pub mod account;
pub mod journal;
pub mod seal;
pub mod template;
