//! What banks say of the money, compared with what payswitch has.
//!
//! - [`report_imports`]: takes in a bank's report, and finds the item of each line. [`given_report`]: what comes of that, and
//!   why it may not be applied. `report_reading`: the file itself; `report_cycles`: one of several. `report_chunks`: its lines as
//!   they come, some at a time. `report_items`: what they may be about, looked up.
//! - [`rules`]: how lines find their items, as data; [`candidates`]: the items that lines may be about; `matching`, stage by
//!   stage. [`findings`]: what comes of it. `kept_fees`: the fees of matched
//!   lines, beside what is agreed.
//! - `asked`: what lines may be about that is no item. `reported_ends`: ends what nobody knew the outcome of.
//! - [`discrepancies`]: what is otherwise, looked up. `steps`: what is done about it; `corrections`: what payswitch does by itself.
//! - [`accounts`]: the bank accounts whose statements are taken in.
//! - [`statement`]: what a bank says that it has booked on one of them, read.
//! - [`statement_imports`]: takes statements in: each line once.
//! - [`statement_matching`]: which payout or which day of a host a line is. [`references`]: the payouts that a line names.
//!   `account_findings`: what an account has otherwise, and what it misses. `account_steps`: what is done about that.

mod account_findings;
mod account_steps;
pub mod accounts;
pub mod asked;
pub mod candidates;
mod corrections;
pub mod discrepancies;
pub mod findings;
pub mod given_report;
mod kept_fees;
mod matching;
pub mod references;
mod report_chunks;
mod report_cycles;
pub mod report_imports;
mod report_items;
mod report_reading;
pub mod reported_ends;
pub mod rules;
pub mod statement;
pub mod statement_imports;
pub mod statement_matching;
mod steps;
#[cfg(test)]
mod tests;
