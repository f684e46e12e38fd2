//! Limits on how often a card, a merchant or an address is tried: what is over one goes to no bank.
//!
//! A count is kept in memory, by a keyed hash of the card number, and each node tells the others twice a second what it
//! has counted (`exchange`). So an authorization waits for nothing, and no row is written by two nodes.
//!
//! - [`limit`]: one limit, from the settings. `window`: how much counts in a window that slides.
//! - `table`: the counts in memory, bounded. [`limits`]: takes an attempt, or says which limit is reached.
//! - [`exchange`]: the counts of all nodes. [`subject`]: what operators look up and release.

pub mod exchange;
pub mod limit;
pub mod limits;
pub mod subject;
mod table;
mod window;
