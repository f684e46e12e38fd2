//! What stands where on pages that are filled from the top down: x counts from the left edge of the page, y from its top.

use super::face::{Faces, Weight};
use super::paper::{
    ASCENT, BODY_SIZE, BOTTOM, CONTENT_WIDTH, LINE_HEIGHT, MARGIN, PAGE_HEIGHT, PAGE_WIDTH,
};
use super::table::{Column, Row, Side, Table, broken};

const TITLE_SIZE: i32 = 360;
const HEADING_SIZE: i32 = 220;
const FACT_SIZE: i32 = 180;
/// A line of the block below the title.
const FACT_HEIGHT: i32 = 250;
/// From the left margin to the values of that block, at least.
const FACT_INDENT: i32 = 1_300;
/// Above a heading, and below one.
const HEADING_GAP: i32 = 300;
/// Above and below the text of a row.
const ROW_PADDING: i32 = 40;
const HAIRLINE: i32 = 10;
const HEADER_INK: Ink = Ink::Gray(230);
const RULE_INK: Ink = Ink::Gray(200);

/// The color of a bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// From 0 (black) to 255 (white).
    Gray(u8),
    /// Red, green and blue.
    Color([u8; 3]),
}

/// Something on a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// A line of text.
    Text {
        /// Where it begins.
        x: i32,
        /// The line that its letters stand on.
        baseline: i32,
        /// The size of the font.
        size: i32,
        /// The font.
        weight: Weight,
        /// The text.
        text: String,
    },
    /// A filled rectangle.
    Bar {
        /// Its left edge.
        x: i32,
        /// Its upper edge.
        y: i32,
        /// How wide it is.
        width: i32,
        /// How high it is.
        height: i32,
        /// Its color.
        ink: Ink,
    },
}

/// Pages that are being filled.
pub struct Pages<'f> {
    faces: &'f Faces,
    full: Vec<Vec<Mark>>,
    page: Vec<Mark>,
    y: i32,
}

impl<'f> Pages<'f> {
    /// An empty page.
    #[must_use]
    pub fn new(faces: &'f Faces) -> Self {
        Self {
            faces,
            full: Vec::new(),
            page: Vec::new(),
            y: MARGIN,
        }
    }

    /// Where the next thing goes.
    #[must_use]
    pub fn y(&self) -> i32 {
        self.y
    }

    /// Leaves so much room.
    pub fn gap(&mut self, height: i32) {
        self.y += height;
    }

    /// Begins a new page where this one has not so much room left.
    pub fn room(&mut self, height: i32) {
        if self.y + height > BOTTOM && !self.page.is_empty() {
            self.full.push(std::mem::take(&mut self.page));
            self.y = MARGIN;
        }
    }

    /// The title of the document.
    pub fn title(&mut self, text: &str) {
        self.y += TITLE_SIZE;
        self.text(MARGIN, self.y, TITLE_SIZE, Weight::Bold, text);
        self.y += FACT_HEIGHT / 2;
    }

    /// Names and their values, a line for each.
    pub fn facts(&mut self, facts: &[(&str, String)]) {
        let bold = self.faces.of(Weight::Bold);
        let widths = facts.iter().map(|(name, _)| bold.width(name, FACT_SIZE));
        let indent = FACT_INDENT.max(widths.max().unwrap_or(0) + FACT_SIZE);
        for (name, value) in facts {
            self.y += FACT_HEIGHT;
            self.text(MARGIN, self.y, FACT_SIZE, Weight::Bold, name);
            let x = MARGIN + indent;
            // The size of tables is the smaller one: what fits in it by this width fits.
            let width = (CONTENT_WIDTH - indent) * BODY_SIZE / FACT_SIZE;
            let face = self.faces.of(Weight::Regular);
            for (index, line) in broken(value, width, face).iter().enumerate() {
                if index > 0 {
                    self.y += FACT_HEIGHT;
                }
                self.text(x, self.y, FACT_SIZE, Weight::Regular, line);
            }
        }
    }

    /// A heading, with room for some of what follows it.
    pub fn heading(&mut self, text: &str) {
        self.room(4 * HEADING_GAP);
        self.y += HEADING_GAP + HEADING_SIZE;
        self.text(MARGIN, self.y, HEADING_SIZE, Weight::Bold, text);
        self.y += HEADING_GAP / 2;
    }

    /// A table. Each page of it has the titles of its columns, and at least one row.
    pub fn table<const N: usize>(&mut self, table: &Table<N>) {
        let header = row_height(1);
        let mut has_header = false;
        for row in &table.rows {
            let height = row_height(row.line_count());
            let before = self.full.len();
            self.room(if has_header { height } else { header + height });
            if !has_header || self.full.len() > before {
                self.titles(&table.columns);
                has_header = true;
            }
            self.row(&table.columns, row);
        }
    }

    fn titles<const N: usize>(&mut self, columns: &[Column; N]) {
        let height = row_height(1);
        self.bar(MARGIN, self.y, CONTENT_WIDTH, height, HEADER_INK);
        for column in columns {
            let baseline = self.y + ROW_PADDING + ASCENT;
            self.cell(column, baseline, Weight::Bold, column.title);
        }
        self.y += height;
    }

