//! A payment order, pain.001.001.09: credit transfers out of accounts.

use std::collections::BTreeSet;

use time::Date;

use super::xml::{self, Element, Fault};
use crate::{
    currency::{Currency, minor_of},
    settlement::date,
};

const NAMESPACE: &str = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09";

/// Sums of several currencies have so many decimals, as many as any currency.
const SUM_EXPONENT: u8 = 4;

/// How long identifiers and accounts may be.
const MAX_ID: usize = 35;
const MAX_ACCOUNT: usize = 34;
const MAX_NAME: usize = 140;

/// Why an order is refused: a status reason of ISO 20022, and in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: &'static str,
    pub(super) reason: String,
}

/// Invalid file format.
const INVALID_FORMAT: &str = "FF01";
/// The control sum is not that of the transfers.
const WRONG_SUM: &str = "AM10";
/// The number of transactions is not that of the transfers.
const WRONG_COUNT: &str = "AM18";
/// An amount, or its currency, can't be paid.
const WRONG_AMOUNT: &str = "AM12";
/// Another order has the same message id.
pub(super) const DUPLICATE_MESSAGE: &str = "DU01";
/// Two transfers have the same end-to-end id.
const DUPLICATE_TRANSFER: &str = "DU04";

/// A fault and its code, before its place is known.
struct Coded(&'static str, Fault);

impl From<Fault> for Coded {
    fn from(fault: Fault) -> Self {
        Self(INVALID_FORMAT, fault)
    }
}

/// An account: its IBAN, or its number in another form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Account {
    Iban(String),
    Other(String),
}

impl Account {
    pub(super) fn number(&self) -> &str {
        match self {
            Self::Iban(number) | Self::Other(number) => number,
        }
    }
}

/// One transfer of an order.
#[derive(Debug)]
pub(super) struct OrderedTransfer {
    pub(super) end_to_end_id: String,
    pub(super) amount_minor: i64,
    pub(super) currency: Currency,
    pub(super) creditor: Account,
}

/// The transfers out of one account on one date.
#[derive(Debug)]
pub(super) struct Payment {
    pub(super) id: String,
    pub(super) debtor: Account,
    pub(super) transfers: Vec<OrderedTransfer>,
}

/// A payment order.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) message_id: String,
    pub(super) payments: Vec<Payment>,
}

/// Reads an order and checks its counts and sums.
pub(super) fn read(document: &[u8]) -> Result<Order, Refusal> {
    try_read(document).map_err(|Coded(code, fault)| Refusal {
        code,
        reason: fault.located(document),
    })
}

fn try_read(document: &[u8]) -> Result<Order, Coded> {
    let root = xml::read(document, NAMESPACE)?;
    let initiation = root.get("CstmrCdtTrfInitn")?;
    let header = initiation.get("GrpHdr")?;
    let message_id = header.get_text("MsgId", MAX_ID)?.to_owned();
    header.get_text("CreDtTm", MAX_ID)?;
    let mut payments = Vec::new();
    let mut ids = BTreeSet::new();
    for information in initiation.all("PmtInf") {
        payments.push(payment(information, &mut ids)?);
    }
    let transfers: Vec<_> = payments.iter().flat_map(|it| &it.transfers).collect();
    for path in ["NbOfTxs", "CtrlSum"] {
        header.get(path)?;
    }
    check_sums(header, &transfers)?;
    if transfers.is_empty() {
        return Err(initiation.fault("expected a transfer, got none").into());
    }
    Ok(Order {
        message_id,
        payments,
    })
}

fn payment(information: &Element, ids: &mut BTreeSet<String>) -> Result<Payment, Coded> {
    let id = information.get_text("PmtInfId", MAX_ID)?.to_owned();
    let method = information.get("PmtMtd")?;
    if method.text() != "TRF" {
        return Err(method.fault("expected TRF").into());
    }
    execution_date(information)?;
    information.get_text("Dbtr/Nm", MAX_NAME)?;
    information.get("DbtrAgt")?;
    let debtor = account(information.get("DbtrAcct")?)?;
    let mut transfers = Vec::new();
    for element in information.all("CdtTrfTxInf") {
        let ordered = transfer(element)?;
        if !ids.insert(ordered.end_to_end_id.clone()) {
            let id = element.get("PmtId/EndToEndId")?;
            let fault = id.fault("expected an id that no other transfer of the order has");
            return Err(Coded(DUPLICATE_TRANSFER, fault));
        }
        transfers.push(ordered);
    }
    check_sums(information, &transfers.iter().collect::<Vec<_>>())?;
    Ok(Payment {
        id,
        debtor,
        transfers,
    })
}

