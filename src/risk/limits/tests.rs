//! Attempts on limits of each kind, with a clock of the test's own.

use std::net::Ipv4Addr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::card::master_key::MasterKey;
use crate::config::risk::{LimitConfig, LimitedOperation};
use crate::random::Random;
use crate::risk::subject::KnownCard;

const NOW: UnixMillis = UnixMillis::new(1_000_000_000_000);
const VISA: &str = "4242424242424242";
const MASTERCARD: &str = "5555555555554444";

fn limits(limits: Vec<LimitConfig>) -> Arc<Limits> {
    let config = RiskConfig {
        limits: Some(limits),
    };
    let master_key = MasterKey::from_base64(&STANDARD.encode([7; 32]), &Random::SYSTEM).unwrap();
    let fingerprints = Fingerprints::new(&master_key).unwrap();
    Arc::new(Limits::new(&config, Environment::Test, fingerprints).unwrap())
}

/// Three of it in a minute.
fn three(name: &str, of: LimitedSubject, counts: CountedEvent) -> LimitConfig {
    LimitConfig {
        name: name.to_owned(),
        of,
        by_merchant: false,
        counts,
        operations: vec![
            LimitedOperation::AuthorizePayment,
            LimitedOperation::VerifyCard,
        ],
        most: 3,
        window_seconds: 60,
        most_of: Default::default(),
    }
}

struct Try {
    pan: String,
    merchant: &'static str,
    address: IpAddr,
    kind: OperationKind,
}

const HOME: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

fn tried(pan: &str) -> Try {
    Try {
        pan: pan.to_owned(),
        merchant: "shop",
        address: HOME.into(),
        kind: OperationKind::Authorization,
    }
}

/// Whether it may go to the bank, and then the attempt as it is recorded.
fn take(limits: &Arc<Limits>, tried: &Try, at: UnixMillis) -> Result<Attempt, String> {
    let pan = Pan::from_digits(&tried.pan).unwrap();
    let tried = Tried {
        pan: &pan,
        merchant_id: tried.merchant.parse().unwrap(),
        address: tried.address,
        kind: tried.kind,
    };
    let taken = limits.take(tried, at).map_err(|reached| {
        reached.count();
        reached.limit.to_owned()
    })?;
    Ok(taken.unwrap().recorded())
}

/// What counts together with a card of a shop that was tried three times, and what does not.
#[test]
fn a_limit_counts_its_subject() {
    use LimitedSubject::{Address, Card, CardRange, Merchant};
    let neighbour = || tried("4242424242420000");
    let other_card = || tried(MASTERCARD);
    let other_shop = || Try {
        merchant: "other",
        ..tried(VISA)
    };
    let elsewhere = || Try {
        address: Ipv4Addr::new(192, 0, 2, 2).into(),
        ..tried(VISA)
    };
    let mapped = || Try {
        address: HOME.to_ipv6_mapped().into(),
        ..tried(MASTERCARD)
    };
    // The card again, its neighbour, another card, the card in another shop, from elsewhere; another card by the same
    // address in its other form.
    for (of, by_merchant, passes) in [
        (Card, false, [false, true, true, false, false, true]),
        (Card, true, [false, true, true, true, false, true]),
        (CardRange, false, [false, false, true, false, false, true]),
        (CardRange, true, [false, false, true, true, false, true]),
        (Merchant, false, [false, false, false, true, false, false]),
        (Address, false, [false, false, false, false, true, false]),
        (Address, true, [false, false, false, true, true, false]),
    ] {
        let limits = limits(vec![LimitConfig {
            by_merchant,
            ..three("limit", of, CountedEvent::Attempts)
        }]);
        for _ in 0..3 {
            take(&limits, &tried(VISA), NOW).unwrap();
        }
        let all = [
            tried(VISA),
            neighbour(),
            other_card(),
            other_shop(),
            elsewhere(),
            mapped(),
        ];
        let passed = all.map(|it| take(&limits, &it, NOW).is_ok());
        assert_eq!(passed, passes, "{of:?} {by_merchant}");
    }
}

