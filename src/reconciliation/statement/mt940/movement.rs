//! The fields with money: balances, and the statement line `:61:`.

use super::fields::Field;
use crate::payment::bank_statement::Balance;
use crate::payment::moment::BusinessDate;
use crate::payment::money::Currency;
use crate::reconciliation::statement::error::StatementError;
use crate::settlement::amount_form::minor_of_decimal;

/// The longest amount, with its comma.
const MOST_AMOUNT: usize = 15;
/// How far the date of an entry may be from its value date. Only a 29th of February is farther from the next one.
const MOST_DAYS_APART: i64 = 183;
/// What stands for a reference that there is none of.
const NO_REFERENCE: &str = "NONREF";

/// A movement as `:61:` has it.
#[derive(Debug)]
pub(super) struct Movement {
    pub(super) value_date: BusinessDate,
    pub(super) entry_date: Option<BusinessDate>,
    /// Above 0 for a credit of the account.
    pub(super) amount_minor: i64,
    pub(super) reverses: bool,
    pub(super) own_reference: Option<String>,
    pub(super) bank_reference: Option<String>,
    pub(super) text: Option<String>,
}

/// The text of a field that is still to be read.
struct Rest<'a> {
    field: &'a Field,
    text: &'a str,
}

impl<'a> Rest<'a> {
    /// What is wrong at the beginning of the rest.
    fn expected(&self, expected: &str) -> StatementError {
        let of = format!("field {}", self.field.tag);
        StatementError::text(self.field.position, &of, expected, self.text)
    }

    /// Takes so many bytes.
    fn take(&mut self, count: usize, expected: &str) -> Result<&'a str, StatementError> {
        let (taken, rest) = self
            .text
            .split_at_checked(count)
            .ok_or_else(|| self.expected(expected))?;
        self.text = rest;
        Ok(taken)
    }

    /// Takes a prefix, where it is there.
    fn skip(&mut self, prefix: &str) -> bool {
        let rest = self.text.strip_prefix(prefix);
        self.text = rest.unwrap_or(self.text);
        rest.is_some()
    }

    /// A date of six digits, YYMMDD.
    fn date(&mut self, today: BusinessDate) -> Result<BusinessDate, StatementError> {
        let expected = "a date as YYMMDD";
        let wrong = self.expected(expected);
        let text = self.take(6, expected)?;
        BusinessDate::named(text, today).ok_or(wrong)
    }

    /// An amount with a comma, up to `end` or to the end of the digits.
    fn amount(&mut self, currency: Currency) -> Result<i64, StatementError> {
        let is_other = |letter: char| !letter.is_ascii_digit() && letter != ',' && letter != '.';
        let end = self.text.find(is_other).unwrap_or(self.text.len());
        let expected = "an amount of at most 15 digits and one comma, such as 149,87";
        let wrong = self.expected(expected);
        let text = self.take(end, expected)?;
        let Some((whole, decimals)) = text.split_once(',').filter(|_| text.len() <= MOST_AMOUNT)
        else {
            return Err(wrong);
        };
        if decimals.contains([',', '.']) || whole.contains('.') {
            return Err(wrong);
        }
        // A comma without decimals behind it is written too.
        let decimal = match decimals {
            "" => whole.to_owned(),
            _ => format!("{whole}.{decimals}"),
        };
        minor_of_decimal(&decimal, currency.minor_digits()).map_err(|invalid| {
            let of = format!("field {}", self.field.tag);
            StatementError::text(self.field.position, &of, &invalid.to_string(), text)
        })
    }
}

/// A balance and its currency: mark, date, currency, amount.
pub(super) fn balance(
    field: &Field,
    today: BusinessDate,
) -> Result<(Balance, Currency), StatementError> {
    let text = field.text.trim();
    let mut rest = Rest { field, text };
    let is_credit = match (rest.skip("C"), rest.skip("D")) {
        (true, false) => true,
        (false, true) => false,
        _ => return Err(rest.expected("the mark C or D")),
    };
    let date = Some(rest.date(today)?);
    let expected = "an ISO 4217 currency code of three capital letters";
    let wrong = rest.expected(expected);
    let currency: Currency = rest.take(3, expected)?.parse().map_err(|_| wrong)?;
    let minor = rest.amount(currency)?;
    if !rest.text.is_empty() {
        return Err(rest.expected("nothing behind the amount"));
    }
    let amount_minor = if is_credit { minor } else { -minor };
    let balance = Balance { amount_minor, date };
    Ok((balance, currency))
}

