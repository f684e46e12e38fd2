//! What others say of the money, held against what this gateway says of it.
//!
//! - [`accounts`]: the bank accounts whose statements are taken in.
//! - [`statement`]: what a bank says that it has booked on one of them, read.
//! - [`statement_imports`]: takes statements in: each line once.
//! - [`matching`]: which payout or which day of a host a line is. [`references`]: the payouts that a line names.
//! - [`finding`]: what is not as it should be.

pub mod accounts;
pub mod finding;
pub mod matching;
pub mod references;
pub mod statement;
pub mod statement_imports;
#[cfg(test)]
mod tests;
