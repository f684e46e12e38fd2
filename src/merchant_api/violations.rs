//! What is wrong with a request: every violation of every field, without repeating what was sent.

use std::fmt::{self, Write as _};

use super::clear_card::contains_card_number;

/// Violations that are listed at most. No message has as many fields.
const MAX_VIOLATIONS: usize = 32;

/// One thing that is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Violation {
    /// The path of the field, for instance `amount.currency`.
    pub(super) field: &'static str,
    /// What was expected and what came: never the value itself.
    pub(super) description: String,
}

/// Why a request was not taken. Nothing was recorded and nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum InvalidRequest {
    /// Some fields are not what they should be.
    Violations(Vec<Violation>),
    /// These fields hold a card number in clear.
    ClearCard(Vec<&'static str>),
}

/// Collects what is wrong while a request is read.
#[derive(Debug, Default)]
pub(super) struct Findings {
    violations: Vec<Violation>,
    clear_cards: Vec<&'static str>,
}

impl Findings {
    /// Notes a violation. `got` says what came in words that don't repeat it.
    pub(super) fn add(&mut self, field: &'static str, expected: &str, got: impl fmt::Display) {
        if self.violations.len() < MAX_VIOLATIONS {
            self.violations.push(Violation {
                field,
                description: format!("expected {expected}, got {got}"),
            });
        }
    }

    /// Whether the text may be looked at: a card number in clear is noted, and nothing else about
    /// the text.
    pub(super) fn no_clear_card(&mut self, field: &'static str, text: &str) -> bool {
        let clear = contains_card_number(text);
        if clear {
            self.clear_cards.push(field);
        }
        !clear
    }

    /// Keeps what could be read, and notes what could not.
    pub(super) fn keep<T, E: fmt::Display>(
        &mut self,
        field: &'static str,
        expected: &str,
        read: Result<T, E>,
    ) -> Option<T> {
        read.map_err(|got| self.add(field, expected, got)).ok()
    }

    /// What was read, if nothing was wrong. `read` is `None` only where something was noted.
    pub(super) fn finish<T>(self, read: Option<T>) -> Result<T, InvalidRequest> {
        if !self.clear_cards.is_empty() {
            return Err(InvalidRequest::ClearCard(self.clear_cards));
        }
        match read {
            Some(read) if self.violations.is_empty() => Ok(read),
            _ => Err(InvalidRequest::Violations(self.violations)),
        }
    }
}

/// What a text may be: how long, and of which characters.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// Characters at least.
    pub(super) min: usize,
    /// Characters at most.
    pub(super) max: usize,
    /// Whether a character may be in it.
    pub(super) allows: fn(char) -> bool,
    /// All of it in words.
    pub(super) expected: &'static str,
}

impl Shape {
    /// Reads a text. A card number in clear is noted as such and as nothing else.
    pub(super) fn read(
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
    pub(super) fn read_optional(
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

/// Says how long a text is, without repeating it.
pub(super) fn length_of(text: &str) -> String {
    if text.is_empty() {
        "nothing".to_owned()
    } else {
        format!("{} characters of another form", text.chars().count())
    }
}
