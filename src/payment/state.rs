//! The states of a payment, and the one function that moves between them.

use serde::{Deserialize, Serialize};

use super::amounts::Amounts;
use super::decline::{Approval, Decline, FailureReason, UnknownReason};
use super::moment::UnixMillis;

/// Where a payment stands. Each state owns what is known in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum PaymentState {
    /// Recorded; nothing was sent.
    Created,
    /// The customer must do something first.
    RequiresAction {
        /// When the offer to do it ends.
        expires_at: UnixMillis,
    },
    /// An authorization is on its way, or its outcome is not known.
    Authorizing {
        /// Set once the gateway stopped waiting: the payment is pending and a reversal is owed.
        pending: Option<UnknownReason>,
    },
    /// The issuer holds the amount.
    Authorized {
        /// What the bank answered.
        approval: Approval,
        /// When the hold ends by itself.
        expires_at: UnixMillis,
    },
    /// The bank said no.
    Declined {
        /// What the bank answered.
        decline: Decline,
    },
    /// No bank saw it.
    Failed {
        /// Why not.
        reason: FailureReason,
    },
    /// Part of the authorized amount was captured.
    PartiallyCaptured {
        /// What the bank answered to the authorization.
        approval: Approval,
        /// When the rest of the hold ends by itself.
        expires_at: UnixMillis,
    },
    /// Everything was captured that can be.
    Captured {
        /// What the bank answered to the authorization.
        approval: Approval,
        /// When the hold would end; none where it has ended.
        expires_at: Option<UnixMillis>,
    },
    /// A void is on its way.
    Voiding {
        /// What the bank answered to the authorization or the sale.
        approval: Approval,
        /// When the hold ends by itself; none of a sale, which has no hold.
        expires_at: Option<UnixMillis>,
    },
    /// The hold was given back before any capture, or the whole sale.
    Voided,
    /// The hold ended by itself.
    Expired,
    /// The reversal of an authorization whose outcome is not known is on its way.
    Reversing {
        /// Why the outcome is not known.
        pending: UnknownReason,
    },
    /// The bank confirmed the reversal.
    Reversed,
}

/// What can happen to a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentEvent {
    /// The customer must do something first.
    ActionRequired {
        /// When the offer to do it ends.
        expires_at: UnixMillis,
    },
    /// The intent to send an authorization was recorded.
    AuthorizationStarted,
    /// The bank approved in time.
    Approved {
        /// What it answered.
        approval: Approval,
        /// When the hold ends by itself.
        expires_at: UnixMillis,
    },
    /// The bank approved a sale: the whole amount is authorized and captured.
    Sold(Approval),
    /// The bank declined in time.
    Declined(Decline),
    /// Certainly no byte was sent.
    NotSent(FailureReason),
    /// The message may have been sent, and no answer came.
    OutcomeUnknown(UnknownReason),
    /// A capture is on its way, or its outcome is not known: its amount is taken, and does not count yet.
    CaptureStarted,
    /// A capture counts.
    Captured,
    /// A capture does not count, and its amount is free again.
    CaptureRefused,
    /// A refund is on its way, or its outcome is not known: its amount is taken, and does not count yet.
    RefundStarted,
    /// A refund counts.
    Refunded,
    /// A refund does not count, and its amount can be refunded again.
    RefundRefused,
    /// An increment is on its way, or its outcome is not known: its amount is pending.
    IncrementStarted,
    /// An increment counts.
    Incremented,
    /// An increment does not count.
    IncrementRefused,
    /// A void of a hold was begun.
    VoidStarted,
    /// A void of a whole sale was begun.
    SaleVoidStarted,
    /// A whole sale was voided at once: the bank need not be told by a message.
    SaleVoided,
    /// The outcome of a void is not known.
    VoidUnknown,
    /// The bank confirmed the void, or need not be told.
    VoidConfirmed,
    /// The bank refused the void.
    VoidRefused,
    /// The bank has given back what is left of the hold, or need not be told.
    Released,
    /// The hold ended by itself.
    HoldExpired,
    /// The bank's decline came late, and before the reversal was sent.
    DeclinedLate(Decline),
    /// An operator found out that the bank holds the amount, and that the hold stands.
    FoundToStand {
        /// What is known of the bank's answer.
        approval: Approval,
        /// When the hold ends by itself.
        expires_at: UnixMillis,
    },
    /// The owed reversal is about to be sent for the first time.
    ReversalStarted,
    /// The bank confirmed the reversal, or nothing is left to reverse.
    ReversalConfirmed,
    /// The bank approved after a reversal that may have undone nothing: another reversal is owed.
    ReversalOwedAgain,
}

