//! The outcome of one request to a bank.

use crate::payment::decline::{Approval, Decline, FailureReason, ResponseCode, UnknownReason};
use crate::payment::record::Element;

/// The outcome of one request, as far as it is known.
///
/// "Not sent" and "maybe sent" are kept apart: [`NotSent`](Self::NotSent) is said only when
/// certainly no byte of the message was handed to a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exchange {
    /// The bank approved; or it did what an advice says.
    Approved {
        /// The bank's answer.
        approval: Approval,
        /// The elements of the answer that the profile keeps for later messages.
        kept: Vec<Element>,
        /// Microseconds from the write to the answer.
        bank_us: i64,
    },
    /// The bank declined.
    Declined {
        /// The bank's answer.
        decline: Decline,
        /// The elements of the answer that the profile keeps for later messages.
        kept: Vec<Element>,
        /// Microseconds from the write to the answer.
        bank_us: i64,
    },
    /// No byte left: the bank can't have seen it, and nothing is owed.
    NotSent(FailureReason),
    /// The bank may have processed it, and did not answer: a reversal is owed.
    Unknown(UnknownReason),
    /// The bank answered, and the answer says neither yes nor no to what was asked: a reversal is owed. (Of
    /// an advice: the bank may have done what it says.)
    Unclear {
        /// Why it says neither.
        reason: UnknownReason,
        /// DE 39, where it can be read.
        response_code: Option<ResponseCode>,
        /// The elements of the answer that the profile keeps for later messages; and DE 4, where the amount
        /// differs.
        kept: Vec<Element>,
        /// Microseconds from the write to the answer.
        bank_us: i64,
    },
    /// The bank took this advice, now or before. Whether it did what the advice says, it does not say.
    Taken {
        /// DE 39.
        response_code: ResponseCode,
        /// Microseconds from the write to the answer.
        bank_us: i64,
    },
    /// The bank does not know the original of this advice.
    OriginalUnknown {
        /// DE 39.
        response_code: ResponseCode,
        /// Microseconds from the write to the answer.
        bank_us: i64,
    },
    /// The bank did not take this advice now, or its answer can't be read: it is sent again.
    Again {
        /// Microseconds from the write to the answer.
        bank_us: i64,
    },
}

#[cfg(test)]
impl Exchange {
    /// An approval that came after 900 microseconds.
    pub(crate) const fn approved(approval: Approval) -> Self {
        Self::Approved {
            approval,
            kept: Vec::new(),
            bank_us: 900,
        }
    }

    /// A decline that came after 900 microseconds.
    pub(crate) const fn declined(decline: Decline) -> Self {
        Self::Declined {
            decline,
            kept: Vec::new(),
            bank_us: 900,
        }
    }
}

impl Exchange {
    /// How long the bank took, in microseconds; none where it did not answer.
    #[must_use]
    pub fn bank_us(&self) -> Option<i64> {
        match self {
            Self::Approved { bank_us, .. }
            | Self::Declined { bank_us, .. }
            | Self::Unclear { bank_us, .. }
            | Self::Taken { bank_us, .. }
            | Self::OriginalUnknown { bank_us, .. }
            | Self::Again { bank_us } => Some(*bank_us),
            Self::NotSent(_) | Self::Unknown(_) => None,
        }
    }

    /// What it has come to, as traces name it.
    #[must_use]
    pub const fn outcome(&self) -> &'static str {
        match self {
            Self::Approved { .. } => "APPROVED",
            Self::Declined { .. } => "DECLINED",
            Self::NotSent(_) => "NOT_SENT",
            Self::Unknown(_) => "UNKNOWN",
            Self::Unclear { .. } => "UNCLEAR",
            Self::Taken { .. } => "TAKEN",
            Self::OriginalUnknown { .. } => "ORIGINAL_UNKNOWN",
            Self::Again { .. } => "AGAIN",
        }
    }

    /// The elements of the answer that the profile keeps for later messages.
    #[must_use]
    pub fn kept(&self) -> &[Element] {
        match self {
            Self::Approved { kept, .. }
            | Self::Declined { kept, .. }
            | Self::Unclear { kept, .. } => kept,
            Self::NotSent(_)
            | Self::Unknown(_)
            | Self::Taken { .. }
            | Self::OriginalUnknown { .. }
            | Self::Again { .. } => &[],
        }
    }

    /// Whether the bank said something that decides the operation.
    #[must_use]
    pub fn is_decided(&self) -> bool {
        matches!(
            self,
            Self::Approved { .. }
                | Self::Declined { .. }
                | Self::Taken { .. }
                | Self::OriginalUnknown { .. }
        )
    }
}
