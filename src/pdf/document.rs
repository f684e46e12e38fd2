//! Pages as PDF.

use krilla::color::{luma, rgb};
use krilla::error::KrillaError;
use krilla::geom::{PathBuilder, Point, Rect};
use krilla::metadata::Metadata;
use krilla::page::PageSettings;
use krilla::paint::Fill;
use krilla::surface::Surface;
use krilla::{Document, SerializeSettings};

use super::face::{Faces, UnreadableFont};
use super::pages::{Ink, Mark};
use super::paper::{PAGE_HEIGHT, PAGE_WIDTH};

/// Why there is no PDF.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// A font within the program can't be read.
    #[error(transparent)]
    Font(#[from] UnreadableFont),
    /// The document was not written.
    #[error("the PDF was not written")]
    Document(#[from] KrillaError),
}

/// The pages as PDF, under this title. The id says what the document is of: it is the same for the
/// same statement or sheet, also where what stands in it has changed since.
///
/// # Errors
/// When the document can't be written.
pub fn to_pdf(
    title: String,
    id: String,
    pages: &[Vec<Mark>],
    faces: &Faces,
) -> Result<Vec<u8>, DocumentError> {
    let mut document = Document::new_with(SerializeSettings::default());
    let metadata = Metadata::new().title(title).language("en".to_owned());
    document.set_metadata(metadata.creator("payswitch".to_owned()).document_id(id));
    for marks in pages {
        let mut page = document.start_page_with(page_settings());
        let mut surface = page.surface();
        for mark in marks {
            draw(&mut surface, mark, faces);
        }
        surface.finish();
        page.finish();
    }
    Ok(document.finish()?)
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
            surface.set_fill(Some(fill(Ink::Gray(0))));
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
            ink,
        } => {
            let mut path = PathBuilder::new();
            let (width, height) = (points(*width), points(*height));
            if let Some(bar) = Rect::from_xywh(points(*x), points(*y), width, height) {
                path.push_rect(bar);
            }
            if let Some(path) = path.finish() {
                surface.set_fill(Some(fill(*ink)));
                surface.draw_path(&path);
            }
        }
    }
}

fn fill(ink: Ink) -> Fill {
    let paint = match ink {
        Ink::Gray(lightness) => luma::Color::new(lightness).into(),
        Ink::Color([red, green, blue]) => rgb::Color::new(red, green, blue).into(),
    };
    Fill {
        paint,
        ..Fill::default()
    }
}
