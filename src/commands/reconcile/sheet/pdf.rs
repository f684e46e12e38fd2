//! The sheet of a day as PDF.

use super::content::{COLUMNS, SIGNED, Sheet, Sum};
use crate::pdf::document::{DocumentError, to_pdf};
use crate::pdf::face::{Faces, Weight};
use crate::pdf::pages::{Ink, Mark, Pages};
use crate::pdf::paper::{BODY_SIZE, CONTENT_WIDTH, MARGIN};
use crate::pdf::table::{Limit, Side, Table};

/// The widest column of amounts and references. What is longer is broken.
const WIDEST_VALUE: i32 = 1_900;

/// From the left margin to the bars, and the length of the longest one.
const BARS: i32 = 3_600;
const LONGEST: i32 = 8_400;
const BAR: i32 = 210;
/// From the top of one kind's bars to that of the next one's.
const ROW: i32 = 600;
/// From the top of a bar to the line that the text beside it stands on.
const TEXT: i32 = 160;
/// The colors of our bars and the bank's.
const INKS: [Ink; 2] = [
    Ink::Color([0x48, 0x78, 0xa8]),
    Ink::Color([0xc8, 0x76, 0x3c]),
];

/// The room for a signature above its line, and between two of them.
const SIGNATURE: i32 = 1_300;
const BETWEEN: i32 = 900;

pub(super) fn pdf(sheet: &Sheet) -> Result<Vec<u8>, DocumentError> {
    let faces = Faces::read()?;
    let id = format!("sheet {} {}", sheet.title, sheet.sha256);
    to_pdf(sheet.title.clone(), id, &pages(sheet, &faces), &faces)
}

fn pages(sheet: &Sheet, faces: &Faces) -> Vec<Vec<Mark>> {
    let mut pages = Pages::new(faces);
    pages.title(&sheet.title);
    pages.facts(&sheet.facts);
    if !sheet.sums.is_empty() {
        pages.heading("Amounts, by kind");
        legend(&mut pages);
        for sum in &sheet.sums {
            bars(&mut pages, sum);
        }
    }
    pages.heading("Each of them");
    pages.table(&table(sheet, faces));
    signatures(&mut pages, &sheet.summary);
    pages.finish(&format!("{}, file {:.16}", sheet.title, sheet.sha256))
}

fn legend(pages: &mut Pages<'_>) {
    let top = pages.y();
    for (index, (name, ink)) in (0..).zip(["ours", "the bank's"].into_iter().zip(INKS)) {
        let x = MARGIN + BARS + index * 1_200;
        pages.bar(x, top, BAR, BAR, ink);
        pages.text(x + 300, top + TEXT, BODY_SIZE, Weight::Regular, name);
    }
    pages.gap(2 * BAR);
}

/// Our bar of a kind, and the bank's below it.
fn bars(pages: &mut Pages<'_>, sum: &Sum) {
    pages.room(ROW);
    let top = pages.y();
    pages.text(MARGIN, top + TEXT, BODY_SIZE, Weight::Bold, &sum.kind);
    let below = top + BAR + TEXT;
    pages.text(MARGIN, below, BODY_SIZE, Weight::Regular, &sum.counts());
    let bars = sum.bars(LONGEST).into_iter().flatten();
    for ((text, length), (y, ink)) in bars.zip([top, top + BAR].into_iter().zip(INKS)) {
        pages.bar(MARGIN + BARS, y, length, BAR - 20, ink);
        let x = MARGIN + BARS + length + 100;
        pages.text(x, y + TEXT, BODY_SIZE, Weight::Regular, &text);
    }
    pages.gap(ROW);
}

fn table(sheet: &Sheet, faces: &Faces) -> Table<7> {
    let [id, kind, ours, theirs, line, state, done] = COLUMNS;
    let columns = [
        (id, Side::Left, Limit::Text),
        (kind, Side::Left, Limit::Text),
        (ours, Side::Right, Limit::AtMost(WIDEST_VALUE)),
        (theirs, Side::Right, Limit::AtMost(WIDEST_VALUE)),
        (line, Side::Right, Limit::Text),
        (state, Side::Left, Limit::Text),
        (done, Side::Left, Limit::Rest),
    ];
    let rows = sheet.rows.iter().map(|row| {
        let texts = [
            row.id.clone(),
            row.kind.clone(),
            row.ours.clone(),
            row.theirs.clone(),
            row.line.clone(),
            row.state.clone(),
            row.done.join("\n"),
        ];
        (Weight::Regular, texts)
    });
    Table::new(columns, rows.collect(), faces)
}

/// Lines for two people, on one page with how much they sign.
fn signatures(pages: &mut Pages<'_>, summary: &str) {
    pages.room(SIGNATURE + 1_000);
    pages.heading(summary);
    pages.gap(SIGNATURE);
    let width = (CONTENT_WIDTH - BETWEEN) / 2;
    for (index, name) in (0..).zip(SIGNED) {
        let (x, y) = (MARGIN + index * (width + BETWEEN), pages.y());
        pages.bar(x, y, width, 10, Ink::Gray(0));
        pages.text(x, y + TEXT + 40, BODY_SIZE, Weight::Regular, name);
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{differs, import, missing};
    use super::*;
    use crate::admin_api::pb;

    fn texts(sheet: &Sheet) -> Vec<Vec<String>> {
        let faces = Faces::read().unwrap();
        let text = |mark| match mark {
            Mark::Text { text, .. } => Some(text),
            Mark::Bar { .. } => None,
        };
        let pages = pages(sheet, &faces).into_iter();
        pages
            .map(|page| page.into_iter().filter_map(text).collect())
            .collect()
    }

    #[test]
    fn a_day_without_discrepancies_is_a_page_to_sign() {
        let sheet = Sheet::of(&import(), &[]).unwrap();
        let pages = texts(&sheet);
        assert_eq!(pages.len(), 1);
        for part in SIGNED {
            assert!(pages[0].iter().any(|text| text == part), "{part}");
        }
    }

    #[test]
    fn many_rows_and_long_reasons_make_pages_and_lose_nothing() {
        let reason = (0..60)
            .map(|word| format!("reason{word}"))
            .collect::<Vec<_>>()
            .join(" ");
        let step = pb::DiscrepancyStep {
            state: "ASKED_BANK".into(),
            actor: "bob".into(),
            reason,
            ..Default::default()
        };
        let found: Vec<_> = (0..40)
            .map(|number| pb::Discrepancy {
                discrepancy_id: format!("dis_06e9x3w8k1z7h4n2m5q0r8t{number:03}"),
                history: vec![step.clone(); number % 9],
                ..if number % 2 == 0 {
                    differs()
                } else {
                    missing()
                }
            })
            .collect();
        let sheet = Sheet::of(&import(), &found).unwrap();
        let pages = texts(&sheet);
        assert!(pages.len() > 3, "{}", pages.len());
        let all = pages.concat().concat();
        for one in &found {
            assert_eq!(all.matches(&one.discrepancy_id).count(), 1);
        }
        let steps: usize = found.iter().map(|one| one.history.len()).sum();
        assert_eq!(all.matches("reason59").count(), steps);
        let (last, others) = pages.split_last().unwrap();
        assert!(last.iter().any(|text| text == SIGNED[1]));
        assert!(others.iter().flatten().all(|text| text != SIGNED[1]));
        assert_eq!(pdf(&sheet).unwrap(), pdf(&sheet).unwrap());
    }
}
