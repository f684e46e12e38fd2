//! What a merchant is owed, as the API shows it.

use super::money::money;
use crate::grpc::time::timestamp;
use crate::ledger::account::AccountKind;
use crate::merchant_api::pb;
use crate::merchant_api::pb::BalanceEntryKind as Kind;
use crate::payment::money::Currency;
use crate::store::reads::balances::{AccountBalance, BalanceEntry};

/// The kinds of entries, and the templates of their journals.
const KINDS: [(Kind, &[&str]); 9] = [
    (
        Kind::Capture,
        &[
            "capture",
            "capture_refused",
            "sale",
            "sale_refused",
            "sale_voided",
        ],
    ),
    (Kind::Refund, &["refund", "refund_refused"]),
    (Kind::Fee, &["fee", "settled"]),
    (Kind::Payout, &["payout"]),
    (
        Kind::PayoutReturn,
        &["payout_returned", "payout_given_back"],
    ),
    (Kind::Chargeback, &["chargeback", "chargeback_reversed"]),
    (Kind::Correction, &["correction"]),
    (Kind::Reserve, &["reserve"]),
    (Kind::ReserveRelease, &["reserve_released"]),
];

/// The prefix of the kinds' names, which a filter leaves out.
const PREFIX: &str = "BALANCE_ENTRY_KIND_";

/// The templates of the journals of entries of this kind, by its name in a filter; none for a name that is no kind.
pub(crate) fn templates_of(kind: &str) -> Option<Vec<&'static str>> {
    let mut named = kind_names().into_iter().zip(KINDS);
    let (_, (_, templates)) = named.find(|(name, _)| *name == kind)?;
    Some(templates.to_vec())
}

/// The names of the kinds of entries in a filter.
pub(crate) fn kind_names() -> [&'static str; KINDS.len()] {
    KINDS.map(|(kind, _)| {
        let name = kind.as_str_name();
        name.strip_prefix(PREFIX).unwrap_or(name)
    })
}

/// The balances of accounts: one for each currency, by its code.
pub(crate) fn balances(accounts: &[AccountBalance]) -> Vec<pb::Balance> {
    let mut currencies: Vec<Currency> = accounts.iter().map(|account| account.currency).collect();
    currencies.sort_by_key(|currency| currency.code());
    currencies.dedup();
    let balance = |currency: Currency| {
        // What is owed is a credit, which is negative.
        let owed = |kind: AccountKind| {
            let of_kind = accounts
                .iter()
                .filter(|it| it.currency == currency && it.kind == kind);
            let owed_minor = of_kind
                .map(|it| it.amount_minor)
                .fold(0, i64::saturating_sub);
            Some(money(owed_minor, currency))
        };
        pb::Balance {
            pending: owed(AccountKind::PayablePending),
            available: owed(AccountKind::PayableAvailable),
            reserved_amount: owed(AccountKind::Reserve),
            in_transit: owed(AccountKind::InTransit),
        }
    };
    currencies.into_iter().map(balance).collect()
}

/// One entry.
pub(crate) fn balance_entry(entry: BalanceEntry) -> pb::BalanceEntry {
    let template = entry
        .journal_id
        .rsplit_once(':')
        .map_or("", |(_, name)| name);
    let kind = KINDS.iter().find(|(_, names)| names.contains(&template));
    // A payout is the source of its journals.
    let payout = || {
        let source = entry.journal_id.split(':').next()?;
        source.starts_with("out_").then(|| source.to_owned())
    };
    let subject_id = entry.payment_id.map(|id| id.to_string()).or_else(payout);
    pb::BalanceEntry {
        entry_id: entry.journal_id.clone(),
        amount: Some(money(entry.amount_minor, entry.currency)),
        kind: kind.map_or(Kind::Unspecified, |(kind, _)| *kind).into(),
        subject_id: subject_id.unwrap_or_default(),
        business_date: entry.business_date.unwrap_or_default(),
        create_time: Some(timestamp(entry.at)),
        journal_id: entry.journal_id,
        available_time: None,
        fee_parts: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::template::Template;

    #[test]
    fn every_template_that_changes_what_is_owed_has_its_kind() {
        let kind = |name: &str| KINDS.iter().find(|(_, names)| names.contains(&name));
        for template in Template::ALL {
            let only_beyond = [Template::PayoutCredited];
            let named = kind(template.name()).is_some();
            assert_ne!(
                named,
                only_beyond.contains(&template),
                "{}",
                template.name()
            );
        }
        assert_eq!(
            templates_of("REFUND"),
            Some(vec!["refund", "refund_refused"])
        );
        assert_eq!(templates_of("refund"), None);
    }
}
