//! What the calls share to answer.
//!
//! - [`payment`]: a payment, in each of its states. [`outcome`]: why one was declined, failed or is pending.
//! - [`operation`]: an exchange with a bank. [`balance`]: what the merchant is owed.
//! - [`capture`]: a capture. [`increment`]: what became of an increment. [`refund`]: a refund. [`refusal`]: why a later
//!   operation is refused.
//! - [`verification`]: whether a card is good. [`event`]: what happened to a payment.
//! - [`settlement`]: days and batches. [`discrepancy`]: what a bank has otherwise.
//! - [`money`]: amounts. [`errors`]: errors of several calls.

pub(super) mod balance;
pub(super) mod capture;
pub(super) mod discrepancy;
pub(super) mod errors;
pub(super) mod event;
pub(super) mod increment;
pub(super) mod money;
pub(super) mod operation;
mod outcome;
pub(super) mod payment;
pub(super) mod payout;
pub(super) mod refund;
pub(super) mod refusal;
mod release;
pub(super) mod settlement;
pub(super) mod verification;
