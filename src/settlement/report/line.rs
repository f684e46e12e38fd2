//! One line of a report.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::fault::Fault;
use super::fields::Fields;
use super::format::{CsvFormat, Field, ReportKind};
use crate::card::clear_card::without_card_numbers;
use crate::payment::moment::BusinessDate;
use crate::payment::money::Currency;
use crate::payment::reference::Rrn;
use crate::settlement::format_error::DateForm;

/// What the bank settles of one capture, refund or chargeback. Amounts are minor units of `currency`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportLine {
    /// The number of the line: 2 is that of the first one after the column names. Of a clearing file that of the record.
    pub number: u64,
    /// The business date.
    pub business_date: BusinessDate,
    /// The acceptor (DE 42), as it came: it may be a number that looks like a card's. It is kept so where a merchant has it.
    pub acceptor: String,
    /// What it is about.
    pub kind: ReportKind,
    /// The RRN (DE 37), as it came. It or the acquirer's reference is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rrn: Option<String>,
    /// The acquirer's reference (ARN).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acquirer_reference: Option<String>,
    /// The approval code (DE 38).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approval_code: Option<String>,
    /// The merchant's own reference.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub merchant_reference: Option<String>,
    /// The currency.
    pub currency: Currency,
    /// To the merchant, before fees; negative where it is from the merchant.
    pub gross_minor: i64,
    /// The interchange, from the merchant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interchange_minor: Option<i64>,
    /// The scheme's fee, from the merchant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheme_fee_minor: Option<i64>,
    /// The bank's commission, from the merchant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commission_minor: Option<i64>,
    /// To the merchant, after fees; negative where it is from the merchant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub net_minor: Option<i64>,
    /// Why the bank does not settle it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reject_code: Option<String>,
    /// Which file of its date it is in, where it says that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cycle: Option<i64>,
}

impl ReportLine {
    /// Its RRN, with as many zeros in front as it has, where a table has lost or added some; none where it can't be one.
    #[must_use]
    pub fn known_rrn(&self) -> Option<Rrn> {
        let rrn = self.rrn.as_deref()?;
        let without = rrn.trim_start_matches('0');
        let whole = if rrn.len() > 12 { without } else { rrn };
        format!("{whole:0>12}").parse().ok()
    }
}

impl ReportLine {
    /// What the bank pays for it, below 0 where it takes it: the net that it says, else the gross less the fees. What is
    /// rejected is not paid, unless it has a net.
    #[must_use]
    pub fn pays_minor(&self) -> i64 {
        let fees = [
            self.interchange_minor,
            self.scheme_fee_minor,
            self.commission_minor,
        ];
        match (self.net_minor, &self.reject_code) {
            (Some(net), _) => net,
            (None, Some(_)) => 0,
            (None, None) => {
                (fees.into_iter().flatten()).fold(self.gross_minor, i64::saturating_sub)
            }
        }
    }

    /// What it says, by the names of its fields.
    #[must_use]
    pub fn shown(&self) -> BTreeMap<String, String> {
        let kind = match self.kind {
            ReportKind::Capture => "capture",
            ReportKind::Refund => "refund",
            ReportKind::Chargeback => "chargeback",
            ReportKind::ChargebackReversal => "chargeback_reversal",
        };
        let minor = |minor: Option<i64>| minor.map(|minor| minor.to_string());
        let said = [
            ("type", Some(kind.to_owned())),
            ("business_date", Some(self.business_date.to_string())),
            ("acceptor", Some(self.acceptor.clone())),
            ("currency", Some(self.currency.code().to_owned())),
            ("gross_minor", minor(Some(self.gross_minor))),
            ("rrn", self.rrn.clone()),
            ("acquirer_reference", self.acquirer_reference.clone()),
            ("approval_code", self.approval_code.clone()),
            ("merchant_reference", self.merchant_reference.clone()),
            ("interchange_minor", minor(self.interchange_minor)),
            ("scheme_fee_minor", minor(self.scheme_fee_minor)),
            ("commission_minor", minor(self.commission_minor)),
            ("net_minor", minor(self.net_minor)),
            ("reject_code", self.reject_code.clone()),
            ("cycle", minor(self.cycle)),
        ];
        let said = said.into_iter();
        said.filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect()
    }
}

/// An amount in its two columns. One of them is zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sides {
    pub(super) debit_minor: i64,
    pub(super) credit_minor: i64,
}

impl Sides {
    /// To the merchant. Both are below 10^18.
    const fn signed(self) -> i64 {
        self.credit_minor.saturating_sub(self.debit_minor)
    }
}

/// What a line adds to the totals, and what it says.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) currency: Currency,
    pub(super) gross: Sides,
    pub(super) net: Sides,
    /// None of a kind that is left out.
    pub(super) line: Option<ReportLine>,
}

