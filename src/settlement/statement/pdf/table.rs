//! The table of a statement: its columns are as wide as their texts ask, and the description takes the rest.

use super::face::{Face, Faces, Weight};
use super::paper::{BODY_SIZE, CONTENT_WIDTH};
use crate::payment::moment::BusinessDate;
use crate::payment::money::Currency;
use crate::payment::money::Decimal;
use crate::settlement::statement::{LineKind, Statement, StatementLine};

/// Between two columns.
const GAP: i32 = 160;
/// The widest column of references. What is longer is broken.
const MAX_REFERENCE_WIDTH: i32 = 2_800;

/// On which side the texts of a column are in line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Texts.
    Left,
    /// Amounts.
    Right,
}

/// How wide a column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Limit {
    /// As its widest text.
    Text,
    /// As its widest text, but not wider than this.
    AtMost(i32),
    /// What the other columns leave.
    Rest,
}

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

/// A column, in twips from the left edge of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Column {
    pub(super) title: &'static str,
    pub(super) side: Side,
    limit: Limit,
    pub(super) left: i32,
    pub(super) width: i32,
}

/// A row: for each column its text, broken into lines that fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) weight: Weight,
    pub(super) cells: [Vec<String>; 8],
}

impl Row {
    /// Lines of its tallest cell, at least one.
    pub(super) fn line_count(&self) -> i32 {
        let tallest = self.cells.iter().map(Vec::len).max().unwrap_or(1);
        i32::try_from(tallest).unwrap_or(i32::MAX).max(1)
    }
}

/// The table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    pub(super) columns: [Column; 8],
    pub(super) rows: Vec<Row>,
}

/// The texts of a row before they are broken into lines.
type Texts = (Weight, [String; 8]);

impl Table {
    /// The opening balance, the lines, the closing balance.
    pub(super) fn of(statement: &Statement, faces: &Faces) -> Self {
        let (period, currency) = (statement.period(), statement.currency());
        let (opening, closing) = (statement.opening_minor(), statement.closing_minor());
        let mut texts = vec![balance_texts(
            period.first(),
            "Opening balance",
            opening,
            currency,
        )];
        let lines = statement.lines().iter();
        texts.extend(lines.map(|line| line_texts(line, currency, faces)));
        texts.push(balance_texts(
            period.last(),
            "Closing balance",
            closing,
            currency,
        ));
        let columns = columns(&texts, faces);
        let broken = |(weight, texts): Texts| row(weight, &texts, &columns, faces);
        Self {
            rows: texts.into_iter().map(broken).collect(),
            columns,
        }
    }
}

fn balance_texts(date: BusinessDate, name: &str, minor: i64, currency: Currency) -> Texts {
    let none = String::new;
    let texts = [
        date.to_string(),
        none(),
        none(),
        name.to_owned(),
        none(),
        none(),
        none(),
        Decimal::of_minor(minor, currency).to_string(),
    ];
    (Weight::Bold, texts)
}

fn line_texts(line: &StatementLine, currency: Currency, faces: &Faces) -> Texts {
    let face = faces.of(Weight::Regular);
    let texts = [
        line.date.to_string(),
        kind_text(line.kind),
        face.legible(&line.reference),
        face.legible(&line.description),
        Decimal::of_minor(line.gross_minor, currency).to_string(),
        Decimal::of_minor(line.fees_minor, currency).to_string(),
        Decimal::of_minor(line.net_minor, currency).to_string(),
        Decimal::of_minor(line.balance_minor, currency).to_string(),
    ];
    (Weight::Regular, texts)
}

/// `RESERVE_RELEASE` reads `Reserve release`.
fn kind_text(kind: LineKind) -> String {
    let mut text = kind.name().to_ascii_lowercase().replace('_', " ");
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}

fn columns(rows: &[Texts], faces: &Faces) -> [Column; 8] {
    let mut columns = COLUMNS.map(|(title, side, limit)| Column {
        title,
        side,
        limit,
        left: 0,
        width: faces.of(Weight::Bold).width(title, BODY_SIZE),
    });
    for (weight, texts) in rows {
        for (column, text) in columns.iter_mut().zip(texts) {
            let width = faces.of(*weight).width(text, BODY_SIZE);
            column.width = column.width.max(width);
        }
    }
    let mut rest = CONTENT_WIDTH - GAP * 7;
    for column in &mut columns {
        column.width = match column.limit {
            Limit::Text => column.width,
            Limit::AtMost(most) => column.width.min(most),
            Limit::Rest => 0,
        };
        rest -= column.width;
    }
    let mut left = 0;
    for column in &mut columns {
        if column.limit == Limit::Rest {
            column.width = rest;
        }
        column.left = left;
        left += column.width + GAP;
    }
    columns
}

fn row(weight: Weight, texts: &[String; 8], columns: &[Column; 8], faces: &Faces) -> Row {
    let face = faces.of(weight);
    let mut cells = [const { Vec::new() }; 8];
    for (cell, (text, column)) in cells.iter_mut().zip(texts.iter().zip(columns)) {
        *cell = broken(text, column.width, face);
    }
    Row { weight, cells }
}

/// The text in lines of at most `width` twips, broken between words where that helps. A line has one
/// character at least. An empty text has no line.
fn broken(text: &str, width: i32, face: &Face) -> Vec<String> {
    let fits = |text: &str| face.width(text, BODY_SIZE) <= width;
    if fits(text) && !text.is_empty() {
        return vec![text.to_owned()];
    }
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() {
            let longer = format!("{line} {word}");
            if fits(&longer) {
                line = longer;
                continue;
            }
            lines.push(std::mem::take(&mut line));
        }
        for char in word.chars() {
            line.push(char);
            if !fits(&line) && line.chars().count() > 1 {
                line.pop();
                lines.push(std::mem::replace(&mut line, char.to_string()));
            }
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::settlement::statement::samples::{line, statement};

    #[test]
    fn the_largest_amounts_leave_room_for_texts_within_the_page() {
        let faces = Faces::read().unwrap();
        let mut lines = vec![
            line(LineKind::Correction, -i64::MAX, 0),
            line(LineKind::Correction, i64::MAX, 0),
            line(LineKind::ReserveRelease, 0, i64::MAX),
        ];
        lines[0].reference = "W".repeat(64);
        let table = Table::of(&statement("EUR", 0, lines), &faces);
        for (column, next) in table.columns.iter().zip(&table.columns[1..]) {
            assert_eq!(column.left + column.width + GAP, next.left);
        }
        let last = table.columns[7];
        assert_eq!(last.left + last.width, CONTENT_WIDTH);
        assert_eq!(table.columns[2].width, MAX_REFERENCE_WIDTH);
        assert!(table.columns[3].width > 15 * BODY_SIZE);
        assert_eq!(table.rows[1].cells[6], ["-92233720368547758.07"]);
        assert_eq!(table.rows[3].cells[1], ["Reserve release"]);
    }

    proptest! {
        #[test]
        fn a_broken_text_fits_and_loses_nothing(text in "[a-zA-Z0-9 W]{0,200}", width in 100..3_000) {
            let faces = Faces::read().unwrap();
            let face = faces.of(Weight::Regular);
            let lines = broken(&text, width, face);
            for line in &lines {
                let fits = face.width(line, BODY_SIZE) <= width;
                prop_assert!(fits || line.chars().count() == 1);
                prop_assert!(lines.len() == 1 || line.trim() == line);
            }
            let without_spaces = |text: &str| text.replace(' ', "");
            prop_assert_eq!(without_spaces(&lines.concat()), without_spaces(&text));
        }
    }
}
