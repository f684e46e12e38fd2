//! How much counts in a window that slides: all of the fixed window that the moment lies in, and of the one before it the
//! part that is still within reach. Half a window later half of it counts. So two numbers are enough, and never more
//! than `most` pass within one fixed window.

use crate::payment::moment::UnixMillis;

/// What was counted in one fixed window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Count {
    /// By all nodes, as far as the database has it.
    stored: i64,
    /// By this node, since it has told the others last.
    untold: i64,
}

impl Count {
    const fn all(self) -> i64 {
        self.stored + self.untold
    }
}

/// What was counted of one subject lately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Counted {
    /// When the current window began, in milliseconds: a multiple of the window's length.
    begins_ms: i64,
    current: Count,
    before: Count,
    /// Whether it waits to be told.
    pub(super) is_queued: bool,
}

/// What this node has counted of one subject in one window, and has not told yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Untold {
    pub(super) begins_ms: i64,
    pub(super) count: i64,
}

/// When the window begins that a moment lies in.
pub(super) fn begins_ms(at: UnixMillis, window_ms: i64) -> i64 {
    at.as_i64() - at.as_i64().rem_euclid(window_ms)
}

impl Counted {
    /// Nothing.
    pub(super) fn none(at: UnixMillis, window_ms: i64) -> Self {
        Self {
            begins_ms: begins_ms(at, window_ms),
            current: Count::default(),
            before: Count::default(),
            is_queued: false,
        }
    }

    /// How much counts at this moment, rounded up: what is still in part within reach takes a whole place.
    pub(super) fn at(&self, at: UnixMillis, window_ms: i64) -> i64 {
        let mut then = self.clone();
        then.go_to(begins_ms(at, window_ms), window_ms);
        let passed = (at.as_i64() - then.begins_ms).clamp(0, window_ms);
        let before = then.before.all().max(0) * (window_ms - passed);
        then.current.all().max(0) + before.div_euclid(window_ms) + i64::from(before % window_ms > 0)
    }

    /// Until when `most` count or more, if nothing is counted any more; none where fewer count now.
    pub(super) fn at_most_until(
        &self,
        at: UnixMillis,
        most: i64,
        window_ms: i64,
    ) -> Option<UnixMillis> {
        let is_full = |ms: i64| self.at(UnixMillis::new(ms), window_ms) >= most;
        // What counts only becomes less, and is nothing two windows later.
        let (mut full, mut free) = (at.as_i64(), at.as_i64() + 2 * window_ms);
        if !is_full(full) {
            return None;
        }
        while free - full > 1 {
            let middle = full + (free - full) / 2;
            match is_full(middle) {
                true => full = middle,
                false => free = middle,
            }
        }
        Some(UnixMillis::new(free))
    }

    /// Forgets all that counts, also what other nodes have counted.
    pub(super) fn forget(&mut self) {
        self.current = Count::default();
        self.before = Count::default();
    }

    /// Counts, or takes back what was counted at that moment. What is forgotten by then is not taken back: the count would
    /// be below nothing, and as many more attempts would pass.
    pub(super) fn add(&mut self, at: UnixMillis, count: i64, window_ms: i64) {
        let begins_ms = begins_ms(at, window_ms);
        self.go_to(begins_ms, window_ms);
        if let Some(it) = self.window(begins_ms, window_ms) {
            it.untold += count.max(-it.all().max(0));
        }
    }

    /// Takes in what all nodes have counted in one window.
    pub(super) fn store(&mut self, begins_ms: i64, count: i64, window_ms: i64) {
        self.go_to(begins_ms, window_ms);
        if let Some(it) = self.window(begins_ms, window_ms) {
            it.stored = count;
        }
    }

    /// What was not told yet, which counts as told from now on.
    pub(super) fn take_untold(&mut self, window_ms: i64) -> [Option<Untold>; 2] {
        let before_ms = self.begins_ms - window_ms;
        [
            (self.begins_ms, &mut self.current),
            (before_ms, &mut self.before),
        ]
        .map(|(begins_ms, it)| {
            let count = std::mem::take(&mut it.untold);
            it.stored += count;
            (count != 0).then_some(Untold { begins_ms, count })
        })
    }

    /// Whether others should know of it: it was counted so often, or they know something else.
    pub(super) fn is_to_be_told(&self, told_from: i64) -> bool {
        let of = |it: Count| it.untold != 0 && (it.all() >= told_from || it.stored != 0);
        of(self.current) || of(self.before)
    }

    /// Goes on to a later window. A clock that goes back stays in the window that it was in.
    fn go_to(&mut self, begins_ms: i64, window_ms: i64) {
        if begins_ms <= self.begins_ms {
            return;
        }
        self.before = match begins_ms == self.begins_ms + window_ms {
            true => self.current,
            false => Count::default(),
        };
        self.current = Count::default();
        self.begins_ms = begins_ms;
    }