/// The longest texts.
const MOST_ACCEPTOR: usize = 64;
const MOST_CODE: usize = 40;
const MOST_REFERENCE: usize = 100;

/// A line that is being read.
pub(super) struct RowReader<'a> {
    pub(super) format: &'a CsvFormat,
    /// Where the columns are.
    pub(super) places: &'a [(Field, usize)],
    pub(super) number: u64,
    pub(super) fields: Fields<'a>,
}

impl<'a> RowReader<'a> {
    /// Reads the line; none where it is left out and nobody sums it up.
    pub(super) fn row(&self) -> Result<Option<Row>, Fault> {
        let word = self.needed(Field::Type, "one of the bank's words")?;
        let kind = *self.format.kinds.get(word).ok_or_else(|| {
            let words: Vec<_> = self.format.kinds.keys().map(String::as_str).collect();
            let expected = format!("one of {}", words.join(", "));
            self.fault(Field::Type, expected, word)
        })?;
        if kind.is_none() && self.format.end.is_none() {
            return Ok(None);
        }
        let currency = self.currency()?;
        let gross = self.sides(Field::GrossDebit, Field::GrossCredit, currency)?;
        let net = self.sides(Field::NetDebit, Field::NetCredit, currency)?;
        let line = kind.map(|kind| self.line(kind, currency, gross, net));
        Ok(Some(Row {
            currency,
            gross: gross.unwrap_or_default(),
            net: net.unwrap_or_default(),
            line: line.transpose()?,
        }))
    }

    fn line(
        &self,
        kind: ReportKind,
        currency: Currency,
        gross: Option<Sides>,
        net: Option<Sides>,
    ) -> Result<ReportLine, Fault> {
        let rrn = self.text(Field::Rrn, MOST_CODE)?;
        let acquirer_reference = self.text(Field::AcquirerReference, MOST_CODE)?;
        if rrn.is_none() && acquirer_reference.is_none() {
            let column = match self.format.column(Field::Rrn) {
                Some(_) => Field::Rrn,
                None => Field::AcquirerReference,
            };
            return Err(self.fault(column, "an RRN or an acquirer's reference", ""));
        }
        let gross = gross.ok_or_else(|| {
            let expected = "an amount, here or as a debit";
            self.fault(Field::GrossCredit, expected, "")
        })?;
        let owned = |text: Option<&str>| text.map(|text| without_card_numbers(text).into_owned());
        let line = ReportLine {
            number: self.number,
            business_date: self.business_date()?,
            acceptor: {
                self.needed(Field::Acceptor, "an acceptor")?;
                let acceptor = self.text(Field::Acceptor, MOST_ACCEPTOR)?;
                acceptor.unwrap_or_default().to_owned()
            },
            kind,
            rrn: owned(rrn),
            acquirer_reference: owned(acquirer_reference),
            approval_code: owned(self.text(Field::ApprovalCode, MOST_CODE)?),
            merchant_reference: owned(self.text(Field::MerchantReference, MOST_REFERENCE)?),
            currency,
            gross_minor: gross.signed(),
            interchange_minor: self.amount(Field::Interchange, currency)?,
            scheme_fee_minor: self.amount(Field::SchemeFee, currency)?,
            commission_minor: self.amount(Field::Commission, currency)?,
            net_minor: net.map(Sides::signed),
            reject_code: owned(self.text(Field::RejectCode, MOST_CODE)?),
            cycle: self.cycle()?,
        };
        self.check_net(&line)?;
        Ok(line)
    }

    /// Net is gross less fees, where the line has all of them. What the bank rejects it does not settle.
    fn check_net(&self, line: &ReportLine) -> Result<(), Fault> {
        // Each is below 10^18, and so are four of them together in 64 bits.
        let mut expected = line.gross_minor;
        let mut has_fees = false;
        for (field, fee) in [
            (Field::Interchange, line.interchange_minor),
            (Field::SchemeFee, line.scheme_fee_minor),
            (Field::Commission, line.commission_minor),
        ] {
            match fee {
                Some(fee) => expected = expected.saturating_sub(fee),
                None if self.format.column(field).is_some() => return Ok(()),
                None => continue,
            }
            has_fees = true;
        }
        let Some(net) = line.net_minor.filter(|_| line.reject_code.is_none()) else {
            return Ok(());
        };
        if !has_fees || net == expected {
            return Ok(());
        }
        let digits = line.currency.minor_digits();
        let shown = |minor| self.format.amount.shown(minor, digits).to_string();
        let field = match self.raw(Field::NetCredit) {
            [] => Field::NetDebit,
            _ => Field::NetCredit,
        };
        let expected = format!("a net of {} (gross less fees)", shown(expected));
        Err(self.fault(field, expected, &shown(net)))
    }

