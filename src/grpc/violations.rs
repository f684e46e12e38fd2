//! What is wrong with a request: every violation of every field, without repeating what was sent.

use std::fmt;

use crate::card::clear_card::contains_card_number;

/// Violations that are listed at most. No message has as many fields.
const MAX_VIOLATIONS: usize = 32;

/// One thing that is wrong with one field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Violation {
    /// The path of the field, for instance `amount.currency`.
    pub(crate) field: &'static str,
    /// What was expected and what came: never the value itself.
    pub(crate) description: String,
}

/// Why a request was not taken. Nothing was recorded and nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum InvalidRequest {
    /// Some fields are not what they should be.
    Violations(Vec<Violation>),
    /// These fields hold a card number in clear.
    ClearCard(Vec<&'static str>),
}

/// Collects what is wrong while a request is read.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    violations: Vec<Violation>,
    clear_cards: Vec<&'static str>,
}

impl Findings {
    /// Notes a violation. `got` says what came in words that don't repeat it.
    pub(crate) fn add(&mut self, field: &'static str, expected: &str, got: impl fmt::Display) {
        if self.violations.len() < MAX_VIOLATIONS {
            self.violations.push(Violation {
                field,
                description: format!("expected {expected}, got {got}"),
            });
        }
    }

    /// Whether the text may be looked at: a card number in clear is noted, and nothing else about
    /// the text.
    pub(crate) fn no_clear_card(&mut self, field: &'static str, text: &str) -> bool {
        let clear = contains_card_number(text);
        if clear {
            self.clear_cards.push(field);
        }
        !clear
    }

    /// Keeps what could be read, and notes what could not.
    pub(crate) fn keep<T, E: fmt::Display>(
        &mut self,
        field: &'static str,
        expected: &str,
        read: Result<T, E>,
    ) -> Option<T> {
        read.map_err(|got| self.add(field, expected, got)).ok()
    }

    /// What was read, if nothing was wrong. `read` is `None` only where something was noted.
    pub(crate) fn finish<T>(self, read: Option<T>) -> Result<T, InvalidRequest> {
        if !self.clear_cards.is_empty() {
            return Err(InvalidRequest::ClearCard(self.clear_cards));
        }
        match read {
            Some(read) if self.violations.is_empty() => Ok(read),
            _ => Err(InvalidRequest::Violations(self.violations)),
        }
    }
}

/// Says how long a text is, without repeating it.
pub(crate) fn length_of(text: &str) -> String {
    if text.is_empty() {
        "nothing".to_owned()
    } else {
        format!("{} characters of another form", text.chars().count())
    }
}