    fn window(&mut self, begins_ms: i64, window_ms: i64) -> Option<&mut Count> {
        if begins_ms == self.begins_ms {
            Some(&mut self.current)
        } else if begins_ms == self.begins_ms - window_ms {
            Some(&mut self.before)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: i64 = 1_000;

    fn at(ms: i64) -> UnixMillis {
        UnixMillis::new(ms)
    }

    /// What was counted when, and how much of it counts later.
    #[test]
    fn a_window_slides() {
        let counted = |events: &[(i64, i64)]| {
            let mut counted = Counted::none(at(0), WINDOW);
            for (ms, count) in events {
                counted.add(at(*ms), *count, WINDOW);
            }
            counted
        };
        for (events, then, expected) in [
            (&[(0, 4)][..], 0, 4),
            (&[(0, 4)], 999, 4),
            // All of it at the border, so that nothing passes there; then it goes place by place.
            (&[(900, 4)], 1_000, 4),
            (&[(900, 4)], 1_001, 4),
            (&[(900, 4)], 1_250, 3),
            (&[(900, 4)], 1_251, 3),
            (&[(900, 4)], 1_999, 1),
            (&[(900, 4)], 2_000, 0),
            (&[(900, 4), (1_500, 1)], 1_500, 3),
            (&[(900, 4), (1_500, 1)], 2_000, 1),
            (&[(900, 4), (3_500, 1)], 3_500, 1),
            // Taken back, also in the next window; never below nothing.
            (&[(0, 4), (0, -1)], 10, 3),
            (&[(900, 4), (1_100, 1), (900, -1)], 1_500, 3),
            (&[(0, -1)], 0, 0),
            // A window that is over for good is not counted any more.
            (&[(900, 4), (3_500, 1), (900, -1)], 3_500, 1),
            // A clock that goes back counts on.
            (&[(1_500, 2), (1_400, 1)], 1_400, 3),
        ] {
            let case = format!("{events:?} at {then}");
            assert_eq!(counted(events).at(at(then), WINDOW), expected, "{case}");
        }
    }

    #[test]
    fn a_full_window_is_free_again_and_can_be_forgotten() {
        for (events, most, now, until) in [
            (&[(900, 4)][..], 5, 900, None),
            (&[(900, 4)], 4, 900, Some(1_250)),
            (&[(900, 4)], 3, 900, Some(1_500)),
            (&[(900, 4)], 1, 900, Some(2_000)),
            (&[(900, 4), (1_100, 4)], 4, 1_100, Some(2_250)),
            (&[(900, 1)], 1, 2_100, None),
        ] {
            let mut counted = Counted::none(at(0), WINDOW);
            for (ms, count) in events {
                counted.add(at(*ms), *count, WINDOW);
            }
            let free = counted.at_most_until(at(now), most, WINDOW);
            assert_eq!(free, until.map(at), "{events:?} {most}");
            if let Some(free) = free {
                assert!(counted.at(free, WINDOW) < most);
                assert_eq!(counted.at(free.plus_ms(-1), WINDOW), most);
            }
        }
        let mut counted = Counted::none(at(0), WINDOW);
        counted.add(at(900), 2, WINDOW);
        counted.store(0, 7, WINDOW);
        counted.add(at(1_100), 3, WINDOW);
        counted.forget();
        assert_eq!(counted.at(at(1_100), WINDOW), 0);
        assert_eq!(counted.take_untold(WINDOW), [None, None]);
        // An attempt that was on its way, and is not sent after all, is forgotten already.
        counted.add(at(1_100), -1, WINDOW);
        counted.add(at(1_200), 1, WINDOW);
        assert_eq!(counted.at(at(1_200), WINDOW), 1);
    }

    /// No more than `most` pass within a window, however they come.
    #[test]
    fn no_more_than_the_most_pass() {
        for (step_ms, most) in [(1, 5), (7, 5), (130, 5), (500, 1), (333, 2)] {
            let limit = i64::try_from(most).unwrap();
            let mut counted = Counted::none(at(0), WINDOW);
            let mut passed: Vec<i64> = Vec::new();
            for ms in (0..20_000).step_by(step_ms) {
                if counted.at(at(ms), WINDOW) < limit {
                    counted.add(at(ms), 1, WINDOW);
                    passed.push(ms);
                }
            }
            assert!(passed.len() >= most, "{step_ms}");
            for begins in (0..20_000).step_by(1_000) {
                let within = passed
                    .iter()
                    .filter(|ms| (begins..begins + WINDOW).contains(*ms));
                assert!(within.count() <= most, "{step_ms} {begins}");
            }
        }
    }

    #[test]
    fn what_was_told_is_told_once() {
        let mut counted = Counted::none(at(0), WINDOW);
        counted.add(at(900), 1, WINDOW);
        assert!(counted.is_to_be_told(1) && !counted.is_to_be_told(2));
        counted.add(at(1_100), 2, WINDOW);
        assert!(counted.is_to_be_told(2));
        let untold = |begins_ms, count| Some(Untold { begins_ms, count });
        let told = counted.take_untold(WINDOW);
        assert_eq!(told, [untold(1_000, 2), untold(0, 1)]);
        assert_eq!(counted.take_untold(WINDOW), [None, None]);
        assert!(!counted.is_to_be_told(1));
        // It counts on, others add to it, and what is taken back is told.
        assert_eq!(counted.at(at(1_100), WINDOW), 3);
        counted.store(1_000, 7, WINDOW);
        counted.add(at(1_200), -1, WINDOW);
        assert!(counted.is_to_be_told(100));
        assert_eq!(counted.take_untold(WINDOW), [untold(1_000, -1), None]);
        assert_eq!(counted.at(at(2_000), WINDOW), 6);
        // Of a window that is over nothing is taken in.
        counted.store(2_000, 1, WINDOW);
        counted.store(0, 50, WINDOW);
        assert_eq!(counted.at(at(2_000), WINDOW), 7);
    }
}