/// The merchant has cancelled the request: whatever the bank answers, nothing is to be authorized.
const CANCELLED: Option<UnknownReason> = Some(UnknownReason::CancelledByMerchant);

/// An event that has no place in a state. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a payment in state {state} can't take the event {event}")]
pub struct IllegalTransition {
    /// The state's name.
    pub state: &'static str,
    /// The event's name.
    pub event: &'static str,
}

impl PaymentState {
    /// The name that the store and the API use.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Created => "CREATED",
            Self::RequiresAction { .. } => "REQUIRES_ACTION",
            Self::Authorizing { .. } => "AUTHORIZING",
            Self::Authorized { .. } => "AUTHORIZED",
            Self::Declined { .. } => "DECLINED",
            Self::Failed { .. } => "FAILED",
            Self::PartiallyCaptured { .. } => "PARTIALLY_CAPTURED",
            Self::Captured { .. } => "CAPTURED",
            Self::Voiding { .. } => "VOIDING",
            Self::Voided => "VOIDED",
            Self::Expired => "EXPIRED",
            Self::Reversing { .. } => "REVERSING",
            Self::Reversed => "REVERSED",
        }
    }
}

impl PaymentState {
    /// When the hold ends by itself, where there is one.
    #[must_use]
    pub fn expires_at(&self) -> Option<UnixMillis> {
        match self {
            Self::Authorized { expires_at, .. } | Self::PartiallyCaptured { expires_at, .. } => {
                Some(*expires_at)
            }
            Self::Captured { expires_at, .. } | Self::Voiding { expires_at, .. } => *expires_at,
            _ => None,
        }
    }

    /// When the hold ends by itself, where nothing else ends it first.
    #[must_use]
    pub fn hold_ends_at(&self) -> Option<UnixMillis> {
        match self {
            Self::Authorized { expires_at, .. } | Self::PartiallyCaptured { expires_at, .. } => {
                Some(*expires_at)
            }
            _ => None,
        }
    }

    /// What the bank answered to the authorization, in time or late, where it is held or captured.
    #[must_use]
    pub fn approval(&self) -> Option<&Approval> {
        match self {
            Self::Authorized { approval, .. }
            | Self::PartiallyCaptured { approval, .. }
            | Self::Captured { approval, .. }
            | Self::Voiding { approval, .. } => Some(approval),
            _ => None,
        }
    }

    /// Whether its merchant has cancelled it while it was on its way.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        *self == Self::Authorizing { pending: CANCELLED }
    }

    /// Whether a reversal of it is owed, and not acknowledged yet.
    #[must_use]
    pub fn owes(&self) -> bool {
        matches!(
            self,
            Self::Authorizing { pending: Some(_) } | Self::Reversing { .. }
        )
    }
}

