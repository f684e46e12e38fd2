//! What a field of a clearing file can hold, and its text.

use std::fmt::{self, Write as _};

use serde::Deserialize;

use super::file_name::{FileHeader, compact};
use super::item::ClearingItem;
use crate::payment::money::Decimal;
use crate::payment::money::Money;
use crate::payment::settlement::ItemKind;
use crate::settlement::amount_form::AmountForm;
use crate::settlement::format_error::{DateForm, FormatError, Reading};

/// The longest literal.
const MOST_LITERAL: usize = 100;

/// What a field says of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// The kind of record: `D` of an item, `T` of the trailer.
    Record,
    /// The business date.
    BusinessDate,
    /// The acceptor (DE 42).
    Acceptor,
    /// The terminal (DE 41).
    Terminal,
    /// The bank's word for a capture or a refund.
    Type,
    /// The RRN (DE 37).
    Rrn,
    /// The approval code (DE 38).
    ApprovalCode,
    /// The amount.
    Amount,
    /// The currency's letters, such as `EUR`.
    Currency,
    /// The currency's number, such as `978`.
    CurrencyNumeric,
    /// The identifier of the capture or refund.
    Reference,
    /// The card number as it may be shown.
    CardMasked,
    /// The number of the item in its file: 1 for the first.
    Sequence,
    /// The acquirer's reference.
    AcquirerReference,
    /// The merchant's category code.
    Mcc,
    /// When the card was taken.
    LocalDateTime,
    /// The merchant's name and place.
    NameLocation,
    /// The card number.
    Card,
    /// The processing code of a capture or a refund.
    ProcessingCode,
    /// Acquirer, DE 15, DE 38 and DE 37 in a row, where all are known.
    TransactionIdentifier,
}

impl Value {
    /// The words of a profile for the values of any file.
    pub const WORDS: [(&'static str, Self); 17] = [
        ("record", Self::Record),
        ("business_date", Self::BusinessDate),
        ("acceptor", Self::Acceptor),
        ("terminal", Self::Terminal),
        ("type", Self::Type),
        ("rrn", Self::Rrn),
        ("approval_code", Self::ApprovalCode),
        ("amount", Self::Amount),
        ("currency", Self::Currency),
        ("currency_numeric", Self::CurrencyNumeric),
        ("reference", Self::Reference),
        ("card_masked", Self::CardMasked),
        ("sequence", Self::Sequence),
        ("acquirer_reference", Self::AcquirerReference),
        ("mcc", Self::Mcc),
        ("local_date_time", Self::LocalDateTime),
        ("name_location", Self::NameLocation),
    ];
    /// Those of a file of the kind `nps` alone.
    pub const NPS_WORDS: [(&'static str, Self); 3] = [
        ("card", Self::Card),
        ("processing_code", Self::ProcessingCode),
        ("transaction_identifier", Self::TransactionIdentifier),
    ];
}

/// Where the text of a field comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// From the item.
    Value(Value),
    /// It is always the same.
    Literal(String),
}

impl Source {
    /// Always this text, which may be empty.
    pub(super) fn literal(
        reading: Reading,
        key: impl fmt::Display,
        text: String,
    ) -> Result<Self, FormatError> {
        if text.is_empty() {
            return Ok(Self::Literal(text));
        }
        reading.text(key, text, MOST_LITERAL).map(Self::Literal)
    }
}

/// A word for each kind of item.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KindWords {
    /// For captures.
    pub capture: String,
    /// For refunds.
    pub refund: String,
}

impl KindWords {
    pub(super) fn new(capture: &str, refund: &str) -> Self {
        let (capture, refund) = (capture.to_owned(), refund.to_owned());
        Self { capture, refund }
    }

    /// The word for items of this kind.
    #[must_use]
    pub fn of(&self, kind: ItemKind) -> &str {
        match kind.is_credit() {
            true => &self.capture,
            false => &self.refund,
        }
    }
}

/// How the amounts of items are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ItemAmount {
    Of(AmountForm),
    /// With two places, whatever the currency has.
    TwoPlaces,
}

