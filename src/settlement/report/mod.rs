//! The bank's settlement report: what it settles of a business day, a line for each capture, refund and chargeback. Its
//! columns are part of the host's profile (`[settlement.report]`).
//!
//! - [`mod@format`]: the columns by name, and the bank's words.
//! - [`reader`]: reads a report, a line at a time, all or nothing; [`mod@line`], one line of it.
//! - [`fault`]: what is wrong with it. [`totals`]: its lines summed up, and compared with its last line.
//! - `fields`: a line taken apart.

pub mod fault;
mod fields;
pub mod format;
pub mod line;
pub mod reader;
pub mod totals;
