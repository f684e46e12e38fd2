//! Copies of an issuer's books, for tests that compare them with a switch's.

use super::{history::Standing, request::MessageKind};
use crate::response_code::ResponseCode;

/// An issuer's books at one moment.
#[derive(Debug, Clone, Default)]
pub struct BooksSnapshot {
    /// Every account of every card.
    pub accounts: Vec<AccountSnapshot>,
    /// The exchanges that the issuer remembers, oldest first; at most
    /// [`super::MAX_REMEMBERED_EXCHANGES`].
    pub exchanges: Vec<SeenExchange>,
}

impl BooksSnapshot {
    /// The account of a card in a currency, by the whole card number.
    #[must_use]
    pub fn account(&self, pan: &str, currency: &str) -> Option<&AccountSnapshot> {
        let masked_pan = super::card::masked(pan);
        self.accounts
            .iter()
            .find(|account| account.masked_pan == masked_pan && account.currency == currency)
    }

    /// The exchanges with this RRN, oldest first.
    pub fn by_rrn<'a>(&'a self, rrn: &'a str) -> impl Iterator<Item = &'a SeenExchange> {
        self.exchanges
            .iter()
            .filter(move |exchange| exchange.rrn == rrn)
    }
}

/// One account. `available_minor = balance_minor - held_minor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountSnapshot {
    /// BIN and last four digits of the card.
    pub masked_pan: String,
    /// ISO 4217 alphabetic code.
    pub currency: String,
    /// What the account holds, in minor units.
    pub balance_minor: i64,
    /// What is held for authorizations, in minor units.
    pub held_minor: i64,
    /// What can still be spent, in minor units.
    pub available_minor: i64,
}

/// One request that the issuer decided about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenExchange {
    /// What it asked for.
    pub kind: MessageKind,
    /// DE 11 on the issuer's line: behind an acquirer, the acquirer's STAN.
    pub stan: String,
    /// DE 7 on the issuer's line.
    pub transmitted: String,
    /// DE 37, the same at every hop.
    pub rrn: String,
    /// DE 41, the same at every hop.
    pub terminal: String,
    /// BIN and last four digits, when the issuer knows the card.
    pub masked_pan: Option<String>,
    /// DE 4, in minor units.
    pub amount_minor: i64,
    /// ISO 4217 alphabetic code of DE 49, when there is one.
    pub currency: Option<String>,
    /// DE 39 of the answer, whether or not it was ever sent.
    pub response_code: ResponseCode,
    /// DE 38 of the answer.
    pub approval_code: Option<String>,
    /// What has become of the money.
    pub standing: Standing,
    /// What was debited for good, in minor units; negative for a refund.
    pub posted_minor: i64,
}