fn execution_date(information: &Element) -> Result<Date, Fault> {
    let element = information.get("ReqdExctnDt/Dt")?;
    date::parse(element.text()).ok_or_else(|| element.fault("expected YYYY-MM-DD"))
}

fn transfer(element: &Element) -> Result<OrderedTransfer, Coded> {
    let end_to_end_id = element.get_text("PmtId/EndToEndId", MAX_ID)?.to_owned();
    let amount = element.get("Amt/InstdAmt")?;
    let currency = amount.attribute("Ccy").and_then(Currency::from_code);
    let currency = currency.ok_or_else(|| {
        Coded(
            WRONG_AMOUNT,
            amount.fault("expected a Ccy of ISO 4217 with a minor unit"),
        )
    })?;
    let exponent = currency.exponent();
    let amount_minor = minor_of(amount.text(), exponent).filter(|minor| *minor > 0);
    let amount_minor = amount_minor.ok_or_else(|| {
        let problem = format!("expected more than 0, with at most {exponent} decimals");
        Coded(WRONG_AMOUNT, amount.fault(problem))
    })?;
    element.get("CdtrAgt")?;
    element.get_text("Cdtr/Nm", MAX_NAME)?;
    if element.find("RmtInf/Ustrd").is_some() {
        element.get_text("RmtInf/Ustrd", MAX_NAME)?;
    }
    Ok(OrderedTransfer {
        end_to_end_id,
        amount_minor,
        currency,
        creditor: account(element.get("CdtrAcct")?)?,
    })
}

fn account(element: &Element) -> Result<Account, Fault> {
    let Some(iban) = element.find("Id/IBAN") else {
        let other = element.get_text("Id/Othr/Id", MAX_ACCOUNT)?;
        return Ok(Account::Other(other.to_owned()));
    };
    let number = element.get_text("Id/IBAN", MAX_ACCOUNT)?;
    let (country, rest) = number.split_at_checked(2).unwrap_or((number, ""));
    let is_iban = rest.len() >= 5
        && country.bytes().all(|byte| byte.is_ascii_uppercase())
        && rest.bytes().take(2).all(|byte| byte.is_ascii_digit())
        && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_iban {
        return Ok(Account::Iban(number.to_owned()));
    }
    Err(iban.fault("expected a country, two check digits and an account number"))
}

/// Checks NbOfTxs and CtrlSum of a part of the order, where it has them. The sum is over all currencies.
fn check_sums(part: &Element, transfers: &[&OrderedTransfer]) -> Result<(), Coded> {
    if let Some(count) = part.find("NbOfTxs")
        && count.text().parse() != Ok(transfers.len())
    {
        let problem = format!("expected {}, got {:?}", transfers.len(), count.text());
        return Err(Coded(WRONG_COUNT, count.fault(problem)));
    }
    let sum: i128 = transfers
        .iter()
        .map(|transfer| {
            let missing = SUM_EXPONENT.saturating_sub(transfer.currency.exponent());
            i128::from(transfer.amount_minor) * 10_i128.pow(missing.into())
        })
        .sum();
    if let Some(element) = part.find("CtrlSum") {
        let said = minor_of(element.text(), SUM_EXPONENT).map(i128::from);
        if said != Some(sum) {
            let unit = 10_i128.pow(SUM_EXPONENT.into());
            let (whole, rest) = (sum / unit, sum % unit);
            let problem = format!("expected {whole}.{rest:04}, got {:?}", element.text());
            return Err(Coded(WRONG_SUM, element.fault(problem)));
        }
    }
    Ok(())
}
