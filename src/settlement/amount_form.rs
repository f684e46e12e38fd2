//! Amounts in files: decimals such as `149.87`, or minor units, read and written exactly.

use crate::payment::money::Decimal;

/// The most digits of an amount, without leading zeros: what 64 bits hold.
pub const MOST_DIGITS: usize = 18;

/// Why a text is no amount. It reads as what was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAmount {
    /// It is no decimal.
    #[error("an amount such as 149.87 (digits and a dot; no sign, space, comma or exponent)")]
    NotDecimal,
    /// It is no whole number.
    #[error("an amount of minor units such as 14987 (digits only)")]
    NotMinor,
    /// It has more than [`MOST_DIGITS`] digits, as it stands or in minor units.
    #[error("an amount of at most {MOST_DIGITS} digits")]
    TooLong,
    /// It is more exact than its currency.
    #[error("at most {most} decimals that are not zero")]
    TooExact {
        /// The decimals of the currency.
        most: u32,
    },
}

/// How a file writes amounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AmountForm {
    /// `149.87`, with the decimals of the currency.
    Decimal,
    /// `14987`: minor units.
    Minor,
}

impl AmountForm {
    /// The words of a profile.
    pub const WORDS: [(&'static str, Self); 2] =
        [("decimal", Self::Decimal), ("minor", Self::Minor)];

    /// The minor units of `text`, never negative, in a currency of `minor_digits` decimals.
    ///
    /// # Errors
    /// When it is no amount of this form.
    pub fn read(self, text: &str, minor_digits: u32) -> Result<i64, InvalidAmount> {
        match self {
            Self::Decimal => minor_of_decimal(text, minor_digits),
            Self::Minor if text.is_empty() || !is_digits(text) => Err(InvalidAmount::NotMinor),
            Self::Minor => number(text.bytes()),
        }
    }

    /// An amount in this form.
    #[must_use]
    pub fn shown(self, minor: i64, minor_digits: u32) -> Decimal {
        Decimal {
            units: i128::from(minor),
            places: match self {
                Self::Decimal => minor_digits,
                Self::Minor => 0,
            },
        }
    }
}

/// The minor units of a decimal, in a currency of `minor_digits` decimals. Zeros may lead, and zeros may stand where the
/// currency has no decimals any more.
///
/// # Errors
/// When it is no decimal without a sign, has more than [`MOST_DIGITS`] digits, or is more exact than its currency.
pub fn minor_of_decimal(text: &str, minor_digits: u32) -> Result<i64, InvalidAmount> {
    let (whole, decimals) = match text.split_once('.') {
        Some((_, "")) => return Err(InvalidAmount::NotDecimal),
        Some(parts) => parts,
        None => (text, ""),
    };
    if whole.is_empty() || !is_digits(whole) || !is_digits(decimals) {
        return Err(InvalidAmount::NotDecimal);
    }
    let whole = whole.trim_start_matches('0');
    if whole.len() + decimals.len() > MOST_DIGITS {
        return Err(InvalidAmount::TooLong);
    }
    let places = usize::try_from(minor_digits).unwrap_or(usize::MAX);
    if decimals.bytes().skip(places).any(|digit| digit != b'0') {
        return Err(InvalidAmount::TooExact { most: minor_digits });
    }
    let zeros = std::iter::repeat(b'0');
    let decimals = decimals.bytes().chain(zeros).take(places);
    number(whole.bytes().chain(decimals))
}

fn is_digits(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The number of these digits.
fn number(digits: impl Iterator<Item = u8>) -> Result<i64, InvalidAmount> {
    const LIMIT: i64 = 10_i64.pow(18);
    digits.into_iter().try_fold(0_i64, |number, digit| {
        let next = number.checked_mul(10);
        next.and_then(|next| next.checked_add(i64::from(digit.saturating_sub(b'0'))))
            .filter(|next| *next < LIMIT)
            .ok_or(InvalidAmount::TooLong)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_are_read_exactly_or_refused() {
        use InvalidAmount::{NotDecimal, TooExact, TooLong};
        for (text, digits, expected) in [
            ("149.87", 2, Ok(14987)),
            ("000000000000149.87", 2, Ok(14987)),
            ("00000000000000000000149.87", 2, Ok(14987)),
            ("149.8", 2, Ok(14980)),
            ("149", 2, Ok(14900)),
            ("149.870000", 2, Ok(14987)),
            ("0", 2, Ok(0)),
            ("149.00", 0, Ok(149)),
            ("149", 0, Ok(149)),
            ("1.250", 3, Ok(1250)),
            ("1.25", 3, Ok(1250)),
            ("9999999999999999.99", 2, Ok(999_999_999_999_999_999)),
            ("149.50", 0, Err(TooExact { most: 0 })),
            ("1.2505", 3, Err(TooExact { most: 3 })),
            ("149.875", 2, Err(TooExact { most: 2 })),
            ("1e2", 2, Err(NotDecimal)),
            ("1,25", 2, Err(NotDecimal)),
            ("1.2.5", 2, Err(NotDecimal)),
            ("+5", 2, Err(NotDecimal)),
            ("-5", 2, Err(NotDecimal)),
            ("", 2, Err(NotDecimal)),
            (" 5", 2, Err(NotDecimal)),
            ("5 ", 2, Err(NotDecimal)),
            ("5.", 2, Err(NotDecimal)),
            (".5", 2, Err(NotDecimal)),
            (".", 2, Err(NotDecimal)),
            ("٥", 2, Err(NotDecimal)),
            ("0x10", 2, Err(NotDecimal)),
            ("12345678901234567.89", 2, Err(TooLong)),
            ("1234567890123456789", 0, Err(TooLong)),
            ("123456789012345678", 0, Ok(123_456_789_012_345_678)),
            ("123456789012345678", 2, Err(TooLong)),
            ("0.0000000000000000000", 2, Err(TooLong)),
        ] {
            assert_eq!(minor_of_decimal(text, digits), expected, "{text:?}");
        }
    }

    #[test]
    fn minor_units_are_digits() {
        use InvalidAmount::{NotMinor, TooLong};
        for (text, expected) in [
            ("14987", Ok(14987)),
            ("0014987", Ok(14987)),
            ("", Err(NotMinor)),
            ("149.87", Err(NotMinor)),
            ("-1", Err(NotMinor)),
            (" 1", Err(NotMinor)),
            ("1234567890123456789", Err(TooLong)),
        ] {
            assert_eq!(AmountForm::Minor.read(text, 2), expected, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(units in 0..1_000_000_000_000_000_000_i64, places in 0..=4_u32) {
            let text = Decimal { units: i128::from(units), places }.to_string();
            prop_assert_eq!(minor_of_decimal(&text, places), Ok(units), "{}", text);
            let with_zeros = if places == 0 { format!("00{text}.") } else { format!("00{text}") } + "0";
            let read = minor_of_decimal(&with_zeros, places);
            prop_assert!(read == Ok(units) || read == Err(InvalidAmount::TooLong), "{}", with_zeros);
            if units > 0 {
                let opposite = Decimal { units: i128::from(-units), places };
                prop_assert_eq!(opposite.to_string(), format!("-{text}"));
            }
        }

        #[test]
        fn no_text_breaks_it(text in "\\PC*", number in "[0-9]{0,25}(\\.[0-9]{0,25})?", places in 0..=4_u32) {
            for text in [&text, &number] {
                let _ = AmountForm::Minor.read(text, places);
                if let Ok(units) = minor_of_decimal(text, places) {
                    // Whatever is read has only digits and a dot.
                    prop_assert!(text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'));
                    let again = Decimal { units: i128::from(units), places }.to_string();
                    prop_assert_eq!(minor_of_decimal(&again, places), Ok(units));
                }
            }
        }
    }
}
