//! Copies of an issuer's books, for tests that compare them with a switch's.

use super::Books;
use crate::{
    currency::{Currency, code_of},
    issuer::{card, history::Standing, request::MessageKind, tallies::Tally},
    response_code::ResponseCode,
};

/// An issuer's books at one moment.
#[derive(Debug, Clone, Default)]
pub struct BooksSnapshot {
    /// Every account of every card.
    pub accounts: Vec<AccountSnapshot>,
    /// The exchanges that the issuer remembers, oldest first.
    pub exchanges: Vec<SeenExchange>,
}

impl BooksSnapshot {
    /// The account of a card in a currency, by the whole card number.
    #[must_use]
    pub fn account(&self, pan: &str, currency: &str) -> Option<&AccountSnapshot> {
        let masked_pan = card::masked(pan);
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

/// One account. `available_minor = balance_minor + its credit line - held_minor`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountSnapshot {
    /// Its name, eight digits.
    pub account_id: String,
    /// BIN and last four digits of the card.
    pub masked_pan: String,
    /// ISO 4217 alphabetic code.
    pub currency: String,
    /// The balance, in minor units.
    pub balance_minor: i64,
    /// The amount held for authorizations, in minor units.
    pub held_minor: i64,
    /// The amount that can still be spent, in minor units.
    pub available_minor: i64,
}

/// One request that the issuer decided about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenExchange {
    /// The kind of message.
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
    /// The state of the money.
    pub standing: Standing,
    /// The amount debited for good, in minor units; negative for a refund. For an authorization, what its
    /// captures debited.
    pub posted_minor: i64,
}

impl Books {
    /// A copy of the books for who compares them with another's.
    pub(crate) fn snapshot(&self) -> BooksSnapshot {
        BooksSnapshot {
            accounts: self.account_snapshots(),
            exchanges: self.exchange_snapshots(),
        }
    }

    /// What was done, by ISO 4217 alphabetic code (or the numeric one of a currency that is none).
    pub(crate) fn tallies(&self) -> Vec<(String, Tally)> {
        self.tallies
            .iter()
            .map(|(numeric, tally)| (code_of(numeric), tally.clone()))
            .collect()
    }

    /// Every account of every card.
    pub(crate) fn account_snapshots(&self) -> Vec<AccountSnapshot> {
        self.cards
            .iter()
            .flat_map(|card| {
                card.accounts
                    .iter()
                    .map(move |(_, account)| (card, *account))
            })
            .filter_map(|(card, index)| {
                let account = self.accounts.get(usize::try_from(index).ok()?)?;
                Some(AccountSnapshot {
                    account_id: format!("{:08}", index.saturating_add(1)),
                    masked_pan: card.masked_pan.clone(),
                    currency: account.currency.code().to_owned(),
                    balance_minor: account.balance_minor,
                    held_minor: account.held_minor,
                    available_minor: account.available_minor(),
                })
            })
            .collect()
    }

    fn exchange_snapshots(&self) -> Vec<SeenExchange> {
        self.history
            .in_order()
            .into_iter()
            .map(|(key, exchange)| SeenExchange {
                kind: key.kind,
                stan: text(&key.stan),
                transmitted: text(&key.transmitted),
                rrn: text(&key.rrn),
                terminal: text(&key.terminal),
                masked_pan: self.card(exchange.card).map(|card| card.masked_pan.clone()),
                amount_minor: exchange.amount_minor,
                currency: Currency::from_numeric(exchange.currency_numeric)
                    .map(|currency| currency.code().to_owned()),
                response_code: exchange.response_code,
                approval_code: exchange.approval_code.map(|code| text(&code)),
                standing: exchange.standing,
                posted_minor: exchange.posted_minor,
            })
            .collect()
    }
}

fn text(ascii: &[u8]) -> String {
    String::from_utf8_lossy(ascii).into_owned()
}
