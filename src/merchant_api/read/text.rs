//! Texts by their shape: how long, and of which characters.

use std::fmt::Write as _;

use super::violations::{Findings, InvalidRequest};

/// The caller's name of a request.
pub(crate) const REQUEST_ID: Shape = Shape {
    min: 1,
    max: 64,
    allows: |c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':'),
    expected: "1 to 64 characters of A-Z a-z 0-9 _ - . :",
};
/// A merchant's reference, of an order or a customer.
pub(crate) const REFERENCE: Shape = Shape {
    min: 1,
    max: 64,
    allows: is_printable_ascii,
    expected: "1 to 64 printable ASCII characters",
};
/// What a payment is for.
pub(crate) const DESCRIPTION: Shape = Shape {
    min: 0,
    max: 200,
    allows: |c| !c.is_control(),
    expected: "up to 200 characters, none of them a control character",
};
/// The terminal that a payment is sent under (DE 41).
pub(crate) const TERMINAL_ID: Shape = Shape {
    min: 1,
    max: 8,
    allows: |c| c.is_ascii_alphanumeric(),
    expected: "1 to 8 characters of A-Z a-z 0-9, or nothing",
};
pub(crate) fn is_printable_ascii(c: char) -> bool {
    matches!(c, ' '..='~')
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

/// Reads a merchant's reference of an order as a request's is read: what would be refused later can be
/// refused before a card is sealed for it.
///
/// # Errors
/// Says what was expected and what came instead, without repeating it.
pub(crate) fn merchant_reference(text: &str) -> Result<String, String> {
    let mut findings = Findings::default();
    let read = REFERENCE.read(&mut findings, "merchant_reference", text.to_owned());
    findings.finish(read).map_err(|invalid| match invalid {
        InvalidRequest::Violations(violations) => violations
            .into_iter()
            .map(|violation| violation.description)
            .collect(),
        InvalidRequest::ClearCard(_) => {
            format!(
                "expected {}, got a card number in clear",
                REFERENCE.expected
            )
        }
    })
}

/// Five parts in base64url, the first of which is a JSON object (RFC 7516, section 7.1).
pub(crate) fn is_shaped_like_jwe(text: &str) -> bool {
    let base64url = |byte: u8| byte.is_ascii_alphanumeric() | matches!(byte, b'-' | b'_' | b'.');
    // It goes to the end, whatever comes, because without a way out of the loop the compiler makes it
    // look at many bytes at a time.
    let are_base64url = || text.bytes().fold(true, |all, byte| all & base64url(byte));
    let dots = || text.bytes().filter(|&byte| byte == b'.').count();
    text.starts_with("eyJ") && are_base64url() && dots() == 4
}
