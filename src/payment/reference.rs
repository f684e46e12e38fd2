//! MTI, STAN and RRN: what a bank knows a message by.
//!
//! Both come from one sequence that a node reserves in blocks, unique for each host and number
//! date. The STAN has six digits and wraps; the RRN carries the whole sequence and does not, so that
//! the pair never repeats on a number date.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::moment::NumberDate;

/// Number of different STANs: 000001 to 999999 (ISO 8583:1987 DE 11, n 6).
pub const STAN_COUNT: u64 = 999_999;
/// Number of different RRNs of one host on one number date: eight digits.
pub const RRN_COUNT: u64 = 100_000_000;

/// A number of the sequence of one host on one number date: 0 to [`RRN_COUNT`] - 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SequenceNumber(u64);

impl SequenceNumber {
    /// The `number`-th number of the day; `None` when the day's numbers are used up.
    #[must_use]
    pub fn new(number: u64) -> Option<Self> {
        (number < RRN_COUNT).then_some(Self(number))
    }

    /// The number, 0 to [`RRN_COUNT`] - 1.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }

    /// Its STAN, 1 to [`STAN_COUNT`].
    #[must_use]
    pub fn stan(self) -> Stan {
        Stan(u32::try_from(self.0 % STAN_COUNT + 1).unwrap_or(1))
    }

    /// Its RRN: last digit of the year, day of the year (3), sequence (8), all digits.
    #[must_use]
    pub fn rrn(self, date: NumberDate) -> Rrn {
        let date = date.date();
        let text = format!(
            "{}{:03}{:08}",
            date.year().rem_euclid(10),
            date.ordinal(),
            self.0
        );
        let mut bytes = [b'0'; 12];
        for (to, from) in bytes.iter_mut().zip(text.bytes()) {
            *to = from;
        }
        Rrn(bytes)
    }
}

/// The number that a sequence goes on with after the database was restored `restores` times, and the restored one would
/// go on with `next`. Each time half of what is left of the day is left out, in whole rounds of STANs, and a third of
/// a round more, so that the next STANs are not those that came after `next` either.
#[must_use]
pub fn after_restores(next: u64, restores: u32) -> u64 {
    // After so many nothing is left.
    (0..restores.min(32)).fold(next.min(RRN_COUNT), |next, _| {
        let rounds = (RRN_COUNT - next) / 2 / STAN_COUNT;
        (next + rounds * STAN_COUNT + STAN_COUNT / 3).min(RRN_COUNT)
    })
}

/// System trace audit number, DE 11: 1 to 999999, shown with six digits, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Stan(u32);

/// A number or text that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, got {got:?}")]
pub struct InvalidReference {
    /// What it should look like.
    pub expected: &'static str,
    /// The text as it came, cut to 20 characters.
    pub got: String,
}

impl Stan {
    /// That of an operation of which no message is sent.
    pub const NONE: Self = Self(0);

    /// The number, 1 to 999999; 0 where no message is sent.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for Stan {
    type Error = InvalidReference;

    fn try_from(number: u32) -> Result<Self, Self::Error> {
        if (1..=999_999).contains(&number) {
            Ok(Self(number))
        } else {
            Err(InvalidReference {
                expected: "a STAN of 1 to 999999",
                got: number.to_string(),
            })
        }
    }
}

impl From<Stan> for u32 {
    fn from(stan: Stan) -> Self {
        stan.0
    }
}

impl fmt::Display for Stan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NONE => Ok(()),
            Self(number) => write!(f, "{number:06}"),
        }
    }
}

/// A text of `least` to `most` ASCII characters, each of which is `allowed`.
macro_rules! ascii_text {
    ($(#[$doc:meta])* $name:ident, $least:literal..=$most:literal, $allowed:path, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name([u8; $most]);

        impl $name {
            /// The characters.
            #[must_use]
            pub fn as_str(&self) -> &str {
                // A shorter text has NULs behind it.
                let text = std::str::from_utf8(&self.0).unwrap_or_default();
                text.trim_end_matches('\0')
            }
        }

        impl FromStr for $name {
            type Err = InvalidReference;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let fits = text.len() >= $least && text.as_bytes().iter().all($allowed);
                let mut characters = [0; $most];
                match characters.get_mut(..text.len()).filter(|_| fits) {
                    Some(place) => {
                        place.copy_from_slice(text.as_bytes());
                        Ok(Self(characters))
                    }
                    None => Err(InvalidReference {
                        expected: $expected,
                        got: text.chars().take(20).collect(),
                    }),
                }
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidReference;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.as_str().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(super) use ascii_text;

ascii_text!(
    /// Retrieval reference number, DE 37: twelve letters or digits (an 12).
    Rrn,
    12..=12,
    u8::is_ascii_alphanumeric,
    "an RRN of twelve letters or digits"
);

impl Rrn {
    /// That of an operation of which no message is sent.
    pub const NONE: Self = Self([0; 12]);
}

ascii_text!(
    /// Message type indicator: four digits (ISO 8583:1987, clause 4.1), for instance `0100`.
    Mti,
    4..=4,
    u8::is_ascii_digit,
    "a message type of four digits"
);

impl Mti {
    /// Whether its function digit says a request, and not an advice.
    #[must_use]
    pub const fn is_request(&self) -> bool {
        self.0[2] == b'0'
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stan_wraps_and_the_rrn_does_not() {
        let date: NumberDate = "2026-11-21".parse().unwrap();
        let of = |n| {
            let number = SequenceNumber::new(n).unwrap();
            (number.stan().get(), number.rrn(date).to_string())
        };
        assert_eq!(of(0), (1, "632500000000".into()));
        assert_eq!(of(999_998), (999_999, "632500999998".into()));
        assert_eq!(of(999_999), (1, "632500999999".into()));
        assert_eq!(of(99_999_999).1, "632599999999");
        assert_eq!(SequenceNumber::new(100_000_000), None);
    }

    #[test]
    fn a_restore_leaves_out_half_of_what_is_left_and_a_third_of_the_stans() {
        let stan = |number| SequenceNumber::new(number).unwrap().stan().get();
        for next in [0, 2_000, 700_000, 60_000_000] {
            let (once, twice) = (after_restores(next, 1), after_restores(next, 2));
            assert_eq!(after_restores(next, 0), next);
            assert_eq!(after_restores(once, 1), twice);
            let left = RRN_COUNT - next;
            assert!(once.abs_diff(next + left / 2) < STAN_COUNT, "{next} {once}");
            assert!(
                twice.abs_diff(next + left / 4 * 3) < 2 * STAN_COUNT,
                "{next} {twice}"
            );
            for later in [once, twice] {
                let apart = u64::from(stan(later).abs_diff(stan(next)));
                assert!(
                    apart.min(STAN_COUNT - apart) >= STAN_COUNT / 3 - 1,
                    "{next} {later}"
                );
            }
        }
        assert_eq!(after_restores(RRN_COUNT - 1, 1), RRN_COUNT);
        assert_eq!(after_restores(0, u32::MAX), RRN_COUNT);
    }

    #[test]
    fn what_is_no_rrn_is_refused() {
        for text in [
            "",
            "63250000000",
            "6325000000000",
            "63250000000 ",
            "63250000000é",
        ] {
            assert!(text.parse::<Rrn>().is_err(), "{text}");
        }
    }
}
