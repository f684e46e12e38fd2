//! From an operation, a merchant and a card to the data elements of a request, by the profile's
//! mapping.

use std::fmt;

use iso8583::subelements::append_subelement;
use iso8583::{Dialect, EncodeError, FrameWriteError, Framing, MessageBuilder, Mti};
use zeroize::{Zeroize, Zeroizing};

use crate::payment::merchant::Merchant;
use crate::payment::operation::OperationKind;
use crate::payment::record::Operation;

use super::match_key::{RequestKey, TerminalId};
use super::values::{Values, amount_minor, transmission_date_time};

/// The card, opened: clear text that lives until the request is encoded, and nowhere else.
#[derive(Clone, Copy)]
pub struct CardFields<'a> {
    /// Primary account number, digits only: DE 2.
    pub pan: &'a str,
    /// Expiry date as YYMM: DE 14.
    pub expiry_yymm: &'a str,
    /// Card verification value, three or four digits, where the customer gave one.
    pub cvv: Option<&'a str>,
}

/// Shows that there is a card, and nothing of it.
impl fmt::Debug for CardFields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CardFields")
            .field("pan", &"***")
            .field("expiry_yymm", &"***")
            .field("cvv", &self.cvv.map(|_| "***"))
            .finish()
    }
}

/// Where the value of a data element comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The card's PAN.
    Pan,
    /// The operation's amount, in minor units.
    Amount,
    /// The operation's transmission date and time, MMDDhhmmss in UTC.
    TransmissionDateTime,
    /// The operation's STAN.
    Stan,
    /// Time at the merchant, hhmmss.
    LocalTime,
    /// Date at the merchant, MMDD.
    LocalDate,
    /// The card's expiry date, YYMM.
    Expiry,
    /// The merchant's category code.
    Mcc,
    /// The merchant's country, ISO 3166-1 numeric.
    Country,
    /// The operation's RRN.
    Rrn,
    /// The merchant's terminal.
    TerminalId,
    /// The merchant's acceptor identification code.
    AcceptorId,
    /// The merchant's name (25), city (13) and country (2): 40 characters.
    AcceptorNameLocation,
    /// The amount's currency, ISO 4217 numeric, three digits.
    CurrencyNumeric,
    /// The card verification value. Where the customer gave none, the element is left out.
    Cvv,
    /// The same in every message.
    Literal(String),
    /// Sub-elements of a two-digit tag, a two-digit length and a value, in this order. Those
    /// without a value are left out, and the whole element when all are.
    Subelements(Vec<(u8, Source)>),
}

/// The sources that a profile can name.
const NAMED: [(&str, Source); 15] = [
    ("pan", Source::Pan),
    ("amount", Source::Amount),
    ("transmission_date_time", Source::TransmissionDateTime),
    ("stan", Source::Stan),
    ("local_time", Source::LocalTime),
    ("local_date", Source::LocalDate),
    ("expiry", Source::Expiry),
    ("mcc", Source::Mcc),
    ("country", Source::Country),
    ("rrn", Source::Rrn),
    ("terminal_id", Source::TerminalId),
    ("acceptor_id", Source::AcceptorId),
    ("acceptor_name_location", Source::AcceptorNameLocation),
    ("currency_numeric", Source::CurrencyNumeric),
    ("cvv", Source::Cvv),
];

impl Source {
    /// The source of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        NAMED
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, source)| source.clone())
    }

    /// Every name there is.
    #[must_use]
    pub fn names() -> Vec<&'static str> {
        NAMED.iter().map(|(name, _)| *name).collect()
    }
}

/// How a request is made: its message type, and what each data element holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// The message type.
    pub mti: Mti,
    /// The message type of its answer.
    pub response_mti: Mti,
    /// The data elements, in ascending order.
    pub fields: Vec<(u8, Source)>,
}

/// How a request is written for one host.
#[derive(Debug, Clone, Copy)]
pub(super) struct Writing<'a> {
    pub(super) dialect: &'a Dialect,
    pub(super) framing: &'a Framing,
    pub(super) header: &'a [u8],
    pub(super) utc_offset_minutes: i16,
}

/// What a request says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Contents<'a> {
    pub(super) operation: &'a Operation,
    pub(super) merchant: &'a Merchant,
    pub(super) card: CardFields<'a>,
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
pub(super) struct Encoder {
    builder: MessageBuilder,
    subelements: Zeroizing<String>,
    frame: Vec<u8>,
}

impl Encoder {
    pub(super) fn new() -> Self {
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
    pub(super) fn encode(
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
pub(super) fn request_key(
    mapping: &Mapping,
    operation: &Operation,
    terminal_id: &str,
) -> Result<RequestKey, MessageError> {
    let terminal_id = TerminalId::new(terminal_id).ok_or(MessageError::TerminalId {
        got: terminal_id.len(),
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
#[path = "messages_tests.rs"]
mod tests;
