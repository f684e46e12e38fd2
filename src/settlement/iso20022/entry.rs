//! An entry while it is read, and the bookings that it is.

use super::booking::{Booking, EntryStatus};
use super::error::{Iso20022Error, Iso20022Fault};
use super::limits::{MAX_ENTRY_TEXT_BYTES, MAX_TEXT_BYTES, MOST_TRANSACTIONS};
use super::value::{Amount, Value};
use crate::payment::moment::BusinessDate;
use crate::payment::money::Currency;
use crate::settlement::bank_account::AccountNumber;
use crate::settlement::position::Position;

/// What is known of the account of a notification, report or statement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Account {
    /// Its IBAN, or its other number.
    pub number: Option<AccountNumber>,
    /// Its currency, where the file names it.
    pub currency: Option<Currency>,
}

impl Account {
    /// Takes the text of an element of the account.
    pub(super) fn take(&mut self, element: &str, text: &str) -> Result<(), Iso20022Fault> {
        let value = Value { element, text };
        match element {
            "Acct/Id/IBAN" | "Acct/Id/Othr/Id" => {
                let number = value.parsed("an account number of 1 to 34 printable characters")?;
                once(&mut self.number, element, number)
            }
            "Acct/Ccy" => {
                let currency =
                    value.parsed("an ISO 4217 currency code of three capital letters")?;
                once(&mut self.currency, element, currency)
            }
            _ => Ok(()),
        }
    }
}

/// What becomes of an entry whose transactions don't say, each in the entry's currency, what they moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownAmounts {
    /// It is refused.
    AreRefused,
    /// It is one booking, of the entry's amount and without what its transactions say.
    AreOneBooking,
}

/// One entry.
#[derive(Debug)]
pub(super) struct Entry {
    position: Position,
    number: u64,
    amount: Option<Amount>,
    is_credit: Option<bool>,
    is_reversal: Option<bool>,
    status: Option<EntryStatus>,
    booking_date: Option<BusinessDate>,
    value_date: Option<BusinessDate>,
    servicer_reference: Option<String>,
    text: Option<String>,
    /// The bytes of its texts and of those of its transactions.
    text_bytes: usize,
    transactions: Vec<Transaction>,
}

/// One of the transactions that an entry sums up.
#[derive(Debug)]
struct Transaction {
    position: Position,
    amount: Option<Amount>,
    /// The amount where older versions, such as .02, have it.
    detailed_amount: Option<Amount>,
    is_credit: Option<bool>,
    servicer_reference: Option<String>,
    end_to_end_id: Option<String>,
    return_reason: Option<String>,
    text: Option<String>,
}

impl Entry {
    pub(super) const fn new(position: Position, number: u64) -> Self {
        Self {
            position,
            number,
            amount: None,
            is_credit: None,
            is_reversal: None,
            status: None,
            booking_date: None,
            value_date: None,
            servicer_reference: None,
            text: None,
            text_bytes: 0,
            transactions: Vec::new(),
        }
    }

    pub(super) fn begin_transaction(&mut self, position: Position) -> Result<(), Iso20022Fault> {
        if self.transactions.len() >= MOST_TRANSACTIONS {
            return Err(Iso20022Fault::TooMany {
                element: "NtryDtls/TxDtls".to_owned(),
                most: MOST_TRANSACTIONS,
            });
        }
        self.transactions.push(Transaction {
            position,
            amount: None,
            detailed_amount: None,
            is_credit: None,
            servicer_reference: None,
            end_to_end_id: None,
            return_reason: None,
            text: None,
        });
        Ok(())
    }

