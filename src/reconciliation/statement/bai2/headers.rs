//! The headers: 01 of a file, 02 of a group.

use super::record::Record;
use crate::card::clear_card::without_card_numbers;
use crate::payment::bank_statement::StatementKind;
use crate::payment::moment::BusinessDate;
use crate::payment::money::Currency;
use crate::reconciliation::statement::error::StatementError;
use crate::reconciliation::statement::part::StatementPurpose;

/// The currency of a group that names none.
const DEFAULT_CURRENCY: &str = "USD";

/// What is used of the header of a file.
#[derive(Debug)]
pub(super) struct FileHeader {
    /// Sender, date and number of the file, which no other file has.
    pub(super) key: String,
}

/// Reads the header of a file.
pub(super) fn read_file_header(
    record: &Record,
    today: BusinessDate,
) -> Result<FileHeader, StatementError> {
    let sender = record.mandatory(0, "sender")?;
    let date = record.date(record.field(2), "date", today)?;
    record.check_time(record.field(3), "time")?;
    let number = record.mandatory(4, "file id")?;
    match record.field(7) {
        "2" => Ok(FileHeader {
            key: format!(
                "{}/{date}/{}",
                without_card_numbers(sender),
                without_card_numbers(number)
            ),
        }),
        version => Err(record.wrong("version", "2", version)),
    }
}

/// What is used of the header of a group.
#[derive(Debug)]
pub(super) struct GroupHeader {
    /// The date that it is about.
    pub(super) date: BusinessDate,
    pub(super) purpose: StatementPurpose,
    pub(super) kind: StatementKind,
    pub(super) currency: Currency,
}

/// Reads the header of a group.
pub(super) fn read_group_header(
    record: &Record,
    today: BusinessDate,
) -> Result<GroupHeader, StatementError> {
    let purpose = match record.field(2) {
        "1" => StatementPurpose::New,
        "2" => StatementPurpose::Deletion,
        "3" => StatementPurpose::Correction,
        "4" => StatementPurpose::Test,
        status => return Err(record.wrong("group status", "1, 2, 3 or 4", status)),
    };
    let date = record.date(record.field(3), "as-of date", today)?;
    record.check_time(record.field(4), "as-of time")?;
    let kind = match record.field(6) {
        "1" | "3" => StatementKind::Interim,
        "" | "2" | "4" => StatementKind::Booked,
        modifier => {
            let expected = "1, 2, 3, 4 or nothing";
            return Err(record.wrong("as-of date modifier", expected, modifier));
        }
    };
    let currency = match record.field(5) {
        "" => DEFAULT_CURRENCY,
        code => code,
    };
    let currency = currency.parse();
    Ok(GroupHeader {
        date,
        purpose,
        kind,
        currency: currency.map_err(|_| {
            let expected = "an ISO 4217 currency code of three capital letters";
            record.wrong("currency", expected, record.field(5))
        })?,
    })
}
