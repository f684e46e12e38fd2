//! Payouts as an order to the bank: ISO 20022 pain.001.001.09.
//!
//! The same payouts give the same bytes, in whichever order they come: an order that is sent again is not paid twice.

use std::collections::{BTreeMap, BTreeSet};

use crate::payment::moment::{BusinessDate, UnixMillis};
use crate::payment::money::{Decimal, Money};

use self::text::{TextFault, TextKind, check_text};
use self::xml::Xml;
use super::bank_account::{BankAccount, Bic};

pub mod text;
mod xml;

/// The most transfers of an order.
pub const MOST_TRANSFERS: usize = 9_999;

const NAMESPACE: &str = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09";
/// The longest reference (ISO 20022 Max35Text).
const MAX_REFERENCE: usize = 35;
/// The longest number of an account that is no IBAN (Max34Text).
const MAX_ACCOUNT: usize = 34;
/// The longest name that every bank of SEPA takes; the standard has 140.
const MAX_NAME: usize = 70;
/// The longest text to the creditor (Max140Text).
const MAX_REMITTANCE: usize = 140;
/// How much of the message's id is in the id of a payment: after it come a hyphen and four digits.
const MESSAGE_ID_PART: usize = MAX_REFERENCE - 5;
/// The most digits of a sum (ISO 20022 DecimalNumber).
const MAX_SUM_DIGITS: usize = 18;

/// One side of a transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    /// Its name: 1 to 70 characters.
    pub name: String,
    /// Its account.
    pub account: BankAccount,
    /// Its bank, where that is known.
    pub bank: Option<Bic>,
}

/// One payout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// The payout's id: letters, digits and `_`, 1 to 35. The bank knows it as [`end_to_end_id`].
    pub payout_id: String,
    /// What is paid; more than 0.
    pub amount: Money,
    /// The day on which the bank is to execute it.
    pub execution_date: BusinessDate,
    /// Who is paid.
    pub creditor: Party,
    /// A text to the creditor: 1 to 140 characters.
    pub remittance: Option<String>,
}

/// Payouts that are ordered together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentOrder {
    /// By which the bank knows the order again: 1 to 35 characters, never used for another one. No `_`, which banks don't
    /// take.
    pub message_id: String,
    /// When the order was made, which is not when it is sent again.
    pub created_at: UnixMillis,
    /// Who orders: 1 to 70 characters.
    pub initiating_party: String,
    /// Who pays.
    pub debtor: Party,
    /// The transfers: 1 to [`MOST_TRANSFERS`].
    pub transfers: Vec<Transfer>,
}

/// Why an order can't be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PaymentOrderError {
    /// It has no transfer, or too many.
    #[error("expected 1 to {MOST_TRANSFERS} transfers, got {got}")]
    TransferCount {
        /// How many.
        got: usize,
    },
    /// A text that not every bank takes.
    #[error("{field}{}: {fault}", suffix(payout_id.as_deref()))]
    Text {
        /// The element.
        field: &'static str,
        /// Of which payout; none for the order's own.
        payout_id: Option<String>,
        /// What is wrong with it.
        fault: TextFault,
    },
    /// A payout's id can't be made a reference and be read back from it.
    #[error("EndToEndId: expected a payout's id of letters, digits and '_', got {got:?}")]
    PayoutId {
        /// The id.
        got: String,
    },
    /// A payout is in the order twice.
    #[error("expected each payout once, got {payout_id} again")]
    PayoutTwice {
        /// Which.
        payout_id: String,
    },
    /// A payout of nothing.
    #[error("InstdAmt of {payout_id}: expected more than 0, got 0")]
    NoAmount {
        /// Which.
        payout_id: String,
    },
    /// A year that the standard has no date of.
    #[error("{field}: expected a year of 1 to 9999, got {got}")]
    Year {
        /// The element.
        field: &'static str,
        /// The year.
        got: i32,
    },
    /// A sum is longer than the standard allows.
    #[error("CtrlSum: expected at most {MAX_SUM_DIGITS} digits, got {got}")]
    ControlSum {
        /// The sum.
        got: String,
    },
}

fn suffix(payout_id: Option<&str>) -> String {
    payout_id.map_or_else(String::new, |id| format!(" of {id}"))
}

/// The reference of a payout at banks, which comes back with what they book. Banks take no `_`, so it is `-` in it.
#[must_use]
pub fn end_to_end_id(payout_id: &str) -> String {
    payout_id.replace('_', "-")
}

