//! From bytes to messages and back, through whichever codec a host speaks.

use std::sync::Arc;

use iso8583::{Dialect, Framing, Message, MessageBuilder, Mti, mti::Version};

use crate::{
    iso8583_rs_codec::{CodecError, Iso8583RsCodec},
    message::{BankMessage, Unreadable},
};

/// Whose codec a host speaks through.
#[derive(Debug, Clone)]
pub(crate) enum WireCodec {
    /// This project's.
    Own(Arc<Dialect>),
    /// The crate `iso8583_rs`, in a child process.
    Iso8583Rs(Iso8583RsCodec),
}

impl WireCodec {
    /// Whether its dialect is of ISO 8583:1993.
    pub(crate) fn is_of_1993(&self) -> bool {
        matches!(self, Self::Own(dialect) if dialect.version() == Version::Iso1993)
    }

    /// Reads frames, each into a message or into what is wrong with it.
    pub(crate) async fn decode(
        &self,
        frames: &[&[u8]],
    ) -> Result<Vec<Result<BankMessage, Unreadable>>, CodecError> {
        match self {
            Self::Own(dialect) => Ok(frames
                .iter()
                .map(|frame| decode_own(dialect, frame))
                .collect()),
            Self::Iso8583Rs(child) => child.decode(frames).await,
        }
    }

    /// Appends a frame for each message to `out`, and tells `each` of the payload, or why the dialect
    /// cannot say this message, which is then left out.
    pub(crate) async fn encode(
        &self,
        messages: &[BankMessage],
        framing: Framing,
        out: &mut Vec<u8>,
        mut each: impl FnMut(&BankMessage, Result<&[u8], String>),
    ) -> Result<(), CodecError> {
        match self {
            Self::Own(dialect) => {
                let mut builder = MessageBuilder::new(Mti::NETWORK_REQUEST);
                for message in messages {
                    fill(&mut builder, message);
                    let begin = out.len() + framing.prefix.bytes();
                    match framing.write(out, |out| dialect.encode(&builder, out)) {
                        Ok(()) => each(message, Ok(out.get(begin..).unwrap_or_default())),
                        Err(error) => each(message, Err(error.to_string())),
                    }
                }
            }
            Self::Iso8583Rs(child) => {
                let payloads = child.encode(messages).await?;
                for (message, payload) in messages.iter().zip(payloads) {
                    let framed = payload.and_then(|payload| {
                        framing
                            .write::<String>(out, |out| {
                                out.extend_from_slice(&payload);
                                Ok(())
                            })
                            .map_err(|error| error.to_string())
                            .map(|()| payload)
                    });
                    match framed {
                        Ok(payload) => each(message, Ok(&payload)),
                        Err(reason) => each(message, Err(reason)),
                    }
                }
            }
        }
        Ok(())
    }
}

fn fill(builder: &mut MessageBuilder, message: &BankMessage) {
    builder.clear(message.mti());
    builder.header(message.header());
    for (de, value) in message.fields() {
        builder.bytes(de, value);
    }
}

fn decode_own(dialect: &Dialect, frame: &[u8]) -> Result<BankMessage, Unreadable> {
    match dialect.decode(frame) {
        Ok(message) => Ok(copied(&message)),
        Err(error) => Err(Unreadable {
            reason: error.to_string(),
            partial: error.partial().map(copied).map(Box::new),
        }),
    }
}

fn copied(message: &Message<'_>) -> BankMessage {
    let mut copy = BankMessage::new(message.mti());
    copy.set_header(message.header());
    for de in message.iter_des() {
        copy.set_to(de, |contents| message.append_bytes(de, contents));
    }
    copy
}
