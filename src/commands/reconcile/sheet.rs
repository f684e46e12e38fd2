//! The sheet of a day: what the bank's report had otherwise, with a picture of the amounts, for a person to sign.
//!
//! - `content`: what stands on it. `html`, `pdf`: how it is written.

mod content;
mod html;
mod pdf;
#[cfg(test)]
mod samples;

use std::path::Path;

use self::content::Sheet;
use crate::admin_api::pb;
use crate::commands::error::CommandError;

/// How a sheet is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Html,
    Pdf,
}

impl Format {
    /// By the ending of the file's name.
    ///
    /// # Errors
    /// When it is neither of HTML nor of PDF.
    pub(super) fn of(out: &Path) -> Result<Self, CommandError> {
        let ending = out.extension().and_then(|ending| ending.to_str());
        match ending.map(str::to_ascii_lowercase).as_deref() {
            Some("html" | "htm") => Ok(Self::Html),
            Some("pdf") => Ok(Self::Pdf),
            _ => {
                let got = out.display();
                Err(format!("--out: expected FILE.html or FILE.pdf, got {got}").into())
            }
        }
    }
}

/// The sheet of a report that was taken in, with everything that it had otherwise. The same discrepancies give the same
/// bytes.
///
/// # Errors
/// When a time can't be shown, or the document can't be written.
pub(super) fn written(
    format: Format,
    import: &pb::SettlementImport,
    found: &[pb::Discrepancy],
) -> Result<Vec<u8>, CommandError> {
    let sheet = Sheet::of(import, found)?;
    match format {
        Format::Html => Ok(html::html(&sheet).into_bytes()),
        Format::Pdf => Ok(pdf::pdf(&sheet)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_says_the_format() {
        for (name, format) in [
            ("sheet.html", Some(Format::Html)),
            ("a/b.c/sheet.HTM", Some(Format::Html)),
            ("sheet.pdf", Some(Format::Pdf)),
            ("SHEET.PDF", Some(Format::Pdf)),
            ("sheet.csv", None),
            ("pdf", None),
        ] {
            assert_eq!(Format::of(Path::new(name)).ok(), format, "{name}");
        }
    }
}
