//! The end of the bank's day.
//!
//! - [`days`]: each host has one day that is open; a cutover ends it, and its batches are made.
//! - [`agreement`]: totals are agreed with the host, and batches are funded.

pub mod agreement;
pub mod days;
