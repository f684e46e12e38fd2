//! The fields of a card message that an issuer decides on, checked once at the edge.

use crate::message::BankMessage;

/// The kind of payment, from the first two digits of DE 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PaymentKind {
    /// 00 (goods and services), 01 (cash) and 09 (goods and services with cash back): money leaves
    /// the account.
    Debit,
    /// 20 (return of goods): money comes back.
    Credit,
    /// Anything else, which these issuers do not permit.
    Other,
}

/// The kind of card message, from its MTI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum MessageKind {
    /// 0100: hold funds.
    Authorization,
    /// 0200: debit or credit at once.
    Financial,
    /// 0220 and 0221: post, against a hold when DE 90 names one.
    FinancialAdvice,
}

impl MessageKind {
    /// The MTI of the first transmission.
    #[must_use]
    pub fn mti(self) -> &'static str {
        match self {
            Self::Authorization => "0100",
            Self::Financial => "0200",
            Self::FinancialAdvice => "0220",
        }
    }
}

/// The key of an exchange: kind, STAN, DE 7, RRN and terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ExchangeKey {
    pub(crate) kind: MessageKind,
    pub(crate) stan: [u8; 6],
    pub(crate) transmitted: [u8; 10],
    pub(crate) rrn: [u8; 12],
    pub(crate) terminal: [u8; 8],
}

impl ExchangeKey {
    /// The key of a message, from DE 11, 7, 37 and 41.
    pub(crate) fn of(message: &BankMessage, kind: MessageKind) -> Result<Self, FormatError> {
        Ok(Self {
            kind,
            stan: digits(message, 11)?,
            transmitted: digits(message, 7)?,
            rrn: exactly(message, 37)?,
            terminal: exactly(message, 41)?,
        })
    }

    /// The key of the original that DE 90 names; the RRN (DE 37) and the terminal (DE 41) of the
    /// message are the original's.
    pub(crate) fn of_original(message: &BankMessage) -> Result<Self, FormatError> {
        let original: [u8; 42] = digits(message, 90)?;
        let part = |range: std::ops::Range<usize>| {
            original.get(range).ok_or(FormatError {
                de: 90,
                expected: "42 digits",
            })
        };
        let kind = match part(0..4)? {
            b"0100" | b"0101" => MessageKind::Authorization,
            b"0200" | b"0201" => MessageKind::Financial,
            b"0220" | b"0221" => MessageKind::FinancialAdvice,
            _ => {
                return Err(FormatError {
                    de: 90,
                    expected: "an original MTI of 0100, 0200 or 0220",
                });
            }
        };
        let unreachable = |_| FormatError {
            de: 90,
            expected: "42 digits",
        };
        Ok(Self {
            kind,
            stan: part(4..10)?.try_into().map_err(unreachable)?,
            transmitted: part(10..20)?.try_into().map_err(unreachable)?,
            rrn: exactly(message, 37)?,
            terminal: exactly(message, 41)?,
        })
    }
}

/// A data element that is missing or malformed: the message is answered with 30.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("DE {de}: expected {expected}")]
pub(crate) struct FormatError {
    pub(crate) de: u8,
    pub(crate) expected: &'static str,
}

/// A card request, read and checked. Its `Debug` is left out, because it holds card data.
pub(crate) struct CardRequest {
    pub(crate) key: ExchangeKey,
    pub(crate) pan: String,
    pub(crate) kind: PaymentKind,
    pub(crate) amount_minor: i64,
    pub(crate) currency_numeric: u16,
    pub(crate) expiry_yymm: Option<[u8; 4]>,
    pub(crate) cvv2: Option<String>,
    pub(crate) pin_block: Option<[u8; 8]>,
    /// The hold that an advice completes, from DE 90.
    pub(crate) original: Option<ExchangeKey>,
}

impl CardRequest {
    /// Reads a 0100, 0200 or 0220.
    ///
    /// # Errors
    /// The first data element that is missing or malformed.
    pub(crate) fn read(message: &BankMessage, kind: MessageKind) -> Result<Self, FormatError> {
        let processing_code: [u8; 6] = digits(message, 3)?;
        let [first, second, ..] = processing_code;
        let original = match kind {
            MessageKind::FinancialAdvice if message.get(90).is_some() => {
                Some(ExchangeKey::of_original(message)?)
            }
            _ => None,
        };
        Ok(Self {
            key: ExchangeKey::of(message, kind)?,
            pan: pan(message)?.to_owned(),
            kind: match [first, second] {
                [b'0', b'0' | b'1' | b'9'] => PaymentKind::Debit,
                [b'2', b'0'] => PaymentKind::Credit,
                _ => PaymentKind::Other,
            },
            amount_minor: number(message, 4, "12 digits")?,
            currency_numeric: number(message, 49, "3 digits")?,
            expiry_yymm: message.get(14).map(|_| digits(message, 14)).transpose()?,
            cvv2: cvv2(message)?.map(str::to_owned),
            pin_block: message
                .get(52)
                .map(|block| {
                    block.try_into().map_err(|_| FormatError {
                        de: 52,
                        expected: "8 bytes",
                    })
                })
                .transpose()?,
            original,
        })
    }
}

/// DE 2, 12 to 19 digits.
pub(crate) fn pan(message: &BankMessage) -> Result<&str, FormatError> {
    message
        .text(2)
        .filter(|pan| {
            (12..=19).contains(&pan.len()) && pan.bytes().all(|byte| byte.is_ascii_digit())
        })
        .ok_or(FormatError {
            de: 2,
            expected: "12 to 19 digits",
        })
}

/// The tag of the CVV2 in DE 48.
const CVV2_TAG: &str = "92";

/// The CVV2 of DE 48, which holds sub-elements of two digits of tag, two digits of length, and value.
fn cvv2(message: &BankMessage) -> Result<Option<&str>, FormatError> {
    let malformed = FormatError {
        de: 48,
        expected: "sub-elements of tag, length and value",
    };
    let Some(bytes) = message.get(48) else {
        return Ok(None);
    };
    let mut rest = str::from_utf8(bytes).map_err(|_| malformed)?;
    while !rest.is_empty() {
        let (tag, after_tag) = rest.split_at_checked(2).ok_or(malformed)?;
        let (length, after_length) = after_tag.split_at_checked(2).ok_or(malformed)?;
        if !length.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(malformed);
        }
        let length = length.parse::<usize>().map_err(|_| malformed)?;
        let (value, after_value) = after_length.split_at_checked(length).ok_or(malformed)?;
        if tag == CVV2_TAG {
            return Ok(Some(value));
        }
        rest = after_value;
    }
    Ok(None)
}

fn number<T: std::str::FromStr>(
    message: &BankMessage,
    de: u8,
    expected: &'static str,
) -> Result<T, FormatError> {
    message
        .text(de)
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
        .ok_or(FormatError { de, expected })
}

fn digits<const N: usize>(message: &BankMessage, de: u8) -> Result<[u8; N], FormatError> {
    exactly(message, de).and_then(|bytes: [u8; N]| {
        if bytes.iter().all(u8::is_ascii_digit) {
            Ok(bytes)
        } else {
            Err(FormatError {
                de,
                expected: "digits",
            })
        }
    })
}

fn exactly<const N: usize>(message: &BankMessage, de: u8) -> Result<[u8; N], FormatError> {
    message
        .get(de)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(FormatError {
            de,
            expected: "its fixed length",
        })
}