impl PaymentEvent {
    /// The names of the states in which it has a place.
    #[must_use]
    pub fn allowed_states(&self) -> &'static [&'static str] {
        match self {
            Self::ActionRequired { .. } => &["CREATED"],
            Self::AuthorizationStarted => &["CREATED", "REQUIRES_ACTION"],
            Self::Approved { .. }
            | Self::Declined(_)
            | Self::NotSent(_)
            | Self::OutcomeUnknown(_) => &["AUTHORIZING"],
            Self::CaptureStarted | Self::Captured => &["AUTHORIZED", "PARTIALLY_CAPTURED"],
            Self::CaptureRefused => &["AUTHORIZED", "PARTIALLY_CAPTURED", "CAPTURED"],
            Self::RefundStarted | Self::Refunded | Self::RefundRefused => {
                &["PARTIALLY_CAPTURED", "CAPTURED"]
            }
            Self::Released => &[
                "AUTHORIZED",
                "PARTIALLY_CAPTURED",
                "CAPTURED",
                "VOIDING",
                "VOIDED",
                "EXPIRED",
            ],
            Self::VoidStarted | Self::IncrementStarted => &["AUTHORIZED"],
            Self::Incremented | Self::IncrementRefused => &["AUTHORIZED", "PARTIALLY_CAPTURED"],
            Self::SaleVoidStarted | Self::SaleVoided => &["CAPTURED"],
            Self::VoidConfirmed => &["AUTHORIZED", "VOIDING"],
            Self::VoidUnknown | Self::VoidRefused => &["VOIDING"],
            Self::HoldExpired => &["REQUIRES_ACTION", "AUTHORIZED", "PARTIALLY_CAPTURED"],
            Self::DeclinedLate(_) | Self::ReversalStarted => &["AUTHORIZING"],
            Self::FoundToStand { .. } | Self::Sold(_) => &["AUTHORIZING", "REVERSING"],
            Self::ReversalConfirmed => &["AUTHORIZING", "REVERSING", "REVERSED"],
            Self::ReversalOwedAgain => &["REVERSED"],
        }
    }

    /// A name for errors and logs.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::ActionRequired { .. } => "ActionRequired",
            Self::AuthorizationStarted => "AuthorizationStarted",
            Self::Approved { .. } => "Approved",
            Self::Sold(_) => "Sold",
            Self::Declined(_) => "Declined",
            Self::NotSent(_) => "NotSent",
            Self::OutcomeUnknown(_) => "OutcomeUnknown",
            Self::CaptureStarted => "CaptureStarted",
            Self::Captured => "Captured",
            Self::CaptureRefused => "CaptureRefused",
            Self::RefundStarted => "RefundStarted",
            Self::Refunded => "Refunded",
            Self::RefundRefused => "RefundRefused",
            Self::IncrementStarted => "IncrementStarted",
            Self::Incremented => "Incremented",
            Self::IncrementRefused => "IncrementRefused",
            Self::VoidStarted => "VoidStarted",
            Self::SaleVoidStarted => "SaleVoidStarted",
            Self::SaleVoided => "SaleVoided",
            Self::VoidUnknown => "VoidUnknown",
            Self::VoidConfirmed => "VoidConfirmed",
            Self::VoidRefused => "VoidRefused",
            Self::Released => "Released",
            Self::HoldExpired => "HoldExpired",
            Self::DeclinedLate(_) => "DeclinedLate",
            Self::FoundToStand { .. } => "FoundToStand",
            Self::ReversalStarted => "ReversalStarted",
            Self::ReversalConfirmed => "ReversalConfirmed",
            Self::ReversalOwedAgain => "ReversalOwedAgain",
        }
    }
}

