//! What stands where on the pages of a statement: x counts from the left edge of the page, y from its top.

use super::face::{Faces, Weight};
use super::paper::{BODY_SIZE, CONTENT_WIDTH, MARGIN, PAGE_HEIGHT, PAGE_WIDTH};
use super::table::{Column, Row, Side, Table};
use crate::settlement::statement::Statement;

const TITLE_SIZE: i32 = 360;
const HEADING_SIZE: i32 = 180;

const LINE_HEIGHT: i32 = 190;
/// Above and below the text of a row.
const ROW_PADDING: i32 = 40;
/// From the top of a line of the table to its baseline.
const ASCENT: i32 = 140;
/// A line of the block below the title.
const HEADING_HEIGHT: i32 = 250;
/// From the left margin to the values of that block.
const HEADING_INDENT: i32 = 1_300;
const HAIRLINE: i32 = 10;
const HEADER_LIGHTNESS: u8 = 230;
const RULE_LIGHTNESS: u8 = 200;

/// The top of the table on the first page, below the title.
const FIRST_TOP: i32 = MARGIN + TITLE_SIZE + 4 * HEADING_HEIGHT + 200;
/// The lowest that a row may reach: the page number stands below.
const BOTTOM: i32 = PAGE_HEIGHT - MARGIN - 300;

/// Something on a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mark {
    /// A line of text.
    Text {
        x: i32,
        baseline: i32,
        size: i32,
        weight: Weight,
        text: String,
    },
    /// A filled rectangle, from 0 (black) to 255 (white).
    Bar {
        x: i32,
        y: i32,
        width: i32,
        height: i32,
        lightness: u8,
    },
}

/// The pages of the statement, at least one.
pub(super) fn pages(statement: &Statement, faces: &Faces) -> Vec<Vec<Mark>> {
    let table = Table::of(statement, faces);
    let rows_of_pages = split(&table.rows);
    let count = rows_of_pages.len();
    let mut pages = Vec::with_capacity(count);
    for (rows, number) in rows_of_pages.into_iter().zip(1..) {
        let mut page = Page {
            faces,
            marks: Vec::new(),
        };
        if number == 1 {
            page.title(statement);
        }
        page.rows(&table.columns, rows, top(number));
        page.footer(statement, number, count);
        pages.push(page.marks);
    }
    pages
}

const fn top(page_number: usize) -> i32 {
    if page_number == 1 { FIRST_TOP } else { MARGIN }
}

fn row_height(line_count: i32) -> i32 {
    line_count * LINE_HEIGHT + 2 * ROW_PADDING
}

/// The rows of each page. Each has a header and at least one row.
fn split(mut rows: &[Row]) -> Vec<&[Row]> {
    let mut pages = Vec::new();
    while !rows.is_empty() {
        let mut bottom = top(pages.len() + 1) + row_height(1);
        let fits = |row: &&Row| {
            bottom += row_height(row.line_count());
            bottom <= BOTTOM
        };
        let count = rows.iter().take_while(fits).count().max(1);
        let (page, rest) = rows.split_at(count);
        pages.push(page);
        rows = rest;
    }
    pages
}

struct Page<'a> {
    faces: &'a Faces,
    marks: Vec<Mark>,
}

