//! How much of everything is read. A file comes from elsewhere, and none of it is taken without a bound.

/// The longest tag, text or comment.
pub const MAX_EVENT_BYTES: u64 = 64 * 1024;
/// How deep elements may be in each other.
pub const MAX_DEPTH: usize = 64;
/// The most attributes of an element: comparing each with all others takes its time.
pub const MAX_ATTRIBUTES: usize = 32;
/// The most transactions of an entry.
pub const MOST_TRANSACTIONS: usize = 100_000;
/// The longest reference or code, in characters; the standard has 35 for most.
pub const MAX_REFERENCE: usize = 140;
/// The longest free text of a transaction or entry, in bytes: many lines of the 140 characters of the standard.
pub const MAX_TEXT_BYTES: usize = 16 * 1024;
/// The free texts of an entry and its transactions, in bytes, since all of an entry is held at once.
pub const MAX_ENTRY_TEXT_BYTES: usize = 8 * 1024 * 1024;
/// The longest part of a text that an error repeats, in characters.
pub const MAX_SHOWN: usize = 40;
