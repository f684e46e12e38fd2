//! What a bank has booked, as ISO 20022 messages say it: camt.052, camt.053 and camt.054, of every version.
//!
//! A file is read entry by entry and never held as a whole. It is foreign: its size, depth and texts are bounded, and all
//! that is wrong with it is an error with its place.
//!
//! `CdtDbtInd` is the direction of the booking as it stands. `RvslInd` only says that the booking undoes another one, and
//! turns nothing round.
//!
//! [`entries`] hands out the parts of a message. [`entry`]: one entry and its account, made [`booking`]s. [`value`]: texts
//! read as what they mean. `xml`, `source`: elements and bytes.

pub mod booking;
pub mod entries;
pub mod entry;
pub mod error;
pub mod limits;
pub mod message;
mod source;
pub mod value;
mod xml;
