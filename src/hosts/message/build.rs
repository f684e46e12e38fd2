//! Builds a message: the profile's data elements, each with the value of its source, in the host's dialect.

use iso8583::{FrameWriteError, MessageBuilder, Mti};
use zeroize::{Zeroize, Zeroizing};

use crate::payment::record::{Element, Operation};
use crate::stack::wipe_buffer;

use super::amount::AskedAmount;
use super::contents::Outgoing;
use super::definition::{Mapping, MessageProfile};
use super::element;
use super::error::MessageError;
use super::format::{Format, MacRule};
use super::match_key::{RequestKey, TerminalId};
use super::source::Source;
use super::values::{Values, transmission_date_time};

/// Room for a usual frame, so that the bytes need not move while it grows.
const FRAME_BYTES: usize = 1024;
/// Room for usual sub-elements, likewise.
const SUBELEMENTS_BYTES: usize = 256;

/// The memory in which messages are built, used again and again.
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

    /// The framed message, in memory of its own size; nothing secret stays behind here.
    ///
    /// # Errors
    /// When the operation lacks what the message needs, or a value does not fit the dialect.
    pub(in crate::hosts) fn encode(
        &mut self,
        message: &MessageProfile,
        format: Format<'_>,
        outgoing: Outgoing<'_>,
    ) -> Result<Zeroizing<Vec<u8>>, MessageError> {
        let framed = self.build(message, format, outgoing).and_then(|()| {
            format
                .framing
                .write(&mut self.frame, |out| {
                    format.dialect.encode(&self.builder, out)?;
                    append_mac(format.mac, out);
                    Ok(())
                })
                .map_err(|error| match error {
                    FrameWriteError::Payload(error) => MessageError::Encode(error),
                    FrameWriteError::TooLong { expected, got } => {
                        MessageError::TooLong { expected, got }
                    }
                })
        });
        let frame = framed.map(|()| Zeroizing::new(self.frame.as_slice().to_vec()));
        wipe_buffer(&mut self.frame);
        self.builder.clear(Mti::AUTHORIZATION_REQUEST);
        self.subelements.zeroize();
        frame
    }

    fn build(
        &mut self,
        message: &MessageProfile,
        format: Format<'_>,
        outgoing: Outgoing<'_>,
    ) -> Result<(), MessageError> {
        let mapping = mapping_of(message)?;
        self.builder.clear(if outgoing.repeat {
            message.repeats.mti
        } else {
            mapping.mti
        });
        self.builder.header(format.header);
        let values = Values::of(outgoing, mapping, &format)?;
        let fixed = fixed_elements(message, outgoing.operation);
        for (de, source) in &mapping.fields {
            if let Some(fixed) = fixed.filter(|_| !source.contains(Source::is_of_the_card)) {
                if let Some(value) = element::find(fixed, &de.to_string()) {
                    self.builder.text(*de, value);
                }
                continue;
            }
            match source {
                Source::Subelements(parts) => {
                    self.subelements.clear();
                    write_subelements(&mut self.subelements, *de, parts, &values, format)?;
                    if !self.subelements.is_empty() {
                        self.builder.text(*de, &self.subelements);
                    }
                }
                Source::OriginalData(parts) => {
                    self.builder.text(*de, &values.original_data(parts)?);
                }
                source => {
                    if let Some(value) = values.get(source)? {
                        self.builder.text(*de, value);
                    }
                }
            }
        }
        Ok(())
    }
}

/// Appends sub-elements of a tag, a length and a value; those without a value are left out.
fn write_subelements(
    out: &mut String,
    de: u8,
    parts: &[(u16, Source)],
    values: &Values<'_>,
    format: Format<'_>,
) -> Result<(), MessageError> {
    let widths = format.subelements;
    for (tag, source) in parts {
        let written = match source {
            Source::OriginalData(parts) => widths.append(out, *tag, &values.original_data(parts)?),
            source => match values.get(source)? {
                Some(value) => widths.append(out, *tag, value),
                None => continue,
            },
        };
        if !written {
            return Err(MessageError::Subelement {
                de,
                tag: *tag,
                expected: widths.longest_value(),
            });
        }
    }
    Ok(())
}

