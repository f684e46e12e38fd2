//! A table: its columns are as wide as their texts ask, and what is left is shared by those that take the rest.

use super::face::{Face, Faces, Weight};
use super::paper::{BODY_SIZE, CONTENT_WIDTH};

/// Between two columns.
const GAP: i32 = 160;
/// The most lines of a row, so that no page is left half empty. What is longer goes on in a row below.
const MOST_LINES: usize = 12;

/// On which side the texts of a column are in line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Texts.
    Left,
    /// Amounts.
    Right,
}

/// How wide a column is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// As its widest text.
    Text,
    /// As its widest text, but not wider than this. What is longer is broken.
    AtMost(i32),
    /// What the other columns leave, in equal parts.
    Rest,
}

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
pub(super) struct Row<const N: usize> {
    pub(super) weight: Weight,
    pub(super) cells: [Vec<String>; N],
    /// Whether it goes on in the row below.
    pub(super) goes_on: bool,
}

impl<const N: usize> Row<N> {
    /// Lines of its tallest cell, at least one.
    pub(super) fn line_count(&self) -> i32 {
        let tallest = self.cells.iter().map(Vec::len).max().unwrap_or(1);
        i32::try_from(tallest).unwrap_or(i32::MAX).max(1)
    }
}

/// A table of `N` columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table<const N: usize> {
    pub(super) columns: [Column; N],
    pub(super) rows: Vec<Row<N>>,
}

impl<const N: usize> Table<N> {
    /// The table with these columns and rows. A line break in a text begins a new line; characters that the fonts lack are
    /// shown as U+FFFD.
    #[must_use]
    pub fn new(
        columns: [(&'static str, Side, Limit); N],
        rows: Vec<(Weight, [String; N])>,
        faces: &Faces,
    ) -> Self {
        let legible = |(weight, texts): (Weight, [String; N])| {
            let face = faces.of(weight);
            let lines = |text: String| text.split('\n').map(|line| face.legible(line)).collect();
            (weight, texts.map(lines))
        };
        let rows: Vec<(Weight, [Vec<String>; N])> = rows.into_iter().map(legible).collect();
        let columns = widths(columns, &rows, faces);
        let broken = |(weight, texts): &(Weight, [Vec<String>; N])| {
            let face = faces.of(*weight);
            let mut cells = [const { Vec::new() }; N];
            for (cell, (lines, column)) in cells.iter_mut().zip(texts.iter().zip(&columns)) {
                let lines = lines.iter();
                *cell = lines
                    .flat_map(|line| broken(line, column.width, face))
                    .collect();
            }
            parted(*weight, cells)
        };
        Self {
            rows: rows.iter().flat_map(broken).collect(),
            columns,
        }
    }
}

/// A row, or several where it is taller than a row may be.
fn parted<const N: usize>(weight: Weight, mut cells: [Vec<String>; N]) -> Vec<Row<N>> {
    let mut rows = Vec::new();
    loop {
        let rest = cells
            .each_mut()
            .map(|cell| cell.split_off(cell.len().min(MOST_LINES)));
        let goes_on = rest.iter().any(|cell| !cell.is_empty());
        rows.push(Row {
            weight,
            cells,
            goes_on,
        });
        if !goes_on {
            return rows;
        }
        cells = rest;
    }
}

fn widths<const N: usize>(
    columns: [(&'static str, Side, Limit); N],
    rows: &[(Weight, [Vec<String>; N])],
    faces: &Faces,
) -> [Column; N] {
    let mut columns = columns.map(|(title, side, limit)| Column {
        title,
        side,
        limit,
        left: 0,
        width: faces.of(Weight::Bold).width(title, BODY_SIZE),
    });
    for (weight, texts) in rows {
        for (column, lines) in columns.iter_mut().zip(texts) {
            for line in lines {
                let width = faces.of(*weight).width(line, BODY_SIZE);
                column.width = column.width.max(width);
            }
        }
    }
    let mut rest = CONTENT_WIDTH + GAP;
    let mut sharing = 0;
    for column in &mut columns {
        column.width = match column.limit {
            Limit::Text => column.width,
            Limit::AtMost(most) => column.width.min(most),
            Limit::Rest => {
                sharing += 1;
                0
            }
        };
        rest -= column.width + GAP;
    }
    let mut left = 0;
    for column in &mut columns {
        if column.limit == Limit::Rest {
            column.width = rest / sharing;
        }
        column.left = left;
        left += column.width + GAP;
    }
    columns
}

/// The text in lines of at most `width` twips, broken between words where that helps. A line has one
/// character at least. An empty text has no line.
pub(super) fn broken(text: &str, width: i32, face: &Face) -> Vec<String> {
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

    const COLUMNS: [(&str, Side, Limit); 3] = [
        ("Reference", Side::Left, Limit::AtMost(2_000)),
        ("Description", Side::Left, Limit::Rest),
        ("Amount", Side::Right, Limit::Text),
    ];

    fn table(rows: Vec<[String; 3]>) -> Table<3> {
        let rows = rows.into_iter().map(|texts| (Weight::Regular, texts));
        Table::new(COLUMNS, rows.collect(), &Faces::read().unwrap())
    }

    #[test]
    fn columns_fill_the_page_and_texts_have_what_amounts_leave() {
        let amount = "-92233720368547758.07".to_owned();
        let table = table(vec![["W".repeat(64), "x".to_owned(), amount.clone()]]);
        let [reference, description, amounts] = table.columns;
        for (column, next) in [(reference, description), (description, amounts)] {
            assert_eq!(column.left + column.width + GAP, next.left);
        }
        assert_eq!(amounts.left + amounts.width, CONTENT_WIDTH);
        assert_eq!(reference.width, 2_000);
        assert_eq!(table.rows[0].cells[2], [amount]);
        assert_eq!(table.rows[0].cells[0].concat(), "W".repeat(64));
    }

    #[test]
    fn a_tall_row_goes_on_below() {
        let steps: Vec<_> = (0..30).map(|step| format!("step {step}")).collect();
        let table = table(vec![[
            "a".to_owned(),
            steps.join("\n"),
            "1.00\u{7}".to_owned(),
        ]]);
        let heights: Vec<_> = table.rows.iter().map(Row::line_count).collect();
        assert_eq!(heights, [12, 12, 6]);
        let shown = table.rows.iter().flat_map(|row| row.cells[1].clone());
        assert!(shown.eq(steps));
        assert_eq!(table.rows[0].cells[2], ["1.00\u{FFFD}"]);
        let go_on: Vec<_> = table.rows.iter().map(|row| row.goes_on).collect();
        assert_eq!(go_on, [true, true, false]);
        assert_eq!(table.rows[1].cells[0].len(), 0);
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