/// The movement of `:61:`: value date, entry date or none, mark, the currency's third letter or nothing, amount, type,
/// references, and a line of details or none.
pub(super) fn movement(
    field: &Field,
    currency: Currency,
    today: BusinessDate,
) -> Result<Movement, StatementError> {
    let (first, details) = match field.text.split_once('\n') {
        Some((first, details)) => (first, Some(details)),
        None => (field.text.as_str(), None),
    };
    let mut rest = Rest { field, text: first };
    let value_date = rest.date(today)?;
    let entry_date = entry_date(&mut rest, value_date)?;
    let (is_credit, reverses) = mark(&mut rest)?;
    funds_code(&mut rest, currency)?;
    let minor = rest.amount(currency)?;
    transaction_type(&mut rest)?;
    let (own, bank) = match rest.text.split_once("//") {
        Some((own, bank)) => (own, Some(bank)),
        None => (rest.text, None),
    };
    let reference = |text: &str| {
        let text = text.trim();
        Some(text.to_owned()).filter(|text| !text.is_empty() && text != NO_REFERENCE)
    };
    Ok(Movement {
        value_date,
        entry_date,
        amount_minor: if is_credit { minor } else { -minor },
        reverses,
        own_reference: reference(own),
        bank_reference: bank.and_then(reference),
        text: details.map(str::to_owned),
    })
}

/// The date of the entry, MMDD: the one that is nearest to its value date, and not far from it.
fn entry_date(
    rest: &mut Rest<'_>,
    value_date: BusinessDate,
) -> Result<Option<BusinessDate>, StatementError> {
    // Some banks write four spaces for none.
    if !rest.text.starts_with(|it: char| it.is_ascii_digit()) {
        rest.skip("    ");
        return Ok(None);
    }
    let wrong = rest.expected(&format!("an entry date as MMDD around {value_date}"));
    let text = rest.take(4, "an entry date as MMDD")?;
    let date = BusinessDate::named(text, value_date).filter(|date| {
        let apart = (date.date() - value_date.date()).whole_days();
        apart.abs() <= MOST_DAYS_APART
    });
    date.map(Some).ok_or(wrong)
}

/// The mark: whether the account is credited, and whether that undoes another line. The reversal of a credit, RC, debits the
/// account, and that of a debit, RD, credits it.
fn mark(rest: &mut Rest<'_>) -> Result<(bool, bool), StatementError> {
    let reverses = rest.skip("R");
    let is_credit = match (rest.skip("C"), reverses) {
        (true, reverses) => !reverses,
        (false, reverses) if rest.skip("D") => reverses,
        _ => return Err(rest.expected("the mark C, D, RC or RD")),
    };
    Ok((is_credit, reverses))
}

/// A letter behind the mark is the third letter of the currency, and no part of the mark.
fn funds_code(rest: &mut Rest<'_>, currency: Currency) -> Result<(), StatementError> {
    if rest.text.starts_with(|it: char| it.is_ascii_digit()) {
        return Ok(());
    }
    let third = currency.code().get(2..).unwrap_or("");
    match rest.skip(third) {
        true => Ok(()),
        false => {
            let expected = format!("the amount, or {third} of {currency} before it");
            Err(rest.expected(&expected))
        }
    }
}

/// The type: S, N or F, and three letters or digits.
fn transaction_type(rest: &mut Rest<'_>) -> Result<(), StatementError> {
    let expected = "a type: S, N or F and three letters or digits";
    let wrong = rest.expected(expected);
    let is_letter = |it: u8| it.is_ascii_uppercase() || it.is_ascii_digit();
    match rest.take(4, expected)?.as_bytes() {
        [b'S' | b'N' | b'F', code @ ..] if code.iter().all(|it| is_letter(*it)) => Ok(()),
        _ => Err(wrong),
    }
}
