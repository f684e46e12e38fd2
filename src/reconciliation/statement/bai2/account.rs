//! The account, 03: balances and sums.

use super::record::Record;
use crate::payment::money::Currency;
use crate::reconciliation::statement::error::StatementError;
use crate::settlement::bank_account::AccountNumber;

/// The ledger balance before the day.
const OPENING: &str = "010";
/// The ledger balance after it.
const CLOSING: &str = "015";

/// What is used of an account.
#[derive(Debug)]
pub(super) struct AccountRecord {
    pub(super) number: AccountNumber,
    pub(super) currency: Currency,
    pub(super) opening_minor: Option<i64>,
    pub(super) closing_minor: Option<i64>,
    /// The sum of all amounts as they are written.
    pub(super) sum: i128,
}

/// Reads an account of a group in this currency.
pub(super) fn read_account(
    record: &Record,
    of_group: Currency,
) -> Result<AccountRecord, StatementError> {
    let number = record.field(0);
    let number = number.parse().map_err(|_| {
        let expected = "an account number of 1 to 34 printable characters";
        record.wrong("account", expected, number)
    })?;
    let currency = match record.field(1) {
        "" => of_group,
        code => code.parse().map_err(|_| {
            let expected = "an ISO 4217 currency code of three capital letters";
            record.wrong("currency", expected, code)
        })?,
    };
    let mut account = AccountRecord {
        number,
        currency,
        opening_minor: None,
        closing_minor: None,
        sum: 0,
    };
    for (index, segment) in record.segments.iter().enumerate() {
        // The account and its currency stand before the first.
        let own = if index == 0 { 2 } else { 0 };
        let mut fields = segment.iter().skip(own).map(|field| field.trim());
        while let Some(code) = fields.next() {
            account.take(record, code, &mut fields)?;
        }
    }
    Ok(account)
}

impl AccountRecord {
    /// Takes a balance or sum: type, amount, number of items, funds type and what that has behind it. Banks leave out what
    /// is empty at the end of a record.
    fn take<'a>(
        &mut self,
        record: &Record,
        code: &str,
        fields: &mut impl Iterator<Item = &'a str>,
    ) -> Result<(), StatementError> {
        let mut next = || fields.next().unwrap_or("");
        let (amount, _items, funds) = (next(), next(), next());
        let behind = match funds {
            "S" => 3,
            "V" => 2,
            "D" => {
                let count = next();
                let parts: Result<u8, _> = count.parse();
                let wrong = |_| record.wrong("number of days", "a number", count);
                2 * usize::from(parts.map_err(wrong)?)
            }
            _ => 0,
        };
        for _ in 0..behind {
            next();
        }
        if code.is_empty() && amount.is_empty() {
            return Ok(());
        }
        if code.len() != 3 || !code.bytes().all(|it| it.is_ascii_digit()) {
            return Err(record.wrong("type code", "three digits", code));
        }
        if amount.is_empty() {
            return Ok(());
        }
        let minor = record.signed(amount, "amount")?;
        self.sum += i128::from(minor);
        let place = match code {
            OPENING => &mut self.opening_minor,
            CLOSING => &mut self.closing_minor,
            _ => return Ok(()),
        };
        match place.replace(minor) {
            None => Ok(()),
            Some(_) => Err(record.wrong("type code", "it once", code)),
        }
    }
}
