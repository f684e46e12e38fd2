//! The messages of a bank host, as the profile describes them.
//!
//! - [`contents`]: what a message is made from; [`source`]: where each data element takes its value from.
//! - `values`: the values, written as data elements want them; [`build`]: the whole message, encoded.
//! - [`match_key`]: the key under which an answer finds its request; [`response_codes`]: what DE 39 means.

pub mod build;
pub mod contents;
pub mod match_key;
pub mod response_codes;
pub mod source;
pub(in crate::hosts) mod values;
