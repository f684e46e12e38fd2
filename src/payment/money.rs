//! Amounts in minor units, with their ISO 4217 currency.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The largest amount that DE 4 can carry: twelve digits (ISO 8583:1987, n 12).
pub const MAX_AMOUNT_MINOR: i64 = 999_999_999_999;

/// An ISO 4217 currency with a defined number of minor digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Currency(iso_currency::Currency);

/// A currency code that ISO 4217 does not list, or one that has no minor unit (XAU, XXX).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an ISO 4217 currency code of three capital letters such as \"EUR\", got {got:?}")]
pub struct UnknownCurrency {
    /// The text as it came, cut to 16 characters.
    pub got: String,
}

/// Why nobody pays in a currency that ISO 4217 lists, or listed once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotPaidIn {
    /// Another one has taken its place, for instance EUR that of HRK.
    #[error("which was replaced by {0}")]
    Replaced(Currency),
    /// Prices and debts are counted in it, and paid in another one: CLF, USN.
    #[error("a unit of account that nobody pays in")]
    UnitOfAccount,
}

impl Currency {
    /// Whether cards pay in it today. Payments of before may be in one of another time, and are read and refunded in it:
    /// only what begins is held to this.
    ///
    /// # Errors
    /// When it was replaced, or was never paid in.
    pub fn is_paid_in(self) -> Result<(), NotPaidIn> {
        use iso_currency::Currency as Iso;
        if self.0.is_fund() || self.0.is_special() {
            return Err(NotPaidIn::UnitOfAccount);
        }
        match self.0.is_superseded() {
            // VED is the same bolivar under another code, for banks among themselves: VES stays the one that is paid in.
            None | Some(Iso::VED) => Ok(()),
            Some(by) => Err(NotPaidIn::Replaced(Self(by))),
        }
    }

    /// The three-letter code, for instance `EUR`.
    #[must_use]
    pub fn code(self) -> &'static str {
        self.0.code()
    }

    /// The numeric code of DE 49 and DE 51 (n 3), for instance 978.
    #[must_use]
    pub fn numeric(self) -> u16 {
        self.0.numeric()
    }

    /// The currency with this numeric code, where it has a minor unit.
    #[must_use]
    pub fn of_numeric(code: u16) -> Option<Self> {
        iso_currency::Currency::from_numeric(code)
            .filter(|currency| currency.exponent().is_some())
            .map(Self)
    }

    /// Digits after the decimal point: 0 for JPY, 2 for EUR, 3 for KWD.
    #[must_use]
    pub fn minor_digits(self) -> u32 {
        self.0.exponent().map_or(0, u32::from)
    }
}

impl FromStr for Currency {
    type Err = UnknownCurrency;

    fn from_str(code: &str) -> Result<Self, Self::Err> {
        // `from_code` is case-sensitive; a currency without a minor unit can't be paid in.
        iso_currency::Currency::from_code(code)
            .filter(|currency| currency.exponent().is_some() && currency.code() == code)
            .map(Self)
            .ok_or_else(|| UnknownCurrency {
                got: code.chars().take(16).collect(),
            })
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        code.parse().map_err(serde::de::Error::custom)
    }
}

/// An amount of money: minor units of one currency, never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    /// Minor units: cents for EUR, yen for JPY, fils for KWD. 0 to [`MAX_AMOUNT_MINOR`].
    amount_minor: i64,
    /// The currency the minor units are of.
    currency: Currency,
}

/// An amount that DE 4 can't carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an amount of 0 to {MAX_AMOUNT_MINOR} minor units, got {got_minor}")]
pub struct AmountOutOfRange {
    /// The amount as it came, in minor units.
    pub got_minor: i64,
}

impl Money {
    /// An amount of `amount_minor` minor units.
    ///
    /// # Errors
    /// When it is negative or over [`MAX_AMOUNT_MINOR`].
    pub fn new(amount_minor: i64, currency: Currency) -> Result<Self, AmountOutOfRange> {
        if (0..=MAX_AMOUNT_MINOR).contains(&amount_minor) {
            Ok(Self {
                amount_minor,
                currency,
            })
        } else {
            Err(AmountOutOfRange {
                got_minor: amount_minor,
            })
        }
    }

    /// Nothing, in `currency`.
    #[must_use]
    pub fn zero(currency: Currency) -> Self {
        Self {
            amount_minor: 0,
            currency,
        }
    }

    /// Minor units, 0 to [`MAX_AMOUNT_MINOR`].
    #[must_use]
    pub fn amount_minor(self) -> i64 {
        self.amount_minor
    }

