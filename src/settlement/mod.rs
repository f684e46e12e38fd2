//! The end of the bank's day.
//!
//! - [`days`]: each host has one day that is open; a cutover ends it, and its batches are made.
//! - [`agreement`]: totals are agreed with the host, and batches are funded.
//! - [`rounding`]: fractions of minor units, and shares of a total.
//! - [`fee_plan`]: what a merchant pays, as its operator wrote it. [`fees`]: what one item costs by it.
//! - [`charging`]: the fees of each batch, before it is funded.
//! - [`payout_plan`]: when and what a merchant is paid. [`payout`]: the decision of one day. [`payouts`]: payouts are made
//!   and ordered ([`durable_file`]). [`payout_notices`]: what the bank says became of them.
//! - [`merchant_terms`]: both plans of each merchant, and the account that its payouts go to ([`payout_account`]).
//! - [`decimal`]: amounts as files write them. [`bank_account`]: where money goes to.
//! - [`pain001`]: payouts as an order to the bank. [`camt054`]: what the bank says became of them.
//! - [`statement`]: what moved on a merchant's account in a period, as CSV and PDF.

pub mod agreement;
pub mod bank_account;
pub mod camt054;
pub mod charging;
pub mod days;
pub mod decimal;
pub mod durable_file;
pub mod fee_plan;
pub mod fees;
pub mod merchant_terms;
pub mod pain001;
pub mod payout;
pub mod payout_account;
pub mod payout_notices;
pub mod payout_plan;
pub mod payouts;
pub mod rounding;
pub mod statement;
#[cfg(test)]
mod tests;