/// The state after `event`, where the amounts are `amounts` already. While a capture or an increment is pending
/// no void, expiry or reversal of the payment begins; nor does the void of a sale of which something is or is being
/// refunded.
///
/// An answer is taken only while the gateway still waits for it (`Authorizing` with nothing
/// pending). Once the merchant was told "pending", a late decline ends the payment as long as its reversal was
/// not begun. After that only the reversal leads on.
///
/// # Errors
/// When the event has no place in the state; the caller saves nothing then.
pub fn apply(
    state: &PaymentState,
    event: PaymentEvent,
    amounts: &Amounts,
) -> Result<PaymentState, IllegalTransition> {
    use PaymentEvent as E;
    use PaymentState as S;
    // What is on its way to the bank may still count, so nothing ends a payment under it.
    let pending = amounts.captured_pending_minor > 0 || amounts.authorized_pending_minor > 0;
    let ends = matches!(
        event,
        E::VoidStarted | E::VoidConfirmed | E::HoldExpired | E::ReversalStarted
    );
    if pending && ends {
        return Err(IllegalTransition {
            state: state.name(),
            event: event.name(),
        });
    }
    let next = match (state, event) {
        (S::Created, E::ActionRequired { expires_at }) => S::RequiresAction { expires_at },
        (S::Created | S::RequiresAction { .. }, E::AuthorizationStarted) => {
            S::Authorizing { pending: None }
        }
        (S::RequiresAction { .. }, E::HoldExpired) => S::Expired,
        (
            S::Authorizing { pending: None },
            E::Approved {
                approval,
                expires_at,
            },
        ) => S::Authorized {
            approval,
            expires_at,
        },
        // Of one whose outcome was not known an operator says so.
        (S::Authorizing { .. } | S::Reversing { .. }, E::Sold(approval)) => S::Captured {
            approval,
            expires_at: None,
        },
        (S::Authorizing { pending: None }, E::Declined(decline)) => S::Declined { decline },
        // A merchant that has cancelled the request is told what came of it, or that it is reversed.
        (S::Authorizing { pending: None | CANCELLED }, E::NotSent(reason)) => S::Failed { reason },
        (S::Authorizing { pending: CANCELLED }, E::OutcomeUnknown(_)) => state.clone(),
        (S::Authorizing { pending: None }, E::OutcomeUnknown(reason)) => S::Authorizing {
            pending: Some(reason),
        },
        (S::Authorizing { pending: Some(_) }, E::DeclinedLate(decline)) => S::Declined { decline },
        (
            S::Authorizing {
                pending: Some(reason),
            },
            E::ReversalStarted,
        ) => S::Reversing { pending: *reason },
        (
            S::Authorizing { pending: Some(_) } | S::Reversing { .. },
            E::FoundToStand {
                approval,
                expires_at,
            },
        ) => S::Authorized {
            approval,
            expires_at,
        },
        // Without having been sent where an operator says so.
        (S::Authorizing { pending: Some(_) } | S::Reversing { .. }, E::ReversalConfirmed) => {
            S::Reversed
        }
        // It is final, and stays so: what is owed still is between payswitch and the bank.
        (S::Reversed, E::ReversalOwedAgain | E::ReversalConfirmed) => S::Reversed,
        (S::Authorized { .. } | S::PartiallyCaptured { .. }, E::CaptureStarted)
        | (S::Authorized { .. }, E::IncrementStarted)
        | (S::Captured { .. }, E::RefundStarted | E::Refunded | E::RefundRefused)
        // Its capture may have been refused since, and its hold voided.
        | (
            S::Authorized { .. }
            | S::Captured { .. }
            | S::Voiding { .. }
            | S::Voided
            | S::Expired,
            E::Released,
        ) => state.clone(),
        // What is left of the hold may be released by it.
        (
            S::PartiallyCaptured {
                approval,
                expires_at,
            },
            E::RefundStarted | E::Refunded | E::RefundRefused | E::Released,
        ) => captured(approval.clone(), *expires_at, amounts),
        (
            S::Authorized {
                approval,
                expires_at,
            }
            | S::PartiallyCaptured {
                approval,
                expires_at,
            },
            E::Captured | E::CaptureRefused | E::Incremented | E::IncrementRefused,
        )
        | (
            S::Captured {
                approval,
                expires_at: Some(expires_at),
            },
            E::CaptureRefused,
        ) => captured(approval.clone(), *expires_at, amounts),
        (
            S::Captured {
                approval,
                expires_at: None,
            },
            E::CaptureRefused,
        ) => match amounts.captured_minor {
            0 => S::Expired,
            _ => S::Captured {
                approval: approval.clone(),
                expires_at: None,
            },
        },
        (
            S::Authorized {
                approval,
                expires_at,
            },
            E::VoidStarted,
        ) => S::Voiding {
            approval: approval.clone(),
            expires_at: Some(*expires_at),
        },
        (
            S::Captured {
                approval,
                expires_at: None,
            },
            E::SaleVoidStarted,
        ) if amounts.refunded_minor == 0 => S::Voiding {
            approval: approval.clone(),
            expires_at: None,
        },
        (
            S::Captured {
                expires_at: None, ..
            },
            E::SaleVoided,
        ) if amounts.refunded_minor == 0 => S::Voided,
        (S::Voiding { .. }, E::VoidUnknown) => state.clone(),
        (S::Authorized { .. } | S::Voiding { .. }, E::VoidConfirmed) => S::Voided,
        (
            S::Voiding {
                approval,
                expires_at: Some(expires_at),
            },
            E::VoidRefused,
        ) => S::Authorized {
            approval: approval.clone(),
            expires_at: *expires_at,
        },
        (
            S::Voiding {
                approval,
                expires_at: None,
            },
            E::VoidRefused,
        ) => S::Captured {
            approval: approval.clone(),
            expires_at: None,
        },
        (S::Authorized { .. }, E::HoldExpired) => S::Expired,
        // What was captured stays captured when the rest of the hold ends.
        (S::PartiallyCaptured { approval, .. }, E::HoldExpired) => S::Captured {
            approval: approval.clone(),
            expires_at: None,
        },
        (state, event) => {
            return Err(IllegalTransition {
                state: state.name(),
                event: event.name(),
            });
        }
    };
    Ok(next)
}

