//! Bytes on a line: framing, coalesced writes, and codecs between bytes and messages.

mod codec;
mod line;

pub(crate) use self::{
    codec::WireCodec,
    line::{Line, LineError},
};
