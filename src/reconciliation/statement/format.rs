//! The formats of statements.

use std::borrow::Cow;
use std::io::{BufReader, Read};

use super::bai2::Bai2;
use super::camt::CamtStatements;
use super::error::StatementError;
use super::mt940::Mt940;
use super::part::StatementPart;
use crate::card::clear_card::without_card_numbers;
use crate::payment::moment::BusinessDate;

/// A format of statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StatementFormat {
    /// ISO 20022: camt.053, and camt.052 within the day.
    Camt,
    /// SWIFT MT940.
    Mt940,
    /// BAI2.
    Bai2,
}

/// Reads a file of statements, without card numbers in its texts. `today` says which century a year of two digits belongs to. After an error there are no
/// more parts; those before it came from a file that is wrong, and are better not used.
pub fn read_statements<'a>(
    format: StatementFormat,
    input: impl Read + 'a,
    today: BusinessDate,
) -> Box<dyn Iterator<Item = Result<StatementPart, StatementError>> + 'a> {
    let parts: Box<dyn Iterator<Item = Result<StatementPart, StatementError>> + 'a> = match format {
        StatementFormat::Camt => Box::new(CamtStatements::new(BufReader::new(input))),
        StatementFormat::Mt940 => Box::new(Mt940::new(input, today)),
        StatementFormat::Bai2 => Box::new(Bai2::new(input, today)),
    };
    Box::new(parts.map(move |part| part.map(|part| without_cards(format, part))))
}

/// A part whose texts have no card number. The account stays: its number may look like one.
fn without_cards(format: StatementFormat, mut part: StatementPart) -> StatementPart {
    let hide = |text: &mut String| {
        if let Cow::Owned(masked) = without_card_numbers(text) {
            *text = masked;
        }
    };
    match &mut part {
        // The numbers that BAI2's is made of would together look like a card's: each was looked at alone.
        StatementPart::Begin(head) if format != StatementFormat::Bai2 => hide(&mut head.id),
        StatementPart::Line(line) => {
            let texts = [
                &mut line.bank_reference,
                &mut line.own_reference,
                &mut line.text,
            ];
            texts.into_iter().flatten().for_each(hide);
        }
        StatementPart::Begin(_) | StatementPart::End(_) => {}
    }
    part
}
