//! The layout of a clearing file of the kind `nps`: the records of a national card switch, with `^` between the fields.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::value::{KindWords, Source, Value};
use crate::settlement::format_error::{FormatError, Reading};

/// Between two fields.
pub(super) const SEPARATOR: char = '^';

/// What a field of a detail record can hold: digits (`N`), an amount (`A`) or printable characters (`X`), and how many
/// of them. A length that the switch leaves open is long enough for what we know to put there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    N(usize),
    A(usize),
    X(usize),
}

use Content::{A, N, X};

/// The fields of a detail record, by position.
#[rustfmt::skip]
pub(super) const FIELDS: [(&str, Content); 45] = [
    ("MTI", N(4)), ("function code", N(3)), ("processing code", N(6)), ("PAN or token", X(19)),
    ("approval code", X(8)), ("RRN", N(12)), ("ARN", N(23)), ("MCC", N(4)), ("date and time", N(14)),
    ("terminal", X(16)), ("name and location", X(100)), ("amount", A(12)), ("currency", N(3)),
    ("settlement amount", A(12)), ("settlement currency", N(3)), ("billing amount", A(12)), ("billing currency", N(3)),
    ("settlement rate", N(8)), ("billing rate", N(8)), ("forwarded by", N(11)), ("received by", N(11)),
    ("acquirer", N(11)), ("issuer", N(11)), ("settlement date", N(8)), ("reason", N(2)), ("text", X(100)),
    ("document", N(1)), ("fee type", X(1)), ("fee amount", A(12)), ("fee currency", N(3)),
    ("fee settlement amount", A(12)), ("fee settlement currency", N(3)), ("additional amount", A(12)),
    ("additional amount sign", X(1)), ("issuer name", X(9)), ("acquirer name", X(9)), ("card present", N(1)),
    ("terminal capability", X(1)), ("ECI", X(1)), ("transaction indicator", X(1)), ("original amount", A(12)),
    ("transaction identifier", X(64)), ("process", X(1)), ("case", X(20)), ("additional data", X(200)),
];

