//! Amounts as files write them: decimals in major units, read and written exactly.

use crate::payment::money::{Currency, MAX_AMOUNT_MINOR, Money};

/// The longest part of a text that an error repeats.
const SHOWN: usize = 40;

/// A text that is no amount of the currency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDecimal {
    /// It is not digits, or digits with a dot between them.
    #[error("expected digits, with at most one dot between them, got {got:?}")]
    Form {
        /// The text, cut to 40 characters.
        got: String,
    },
    /// It has a part that the currency's minor unit can't say.
    #[error("expected at most {digits} decimals that are not 0 for {currency}, got {got:?}")]
    Decimals {
        /// The currency.
        currency: Currency,
        /// Its minor digits.
        digits: u32,
        /// The text, cut to 40 characters.
        got: String,
    },
    /// It is larger than any amount.
    #[error("expected at most {MAX_AMOUNT_MINOR} minor units of {currency}, got {got:?}")]
    TooLarge {
        /// The currency.
        currency: Currency,
        /// The text, cut to 40 characters.
        got: String,
    },
}

/// Reads an amount in major units: `149.87`, `149.8`, `000149`, and zeros beyond what the currency has. No sign, exponent,
/// comma or space.
///
/// # Errors
/// [`InvalidDecimal`].
pub fn read_decimal(text: &str, currency: Currency) -> Result<Money, InvalidDecimal> {
    let got = || text.chars().take(SHOWN).collect();
    let (major, minor) = match text.split_once('.') {
        Some((major, minor)) => (major, Some(minor)),
        None => (text, None),
    };
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(major) || !minor.is_none_or(is_number) {
        return Err(InvalidDecimal::Form { got: got() });
    }
    let digits = currency.minor_digits();
    let places = usize::try_from(digits).unwrap_or(0);
    let minor = minor.unwrap_or("").as_bytes();
    let (kept, beyond) = minor.split_at_checked(places).unwrap_or((minor, &[]));
    if beyond.iter().any(|digit| *digit != b'0') {
        return Err(InvalidDecimal::Decimals {
            currency,
            digits,
            got: got(),
        });
    }
    let zeros = std::iter::repeat_n(&b'0', places - kept.len());
    let amount = major.bytes().chain(kept.iter().chain(zeros).copied());
    amount
        .map(|digit| i64::from(digit - b'0'))
        .try_fold(0_i64, |sum, digit| sum.checked_mul(10)?.checked_add(digit))
        .and_then(|minor| Money::new(minor, currency).ok())
        .ok_or_else(|| InvalidDecimal::TooLarge {
            currency,
            got: got(),
        })
}

/// `units`, of which 10 to the power of `digits` make a major unit, in major units: `149.80`.
#[must_use]
pub fn decimal_text(units: u128, digits: u32) -> String {
    let scale = 10_u128.checked_pow(digits).unwrap_or(u128::MAX);
    let width = usize::try_from(digits).unwrap_or(0);
    match digits {
        0 => units.to_string(),
        _ => format!("{}.{:0width$}", units / scale, units % scale),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_decimal_is_read_exactly_or_not_at_all() {
        let decimals = |currency: Currency, got: &str| InvalidDecimal::Decimals {
            currency,
            digits: currency.minor_digits(),
            got: got.to_owned(),
        };
        let form = |_: Currency, got: &str| InvalidDecimal::Form {
            got: got.to_owned(),
        };
        let too_large = |currency: Currency, got: &str| InvalidDecimal::TooLarge {
            currency,
            got: got.to_owned(),
        };
        type Fault = fn(Currency, &str) -> InvalidDecimal;
        for (text, currency, expected) in [
            ("000000000000149.87", "EUR", Ok::<i64, Fault>(14_987)),
            ("149.8", "EUR", Ok(14_980)),
            ("149", "EUR", Ok(14_900)),
            ("149.870000", "EUR", Ok(14_987)),
            ("0", "EUR", Ok(0)),
            ("149.00", "JPY", Ok(149)),
            ("1.250", "KWD", Ok(1_250)),
            ("9999999999.99", "EUR", Ok(MAX_AMOUNT_MINOR)),
            ("149.001", "EUR", Err(decimals as Fault)),
            ("149.50", "JPY", Err(decimals)),
            ("1.2501", "KWD", Err(decimals)),
            ("10000000000.00", "EUR", Err(too_large)),
            ("99999999999999999999999999", "JPY", Err(too_large)),
            ("1e2", "EUR", Err(form)),
            ("1,25", "EUR", Err(form)),
            ("", "EUR", Err(form)),
            (".", "EUR", Err(form)),
            (".5", "EUR", Err(form)),
            ("5.", "EUR", Err(form)),
            ("+5", "EUR", Err(form)),
            ("-5", "EUR", Err(form)),
            (" 5", "EUR", Err(form)),
            ("1.2.3", "EUR", Err(form)),
            ("1_000", "EUR", Err(form)),
            ("\u{0661}", "EUR", Err(form)),
            ("Inf", "EUR", Err(form)),
        ] {
            let currency: Currency = currency.parse().unwrap();
            let got = read_decimal(text, currency);
            let expected = expected.map_err(|fault| fault(currency, text));
            assert_eq!(got.map(Money::amount_minor), expected, "{text:?}");
        }
    }

    proptest! {
        /// Currencies of 0 to 4 decimals.
        #[test]
        fn what_is_written_reads_back(
            minor in 0..=MAX_AMOUNT_MINOR,
            currency in prop::sample::select(vec!["JPY", "EUR", "KWD", "CLF"]),
            zeros in 0..20_usize,
        ) {
            let amount = Money::new(minor, currency.parse().unwrap()).unwrap();
            let text = decimal_text(minor.unsigned_abs().into(), amount.currency().minor_digits());
            prop_assert_eq!(format!("{text} {currency}"), amount.to_string());
            let padded = format!("{}{text}", "0".repeat(zeros));
            prop_assert_eq!(read_decimal(&padded, amount.currency()), Ok(amount));
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = read_decimal(&text, "EUR".parse().unwrap());
        }
    }
}
