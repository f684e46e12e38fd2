//! A statement as PDF. The same statement gives the same bytes.

use super::{LineKind, Statement, StatementLine};
use crate::payment::moment::BusinessDate;
use crate::payment::money::{Currency, Decimal};
use crate::pdf::document::{self, DocumentError};
use crate::pdf::face::{Faces, Weight};
use crate::pdf::pages::{Mark, Pages};
use crate::pdf::table::{Limit, Side, Table};

/// The most lines that a PDF shows: about 300 pages.
pub const MAX_LINES: usize = 10_000;

/// The widest column of references. What is longer is broken.
const MAX_REFERENCE_WIDTH: i32 = 2_800;

const COLUMNS: [(&str, Side, Limit); 8] = [
    ("Date", Side::Left, Limit::Text),
    ("Kind", Side::Left, Limit::Text),
    ("Reference", Side::Left, Limit::AtMost(MAX_REFERENCE_WIDTH)),
    ("Description", Side::Left, Limit::Rest),
    ("Gross", Side::Right, Limit::Text),
    ("Fees", Side::Right, Limit::Text),
    ("Net", Side::Right, Limit::Text),
    ("Balance", Side::Right, Limit::Text),
];

/// Between the block below the title and the table.
const GAP: i32 = 325;

/// Why a statement has no PDF.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PdfError {
    /// More lines than anybody reads on paper. The CSV has them all.
    #[error("expected a statement of at most {MAX_LINES} lines, got {got}")]
    TooManyLines {
        /// How many lines it has.
        got: usize,
    },
    /// The document was not written.
    #[error(transparent)]
    Document(#[from] DocumentError),
}

/// The statement as PDF. Characters that the fonts lack are shown as U+FFFD: the fonts have Latin, Greek
/// and Cyrillic.
///
/// # Errors
/// When it has more than [`MAX_LINES`] lines, or the document can't be written.
pub fn to_pdf(statement: &Statement) -> Result<Vec<u8>, PdfError> {
    let got = statement.lines().len();
    if got > MAX_LINES {
        return Err(PdfError::TooManyLines { got });
    }
    let faces = Faces::read().map_err(DocumentError::from)?;
    let (merchant, period) = (statement.merchant(), statement.period());
    let currency = statement.currency();
    let title = format!("Statement of {}, {period}", merchant.name);
    let id = format!("statement {} {currency} {period}", merchant.id);
    let pages = pages(statement, &faces);
    Ok(document::to_pdf(title, id, &pages, &faces)?)
}

fn pages(statement: &Statement, faces: &Faces) -> Vec<Vec<Mark>> {
    let (merchant, period) = (statement.merchant(), statement.period());
    let (name, id, currency) = (&merchant.name, merchant.id, statement.currency());
    let mut pages = Pages::new(faces);
    pages.title("Statement");
    let whose = format!("{name}, {}, {} ({id})", merchant.city, merchant.country);
    pages.facts(&[
        ("Merchant", whose),
        ("Period", period.to_string()),
        ("Currency", currency.code().to_owned()),
    ]);
    pages.gap(GAP);
    pages.table(&table(statement, faces));
    pages.finish(&format!("{name} ({id}), {period}, {currency}"))
}

/// The opening balance, the lines, the closing balance.
fn table(statement: &Statement, faces: &Faces) -> Table<8> {
    let (period, currency) = (statement.period(), statement.currency());
    let (opening, closing) = (statement.opening_minor(), statement.closing_minor());
    let balance = |date, name, minor| (Weight::Bold, balance_texts(date, name, minor, currency));
    let mut rows = vec![balance(period.first(), "Opening balance", opening)];
    let lines = statement.lines().iter();
    rows.extend(lines.map(|line| (Weight::Regular, line_texts(line, currency))));
    rows.push(balance(period.last(), "Closing balance", closing));
    Table::new(COLUMNS, rows, faces)
}

fn balance_texts(date: BusinessDate, name: &str, minor: i64, currency: Currency) -> [String; 8] {
    let none = String::new;
    [
        date.to_string(),
        none(),
        none(),
        name.to_owned(),
        none(),
        none(),
        none(),
        Decimal::of_minor(minor, currency).to_string(),
    ]
}

