//! What banks say of the days, compared with what payswitch has.
//!
//! - [`report_imports`]: takes in a bank's report, and finds the item of each line.
//! - [`rules`]: how lines find their items, as data; [`candidates`]: the items that lines may be about; `matching`, stage by
//!   stage. [`findings`]: what comes of it.
//! - [`discrepancies`]: what is done about what is otherwise. `corrections`: what payswitch does about it by itself.

pub mod candidates;
mod corrections;
pub mod discrepancies;
pub mod findings;
mod matching;
pub mod report_imports;
pub mod rules;
