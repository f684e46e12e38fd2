//! Why a payment was declined, why it failed, and what the merchant may do about it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::reference::{InvalidReference, ascii_text};

ascii_text!(
    /// DE 39 as the bank sent it: two to four letters or digits (two in ISO 8583:1987, three in 1993, four in
    /// 2003). Codes that no table lists are kept as they are.
    ResponseCode,
    2..=4,
    u8::is_ascii_alphanumeric,
    "a response code of two to four letters or digits"
);

impl ResponseCode {
    /// `00`, approved (ISO 8583:1987).
    pub const APPROVED: Self = Self(*b"00\0\0");
    /// No bank has said anything: payswitch itself has declined.
    pub const NONE: Self = Self([0; 4]);

    fn is_none(&self) -> bool {
        *self == Self::NONE
    }

    const fn none() -> Self {
        Self::NONE
    }
}

/// What a declining bank meant, in words that are the same for every bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeclineReason {
    /// The issuer gave no particular reason.
    DoNotHonour,
    /// The account holds less than the amount.
    InsufficientFunds,
    /// The card has expired, or its expiry date was wrong.
    ExpiredCard,
    /// There is no such card.
    InvalidCardNumber,
    /// The card was reported lost.
    LostCard,
    /// The card was reported stolen.
    StolenCard,
    /// The card verification value was wrong.
    CvvMismatch,
    /// The PIN was wrong.
    IncorrectPin,
    /// Too many wrong PINs.
    PinTriesExceeded,
    /// The card may not be used for this kind of payment.
    NotPermitted,
    /// The amount is over a limit of the card.
    LimitExceeded,
    /// The amount is not one that the bank can take.
    InvalidAmount,
    /// The bank could not read the message.
    FormatError,
    /// The issuer could not be reached.
    IssuerUnavailable,
    /// The bank saw the same message before.
    DuplicateTransmission,
    /// The bank had a fault of its own.
    BankError,
    /// The bank suspects fraud.
    SuspectedFraud,
    /// The cardholder has stopped this payment, or all of this merchant's.
    StoppedByCardholder,
    /// The account behind the card is closed.
    AccountClosed,
    /// The issuer wants the cardholder authenticated first.
    AuthenticationRequired,
    /// A limit of payswitch's own was reached. No bank was asked.
    RiskLimit,
    /// A code that neither the profile nor the standard lists.
    Other,
}

/// What the merchant may usefully do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeclineAdvice {
    /// The same card will be declined again; ask for another.
    UseAnotherCard,
    /// The customer can correct what was entered.
    CorrectEntry,
    /// The same payment may succeed later.
    RetryLater,
    /// Don't try this card again, here or elsewhere.
    DoNotRetry,
    /// Authenticate the cardholder, then try again.
    Authenticate,
}

/// Who declines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeclineSource {
    /// The bank that issued the card.
    Issuer,
    /// The merchant's bank, or a network behind it: the issuer may never have seen the message.
    Acquirer,
    /// payswitch itself, before anything was sent.
    Gateway,
}

impl DeclineReason {
    /// Who declines for this reason.
    #[must_use]
    pub const fn source(self) -> DeclineSource {
        match self {
            Self::RiskLimit => DeclineSource::Gateway,
            Self::FormatError
            | Self::IssuerUnavailable
            | Self::DuplicateTransmission
            | Self::BankError => DeclineSource::Acquirer,
            _ => DeclineSource::Issuer,
        }
    }
}

/// A decline: the bank answered, and said no; or payswitch did, and asked no bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Decline {
    /// What was meant.
    pub reason: DeclineReason,
    /// DE 39 as it came; none where no bank was asked.
    #[serde(
        default = "ResponseCode::none",
        skip_serializing_if = "ResponseCode::is_none"
    )]
    pub response_code: ResponseCode,
    /// What may be done.
    pub advice: DeclineAdvice,
}

impl Decline {
    /// That of a limit of payswitch's own. Windows pass, so that the same may succeed later.
    pub const RISK_LIMIT: Self = Self {
        reason: DeclineReason::RiskLimit,
        response_code: ResponseCode::NONE,
        advice: DeclineAdvice::RetryLater,
    };

    /// Whether payswitch itself declined, so that no bank knows of it.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.reason.source() == DeclineSource::Gateway
    }
}

/// An approval as the bank gave it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Approval {
    /// DE 38, up to six characters; empty when the bank sent none.
    pub approval_code: String,
    /// DE 39 as it came: `00`, or another code that the profile maps to an approval.
    pub response_code: ResponseCode,
    /// The amount that it approved, in minor units, where that is less than was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partial_minor: Option<i64>,
}

/// Why a payment failed without any bank having seen it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureReason {
    /// No line to the host was signed on.
    HostUnavailable,
    /// All lines to the host were at their in-flight limit.
    HostBusy,
    /// The time for this payment was over before the first byte could be sent.
    DeadlineBeforeSend,
    /// Less time was left than the bank needs for an answer.
    NoTimeForTheBank,
    /// The host did not answer lately, so that nothing is sent to it.
    CircuitOpen,
    /// The message could not be built for the host's dialect.
    MessageNotBuildable,
}

/// Why an outcome is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownReason {
    /// The bank did not answer in time.
    NoAnswerInTime,
    /// The connection to the bank broke after the message may have been sent.
    ConnectionLost,
    /// The bank's answer could not be understood.
    AnswerNotUnderstood,
    /// The bank approved another amount than was asked for.
    AmountDiffers,
    /// The bank says that it saw the same message before: an earlier copy may be approved.
    DuplicateAtBank,
    /// The gateway stopped between recording the payment and recording the answer.
    GatewayStopped,
    /// The merchant has cancelled the request while it was on its way.
    CancelledByMerchant,
}

impl fmt::Display for UnknownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoAnswerInTime => "no answer in time",
            Self::ConnectionLost => "connection lost",
            Self::AnswerNotUnderstood => "answer not understood",
            Self::AmountDiffers => "amount differs",
            Self::DuplicateAtBank => "duplicate at the bank",
            Self::GatewayStopped => "gateway stopped",
            Self::CancelledByMerchant => "cancelled by the merchant",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decline_of_payswitch_has_no_code_and_reads_back() {
        let texts = [Decline::RISK_LIMIT, {
            Decline {
                reason: DeclineReason::InsufficientFunds,
                response_code: "51".parse().unwrap(),
                advice: DeclineAdvice::RetryLater,
            }
        }]
        .map(|decline| {
            let text = serde_json::to_string(&decline).unwrap();
            assert_eq!(serde_json::from_str::<Decline>(&text).unwrap(), decline);
            text
        });
        assert_eq!(
            texts,
            [
                r#"{"reason":"risk_limit","advice":"retry_later"}"#,
                r#"{"reason":"insufficient_funds","response_code":"51","advice":"retry_later"}"#,
            ]
        );
        assert_eq!(ResponseCode::NONE.to_string(), "");
        assert!(Decline::RISK_LIMIT.is_own());
    }

    #[test]
    fn response_codes_are_two_to_four_letters_or_digits() {
        for text in ["N7", "914", "0000"] {
            assert_eq!(text.parse::<ResponseCode>().unwrap().to_string(), text);
        }
        for text in ["", "0", "00000", "0 ", "é", "00\0"] {
            assert!(text.parse::<ResponseCode>().is_err(), "{text:?}");
        }
    }
}