    /// The currency.
    #[must_use]
    pub fn currency(self) -> Currency {
        self.currency
    }
}

/// Shows `12.50 EUR`, `1250 JPY`, `1.250 KWD`.
impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let amount = Decimal::of_minor(self.amount_minor, self.currency);
        write!(f, "{amount} {}", self.currency)
    }
}

/// A number of units that shows as a decimal: `149.87`, `-0.05`, `100`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decimal {
    /// Units of the last place.
    pub units: i128,
    /// Places after the dot; without any there is no dot.
    pub places: u32,
}

impl Decimal {
    /// An amount in minor units of a currency, below 0 too.
    #[must_use]
    pub fn of_minor(minor: i64, currency: Currency) -> Self {
        Self {
            units: i128::from(minor),
            places: currency.minor_digits(),
        }
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = self.units.unsigned_abs();
        let scale = 10_u128.saturating_pow(self.places);
        let sign = if self.units < 0 { "-" } else { "" };
        let (whole, decimals) = (units / scale, units % scale);
        match usize::try_from(self.places) {
            Ok(places) if places > 0 => write!(f, "{sign}{whole}.{decimals:0places$}"),
            _ => write!(f, "{sign}{whole}"),
        }
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
            let decimal = Decimal::of_minor(minor, code.parse().unwrap());
            assert_eq!(decimal.to_string(), shown);
        }
    }

    #[test]
    fn currencies_know_their_codes_and_digits() {
        for (code, numeric, digits) in [
            ("JPY", 392, 0),
            ("EUR", 978, 2),
            ("USD", 840, 2),
            ("KWD", 414, 3),
            ("BHD", 48, 3),
        ] {
            let currency: Currency = code.parse().unwrap();
            assert_eq!(
                (currency.numeric(), currency.minor_digits()),
                (numeric, digits),
                "{code}"
            );
            assert_eq!(Currency::of_numeric(numeric), Some(currency));
        }
        // Gold, which nobody pays in, and a number that is nobody's.
        assert_eq!([959, 1000].map(Currency::of_numeric), [None, None]);
    }

    #[test]
    fn what_iso_4217_does_not_list_is_refused() {
        for code in ["", "eur", "EURO", "ZZZ", "978", "XAU", "XXX", "EU\u{0}"] {
            assert!(code.parse::<Currency>().is_err(), "{code:?}");
        }
    }

    #[test]
    fn nobody_pays_in_units_of_account_and_in_what_was_replaced() {
        let paid_in = |code: &str| code.parse::<Currency>().unwrap().is_paid_in();
        for code in [
            "BOV", "CHE", "CHW", "CLF", "COU", "MXV", "USN", "UYI", "UYW", "XAD",
        ] {
            assert_eq!(paid_in(code), Err(NotPaidIn::UnitOfAccount), "{code}");
        }
        for (code, by) in [
            ("BGN", "EUR"),
            ("CUC", "CUP"),
            ("HRK", "EUR"),
            ("SLL", "SLE"),
            ("ZWL", "ZWG"),
        ] {
            let by = by.parse().unwrap();
            assert_eq!(paid_in(code), Err(NotPaidIn::Replaced(by)), "{code}");
        }
        for code in [
            "EUR", "CHF", "CLP", "CUP", "JPY", "SLE", "USD", "UYU", "VED", "VES", "XAF", "XCD",
            "XCG", "XOF", "XPF", "ZWG",
        ] {
            assert_eq!(paid_in(code), Ok(()), "{code}");
        }
    }

    #[test]
    fn amounts_read_in_their_currency() {
        for (minor, code, shown) in [
            (0, "EUR", "0.00 EUR"),
            (1250, "EUR", "12.50 EUR"),
            (5, "USD", "0.05 USD"),
            (1250, "JPY", "1250 JPY"),
            (1250, "KWD", "1.250 KWD"),
        ] {
            assert_eq!(
                Money::new(minor, code.parse().unwrap())
                    .unwrap()
                    .to_string(),
                shown
            );
        }
    }

    #[test]
    fn an_amount_fits_de_4() {
        let eur: Currency = "EUR".parse().unwrap();
        assert!(Money::new(MAX_AMOUNT_MINOR, eur).is_ok());
        assert_eq!(Money::new(-1, eur), Err(AmountOutOfRange { got_minor: -1 }));
        assert!(Money::new(MAX_AMOUNT_MINOR + 1, eur).is_err());
    }
}
