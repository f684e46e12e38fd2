//! Currencies as DE 49 names them, and how many decimals they have.

use std::fmt;

/// An ISO 4217 currency with an exponent: one that can be paid with.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency {
    iso: iso_currency::Currency,
    exponent: u8,
}

impl Currency {
    /// The currency of a numeric code, DE 49; `None` when ISO 4217 has none or it has no minor unit
    /// (gold, test codes).
    #[must_use]
    pub fn from_numeric(numeric: u16) -> Option<Self> {
        Self::known(iso_currency::Currency::from_numeric(numeric)?)
    }

    /// The currency of an alphabetic code such as `KWD`.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::known(iso_currency::Currency::from_code(code)?)
    }

    fn known(iso: iso_currency::Currency) -> Option<Self> {
        let exponent = u8::try_from(iso.exponent()?).ok()?;
        Some(Self { iso, exponent })
    }

    /// The alphabetic code.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.iso.code()
    }

    /// The numeric code, as in DE 49.
    #[must_use]
    pub fn numeric(self) -> u16 {
        self.iso.numeric()
    }

    /// How many decimals: 0 for JPY, 2 for EUR, 3 for KWD.
    #[must_use]
    pub fn exponent(self) -> u8 {
        self.exponent
    }

    /// An amount of whole units in minor units; `None` when it does not fit.
    #[must_use]
    pub fn minor_units(self, whole_units: i64) -> Option<i64> {
        whole_units.checked_mul(10_i64.checked_pow(u32::from(self.exponent))?)
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// An amount of minor units with so many decimals, as in `-1.250`; without a dot when there are none.
pub(crate) fn decimal(minor: i64, exponent: u8) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    let width = usize::from(exponent) + 1;
    let digits = format!("{:0width$}", minor.unsigned_abs());
    match digits.split_at_checked(digits.len().saturating_sub(usize::from(exponent))) {
        Some((whole, decimals)) if exponent > 0 => format!("{sign}{whole}.{decimals}"),
        _ => format!("{sign}{digits}"),
    }
}

/// The most digits that an amount is read with.
const MAX_AMOUNT_DIGITS: usize = 18;

/// The minor units of an amount that is not negative, written with digits and at most one dot. Decimals that the
/// currency does not have must be 0.
pub(crate) fn minor_of(text: &str, exponent: u8) -> Option<i64> {
    let (whole, decimals) = match text.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (text, ""),
    };
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_digits(whole) || !is_digits(decimals) {
        return None;
    }
    let exponent = usize::from(exponent);
    let (kept, dropped) = decimals
        .split_at_checked(exponent)
        .unwrap_or((decimals, ""));
    let minor = format!("{whole}{kept:0<exponent$}");
    let is_exact = dropped.bytes().all(|byte| byte == b'0');
    if !is_exact || minor.trim_start_matches('0').len() > MAX_AMOUNT_DIGITS {
        return None;
    }
    minor.parse().ok()
}

/// The alphabetic code of a numeric one, or the numeric one of a currency that is none.
pub(crate) fn code_of(numeric: u16) -> String {
    Currency::from_numeric(numeric).map_or_else(
        || format!("{numeric:03}"),
        |currency| currency.code().to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_has_the_decimals_of_its_currency() {
        for (minor, exponent, expected) in [
            (0, 0, "0"),
            (1_250, 0, "1250"),
            (5, 2, "0.05"),
            (-12_345, 2, "-123.45"),
            (1_250, 3, "1.250"),
            (i64::MIN, 4, "-922337203685477.5808"),
        ] {
            assert_eq!(decimal(minor, exponent), expected);
        }
    }

    #[test]
    fn an_amount_is_read_exactly_or_not_at_all() {
        for (text, exponent, expected) in [
            ("149.87", 2, Some(14_987)),
            ("149.8", 2, Some(14_980)),
            ("149", 2, Some(14_900)),
            ("000000000000149.87", 2, Some(14_987)),
            ("149.00", 0, Some(149)),
            ("1.250", 3, Some(1_250)),
            ("9999999999999999.99", 2, Some(999_999_999_999_999_999)),
            ("10000000000000000.00", 2, None),
            ("149.50", 0, None),
            ("1e2", 2, None),
            ("1,25", 2, None),
            ("+5", 2, None),
            ("-5", 2, None),
            (" 5", 2, None),
            ("5.", 2, None),
            (".5", 2, None),
            ("", 2, None),
        ] {
            assert_eq!(
                minor_of(text, exponent),
                expected,
                "{text:?} with {exponent}"
            );
        }
    }

    #[test]
    fn decimals_are_those_of_iso_4217() {
        for (code, numeric, exponent, hundred) in [
            ("JPY", 392, 0, 100),
            ("EUR", 978, 2, 10_000),
            ("KWD", 414, 3, 100_000),
        ] {
            let currency = Currency::from_numeric(numeric).unwrap();
            assert_eq!(currency.code(), code);
            assert_eq!(currency.exponent(), exponent);
            assert_eq!(currency.minor_units(100), Some(hundred));
            assert_eq!(Currency::from_code(code), Some(currency));
        }
        assert_eq!(Currency::from_numeric(0), None);
    }
}
