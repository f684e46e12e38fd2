//! The second reading of a file, in pieces.

use crate::reconciliation::statement::error::StatementError;
use crate::reconciliation::statement::part::{StatementLine, StatementPart};

/// The lines that are recorded in one transaction, so that payments don't wait for more.
const LINES_AT_ONCE: usize = 100;

/// What the second reading of a file hands out.
pub(super) enum Piece {
    /// The next lines of a statement.
    Lines(Vec<StatementLine>),
    /// The end of it.
    End,
}

/// The parts of a file as pieces: the lines of a statement, some at a time, and its end.
pub(super) struct Pieces<I> {
    parts: I,
    lines: Vec<StatementLine>,
    ended: bool,
}

impl<I: Iterator<Item = Result<StatementPart, StatementError>>> Pieces<I> {
    pub(super) const fn of(parts: I) -> Self {
        Self {
            parts,
            lines: Vec::new(),
            ended: false,
        }
    }
}

impl<I: Iterator<Item = Result<StatementPart, StatementError>>> Iterator for Pieces<I> {
    type Item = Result<Piece, StatementError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended && self.lines.len() < LINES_AT_ONCE {
            match self.parts.next()? {
                Ok(StatementPart::Begin(_)) => {}
                Ok(StatementPart::Line(line)) => self.lines.push(line),
                Ok(StatementPart::End(_)) => self.ended = true,
                Err(error) => return Some(Err(error)),
            }
        }
        if self.lines.is_empty() {
            self.ended = false;
            return Some(Ok(Piece::End));
        }
        Some(Ok(Piece::Lines(std::mem::take(&mut self.lines))))
    }
}