#[test]
fn what_does_not_go_to_the_bank_does_not_count() {
    let limits = limits(vec![three(
        "attempts",
        LimitedSubject::Card,
        CountedEvent::Attempts,
    )]);
    let pan = Pan::from_digits(VISA).unwrap();
    let opened = Tried {
        pan: &pan,
        merchant_id: "shop".parse().unwrap(),
        address: HOME.into(),
        kind: OperationKind::Sale,
    };
    for _ in 0..10 {
        // Not recorded: the same request was there before.
        drop(limits.take(opened, NOW).unwrap());
        // Recorded, and not sent.
        take(&limits, &tried(VISA), NOW).unwrap().not_sent();
    }
    for _ in 0..3 {
        take(&limits, &tried(VISA), NOW).unwrap();
    }
    for _ in 0..10 {
        let refused = take(&limits, &tried(VISA), NOW).unwrap_err();
        assert_eq!(refused, "attempts");
    }
    assert_eq!(Vec::from_iter(limits.declined()), [("attempts", 10)]);
    // Nor does what was refused: the window of three passes.
    let later = NOW.plus_ms(120_000);
    assert!(take(&limits, &tried(VISA), later).is_ok());
}

#[test]
fn declines_are_limited_by_themselves_and_one_limit_takes_back_what_another_took() {
    let declines = three("declines", LimitedSubject::Card, CountedEvent::Declines);
    let attempts = three("attempts", LimitedSubject::Merchant, CountedEvent::Attempts);
    let limits = limits(vec![attempts, declines]);
    for _ in 0..3 {
        let attempt = take(&limits, &tried(VISA), NOW).unwrap();
        attempt.declined(NOW.plus_ms(1_000));
    }
    let soon = NOW.plus_ms(2_000);
    assert_eq!(take(&limits, &tried(VISA), soon).unwrap_err(), "attempts");
    // An hour later the merchant's attempts are free again, and in the same minute other declines come in.
    let later = NOW.plus_ms(3_600_000);
    for _ in 0..3 {
        let attempt = take(&limits, &tried(MASTERCARD), later).unwrap();
        attempt.declined(later);
        attempt.not_sent();
    }
    for _ in 0..5 {
        let refused = take(&limits, &tried(MASTERCARD), later).unwrap_err();
        assert_eq!(refused, "declines");
    }
    for _ in 0..3 {
        take(&limits, &tried(VISA), later).unwrap();
    }
}

#[test]
fn only_the_operations_of_a_limit_count() {
    let limits = limits(vec![LimitConfig {
        operations: vec![LimitedOperation::VerifyCard],
        ..three("verify", LimitedSubject::Card, CountedEvent::Attempts)
    }]);
    let verified = Try {
        kind: OperationKind::Verification,
        ..tried(VISA)
    };
    for _ in 0..3 {
        take(&limits, &verified, NOW).unwrap();
    }
    assert!(take(&limits, &verified, NOW).is_err());
    for kind in [OperationKind::Authorization, OperationKind::Sale] {
        let paid = Try {
            kind,
            ..tried(VISA)
        };
        assert!(take(&limits, &paid, NOW).is_ok());
    }
}

