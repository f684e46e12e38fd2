//! What an exchange with a host is for.

use serde::{Deserialize, Serialize};

/// What an exchange with a host is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OperationKind {
    /// 0100: hold an amount.
    Authorization,
    /// 0100 without an amount: whether a card is good.
    Verification,
    /// 0200: debit at once.
    Sale,
    /// 0100: raise a held amount.
    Increment,
    /// 0220: take a held amount.
    Capture,
    /// 0200 with processing code 20: give back a captured amount.
    Refund,
    /// 0420: undo what may have happened.
    Reversal,
    /// 0400: give up a hold.
    Void,
    /// 0420: give back what a last capture leaves of a hold.
    Release,
    /// Ask what happened.
    Inquiry,
    /// 0422: the issuer takes captured money back. The bank's report says it, and no message of a profile.
    Chargeback,
    /// The issuer gives back what a chargeback took.
    ChargebackReversal,
}

impl OperationKind {
    /// The name that the store uses.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Authorization => "AUTHORIZATION",
            Self::Verification => "VERIFICATION",
            Self::Sale => "SALE",
            Self::Increment => "INCREMENT",
            Self::Capture => "CAPTURE",
            Self::Refund => "REFUND",
            Self::Reversal => "REVERSAL",
            Self::Void => "VOID",
            Self::Release => "RELEASE",
            Self::Inquiry => "INQUIRY",
            Self::Chargeback => "CHARGEBACK",
            Self::ChargebackReversal => "CHARGEBACK_REVERSAL",
        }
    }

    /// Whether it travels by messages. What issuers take back is told by a report alone.
    #[must_use]
    pub const fn has_messages(self) -> bool {
        !matches!(self, Self::Chargeback | Self::ChargebackReversal)
    }
}
