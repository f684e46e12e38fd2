//! The protocol of parent and child: length-prefixed requests and answers, in order.

use iso8583::{Framing, Mti, Prefix};

use crate::message::BankMessage;

/// The first argument that turns a program into the child.
pub(super) const CHILD_ARGUMENT: &str = "iso8583-rs-codec-child";

/// The longest request or answer: a frame of 64 KiB and its table of data elements.
const MAX_PIPE_FRAME_BYTES: usize = 128 * 1024;

/// How requests and answers are framed.
pub(super) const PIPE_FRAMING: Framing = Framing {
    prefix: Prefix::Binary4,
    inclusive: false,
    max_frame_bytes: MAX_PIPE_FRAME_BYTES,
};

/// The first byte of a request.
pub(super) const HELLO: u8 = 0;
pub(super) const DECODE: u8 = 1;
pub(super) const ENCODE: u8 = 2;

/// The first byte of an answer.
pub(super) const DONE: u8 = 0;
pub(super) const REFUSED: u8 = 1;

/// Appends one request or answer.
pub(super) fn put(out: &mut Vec<u8>, kind: u8, body: impl FnOnce(&mut Vec<u8>)) -> bool {
    PIPE_FRAMING
        .write::<()>(out, |out| {
            out.push(kind);
            body(out);
            Ok(())
        })
        .is_ok()
}

/// MTI, then for each data element its number, its length in two bytes, its content.
pub(super) fn put_message<'a>(
    out: &mut Vec<u8>,
    mti: [u8; 4],
    fields: impl Iterator<Item = (u8, &'a [u8])>,
) {
    out.extend_from_slice(&mti);
    for (de, content) in fields {
        // No content is longer than a message, whose length fits 16 bits.
        let content = content.get(..usize::from(u16::MAX)).unwrap_or(content);
        let length = u16::try_from(content.len()).unwrap_or(u16::MAX);
        out.push(de);
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(content);
    }
}

/// Reads what [`put_message`] wrote.
pub(super) fn message_of(bytes: &[u8]) -> Option<BankMessage> {
    let (mti, mut rest) = bytes.split_first_chunk::<4>()?;
    let mut message = BankMessage::new(str::from_utf8(mti).ok()?.parse::<Mti>().ok()?);
    while let Some(([de, high, low], after)) = rest.split_first_chunk::<3>() {
        let (content, next) =
            after.split_at_checked(usize::from(u16::from_be_bytes([*high, *low])))?;
        message.set(*de, content);
        rest = next;
    }
    rest.is_empty().then_some(message)
}

/// A refusal: the reason, its length in two bytes before it, then what could be read of the message.
pub(super) fn put_refusal(out: &mut Vec<u8>, reason: &str, partial: impl FnOnce(&mut Vec<u8>)) {
    let reason = reason.as_bytes();
    let reason = reason.get(..usize::from(u16::MAX)).unwrap_or(reason);
    out.extend_from_slice(
        &u16::try_from(reason.len())
            .unwrap_or(u16::MAX)
            .to_be_bytes(),
    );
    out.extend_from_slice(reason);
    partial(out);
}

/// Reads what [`put_refusal`] wrote.
pub(super) fn refusal_of(bytes: &[u8]) -> Option<(String, Option<BankMessage>)> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    let (reason, partial) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    Some((
        String::from_utf8_lossy(reason).into_owned(),
        message_of(partial),
    ))
}
