//! The clearing file of a business day: every capture and refund that the bank learns of by file, in the bank's format,
//! which is part of its host's profile (`[settlement.clearing_file]`).
//!
//! - [`mod@format`]: the format as the profile has it; [`csv_layout`] and [`nps_layout`], its two kinds.
//! - [`file_name`]: which file it is, and its name. [`item`]: what is claimed. [`value`]: what a field can hold.
//! - [`writer`]: writes the file, an item at a time; `csv_records` and `nps_records`, its lines. [`error`]: why it
//!   does not.
//! - [`nps_answer`]: what a bank answers to a file of the kind `nps`.

pub mod csv_layout;
mod csv_records;
pub mod error;
pub mod file_name;
pub mod format;
pub mod item;
pub mod nps_answer;
pub mod nps_layout;
mod nps_records;
pub mod value;
pub mod writer;
