//! Mastercard's clearing file (IPM) as a report: records of ISO 8583 messages. A file, or each of several one after the
//! other, begins with a header and ends with a trailer that says how many messages it has and what their amounts sum to
//! (Mastercard, IPM Clearing Formats).
//!
//! - `blocks`: the bytes, with or without their blocks. `records`: where each message begins and ends.
//! - `message`: a message read by its dialect, and what of it stands in the private data (PDS).
//! - `presentment`: the line that a message is. [`reader`]: all of it, a line at a time.
//! - [`mod@format`]: what a profile says of such files.

mod blocks;
pub mod format;
mod message;
mod presentment;
pub mod reader;
mod records;