/// The layout: a file header, for each transaction code a batch of details with header and trailer, a file trailer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NpsLayout {
    /// The member's number: 1 to 11 digits, written as they stand here.
    pub member_id: String,
    /// The acquirer's number (DE 32): 1 to 11 digits.
    pub acquirer_id: String,
    /// Whether the file is incoming (`I`) or outgoing (`O`), as the switch sees it.
    pub file_type: char,
    /// Production (`P`) or test (`T`).
    pub mode: char,
    /// The transaction codes of captures and refunds.
    pub transaction_codes: KindWords,
    /// The processing codes of captures and refunds.
    pub processing_codes: KindWords,
    /// Whether amounts are filled up with zeros to their full length, or written as short as they are.
    pub pad_amounts: bool,
    /// What the fields of a detail record hold, in their order.
    pub fields: Vec<Source>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NpsFile {
    member_id: String,
    acquirer_id: String,
    file_type: String,
    mode: String,
    transaction_codes: Option<KindWords>,
    processing_codes: Option<KindWords>,
    pad_amounts: Option<bool>,
    #[serde(default)]
    fields: BTreeMap<String, FieldFile>,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected a value's word or { literal = \"...\" }"
)]
enum FieldFile {
    Value(String),
    Literal(LiteralFile),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LiteralFile {
    literal: String,
}

/// The words of a file header's two letters.
const FILE_TYPES: [(&str, char); 2] = [("I", 'I'), ("O", 'O')];
const MODES: [(&str, char); 2] = [("P", 'P'), ("T", 'T')];

impl NpsLayout {
    pub(super) fn read(reading: Reading, table: toml::Table) -> Result<Self, FormatError> {
        let raw: NpsFile = reading.table(table)?;
        let codes = |key: &str, words: Option<KindWords>, default, length| match words {
            None => Ok(default),
            Some(KindWords { capture, refund }) => {
                let exactly = length..=length;
                Ok(KindWords {
                    capture: digits(reading, format!("{key}.capture"), capture, exactly.clone())?,
                    refund: digits(reading, format!("{key}.refund"), refund, exactly)?,
                })
            }
        };
        let sales = KindWords::new("05", "08");
        let transaction_codes = codes("transaction_codes", raw.transaction_codes, sales, 2)?;
        // Captures come first in a file, and its batches by their codes.
        if transaction_codes.capture > transaction_codes.refund {
            let expected = "a code that is not below that of captures";
            let got = format!("{:?}", transaction_codes.refund);
            return Err(reading.fault("transaction_codes.refund", expected, got));
        }
        let processing = KindWords::new("000000", "200000");
        let acquirer_id = digits(reading, "acquirer_id".into(), raw.acquirer_id, 1..=11)?;
        let mut fields = default_fields(&acquirer_id);
        for (position, field) in raw.fields {
            set_field(reading, &mut fields, &position, field)?;
        }
        Ok(Self {
            member_id: digits(reading, "member_id".into(), raw.member_id, 1..=11)?,
            acquirer_id,
            file_type: reading.word("file_type", &raw.file_type, &FILE_TYPES)?,
            mode: reading.word("mode", &raw.mode, &MODES)?,
            transaction_codes,
            processing_codes: codes("processing_codes", raw.processing_codes, processing, 6)?,
            pad_amounts: raw.pad_amounts.unwrap_or(false),
            fields,
        })
    }
}

/// The fields that are known without the profile. All others are empty.
fn default_fields(acquirer_id: &str) -> Vec<Source> {
    let literal = |text: &str| Source::Literal(text.to_owned());
    let of_position = |position| match position {
        1 => literal("1240"),
        // The first presentment.
        2 => literal("200"),
        3 => Source::Value(Value::ProcessingCode),
        4 => Source::Value(Value::Card),
        5 => Source::Value(Value::ApprovalCode),
        6 => Source::Value(Value::Rrn),
        7 => Source::Value(Value::AcquirerReference),
        8 => Source::Value(Value::Mcc),
        9 => Source::Value(Value::LocalDateTime),
        10 => Source::Value(Value::Terminal),
        11 => Source::Value(Value::NameLocation),
        12 => Source::Value(Value::Amount),
        13 => Source::Value(Value::CurrencyNumeric),
        22 => literal(acquirer_id),
        24 => Source::Value(Value::BusinessDate),
        // No document is sent.
        27 => literal("0"),
        42 => Source::Value(Value::TransactionIdentifier),
        // Acquiring.
        43 => literal("A"),
        _ => literal(""),
    };
    (1..=FIELDS.len()).map(of_position).collect()
}

fn set_field(
    reading: Reading,
    fields: &mut [Source],
    position: &str,
    field: FieldFile,
) -> Result<(), FormatError> {
    let number = position.parse::<usize>().ok().filter(|it| *it > 2);
    let place = number.and_then(|number| fields.get_mut(number.saturating_sub(1)));
    let Some(place) = place else {
        return Err(reading.fault("fields", "positions of 3 to 45", format!("{position:?}")));
    };
    let key = format!("fields.{position}");
    *place = match field {
        FieldFile::Literal(LiteralFile { literal }) => Source::literal(reading, key, literal)?,
        FieldFile::Value(word) => {
            let words = [&Value::WORDS[..], &Value::NPS_WORDS[..]].concat();
            Source::Value(reading.word(key, &word, &words)?)
        }
    };
    Ok(())
}

fn digits(
    reading: Reading,
    key: String,
    got: String,
    lengths: std::ops::RangeInclusive<usize>,
) -> Result<String, FormatError> {
    if lengths.contains(&got.len()) && got.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(got);
    }
    let expected = match lengths.into_inner() {
        (least, most) if least == most => format!("{most} digits"),
        (least, most) => format!("{least} to {most} digits"),
    };
    Err(reading.fault(key, expected, format!("{got:?}")))
}
