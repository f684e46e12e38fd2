//! A detail, 16: one movement.

use super::record::Record;
use super::records::fields_before_text;
use crate::payment::moment::BusinessDate;
use crate::reconciliation::statement::error::StatementError;
use crate::settlement::amount_form::AmountForm;

/// A type code under which there is a text and no money.
const NOT_MONETARY: u16 = 890;

/// One movement.
#[derive(Debug)]
pub(super) struct Movement {
    /// Above 0 for a credit of the account.
    pub(super) amount_minor: i64,
    pub(super) value_date: Option<BusinessDate>,
    pub(super) bank_reference: Option<String>,
    pub(super) own_reference: Option<String>,
    pub(super) text: Option<String>,
}

/// Reads a detail; none where it moves nothing.
pub(super) fn movement(
    record: &Record,
    today: BusinessDate,
) -> Result<Option<Movement>, StatementError> {
    let code = record.field(0);
    let is_code = code.len() == 3 && code.bytes().all(|it| it.is_ascii_digit());
    let number: Option<u16> = code.parse().ok().filter(|_| is_code);
    let is_credit = match number {
        Some(100..=399) => true,
        Some(400..=699) => false,
        Some(NOT_MONETARY) if matches!(record.field(1), "" | "0") => return Ok(None),
        _ => {
            let expected = "100 to 399 for a credit, or 400 to 699 for a debit";
            return Err(record.wrong("type code", expected, code));
        }
    };
    let amount = record.field(1);
    let minor = AmountForm::Minor.read(amount, 0);
    let minor = minor.map_err(|invalid| record.wrong("amount", &invalid.to_string(), amount))?;
    let funds = record.field(2);
    let value_date = match funds {
        "V" => {
            record.check_time(record.field(4), "value time")?;
            Some(record.date(record.field(3), "value date", today)?)
        }
        "D" => {
            let count = record.field(3);
            if count.parse::<usize>().is_err() {
                return Err(record.wrong("number of days", "a number", count));
            }
            None
        }
        "" | "0" | "1" | "2" | "S" | "Z" => None,
        _ => return Err(record.wrong("funds type", "0, 1, 2, D, S, V, Z or nothing", funds)),
    };
    let fields: Vec<String> = record.segments.iter().flatten().cloned().collect();
    let before_text = fields_before_text(&fields);
    let reference = |back: usize| {
        let text = record.field(before_text.saturating_sub(back));
        Some(text.to_owned()).filter(|text| !text.is_empty())
    };
    Ok(Some(Movement {
        amount_minor: if is_credit { minor } else { -minor },
        value_date,
        bank_reference: reference(2),
        own_reference: reference(1),
        text: record.text.clone(),
    }))
}
