//! A statement as CSV (RFC 4180), in UTF-8 without a byte order mark.
//!
//! A header, the opening balance with the merchant's id and name, the lines, the closing balance. Amounts are decimals in major units with a
//! point. The rows of the two balances have no other amount.

use super::{Statement, StatementLine};
use crate::payment::moment::BusinessDate;
use crate::payment::money::Decimal;

/// The names of the columns.
pub const HEADER: [&str; 9] = [
    "date",
    "kind",
    "reference",
    "description",
    "currency",
    "gross",
    "fees",
    "net",
    "balance",
];
/// The kind of the first row: the balance before the first line.
pub const OPENING_BALANCE: &str = "OPENING_BALANCE";
/// The kind of the last row: the balance after the last line.
pub const CLOSING_BALANCE: &str = "CLOSING_BALANCE";

/// The statement as CSV. The same statement gives the same bytes.
#[must_use]
pub fn to_csv(statement: &Statement) -> Vec<u8> {
    let (period, opening) = (statement.period(), statement.opening_minor());
    let mut csv = String::new();
    push_row(&mut csv, &HEADER.map(str::to_owned));
    let merchant = statement.merchant();
    let whose = [merchant.id.to_string(), without_formula(&merchant.name)];
    push_row(
        &mut csv,
        &balance_row(statement, OPENING_BALANCE, period.first(), whose, opening),
    );
    for line in statement.lines() {
        push_row(&mut csv, &line_row(statement, line));
    }
    let closing = statement.closing_minor();
    push_row(
        &mut csv,
        &balance_row(
            statement,
            CLOSING_BALANCE,
            period.last(),
            Default::default(),
            closing,
        ),
    );
    csv.into_bytes()
}

fn line_row(statement: &Statement, line: &StatementLine) -> [String; 9] {
    let currency = statement.currency();
    [
        line.date.to_string(),
        line.kind.name().to_owned(),
        without_formula(&line.reference),
        without_formula(&line.description),
        currency.to_string(),
        Decimal::of_minor(line.gross_minor, currency).to_string(),
        Decimal::of_minor(line.fees_minor, currency).to_string(),
        Decimal::of_minor(line.net_minor, currency).to_string(),
        Decimal::of_minor(line.balance_minor, currency).to_string(),
    ]
}

fn balance_row(
    statement: &Statement,
    kind: &str,
    date: BusinessDate,
    [reference, description]: [String; 2],
    balance_minor: i64,
) -> [String; 9] {
    let currency = statement.currency();
    let none = String::new;
    [
        date.to_string(),
        kind.to_owned(),
        reference,
        description,
        currency.to_string(),
        none(),
        none(),
        none(),
        Decimal::of_minor(balance_minor, currency).to_string(),
    ]
}

/// A spreadsheet runs a text that begins like a formula, and a description may come from outside. An
/// apostrophe in front makes it a text. Some programs skip spaces first or take the wide forms too.
fn without_formula(text: &str) -> String {
    let begins = ['=', '+', '-', '@', '＝', '＋', '－', '＠'];
    if text.trim_start().starts_with(begins) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

fn push_row(csv: &mut String, fields: &[String; 9]) {
    for (field, between) in fields
        .iter()
        .zip(["", ",", ",", ",", ",", ",", ",", ",", ","])
    {
        csv.push_str(between);
        if field.contains(['"', ',', '\r', '\n']) {
            csv.push('"');
            csv.push_str(&field.replace('"', "\"\""));
            csv.push('"');
        } else {
            csv.push_str(field);
        }
    }
    csv.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples::{line, statement};
    use super::super::{LineKind, MAX_DESCRIPTION_LENGTH};
    use super::*;

    #[test]
    fn a_statement_is_a_header_two_balances_and_the_lines_between() {
        let lines = vec![
            line(LineKind::Capture, 10_000, 145),
            line(LineKind::Refund, -2_500, 0),
            line(LineKind::Payout, -20_000, 0),
        ];
        let csv = String::from_utf8(to_csv(&statement("EUR", 1_250, lines))).unwrap();
        let rows = [
            "date,kind,reference,description,currency,gross,fees,net,balance",
            "2026-11-01,OPENING_BALANCE,demo-shop,Demo Shop,EUR,,,,12.50",
            "2026-11-15,CAPTURE,order-1,Two books,EUR,100.00,1.45,98.55,111.05",
            "2026-11-15,REFUND,order-1,Two books,EUR,-25.00,0.00,-25.00,86.05",
            "2026-11-15,PAYOUT,order-1,Two books,EUR,-200.00,0.00,-200.00,-113.95",
            "2026-11-30,CLOSING_BALANCE,,,EUR,,,,-113.95",
            "",
        ];
        assert_eq!(csv, rows.join("\r\n"));
    }

    #[test]
    fn a_text_that_a_spreadsheet_would_run_gets_an_apostrophe() {
        for (text, written) in [
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("  =1", "'  =1"),
            ("＝1", "'＝1"),
            ("a=1", "a=1"),
            ("=\"x\",1", "\"'=\"\"x\"\",1\""),
            ("", ""),
        ] {
            let mut lines = vec![line(LineKind::Fee, 0, 1)];
            lines[0].description = text.to_owned();
            lines[0].reference = text.to_owned();
            let csv = String::from_utf8(to_csv(&statement("EUR", 0, lines))).unwrap();
            let row = csv.split("\r\n").nth(2).unwrap();
            let expected = format!("2026-11-15,FEE,{written},{written},EUR,0.00,0.01,-0.01,-0.01");
            assert_eq!(row, expected);
        }
    }

    /// The rows of a CSV, read as RFC 4180 says.
    fn rows_of(csv: &str) -> Vec<Vec<String>> {
        let (mut rows, mut row, mut field) = (Vec::new(), Vec::new(), String::new());
        let mut is_quoted = false;
        let mut chars = csv.chars().peekable();
        while let Some(char) = chars.next() {
            match char {
                '"' if is_quoted && chars.next_if_eq(&'"').is_some() => field.push('"'),
                '"' => is_quoted = !is_quoted,
                ',' if !is_quoted => row.push(std::mem::take(&mut field)),
                '\r' if !is_quoted => {
                    assert_eq!(chars.next(), Some('\n'));
                    row.push(std::mem::take(&mut field));
                    rows.push(std::mem::take(&mut row));
                }
                char => field.push(char),
            }
        }
        assert!(!is_quoted && field.is_empty() && row.is_empty());
        rows
    }

    proptest! {
        #[test]
        fn texts_read_back(texts in prop::collection::vec("\\PC{0,64}", 1..5)) {
            let lines = texts.iter().map(|text| {
                assert!(text.chars().count() <= MAX_DESCRIPTION_LENGTH);
                let mut line = line(LineKind::Correction, 5, 0);
                line.description.clone_from(text);
                line
            });
            let csv = to_csv(&statement("EUR", 0, lines.collect()));
            let rows = rows_of(str::from_utf8(&csv).unwrap());
            prop_assert_eq!(rows.len(), texts.len() + 3);
            for (row, text) in rows[2..].iter().zip(&texts) {
                prop_assert_eq!(row.len(), HEADER.len());
                let read = row[3].strip_prefix('\'').unwrap_or(&row[3]);
                prop_assert_eq!(read, text.strip_prefix('\'').unwrap_or(text));
                prop_assert!(!row[3].trim_start().starts_with(['=', '+', '-', '@']));
            }
        }
    }
}
