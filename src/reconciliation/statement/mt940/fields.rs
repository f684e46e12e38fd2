//! The fields of a file: a tag between colons, and text that goes on until the next tag.

use std::io::Read;

use crate::reconciliation::statement::error::StatementError;
use crate::reconciliation::statement::text::{MOST_FIELD_BYTES, next_line};
use crate::settlement::lines::Lines;
use crate::settlement::position::Position;

/// A field.
#[derive(Debug)]
pub(super) struct Field {
    /// Its tag, such as `60F`.
    pub(super) tag: String,
    /// Its text, its lines joined by `\n`.
    pub(super) text: String,
    /// Where its tag is.
    pub(super) position: Position,
}

impl Field {
    /// The first line of the text.
    pub(super) fn first_line(&self) -> &str {
        self.text.split('\n').next().unwrap_or("").trim()
    }

    /// A text of one line, of 1 to `most` characters.
    pub(super) fn text(&self, expected: &str, most: usize) -> Result<String, StatementError> {
        let text = self.text.trim();
        let is_one = text.chars().all(|letter| !letter.is_control());
        match is_one && (1..=most).contains(&text.chars().count()) {
            true => Ok(text.to_owned()),
            false => Err(StatementError::text(
                self.position,
                &format!("field {}", self.tag),
                expected,
                text,
            )),
        }
    }

    /// The field is where it may not be.
    pub(super) fn misplaced(&self, expected: &str) -> StatementError {
        let of = format!("field {}", self.tag);
        StatementError::value(self.position, &of, expected, "it here")
    }
}

/// What comes next in a file.
#[derive(Debug)]
pub(super) enum Token {
    /// A field.
    Field(Field),
    /// The end of a message.
    End(Position),
}

/// The fields of a file, one at a time.
pub(super) struct Fields<R> {
    lines: Lines<R>,
    field: Option<Field>,
    end: Option<Position>,
    any: bool,
}

impl<R: Read> Fields<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            lines: Lines::new(input),
            field: None,
            end: None,
            any: false,
        }
    }

    /// Where the line begins that was read last.
    pub(super) const fn position(&self) -> Position {
        self.lines.position()
    }

    /// Whether there was any field.
    pub(super) const fn any(&self) -> bool {
        self.any
    }

    /// The next field, or end of a message; none at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<Token>, StatementError> {
        if let Some(position) = self.end.take() {
            return Ok(Some(Token::End(position)));
        }
        while let Some((position, line)) = next_line(&mut self.lines)? {
            let line = line.trim_end();
            if let Some((tag, text)) = tag(line) {
                self.any = true;
                let before = self.field.replace(Field {
                    tag: tag.to_owned(),
                    text: text.to_owned(),
                    position,
                });
                if before.is_some() {
                    return Ok(before.map(Token::Field));
                }
            } else if line == "-" || line.starts_with("-}") {
                self.end = Some(position);
                return Ok(match self.field.take() {
                    Some(field) => Some(Token::Field(field)),
                    None => self.end.take().map(Token::End),
                });
            } else if let Some(field) = &mut self.field {
                if field.text.len().saturating_add(line.len()) > MOST_FIELD_BYTES {
                    let expected = format!("at most {MOST_FIELD_BYTES} bytes");
                    let of = format!("field {}", field.tag);
                    return Err(StatementError::value(field.position, &of, expected, "more"));
                }
                if !line.is_empty() {
                    field.text.push('\n');
                    field.text.push_str(line);
                }
            } else if !line.is_empty() && !line.starts_with('{') {
                let expected = "a field such as :20: or a block such as {4:";
                return Err(StatementError::text(position, "line", expected, line));
            }
        }
        Ok(self.field.take().map(Token::Field))
    }
}

/// The tag of a line that begins a field, and the text behind it: `:60F:..`, `:NS:..`. No other line of a field begins with
/// a colon.
fn tag(line: &str) -> Option<(&str, &str)> {
    let (tag, text) = line.strip_prefix(':')?.split_once(':')?;
    let is_tag = matches!(tag.as_bytes(), [first, second] | [first, second, b'A'..=b'Z']
        if first.is_ascii_digit() == second.is_ascii_digit()
            && (first.is_ascii_digit() || first.is_ascii_uppercase() && second.is_ascii_uppercase()));
    is_tag.then_some((tag, text))
}
