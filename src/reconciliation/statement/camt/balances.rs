//! The balances of a statement.

use crate::payment::bank_statement::Balance;
use crate::payment::moment::BusinessDate;
use crate::payment::money::Currency;
use crate::reconciliation::statement::error::StatementError;
use crate::settlement::iso20022::entries::{Element, mandatory};
use crate::settlement::iso20022::error::Iso20022Fault;
use crate::settlement::iso20022::value::{Amount, Value};

/// The balances that a statement is checked by.
#[derive(Debug, Default)]
pub(super) struct Balances {
    /// OPBD: opening, booked.
    opening: Option<Balance>,
    /// PRCD: what the statement before closed with.
    previous: Option<Balance>,
    /// CLBD: closing, booked.
    closing: Option<Balance>,
    /// ITBD: booked at this moment.
    interim: Option<Balance>,
    currency: Option<Currency>,
    one: OneBalance,
}

/// A balance while it is read.
#[derive(Debug, Default)]
struct OneBalance {
    code: Option<String>,
    amount: Option<Amount>,
    is_credit: Option<bool>,
    date: Option<BusinessDate>,
}

impl Balances {
    /// Takes an element of a balance, or its end.
    pub(super) fn take(
        &mut self,
        element: &Element,
        value: Value<'_>,
        of_account: Option<Currency>,
    ) -> Result<(), StatementError> {
        let position = element.position;
        let fault = |fault: Iso20022Fault| StatementError {
            position,
            fault: fault.into(),
        };
        let currency = element.currency.as_deref();
        let one = &mut self.one;
        match element.path.as_str() {
            "Bal/Tp/CdOrPrtry/Cd" => one.code = Some(element.text.clone()),
            "Bal/Amt" => {
                let expected = of_account.or(self.currency);
                let amount = value.amount_in(currency, expected).map_err(fault)?;
                one.amount = Some(amount);
            }
            "Bal/CdtDbtInd" => one.is_credit = Some(value.is_credit().map_err(fault)?),
            "Bal/Dt/Dt" => one.date = Some(value.date().map_err(fault)?),
            "Bal/Dt/DtTm" => one.date = Some(value.date_of_time().map_err(fault)?),
            "Bal" => {
                let one = std::mem::take(one);
                let place = match one.code.as_deref() {
                    Some("OPBD") => &mut self.opening,
                    Some("PRCD") => &mut self.previous,
                    Some("CLBD") => &mut self.closing,
                    Some("ITBD") => &mut self.interim,
                    // What is available, or to be expected, is not booked.
                    _ => return Ok(()),
                };
                let amount = mandatory(one.amount, position, "Amt", "Bal")?;
                let is_credit = mandatory(one.is_credit, position, "CdtDbtInd", "Bal")?;
                let before = place.replace(Balance {
                    amount_minor: match is_credit {
                        true => amount.minor,
                        false => -amount.minor,
                    },
                    date: one.date,
                });
                if before.is_some() {
                    let element = format!("Bal {}", one.code.unwrap_or_default());
                    return Err(fault(Iso20022Fault::Repeated { element }));
                }
                self.currency = Some(amount.currency);
            }
            _ => {}
        }
        Ok(())
    }

    /// The currency of the balances.
    pub(super) const fn currency(&self) -> Option<Currency> {
        self.currency
    }

    /// The booked balance before the lines.
    pub(super) fn opening(&self) -> Option<Balance> {
        self.opening.or(self.previous)
    }

    /// The booked balance after the lines; within the day that of the moment, where there is no other.
    pub(super) fn closing(&self, within_day: bool) -> Option<Balance> {
        self.closing.or(self.interim.filter(|_| within_day))
    }
}
