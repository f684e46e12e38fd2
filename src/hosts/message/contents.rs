//! The operation that a message is about: everything that a message may say.

use std::fmt;

use serde::Deserialize;

use crate::payment::decline::UnknownReason;
use crate::payment::merchant::Merchant;
use crate::payment::operation::OperationState;
use crate::payment::record::Operation;

/// The card, opened: clear text that lives until the request is encoded, and nowhere else.
#[derive(Clone, Copy)]
pub struct CardFields<'a> {
    /// Primary account number, digits only: DE 2.
    pub pan: &'a str,
    /// Expiry date as YYMM: DE 14.
    pub expiry_yymm: &'a str,
    /// Card verification value, three or four digits, where the customer gave one.
    pub cvv: Option<&'a str>,
}

/// Shows that there is a card, and nothing of it.
impl fmt::Debug for CardFields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CardFields")
            .field("pan", &"***")
            .field("expiry_yymm", &"***")
            .field("cvv", &self.cvv.map(|_| "***"))
            .finish()
    }
}

/// The reason of an operation that completes or undoes another: a profile gives each a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
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
    /// A release: what a partial capture left of the hold is given back.
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

    /// The name that profiles use.
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
            | UnknownReason::GatewayStopped => Self::TimeOut,
            UnknownReason::AnswerNotUnderstood
            | UnknownReason::AmountDiffers
            | UnknownReason::DuplicateAtBank => Self::UnclearAnswer,
        }
    }
}

/// The operation that another one completes or undoes.
#[derive(Debug, Clone, Copy)]
pub struct Original<'a> {
    /// Its record, with the elements that it sent and those of its answer that were kept.
    pub operation: &'a Operation,
    /// DE 38 of its approval, late ones included; none where there was no approval.
    pub approval_code: Option<&'a str>,
}

impl<'a> Original<'a> {
    /// The original as it is recorded, with the approval code of an approval in time.
    #[must_use]
    pub fn of(operation: &'a Operation) -> Self {
        let approval_code = match &operation.state {
            OperationState::Approved { approval } => Some(approval.approval_code.as_str()),
            _ => None,
        };
        Self {
            operation,
            approval_code: approval_code.filter(|code| !code.is_empty()),
        }
    }
}

/// One message that is to be sent to a host.
#[derive(Debug, Clone, Copy)]
pub struct Outgoing<'a> {
    /// The operation that it is about: its host, kind, amount and numbers.
    pub operation: &'a Operation,
    /// The merchant of the payment.
    pub merchant: &'a Merchant,
    /// The card, where the message has one.
    pub card: Option<CardFields<'a>>,
    /// The operation that this one completes or undoes.
    pub original: Option<Original<'a>>,
    /// The reason, where the message names one.
    pub reason: Option<Reason>,
    /// Whether the same message was sent before.
    pub repeat: bool,
}

impl<'a> Outgoing<'a> {
    /// The first message of an operation, without an original and a reason.
    #[must_use]
    pub fn first(
        operation: &'a Operation,
        merchant: &'a Merchant,
        card: Option<CardFields<'a>>,
    ) -> Self {
        Self {
            operation,
            merchant,
            card,
            original: None,
            reason: None,
            repeat: false,
        }
    }
}