/// The state of a payment whose hold lasts, by how much of it is captured for sure, and how much is released.
fn captured(approval: Approval, expires_at: UnixMillis, amounts: &Amounts) -> PaymentState {
    let captured_minor = amounts.captured_minor - amounts.captured_pending_minor;
    if captured_minor > 0 && captured_minor >= amounts.authorized_minor - amounts.released_minor {
        PaymentState::Captured {
            approval,
            expires_at: Some(expires_at),
        }
    } else if captured_minor == 0 {
        PaymentState::Authorized {
            approval,
            expires_at,
        }
    } else {
        PaymentState::PartiallyCaptured {
            approval,
            expires_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::decline::{DeclineAdvice, DeclineReason, ResponseCode};
    use super::*;

    fn approval() -> Approval {
        Approval {
            approval_code: "A1B2C3".into(),
            response_code: ResponseCode::APPROVED,
            partial_minor: None,
        }
    }

    fn states() -> Vec<PaymentState> {
        use PaymentState as S;
        let at = UnixMillis::new(9);
        vec![
            S::Created,
            S::RequiresAction { expires_at: at },
            S::Authorizing { pending: None },
            S::Authorizing {
                pending: Some(UnknownReason::NoAnswerInTime),
            },
            S::Authorizing { pending: CANCELLED },
            S::Authorized {
                approval: approval(),
                expires_at: at,
            },
            S::Declined { decline: decline() },
            S::Failed {
                reason: FailureReason::HostBusy,
            },
            S::PartiallyCaptured {
                approval: approval(),
                expires_at: at,
            },
            S::Captured {
                approval: approval(),
                expires_at: Some(at),
            },
            S::Captured {
                approval: approval(),
                expires_at: None,
            },
            S::Voiding {
                approval: approval(),
                expires_at: Some(at),
            },
            S::Voiding {
                approval: approval(),
                expires_at: None,
            },
            S::Voided,
            S::Expired,
            S::Reversing {
                pending: UnknownReason::NoAnswerInTime,
            },
            S::Reversed,
        ]
    }

    fn decline() -> Decline {
        Decline {
            reason: DeclineReason::InsufficientFunds,
            response_code: "51".parse().unwrap(),
            advice: DeclineAdvice::RetryLater,
        }
    }

    fn events() -> Vec<PaymentEvent> {
        use PaymentEvent as E;
        let at = UnixMillis::new(9);
        vec![
            E::ActionRequired { expires_at: at },
            E::AuthorizationStarted,
            E::Approved {
                approval: approval(),
                expires_at: at,
            },
            E::Declined(decline()),
            E::NotSent(FailureReason::HostBusy),
            E::OutcomeUnknown(UnknownReason::NoAnswerInTime),
            E::CaptureStarted,
            E::Captured,
            E::CaptureRefused,
            E::VoidStarted,
            E::VoidConfirmed,
            E::VoidRefused,
            E::HoldExpired,
            E::DeclinedLate(decline()),
            E::FoundToStand {
                approval: approval(),
                expires_at: at,
            },
            E::ReversalStarted,
            E::ReversalConfirmed,
            E::ReversalOwedAgain,
            E::RefundStarted,
            E::Refunded,
            E::RefundRefused,
            E::Sold(approval()),
            E::VoidUnknown,
            E::SaleVoidStarted,
            E::SaleVoided,
            E::IncrementStarted,
            E::Incremented,
            E::IncrementRefused,
            E::Released,
        ]
    }

    /// One row a state, in the order of `states()`; one column an event, in the order of `events()`.
    /// `.` is illegal; otherwise the letter of the state that follows.
    const TABLE: [&str; 17] = [
        // ActReq Start Appr Decl NotS Unkn CStart Capt CRef VStart VConf VRef HExp Late Stand RStart RConf RAgain Ref*3 Sold VUnk SVStart SVoid Inc*3 Rel
        "r a . . . . . . . . . . . . . . . . . . . . . . . . . . .", // Created
        ". a . . . . . . . . . . E . . . . . . . . . . . . . . . .", // RequiresAction
        ". . A D F p . . . . . . . . . . . . . . . C . . . . . . .", // Authorizing
        ". . . . . . . . . . . . . D A R X . . . . C . . . . . . .", // Authorizing, pending
        ". . . . F p . . . . . . . D A R X . . . . C . . . . . . .", // Authorizing, cancelled
        ". . . . . . A P P v V . E . . . . . . . . . . . . A P P A", // Authorized
        ". . . . . . . . . . . . . . . . . . . . . . . . . . . . .", // Declined
        ". . . . . . . . . . . . . . . . . . . . . . . . . . . . .", // Failed
        ". . . . . . P P P . . . C . . . . . P P P . . . . . P P P", // PartiallyCaptured
        ". . . . . . . . P . . . . . . . . . C C C . . . . . . . C", // Captured
        ". . . . . . . . C . . . . . . . . . C C C . . v V . . . C", // Captured, no hold or one that has ended
        ". . . . . . . . . . V A . . . . . . . . . . v . . . . . v", // Voiding
        ". . . . . . . . . . V C . . . . . . . . . . v . . . . . v", // Voiding a sale
        ". . . . . . . . . . . . . . . . . . . . . . . . . . . . V", // Voided
        ". . . . . . . . . . . . . . . . . . . . . . . . . . . . E", // Expired
        ". . . . . . . . . . . . . . A . X . . . . C . . . . . . .", // Reversing
        ". . . . . . . . . . . . . . . . X X . . . . . . . . . . .", // Reversed
    ];

    fn letter(state: &PaymentState) -> &'static str {
        match state {
            PaymentState::Created => "c",
            PaymentState::RequiresAction { .. } => "r",
            PaymentState::Authorizing { pending: None } => "a",
            PaymentState::Authorizing { pending: Some(_) } => "p",
            PaymentState::Authorized { .. } => "A",
            PaymentState::Declined { .. } => "D",
            PaymentState::Failed { .. } => "F",
            PaymentState::PartiallyCaptured { .. } => "P",
            PaymentState::Captured { .. } => "C",
            PaymentState::Voiding { .. } => "v",
            PaymentState::Voided => "V",
            PaymentState::Expired => "E",
            PaymentState::Reversing { .. } => "R",
            PaymentState::Reversed => "X",
        }
    }

    #[test]
    fn every_state_meets_every_event() {
        for (state, row) in states().iter().zip(TABLE) {
            let expected: Vec<&str> = row.split(' ').collect();
            assert_eq!(expected.len(), events().len());
            for (event, expected) in events().into_iter().zip(expected) {
                let name = event.name();
                let allowed = event.allowed_states().contains(&state.name());
                let got = apply(state, event, &amounts(400, 0));
                let shown = got.as_ref().map_or(".", letter);
                assert_eq!(shown, expected, "{} x {name}", state.name());
                assert!(got.is_err() || allowed, "{} x {name}", state.name());
            }
        }
    }

    fn amounts(captured_minor: i64, captured_pending_minor: i64) -> Amounts {
        Amounts {
            authorized_minor: 1000,
            captured_minor,
            captured_pending_minor,
            ..Amounts::ZERO
        }
    }

    /// Whether a capture counts or is refused, the amounts after it say what the payment is.
    #[test]
    fn a_payment_is_captured_as_far_as_its_hold_is() {
        let released = |released_minor, captured| Amounts {
            released_minor,
            ..captured
        };
        for (amounts, expected, after_the_hold) in [
            (released(600, amounts(400, 0)), "CAPTURED", "CAPTURED"),
            (
                released(300, amounts(700, 300)),
                "PARTIALLY_CAPTURED",
                "CAPTURED",
            ),
            (released(600, amounts(0, 0)), "AUTHORIZED", "EXPIRED"),
            (amounts(0, 0), "AUTHORIZED", "EXPIRED"),
            (amounts(600, 600), "AUTHORIZED", "CAPTURED"),
            (amounts(400, 0), "PARTIALLY_CAPTURED", "CAPTURED"),
            (amounts(1000, 600), "PARTIALLY_CAPTURED", "CAPTURED"),
            (amounts(1000, 0), "CAPTURED", "CAPTURED"),
        ] {
            for state in states() {
                for event in [PaymentEvent::Captured, PaymentEvent::CaptureRefused] {
                    if let Ok(next) = apply(&state, event, &amounts) {
                        let expected = match state.expires_at() {
                            Some(_) => expected,
                            None => after_the_hold,
                        };
                        assert_eq!(next.name(), expected, "{} {amounts:?}", state.name());
                    }
                }
            }
        }
    }

    #[test]
    fn a_sale_is_voided_whole_or_not_at_all() {
        let sold = PaymentState::Captured {
            approval: approval(),
            expires_at: None,
        };
        for event in [PaymentEvent::SaleVoidStarted, PaymentEvent::SaleVoided] {
            for (refunded_pending_minor, is_taken) in [(0, false), (1, false)] {
                let amounts = Amounts {
                    refunded_minor: 1,
                    refunded_pending_minor,
                    ..amounts(1000, 0)
                };
                let voided = apply(&sold, event.clone(), &amounts);
                assert_eq!(voided.is_ok(), is_taken, "{}", event.name());
            }
        }
    }

    #[test]
    fn nothing_ends_a_payment_while_a_capture_or_an_increment_is_pending() {
        let increment = Amounts {
            authorized_pending_minor: 1,
            ..amounts(0, 0)
        };
        let ending = [
            PaymentEvent::VoidStarted,
            PaymentEvent::HoldExpired,
            PaymentEvent::ReversalStarted,
            PaymentEvent::VoidConfirmed,
        ];
        for state in states() {
            for event in &ending {
                for amounts in [amounts(600, 600), increment] {
                    let ended = apply(&state, event.clone(), &amounts);
                    assert!(ended.is_err(), "{} x {}", state.name(), event.name());
                }
            }
        }
    }

    #[test]
    fn no_event_is_allowed_in_a_state_that_never_takes_it() {
        for (column, event) in events().into_iter().enumerate() {
            for name in event.allowed_states() {
                let taken = states().iter().zip(TABLE).any(|(state, row)| {
                    state.name() == *name && row.split(' ').nth(column) != Some(".")
                });
                assert!(taken, "{} in {name}", event.name());
            }
        }
    }

    #[test]
    fn a_state_reads_back_from_json_under_its_own_name() {
        for state in states() {
            let json = serde_json::to_string(&state).unwrap();
            assert!(
                json.contains(&format!("\"state\":\"{}\"", state.name())),
                "{json}"
            );
            assert_eq!(serde_json::from_str::<PaymentState>(&json).unwrap(), state);
        }
    }
}