/// The id of the payout that a bank's reference names; another text, where it names none.
#[must_use]
pub fn payout_id(end_to_end_id: &str) -> String {
    end_to_end_id.replace('-', "_")
}

/// What is paid together: on one day, in one currency.
type Payments<'a> = BTreeMap<(BusinessDate, &'static str), Vec<&'a Transfer>>;

/// The order as a file.
///
/// # Errors
/// [`PaymentOrderError`], the first that there is.
pub fn to_pain001(order: &PaymentOrder) -> Result<Vec<u8>, PaymentOrderError> {
    check(order)?;
    let payments = payments(order);
    let sums: Vec<_> = payments
        .values()
        .map(|transfers| control_sum(transfers.iter().copied()))
        .collect::<Result<_, _>>()?;
    let sum = control_sum(&order.transfers)?;
    let mut xml = Xml::new();
    xml.group(&format!("Document xmlns=\"{NAMESPACE}\""), |xml| {
        xml.group("CstmrCdtTrfInitn", |xml| {
            xml.group("GrpHdr", |xml| {
                xml.leaf("MsgId", &order.message_id);
                xml.leaf("CreDtTm", &date_time(order.created_at));
                xml.leaf("NbOfTxs", &order.transfers.len().to_string());
                xml.leaf("CtrlSum", &sum);
                xml.path("InitgPty/Nm", &order.initiating_party);
            });
            for (number, (transfers, sum)) in (1_u32..).zip(payments.values().zip(&sums)) {
                let message_id: String = order.message_id.chars().take(MESSAGE_ID_PART).collect();
                let id = format!("{message_id}-{number:04}");
                write_payment(xml, &id, (&order.debtor, transfers), sum);
            }
        });
    });
    Ok(xml.into_bytes())
}

fn check(order: &PaymentOrder) -> Result<(), PaymentOrderError> {
    use TextKind::{Prose, Reference};
    let got = order.transfers.len();
    if !(1..=MOST_TRANSFERS).contains(&got) {
        return Err(PaymentOrderError::TransferCount { got });
    }
    let own = Checked { payout_id: None };
    own.text("GrpHdr/MsgId", &order.message_id, MAX_REFERENCE, Reference)?;
    own.text("InitgPty/Nm", &order.initiating_party, MAX_NAME, Prose)?;
    own.text("Dbtr/Nm", &order.debtor.name, MAX_NAME, Prose)?;
    own.account("DbtrAcct/Id/Othr/Id", &order.debtor.account)?;
    check_year("CreDtTm", order.created_at.utc().year())?;
    let mut ids = BTreeSet::new();
    for transfer in &order.transfers {
        check_transfer(transfer)?;
        if !ids.insert(&transfer.payout_id) {
            let payout_id = transfer.payout_id.clone();
            return Err(PaymentOrderError::PayoutTwice { payout_id });
        }
    }
    Ok(())
}

fn check_transfer(transfer: &Transfer) -> Result<(), PaymentOrderError> {
    use TextKind::{Prose, Reference};
    let id = &transfer.payout_id;
    let is_kept = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if !id.bytes().all(is_kept) {
        let got = id.chars().take(MAX_REFERENCE).collect();
        return Err(PaymentOrderError::PayoutId { got });
    }
    let checked = Checked {
        payout_id: Some(id),
    };
    checked.text("EndToEndId", &end_to_end_id(id), MAX_REFERENCE, Reference)?;
    checked.text("Cdtr/Nm", &transfer.creditor.name, MAX_NAME, Prose)?;
    checked.account("CdtrAcct/Id/Othr/Id", &transfer.creditor.account)?;
    if let Some(remittance) = &transfer.remittance {
        checked.text("RmtInf/Ustrd", remittance, MAX_REMITTANCE, Prose)?;
    }
    if transfer.amount.amount_minor() == 0 {
        let payout_id = id.clone();
        return Err(PaymentOrderError::NoAmount { payout_id });
    }
    check_year("ReqdExctnDt/Dt", transfer.execution_date.date().year())
}

/// Whose texts are checked.
struct Checked<'a> {
    payout_id: Option<&'a str>,
}

impl Checked<'_> {
    fn text(
        &self,
        field: &'static str,
        text: &str,
        most: usize,
        kind: TextKind,
    ) -> Result<(), PaymentOrderError> {
        check_text(text, most, kind).map_err(|fault| PaymentOrderError::Text {
            field,
            payout_id: self.payout_id.map(str::to_owned),
            fault,
        })
    }

    fn account(&self, field: &'static str, account: &BankAccount) -> Result<(), PaymentOrderError> {
        let number = account.number().as_str();
        self.text(field, number, MAX_ACCOUNT, TextKind::Reference)
    }
}

