//! Seals of the ledger: made, written outside the database, and checked.
//!
//! - [`sealer`]: makes a seal every minute.
//! - [`seal_file`]: the seals outside the database.
//! - [`restoring`]: the database was restored from a backup.
//! - [`verification`]: what was changed in what is sealed.

pub mod restoring;
pub mod seal_file;
pub mod sealer;
pub mod verification;

#[cfg(test)]
mod tests;
