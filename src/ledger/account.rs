//! Accounts: what a line of a journal is booked on.

use std::fmt;
use std::str::FromStr;

use crate::payment::ids::{HostId, MerchantId};
use crate::payment::money::Currency;

/// What an account is for. Each merchant has one of each kind for each host and currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AccountKind {
    /// What the acquirer owes for captures, less refunds and chargebacks: a debit.
    Receivable,
    /// What the merchant is owed for items that the acquirer has not settled: a credit.
    PayablePending,
    /// What the merchant is owed for settled items, and is not paid out: a credit.
    PayableAvailable,
    /// What is held back of it: a credit.
    Reserve,
    /// Fees that the merchant has paid: a credit.
    Fee(FeeKind),
    /// Paid out, and not yet credited by the merchant's bank: a credit.
    InTransit,
    /// The other side of corrections, until they are explained.
    Suspense,
    /// Chargebacks that the merchant was debited for, and that the acquirer has not deducted yet: a credit.
    Chargebacks,
    /// What was exchanged from, or into, the other currency.
    Exchange {
        /// The other currency of the pair.
        other: Currency,
    },
}

/// What a fee is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FeeKind {
    /// The issuer's share.
    Interchange,
    /// The card scheme's share.
    Scheme,
    /// The acquirer's and payswitch's share.
    Markup,
    /// A tax on the fee.
    Tax,
}

/// The prefix of an exchange's name; the other currency follows.
const EXCHANGE: &str = "EXCHANGE_";

impl AccountKind {
    /// All kinds without data, by the names that the store and the operators use.
    const NAMED: [(Self, &str); 11] = [
        (Self::Receivable, "RECEIVABLE"),
        (Self::PayablePending, "PAYABLE_PENDING"),
        (Self::PayableAvailable, "PAYABLE_AVAILABLE"),
        (Self::Reserve, "RESERVE"),
        (Self::Fee(FeeKind::Interchange), "FEE_INTERCHANGE"),
        (Self::Fee(FeeKind::Scheme), "FEE_SCHEME"),
        (Self::Fee(FeeKind::Markup), "FEE_MARKUP"),
        (Self::Fee(FeeKind::Tax), "FEE_TAX"),
        (Self::InTransit, "IN_TRANSIT"),
        (Self::Suspense, "SUSPENSE"),
        (Self::Chargebacks, "CHARGEBACKS"),
    ];
}

impl fmt::Display for AccountKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Exchange { other } = self {
            return write!(f, "{EXCHANGE}{other}");
        }
        let named = Self::NAMED.iter().find(|(kind, _)| kind == self);
        f.write_str(named.map_or("", |(_, name)| name))
    }
}

/// A text that names no account.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected the name of an account, such as RECEIVABLE or EXCHANGE_USD, got {got:?}")]
pub struct UnknownAccount {
    /// The text as it came, cut to 40 characters.
    pub got: String,
}

impl FromStr for AccountKind {
    type Err = UnknownAccount;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = Self::NAMED.iter().find(|(_, name)| *name == text);
        let exchange = || {
            let other = text.strip_prefix(EXCHANGE)?.parse().ok()?;
            Some(Self::Exchange { other })
        };
        named
            .map(|(kind, _)| *kind)
            .or_else(exchange)
            .ok_or_else(|| UnknownAccount {
                got: text.chars().take(40).collect(),
            })
    }
}

/// An account; its lines have one currency each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Account {
    /// What it is for.
    pub kind: AccountKind,
    /// Whose business it is.
    pub merchant_id: MerchantId,
    /// The host that it is settled with.
    pub host_id: HostId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_reads_back_from_its_name() {
        let exchange = AccountKind::Exchange {
            other: "USD".parse().unwrap(),
        };
        let named = AccountKind::NAMED.map(|(kind, _)| kind);
        for kind in named.into_iter().chain([exchange]) {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        for text in ["", "receivable", "EXCHANGE_", "EXCHANGE_usd"] {
            assert!(text.parse::<AccountKind>().is_err(), "{text}");
        }
    }
}
