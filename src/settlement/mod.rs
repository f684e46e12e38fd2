//! The end of the bank's day.
//!
//! - [`days`]: each host has one day that is open; a cutover ends it, and its batches are made.
//! - [`agreement`]: totals are agreed with the host, and batches are funded.
//! - [`clearing`]: the clearing file, which claims captures and refunds, and the bank's answer to it.
//!   [`clearing_files`]: writes that of a day.
//! - [`report`]: the bank's settlement report. [`report_imports`]: takes one in, from its [`spool`].
//! - [`host_files`]: the formats of the files of each host.
//! - [`durable_file`], [`hashing`]: files that are whole or not there, and their SHA-256.
//! - [`format_error`], [`amount_form`], `lines`, `shown`: what the two kinds of files have in common.

pub mod agreement;
pub mod amount_form;
pub mod clearing;
pub mod clearing_files;
pub mod days;
pub mod durable_file;
pub mod format_error;
pub mod hashing;
pub mod host_files;
mod lines;
pub mod report;
pub mod report_imports;
mod shown;
pub mod spool;
