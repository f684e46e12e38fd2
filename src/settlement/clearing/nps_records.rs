//! The lines of a clearing file of the kind `nps`.

use std::fmt::Write as _;
use std::io::Write;

use super::error::ClearingError;
use super::file_name::{FileHeader, compact};
use super::nps_layout::{Content, FIELDS, NpsLayout, SEPARATOR};
use super::value::{Forms, ItemAmount, Row, Unfit, hundredths};
use crate::payment::money::Decimal;
use crate::settlement::format_error::DateForm;

/// The longest total, with its dot.
const MOST_TOTAL: usize = 20;
/// The greatest number of items: eight digits.
const MOST_COUNT: u64 = 99_999_999;

/// What the trailers say.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    /// Of all currencies added together, each as if it had two places.
    hundredths: i128,
    count: u64,
}

/// The batch that is being written.
struct Batch<'f> {
    transaction_code: &'f str,
    sum: Sum,
}

/// Writes the lines.
pub(super) struct NpsRecords<'f, W: Write> {
    layout: &'f NpsLayout,
    out: W,
    line: String,
    batch: Option<Batch<'f>>,
    batches: u64,
    sum: Sum,
}

impl<'f, W: Write> NpsRecords<'f, W> {
    /// Writes the file header.
    pub(super) fn begin(
        layout: &'f NpsLayout,
        header: &FileHeader,
        out: W,
    ) -> Result<Self, ClearingError> {
        let mut records = Self {
            layout,
            out,
            line: String::new(),
            batch: None,
            batches: 0,
            sum: Sum::default(),
        };
        // `O`: the file is an original, and reverses no other.
        records.write(format_args!(
            "1644^601^O^{}^{}^{}^{}^{}",
            layout.member_id,
            compact(header.business_date),
            header.cycle.get(),
            layout.file_type,
            layout.mode
        ))?;
        Ok(records)
    }

    pub(super) fn item(&mut self, row: &Row<'_>) -> Result<(), ClearingError> {
        self.go_to_batch(row)?;
        self.line.clear();
        let layout = self.layout;
        let forms = Forms {
            types: &layout.transaction_codes,
            amount: ItemAmount::TwoPlaces,
            date: DateForm::Compact,
            processing_codes: Some(&layout.processing_codes),
            acquirer_id: Some(&layout.acquirer_id),
        };
        for (index, (source, (name, content))) in layout.fields.iter().zip(FIELDS).enumerate() {
            if index > 0 {
                self.line.push(SEPARATOR);
            }
            let begin = self.line.len();
            let appended = forms.append(source, row, &mut self.line);
            appended
                .and_then(|()| fit(&mut self.line, begin, content, layout.pad_amounts))
                .map_err(|unfit| {
                    let field = format!("position {} ({name})", index.saturating_add(1));
                    ClearingError::field(row, &field, unfit)
                })?;
        }
        self.line.push('\n');
        self.out.write_all(self.line.as_bytes())?;
        let amount = hundredths(row.item.amount)
            .map_err(|unfit| ClearingError::field(row, "amount", unfit))?;
        let too_much = |expected| ClearingError::TooMuch {
            sequence: row.sequence,
            expected,
        };
        for sum in [
            Some(&mut self.sum),
            self.batch.as_mut().map(|batch| &mut batch.sum),
        ]
        .into_iter()
        .flatten()
        {
            sum.hundredths = sum.hundredths.saturating_add(amount);
            sum.count = sum.count.saturating_add(1);
        }
        if self.sum.count > MOST_COUNT {
            return Err(too_much("at most 99999999 items"));
        }
        if shown(self.sum.hundredths).to_string().len() > MOST_TOTAL {
            return Err(too_much("a total of at most 20 characters"));
        }
        Ok(())
    }

    /// Writes the trailers.
    pub(super) fn end(mut self) -> Result<(), ClearingError> {
        self.end_batch()?;
        let Self { batches, sum, .. } = self;
        self.write(format_args!(
            "1644^602^{batches}^{}^{}",
            shown(sum.hundredths),
            sum.count
        ))?;
        Ok(self.out.flush()?)
    }

    /// Ends the batch of another transaction code, and begins the item's.
    fn go_to_batch(&mut self, row: &Row<'_>) -> Result<(), ClearingError> {
        let transaction_code = self.layout.transaction_codes.of(row.item.kind);
        match self.batch.as_ref().map(|batch| batch.transaction_code) {
            Some(code) if code == transaction_code => return Ok(()),
            Some(code) if code > transaction_code => {
                return Err(ClearingError::Order {
                    sequence: row.sequence,
                    got: transaction_code.to_owned(),
                    after: code.to_owned(),
                });
            }
            Some(_) | None => {}
        }
        self.end_batch()?;
        self.batches = self.batches.saturating_add(1);
        let number = self.batches;
        self.batch = Some(Batch {
            transaction_code,
            sum: Sum::default(),
        });
        self.write(format_args!("1664^601^{number}^{transaction_code}"))
    }

    fn end_batch(&mut self) -> Result<(), ClearingError> {
        let Some(batch) = self.batch.take() else {
            return Ok(());
        };
        self.write(format_args!(
            "1664^602^{}^{}^{}",
            batch.transaction_code,
            shown(batch.sum.hundredths),
            batch.sum.count
        ))
    }

    fn write(&mut self, line: std::fmt::Arguments<'_>) -> Result<(), ClearingError> {
        self.line.clear();
        // Writing to a text does not fail.
        let _ = writeln!(self.line, "{line}");
        Ok(self.out.write_all(self.line.as_bytes())?)
    }
}

fn shown(hundredths: i128) -> Decimal {
    Decimal {
        units: hundredths,
        places: 2,
    }
}

/// Checks the field that begins at `begin`, and fills up an amount with zeros.
fn fit(line: &mut String, begin: usize, content: Content, pad: bool) -> Result<(), Unfit> {
    let field = line.get(begin..).unwrap_or_default();
    let is_digit = |byte: u8| byte.is_ascii_digit();
    let (most, allowed, of): (_, fn(u8) -> bool, _) = match content {
        Content::N(most) => (most, is_digit, "digits"),
        Content::A(most) => (
            most,
            |byte| byte.is_ascii_digit() || byte == b'.',
            "digits with a dot",
        ),
        Content::X(most) => (most, is_printable, "printable ASCII characters but for ^"),
    };
    if field.len() > most || !field.bytes().all(allowed) {
        return Err(Unfit {
            expected: format!("at most {most} {of}"),
            got: field.to_owned(),
        });
    }
    let missing = most.saturating_sub(field.len());
    if pad && matches!(content, Content::A(_)) && !field.is_empty() {
        line.insert_str(begin, &"0".repeat(missing));
    }
    Ok(())
}

fn is_printable(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'^'
}
