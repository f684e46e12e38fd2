//! What a text of an order may hold: the characters that every bank of SEPA takes (EPC217-08), and so many of them.

/// Why a text can't be sent. It does not repeat the text, which may be a person's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextFault {
    /// Nothing is in it, or too much.
    #[error("expected 1 to {most} characters, got {got}")]
    Length {
        /// The most that it may have.
        most: usize,
        /// How many it has.
        got: usize,
    },
    /// A character that not every bank takes.
    #[error(
        "expected letters, digits, spaces and / - ? : ( ) . , ' +, got {got:?} at character {place}"
    )]
    Character {
        /// The character.
        got: char,
        /// Its place, from 1.
        place: usize,
    },
    /// A space before or after everything else, which some banks cut off.
    #[error("expected no space at the beginning or end, got one")]
    OuterSpace,
    /// A reference with slashes that banks read as something else.
    #[error(
        "expected a reference without // and without / at its beginning or end, got one with it"
    )]
    Slash,
}

/// Which rules hold for a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::settlement) enum TextKind {
    /// A name, or a text for people.
    Prose,
    /// A reference, which banks compare.
    Reference,
}

pub(in crate::settlement) fn check_text(
    text: &str,
    most: usize,
    kind: TextKind,
) -> Result<(), TextFault> {
    let got = text.chars().count();
    if !(1..=most).contains(&got) {
        return Err(TextFault::Length { most, got });
    }
    let is_sent = |letter: char| letter.is_ascii_alphanumeric() || " /-?:().,'+".contains(letter);
    if let Some((place, got)) = (1..)
        .zip(text.chars())
        .find(|(_, letter)| !is_sent(*letter))
    {
        return Err(TextFault::Character { got, place });
    }
    if text.starts_with(' ') || text.ends_with(' ') {
        return Err(TextFault::OuterSpace);
    }
    let has_slash = text.starts_with('/') || text.ends_with('/') || text.contains("//");
    match kind {
        TextKind::Reference if has_slash => Err(TextFault::Slash),
        TextKind::Reference | TextKind::Prose => Ok(()),
    }
}
