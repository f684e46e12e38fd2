//! Amounts as a host reads them. A host may count other minor units than ISO 4217 does.

use std::collections::BTreeMap;

use crate::payment::money::{Currency, MAX_AMOUNT_MINOR, Money};

/// The greatest sum in a message: sixteen digits.
const MAX_SUM_MINOR: i64 = 9_999_999_999_999_999;

/// The amount that a request names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::hosts) struct AskedAmount {
    /// DE 4, in the host's minor units.
    pub(in crate::hosts) amount_minor: u64,
    /// DE 49, ISO 4217 numeric.
    pub(in crate::hosts) currency: u16,
    /// The amount in the payment's minor units, where less is accepted.
    pub(in crate::hosts) partial_of_minor: Option<i64>,
}

impl AskedAmount {
    /// The payment's minor units in an amount that the host approved; none where it is not accepted: it is not less
    /// than was asked for, it is nothing, or the payment's minor unit can't say it.
    pub(in crate::hosts) fn accepted_part(self, approved_minor: u64) -> Option<i64> {
        if approved_minor == 0 || approved_minor >= self.amount_minor {
            return None;
        }
        // Both units differ by a power of ten.
        let whole = u128::try_from(self.partial_of_minor?).ok()?;
        let (approved, asked) = (u128::from(approved_minor), u128::from(self.amount_minor));
        let part = approved.checked_mul(whole)?;
        let is_exact = part % asked == 0;
        i64::try_from(part / asked).ok().filter(|_| is_exact)
    }
}

/// The currencies for which a host has another number of minor digits than ISO 4217.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MinorDigits(BTreeMap<u16, u32>);

/// An amount that the host can't be told exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected an amount that the host can read with {digits} minor digits in its places, got {amount_minor} minor units of {currency}"
)]
pub struct AmountNotExact {
    amount_minor: i64,
    currency: Currency,
    digits: u32,
}

impl MinorDigits {
    /// The digits of each currency that differs.
    #[must_use]
    pub fn new(differing: impl IntoIterator<Item = (Currency, u32)>) -> Self {
        let by_number = differing
            .into_iter()
            .map(|(currency, digits)| (currency.numeric(), digits));
        Self(by_number.collect())
    }

    /// DE 4 of an amount: 0 to 999,999,999,999.
    ///
    /// # Errors
    /// When the amount has a part that the host's minor unit can't say, or too many digits.
    pub fn wire_amount(&self, amount: Money) -> Result<u64, AmountNotExact> {
        self.on_the_wire(amount.amount_minor(), amount.currency(), MAX_AMOUNT_MINOR)
    }

    /// A sum of amounts, in minor units: 0 to 9,999,999,999,999,999, as ISO 8583 has places for.
    ///
    /// # Errors
    /// As [`wire_amount`](Self::wire_amount).
    pub fn wire_sum(&self, sum_minor: i64, currency: Currency) -> Result<u64, AmountNotExact> {
        self.on_the_wire(sum_minor, currency, MAX_SUM_MINOR)
    }

    /// The minor units of an amount that the host names; none where ISO 4217's minor unit can't say it.
    #[must_use]
    pub fn minor_of(&self, wire: i64, currency: Currency) -> Option<i64> {
        let (digits, own) = (self.digits(currency), currency.minor_digits());
        let factor = 10_i64.checked_pow(digits.abs_diff(own))?;
        if digits >= own {
            (wire % factor == 0).then_some(wire / factor)
        } else {
            wire.checked_mul(factor)
        }
    }

    fn digits(&self, currency: Currency) -> u32 {
        let own = currency.minor_digits();
        self.0.get(&currency.numeric()).copied().unwrap_or(own)
    }

    fn on_the_wire(
        &self,
        minor: i64,
        currency: Currency,
        most: i64,
    ) -> Result<u64, AmountNotExact> {
        let (digits, own) = (self.digits(currency), currency.minor_digits());
        let factor = 10_i64.checked_pow(digits.abs_diff(own));
        let converted = if digits >= own {
            factor.and_then(|factor| minor.checked_mul(factor))
        } else {
            factor
                .filter(|factor| minor % factor == 0)
                .map(|factor| minor / factor)
        };
        converted
            .filter(|converted| *converted <= most)
            .and_then(|converted| u64::try_from(converted).ok())
            .ok_or(AmountNotExact {
                amount_minor: minor,
                currency,
                digits,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_than_was_asked_for_is_accepted_where_the_payment_can_say_it() {
        // Asked for in the host's units and the payment's, approved, accepted.
        for (amount_minor, whole, approved_minor, expected) in [
            (1250, Some(1250), 500, Some(500)),
            (1250, None, 500, None),
            (1250, Some(1250), 0, None),
            (1250, Some(1250), 1250, None),
            (1250, Some(1250), 1251, None),
            (50_000, Some(500), 12_300, Some(123)),
            (50_000, Some(500), 12_301, None),
            (1250, Some(125_000), 7, Some(700)),
        ] {
            let asked = AskedAmount {
                amount_minor,
                currency: 978,
                partial_of_minor: whole,
            };
            assert_eq!(asked.accepted_part(approved_minor), expected);
        }
    }

    #[test]
    fn amounts_are_converted_exactly_or_not_at_all() {
        let money = |minor, code: &str| Money::new(minor, code.parse().unwrap()).unwrap();
        let digits = |code: &str, digits| (code.parse().unwrap(), digits);
        let host = MinorDigits::new([digits("HUF", 0), digits("JPY", 2), digits("KWD", 2)]);
        for (minor, code, expected) in [
            (1250, "EUR", Some(1250)),
            (125_000, "HUF", Some(1250)),
            (125_001, "HUF", None),
            (500, "JPY", Some(50_000)),
            (MAX_AMOUNT_MINOR, "JPY", None),
            (9_999_999_999, "JPY", Some(999_999_999_900)),
            (12_340, "KWD", Some(1234)),
            (12_345, "KWD", None),
            (0, "HUF", Some(0)),
        ] {
            let got = host.wire_amount(money(minor, code)).ok();
            assert_eq!(got, expected, "{minor} {code}");
        }
    }
}
