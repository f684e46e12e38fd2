//! The kinds of events, as merchants see them.

use serde::Deserialize;

use super::event::PaymentEvent;

/// What kind of thing happened to a payment, a batch or a payout. The API has the same names, and one for all that happens to refunds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EventKind {
    /// It was authorized.
    PaymentAuthorized,
    /// It was declined.
    PaymentDeclined,
    /// It failed; no money moved.
    PaymentFailed,
    /// Its outcome is not known yet.
    PaymentPending,
    /// All of it or a part was captured.
    PaymentCaptured,
    /// It is being voided.
    PaymentVoiding,
    /// It was voided.
    PaymentVoided,
    /// It is being reversed.
    PaymentReversing,
    /// It was reversed.
    PaymentReversed,
    /// What is left of its hold is being given back.
    ReleasePending,
    /// What was left of its hold was given back.
    PaymentReleased,
    /// Its hold ended by itself.
    PaymentExpired,
    /// A capture is on its way.
    CapturePending,
    /// A capture was refused, or failed.
    CaptureFailed,
    /// An increment is on its way.
    IncrementPending,
    /// More was authorized.
    PaymentIncremented,
    /// An increment was refused, or failed.
    IncrementFailed,
    /// A refund is on its way.
    RefundPending,
    /// A refund counts.
    RefundMade,
    /// A refund was refused, or failed.
    RefundFailed,
    /// A void was refused, or failed.
    VoidFailed,
    /// The issuer has taken captured money back.
    Chargeback,
    /// The issuer has given back what it took.
    ChargebackReversed,
    /// Of a capture, a refund or a chargeback: its batch is funded.
    PaymentSettled,
    /// Of a settlement batch: its day was closed.
    BatchClosed,
    /// Of a settlement batch: the host has confirmed it, and its money is available.
    BatchSettled,
    /// Of a settlement batch: its money is available, though the host's totals are others.
    BatchDisputed,
    /// Of a payout: it was made.
    PayoutMade,
    /// Of a payout: it is on the merchant's account.
    PayoutPaid,
    /// Of a payout: the merchant's bank has returned it.
    PayoutReturned,
    /// Of a payout: the bank has refused it.
    PayoutFailed,
    /// Of a discrepancy: something was done about it.
    DiscrepancyUpdated,
}

impl EventKind {
    /// Those of payments.
    pub const OF_PAYMENTS: [Self; 23] = [
        Self::PaymentAuthorized,
        Self::PaymentDeclined,
        Self::PaymentFailed,
        Self::PaymentPending,
        Self::PaymentCaptured,
        Self::PaymentVoiding,
        Self::PaymentVoided,
        Self::PaymentReversing,
        Self::PaymentReversed,
        Self::ReleasePending,
        Self::PaymentReleased,
        Self::PaymentExpired,
        Self::CapturePending,
        Self::CaptureFailed,
        Self::IncrementPending,
        Self::PaymentIncremented,
        Self::IncrementFailed,
        Self::RefundPending,
        Self::RefundMade,
        Self::RefundFailed,
        Self::VoidFailed,
        Self::Chargeback,
        Self::ChargebackReversed,
    ];