fn line_texts(line: &StatementLine, currency: Currency) -> [String; 8] {
    let amount = |minor| Decimal::of_minor(minor, currency).to_string();
    [
        line.date.to_string(),
        kind_text(line.kind),
        line.reference.clone(),
        line.description.clone(),
        amount(line.gross_minor),
        amount(line.fees_minor),
        amount(line.net_minor),
        amount(line.balance_minor),
    ]
}

/// `RESERVE_RELEASE` reads `Reserve release`.
fn kind_text(kind: LineKind) -> String {
    let mut text = kind.name().to_ascii_lowercase().replace('_', " ");
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples::{line, statement};
    use super::*;

    fn lines(count: usize) -> Vec<StatementLine> {
        vec![line(LineKind::Capture, 10_000, 145); count]
    }

    /// The texts of a page with their right edges.
    fn texts<'a>(page: &'a [Mark], faces: &Faces) -> Vec<(&'a str, i32)> {
        let text = |mark: &'a Mark| match mark {
            Mark::Text {
                x,
                size,
                weight,
                text,
                ..
            } => Some((text.as_str(), *x + faces.of(*weight).width(text, *size))),
            Mark::Bar { .. } => None,
        };
        page.iter().filter_map(text).collect()
    }

    #[test]
    fn the_first_page_has_whose_it_is_and_the_ends_have_the_balances() {
        let faces = Faces::read().unwrap();
        let pages = pages(&statement("EUR", 1_250, lines(100)), &faces);
        assert_eq!(pages.len(), 3);
        for (page, number) in pages.iter().zip(1..) {
            let texts = texts(page, &faces);
            let has = |wanted: &str| texts.iter().any(|(text, _)| *text == wanted);
            assert!(has("Demo Shop (demo-shop), 2026-11-01 to 2026-11-30, EUR"));
            assert_eq!(has("Statement"), number == 1);
            assert_eq!(has("Demo Shop, Madrid, ES (demo-shop)"), number == 1);
            assert_eq!(has("Opening balance") && has("12.50"), number == 1);
            assert_eq!(has("Closing balance"), number == 3);
        }
        let captures = pages.iter().flat_map(|page| texts(page, &faces));
        assert_eq!(captures.filter(|(text, _)| *text == "98.55").count(), 100);
    }

    #[test]
    fn amounts_end_where_their_title_ends() {
        let faces = Faces::read().unwrap();
        let lines = vec![
            line(LineKind::ReserveRelease, 123_456_789, 145),
            line(LineKind::Refund, -5, 0),
        ];
        let pages = pages(&statement("EUR", 0, lines), &faces);
        let texts = texts(&pages[0], &faces);
        let edge = |wanted: &str| texts.iter().find(|text| text.0 == wanted).unwrap().1;
        assert_eq!(edge("1234567.89"), edge("Gross"));
        assert_eq!(edge("-0.05"), edge("Gross"));
        assert_eq!(edge("1.45"), edge("Fees"));
        assert_eq!(edge("1234566.44"), edge("Net"));
        assert_eq!(edge("1234566.39"), edge("Balance"));
        assert!(texts.iter().any(|(text, _)| *text == "Reserve release"));
    }

    #[test]
    fn a_statement_has_one_pdf() {
        let made = to_pdf(&statement("EUR", 1_250, lines(100))).unwrap();
        assert_eq!(made, to_pdf(&statement("EUR", 1_250, lines(100))).unwrap());
        assert_ne!(made, to_pdf(&statement("EUR", 1_251, lines(100))).unwrap());
        assert!(made.starts_with(b"%PDF-1.7"));
    }

    #[test]
    fn a_statement_that_nobody_reads_on_paper_has_no_pdf() {
        let many = statement("EUR", 0, lines(MAX_LINES + 1));
        let got = MAX_LINES + 1;
        assert_eq!(to_pdf(&many), Err(PdfError::TooManyLines { got }));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn any_text_and_amount_is_drawn(
            description in "\\PC{0,200}",
            reference in "\\PC{0,64}",
            gross in any::<i64>(),
        ) {
            let mut odd = line(LineKind::Correction, gross, 0);
            odd.description = description;
            odd.reference = reference;
            prop_assert!(to_pdf(&statement("EUR", 0, vec![odd])).is_ok());
        }
    }
}
