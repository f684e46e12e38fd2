//! The running amounts of a payment, and the limits that hold between them.

use serde::{Deserialize, Serialize};

use super::money::MAX_AMOUNT_MINOR;
use super::planted::{Mistake, planted};

/// The running amounts of a payment, in minor units of its currency; as a *change* of them each part is
/// signed. A pending part is the share of the sum beside it that no host has confirmed yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default)]
pub struct Amounts {
    /// What the issuer holds or held.
    #[serde(skip_serializing_if = "is_zero")]
    pub authorized_minor: i64,
    /// The share of `authorized_minor` that an increment in progress asks for.
    #[serde(skip_serializing_if = "is_zero")]
    pub authorized_pending_minor: i64,
    /// What was captured.
    #[serde(skip_serializing_if = "is_zero")]
    pub captured_minor: i64,
    /// The share of `captured_minor` that a capture in progress asks for.
    #[serde(skip_serializing_if = "is_zero")]
    pub captured_pending_minor: i64,
    /// What was refunded.
    #[serde(skip_serializing_if = "is_zero")]
    pub refunded_minor: i64,
    /// The share of `refunded_minor` that a refund in progress asks for.
    #[serde(skip_serializing_if = "is_zero")]
    pub refunded_pending_minor: i64,
    /// What is disputed.
    #[serde(skip_serializing_if = "is_zero")]
    pub disputed_minor: i64,
    /// What of `authorized_minor` is given back, or is to be once a last capture counts: no capture can take it.
    #[serde(skip_serializing_if = "is_zero")]
    pub released_minor: i64,
}

/// Most amounts of most payments are zero; a record of them leaves those out.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde calls it with a reference"
)]
fn is_zero(amount_minor: &i64) -> bool {
    *amount_minor == 0
}

/// A change of amounts that would break a limit. Nothing was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected {limit}, got {left} and {right} minor units")]
pub struct LimitExceeded {
    /// The limit.
    pub limit: &'static str,
    /// The side of it that must not be larger.
    pub left: i64,
    /// The other side.
    pub right: i64,
}

impl Amounts {
    /// Nothing authorized, captured, refunded or disputed.
    pub const ZERO: Self = Self {
        authorized_minor: 0,
        authorized_pending_minor: 0,
        captured_minor: 0,
        captured_pending_minor: 0,
        refunded_minor: 0,
        refunded_pending_minor: 0,
        disputed_minor: 0,
        released_minor: 0,
    };

    /// What the issuer is known to hold or have held.
    #[must_use]
    pub const fn confirmed_minor(&self) -> i64 {
        self.authorized_minor - self.authorized_pending_minor
    }

    /// What may still be captured, in minor units: the confirmed hold less what was or is being captured, and less what
    /// is released.
    #[must_use]
    pub const fn capturable_minor(&self) -> i64 {
        self.confirmed_minor() - self.captured_minor - self.released_minor
    }

    /// What may still be refunded, in minor units: the confirmed captures less refunds and disputes; 0
    /// where a dispute has taken more than is left.
    #[must_use]
    pub const fn refundable_minor(&self) -> i64 {
        let left = self.captured_minor
            - self.captured_pending_minor
            - self.refunded_minor
            - self.disputed_minor;
        if left > 0 { left } else { 0 }
    }

    /// Whether everything was refunded that was captured, and nothing is on its way.
    #[must_use]
    pub const fn is_refunded_whole(&self) -> bool {
        self.captured_minor > 0
            && self.captured_pending_minor == 0
            && self.refunded_pending_minor == 0
            && self.refunded_minor == self.captured_minor
    }

    /// The amounts after `change`.
    ///
    /// # Errors
    /// When a limit would not hold: each part is at least 0, a pending part is at most its sum, captured and released
    /// together at most authorized, refunded at most captured. (A dispute is never refused: what it makes negative is
    /// found by reconciliation.)
    pub fn plus(&self, change: &Self) -> Result<Self, LimitExceeded> {
        let sum = Self {
            authorized_minor: self
                .authorized_minor
                .saturating_add(change.authorized_minor),
            authorized_pending_minor: self
                .authorized_pending_minor
                .saturating_add(change.authorized_pending_minor),
            captured_minor: self.captured_minor.saturating_add(change.captured_minor),
            captured_pending_minor: self
                .captured_pending_minor
                .saturating_add(change.captured_pending_minor),
            refunded_minor: self.refunded_minor.saturating_add(change.refunded_minor),
            refunded_pending_minor: self
                .refunded_pending_minor
                .saturating_add(change.refunded_pending_minor),
            disputed_minor: self.disputed_minor.saturating_add(change.disputed_minor),
            released_minor: self.released_minor.saturating_add(change.released_minor),
        };
        sum.check().map(|()| sum)
    }