    /// Takes the text of one of its elements; `currency` is the element's attribute Ccy.
    pub(super) fn take(
        &mut self,
        element: &str,
        text: &str,
        currency: Option<&str>,
        account: &Account,
    ) -> Result<(), Iso20022Fault> {
        let value = Value { element, text };
        match element {
            "Amt" => {
                let amount = value.amount_in(currency, account.currency)?;
                once(&mut self.amount, element, amount)
            }
            "CdtDbtInd" => once(&mut self.is_credit, element, value.is_credit()?),
            "RvslInd" => once(&mut self.is_reversal, element, value.is_true()?),
            // A status that holds elements has no text of its own.
            "Sts" if text.is_empty() => Ok(()),
            "Sts" | "Sts/Cd" => once(&mut self.status, element, value.status()?),
            "Sts/Prtry" => {
                let status = EntryStatus::Other(value.reference()?.unwrap_or_default());
                once(&mut self.status, element, status)
            }
            "BookgDt/Dt" => once(&mut self.booking_date, element, value.date()?),
            "BookgDt/DtTm" => once(&mut self.booking_date, element, value.date_of_time()?),
            "ValDt/Dt" => once(&mut self.value_date, element, value.date()?),
            "ValDt/DtTm" => once(&mut self.value_date, element, value.date_of_time()?),
            "AcctSvcrRef" => maybe(&mut self.servicer_reference, element, value.reference()?),
            "AddtlNtryInf" => {
                self.count_text(element, text)?;
                add_text(&mut self.text, value)
            }
            "NtryDtls/TxDtls/RmtInf/Ustrd" | "NtryDtls/TxDtls/AddtlTxInf" => {
                self.count_text(element, text)?;
                let transaction = self.transactions.last_mut();
                transaction.map_or(Ok(()), |it| add_text(&mut it.text, value))
            }
            _ => match (
                element.strip_prefix("NtryDtls/TxDtls/"),
                self.transactions.last_mut(),
            ) {
                (Some(rest), Some(transaction)) => transaction.take(rest, value, currency),
                _ => Ok(()),
            },
        }
    }

    fn count_text(&mut self, element: &str, text: &str) -> Result<(), Iso20022Fault> {
        self.text_bytes = self.text_bytes.saturating_add(text.len());
        match self.text_bytes <= MAX_ENTRY_TEXT_BYTES {
            true => Ok(()),
            false => Err(Iso20022Fault::TooMany {
                element: format!("bytes of {element} in an entry"),
                most: MAX_ENTRY_TEXT_BYTES,
            }),
        }
    }

    /// The bookings that it is: one for each transaction, or one for all of it. `part` is the element that it is in. Where
    /// transactions don't say what each of them moved, it is refused, or all of it is one booking.
    pub(super) fn bookings(
        self,
        account: &Account,
        part: &'static str,
        unknown: UnknownAmounts,
    ) -> Result<Vec<Booking>, Iso20022Error> {
        let position = self.position;
        let fault = |fault| Iso20022Error { position, fault };
        let missing = |element, parent| fault(Iso20022Fault::Missing { element, parent });
        let number = account.number.as_ref();
        let amount = self.amount.ok_or_else(|| missing("Amt", "Ntry"))?;
        let whole = Booking {
            account: number.ok_or_else(|| missing("Acct/Id", part))?.clone(),
            amount_minor: amount.minor,
            currency: amount.currency,
            is_credit: self.is_credit.ok_or_else(|| missing("CdtDbtInd", "Ntry"))?,
            is_reversal: self.is_reversal.unwrap_or(false),
            status: self.status.ok_or_else(|| missing("Sts", "Ntry"))?,
            booking_date: self.booking_date,
            value_date: self.value_date,
            servicer_reference: self.servicer_reference,
            end_to_end_id: None,
            return_reason: None,
            text: self.text,
            entry_number: self.number,
            transaction_number: 0,
            position,
        };
        let is_only = self.transactions.len() == 1;
        let is_known = |it: &Transaction| {
            let own = it.amount.or(it.detailed_amount);
            own.map_or(is_only, |own| own.currency == amount.currency)
        };
        if self.transactions.is_empty()
            || unknown == UnknownAmounts::AreOneBooking && !self.transactions.iter().all(is_known)
        {
            return Ok(vec![whole]);
        }
        let mut bookings = Vec::new();
        for (number, transaction) in (1..).zip(self.transactions) {
            bookings.push(transaction.booking(&whole, number, is_only)?);
        }
        let signed = bookings.iter().map(|booking| {
            let minor = i128::from(booking.amount_minor);
            if booking.is_credit == whole.is_credit {
                minor
            } else {
                -minor
            }
        });
        let (expected_minor, got_minor) = (whole.amount_minor, signed.sum());
        if got_minor != i128::from(expected_minor) {
            return Err(fault(Iso20022Fault::TransactionSum {
                expected_minor,
                got_minor,
            }));
        }
        Ok(bookings)
    }
}

