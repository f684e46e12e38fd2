//! The format of a host's settlement reports, as its profile has it.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::settlement::amount_form::AmountForm;
use crate::settlement::format_error::{DateForm, FormatError, Reading};

const READING: Reading = Reading("settlement.report");

/// The longest name of a column, and the longest word for a kind of line.
const MOST_NAME: usize = 100;

/// The most files in which a bank reports a date.
const MOST_CYCLES: i64 = 100;

/// What a line of a report is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ReportKind {
    /// A capture or a sale.
    Capture,
    /// A refund.
    Refund,
    /// A payment that the cardholder's bank takes back.
    Chargeback,
    /// A chargeback that is given back.
    ChargebackReversal,
}

/// What a report says of each line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// The business date.
    BusinessDate,
    /// The acceptor (DE 42).
    Acceptor,
    /// The kind of line.
    Type,
    /// The RRN (DE 37).
    Rrn,
    /// The acquirer's reference (ARN).
    AcquirerReference,
    /// The approval code (DE 38).
    ApprovalCode,
    /// The merchant's own reference.
    MerchantReference,
    /// The currency of the gross amounts.
    Currency,
    /// What the merchant owes, before fees.
    GrossDebit,
    /// What the merchant gets, before fees.
    GrossCredit,
    /// The interchange.
    Interchange,
    /// The scheme's fee.
    SchemeFee,
    /// The bank's commission.
    Commission,
    /// The currency of the net amounts, which must be that of the gross ones.
    NetCurrency,
    /// What the merchant owes.
    NetDebit,
    /// What the merchant gets.
    NetCredit,
    /// Why the bank does not settle the line.
    RejectCode,
    /// Which file of its date the line is in.
    Cycle,
}