    fn check(&self) -> Result<(), LimitExceeded> {
        let limits = [
            (
                "no more authorized than a message can say",
                self.authorized_minor,
                MAX_AMOUNT_MINOR,
            ),
            (
                "no pending increment below 0",
                0,
                self.authorized_pending_minor,
            ),
            ("no pending capture below 0", 0, self.captured_pending_minor),
            ("no pending refund below 0", 0, self.refunded_pending_minor),
            ("nothing disputed below 0", 0, self.disputed_minor),
            ("nothing released below 0", 0, self.released_minor),
            (
                "a pending increment within what is authorized",
                self.authorized_pending_minor,
                self.authorized_minor,
            ),
            (
                "captures and releases within the confirmed hold",
                self.captured_minor.saturating_add(self.released_minor),
                self.confirmed_minor(),
            ),
            (
                "a pending capture within what is captured",
                self.captured_pending_minor,
                self.captured_minor,
            ),
            (
                "refunds within the confirmed captures",
                self.refunded_minor,
                self.captured_minor - self.captured_pending_minor,
            ),
            (
                "a pending refund within what is refunded",
                self.refunded_pending_minor,
                self.refunded_minor,
            ),
        ];
        limits.into_iter().try_for_each(|(limit, left, right)| {
            if left <= right || planted(Mistake::NoLimits) {
                Ok(())
            } else {
                Err(LimitExceeded { limit, left, right })
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn amounts(parts: [i64; 8]) -> Amounts {
        let [
            authorized_minor,
            authorized_pending_minor,
            captured_minor,
            captured_pending_minor,
            refunded_minor,
            refunded_pending_minor,
            disputed_minor,
            released_minor,
        ] = parts;
        Amounts {
            authorized_minor,
            authorized_pending_minor,
            captured_minor,
            captured_pending_minor,
            refunded_minor,
            refunded_pending_minor,
            disputed_minor,
            released_minor,
        }
    }

    /// Authorized, captured and refunded, each with what is pending; disputed; released.
    #[test]
    fn changes_keep_the_limits() {
        // A dispute is taken whatever it meets. What is only pending can't be refunded, nor an increment
        // captured that no host confirmed.
        let table = "
               0   0   0   0   0   0 0 0 | 1000 0    0    0   0   0   0 0 | holds
            1000   0   0   0   0   0 0 0 | 0 0  600  600   0   0   0 0 | holds
            1000   0 600 600   0   0 0 0 | 0 0  600  600   0   0   0 0 | breaks
            1000   0 600 600   0   0 0 0 | 0 0    0 -600   0   0   0 0 | holds
            1000   0 600 600   0   0 0 0 | 0 0 -600 -600   0   0   0 0 | holds
            1000   0 600 600   0   0 0 0 | 0 0    0    0 100 100   0 0 | breaks
            1000   0 600   0   0   0 0 0 | 0 0    0    0 600 600   0 0 | holds
            1000   0   0   0   0   0 0 0 | 999999998999 9 0 0 0 0 0 0 | holds
            1000   0   0   0   0   0 0 0 | 999999999000 9 0 0 0 0 0 0 | breaks
            1500 500   0   0   0   0 0 0 | 0 0 1200 1200   0   0   0 0 | breaks
            1000   0   0   0   0   0 0 0 | 0 0   -1    0   0   0   0 0 | breaks
            1000   0 600   0 600   0 0 0 | 0 0    0    0   0   0 600 0 | holds
            1000   0 700   0   0   0 0 0 | 0 0    0    0   0   0   0 300 | holds
            1000   0 700   0   0   0 0 0 | 0 0    0    0   0   0   0 301 | breaks
            1000   0 700   0   0   0 0 300 | 0 0    1    0   0   0   0 0 | breaks
            1000   0 700   0   0   0 0 300 | 0 0 -700    0   0   0   0 -301 | breaks";
        for row in table.trim().lines() {
            let [before, change, expected] = row.split('|').collect::<Vec<_>>()[..] else {
                panic!("{row}");
            };
            let read = |text: &str| {
                let parts: Vec<_> = text
                    .split_whitespace()
                    .map(|it| it.parse().unwrap())
                    .collect();
                amounts(parts.try_into().unwrap())
            };
            let after = read(before).plus(&read(change));
            assert_eq!(after.is_ok(), expected == " holds", "{row} {after:?}");
        }
        let disputed = amounts([1000, 0, 600, 0, 0, 0, 700, 300]);
        assert_eq!(
            (disputed.capturable_minor(), disputed.refundable_minor()),
            (100, 0)
        );
    }
}