/// What one node tells, another takes in; what is of no limit of its own it passes over.
#[test]
fn nodes_count_together() {
    let node = || {
        limits(vec![three(
            "card",
            LimitedSubject::Card,
            CountedEvent::Attempts,
        )])
    };
    let (one, other) = (node(), node());
    for _ in 0..2 {
        take(&one, &tried(VISA), NOW).unwrap();
    }
    let told = one.take_untold(64);
    let [counted] = told.as_slice() else {
        panic!("expected one count, got {told:?}");
    };
    assert_eq!((counted.count, &*counted.limit), (2, "card"));
    assert!(!counted.subject.contains(VISA), "{counted:?}");
    assert_eq!(counted.ends_ms - counted.begins_ms, 120_000);
    let foreign = RiskCount {
        limit: "another".into(),
        count: 100,
        ..counted.clone()
    };
    let of_another_window = RiskCount {
        begins_ms: counted.begins_ms + 1,
        count: 100,
        ..counted.clone()
    };
    let not_begun = RiskCount {
        begins_ms: counted.begins_ms + 60_000,
        count: 100,
        ..counted.clone()
    };
    for told in [&foreign, &of_another_window, &not_begun, counted] {
        other.take_in(told, NOW);
    }
    take(&other, &tried(VISA), NOW).unwrap();
    assert!(take(&other, &tried(VISA), NOW).is_err());
    assert!(
        take(&one, &tried(VISA), NOW).is_ok(),
        "it does not know yet"
    );
}

#[test]
fn nothing_is_counted_where_nothing_is_limited() {
    let limits = limits(Vec::new());
    let pan = Pan::from_digits(VISA).unwrap();
    let tried = Tried {
        pan: &pan,
        merchant_id: "shop".parse().unwrap(),
        address: HOME.into(),
        kind: OperationKind::Authorization,
    };
    assert!(limits.take(tried, NOW).unwrap().is_none());
}

/// Each limit that counts a subject, under the merchant that it counts apart; what is forgotten is forgotten for that alone.
#[test]
fn a_subject_is_looked_up_and_forgotten() {
    use LimitedSubject::{Address, Card, CardRange, Merchant};
    let attempts = CountedEvent::Attempts;
    let limits = limits(vec![
        three("card", Card, attempts),
        LimitConfig {
            by_merchant: true,
            ..three("range", CardRange, attempts)
        },
        LimitConfig {
            most_of: [("shop".to_owned(), 9)].into(),
            ..three("shop", Merchant, attempts)
        },
        LimitConfig {
            by_merchant: true,
            ..three("address", Address, attempts)
        },
    ]);
    for _ in 0..3 {
        take(&limits, &tried(VISA), NOW).unwrap();
    }
    let shop: MerchantId = "shop".parse().unwrap();
    let hashes = |pan| {
        let velocity = limits
            .fingerprints
            .velocity(&Pan::from_digits(pan).unwrap());
        let known = KnownCard::new(shop, &velocity).unwrap();
        Subject::Card(Box::new(known))
    };
    let count = |limit: &str, apart: bool, count, most, blocked: bool| LimitCount {
        limit: limit.into(),
        merchant_id: apart.then_some(shop),
        count,
        most,
        // The window begins at the minute before; what was counted is three until the next one begins, and then less.
        blocked_until: blocked.then_some(NOW.plus_ms(60_000 - NOW.as_i64() % 60_000 + 20_000)),
    };
    let card = |three| {
        [
            count("card", false, three, 3, three == 3),
            count("range", true, 3, 3, true),
        ]
    };
    let merchant = [count("shop", true, 3, 9, false)];
    let address = [count("address", true, 3, 3, true)];
    let home = |at| Subject::Address(HOME.into(), at);
    let nothing = [
        count("card", false, 0, 3, false),
        count("range", true, 0, 3, false),
    ];
    for (subject, expected) in [
        (hashes(VISA), card(3).as_slice()),
        (hashes(MASTERCARD), &nothing),
        (Subject::Merchant(shop), &merchant),
        (home(Some(shop)), &address),
        (home(None), &[]),
    ] {
        assert_eq!(limits.counts(&subject, None, NOW), expected, "{subject:?}");
    }
    let visa = hashes(VISA);
    assert_eq!(limits.counts(&visa, Some("range"), NOW), card(3)[1..]);
    let windows = limits.windows(&visa, Some("card"), NOW);
    assert_eq!(windows.len(), 2);
    limits.forget(&visa, Some("card"));
    assert_eq!(
        limits.counts(&visa, None, NOW)[0],
        count("card", false, 0, 3, false)
    );
    assert_eq!(limits.counts(&visa, None, NOW)[1..], card(0)[1..]);
}
