//! Hexadecimal digits, for this crate and the programs around it.

/// The value of one digit, upper or lower case.
pub(crate) fn nibble(digit: u8) -> Option<u8> {
    // In ASCII the low four bits of a letter are one less than its place in the alphabet.
    digit
        .is_ascii_hexdigit()
        .then_some((digit & 0x0F) + 9 * (digit >> 6))
}

/// The digit, in upper case, of the lower half of a byte.
pub(crate) fn digit(nibble: u8) -> u8 {
    match nibble & 0x0F {
        value @ 0..=9 => b'0' + value,
        value => b'A' - 10 + value,
    }
}

/// The two digits of a byte.
pub(crate) fn digits(byte: u8) -> [u8; 2] {
    [digit(byte >> 4), digit(byte)]
}

/// The bytes that these digits of either case spell; `None` when one is no digit, or their number is odd.
#[must_use]
pub fn decode(text: impl AsRef<[u8]>) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_ref().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs
        .iter()
        .map(|[high, low]| Some(nibble(*high)? << 4 | nibble(*low)?))
        .collect()
}

/// Bytes as upper-case digits.
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    text(bytes, digits)
}

/// Bytes as lower-case digits.
#[must_use]
pub fn encode_lower(bytes: &[u8]) -> String {
    // A decimal digit has this bit already.
    text(bytes, |byte| digits(byte).map(|digit| digit | 0x20))
}

fn text(bytes: &[u8], digits: impl Fn(u8) -> [u8; 2]) -> String {
    let ascii = bytes.iter().flat_map(|byte| digits(*byte)).collect();
    // Digits are ASCII. Checking that is far faster than adding them to a text one by one.
    String::from_utf8(ascii).unwrap_or_default()
}

/// `N` bytes from lower-case digits; `None` for anything else.
#[must_use]
pub fn decode_lower<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.bytes().any(|digit| digit.is_ascii_uppercase()) {
        return None;
    }
    decode(text)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_of_both_cases_are_read_and_upper_case_is_written() {
        for byte in 0..=255 {
            let [high, low] = digits(byte);
            assert_eq!(
                nibble(high).zip(nibble(low)),
                Some((byte >> 4, byte & 0x0F))
            );
            let lower = [high.to_ascii_lowercase(), low.to_ascii_lowercase()];
            assert_eq!(decode(lower), Some(vec![byte]));
            let value = char::from(byte)
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok());
            assert_eq!(nibble(byte), value);
        }
        assert_eq!(encode(&[0x0A, 0xF9]), "0AF9");
        assert_eq!(encode_lower(&[0x0A, 0xF9]), "0af9");
        assert_eq!(decode(b"0A F"), None);
        assert_eq!(decode(b"0AF"), None);
    }

    #[test]
    fn lower_case_digits_read_back_and_nothing_else_does() {
        let bytes = [0, 171, 255];
        assert_eq!(encode_lower(&bytes), "00abff");
        assert_eq!(decode_lower::<3>("00abff"), Some(bytes));
        for text in ["", "00ab", "00ABff", "00ab+f", "00abfff"] {
            assert_eq!(decode_lower::<3>(text), None, "{text}");
        }
    }
}
