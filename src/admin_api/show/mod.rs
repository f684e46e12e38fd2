//! Answers.
//!
//! - [`host`]: hosts and their lines. [`operator`]: operators. [`audit`]: entries of the audit trail.
//!   [`data_key`]: data keys of cards in custody.
//!   [`explanation`]: a payment explained. [`owed`]: what is owed to banks. [`ledger`]: balances, journals, and what is
//!   not as it was sealed. [`report`]: what banks report. [`discrepancy`]: what they have otherwise.
//!   [`sealing_key`]: sealing keys. [`risk`]: limits, and what was counted.
//! - [`errors`]: the errors that are this door's alone.

pub(super) mod audit;
pub(super) mod bank_statement;
pub(super) mod business_day;
pub(super) mod data_key;
pub(super) mod discrepancy;
pub(super) mod errors;
pub(super) mod explanation;
pub(super) mod host;
pub(super) mod ledger;
pub(super) mod merchant_terms;
pub(super) mod operator;
pub(super) mod owed;
pub(super) mod payouts;
pub(super) mod report;
pub(super) mod risk;
pub(super) mod sealing_key;
