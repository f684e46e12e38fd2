//! Builds a message: the profile's data elements, each with the value of its source, in the host's dialect.

use iso8583::subelements::append_subelement;
use iso8583::{Dialect, EncodeError, FrameWriteError, Framing, MessageBuilder, Mti};
use zeroize::{Zeroize, Zeroizing};

use crate::payment::operation::OperationKind;
use crate::payment::record::Operation;

use super::contents::Contents;
use super::match_key::{RequestKey, TerminalId};
use super::source::{Mapping, Source};
use super::values::{Values, amount_minor, transmission_date_time};

/// How a request is written for one host.
#[derive(Debug, Clone, Copy)]
pub(in crate::hosts) struct Writing<'a> {
    pub(in crate::hosts) dialect: &'a Dialect,
    pub(in crate::hosts) framing: &'a Framing,
    pub(in crate::hosts) header: &'a [u8],
    pub(in crate::hosts) utc_offset_minutes: i16,
}

/// Why a request can't be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// A data element can't be written in the host's dialect.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A sub-element can't be written.
    #[error("DE {de}: expected a sub-element {tag:02} of at most 99 ASCII characters")]
    Subelement {
        /// The data element.
        de: u8,
        /// The sub-element.
        tag: u8,
    },
    /// A sub-element was to hold sub-elements.
    #[error("DE {de}: expected sub-elements one level deep")]
    NestedSubelements {
        /// The data element.
        de: u8,
    },
    /// The message is longer than the framing can say.
    #[error("expected a message of at most {expected} bytes, got {got}")]
    TooLong {
        /// The limit.
        expected: usize,
        /// The length.
        got: usize,
    },
    /// The profile has no mapping for this kind of operation.
    #[error("expected an operation that the profile maps, got {}", .kind.name())]
    NoMapping {
        /// The kind.
        kind: OperationKind,
    },
    /// DE 41 does not fit, so that no answer could be matched.
    #[error("DE 41: expected a terminal of at most 8 characters, got {got}")]
    TerminalId {
        /// Its length.
        got: usize,
    },
}

/// Room for a usual frame, so that what is written need not move while it grows.
const FRAME_BYTES: usize = 1024;
/// Room for usual sub-elements, likewise.
const SUBELEMENTS_BYTES: usize = 256;

/// The memory in which requests are made, used again and again.
#[derive(Debug)]
pub(in crate::hosts) struct Encoder {
    builder: MessageBuilder,
    subelements: Zeroizing<String>,
    frame: Vec<u8>,
}

impl Encoder {
    pub(in crate::hosts) fn new() -> Self {
        Self {
            builder: MessageBuilder::new(Mti::AUTHORIZATION_REQUEST),
            subelements: Zeroizing::new(String::with_capacity(SUBELEMENTS_BYTES)),
            frame: Vec::with_capacity(FRAME_BYTES),
        }
    }

    /// The framed request, in memory of its own size; nothing secret stays behind here.
    ///
    /// # Errors
    /// When a value does not fit the dialect.
    pub(in crate::hosts) fn encode(
        &mut self,
        mapping: &Mapping,
        writing: Writing<'_>,
        contents: Contents<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, MessageError> {
        let framed = self.build(mapping, writing, contents).and_then(|()| {
            writing
                .framing
                .write(&mut self.frame, |out| {
                    writing.dialect.encode(&self.builder, out)
                })
                .map_err(|error| match error {
                    FrameWriteError::Payload(error) => MessageError::Encode(error),
                    FrameWriteError::TooLong { expected, got } => {
                        MessageError::TooLong { expected, got }
                    }
                })
        });
        let frame = framed.map(|()| Zeroizing::new(self.frame.as_slice().to_vec()));
        self.frame.as_mut_slice().zeroize();
        self.frame.clear();
        self.builder.clear(mapping.mti);
        self.subelements.zeroize();
        frame
    }

    fn build(
        &mut self,
        mapping: &Mapping,
        writing: Writing<'_>,
        contents: Contents<'_>,
    ) -> Result<(), MessageError> {
        self.builder.clear(mapping.mti);
        self.builder.header(writing.header);
        let values = Values::of(contents, writing.utc_offset_minutes);
        for (de, source) in &mapping.fields {
            match source {
                Source::Subelements(parts) => self.put_subelements(*de, parts, &values)?,
                source => {
                    if let Some(value) = values.get(source) {
                        self.builder.text(*de, value);
                    }
                }
            }
        }
        Ok(())
    }

    fn put_subelements(
        &mut self,
        de: u8,
        parts: &[(u8, Source)],
        values: &Values<'_>,
    ) -> Result<(), MessageError> {
        self.subelements.clear();
        for (tag, source) in parts {
            if matches!(source, Source::Subelements(_)) {
                return Err(MessageError::NestedSubelements { de });
            }
            let Some(value) = values.get(source) else {
                continue;
            };
            append_subelement(&mut self.subelements, *tag, value)
                .map_err(|_| MessageError::Subelement { de, tag: *tag })?;
        }
        if !self.subelements.is_empty() {
            self.builder.text(de, &self.subelements);
        }
        Ok(())
    }
}

/// The key under which the answer to a request finds it.
///
/// # Errors
/// When the terminal does not fit DE 41.
pub(in crate::hosts) fn request_key(
    mapping: &Mapping,
    operation: &Operation,
) -> Result<RequestKey, MessageError> {
    let terminal_id = TerminalId::new(&operation.terminal_id).ok_or(MessageError::TerminalId {
        got: operation.terminal_id.len(),
    })?;
    Ok(RequestKey {
        response_mti: mapping.response_mti,
        amount_minor: amount_minor(operation),
        transmitted: transmission_date_time(operation.transmitted_at),
        stan: operation.stan,
        rrn: operation.rrn,
        terminal_id,
        currency: operation.amount.currency().numeric(),
    })
}

#[cfg(test)]
mod tests;
