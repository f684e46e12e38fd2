//! Signed amounts in major units.

use crate::payment::money::Currency;

/// `minor` minor units as a decimal with the currency's digits: `-12.50` EUR, `1250` JPY, `0.005` KWD.
pub(super) fn decimal(minor: i64, currency: Currency) -> String {
    let sign = if minor < 0 { "-" } else { "" };
    let scale = 10_u64.pow(currency.minor_digits());
    let (major, rest) = (minor.unsigned_abs() / scale, minor.unsigned_abs() % scale);
    match usize::try_from(currency.minor_digits()) {
        Ok(0) | Err(_) => format!("{sign}{major}"),
        Ok(width) => format!("{sign}{major}.{rest:0width$}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_the_digits_of_their_currency() {
        for (minor, code, shown) in [
            (0, "EUR", "0.00"),
            (-5, "EUR", "-0.05"),
            (-1250, "EUR", "-12.50"),
            (-1250, "JPY", "-1250"),
            (1250, "KWD", "1.250"),
            (12_345, "UYW", "1.2345"),
            (i64::MAX, "EUR", "92233720368547758.07"),
            (i64::MIN, "EUR", "-92233720368547758.08"),
        ] {
            assert_eq!(decimal(minor, code.parse().unwrap()), shown);
        }
    }
}
