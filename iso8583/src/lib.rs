//! ISO 8583, the language of card payments: a codec without I/O.
//!
//! The modules, in the order in which a message meets them:
//!
//! - [`framing`]: where a message begins and ends on a stream.
//! - [`dialect`]: a bank's way of writing messages, as data; `Dialect` decodes and encodes.
//! - [`field`]: a row of a dialect's table: format, length, encodings.
//! - [`mti`]: the message type, four digits.
//! - [`decode_error`]: the fault in a message that can't be read, and the part that could be read.
//! - [`message`]: a message that was read, borrowed from its bytes.
//! - [`tlv`]: the contents of DE 55.
//! - [`builder`]: a message to be written.
//! - [`encode`]: the fault in a message that can't be written.
//! - [`masked`]: a message for people, without its secrets; [`hex`]: bytes as digits.
//!
//! ```
//! use iso8583::{Dialect, MessageBuilder, Mti, masked};
//!
//! let dialect = Dialect::builtin("iso1987-ascii-hex").ok_or("no such dialect")?;
//! let mut request = MessageBuilder::new(Mti::AUTHORIZATION_REQUEST);
//! request.text(2, "4111111111111111").number(4, 12_50).text(41, "TERM01");
//! let mut bytes = Vec::new();
//! dialect.encode(&request, &mut bytes)?;
//! assert_eq!(bytes, b"0100500000000080000016411111111111111100000000125\
//!                     0TERM01  ");
//!
//! let message = dialect.decode(&bytes).map_err(|error| error.to_string())?;
//! assert_eq!(message.number(4), Some(1250));
//! assert_eq!(message.text_trimmed(41).as_deref(), Some("TERM01"));
//! assert_eq!(message.mti().response(), Some(Mti::AUTHORIZATION_RESPONSE));
//! let described = masked::describe(&dialect, &message);
//! assert_eq!(described[0].value_masked, "411111******1111");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Decoding and encoding allocate nothing, once the builder and the output have grown to their
//! size. Nothing here panics, whatever the bytes.

pub mod builder;
pub mod decode_error;
pub mod dialect;
pub mod encode;
pub mod field;
pub mod framing;
pub mod hex;
pub mod masked;
pub mod message;
pub mod mti;
pub mod tlv;

mod bcd;
mod bitmap;
mod characters;
mod content;
mod decode;

pub use bitmap::MAX_DE;
pub use builder::MessageBuilder;
pub use decode_error::{DecodeError, DecodeFault, Part};
pub use dialect::{Dialect, DialectError};
pub use encode::EncodeError;
pub use field::FieldSpec;
pub use framing::{FrameWriteError, Framing, FramingError, Prefix};
pub use message::Message;
pub use mti::Mti;
pub use tlv::builder::TlvBuilder;
