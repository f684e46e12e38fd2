//! The fonts, and how wide a text is in them.
//!
//! They are DejaVu Sans Condensed, cut down to Latin, Greek and Cyrillic (the bold one to Latin-1), without
//! tables for shaping: letters are set side by side. Scripts that need more than that are not in them.

use krilla::text::{Font, GlyphId, KrillaGlyph};
use skrifa::charmap::Charmap;
use skrifa::raw::TableProvider;
use skrifa::raw::tables::hmtx::Hmtx;
use skrifa::{FontRef, MetadataProvider};

macro_rules! font_bytes {
    ($name:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/assets/fonts/", $name)).as_slice()
    };
}

/// A font within the program that can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the font {name} within the program can't be read")]
pub struct UnreadableFont {
    /// Which one.
    pub name: &'static str,
}

/// Shown for a character that a font lacks.
const REPLACEMENT: char = '\u{FFFD}';

/// A font of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// Of texts.
    Regular,
    /// Of headings and sums.
    Bold,
}

/// The fonts of the document.
pub struct Faces {
    regular: Face,
    bold: Face,
}

impl Faces {
    /// The fonts within the program.
    ///
    /// # Errors
    /// When one of them can't be read.
    pub fn read() -> Result<Self, UnreadableFont> {
        let read = |name, bytes| Face::read(bytes).ok_or(UnreadableFont { name });
        Ok(Self {
            regular: read(
                "DejaVu Sans Condensed",
                font_bytes!("DejaVuSansCondensed.ttf"),
            )?,
            bold: read(
                "DejaVu Sans Condensed Bold",
                font_bytes!("DejaVuSansCondensed-Bold.ttf"),
            )?,
        })
    }

    /// The font of this weight.
    #[must_use]
    pub fn of(&self, weight: Weight) -> &Face {
        match weight {
            Weight::Regular => &self.regular,
            Weight::Bold => &self.bold,
        }
    }
}

/// One font.
pub struct Face {
    font: Font,
    charmap: Charmap<'static>,
    advances: Hmtx<'static>,
    units_per_em: u16,
}

impl Face {
    fn read(bytes: &'static [u8]) -> Option<Self> {
        let tables = FontRef::new(bytes).ok()?;
        let units_per_em = tables.head().ok()?.units_per_em();
        (units_per_em > 0).then_some(Self {
            font: Font::new(bytes.into(), 0)?,
            charmap: tables.charmap(),
            advances: tables.hmtx().ok()?,
            units_per_em,
        })
    }

    /// The font as the document embeds it.
    pub(super) fn font(&self) -> Font {
        self.font.clone()
    }

    /// The text with U+FFFD for each character that the font lacks.
    #[must_use]
    pub fn legible(&self, text: &str) -> String {
        let shown = |char| match self.charmap.map(char) {
            Some(_) => char,
            None => REPLACEMENT,
        };
        text.chars().map(shown).collect()
    }

    /// The width of a text in twips, rounded up; `size` is the font's in twips.
    #[must_use]
    pub fn width(&self, text: &str, size: i32) -> i32 {
        let units: i64 = text.chars().map(|char| i64::from(self.advance(char))).sum();
        let em = i64::from(self.units_per_em);
        let twips = (units * i64::from(size) + em - 1) / em;
        i32::try_from(twips).unwrap_or(i32::MAX)
    }

    /// The glyphs of a text, side by side.
    pub(super) fn glyphs(&self, text: &str) -> Vec<KrillaGlyph> {
        let em = f32::from(self.units_per_em);
        let glyph = |(start, char): (usize, char)| {
            let advance = f32::from(self.advance(char)) / em;
            let bytes = start..start + char.len_utf8();
            let id = GlyphId::new(self.glyph_id(char).to_u32());
            KrillaGlyph::new(id, advance, 0.0, 0.0, 0.0, bytes, None)
        };
        text.char_indices().map(glyph).collect()
    }

    /// In units of the font.
    fn advance(&self, char: char) -> u16 {
        self.advances.advance(self.glyph_id(char)).unwrap_or(0)
    }

    fn glyph_id(&self, char: char) -> skrifa::GlyphId {
        self.charmap.map(char).unwrap_or(skrifa::GlyphId::NOTDEF)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fonts_have_what_merchants_and_operators_write() {
        let faces = Faces::read().unwrap();
        let regular = faces.of(Weight::Regular);
        for text in [
            "Żółć, Øresund, İstanbul, Việt",
            "Ελλάδα",
            "Київ",
            "€ £ ₹ “…”",
        ] {
            assert_eq!(regular.legible(text), text);
        }
        assert_eq!(regular.legible("a日b\u{202E}"), "a\u{FFFD}b\u{FFFD}");
        for weight in [Weight::Regular, Weight::Bold] {
            let ascii: String = (' '..='~').collect();
            assert_eq!(faces.of(weight).legible(&ascii), ascii);
        }
    }

    #[test]
    fn digits_are_of_one_width_so_that_amounts_stand_in_line() {
        let faces = Faces::read().unwrap();
        for weight in [Weight::Regular, Weight::Bold] {
            let face = faces.of(weight);
            let one = face.width("1", 2_000);
            assert!(one > 1_000);
            for digit in '0'..='9' {
                assert_eq!(face.width(&digit.to_string(), 2_000), one);
            }
        }
    }
}
