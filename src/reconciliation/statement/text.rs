//! Lines of a statement as text.

use std::borrow::Cow;
use std::io::Read;

use super::error::StatementError;
use crate::settlement::lines::{Line, Lines, MOST_BYTES};
use crate::settlement::position::Position;

/// The longest field or record, over all of its lines, in bytes.
pub(super) const MOST_FIELD_BYTES: usize = 64 * 1024;

/// The next line of a file, and where it begins; none at the end of the file.
pub(super) fn next_line<R: Read>(
    lines: &mut Lines<R>,
) -> Result<Option<(Position, String)>, StatementError> {
    let read = lines.next_line().map(|line| {
        line.map(|line| match line {
            Line::Whole(bytes) => Some(decoded(bytes).into_owned()),
            Line::TooLong => None,
        })
    });
    let position = lines.position();
    match read {
        Ok(None) => Ok(None),
        Ok(Some(Some(text))) => Ok(Some((position, text))),
        Ok(Some(None)) => {
            let expected = format!("at most {MOST_BYTES} bytes");
            Err(StatementError::value(position, "line", expected, "more"))
        }
        Err(error) => Err(StatementError::read(position, &error)),
    }
}

/// The text of bytes: UTF-8, and otherwise ISO 8859-1, which has a letter for each byte. Banks write both and say neither.
/// Nothing that counts (amounts, dates, marks, references) has other letters than both have in common.
fn decoded(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => bytes.iter().copied().map(char::from).collect(),
    }
}
