//! What the calls about counts are about: a card, a merchant or an address.

use std::fmt;
use std::net::IpAddr;

use pb::risk_subject::Subject as Given;

use crate::admin_api::show::errors::Refusal;
use crate::admin_api::{pb, read};
use crate::grpc::violations::Findings;
use crate::payment::ids::{MerchantId, PaymentId};
use crate::risk::subject::{KnownCard, Subject};
use crate::store::Store;

/// What a call is about.
#[derive(Debug, Clone)]
pub(super) enum About {
    /// The card of a payment.
    CardOf(PaymentId),
    Merchant(MerchantId),
    Address(IpAddr, Option<MerchantId>),
}

/// As the audit trail has it.
impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CardOf(payment_id) => write!(f, "card of {payment_id}"),
            Self::Merchant(merchant_id) => write!(f, "merchant {merchant_id}"),
            Self::Address(address, None) => write!(f, "address {address}"),
            Self::Address(address, Some(at)) => write!(f, "address {address} at {at}"),
        }
    }
}

impl About {
    /// Reads it.
    pub(super) fn read(findings: &mut Findings, subject: Option<&pb::RiskSubject>) -> Option<Self> {
        let at = subject.map_or("", |it| it.at_merchant_id.as_str());
        match subject.and_then(|it| it.subject.as_ref()) {
            Some(Given::Address(text)) => {
                let address = read::address(findings, text);
                let at = match at {
                    "" => Some(None),
                    at => read::merchant_id(findings, at).map(Some),
                };
                Some(Self::Address(address?, at?))
            }
            _ if !at.is_empty() => {
                findings.add("at_merchant_id", "none without an address", "one");
                None
            }
            Some(Given::PaymentId(id)) => read::payment_id(findings, id).map(Self::CardOf),
            Some(Given::MerchantId(id)) => read::merchant_id(findings, id).map(Self::Merchant),
            None => {
                let expected = "one of payment_id, merchant_id and address";
                findings.add("subject", expected, "nothing");
                None
            }
        }
    }

    /// What is counted of it.
    ///
    /// # Errors
    /// When there is no such payment, or nothing is kept by which its card is known.
    pub(super) async fn subject(self, store: &Store) -> Result<Subject, Refusal> {
        let payment_id = match self {
            Self::Merchant(merchant_id) => return Ok(Subject::Merchant(merchant_id)),
            Self::Address(address, at) => return Ok(Subject::Address(address, at)),
            Self::CardOf(payment_id) => payment_id,
        };
        let found = store.velocity_of(payment_id).await;
        let found = found.map_err(|error| Refusal::not_done(&error))?;
        let (merchant_id, velocity) = found.ok_or(Refusal::PaymentNotFound)?;
        let known = velocity.and_then(|velocity| KnownCard::new(merchant_id, &velocity));
        let known = known.ok_or(Refusal::CardNotKnown)?;
        Ok(Subject::Card(Box::new(known)))
    }
}
