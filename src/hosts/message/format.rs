//! How a host writes messages: the parts of its profile that every message is built with.

use iso8583::{Dialect, Framing};
use jiff::tz::TimeZone;

use super::amount::MinorDigits;
use super::definition::Messages;
use super::name_location::NameLocationLayout;
use super::subelements::SubelementWidths;

/// Which message authentication code stands behind a message. There is none yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MacRule {
    /// None.
    #[default]
    None,
}

/// How a host writes messages.
#[derive(Debug, Clone, Copy)]
pub(in crate::hosts) struct Format<'a> {
    pub(in crate::hosts) dialect: &'a Dialect,
    pub(in crate::hosts) framing: &'a Framing,
    /// What precedes each message; empty for the dialect's own, or none.
    pub(in crate::hosts) header: &'a [u8],
    /// The time zone of DE 12 and DE 13; none for each merchant's own.
    pub(in crate::hosts) time_zone: Option<&'a TimeZone>,
    pub(in crate::hosts) minor_digits: &'a MinorDigits,
    pub(in crate::hosts) name_location: NameLocationLayout,
    pub(in crate::hosts) subelements: SubelementWidths,
    pub(in crate::hosts) mac: MacRule,
    /// The messages of the host, in which an original is looked up.
    pub(in crate::hosts) messages: &'a Messages,
}