    fn row<const N: usize>(&mut self, columns: &[Column; N], row: &Row<N>) {
        for (column, cell) in columns.iter().zip(&row.cells) {
            let mut baseline = self.y + ROW_PADDING + ASCENT;
            for line in cell {
                self.cell(column, baseline, row.weight, line);
                baseline += LINE_HEIGHT;
            }
        }
        self.y += row_height(row.line_count());
        if !row.goes_on {
            self.bar(MARGIN, self.y, CONTENT_WIDTH, HAIRLINE, RULE_INK);
        }
    }

    fn cell(&mut self, column: &Column, baseline: i32, weight: Weight, text: &str) {
        let left = MARGIN + column.left;
        let x = match column.side {
            Side::Left => left,
            Side::Right => left + column.width - self.faces.of(weight).width(text, BODY_SIZE),
        };
        self.text(x, baseline, BODY_SIZE, weight, text);
    }

    /// A line of text on this page.
    pub fn text(&mut self, x: i32, baseline: i32, size: i32, weight: Weight, text: &str) {
        self.page.push(Mark::Text {
            x,
            baseline,
            size,
            weight,
            text: self.faces.of(weight).legible(text),
        });
    }

    /// A filled rectangle on this page.
    pub fn bar(&mut self, x: i32, y: i32, width: i32, height: i32, ink: Ink) {
        self.page.push(Mark::Bar {
            x,
            y,
            width,
            height,
            ink,
        });
    }

    /// The pages, each with this text and its number at its foot.
    #[must_use]
    pub fn finish(mut self, foot: &str) -> Vec<Vec<Mark>> {
        self.full.push(std::mem::take(&mut self.page));
        let count = self.full.len();
        let baseline = PAGE_HEIGHT - MARGIN;
        let mut pages = Vec::with_capacity(count);
        for (page, number) in std::mem::take(&mut self.full).into_iter().zip(1..) {
            self.page = page;
            self.text(MARGIN, baseline, BODY_SIZE, Weight::Regular, foot);
            let page = format!("page {number} of {count}");
            let width = self.faces.of(Weight::Regular).width(&page, BODY_SIZE);
            let x = PAGE_WIDTH - MARGIN - width;
            self.text(x, baseline, BODY_SIZE, Weight::Regular, &page);
            pages.push(std::mem::take(&mut self.page));
        }
        pages
    }
}

fn row_height(line_count: i32) -> i32 {
    line_count * LINE_HEIGHT + 2 * ROW_PADDING
}

#[cfg(test)]
mod tests {
    use super::super::table::Limit;
    use super::*;

    fn table(texts: Vec<String>, faces: &Faces) -> Table<2> {
        let columns = [
            ("What", Side::Left, Limit::Rest),
            ("Amount", Side::Right, Limit::Text),
        ];
        let row = |text| (Weight::Regular, [text, "12.50".to_owned()]);
        Table::new(columns, texts.into_iter().map(row).collect(), faces)
    }

    fn texts(page: &[Mark]) -> Vec<&str> {
        let texts = page.iter().filter_map(|mark| match mark {
            Mark::Text { text, .. } => Some(text.as_str()),
            Mark::Bar { .. } => None,
        });
        texts.collect()
    }

    #[test]
    fn each_page_of_a_table_has_its_titles_and_its_number_and_rows_stay_above_it() {
        let faces = Faces::read().unwrap();
        let rows: Vec<_> = (0..27).map(|n| "word ".repeat((n % 9 + 1) * 100)).collect();
        let mut pages = Pages::new(&faces);
        pages.title("A title");
        pages.gap(5_000);
        pages.table(&table(rows, &faces));
        let pages = pages.finish("the foot");
        assert!(pages.len() > 2);
        for (page, number) in pages.iter().zip(1..) {
            let texts = texts(page);
            for wanted in ["What", "Amount", "the foot", "12.50"] {
                assert!(texts.contains(&wanted), "{wanted} on {number}");
            }
            assert!(texts.contains(&&*format!("page {number} of {}", pages.len())));
            assert_eq!(texts.contains(&"A title"), number == 1);
            for mark in page {
                if let Mark::Bar { y, height, .. } = mark {
                    assert!(y + height <= BOTTOM + HAIRLINE);
                }
            }
        }
        let rows = pages.iter().flat_map(|page| texts(page));
        assert_eq!(rows.filter(|text| *text == "12.50").count(), 27);
    }

    #[test]
    fn a_long_fact_goes_on_below() {
        let faces = Faces::read().unwrap();
        let mut pages = Pages::new(&faces);
        pages.facts(&[("File", "W".repeat(300)), ("Lines", "7".to_owned())]);
        let pages = pages.finish("");
        let ends = |mark: &Mark| match mark {
            Mark::Text {
                x,
                size,
                weight,
                text,
                ..
            } => x + faces.of(*weight).width(text, *size),
            Mark::Bar { x, width, .. } => x + width,
        };
        assert!(
            pages[0]
                .iter()
                .map(ends)
                .all(|end| end <= PAGE_WIDTH - MARGIN)
        );
        let all = texts(&pages[0]).concat();
        assert!(all.contains("7") && all.matches('W').count() == 300);
    }
}
