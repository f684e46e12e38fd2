//! Why an operation completes or undoes another one.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::decline::UnknownReason;

/// The reason of an operation that completes or undoes another: a profile gives each a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A reversal: no answer came in time, or the connection was lost.
    TimeOut,
    /// A reversal: the approval came after the time-out.
    LateApproval,
    /// A reversal: the answer was not understood.
    UnclearAnswer,
    /// A void: the merchant gives up the hold.
    Void,
    /// A release: what is left of the hold is given back, after its last capture or for a reversal of the payment.
    Release,
    /// A capture of the whole amount that was authorized.
    SameAmount,
    /// A capture of another amount than was authorized.
    OtherAmount,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 7] = [
        Self::TimeOut,
        Self::LateApproval,
        Self::UnclearAnswer,
        Self::Void,
        Self::Release,
        Self::SameAmount,
        Self::OtherAmount,
    ];

    /// The name that profiles and the store use.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::TimeOut => "time_out",
            Self::LateApproval => "late_approval",
            Self::UnclearAnswer => "unclear_answer",
            Self::Void => "void",
            Self::Release => "release",
            Self::SameAmount => "same_amount",
            Self::OtherAmount => "other_amount",
        }
    }
}

impl From<UnknownReason> for Reason {
    fn from(reason: UnknownReason) -> Self {
        match reason {
            UnknownReason::NoAnswerInTime
            | UnknownReason::ConnectionLost
            | UnknownReason::GatewayStopped
            // Its answer is not waited for.
            | UnknownReason::CancelledByMerchant => Self::TimeOut,
            UnknownReason::AnswerNotUnderstood
            | UnknownReason::AmountDiffers
            | UnknownReason::DuplicateAtBank => Self::UnclearAnswer,
        }
    }
}

/// In words.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TimeOut => "no answer came in time, or the connection was lost",
            Self::LateApproval => "the approval came after the time-out",
            Self::UnclearAnswer => "the answer did not say for certain what the bank did",
            Self::Void => "the merchant gives up the hold",
            Self::Release => "what is left of the hold is given back",
            Self::SameAmount => "the whole amount is captured",
            Self::OtherAmount => "another amount is captured",
        })
    }
}
