//! What a payment is: pure values and the rules between them.
//!
//! No async, no clock, no I/O: everything here is decided from its arguments, so that every rule can
//! be tested as a table.
//!
//! - [`money`]: amounts in minor units with their ISO 4217 currency.
//! - [`ids`]: prefixed, sortable identifiers.
//! - [`amounts`]: the running amounts of a payment, and the limits between them.
//! - [`moment`]: wall-clock milliseconds and the two dates of an operation.
//! - [`reference`]: MTI, STAN and RRN, what a bank knows a message by.
//! - [`decline`]: response codes, why a payment was declined, why one failed.
//! - [`state`]: the states of a payment and the one function that moves between them. [`event`]: what moves it.
//! - [`operation_kind`]: what an exchange with a host is for. [`operation`]: the states of one.
//! - [`reason`]: why an operation completes or undoes another one.
//! - [`adjustment`]: what an operation changes of its payment. [`event_kind`]: what merchants see of that.
//! - [`capture`]: what is taken of what was authorized.
//! - [`refund`]: what is given back of a capture.
//! - [`settlement`]: what is settled, in days and batches. [`totals`]: what is agreed with the host.
//!   [`settlement_file`]: what a file claims. [`settlement_import`]: a report of the host; [`report_line`]: its
//!   lines, and what comes of them; [`difference`]: where it is otherwise.
//! - [`payout`]: where a payout stands. [`bank_statement`]: what banks say that they have booked on accounts of ours.
//!   [`account_finding`]: where that is otherwise. [`discrepancy`]: what is otherwise, looked after.
//! - [`custody`]: what is kept of a card for later messages, and how long.
//! - [`merchant`]: who may take payments.
//! - [`record`]: `Payment` and `Operation`, the records everything else passes around.

pub mod account_finding;
pub mod adjustment;
pub mod amounts;
pub mod bank_statement;
pub mod capture;
pub mod custody;
pub mod decline;
pub mod difference;
pub mod discrepancy;
pub mod event;
pub mod event_kind;
pub mod ids;
pub mod merchant;
pub mod moment;
pub mod money;
pub mod operation;
pub mod operation_kind;
pub mod payout;
pub(crate) mod planted;
pub mod reason;
pub mod record;
pub mod reference;
pub mod refund;
pub mod report_line;
#[cfg(test)]
pub(crate) mod samples;
pub mod settlement;
pub mod settlement_file;
pub mod settlement_import;
pub mod state;
pub mod totals;
