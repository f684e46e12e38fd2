//! The messages of a bank host, as the profile describes them.
//!
//! - [`definition`]: how operations of one kind travel: style, message type, data elements, repeats.
//! - [`contents`]: the operation that a message is about; [`source`]: where each data element takes its value
//!   from; [`element`]: names of elements and sub-elements.
//! - `values`: the values, written as data elements want them: [`amount`], [`name_location`],
//!   `local_clock`, [`subelements`].
//! - [`build`]: the whole message, encoded in the host's [`format`]; [`error`]: why it can't be.
//! - [`match_key`]: the key under which an answer finds its request; `answer`: what the answer means;
//!   [`response_codes`]: the [`meaning`] of DE 39, by the profile and the standard ([`standard_codes`]); `kept`:
//!   the elements of an answer that later messages need.
//! - [`totals`]: totals of a business date, and its items, as they are agreed with the host.
//! - [`rrn`]: retrieval reference numbers in a host's own form. [`shown`]: elements for people.

pub mod amount;
pub(super) mod answer;
pub mod build;
pub mod contents;
pub mod definition;
pub mod element;
pub mod error;
pub mod format;
pub(super) mod kept;
pub mod local_clock;
pub mod match_key;
pub mod meaning;
pub mod name_location;
pub mod response_codes;
pub mod rrn;
pub mod shown;
pub mod source;
pub mod standard_codes;
pub mod subelements;
pub mod totals;
pub(super) mod values;
