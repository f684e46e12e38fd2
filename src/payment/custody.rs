//! Custody of a card: what is kept of it for messages that may still have to be sent, and how long.

use super::amounts::Amounts;
use super::event::PaymentEvent;
use super::moment::UnixMillis;

/// A card, sealed under a data key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustodyEntry {
    /// The data key's version, from 1.
    pub key_version: i64,
    /// The sealed card, base64url.
    pub sealed: String,
}

/// How long cards are kept after the last event that may still cause a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CustodyTimes {
    /// Days after a hold has ended, or after the last message of a reversal of which the bank did not say that it was
    /// carried out.
    pub late_days: u16,
    /// Days after the last capture.
    pub refund_days: u16,
}

/// What an event changes of how long a payment's card is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CustodyEnd {
    /// Nothing. A card is kept until something else is said, at the latest until its data key ends.
    #[default]
    Unchanged,
    /// It ends now: the sealed card is removed with the same commit.
    Now,
    /// It ends at this moment.
    At(UnixMillis),
}

impl CustodyTimes {
    /// What `event`, which happens `at` that moment to a payment with these amounts, changes. A confirmed void or
    /// reversal counts as carried out; where the bank did not say so, the end is [`late`](Self::late).
    #[must_use]
    pub fn end_after(self, event: &PaymentEvent, amounts: &Amounts, at: UnixMillis) -> CustodyEnd {
        use PaymentEvent as E;
        match event {
            // A release may be owed still.
            E::VoidConfirmed if amounts.released_minor > 0 => self.late(at),
            // What is captured can be refunded for longer, and may still be owed.
            E::HoldExpired if amounts.captured_minor > 0 => CustodyEnd::Unchanged,
            E::Declined(_)
            | E::NotSent(_)
            | E::VoidConfirmed
            | E::SaleVoided
            | E::ReversalConfirmed => CustodyEnd::Now,
            E::Approved { expires_at, .. } | E::FoundToStand { expires_at, .. } => {
                self.late(*expires_at)
            }
            // After a late decline an approval may come, which is reversed.
            E::HoldExpired | E::DeclinedLate(_) => self.late(at),
            E::Captured
            | E::Sold(_)
            | E::VoidStarted
            | E::SaleVoidStarted
            | E::VoidUnknown
            | E::ReversalStarted
            | E::ReversalOwedAgain => self.owed(at),
            E::ActionRequired { .. }
            | E::AuthorizationStarted
            | E::OutcomeUnknown(_)
            | E::CaptureStarted
            | E::CaptureRefused
            | E::RefundStarted
            | E::Refunded
            | E::RefundRefused
            | E::IncrementStarted
            | E::IncrementUnknown
            | E::Incremented
            | E::IncrementRefused
            | E::VoidRefused
            | E::ReleaseStarted
            | E::Released
            | E::ChargedBack
            | E::ChargebackReversed => CustodyEnd::Unchanged,
        }
    }

    /// The end where a message is owed from that moment on: it is on its way for days at most.
    #[must_use]
    pub fn owed(self, at: UnixMillis) -> CustodyEnd {
        CustodyEnd::At(at.plus_days(self.refund_days))
    }

    /// The end where the last message was sent, or the hold ended, `at` that moment.
    #[must_use]
    pub fn late(self, at: UnixMillis) -> CustodyEnd {
        CustodyEnd::At(at.plus_days(self.late_days))
    }

    /// When a data key made at `created_at` ends, whatever it seals: after the longest that a card can be kept,
    /// where holds end after `hold_days`.
    #[must_use]
    pub fn key_expires_at(self, created_at: UnixMillis, hold_days: u16) -> UnixMillis {
        // It seals for a day.
        let days = [1, hold_days, self.refund_days, self.late_days];
        days.into_iter().fold(created_at, UnixMillis::plus_days)
    }
}

#[cfg(test)]
mod tests {
    use super::super::decline::{
        Decline, DeclineAdvice, DeclineReason, FailureReason, UnknownReason,
    };
    use super::super::samples::{self, NOW};
    use super::*;

    #[test]
    fn each_event_says_how_long_the_card_is_kept() {
        use CustodyEnd::{At, Now, Unchanged};
        use PaymentEvent as E;
        let times = CustodyTimes {
            late_days: 3,
            refund_days: 180,
        };
        let days = |days: i64| NOW.plus_ms(days * 86_400_000);
        let approval = samples::approval();
        let expires_at = days(7);
        let decline = Decline {
            reason: DeclineReason::InsufficientFunds,
            response_code: "51".parse().unwrap(),
            advice: DeclineAdvice::RetryLater,
        };
        for (event, expected) in [
            (E::ActionRequired { expires_at }, Unchanged),
            (E::AuthorizationStarted, Unchanged),
            (
                E::Approved {
                    approval,
                    expires_at,
                },
                At(days(10)),
            ),
            (E::Declined(decline), Now),
            (E::DeclinedLate(decline), At(days(3))),
            (E::NotSent(FailureReason::HostBusy), Now),
            (E::OutcomeUnknown(UnknownReason::NoAnswerInTime), Unchanged),
            (E::CaptureStarted, Unchanged),
            (E::Captured, At(days(180))),
            (E::CaptureRefused, Unchanged),
            (E::VoidStarted, At(days(180))),
            (E::SaleVoidStarted, At(days(180))),
            (E::SaleVoided, Now),
            (E::VoidConfirmed, Now),
            (E::VoidRefused, Unchanged),
            (E::Released, Unchanged),
            (E::HoldExpired, At(days(3))),
            (E::ReversalStarted, At(days(180))),
            (E::ReversalConfirmed, Now),
            (E::ReversalOwedAgain, At(days(180))),
        ] {
            assert_eq!(
                times.end_after(&event, &Amounts::ZERO, NOW),
                expected,
                "{}",
                event.name()
            );
        }
        let amounts = Amounts {
            captured_minor: 1,
            released_minor: 1,
            ..Amounts::ZERO
        };
        let end_after = |event| times.end_after(&event, &amounts, NOW);
        assert_eq!(end_after(E::VoidConfirmed), At(days(3)));
        assert_eq!(end_after(E::HoldExpired), Unchanged);
        assert_eq!(times.key_expires_at(NOW, 7), days(191));
    }
}
