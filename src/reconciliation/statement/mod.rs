//! Statements of bank accounts, read: camt.052 and camt.053, MT940, BAI2.
//!
//! Every format is handed out as the same parts ([`part`]): a statement begins, has lines, and ends. A file is read line by
//! line, or entry by entry, and never held as a whole. It is foreign: its size and its texts are bounded, and what is
//! wrong with it is an [`error`] with its place. What a file says of itself (counts, sums, balances) is checked. Nothing of
//! a file may count before all of it was read without an error.
//!
//! [`format`] chooses between [`camt`], [`mt940`] and [`bai2`].

pub mod bai2;
pub mod camt;
pub mod error;
pub mod format;
pub mod mt940;
pub mod part;
#[cfg(test)]
mod tests;
mod text;