/// The elements of a message that is repeated, as they were fixed when it was queued, so that each repeat is the
/// same whatever has become of the profile or the merchant since. An element that is not among them, and not the
/// card's, was left out.
pub(super) fn fixed_elements<'a>(
    message: &MessageProfile,
    operation: &'a Operation,
) -> Option<&'a [Element]> {
    let is_fixed = message.is_repeated() && !operation.sent.is_empty();
    is_fixed.then_some(operation.sent.as_slice())
}

/// Appends the message authentication code over the finished bytes, as the host's rule says.
fn append_mac(rule: MacRule, _message: &mut Vec<u8>) {
    match rule {
        MacRule::None => {}
    }
}

fn mapping_of(message: &MessageProfile) -> Result<&Mapping, MessageError> {
    message
        .mapping
        .as_ref()
        .ok_or(MessageError::NoMapping { kind: message.kind })
}

/// The elements of a message that later messages repeat as they were sent; nothing where none does. Of a message
/// that is repeated itself these are all but the card's.
///
/// # Errors
/// As when the message is built.
pub(in crate::hosts) fn sent_elements(
    message: &MessageProfile,
    format: Format<'_>,
    outgoing: Outgoing<'_>,
) -> Result<Vec<Element>, MessageError> {
    if message.is_repeated() {
        return elements_without_card(message, format, outgoing);
    }
    if message.sent.is_empty() {
        return Ok(Vec::new());
    }
    let values = Values::of(outgoing, mapping_of(message)?, &format)?;
    let mut elements = Vec::with_capacity(message.sent.len());
    for name in &message.sent {
        let source = match (message.source(name.de), name.tag) {
            (Some(Source::Subelements(parts)), Some(tag)) => parts
                .iter()
                .find(|(there, _)| *there == tag)
                .map(|(_, source)| source),
            (source, _) => source,
        };
        let value = source.map(|source| values.get(source)).transpose()?;
        if let Some(value) = value.flatten() {
            elements.push(Element {
                name: name.as_str().to_owned(),
                value: value.to_owned(),
            });
        }
    }
    Ok(elements)
}

/// The elements of a message but the card's.
///
/// # Errors
/// As when the message is built.
pub(super) fn elements_without_card(
    message: &MessageProfile,
    format: Format<'_>,
    outgoing: Outgoing<'_>,
) -> Result<Vec<Element>, MessageError> {
    let values = Values::of(outgoing, mapping_of(message)?, &format)?;
    let mut elements = Vec::with_capacity(message.fields().len());
    for (de, source) in message.fields() {
        if source.contains(Source::is_of_the_card) {
            continue;
        }
        let mut value = String::new();
        match source {
            Source::Subelements(parts) => {
                write_subelements(&mut value, *de, parts, &values, format)?;
            }
            Source::OriginalData(parts) => value.push_str(&values.original_data(parts)?),
            source => value.push_str(values.get(source)?.unwrap_or_default()),
        }
        if !value.is_empty() {
            elements.push(Element {
                name: de.to_string(),
                value,
            });
        }
    }
    Ok(elements)
}

/// The key under which the answer to a message finds it. A message under the numbers of its original has
/// those in its key; a record of such an operation has them too, so the original itself is not needed.
///
/// # Errors
/// When the terminal does not fit DE 41, or the host can't be told the amount.
pub(in crate::hosts) fn request_key(
    message: &MessageProfile,
    format: Format<'_>,
    operation: &Operation,
    original: Option<&Operation>,
) -> Result<RequestKey, MessageError> {
    let terminal_id = TerminalId::new(&operation.terminal_id).ok_or(MessageError::TerminalId {
        got: operation.terminal_id.len(),
    })?;
    let numbers = message.numbers;
    let original = original.unwrap_or(operation);
    let numbered = |of_original| if of_original { original } else { operation };
    Ok(RequestKey {
        rule: message.match_rule,
        response_mti: mapping_of(message)?.response_mti,
        asked: AskedAmount {
            amount_minor: format
                .minor_digits
                .wire_amount(numbered(numbers.amount).approved_amount())?,
            currency: operation.amount.currency().numeric(),
            partial_of_minor: operation
                .accepts_partial
                .then_some(operation.amount.amount_minor()),
        },
        transmitted: transmission_date_time(
            numbered(numbers.transmission_date_time).transmitted_at,
        ),
        stan: numbered(numbers.stan).stan,
        rrn: numbered(numbers.rrn).rrn,
        terminal_id,
    })
}

#[cfg(test)]
mod tests;
