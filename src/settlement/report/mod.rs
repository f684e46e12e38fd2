//! The bank's settlement report: what it settles of a business day, a line for each capture, refund and chargeback. How it
//! is written is part of the host's profile (`[settlement.report]`).
//!
//! - [`file_format`]: the kinds of reports, of which a host sends one. [`mod@line`]: one line, of whichever kind.
//! - [`mod@format`]: a CSV, its columns by name, and the bank's words. [`reader`]: reads it, a line at a time, all or nothing.
//! - [`ipm`]: Mastercard's clearing file.
//! - [`fault`]: what is wrong with it. [`totals`]: its lines summed up, and compared with its last line.
//! - `step`: how either kind is read to its end. `fields`: a line taken apart.

pub mod fault;
mod fields;
pub mod file_format;
pub mod format;
pub mod ipm;
pub mod line;
pub mod reader;
#[cfg(test)]
pub(crate) mod samples;
mod step;
pub mod totals;
