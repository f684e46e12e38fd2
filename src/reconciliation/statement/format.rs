//! The formats of statements.

use std::io::{BufReader, Read};

use super::bai2::Bai2;
use super::camt::CamtStatements;
use super::error::StatementError;
use super::mt940::Mt940;
use super::part::StatementPart;
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

/// Reads a file of statements. `today` says which century a year of two digits belongs to. After an error there are no
/// more parts; those before it came from a file that is wrong, and are better not used.
pub fn read_statements<'a>(
    format: StatementFormat,
    input: impl Read + 'a,
    today: BusinessDate,
) -> Box<dyn Iterator<Item = Result<StatementPart, StatementError>> + 'a> {
    match format {
        StatementFormat::Camt => Box::new(CamtStatements::new(BufReader::new(input))),
        StatementFormat::Mt940 => Box::new(Mt940::new(input, today)),
        StatementFormat::Bai2 => Box::new(Bai2::new(input, today)),
    }
}
