//! The lines of a clearing file of the kind `csv`.

use std::io::Write;

use csv::{Terminator, WriterBuilder};

use super::csv_layout::CsvLayout;
use super::error::ClearingError;
use super::file_name::FileHeader;
use super::value::{Forms, ItemAmount, Row, Source, Unfit, Value, append_date};
use crate::payment::money::Currency;

/// Writes the lines.
pub(super) struct CsvRecords<'f, W: Write> {
    layout: &'f CsvLayout,
    out: csv::Writer<W>,
    field: String,
}

impl<'f, W: Write> CsvRecords<'f, W> {
    /// Writes the line of column names.
    pub(super) fn begin(layout: &'f CsvLayout, out: W) -> Result<Self, ClearingError> {
        let mut builder = WriterBuilder::new();
        builder.delimiter(layout.separator);
        builder.terminator(Terminator::Any(b'\n'));
        let mut out = builder.from_writer(out);
        for column in &layout.columns {
            out.write_field(&column.header).map_err(failed)?;
        }
        end_line(&mut out)?;
        let field = String::new();
        Ok(Self { layout, out, field })
    }

    pub(super) fn item(&mut self, row: &Row<'_>) -> Result<(), ClearingError> {
        let forms = Forms {
            types: &self.layout.types,
            amount: ItemAmount::Of(self.layout.amount),
            date: self.layout.date,
            processing_codes: None,
            acquirer_id: None,
        };
        for column in &self.layout.columns {
            self.field.clear();
            let appended = forms.append(&column.source, row, &mut self.field);
            appended
                .and_then(|()| check(&self.field))
                .map_err(|unfit| ClearingError::field(row, &column.header, unfit))?;
            self.out.write_field(&self.field).map_err(failed)?;
        }
        end_line(&mut self.out)
    }

    /// Writes the trailer: the sum of all items, the currency where it is one, and how many they are.
    pub(super) fn end(
        mut self,
        header: &FileHeader,
        sum_minor: i128,
        currency: Option<Currency>,
        count: u64,
    ) -> Result<(), ClearingError> {
        if self.layout.trailer {
            for column in &self.layout.columns {
                self.field.clear();
                if let Source::Value(value) = &column.source {
                    match value {
                        Value::Record => self.field.push('T'),
                        Value::BusinessDate => {
                            append_date(header, self.layout.date, &mut self.field);
                        }
                        Value::Amount => self.field.push_str(&sum_minor.to_string()),
                        Value::Reference => self.field.push_str(&count.to_string()),
                        Value::Currency => {
                            self.field.push_str(currency.map_or("", Currency::code));
                        }
                        Value::CurrencyNumeric => {
                            let number = currency.map(|it| format!("{:03}", it.numeric()));
                            self.field.push_str(&number.unwrap_or_default());
                        }
                        _ => {}
                    }
                }
                self.out.write_field(&self.field).map_err(failed)?;
            }
            end_line(&mut self.out)?;
        }
        Ok(self.out.flush()?)
    }
}

fn end_line<W: Write>(out: &mut csv::Writer<W>) -> Result<(), ClearingError> {
    out.write_record(None::<&[u8]>).map_err(failed)
}

fn failed(error: csv::Error) -> ClearingError {
    ClearingError::Write(error.into())
}

/// A line break within a field would end the line for many a reader, quoted or not.
fn check(field: &str) -> Result<(), Unfit> {
    if field.chars().any(char::is_control) {
        return Err(Unfit {
            expected: "a text without control characters".to_owned(),
            got: field.to_owned(),
        });
    }
    Ok(())
}
