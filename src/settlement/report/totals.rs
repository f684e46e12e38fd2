//! The lines of a report summed up, and the lines at its end that say what they should sum to.

use super::fault::Fault;
use super::fields::Fields;
use super::format::{CsvFormat, Field};
use super::line::Row;
use crate::payment::money::Currency;

/// What the lines of one currency sum to, in minor units. Lines of kinds that are left out are among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CurrencyTotals {
    /// The currency.
    pub currency: Currency,
    /// How many lines.
    pub lines: u64,
    /// From the merchants, before fees.
    pub gross_debit_minor: i64,
    /// To the merchants, before fees.
    pub gross_credit_minor: i64,
    /// From the merchants, after fees.
    pub net_debit_minor: i64,
    /// To the merchants, after fees.
    pub net_credit_minor: i64,
}

impl CurrencyTotals {
    const fn none(currency: Currency) -> Self {
        Self {
            currency,
            lines: 0,
            gross_debit_minor: 0,
            gross_credit_minor: 0,
            net_debit_minor: 0,
            net_credit_minor: 0,
        }
    }

    fn plus(&self, row: &Row) -> Option<Self> {
        Some(Self {
            currency: self.currency,
            lines: self.lines.checked_add(1)?,
            gross_debit_minor: self.gross_debit_minor.checked_add(row.gross.debit_minor)?,
            gross_credit_minor: self
                .gross_credit_minor
                .checked_add(row.gross.credit_minor)?,
            net_debit_minor: self.net_debit_minor.checked_add(row.net.debit_minor)?,
            net_credit_minor: self.net_credit_minor.checked_add(row.net.credit_minor)?,
        })
    }
}

/// What the lines sum to so far, and which currencies have had their end line.
#[derive(Default)]
pub(super) struct Totals {
    /// By the letters of the currencies.
    pub(super) by_currency: Vec<CurrencyTotals>,
    /// None of a report without lines, whose end line need not name a currency.
    ended: Vec<Option<Currency>>,
}

impl Totals {
    /// Adds a line; false where it is too much.
    pub(super) fn add(&mut self, row: &Row) -> bool {
        let code = row.currency.code();
        let found = self
            .by_currency
            .binary_search_by_key(&code, |it| it.currency.code());
        let index = found.unwrap_or_else(|place| {
            let none = CurrencyTotals::none(row.currency);
            self.by_currency.insert(place, none);
            place
        });
        let place = self.by_currency.get_mut(index);
        let sums = place.and_then(|place| place.plus(row).map(|sum| (place, sum)));
        let is_fit = sums.is_some();
        if let Some((place, sum)) = sums {
            *place = sum;
        }
        is_fit
    }

    /// Compares an end line with the sums.
    pub(super) fn end(
        &mut self,
        format: &CsvFormat,
        number: u64,
        fields: Fields<'_>,
    ) -> Result<(), Fault> {
        let fault = |column: &str, expected: String, got: &str| {
            Err(Fault::new(number, Some(column), expected, got))
        };
        let text = |index| std::str::from_utf8(fields.bytes(index)).unwrap_or("\u{fffd}");
        if !(6..=7).contains(&fields.len()) {
            let expected = "an end line of six or seven fields";
            return Err(Fault::new(
                number,
                None,
                expected,
                &fields.len().to_string(),
            ));
        }
        let currency = match (text(6), &*self.by_currency) {
            ("", []) => None,
            ("", [one]) => Some(one.currency),
            ("", _) => {
                return fault("currency", "one, since the lines have several".into(), "");
            }
            (code, _) => match code.parse::<Currency>() {
                Ok(currency) => Some(currency),
                Err(_) => return fault("currency", "an ISO 4217 currency code".into(), code),
            },
        };
        if self.ended.contains(&currency) {
            return fault("currency", "one end line of each currency".into(), text(6));
        }
        self.ended.push(currency);
        let sums = self
            .by_currency
            .iter()
            .find(|it| Some(it.currency) == currency);
        let lines = sums.map_or(0, |sums| sums.lines);
        if text(1).parse() != Ok(lines) || !text(1).bytes().all(|it| it.is_ascii_digit()) {
            return fault("number of lines", lines.to_string(), text(1));
        }
        let of = |minor: fn(&CurrencyTotals) -> i64| sums.map_or(0, minor);
        let places = currency.map_or(0, Currency::minor_digits);
        for (index, field, sum) in [
            (2, Field::GrossDebit, of(|it| it.gross_debit_minor)),
            (3, Field::GrossCredit, of(|it| it.gross_credit_minor)),
            (4, Field::NetDebit, of(|it| it.net_debit_minor)),
            (5, Field::NetCredit, of(|it| it.net_credit_minor)),
        ] {
            let Some(name) = format.column(field) else {
                continue;
            };
            if format.amount.read(text(index), places) != Ok(sum) {
                let expected = format.amount.shown(sum, places).to_string();
                return fault(&format!("sum of {name}"), expected, text(index));
            }
        }
        Ok(())
    }

    /// The first currency that has had no end line.
    pub(super) fn not_ended(&self) -> Option<Currency> {
        let mut currencies = self.by_currency.iter().map(|it| it.currency);
        currencies.find(|currency| !self.ended.contains(&Some(*currency)))
    }
}
