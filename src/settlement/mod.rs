//! The end of the bank's day.
//!
//! - [`days`]: each host has one day that is open; a cutover ends it, and its batches are made.
//! - [`agreement`]: totals are agreed with the host. [`funding`]: batches are funded, and the day is settled.
//!   [`settled_events`]: their merchants are told of each item.
//! - [`clearing`]: the clearing file, which claims captures and refunds, and the bank's answer to it.
//!   [`clearing_files`]: writes that of a day. [`clearing_answers`]: takes the answer in.
//! - [`report`]: the bank's settlement report. [`spool`]: a file on its way in.
//! - [`host_files`]: the formats of the files of each host.
//! - [`durable_file`], [`hashing`]: files that are whole or not there, and their SHA-256.
//! - [`format_error`], [`amount_form`], [`lines`], [`shown`]: what the kinds of files have in common. `looking`: what is
//!   looked after again and again.
//! - [`rounding`]: fractions of minor units.
//! - [`fee_plan`]: what a merchant pays, as its operator wrote it. [`fees`]: what one item costs by it. [`agreed_fees`]: what
//!   a bank may keep of it.
//! - [`charging`]: the fees of each batch, before it is funded.
//! - [`payout_plan`]: when and what a merchant is paid. [`payout`]: the decision of one day. [`payouts`]: payouts are made
//!   and ordered ([`durable_file`]). [`payout_notices`]: what the bank says became of them.
//! - [`merchant_terms`]: both plans of each merchant, its name and time zone ([`merchant_details`]), and the account that
//!   its payouts go to ([`payout_account`]).
//! - [`bank_account`]: where money goes to.
//! - [`pain001`]: payouts as an order to the bank. [`camt054`]: what the bank says became of them. [`iso20022`]: what all
//!   messages of a bank about an account have in common. [`position`]: a place in a file.
//! - [`statement`]: what moved on a merchant's account in a period, as CSV and PDF. [`statements`]: from the ledger.

pub mod agreed_fees;
pub mod agreement;
pub mod amount_form;
pub mod bank_account;
pub mod camt054;
pub mod chargebacks;
pub mod charging;
pub mod clearing;
pub mod clearing_answers;
pub mod clearing_files;
pub mod days;
pub mod durable_file;
pub mod fee_plan;
pub mod fees;
pub mod format_error;
pub mod funding;
pub mod hashing;
pub mod host_files;
pub mod iso20022;
pub mod lines;
mod looking;
pub mod merchant_details;
pub mod merchant_terms;
pub mod pain001;
pub mod payout;
pub mod payout_account;
pub mod payout_notices;
pub mod payout_plan;
pub mod payouts;
pub mod position;
pub mod report;
pub mod rounding;
pub mod settled_events;
pub mod shown;
pub mod spool;
pub mod statement;
pub mod statements;
#[cfg(test)]
pub(crate) mod tests;
