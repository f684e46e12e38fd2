//! The layout of a clearing file of the kind `csv`.

use serde::Deserialize;

use super::value::{KindWords, Source, Value};
use crate::settlement::amount_form::AmountForm;
use crate::settlement::format_error::{DateForm, FormatError, Reading};

/// The most columns.
const MOST_COLUMNS: usize = 100;
/// The longest name of a column, and the longest word for a kind of item.
const MOST_HEADER: usize = 64;

/// A column of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name, in the first line.
    pub header: String,
    /// What it holds.
    pub source: Source,
}

/// The layout: a line of column names, a line for each item and, where the bank wants one, a trailer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvLayout {
    /// Between two fields. Fields that hold one are quoted (RFC 4180).
    pub separator: u8,
    /// How amounts are written.
    pub amount: AmountForm,
    /// How dates are written.
    pub date: DateForm,
    /// The bank's words for captures and refunds.
    pub types: KindWords,
    /// The columns, in their order.
    pub columns: Vec<Column>,
    /// Whether the last line is a trailer: `T`, the date, the sum of all amounts in minor units, the currency (empty
    /// where there are several) and, as the reference, the number of items.
    pub trailer: bool,
}

/// The columns where the profile names none.
const COLUMNS: [(&str, Value); 10] = [
    ("Record", Value::Record),
    ("Business Date", Value::BusinessDate),
    ("Acceptor", Value::Acceptor),
    ("Terminal", Value::Terminal),
    ("Type", Value::Type),
    ("RRN", Value::Rrn),
    ("Approval Code", Value::ApprovalCode),
    ("Amount", Value::Amount),
    ("Currency", Value::Currency),
    ("Reference", Value::Reference),
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CsvFile {
    separator: Option<String>,
    amount: Option<String>,
    date: Option<String>,
    types: Option<KindWords>,
    columns: Option<Vec<ColumnFile>>,
    trailer: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ColumnFile {
    header: String,
    value: Option<String>,
    literal: Option<String>,
}

impl CsvLayout {
    pub(super) fn read(reading: Reading, table: toml::Table) -> Result<Self, FormatError> {
        let raw: CsvFile = reading.table(table)?;
        let word = |got: &Option<String>, default| got.as_deref().unwrap_or(default).to_owned();
        let types = match raw.types {
            None => KindWords::new("SALE", "REFUND"),
            Some(words) => KindWords {
                capture: reading.text("types.capture", words.capture, MOST_HEADER)?,
                refund: reading.text("types.refund", words.refund, MOST_HEADER)?,
            },
        };
        let layout = Self {
            separator: reading.separator(&word(&raw.separator, ","))?,
            amount: reading.word("amount", &word(&raw.amount, "decimal"), &AmountForm::WORDS)?,
            date: reading.word("date", &word(&raw.date, "YYYY-MM-DD"), &DateForm::WORDS)?,
            types,
            columns: match raw.columns {
                None => default_columns(),
                Some(columns) => read_columns(reading, columns)?,
            },
            trailer: raw.trailer.unwrap_or(true),
        };
        layout.check_trailer(reading)?;
        Ok(layout)
    }

    fn check_trailer(&self, reading: Reading) -> Result<(), FormatError> {
        for (word, value) in Value::WORDS {
            let is_needed = matches!(value, Value::Record | Value::Amount | Value::Reference);
            let source = Source::Value(value);
            let mut columns = self.columns.iter();
            if self.trailer && is_needed && !columns.any(|column| column.source == source) {
                return Err(reading.fault(
                    "trailer",
                    "false, or columns of the values record, amount and reference",
                    format!("true without a column of the value {word}"),
                ));
            }
        }
        Ok(())
    }
}

fn default_columns() -> Vec<Column> {
    let columns = COLUMNS.iter().map(|(header, value)| Column {
        header: (*header).to_owned(),
        source: Source::Value(*value),
    });
    columns.collect()
}

fn read_columns(reading: Reading, columns: Vec<ColumnFile>) -> Result<Vec<Column>, FormatError> {
    if !(1..=MOST_COLUMNS).contains(&columns.len()) {
        let expected = format!("1 to {MOST_COLUMNS} columns");
        return Err(reading.fault("columns", expected, columns.len().to_string()));
    }
    let read = columns.into_iter().enumerate().map(|(index, raw)| {
        let key = |name: &str| format!("columns[{index}].{name}");
        let source = match (raw.value, raw.literal) {
            (Some(word), None) => {
                Source::Value(reading.word(key("value"), &word, &Value::WORDS)?)
            }
            (None, Some(text)) => Source::literal(reading, key("literal"), text)?,
            (both, _) => {
                let got = if both.is_some() { "both" } else { "neither" };
                let expected = "either a value or a literal";
                return Err(reading.fault(key("value"), expected, got));
            }
        };
        let header = reading.text(key("header"), raw.header, MOST_HEADER)?;
        Ok(Column { header, source })
    });
    read.collect()
}