fn check_year(field: &'static str, got: i32) -> Result<(), PaymentOrderError> {
    match got {
        1..=9999 => Ok(()),
        _ => Err(PaymentOrderError::Year { field, got }),
    }
}

fn payments(order: &PaymentOrder) -> Payments<'_> {
    let mut payments = Payments::new();
    for transfer in &order.transfers {
        let currency = transfer.amount.currency().code();
        let key = (transfer.execution_date, currency);
        payments.entry(key).or_default().push(transfer);
    }
    for transfers in payments.values_mut() {
        transfers.sort_unstable_by(|one, other| one.payout_id.cmp(&other.payout_id));
    }
    payments
}

/// The sum of the amounts in major units, of whichever currencies, as the standard wants it.
fn control_sum<'a>(
    transfers: impl IntoIterator<Item = &'a Transfer> + Clone,
) -> Result<String, PaymentOrderError> {
    let digits_of = |transfer: &Transfer| transfer.amount.currency().minor_digits();
    let digits = transfers.clone().into_iter().map(digits_of).max();
    let digits = digits.unwrap_or(0);
    // So few amounts of twelve digits, and of four decimals at most, are far below 128 bits.
    let units = transfers.into_iter().map(|transfer| {
        let scale = 10_i128.pow(digits - digits_of(transfer));
        i128::from(transfer.amount.amount_minor()) * scale
    });
    let sum = Decimal {
        units: units.sum(),
        places: digits,
    }
    .to_string();
    match sum.bytes().filter(u8::is_ascii_digit).count() {
        ..=MAX_SUM_DIGITS => Ok(sum),
        _ => Err(PaymentOrderError::ControlSum { got: sum }),
    }
}

fn date_time(moment: UnixMillis) -> String {
    let utc = moment.utc();
    let (hour, minute, second) = utc.to_hms();
    let (year, month, day) = (utc.year(), u8::from(utc.month()), utc.day());
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

fn write_payment(xml: &mut Xml, id: &str, (debtor, transfers): (&Party, &[&Transfer]), sum: &str) {
    let Some(first) = transfers.first() else {
        return;
    };
    xml.group("PmtInf", |xml| {
        xml.leaf("PmtInfId", id);
        xml.leaf("PmtMtd", "TRF");
        xml.leaf("NbOfTxs", &transfers.len().to_string());
        xml.leaf("CtrlSum", sum);
        xml.path("ReqdExctnDt/Dt", &first.execution_date.to_string());
        xml.path("Dbtr/Nm", &debtor.name);
        write_account(xml, "DbtrAcct", &debtor.account);
        // The debtor's bank is mandatory, and this the word for one that is not named.
        match &debtor.bank {
            Some(bank) => xml.path("DbtrAgt/FinInstnId/BICFI", bank.as_str()),
            None => xml.path("DbtrAgt/FinInstnId/Othr/Id", "NOTPROVIDED"),
        }
        for transfer in transfers {
            write_transfer(xml, transfer);
        }
    });
}

fn write_transfer(xml: &mut Xml, transfer: &Transfer) {
    let amount = transfer.amount;
    let currency = amount.currency();
    xml.group("CdtTrfTxInf", |xml| {
        xml.path("PmtId/EndToEndId", &end_to_end_id(&transfer.payout_id));
        xml.path(
            &format!("Amt/InstdAmt Ccy=\"{currency}\""),
            &Decimal::of_minor(amount.amount_minor(), currency).to_string(),
        );
        // The creditor's bank is left out where it is not known: an IBAN tells it.
        if let Some(bank) = &transfer.creditor.bank {
            xml.path("CdtrAgt/FinInstnId/BICFI", bank.as_str());
        }
        xml.path("Cdtr/Nm", &transfer.creditor.name);
        write_account(xml, "CdtrAcct", &transfer.creditor.account);
        if let Some(remittance) = &transfer.remittance {
            xml.path("RmtInf/Ustrd", remittance);
        }
    });
}

fn write_account(xml: &mut Xml, tag: &str, account: &BankAccount) {
    let number = account.number().as_str();
    match account {
        BankAccount::Iban(_) => xml.path(&format!("{tag}/Id/IBAN"), number),
        BankAccount::Other(_) => xml.path(&format!("{tag}/Id/Othr/Id"), number),
    }
}

#[cfg(test)]
mod tests;
