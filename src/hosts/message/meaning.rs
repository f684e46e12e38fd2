//! The meanings that a response code can have.

use crate::payment::decline::{DeclineAdvice, DeclineReason, UnknownReason};

/// The meaning of a response code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Meaning {
    /// The bank approved; or it did what an advice says.
    Approved,
    /// The bank declined.
    Declined {
        /// The bank's reason.
        reason: DeclineReason,
        /// What the merchant may do next.
        advice: DeclineAdvice,
    },
    /// The bank may have done something, but not what was asked for (a partial approval, say), or does not know
    /// itself: nothing that a merchant could be told for certain, so a reversal is owed. An advice is left to an
    /// operator.
    Unclear(UnknownReason),
    /// The bank took an advice, now or before. Whether it did what the advice says, it does not say.
    Taken,
    /// The bank does not know the original of an advice.
    OriginalUnknown,
    /// The bank does not take an advice now: it is sent again.
    Again,
}

impl Meaning {
    /// The answer decides nothing.
    pub const UNCLEAR: Self = Self::Unclear(UnknownReason::AnswerNotUnderstood);
    /// The bank approved another amount than was asked for.
    pub const PARTLY_APPROVED: Self = Self::Unclear(UnknownReason::AmountDiffers);
    /// The bank saw the same message before. payswitch writes a message once, so something on the way
    /// repeated it, and the first copy may be approved.
    pub const DUPLICATE: Self = Self::Unclear(UnknownReason::DuplicateAtBank);

    /// The meaning, in the answer to an advice, of what is said of a request. "Seen before" acknowledges. A decline
    /// for a fault on the way is unclear: the bank may have done what the advice says.
    #[must_use]
    pub const fn in_answer_to_advice(self) -> Self {
        match self {
            Self::Unclear(UnknownReason::DuplicateAtBank)
            | Self::Declined {
                reason: DeclineReason::DuplicateTransmission,
                ..
            } => Self::Taken,
            Self::Declined { reason, .. } if !ends_the_debt(reason) => Self::UNCLEAR,
            meaning => meaning,
        }
    }

    /// A decline with the advice that usually goes with the reason.
    #[must_use]
    pub const fn declined(reason: DeclineReason) -> Self {
        Self::Declined {
            reason,
            advice: usual_advice(reason),
        }
    }
}

/// Whether a decline that comes late says for certain that nothing is held. One for a fault on the way does not:
/// the issuer may have approved, or approves later.
#[must_use]
pub const fn ends_the_debt(reason: DeclineReason) -> bool {
    use DeclineReason as R;
    !matches!(
        reason,
        R::IssuerUnavailable | R::BankError | R::DuplicateTransmission
    )
}

/// The advice that goes with a reason where a profile gives none.
#[must_use]
pub const fn usual_advice(reason: DeclineReason) -> DeclineAdvice {
    use DeclineReason as R;
    match reason {
        R::ExpiredCard | R::InvalidCardNumber | R::CvvMismatch | R::IncorrectPin => {
            DeclineAdvice::CorrectEntry
        }
        R::LostCard
        | R::StolenCard
        | R::SuspectedFraud
        | R::StoppedByCardholder
        | R::AccountClosed => DeclineAdvice::DoNotRetry,
        R::AuthenticationRequired => DeclineAdvice::Authenticate,
        R::InsufficientFunds
        | R::LimitExceeded
        | R::IssuerUnavailable
        | R::DuplicateTransmission
        | R::BankError
        | R::RiskLimit => DeclineAdvice::RetryLater,
        R::DoNotHonour
        | R::PinTriesExceeded
        | R::NotPermitted
        | R::InvalidAmount
        | R::FormatError
        | R::Other => DeclineAdvice::UseAnotherCard,
    }
}
