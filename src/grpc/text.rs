//! Texts by their shape: how long, and of which characters.

use std::fmt::Write as _;

use super::violations::Findings;

/// The caller's name of a request.
pub(crate) const REQUEST_ID: Shape = Shape {
    min: 1,
    max: 64,
    allows: |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':'),
    expected: "1 to 64 characters of A-Z a-z 0-9 _ - . :",
};

/// What a text may be: how long, and of which characters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// Characters at least.
    pub(crate) min: usize,
    /// Characters at most.
    pub(crate) max: usize,
    /// Whether a character may be in it.
    pub(crate) allows: fn(char) -> bool,
    /// All of it in words.
    pub(crate) expected: &'static str,
}

impl Shape {
    /// Reads a text. A card number in clear is noted as such and as nothing else.
    pub(crate) fn read(
        &self,
        findings: &mut Findings,
        field: &'static str,
        text: String,
    ) -> Option<String> {
        if !findings.no_clear_card(field, &text) {
            return None;
        }
        match self.fault_of(&text) {
            None => Some(text),
            Some(got) => {
                findings.add(field, self.expected, got);
                None
            }
        }
    }

    /// Reads a text that may be left out.
    pub(crate) fn read_optional(
        &self,
        findings: &mut Findings,
        field: &'static str,
        text: String,
    ) -> Option<Option<String>> {
        if text.is_empty() {
            return Some(None);
        }
        self.read(findings, field, text).map(Some)
    }

    fn fault_of(&self, text: &str) -> Option<String> {
        if text.is_empty() && self.min > 0 {
            return Some("nothing".to_owned());
        }
        // A character is at least one byte, so most texts need no count.
        let length = text.chars().count();
        if length < self.min || length > self.max {
            return Some(format!("{length} characters"));
        }
        let (position, wrong) = text
            .chars()
            .enumerate()
            .find(|&(_, character)| !(self.allows)(character))?;
        Some(shown_at(wrong, position))
    }
}

/// Names a character without showing it: it may be one that a terminal acts on.
fn shown_at(character: char, position: usize) -> String {
    let mut shown = String::new();
    // Writing to a String can't fail.
    let _ = write!(
        shown,
        "the character U+{:04X} at position {}",
        u32::from(character),
        position + 1
    );
    shown
}
