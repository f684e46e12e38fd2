//! Writes a clearing file, an item at a time.

use std::io::Write;

use super::csv_records::CsvRecords;
use super::error::ClearingError;
use super::file_name::FileHeader;
use super::format::{ClearingFormat, Layout};
use super::item::ClearingItem;
use super::nps_records::NpsRecords;
use super::value::Row;
use crate::payment::money::Currency;

/// What the items of a file sum to in one currency, captures and refunds added together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CurrencySum {
    /// The currency.
    pub currency: Currency,
    /// How many items.
    pub count: u64,
    /// Their sum in minor units.
    pub sum_minor: i64,
}

/// What a file has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ControlTotals {
    /// How many items.
    pub count: u64,
    /// Their sums, by the letters of the currencies.
    pub sums: Vec<CurrencySum>,
}

impl ControlTotals {
    fn add(&mut self, row: &Row<'_>) -> Result<(), ClearingError> {
        let (currency, minor) = (row.item.amount.currency(), row.item.amount.amount_minor());
        let code = currency.code();
        let found = self
            .sums
            .binary_search_by_key(&code, |sum| sum.currency.code());
        let index = found.unwrap_or_else(|place| {
            let (count, sum_minor) = (0, 0);
            self.sums.insert(
                place,
                CurrencySum {
                    currency,
                    count,
                    sum_minor,
                },
            );
            place
        });
        if let Some(sum) = self.sums.get_mut(index) {
            let total = sum.sum_minor.checked_add(minor);
            sum.sum_minor = total.ok_or(ClearingError::TooMuch {
                sequence: row.sequence,
                expected: "a sum in minor units of at most 64 bits",
            })?;
            sum.count = sum.count.saturating_add(1);
        }
        self.count = self.count.saturating_add(1);
        Ok(())
    }

    /// The currency, where all items have one.
    fn currency(&self) -> Option<Currency> {
        match &*self.sums {
            [one] => Some(one.currency),
            _ => None,
        }
    }
}

enum Records<'f, W: Write> {
    Csv(Box<CsvRecords<'f, W>>),
    Nps(NpsRecords<'f, W>),
}

/// Writes a clearing file. The same header and the same items in the same order make the same bytes.
///
/// A file is a file when [`finish`](Self::finish) has succeeded; before, and after an error, what was written is of no
/// use.
#[must_use = "a file without its end is of no use"]
pub struct ClearingWriter<'f, W: Write> {
    header: FileHeader,
    records: Records<'f, W>,
    totals: ControlTotals,
}

impl<'f, W: Write> ClearingWriter<'f, W> {
    /// Begins a file. `out` should be buffered.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn new(
        format: &'f ClearingFormat,
        header: &FileHeader,
        out: W,
    ) -> Result<Self, ClearingError> {
        Ok(Self {
            header: *header,
            records: match &format.layout {
                Layout::Csv(layout) => Records::Csv(Box::new(CsvRecords::begin(layout, out)?)),
                Layout::Nps(layout) => Records::Nps(NpsRecords::begin(layout, header, out)?),
            },
            totals: ControlTotals::default(),
        })
    }

    /// Writes an item. In a file of the kind `nps` captures and refunds come in the order of their transaction codes.
    ///
    /// # Errors
    /// When it can't be written, a value does not fit its field, or the order is another.
    pub fn item(&mut self, item: &ClearingItem<'_>) -> Result<(), ClearingError> {
        let row = Row {
            header: &self.header,
            item,
            sequence: self.totals.count.saturating_add(1),
        };
        match &mut self.records {
            Records::Csv(records) => records.item(&row)?,
            Records::Nps(records) => records.item(&row)?,
        }
        self.totals.add(&row)
    }

    /// Writes what ends the file.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn finish(self) -> Result<ControlTotals, ClearingError> {
        let Self {
            header,
            records,
            totals,
        } = self;
        match records {
            Records::Csv(records) => {
                let sums = totals.sums.iter().map(|sum| i128::from(sum.sum_minor));
                records.end(&header, sums.sum(), totals.currency(), totals.count)?;
            }
            Records::Nps(records) => records.end()?,
        }
        Ok(totals)
    }
}

#[cfg(test)]
mod tests;
