use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::payment::custody::CustodyEnd;
use crate::payment::event::PaymentEvent;
use crate::payment::money::Money;
use crate::payment::samples;

fn posting() -> Posting {
    Posting {
        source: "op_1".into(),
        merchant_id: "demo-shop".parse().unwrap(),
        host_id: "acquirer".parse().unwrap(),
        at: samples::NOW,
    }
}

fn eur() -> Currency {
    "EUR".parse().unwrap()
}

fn key(kind: AccountKind, currency: Currency) -> (String, &'static str) {
    (kind.to_string(), currency.code())
}

/// Balances by account and currency; what is zero is left out.
#[derive(Default)]
struct Balances(BTreeMap<(String, &'static str), i64>);

impl Balances {
    fn post(&mut self, journal: &Journal) {
        for line in journal.lines() {
            let key = key(line.account.kind, line.currency);
            *self.0.entry(key).or_default() += line.amount_minor;
        }
        self.0.retain(|_, minor| *minor != 0);
    }

    fn of(&self, kind: AccountKind) -> i64 {
        self.0.get(&key(kind, eur())).copied().unwrap_or_default()
    }

    fn sum(&self, currency: Currency) -> i64 {
        let of_currency = self.0.iter().filter(|((_, of), _)| *of == currency.code());
        of_currency.map(|(_, minor)| minor).sum()
    }
}

#[test]
fn names_differ_and_lead_back_to_their_template() {
    for template in AnyTemplate::all() {
        let id = format!("dis_1.5:{}", template.name());
        assert_eq!(AnyTemplate::of_journal(&id), Some(template));
    }
    for other in ["capture", "op_1:capture_", "op_1:Capture", "op_1:", ""] {
        assert_eq!(AnyTemplate::of_journal(other), None, "{other}");
    }
    let mut names: Vec<&str> = AnyTemplate::all().map(AnyTemplate::name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Template::ALL.len() + 5);
}

#[test]
fn what_counts_is_posted_and_what_is_pending_is_not() {
    use OperationKind as K;
    use Template as T;
    type Change = fn(&mut Amounts);
    let pending: Change = |change| {
        change.captured_minor = 5;
        change.captured_pending_minor = 5;
    };
    let approved: Change = |change| change.captured_pending_minor = -5;
    let free_again: Change = |change| {
        change.captured_minor = -5;
        change.captured_pending_minor = -5;
    };
    let counts: Change = |change| change.captured_minor = 5;
    let undone: Change = |change| change.captured_minor = -5;
    let refunded: Change = |change| change.refunded_minor = 5;
    let refund_pending: Change = |change| {
        change.refunded_minor = 5;
        change.refunded_pending_minor = 5;
    };
    let refund_undone: Change = |change| change.refunded_minor = -5;
    let rows: [(K, Change, Option<T>); 15] = [
        (K::Authorization, |change| change.authorized_minor = 5, None),
        (K::Capture, pending, None),
        (K::Capture, free_again, None),
        (K::Capture, approved, Some(T::Capture)),
        (K::Capture, counts, Some(T::Capture)),
        (K::Capture, undone, Some(T::CaptureRefused)),
        (K::Sale, counts, Some(T::Sale)),
        (K::Sale, undone, Some(T::SaleRefused)),
        (K::Reversal, counts, Some(T::Sale)),
        (K::Void, undone, Some(T::SaleVoided)),
        (K::Refund, refund_pending, None),
        (K::Refund, refunded, Some(T::Refund)),
        (K::Refund, refund_undone, Some(T::RefundRefused)),
        (
            K::Refund,
            |change| change.disputed_minor = 5,
            Some(T::Chargeback),
        ),
        (
            K::Refund,
            |change| change.disputed_minor = -5,
            Some(T::ChargebackReversed),
        ),
    ];
    for (kind, change, expected) in rows {
        let mut amounts = Amounts::ZERO;
        change(&mut amounts);
        let expected = expected.map(|template| (template, 5));
        assert_eq!(
            Template::of(kind, &amounts),
            Ok(expected),
            "{kind:?} {amounts:?}"
        );
    }
    let two = Amounts {
        captured_minor: 5,
        refunded_minor: 5,
        ..Amounts::ZERO
    };
    let refused = Err(JournalError::SeveralMovements);
    assert_eq!(Template::of(K::Refund, &two), refused);
}

#[test]
fn what_is_undone_leaves_every_account_at_zero() {
    use Template as T;
    for (done, undone) in [
        (T::Capture, T::CaptureRefused),
        (T::Sale, T::SaleRefused),
        (T::Sale, T::SaleVoided),
        (T::Refund, T::RefundRefused),
        (T::Reserve, T::ReserveReleased),
        (T::Payout, T::PayoutReturned),
        (T::Chargeback, T::ChargebackReversed),
    ] {
        let mut balances = Balances::default();
        for template in [done, undone] {
            balances.post(&posting().movement(template, eur(), 1250).unwrap());
        }
        assert!(balances.0.is_empty(), "{} {}", done.name(), undone.name());
    }
}

/// 100 captured, 30 refunded, 20 charged back, settled with 2 of fees, 3 of fees later, 10 held back and released, the rest
/// paid out.
#[test]
fn a_life_that_ends_leaves_the_fees() {
    use AccountKind as A;
    use Template as T;
    let mut balances = Balances::default();
    for (template, amount_minor) in [(T::Capture, 100), (T::Refund, 30), (T::Chargeback, 20)] {
        balances.post(&posting().movement(template, eur(), amount_minor).unwrap());
    }
    let fees = [(FeeKind::Markup, 2), (FeeKind::Tax, 0)];
    let settled = posting().settled(eur(), 70, 20, &fees).unwrap().unwrap();
    balances.post(&settled);
    assert_eq!(balances.of(A::PayablePending), 0);
    assert_eq!(balances.of(A::Chargebacks), 0);
    assert_eq!(balances.of(A::PayableAvailable), -48);
    let steps = [
        (T::Reserve, 10),
        (T::ReserveReleased, 10),
        (T::Payout, 45),
        (T::PayoutReturned, 45),
        (T::Payout, 45),
        (T::PayoutCredited, 45),
    ];
    for (template, amount_minor) in steps {
        balances.post(&posting().movement(template, eur(), amount_minor).unwrap());
    }
    assert_eq!(balances.of(A::PayableAvailable), -3);
    let parts = [(FeeKind::Interchange, 3), (FeeKind::Scheme, 0)];
    balances.post(&posting().fee(eur(), &parts).unwrap());
    let left = [
        (key(A::Receivable, eur()), 5),
        (key(A::Fee(FeeKind::Interchange), eur()), -3),
        (key(A::Fee(FeeKind::Markup), eur()), -2),
    ];
    assert_eq!(balances.0, BTreeMap::from(left));
}

#[test]
fn what_moves_nothing_is_no_journal() {
    let posting = posting();
    let got_minor = JournalError::Amount { got_minor: 0 };
    let movement = posting.movement(Template::Capture, eur(), 0);
    assert_eq!(movement, Err(got_minor.clone()));
    let exchange = posting.exchange((eur(), 5), ("USD".parse().unwrap(), 0));
    assert_eq!(exchange, Err(got_minor));
    let zero = Err(JournalError::Zero { currency: eur() });
    assert_eq!(posting.fee(eur(), &[(FeeKind::Tax, 0)]), zero);
    assert_eq!(posting.correction(AccountKind::Receivable, eur(), 0), zero);
    assert_eq!(posting.settled(eur(), 0, 0, &[(FeeKind::Tax, 0)]), Ok(None));
}

/// A random change of a payment: which one, and how much.
fn change() -> impl Strategy<Value = Amounts> {
    let kinds = (0..9_u8, 1..400_i64);
    kinds.prop_map(|(kind, minor)| {
        let mut change = Amounts::ZERO;
        match kind {
            0 => change.authorized_minor = minor,
            1 => (change.captured_minor, change.captured_pending_minor) = (minor, minor),
            2 => change.captured_pending_minor = -minor,
            3 => (change.captured_minor, change.captured_pending_minor) = (-minor, -minor),
            4 => change.captured_minor = minor,
            5 => change.captured_minor = -minor,
            6 => (change.refunded_minor, change.refunded_pending_minor) = (minor, minor),
            7 => change.refunded_pending_minor = -minor,
            _ => change.refunded_minor = -minor,
        }
        change
    })
}

fn kind() -> impl Strategy<Value = OperationKind> {
    use OperationKind as K;
    prop::sample::select(&[K::Capture, K::Sale, K::Void, K::Refund][..])
}

proptest! {
    /// The amounts of a payment are what its journals sum to, whatever happens to it.
    #[test]
    fn the_ledger_says_what_the_payment_says(changes in vec((kind(), change()), 1..60)) {
        let mut amounts = Amounts { authorized_minor: 1000, ..Amounts::ZERO };
        let mut balances = Balances::default();
        for (kind, change) in changes {
            let Ok(after) = amounts.plus(&change) else { continue };
            amounts = after;
            let operation = Operation { kind, ..samples::operation() };
            let adjustment = Adjustment {
                event: PaymentEvent::Captured,
                change,
                at: samples::NOW,
                custody: CustodyEnd::Unchanged,
            };
            let merchant_id = samples::merchant().id;
            if let Some(journal) = journal_of(merchant_id, &operation, &adjustment).unwrap() {
                balances.post(&journal);
            }
            let counted = amounts.captured_minor - amounts.captured_pending_minor;
            let returned = amounts.refunded_minor - amounts.refunded_pending_minor;
            prop_assert_eq!(balances.of(AccountKind::Receivable), counted - returned);
            prop_assert_eq!(balances.of(AccountKind::PayablePending), returned - counted);
        }
    }

    /// Whatever is posted, each currency sums to zero.
    #[test]
    fn every_currency_sums_to_zero(
        posted in vec((0..Template::ALL.len() + 4, any::<bool>(), 1..1_000_000_i64), 1..60),
    ) {
        let usd: Currency = "USD".parse().unwrap();
        let mut balances = Balances::default();
        for (which, in_usd, minor) in posted {
            let (currency, other) = if in_usd { (usd, eur()) } else { (eur(), usd) };
            let posting = posting();
            let journal = match Template::ALL.get(which) {
                Some(template) => posting.movement(*template, currency, minor),
                None if which == Template::ALL.len() => {
                    let parts = [(FeeKind::Interchange, minor), (FeeKind::Tax, -minor / 3)];
                    posting.fee(currency, &parts)
                }
                None if which == Template::ALL.len() + 1 => {
                    posting.correction(AccountKind::PayableAvailable, currency, -minor)
                }
                None if which == Template::ALL.len() + 2 => {
                    posting.correction_of_merchant(currency, -minor)
                }
                None => posting.exchange((currency, minor), (other, minor * 2)),
            };
            balances.post(&journal.unwrap());
            prop_assert_eq!((balances.sum(eur()), balances.sum(usd)), (0, 0));
        }
    }
}

#[test]
fn a_journal_names_its_operation_and_its_host() {
    let operation = Operation {
        kind: OperationKind::Capture,
        amount: Money::new(700, eur()).unwrap(),
        ..samples::operation()
    };
    let adjustment = Adjustment {
        event: PaymentEvent::Captured,
        change: Amounts {
            captured_minor: 700,
            ..Amounts::ZERO
        },
        at: samples::NOW,
        custody: CustodyEnd::Unchanged,
    };
    let journal = journal_of(samples::merchant().id, &operation, &adjustment);
    let journal = journal.unwrap().unwrap();
    assert_eq!(journal.id(), format!("{}:capture", operation.id));
    let shown: Vec<_> = journal
        .lines()
        .iter()
        .map(|line| (line.account.kind, line.amount_minor, line.account.host_id))
        .collect();
    let host = operation.host_id;
    assert_eq!(
        shown,
        [
            (AccountKind::Receivable, 700, host),
            (AccountKind::PayablePending, -700, host)
        ]
    );
}