impl Page<'_> {
    fn title(&mut self, statement: &Statement) {
        let mut baseline = MARGIN + TITLE_SIZE;
        self.text(MARGIN, baseline, TITLE_SIZE, Weight::Bold, "Statement");
        baseline += HEADING_HEIGHT / 2;
        let merchant = statement.merchant();
        let (name, id) = (&merchant.name, merchant.id);
        let whose = format!("{name}, {}, {} ({id})", merchant.city, merchant.country);
        let period = statement.period().to_string();
        for (name, value) in [
            ("Merchant", whose.as_str()),
            ("Period", &period),
            ("Currency", statement.currency().code()),
        ] {
            baseline += HEADING_HEIGHT;
            self.text(MARGIN, baseline, HEADING_SIZE, Weight::Bold, name);
            let x = MARGIN + HEADING_INDENT;
            self.text(x, baseline, HEADING_SIZE, Weight::Regular, value);
        }
    }

    fn rows(&mut self, columns: &[Column; 8], rows: &[Row], top: i32) {
        let height = row_height(1);
        self.bar(top, height, HEADER_LIGHTNESS);
        for column in columns {
            let baseline = top + ROW_PADDING + ASCENT;
            self.cell(column, baseline, Weight::Bold, column.title);
        }
        let mut y = top + height;
        for row in rows {
            for (column, cell) in columns.iter().zip(&row.cells) {
                let mut baseline = y + ROW_PADDING + ASCENT;
                for line in cell {
                    self.cell(column, baseline, row.weight, line);
                    baseline += LINE_HEIGHT;
                }
            }
            y += row_height(row.line_count());
            self.bar(y, HAIRLINE, RULE_LIGHTNESS);
        }
    }

    fn footer(&mut self, statement: &Statement, number: usize, count: usize) {
        let (merchant, period) = (statement.merchant(), statement.period());
        let (name, id, currency) = (&merchant.name, merchant.id, statement.currency());
        let baseline = PAGE_HEIGHT - MARGIN;
        let whose = format!("{name} ({id}), {period}, {currency}");
        self.text(MARGIN, baseline, BODY_SIZE, Weight::Regular, &whose);
        let page = format!("page {number} of {count}");
        let width = self.faces.of(Weight::Regular).width(&page, BODY_SIZE);
        let x = PAGE_WIDTH - MARGIN - width;
        self.text(x, baseline, BODY_SIZE, Weight::Regular, &page);
    }

    fn cell(&mut self, column: &Column, baseline: i32, weight: Weight, text: &str) {
        let left = MARGIN + column.left;
        let x = match column.side {
            Side::Left => left,
            Side::Right => left + column.width - self.faces.of(weight).width(text, BODY_SIZE),
        };
        self.text(x, baseline, BODY_SIZE, weight, text);
    }

    fn text(&mut self, x: i32, baseline: i32, size: i32, weight: Weight, text: &str) {
        self.marks.push(Mark::Text {
            x,
            baseline,
            size,
            weight,
            text: self.faces.of(weight).legible(text),
        });
    }

    fn bar(&mut self, y: i32, height: i32, lightness: u8) {
        self.marks.push(Mark::Bar {
            x: MARGIN,
            y,
            width: CONTENT_WIDTH,
            height,
            lightness,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settlement::statement::LineKind;
    use crate::settlement::statement::samples::{line, statement};

    /// The texts of a page with their left and right edges, from top to bottom.
    fn texts<'a>(page: &'a [Mark], faces: &Faces) -> Vec<(&'a str, i32, i32, i32)> {
        let text = |mark: &'a Mark| match mark {
            Mark::Text {
                x,
                baseline,
                size,
                weight,
                text,
            } => {
                let width = faces.of(*weight).width(text, *size);
                Some((text.as_str(), *x, *x + width, *baseline))
            }
            Mark::Bar { .. } => None,
        };
        page.iter().filter_map(text).collect()
    }

    #[test]
    fn each_page_has_the_header_and_its_number_and_the_ends_have_the_balances() {
        let faces = Faces::read().unwrap();
        let lines = vec![line(LineKind::Capture, 10_000, 145); 100];
        let pages = pages(&statement("EUR", 1_250, lines), &faces);
        assert_eq!(pages.len(), 3);
        for (page, number) in pages.iter().zip(1..) {
            let texts = texts(page, &faces);
            let has = |wanted: &str| texts.iter().any(|(text, ..)| *text == wanted);
            assert!(has(&format!("page {number} of 3")));
            assert!(has("Demo Shop (demo-shop), 2026-11-01 to 2026-11-30, EUR"));
            assert!(has("Balance") && has("Description"));
            assert_eq!(has("Statement"), number == 1);
            assert_eq!(has("Demo Shop, Madrid, ES (demo-shop)"), number == 1);
            assert_eq!(has("Opening balance") && has("12.50"), number == 1);
            assert_eq!(has("Closing balance"), number == 3);
            for (text, left, right, baseline) in texts {
                assert!(left >= MARGIN && right <= PAGE_WIDTH - MARGIN, "{text}");
                assert!(baseline <= PAGE_HEIGHT - MARGIN, "{text}");
            }
        }
        let captures = pages.iter().flat_map(|page| texts(page, &faces));
        assert_eq!(captures.filter(|(text, ..)| *text == "98.55").count(), 100);
    }

    #[test]
    fn amounts_end_where_their_title_ends() {
        let faces = Faces::read().unwrap();
        let lines = vec![
            line(LineKind::Capture, 123_456_789, 145),
            line(LineKind::Refund, -5, 0),
        ];
        let pages = pages(&statement("EUR", 0, lines), &faces);
        let texts = texts(&pages[0], &faces);
        let edge = |wanted: &str| texts.iter().find(|text| text.0 == wanted).unwrap().2;
        assert_eq!(edge("1234567.89"), edge("Gross"));
        assert_eq!(edge("-0.05"), edge("Gross"));
        assert_eq!(edge("1.45"), edge("Fees"));
        assert_eq!(edge("1234566.44"), edge("Net"));
        assert_eq!(edge("1234566.39"), edge("Balance"));
        assert_eq!(edge("Balance"), PAGE_WIDTH - MARGIN);
    }

    #[test]
    fn rows_of_several_lines_stay_above_the_page_number() {
        let faces = Faces::read().unwrap();
        let mut tall = line(LineKind::Correction, i64::MAX / 4, 0);
        tall.description = "W".repeat(200);
        let back = line(LineKind::Correction, -(i64::MAX / 4), 0);
        let lines = vec![vec![tall, back]; 40].concat();
        for page in pages(&statement("EUR", 0, lines), &faces) {
            for mark in page {
                if let Mark::Bar { y, height, .. } = mark {
                    assert!(y + height <= BOTTOM + HAIRLINE);
                }
            }
        }
    }
}
