//! What an authorization is asked, what it answers, and why it may not.

use std::sync::Arc;

use tokio::time::Instant;

use crate::card::envelope::SealedCard;
use crate::payment::ids::{HostId, MerchantId, PaymentId};
use crate::payment::merchant::Merchant;
use crate::payment::money::Money;
use crate::payment::record::Payment;

/// Where the card comes from. A clear card has no place here.
#[derive(Debug)]
pub enum PaymentMethod {
    /// A card that the merchant sealed.
    SealedCard(SealedCard),
    /// The name of a test card, for instance `pm_test_visa`; only in a test environment.
    TestToken(String),
}

/// A request to authorize, checked field by field.
#[derive(Debug)]
pub struct AuthorizeCommand {
    /// Who asks.
    pub merchant: Arc<Merchant>,
    /// The merchant's name for this request, 1 to 64 characters.
    pub request_id: String,
    /// SHA-256 of the encoded request: what "the same request again" is judged by.
    pub body_hash: [u8; 32],
    /// How much to hold; more than zero.
    pub amount: Money,
    /// The merchant's order reference, 1 to 64 printable characters.
    pub merchant_reference: String,
    /// The merchant's customer reference.
    pub customer_reference: Option<String>,
    /// What the payment is for, up to 200 characters.
    pub description: Option<String>,
    /// The terminal to send it under, instead of the merchant's own.
    pub terminal_id: Option<String>,
    /// Where the card comes from.
    pub payment_method: PaymentMethod,
    /// When the call came in.
    pub received_at: Instant,
}

/// What the merchant is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorized {
    /// The payment as it was when this request was answered first.
    pub payment: Box<Payment>,
    /// From the message's hand-over to the bank link until its answer, or until the gateway stopped
    /// waiting for one, in microseconds; 0 when no bank was asked.
    pub bank_us: u64,
}

/// Why there is no payment to tell of.
#[derive(Debug, thiserror::Error)]
pub enum AuthorizeError {
    /// The sealed card can't be used; nothing more is said about why.
    #[error("the sealed card was refused")]
    SealedCardRefused,
    /// No such test payment method, or this is not a test environment.
    #[error("there is no payment method {token:?} in this environment")]
    UnknownPaymentMethod {
        /// The token as it came; the API has checked that it is no card number.
        token: String,
    },
    /// The request id was used before, with another body.
    #[error("request_id {request_id:?} was used before with another request body")]
    RequestIdReused {
        /// The request id.
        request_id: String,
    },
    /// The same request is still being worked on.
    #[error("the request {request_id:?} is still being worked on")]
    StillRunning {
        /// The request id.
        request_id: String,
    },
    /// The operator has switched this merchant off.
    #[error("merchant {merchant_id} is not active")]
    MerchantInactive {
        /// Who asked.
        merchant_id: String,
    },
    /// The merchant's acquirer has no host profile.
    #[error("there is no host {host_id} for this merchant's payments")]
    NoRoute {
        /// Who asked.
        merchant_id: MerchantId,
        /// The host that the merchant's record names.
        host_id: HostId,
    },
    /// More requests wait than the gateway takes. Nothing was sent.
    #[error("the gateway is at its limit of waiting payments")]
    Overloaded,
    /// The gateway is stopping. Nothing was sent.
    #[error("the gateway is stopping and takes no new payments")]
    Draining,
    /// The store could not record the intent. Nothing was sent.
    #[error("the payment could not be recorded, and nothing was sent")]
    NotRecorded {
        /// What the store said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The message may have been sent, but the outcome could not be recorded in time. The same
    /// request id tells it later.
    #[error("the outcome of payment {payment_id} is not recorded yet")]
    OutcomeNotRecorded {
        /// The payment that will have an outcome.
        payment_id: PaymentId,
    },
}
