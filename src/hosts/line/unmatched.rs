//! Messages that nobody waits for. A host that sends many fills neither the quarantine nor the log, and a line that brings
//! nothing else is closed.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long messages of a line are counted together.
const WINDOW: Duration = Duration::from_secs(60);
/// Those of a line that are kept and logged within that; more are only counted.
const KEPT: u32 = 300;
/// So many of them within that close the line: more than the answers to all that a gateway has sent before it fell.
pub(super) const FLOOD: u32 = 20_000;

/// So many more close it again.
const AGAIN: u32 = FLOOD / 10;

/// The messages of one line that nobody waits for. A new connection does not begin anew.
#[derive(Debug, Default)]
pub(in crate::hosts) struct Unmatched(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    began: Option<Instant>,
    count: u32,
}

/// What is to be done with such a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Treatment {
    /// It is kept and logged.
    Keep,
    /// It is the first that is only counted.
    LastSaid,
    /// It is only counted.
    Count,
    /// It closes the line.
    Close,
}

impl Unmatched {
    /// One more has come.
    pub(super) fn came(&self, now: Instant) -> Treatment {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if window.began.is_none_or(|began| began + WINDOW <= now) {
            *window = Window {
                began: Some(now),
                count: 0,
            };
        }
        window.count = window.count.saturating_add(1);
        match window.count {
            count if count <= KEPT => Treatment::Keep,
            count if count == KEPT + 1 => Treatment::LastSaid,
            count if count < FLOOD => Treatment::Count,
            _ => {
                // The next connection is not closed by a single one.
                window.count = FLOOD - AGAIN;
                Treatment::Close
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_closes_its_line() {
        let (unmatched, began) = (Unmatched::default(), Instant::now());
        let mut seen = Vec::new();
        for _ in 0..FLOOD + AGAIN {
            let treatment = unmatched.came(began);
            if seen.last().is_none_or(|(last, _)| *last != treatment) {
                seen.push((treatment, 0));
            }
            seen.last_mut().unwrap().1 += 1;
        }
        let expected = [
            (Treatment::Keep, KEPT),
            (Treatment::LastSaid, 1),
            (Treatment::Count, FLOOD - KEPT - 2),
            (Treatment::Close, 1),
            (Treatment::Count, AGAIN - 1),
            (Treatment::Close, 1),
        ];
        assert_eq!(seen, expected);
        let just_before = began + WINDOW - Duration::from_millis(1);
        assert_eq!(unmatched.came(just_before), Treatment::Count);
        assert_eq!(unmatched.came(began + WINDOW), Treatment::Keep);
    }
}
