//! Seals of the ledger: made, written outside the database, and checked.
//!
//! - [`sealer`]: makes a seal every minute.
//! - [`seal_file`]: the seals outside the database.
//! - [`verification`]: what was changed in what is sealed.

pub mod seal_file;
pub mod sealer;
pub mod verification;

#[cfg(test)]
mod tests;