impl Transaction {
    fn take(
        &mut self,
        element: &str,
        value: Value<'_>,
        currency: Option<&str>,
    ) -> Result<(), Iso20022Fault> {
        let whole = value.element;
        match element {
            "Amt" => once(&mut self.amount, whole, value.amount(currency)?),
            "AmtDtls/TxAmt/Amt" => once(&mut self.detailed_amount, whole, value.amount(currency)?),
            "CdtDbtInd" => once(&mut self.is_credit, whole, value.is_credit()?),
            "Refs/AcctSvcrRef" => maybe(&mut self.servicer_reference, whole, value.reference()?),
            "Refs/EndToEndId" => maybe(&mut self.end_to_end_id, whole, value.end_to_end_id()?),
            "RtrInf/Rsn/Cd" | "RtrInf/Rsn/Prtry" => {
                maybe(&mut self.return_reason, whole, value.reference()?)
            }
            _ => Ok(()),
        }
    }

    /// The booking that it is, in an entry whose other values are those of `whole`.
    fn booking(
        self,
        whole: &Booking,
        transaction_number: u64,
        is_only: bool,
    ) -> Result<Booking, Iso20022Error> {
        let position = self.position;
        let fault = |fault| Iso20022Error { position, fault };
        let own = self.amount.or(self.detailed_amount);
        let entry = Amount {
            minor: whole.amount_minor,
            currency: whole.currency,
        };
        let amount = own.or(is_only.then_some(entry)).ok_or_else(|| {
            fault(Iso20022Fault::Missing {
                element: "Amt",
                parent: "NtryDtls/TxDtls",
            })
        })?;
        let (expected, got) = (entry.currency, amount.currency);
        if expected != got {
            return Err(fault(Iso20022Fault::Currency {
                element: "NtryDtls/TxDtls/Amt".to_owned(),
                expected,
                got,
            }));
        }
        let whole = whole.clone();
        Ok(Booking {
            amount_minor: amount.minor,
            is_credit: self.is_credit.unwrap_or(whole.is_credit),
            servicer_reference: self.servicer_reference.or(whole.servicer_reference),
            end_to_end_id: self.end_to_end_id,
            return_reason: self.return_reason,
            text: self.text.or(whole.text),
            transaction_number,
            position,
            ..whole
        })
    }
}

fn once<T>(place: &mut Option<T>, element: &str, value: T) -> Result<(), Iso20022Fault> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Iso20022Fault::Repeated {
            element: element.to_owned(),
        }),
    }
}

fn maybe<T>(place: &mut Option<T>, element: &str, value: Option<T>) -> Result<(), Iso20022Fault> {
    value.map_or(Ok(()), |value| once(place, element, value))
}

/// Adds a free text to those before it.
fn add_text(texts: &mut Option<String>, value: Value<'_>) -> Result<(), Iso20022Fault> {
    let Some(text) = value.free_text()? else {
        return Ok(());
    };
    let Some(before) = texts else {
        *texts = Some(text);
        return Ok(());
    };
    if before.len().saturating_add(text.len()) > MAX_TEXT_BYTES {
        return Err(Iso20022Fault::TooMany {
            element: format!("bytes of {}", value.element),
            most: MAX_TEXT_BYTES,
        });
    }
    before.push('\n');
    before.push_str(&text);
    Ok(())
}
