//! A card that comes with a request: how it is opened, where its messages go, and why it is refused.

use std::sync::Arc;

use crate::card::envelope::{Binding, Opener, SealedCard};
use crate::card::fault::SealedCardFault;
use crate::card::pan::Card;
use crate::card::test_methods::TestPaymentMethods;
use crate::hosts::Hosts;
use crate::hosts::routing::{Route, RouteError};
use crate::payment::ids::{HostId, MerchantId};
use crate::payment::merchant::Merchant;
use crate::payment::moment::UnixMillis;
use crate::payment::money::Money;
use crate::payment::operation_kind::OperationKind;
use crate::store::change::EnvelopeUse;

/// Where the card comes from. A clear card has no place here.
#[derive(Debug)]
pub enum PaymentMethod {
    /// A card that the merchant sealed.
    SealedCard(SealedCard),
    /// The name of a test card, for instance `pm_test_visa`; only in a test environment.
    TestToken(String),
}

/// Why nothing is asked of a bank. Nothing was recorded or sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CardRefusal {
    /// The sealed card can't be used. Only a test environment tells why.
    #[error("the sealed card was refused: {0}")]
    SealedCard(SealedCardFault),
    /// No such test payment method, or this is not a test environment.
    #[error("there is no payment method {token:?} in this environment")]
    UnknownPaymentMethod {
        /// The token as it came; the API has made sure that it is no card number.
        token: String,
    },
    /// The operator has switched this merchant off.
    #[error("merchant {merchant_id} is not active")]
    MerchantInactive {
        /// Who asked.
        merchant_id: MerchantId,
    },
    /// The merchant's bank takes no such operations.
    #[error("host {host_id} takes no {}", .kind.name().to_lowercase())]
    NotSupported {
        /// The merchant's host.
        host_id: HostId,
        /// The operation.
        kind: OperationKind,
    },
    /// The merchant's acquirer has no host profile.
    #[error("there is no host {host_id} for the payments of merchant {merchant_id}")]
    NoRoute {
        /// Who asked.
        merchant_id: MerchantId,
        /// The host that the merchant's record names.
        host_id: HostId,
    },
}

/// Opens the cards of requests.
pub struct NewCards {
    /// Opens sealed cards.
    pub opener: Arc<Opener>,
    /// The test payment methods, if this is a test environment.
    pub test_payment_methods: TestPaymentMethods,
    /// Says where a merchant's payments go.
    pub hosts: Arc<Hosts>,
}

/// A card, opened.
#[derive(Debug)]
pub struct NewCard {
    /// The card.
    pub card: Card,
    /// What keeps a sealed one from being used twice.
    pub envelope: Option<EnvelopeUse>,
    /// Where its message goes.
    pub route: Route,
}

impl NewCards {
    /// The card of a request that asks for an operation of `kind`. A sealed one is bound to the amount and the
    /// merchant's reference.
    ///
    /// # Errors
    /// When the card, the merchant or the merchant's host forbids it.
    pub fn open(
        &self,
        merchant: &Merchant,
        method: &PaymentMethod,
        (amount, merchant_reference): (Money, &str),
        kind: OperationKind,
        now: UnixMillis,
    ) -> Result<NewCard, CardRefusal> {
        let (card, envelope) = match method {
            PaymentMethod::SealedCard(sealed) => {
                let binding = Binding {
                    merchant_id: &merchant.id,
                    merchant_reference,
                    amount,
                };
                let opened = self.opener.open(sealed, &binding, now);
                let opened = opened.map_err(CardRefusal::SealedCard)?;
                let envelope = EnvelopeUse {
                    jti: opened.jti,
                    expires_at: opened.expires_at,
                };
                (opened.card, Some(envelope))
            }
            PaymentMethod::TestToken(token) => {
                let card = self.test_payment_methods.card(token);
                let unknown = || CardRefusal::UnknownPaymentMethod {
                    token: token.clone(),
                };
                (card.ok_or_else(unknown)?, None)
            }
        };
        let (merchant_id, host_id) = (merchant.id, merchant.acquirer);
        if !merchant.active {
            return Err(CardRefusal::MerchantInactive { merchant_id });
        }
        let no_route = |error| match error {
            RouteError::NoMessage { .. } if kind != OperationKind::Authorization => {
                CardRefusal::NotSupported { host_id, kind }
            }
            _ => CardRefusal::NoRoute {
                merchant_id,
                host_id,
            },
        };
        Ok(NewCard {
            card,
            envelope,
            route: self.hosts.route(merchant, kind).map_err(no_route)?,
        })
    }
}