/// How values are written in one file.
pub(super) struct Forms<'f> {
    pub(super) types: &'f KindWords,
    pub(super) amount: ItemAmount,
    pub(super) date: DateForm,
    pub(super) processing_codes: Option<&'f KindWords>,
    pub(super) acquirer_id: Option<&'f str>,
}

/// An item in its file.
pub(super) struct Row<'a> {
    pub(super) header: &'a FileHeader,
    pub(super) item: &'a ClearingItem<'a>,
    pub(super) sequence: u64,
}

/// Why a value can't be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unfit {
    pub(super) expected: String,
    pub(super) got: String,
}

/// An amount in hundredths of its currency's unit.
pub(super) fn hundredths(amount: Money) -> Result<i128, Unfit> {
    let minor = i128::from(amount.amount_minor());
    let digits = amount.currency().minor_digits();
    let (more, fewer) = (2_u32.saturating_sub(digits), digits.saturating_sub(2));
    let divisor = 10_i128.saturating_pow(fewer);
    if minor % divisor == 0 {
        Ok(minor / divisor * 10_i128.saturating_pow(more))
    } else {
        Err(Unfit {
            expected: "an amount of two places".to_owned(),
            got: amount.to_string(),
        })
    }
}

impl Forms<'_> {
    /// Appends the text of a field.
    pub(super) fn append(
        &self,
        source: &Source,
        row: &Row<'_>,
        out: &mut String,
    ) -> Result<(), Unfit> {
        match source {
            Source::Literal(text) => out.push_str(text),
            Source::Value(value) => self.append_value(*value, row, out)?,
        }
        Ok(())
    }

    fn append_value(&self, value: Value, row: &Row<'_>, out: &mut String) -> Result<(), Unfit> {
        let Row { header, item, .. } = row;
        let mut push = |text: Option<&str>| out.push_str(text.unwrap_or_default());
        match value {
            Value::Record => push(Some("D")),
            Value::Acceptor => push(Some(item.acceptor_id)),
            Value::Terminal => push(Some(item.terminal_id)),
            Value::Type => push(Some(self.types.of(item.kind))),
            Value::Rrn => push(Some(item.rrn.as_str())),
            Value::ApprovalCode => push(item.approval_code),
            Value::Currency => push(Some(item.amount.currency().code())),
            Value::CardMasked => push(item.card_masked),
            Value::AcquirerReference => push(item.acquirer_reference),
            Value::Mcc => push(item.mcc),
            Value::LocalDateTime => push(item.local_date_time),
            Value::NameLocation => push(item.name_location),
            Value::Card => push(item.card_number.map(|number| number.0)),
            Value::ProcessingCode => push(self.processing_codes.map(|codes| codes.of(item.kind))),
            Value::TransactionIdentifier => {
                let parts = (self.acquirer_id, item.settlement_date, item.approval_code);
                if let (Some(acquirer), Some(date), Some(approval)) = parts {
                    for part in [acquirer, date, approval, item.rrn.as_str()] {
                        out.push_str(part);
                    }
                }
            }
            Value::BusinessDate => append_date(header, self.date, out),
            Value::CurrencyNumeric => append(out, format_args!("{:03}", item.numeric())),
            Value::Reference => append(out, format_args!("{}", item.subject_id)),
            Value::Sequence => append(out, format_args!("{}", row.sequence)),
            Value::Amount => {
                let (amount, digits) = (item.amount, item.amount.currency().minor_digits());
                let shown = match self.amount {
                    ItemAmount::Of(form) => form.shown(amount.amount_minor(), digits),
                    ItemAmount::TwoPlaces => Decimal {
                        units: hundredths(amount)?,
                        places: 2,
                    },
                };
                append(out, format_args!("{shown}"));
            }
        }
        Ok(())
    }
}

impl ClearingItem<'_> {
    fn numeric(&self) -> u16 {
        self.amount.currency().numeric()
    }
}

/// Appends the business date of a file.
pub(super) fn append_date(header: &FileHeader, form: DateForm, out: &mut String) {
    match form {
        DateForm::Dashed => append(out, format_args!("{}", header.business_date)),
        DateForm::Compact => append(out, format_args!("{}", compact(header.business_date))),
    }
}

fn append(out: &mut String, text: fmt::Arguments<'_>) {
    // Writing to a text does not fail.
    let _ = out.write_fmt(text);
}
