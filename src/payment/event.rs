//! What can happen to a payment, and in which states.

use super::decline::{Approval, Decline, FailureReason, UnknownReason};
use super::moment::UnixMillis;

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
    /// An increment is on its way: its amount is pending.
    IncrementStarted,
    /// The outcome of an increment is not known. A capture may have been taken since it was begun.
    IncrementUnknown,
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
    /// What is left of the hold is being given back: no capture takes it any more.
    ReleaseStarted,
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
    /// The issuer has taken captured money back.
    ChargedBack,
    /// The issuer has given back what it took.
    ChargebackReversed,
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
            Self::ReleaseStarted => &["PARTIALLY_CAPTURED"],
            Self::Released => &[
                "AUTHORIZED",
                "PARTIALLY_CAPTURED",
                "CAPTURED",
                "VOIDING",
                "VOIDED",
                "EXPIRED",
            ],
            Self::VoidStarted | Self::IncrementStarted => &["AUTHORIZED"],
            Self::Incremented | Self::IncrementRefused | Self::IncrementUnknown => {
                &["AUTHORIZED", "PARTIALLY_CAPTURED"]
            }
            Self::SaleVoidStarted | Self::SaleVoided => &["CAPTURED"],
            Self::VoidConfirmed => &["AUTHORIZED", "VOIDING"],
            Self::VoidUnknown | Self::VoidRefused => &["VOIDING"],
            Self::HoldExpired => &["REQUIRES_ACTION", "AUTHORIZED", "PARTIALLY_CAPTURED"],
            Self::DeclinedLate(_) | Self::ReversalStarted => &["AUTHORIZING"],
            Self::FoundToStand { .. } | Self::Sold(_) => &["AUTHORIZING", "REVERSING"],
            Self::ReversalConfirmed => &["AUTHORIZING", "REVERSING", "REVERSED"],
            Self::ReversalOwedAgain => &["REVERSED"],
            // Of a capture that is settled: it is neither refused nor voided any more.
            Self::ChargedBack | Self::ChargebackReversed => &["PARTIALLY_CAPTURED", "CAPTURED"],
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
            Self::IncrementUnknown => "IncrementUnknown",
            Self::Incremented => "Incremented",
            Self::IncrementRefused => "IncrementRefused",
            Self::VoidStarted => "VoidStarted",
            Self::SaleVoidStarted => "SaleVoidStarted",
            Self::SaleVoided => "SaleVoided",
            Self::VoidUnknown => "VoidUnknown",
            Self::VoidConfirmed => "VoidConfirmed",
            Self::VoidRefused => "VoidRefused",
            Self::ReleaseStarted => "ReleaseStarted",
            Self::Released => "Released",
            Self::HoldExpired => "HoldExpired",
            Self::DeclinedLate(_) => "DeclinedLate",
            Self::FoundToStand { .. } => "FoundToStand",
            Self::ReversalStarted => "ReversalStarted",
            Self::ReversalConfirmed => "ReversalConfirmed",
            Self::ReversalOwedAgain => "ReversalOwedAgain",
            Self::ChargedBack => "ChargedBack",
            Self::ChargebackReversed => "ChargebackReversed",
        }
    }
}