    fn currency(&self) -> Result<Currency, Fault> {
        const EXPECTED: &str = "an ISO 4217 currency code such as EUR";
        let code = self.needed(Field::Currency, EXPECTED)?;
        let currency: Currency = self.parsed(Field::Currency, EXPECTED, code)?;
        match self.text(Field::NetCurrency, MOST_CODE)? {
            Some(net) if net != currency.code() => {
                let expected = format!("the currency of the gross amount, {currency}");
                Err(self.fault(Field::NetCurrency, expected, net))
            }
            _ => Ok(currency),
        }
    }

    fn cycle(&self) -> Result<Option<i64>, Fault> {
        let of_day = self.format.cycles;
        let of_day = of_day.filter(|_| self.format.column(Field::Cycle).is_some());
        let Some(of_day) = of_day else {
            return Ok(None);
        };
        let expected = format!("a number of 1 to {of_day}");
        let text = self.needed(Field::Cycle, &expected)?;
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text
            .parse()
            .ok()
            .filter(|number| (1..=of_day).contains(number));
        match number.filter(|_| is_plain) {
            None => Err(self.fault(Field::Cycle, expected, text)),
            number => Ok(number),
        }
    }

    fn business_date(&self) -> Result<BusinessDate, Fault> {
        let expected = match self.format.date {
            DateForm::Dashed => "a date as YYYY-MM-DD",
            DateForm::Compact => "a date as YYYYMMDD",
        };
        let text = self.needed(Field::BusinessDate, expected)?;
        let parts = (text.get(..4), text.get(4..6), text.get(6..));
        let dashed = match (self.format.date, parts) {
            (DateForm::Dashed, _) => text.to_owned(),
            (DateForm::Compact, (Some(year), Some(month), Some(day))) if text.len() == 8 => {
                format!("{year}-{month}-{day}")
            }
            (DateForm::Compact, _) => String::new(),
        };
        // A year may otherwise have a sign.
        let is_plain = |byte: u8| byte.is_ascii_digit() || byte == b'-';
        let date = Some(&*dashed).filter(|it| it.len() == 10 && it.bytes().all(is_plain));
        let date = date.and_then(|date| date.parse().ok());
        date.ok_or_else(|| self.fault(Field::BusinessDate, expected, text))
    }

    /// The amount of two columns, of which one is filled; none where neither is.
    fn sides(
        &self,
        debit: Field,
        credit: Field,
        currency: Currency,
    ) -> Result<Option<Sides>, Fault> {
        let debit_minor = self.amount(debit, currency)?;
        let credit_minor = self.amount(credit, currency)?;
        if debit_minor.is_some() && credit_minor.is_some() {
            let name = self.format.column(debit).unwrap_or_default();
            let expected = format!("nothing, since {name} is filled");
            let got = self.text(credit, MOST_CODE)?;
            return Err(self.fault(credit, expected, got.unwrap_or_default()));
        }
        let is_filled = debit_minor.or(credit_minor).is_some();
        Ok(is_filled.then_some(Sides {
            debit_minor: debit_minor.unwrap_or_default(),
            credit_minor: credit_minor.unwrap_or_default(),
        }))
    }

    fn amount(&self, field: Field, currency: Currency) -> Result<Option<i64>, Fault> {
        let Some(text) = self.utf8(field)? else {
            return Ok(None);
        };
        let read = self.format.amount.read(text, currency.minor_digits());
        let read = read.map_err(|invalid| self.fault(field, invalid.to_string(), text));
        read.map(Some)
    }

    fn parsed<T: FromStr>(&self, field: Field, expected: &str, text: &str) -> Result<T, Fault> {
        let read = text.parse();
        read.map_err(|_| self.fault(field, expected, text))
    }

    fn needed(&self, field: Field, expected: &str) -> Result<&'a str, Fault> {
        let text = self.utf8(field)?;
        text.ok_or_else(|| self.fault(field, expected, ""))
    }

    /// A text of at most so many characters; none where it is empty.
    fn text(&self, field: Field, most: usize) -> Result<Option<&'a str>, Fault> {
        let Some(text) = self.utf8(field)? else {
            return Ok(None);
        };
        let is_short = text.chars().count() <= most;
        if is_short && !text.chars().any(char::is_control) {
            return Ok(Some(text));
        }
        let expected = format!("at most {most} characters, and no control characters");
        Err(self.fault(field, expected, text))
    }

    fn utf8(&self, field: Field) -> Result<Option<&'a str>, Fault> {
        let bytes = self.raw(field);
        let text = std::str::from_utf8(bytes).map_err(|_| {
            let got = String::from_utf8_lossy(bytes);
            self.fault(field, "a text in UTF-8", &got)
        })?;
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    fn raw(&self, field: Field) -> &'a [u8] {
        let place = self.places.iter().find(|(known, _)| *known == field);
        place.map_or(&[], |(_, place)| self.fields.bytes(*place))
    }

    fn fault(&self, field: Field, expected: impl Into<String>, got: &str) -> Fault {
        Fault::new(self.number, self.format.column(field), expected, got)
    }
}
