//! Data elements read as numbers, digits and sub-elements.

use crate::{config::HostRules, message::BankMessage};

/// A data element that is missing or malformed: the message is answered with 30.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("DE {de}: expected {expected}")]
pub(crate) struct FormatError {
    pub(crate) de: u8,
    pub(crate) expected: &'static str,
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

/// The CVV2 of DE 48, which holds sub-elements of tag, length, and value.
pub(crate) fn cvv2(message: &BankMessage, rules: HostRules) -> Result<Option<&str>, FormatError> {
    let cvv2_tag = match rules {
        HostRules::Standard => "92",
        HostRules::Nps => "051",
    };
    // The digits of a tag, and of a length.
    let width = cvv2_tag.len();
    let malformed = FormatError {
        de: 48,
        expected: "sub-elements of tag, length and value",
    };
    let Some(bytes) = message.get(48) else {
        return Ok(None);
    };
    let mut rest = str::from_utf8(bytes).map_err(|_| malformed)?;
    while !rest.is_empty() {
        let (tag, after_tag) = rest.split_at_checked(width).ok_or(malformed)?;
        let (length, after_length) = after_tag.split_at_checked(width).ok_or(malformed)?;
        if !length.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(malformed);
        }
        let length = length.parse::<usize>().map_err(|_| malformed)?;
        let (value, after_value) = after_length.split_at_checked(length).ok_or(malformed)?;
        if tag == cvv2_tag {
            return Ok(Some(value));
        }
        rest = after_value;
    }
    Ok(None)
}

/// A data element that is a number.
pub(crate) fn number<T: std::str::FromStr>(
    message: &BankMessage,
    de: u8,
    expected: &'static str,
) -> Result<T, FormatError> {
    message
        .get(de)
        .and_then(parsed)
        .ok_or(FormatError { de, expected })
}

/// The number that digits say.
pub(super) fn parsed<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    let text = str::from_utf8(digits).ok()?;
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}

/// A data element of so many digits.
pub(crate) fn digits<const N: usize>(
    message: &BankMessage,
    de: u8,
) -> Result<[u8; N], FormatError> {
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

/// A data element of so many bytes.
pub(super) fn exactly<const N: usize>(
    message: &BankMessage,
    de: u8,
) -> Result<[u8; N], FormatError> {
    message
        .get(de)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(FormatError {
            de,
            expected: "its fixed length",
        })
}
