//! Texts by their shape: how long, and of which characters.

use std::fmt::Write as _;
use std::ops::RangeInclusive;

use super::violations::{Findings, InvalidRequest};

/// The caller's name of a request.
pub(crate) const REQUEST_ID: Shape = Shape {
    min: 1,
    max: 64,
    allows: |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':'),
    expected: "1 to 64 characters of A-Z a-z 0-9 _ - . :",
};

/// What a person says in words, for others to read: a reason, the name of a file.
const WORDS: Shape = Shape {
    min: 1,
    max: 200,
    allows: |c| !c.is_control(),
    expected: "1 to 200 characters, none of them a control character, and at least one that can be seen",
};

/// Characters that a reader doesn't see, apart from spaces: Default_Ignorable_Code_Point of Unicode 16, the marks of
/// annotations, and the blank Braille pattern.
const UNSEEN: [RangeInclusive<char>; 19] = [
    '\u{AD}'..='\u{AD}',
    '\u{34F}'..='\u{34F}',
    '\u{61C}'..='\u{61C}',
    '\u{115F}'..='\u{1160}',
    '\u{17B4}'..='\u{17B5}',
    '\u{180B}'..='\u{180F}',
    '\u{200B}'..='\u{200F}',
    '\u{202A}'..='\u{202E}',
    '\u{2060}'..='\u{206F}',
    '\u{2800}'..='\u{2800}',
    '\u{3164}'..='\u{3164}',
    '\u{FE00}'..='\u{FE0F}',
    '\u{FEFF}'..='\u{FEFF}',
    '\u{FFA0}'..='\u{FFA0}',
    '\u{FFF0}'..='\u{FFF8}',
    '\u{FFF9}'..='\u{FFFB}',
    '\u{1BCA0}'..='\u{1BCA3}',
    '\u{1D173}'..='\u{1D17A}',
    '\u{E0000}'..='\u{E0FFF}',
];

/// Reads what a person says in words: it must say something, and blanks don't.
pub(crate) fn read_words(
    findings: &mut Findings,
    field: &'static str,
    text: String,
) -> Option<String> {
    let words = WORDS.read(findings, field, text)?;
    if words.chars().any(is_seen) {
        return Some(words);
    }
    findings.add(field, WORDS.expected, "none that can be seen");
    None
}

/// What a person says in words, as a request's is read.
///
/// # Errors
/// Says what was expected and what came instead, without repeating it.
pub(crate) fn words(text: &str) -> Result<String, String> {
    let text = text.to_owned();
    alone(WORDS.expected, |findings| {
        read_words(findings, "words", text)
    })
}

/// A text that is read by itself, without a request.
///
/// # Errors
/// Says what was `expected` and what came instead, without repeating it.
pub(crate) fn alone(
    expected: &str,
    read: impl FnOnce(&mut Findings) -> Option<String>,
) -> Result<String, String> {
    let mut findings = Findings::default();
    let read = read(&mut findings);
    findings.finish(read).map_err(|invalid| match invalid {
        InvalidRequest::Violations(violations) => violations
            .into_iter()
            .map(|violation| violation.description)
            .collect(),
        InvalidRequest::ClearCard(_) => {
            format!("expected {expected}, got a card number in clear")
        }
    })
}

fn is_seen(character: char) -> bool {
    !character.is_whitespace()
        && !character.is_control()
        && !UNSEEN.iter().any(|range| range.contains(&character))
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_say_something() {
        let long = "x".repeat(200);
        for said in [
            "the bank's",
            "?",
            "\u{4E2D}",
            "👍\u{FE0F}",
            " \u{200B}a",
            &long,
        ] {
            assert_eq!(words(said).as_deref(), Ok(said));
        }
        for unseen in [
            " ",
            "\u{A0}",
            "\u{3000} ",
            "\u{200B}",
            "\u{FEFF}",
            "\u{2060}\u{200D}",
            "\u{AD}",
            "\u{3164}",
            "\u{2800}",
            "\u{202E}",
            "\u{FE0F}",
            "\u{E0020}",
            "\u{2028}",
        ] {
            let got = words(unseen).unwrap_err();
            assert!(
                got.ends_with("got none that can be seen"),
                "{unseen:?}: {got}"
            );
        }
        let longer = format!("{long}x");
        for (wrong, got) in [
            ("", "got nothing"),
            (&*longer, "got 201 characters"),
            ("a\tb", "got the character U+0009 at position 2"),
            ("card 4111111111111111", "got a card number in clear"),
        ] {
            let told = words(wrong).unwrap_err();
            assert!(told.ends_with(got), "{told}");
        }
    }
}