impl Field {
    /// All of them, with their keys.
    pub const ALL: [(Self, &'static str); 18] = [
        (Self::BusinessDate, "business_date"),
        (Self::Acceptor, "acceptor"),
        (Self::Type, "type.column"),
        (Self::Rrn, "rrn"),
        (Self::AcquirerReference, "acquirer_reference"),
        (Self::ApprovalCode, "approval_code"),
        (Self::MerchantReference, "merchant_reference"),
        (Self::Currency, "currency"),
        (Self::GrossDebit, "gross_debit"),
        (Self::GrossCredit, "gross_credit"),
        (Self::Interchange, "interchange"),
        (Self::SchemeFee, "scheme_fee"),
        (Self::Commission, "commission"),
        (Self::NetCurrency, "net_currency"),
        (Self::NetDebit, "net_debit"),
        (Self::NetCredit, "net_credit"),
        (Self::RejectCode, "reject_code"),
        (Self::Cycle, "cycle"),
    ];
}

/// What a host's settlement reports look like: lines of fields in quotes or without (RFC 4180), the first one with the
/// names of the columns. A field holds no line break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvFormat {
    /// Between two fields.
    pub separator: u8,
    /// How the last line begins; none of a bank that has no such line, whose reports can be cut without anybody seeing
    /// it.
    pub end: Option<String>,
    /// How amounts are written.
    pub amount: AmountForm,
    /// How dates are written.
    pub date: DateForm,
    /// In how many files the bank reports a date; none where it is one.
    pub cycles: Option<i64>,
    /// The bank's words for the kinds of lines; none for those that are left out.
    pub kinds: BTreeMap<String, Option<ReportKind>>,
    /// The names of the columns.
    pub columns: BTreeMap<Field, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReportFile {
    separator: Option<String>,
    end: Option<String>,
    amount: Option<String>,
    date: Option<String>,
    r#type: TypeFile,
    business_date: String,
    acceptor: String,
    rrn: Option<String>,
    acquirer_reference: Option<String>,
    approval_code: Option<String>,
    merchant_reference: Option<String>,
    currency: String,
    gross_debit: String,
    gross_credit: String,
    interchange: Option<String>,
    scheme_fee: Option<String>,
    commission: Option<String>,
    net_currency: Option<String>,
    net_debit: Option<String>,
    net_credit: Option<String>,
    reject_code: Option<String>,
    cycle: Option<String>,
    cycles: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TypeFile {
    column: String,
    #[serde(default)]
    capture: Vec<String>,
    #[serde(default)]
    refund: Vec<String>,
    #[serde(default)]
    chargeback: Vec<String>,
    #[serde(default)]
    chargeback_reversal: Vec<String>,
    #[serde(default)]
    ignore: Vec<String>,
}

impl CsvFormat {
    /// Reads the table `[settlement.report]` of a profile.
    ///
    /// # Errors
    /// The first fault that it has, with its key, what was expected and what came.
    pub fn from_table(table: toml::Table) -> Result<Self, FormatError> {
        let mut raw: ReportFile = READING.table(table)?;
        let word = |got: &Option<String>, default| got.as_deref().unwrap_or(default).to_owned();
        let separator = READING.separator(&word(&raw.separator, ","))?;
        let amount = word(&raw.amount, "decimal");
        let date = word(&raw.date, "YYYY-MM-DD");
        let end = raw.end.take().map(|end| READING.text("end", end, 32));
        let end = end.transpose()?;
        if let Some(end) = end.as_ref().filter(|end| {
            let mut bytes = end.bytes();
            bytes.any(|byte| byte == separator || byte == b'"')
        }) {
            let expected = "a text without the separator and quotes";
            return Err(READING.fault("end", expected, format!("{end:?}")));
        }
        if raw.cycle.is_some() && raw.cycles.is_none() {
            let expected = "how many a date has, since cycle has a column";
            return Err(READING.fault("cycles", expected, "none"));
        }
        Ok(Self {
            separator,
            end,
            cycles: raw.cycles.map(cycles).transpose()?,
            amount: READING.word("amount", &amount, &AmountForm::WORDS)?,
            date: READING.word("date", &date, &DateForm::WORDS)?,
            kinds: kinds(&mut raw.r#type)?,
            columns: columns(raw)?,
        })
    }

    /// The name of the column of `field`, if there is one.
    #[must_use]
    pub fn column(&self, field: Field) -> Option<&str> {
        self.columns.get(&field).map(String::as_str)
    }
}

/// As [`CsvFormat::from_table`] does.
impl<'de> Deserialize<'de> for CsvFormat {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let table = toml::Table::deserialize(deserializer)?;
        Self::from_table(table).map_err(serde::de::Error::custom)
    }
}

/// In how many files a bank reports a date: 2 to [`MOST_CYCLES`].
pub(super) fn cycles(got: i64) -> Result<i64, FormatError> {
    match (2..=MOST_CYCLES).contains(&got) {
        true => Ok(got),
        false => {
            let expected = format!("2 to {MOST_CYCLES} files of a date");
            Err(READING.fault("cycles", expected, got.to_string()))
        }
    }
}

fn kinds(raw: &mut TypeFile) -> Result<BTreeMap<String, Option<ReportKind>>, FormatError> {
    use ReportKind::{Capture, Chargeback, ChargebackReversal, Refund};
    let mut kinds = BTreeMap::new();
    for (key, words, kind) in [
        ("capture", &mut raw.capture, Some(Capture)),
        ("refund", &mut raw.refund, Some(Refund)),
        ("chargeback", &mut raw.chargeback, Some(Chargeback)),
        (
            "chargeback_reversal",
            &mut raw.chargeback_reversal,
            Some(ChargebackReversal),
        ),
        ("ignore", &mut raw.ignore, None),
    ] {
        if words.is_empty() && matches!(kind, Some(Capture | Refund)) {
            let expected = "the bank's words, one at least";
            return Err(READING.fault(format!("type.{key}"), expected, "none"));
        }
        for word in words.drain(..) {
            let word = name(format!("type.{key}"), word)?;
            if kinds.contains_key(&word) {
                let expected = "words that stand for one kind each";
                let got = format!("{word:?} again");
                return Err(READING.fault(format!("type.{key}"), expected, got));
            }
            kinds.insert(word, kind);
        }
    }
    Ok(kinds)
}

fn columns(raw: ReportFile) -> Result<BTreeMap<Field, String>, FormatError> {
    let mut columns = BTreeMap::new();
    let mut keys: BTreeMap<String, &str> = BTreeMap::new();
    for (field, key) in Field::ALL {
        let column = match field {
            Field::BusinessDate => Some(&raw.business_date),
            Field::Acceptor => Some(&raw.acceptor),
            Field::Type => Some(&raw.r#type.column),
            Field::Rrn => raw.rrn.as_ref(),
            Field::AcquirerReference => raw.acquirer_reference.as_ref(),
            Field::ApprovalCode => raw.approval_code.as_ref(),
            Field::MerchantReference => raw.merchant_reference.as_ref(),
            Field::Currency => Some(&raw.currency),
            Field::GrossDebit => Some(&raw.gross_debit),
            Field::GrossCredit => Some(&raw.gross_credit),
            Field::Interchange => raw.interchange.as_ref(),
            Field::SchemeFee => raw.scheme_fee.as_ref(),
            Field::Commission => raw.commission.as_ref(),
            Field::NetCurrency => raw.net_currency.as_ref(),
            Field::NetDebit => raw.net_debit.as_ref(),
            Field::NetCredit => raw.net_credit.as_ref(),
            Field::RejectCode => raw.reject_code.as_ref(),
            Field::Cycle => raw.cycle.as_ref(),
        };
        let Some(column) = column else { continue };
        let column = name(key.to_owned(), column.clone())?;
        if let Some(other) = keys.insert(column.clone(), key) {
            let expected = format!("another column than {other}");
            return Err(READING.fault(key, expected, format!("{column:?}")));
        }
        columns.insert(field, column);
    }
    let has = |field: Field| columns.contains_key(&field);
    for (is_wrong, key, expected) in [
        (
            !has(Field::Rrn) && !has(Field::AcquirerReference),
            "rrn",
            "a column, here or in acquirer_reference",
        ),
        (
            has(Field::NetDebit) && !has(Field::NetCredit),
            "net_credit",
            "a column, since net_debit has one",
        ),
        (
            has(Field::NetCredit) && !has(Field::NetDebit),
            "net_debit",
            "a column, since net_credit has one",
        ),
        (
            has(Field::NetCurrency) && !has(Field::NetDebit),
            "net_debit",
            "a column, since net_currency has one",
        ),
    ] {
        if is_wrong {
            return Err(READING.fault(key, expected, "none"));
        }
    }
    Ok(columns)
}

/// A name of the bank's: 1 to [`MOST_NAME`] characters.
fn name(key: String, got: String) -> Result<String, FormatError> {
    let is_short = got.chars().count() <= MOST_NAME;
    if got.is_empty() || !is_short || got.chars().any(char::is_control) {
        let expected = format!("1 to {MOST_NAME} characters");
        return Err(READING.fault(key, expected, format!("{got:?}")));
    }
    Ok(got)
}

#[cfg(test)]
mod tests;
