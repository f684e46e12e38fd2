//! What operators ask about, and what is counted of it.

use std::net::IpAddr;

use iso8583::hex;

use super::table::Hash;
use crate::config::risk::LimitedSubject;
use crate::payment::ids::MerchantId;
use crate::payment::moment::UnixMillis;

/// A card, a merchant or an address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A card, and the cards whose numbers differ in their last four digits only, where they are known.
    Card(Box<KnownCard>),
    /// A merchant.
    Merchant(MerchantId),
    /// An address, and the merchant for limits that count each apart.
    Address(IpAddr, Option<MerchantId>),
}

/// A card, as a payment has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownCard {
    merchant_id: MerchantId,
    card: Hash,
    range: Option<Hash>,
}

impl KnownCard {
    /// The card of a merchant's payment, by what is kept of it: the keyed hash of its number, and that of its range, which
    /// payments of earlier versions don't have. `None` when it is something else.
    #[must_use]
    pub fn new(merchant_id: MerchantId, velocity: &str) -> Option<Self> {
        let (card, range) = match velocity.split_at_checked(2 * size_of::<Hash>())? {
            (card, "") => (card, None),
            (card, range) => (card, Some(hex::decode_lower(range)?)),
        };
        Some(Self {
            merchant_id,
            card: hex::decode_lower(card)?,
            range,
        })
    }
}

impl Subject {
    /// The merchant, where there is one.
    pub(super) fn merchant_id(&self) -> Option<MerchantId> {
        match self {
            Self::Card(known) => Some(known.merchant_id),
            Self::Merchant(merchant_id) => Some(*merchant_id),
            Self::Address(_, merchant_id) => *merchant_id,
        }
    }

    /// Under which hash a limit counts it, if it does.
    pub(super) fn hash(&self, of: LimitedSubject) -> Option<Hash> {
        match (self, of) {
            (Self::Card(known), LimitedSubject::Card) => Some(known.card),
            (Self::Card(known), LimitedSubject::CardRange) => known.range,
            (Self::Merchant(_), LimitedSubject::Merchant) => Some(Hash::default()),
            (Self::Address(address, _), LimitedSubject::Address) => Some(hash_of(*address)),
            _ => None,
        }
    }
}

/// The address in one form, whichever it came in.
pub(super) fn hash_of(address: IpAddr) -> Hash {
    let address = match address.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    address.octets()
}

/// What counts of a subject for one limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitCount {
    /// The limit's name.
    pub limit: String,
    /// The merchant, where the limit counts each apart.
    pub merchant_id: Option<MerchantId>,
    /// How much counts.
    pub count: i64,
    /// The most that may.
    pub most: u32,
    /// Until when the next attempt is declined, if nothing more is counted; `None` where it is not.
    pub blocked_until: Option<UnixMillis>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_reads_back_with_and_without_its_range() {
        let shop = "shop".parse().unwrap();
        let (card, range) = ("0a".repeat(16), "ff".repeat(16));
        for (velocity, expected) in [
            (card.clone(), Some((Some([10; 16]), None))),
            (
                card.clone() + &range,
                Some((Some([10; 16]), Some([255; 16]))),
            ),
            (String::new(), None),
            ("0a".repeat(15), None),
            (card.clone() + "ff", None),
            ("0A".repeat(16), None),
        ] {
            let known = KnownCard::new(shop, &velocity).map(|known| {
                let subject = Subject::Card(Box::new(known));
                let hash = |of| subject.hash(of);
                (hash(LimitedSubject::Card), hash(LimitedSubject::CardRange))
            });
            assert_eq!(known, expected, "{velocity}");
        }
    }
}
