//! How a report is read, of whichever kind: step by step, to its end.

use super::fault::ReportError;
use super::line::ReportLine;

/// What comes next.
pub(super) enum Step {
    Line(Box<ReportLine>),
    /// What is no line, or is wrong.
    Nothing,
    End,
}

/// A report that is read step by step. After the first fault it has no line any more, and at its end it names all faults.
pub(super) trait Steps {
    fn step(&mut self) -> Result<Step, ReportError>;

    /// What is wrong with it, at its end.
    fn end(&mut self) -> Result<(), ReportError>;

    /// Whether it is read to its end, or can't be read any further.
    fn is_done(&mut self) -> &mut bool;

    /// The next line, or why none of its lines counts.
    fn next_line(&mut self) -> Option<Result<ReportLine, ReportError>> {
        while !*self.is_done() {
            let last = match self.step() {
                Ok(Step::Line(line)) => return Some(Ok(*line)),
                Ok(Step::Nothing) => continue,
                Ok(Step::End) => self.end().err(),
                Err(error) => Some(error),
            };
            *self.is_done() = true;
            return last.map(Err);
        }
        None
    }
}
