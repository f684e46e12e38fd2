//! The states of a payment, and the one function that moves between them.

use serde::{Deserialize, Serialize};

use super::amounts::Amounts;
use super::decline::{Approval, Decline, FailureReason, UnknownReason};
use super::event::PaymentEvent;
use super::moment::UnixMillis;
use super::planted::{Mistake, planted};

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
    /// The bank said no, or payswitch itself did.
    Declined {
        /// What was answered.
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
    if pending && ends && !planted(Mistake::EndsUnderPending) {
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
        | (S::Authorized { .. }, E::IncrementStarted | E::IncrementUnknown)
        | (S::PartiallyCaptured { .. }, E::IncrementUnknown)
        | (S::Captured { .. }, E::RefundStarted | E::Refunded | E::RefundRefused)
        | (
            S::PartiallyCaptured { .. } | S::Captured { .. },
            E::ChargedBack | E::ChargebackReversed,
        )
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
            E::RefundStarted | E::Refunded | E::RefundRefused | E::ReleaseStarted | E::Released,
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
mod tests;
