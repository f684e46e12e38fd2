//! What a merchant is owed, as the API shows it.

use super::money::money;
use crate::grpc::time::timestamp;
use crate::ledger::account::AccountKind;
use crate::ledger::template::AnyTemplate;
use crate::merchant_api::pb;
use crate::merchant_api::pb::BalanceEntryKind as Kind;
use crate::payment::money::Currency;
use crate::settlement::statement::LineKind;
use crate::store::reads::balances::{AccountBalance, BalanceEntry};

/// The kind of an entry; none where the template changes nothing of what is owed.
fn kind_of(template: AnyTemplate) -> Option<Kind> {
    LineKind::of(template).map(|kind| match kind {
        LineKind::Capture => Kind::Capture,
        LineKind::Refund => Kind::Refund,
        LineKind::Fee => Kind::Fee,
        LineKind::Reserve => Kind::Reserve,
        LineKind::ReserveRelease => Kind::ReserveRelease,
        LineKind::Payout => Kind::Payout,
        LineKind::PayoutReturn => Kind::PayoutReturn,
        LineKind::Chargeback => Kind::Chargeback,
        LineKind::Correction => Kind::Correction,
    })
}

/// The prefix of the kinds' names, which a filter leaves out.
const PREFIX: &str = "BALANCE_ENTRY_KIND_";

/// The templates of the journals of entries of this kind, by its name in a filter; none for a name that is no kind.
pub(crate) fn templates_of(kind: &str) -> Option<Vec<&'static str>> {
    let is_named = |template: &AnyTemplate| kind_of(*template).map(name_of) == Some(kind);
    let templates: Vec<_> = AnyTemplate::all()
        .filter(is_named)
        .map(AnyTemplate::name)
        .collect();
    (!templates.is_empty()).then_some(templates)
}

/// The names of the kinds of entries in a filter.
pub(crate) fn kind_names() -> Vec<&'static str> {
    let mut kinds: Vec<_> = AnyTemplate::all().filter_map(kind_of).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds.into_iter().map(name_of).collect()
}

fn name_of(kind: Kind) -> &'static str {
    let name = kind.as_str_name();
    name.strip_prefix(PREFIX).unwrap_or(name)
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
    let kind = AnyTemplate::of_journal(&entry.journal_id).and_then(kind_of);
    // A payout is the source of its journals.
    let payout = || {
        let source = entry.journal_id.split(':').next()?;
        source.starts_with("out_").then(|| source.to_owned())
    };
    let subject_id = entry.payment_id.map(|id| id.to_string()).or_else(payout);
    pb::BalanceEntry {
        entry_id: entry.journal_id.clone(),
        amount: Some(money(entry.amount_minor, entry.currency)),
        kind: kind.unwrap_or(Kind::Unspecified).into(),
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

    #[test]
    fn the_kinds_of_a_filter_are_those_that_entries_are_shown_as() {
        for template in AnyTemplate::all() {
            let kind = kind_of(template).map_or("", |it| it.as_str_name());
            let named = templates_of(kind.strip_prefix(PREFIX).unwrap_or_default());
            let is_named = named.is_some_and(|names| names.contains(&template.name()));
            assert_eq!(is_named, !kind.is_empty(), "{template:?}");
        }
        assert_eq!(
            templates_of("REFUND"),
            Some(vec!["refund", "refund_refused"])
        );
        assert_eq!(
            templates_of("CORRECTION"),
            Some(vec!["correction", "correction_of_merchant"])
        );
        assert_eq!(templates_of("refund"), None);
    }
}