    /// The kind of what happened. Each change of a payment that is recorded already is one event.
    #[must_use]
    pub fn of(event: &PaymentEvent) -> Self {
        match event {
            PaymentEvent::ActionRequired { .. }
            | PaymentEvent::AuthorizationStarted
            | PaymentEvent::OutcomeUnknown(_) => Self::PaymentPending,
            PaymentEvent::Approved { .. } | PaymentEvent::FoundToStand { .. } => {
                Self::PaymentAuthorized
            }
            PaymentEvent::Declined(_) | PaymentEvent::DeclinedLate(_) => Self::PaymentDeclined,
            PaymentEvent::NotSent(_) => Self::PaymentFailed,
            PaymentEvent::CaptureStarted => Self::CapturePending,
            PaymentEvent::Captured | PaymentEvent::Sold(_) => Self::PaymentCaptured,
            PaymentEvent::CaptureRefused => Self::CaptureFailed,
            PaymentEvent::RefundStarted => Self::RefundPending,
            PaymentEvent::Refunded => Self::RefundMade,
            PaymentEvent::RefundRefused => Self::RefundFailed,
            PaymentEvent::IncrementStarted | PaymentEvent::IncrementUnknown => {
                Self::IncrementPending
            }
            PaymentEvent::Incremented => Self::PaymentIncremented,
            PaymentEvent::IncrementRefused => Self::IncrementFailed,
            PaymentEvent::VoidStarted
            | PaymentEvent::SaleVoidStarted
            | PaymentEvent::VoidUnknown => Self::PaymentVoiding,
            PaymentEvent::VoidConfirmed | PaymentEvent::SaleVoided => Self::PaymentVoided,
            PaymentEvent::VoidRefused => Self::VoidFailed,
            PaymentEvent::ReleaseStarted => Self::ReleasePending,
            PaymentEvent::Released => Self::PaymentReleased,
            PaymentEvent::HoldExpired => Self::PaymentExpired,
            PaymentEvent::ReversalStarted => Self::PaymentReversing,
            PaymentEvent::ReversalConfirmed | PaymentEvent::ReversalOwedAgain => {
                Self::PaymentReversed
            }
            PaymentEvent::ChargedBack => Self::Chargeback,
            PaymentEvent::ChargebackReversed => Self::ChargebackReversed,
        }
    }

    /// Whether it happened to a capture or a refund, rather than to the whole payment.
    #[must_use]
    pub const fn is_of_a_part(self) -> bool {
        matches!(
            self,
            Self::CapturePending
                | Self::CaptureFailed
                | Self::RefundPending
                | Self::RefundMade
                | Self::RefundFailed
        )
    }

    /// The name that the store uses.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PaymentAuthorized => "PAYMENT_AUTHORIZED",
            Self::PaymentDeclined => "PAYMENT_DECLINED",
            Self::PaymentFailed => "PAYMENT_FAILED",
            Self::PaymentPending => "PAYMENT_PENDING",
            Self::PaymentCaptured => "PAYMENT_CAPTURED",
            Self::PaymentVoiding => "PAYMENT_VOIDING",
            Self::PaymentVoided => "PAYMENT_VOIDED",
            Self::PaymentReversing => "PAYMENT_REVERSING",
            Self::PaymentReversed => "PAYMENT_REVERSED",
            Self::ReleasePending => "RELEASE_PENDING",
            Self::PaymentReleased => "PAYMENT_RELEASED",
            Self::PaymentExpired => "PAYMENT_EXPIRED",
            Self::CapturePending => "CAPTURE_PENDING",
            Self::CaptureFailed => "CAPTURE_FAILED",
            Self::IncrementPending => "INCREMENT_PENDING",
            Self::PaymentIncremented => "PAYMENT_INCREMENTED",
            Self::IncrementFailed => "INCREMENT_FAILED",
            Self::RefundPending => "REFUND_PENDING",
            Self::RefundMade => "REFUND_MADE",
            Self::RefundFailed => "REFUND_FAILED",
            Self::VoidFailed => "VOID_FAILED",
            Self::Chargeback => "CHARGEBACK",
            Self::ChargebackReversed => "CHARGEBACK_REVERSED",
            Self::PaymentSettled => "PAYMENT_SETTLED",
            Self::BatchClosed => "BATCH_CLOSED",
            Self::BatchSettled => "BATCH_SETTLED",
            Self::BatchDisputed => "BATCH_DISPUTED",
            Self::PayoutMade => "PAYOUT_MADE",
            Self::PayoutPaid => "PAYOUT_PAID",
            Self::PayoutReturned => "PAYOUT_RETURNED",
            Self::PayoutFailed => "PAYOUT_FAILED",
            Self::DiscrepancyUpdated => "DISCREPANCY_UPDATED",
        }
    }
}
