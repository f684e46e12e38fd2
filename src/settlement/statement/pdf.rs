//! A statement as PDF: A4, landscape, so that references and amounts of any size have room.
//!
//! - `layout`: what stands where on each page. `table`: the columns and rows. `face`: the fonts, and how
//!   wide a text is. `paper`: the measures.
//!
//! The same statement gives the same bytes: nothing in them is of today.

use krilla::color::luma;
use krilla::error::KrillaError;
use krilla::geom::{PathBuilder, Point, Rect};
use krilla::metadata::Metadata;
use krilla::page::PageSettings;
use krilla::paint::Fill;
use krilla::surface::Surface;
use krilla::{Document, SerializeSettings};

use self::face::{Faces, UnreadableFont};
use self::layout::Mark;
use self::paper::{PAGE_HEIGHT, PAGE_WIDTH};
use super::Statement;

pub mod face;
mod layout;
mod paper;
mod table;

/// The most lines that a PDF shows: about 300 pages.
pub const MAX_LINES: usize = 10_000;

/// Why a statement has no PDF.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PdfError {
    /// More lines than anybody reads on paper. The CSV has them all.
    #[error("expected a statement of at most {MAX_LINES} lines, got {got}")]
    TooManyLines {
        /// How many lines it has.
        got: usize,
    },
    /// A font within the program can't be read.
    #[error(transparent)]
    Font(#[from] UnreadableFont),
    /// The document was not written.
    #[error("the PDF was not written")]
    Document(#[from] KrillaError),
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
    let faces = Faces::read()?;
    let mut document = Document::new_with(SerializeSettings::default());
    document.set_metadata(metadata(statement));
    for marks in layout::pages(statement, &faces) {
        let mut page = document.start_page_with(page_settings());
        let mut surface = page.surface();
        for mark in &marks {
            draw(&mut surface, mark, &faces);
        }
        surface.finish();
        page.finish();
    }
    Ok(document.finish()?)
}

fn metadata(statement: &Statement) -> Metadata {
    let (merchant, period) = (statement.merchant(), statement.period());
    let currency = statement.currency();
    Metadata::new()
        .title(format!("Statement of {}, {period}", merchant.name))
        .language("en".to_owned())
        .creator("payswitch".to_owned())
        .document_id(format!("statement {} {currency} {period}", merchant.id))
}

fn page_settings() -> PageSettings {
    // Only a size that is not positive has no settings.
    PageSettings::from_wh(points(PAGE_WIDTH), points(PAGE_HEIGHT)).unwrap_or_default()
}

/// The library counts in points as floating-point numbers. A page is 16,838 twips wide, and `f32` has every
/// whole number up to 16,777,216.
fn points(twips: i32) -> f32 {
    twips as f32 / 20.0
}

fn draw(surface: &mut Surface<'_>, mark: &Mark, faces: &Faces) {
    match mark {
        Mark::Text {
            x,
            baseline,
            size,
            weight,
            text,
        } => {
            let face = faces.of(*weight);
            let glyphs = face.glyphs(text);
            surface.set_fill(Some(gray(0)));
            surface.draw_glyphs(
                Point::from_xy(points(*x), points(*baseline)),
                &glyphs,
                face.font(),
                text,
                points(*size),
                false,
            );
        }
        Mark::Bar {
            x,
            y,
            width,
            height,
            lightness,
        } => {
            let mut path = PathBuilder::new();
            let (width, height) = (points(*width), points(*height));
            if let Some(bar) = Rect::from_xywh(points(*x), points(*y), width, height) {
                path.push_rect(bar);
            }
            if let Some(path) = path.finish() {
                surface.set_fill(Some(gray(*lightness)));
                surface.draw_path(&path);
            }
        }
    }
}

fn gray(lightness: u8) -> Fill {
    Fill {
        paint: luma::Color::new(lightness).into(),
        ..Fill::default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples::{line, statement};
    use super::super::{LineKind, StatementLine};
    use super::*;

    fn lines(count: usize) -> Vec<StatementLine> {
        vec![line(LineKind::Capture, 10_000, 145); count]
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
