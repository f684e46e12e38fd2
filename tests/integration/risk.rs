//! Limits on how often a card, a merchant or an address is tried. What reached the bank, the bank's own books say.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use payswitch::config::risk::{CountedEvent, LimitConfig, LimitedOperation, LimitedSubject};
use payswitch::merchant_api::pb;
use pb::PaymentState as State;
use pb::verify_card_request::PaymentMethod as ToVerify;

use crate::database::Engine;
use crate::harness::{
    Payments, Switch, authorize, look_up, on_both_engines, pay_with, run, unique, until,
};
use crate::sealing::{card, card_with};

on_both_engines!(
    a_sweep_of_cvvs_ends_at_the_limit,
    neighbouring_cards_are_limited_together,
    a_shop_does_not_meet_the_usual_limits,
    a_repeated_request_counts_once,
    a_restart_remembers,
    a_verification_is_declined_as_a_payment_is,
);

/// A PAN that the acquirer's issuers know.
const VISA: &str = "4242424242424242";
/// Longer than any test takes.
pub(crate) const DAY_S: u32 = 86_400;

pub(crate) fn limit(
    name: &str,
    of: LimitedSubject,
    counts: CountedEvent,
    most: u32,
) -> LimitConfig {
    LimitConfig {
        name: name.to_owned(),
        of,
        by_merchant: false,
        counts,
        operations: vec![
            LimitedOperation::AuthorizePayment,
            LimitedOperation::VerifyCard,
        ],
        most,
        window_seconds: DAY_S,
        most_of: BTreeMap::new(),
    }
}

pub(crate) fn attempts_of_a_card(most: u32) -> Vec<LimitConfig> {
    let (of, counts) = (LimitedSubject::Card, CountedEvent::Attempts);
    vec![limit("card-attempts", of, counts, most)]
}

pub(crate) async fn limited(engine: Engine, limits: Vec<LimitConfig>) -> Switch {
    Switch::start_limited(engine, None, limits).await
}

/// What payswitch itself has declined: it says so, and names no number of a message.
pub(crate) fn assert_declined_here(payment: &pb::Payment) {
    assert_eq!(payment.state(), State::Declined, "{payment:?}");
    let decline = payment.decline.as_ref().expect("why");
    assert_eq!(decline.source(), pb::DeclineSource::Gateway);
    assert_eq!(decline.reason(), pb::DeclineReason::RiskLimit);
    assert_eq!(decline.advice(), pb::DeclineAdvice::RetryLater);
    assert_eq!(decline.response_code, "");
    assert_eq!(
        (
            payment.stan(),
            payment.rrn(),
            payment.fingerprint_is_there()
        ),
        ("", "", true)
    );
}

trait Shown {
    fn fingerprint_is_there(&self) -> bool;
}

impl Shown for pb::Payment {
    fn fingerprint_is_there(&self) -> bool {
        let card = self.card.as_ref().expect("a card");
        card.fingerprint.len() == 64
    }
}

pub(crate) fn is_declined_here(payment: &pb::Payment) -> bool {
    let decline = payment.decline.as_ref();
    decline.is_some_and(|it| it.source() == pb::DeclineSource::Gateway)
}

/// Tries all of these, many at once.
async fn try_all(
    payments: &Payments,
    requests: impl IntoIterator<Item = pb::AuthorizePaymentRequest>,
) -> Vec<pb::Payment> {
    const AT_ONCE: usize = 50;
    let mut tried = Vec::new();
    let mut requests = requests.into_iter().peekable();
    while requests.peek().is_some() {
        let some = requests.by_ref().take(AT_ONCE).map(|request| {
            let mut payments = payments.clone();
            async move { authorize(&mut payments, request).await }
        });
        tried.extend(join_all(some).await);
    }
    tried
}

/// A thousand CVVs of one card, many at once: exactly as many reach the bank as may, and no STAN is used for another.
async fn a_sweep_of_cvvs_ends_at_the_limit(engine: Engine) {
    const MOST: usize = 30;
    let switch = limited(engine, attempts_of_a_card(30)).await;
    let mut payments = switch.payments().await;
    let sweep = (0..1_000).map(|cvv| {
        let card = card_with(VISA, "3012", &format!("{cvv:03}"));
        switch.pay_sealed(&card, 1250, "EUR")
    });
    let tried = try_all(&payments, sweep).await;
    assert_eq!(switch.at_acquirer(), 30);
    let (here, at_the_bank): (Vec<_>, Vec<_>) = tried.iter().partition(|it| is_declined_here(it));
    assert_eq!((at_the_bank.len(), here.len()), (MOST, 1_000 - MOST));
    here.iter().for_each(|it| assert_declined_here(it));
    // What was declined here is a payment like others, and an event.
    let found = look_up(&mut payments, &here[0].merchant_reference).await;
    assert_eq!(found.as_ref(), Some(here[0]));
    let request = pb::ListOperationsRequest {
        payment_id: here[0].payment_id.clone(),
        ..Default::default()
    };
    let operations = payments.list_operations(request).await.expect("a list");
    let operations = operations.into_inner().operations;
    let [operation] = operations.as_slice() else {
        panic!("expected one operation, got {operations:?}");
    };
    assert_eq!(operation.state(), pb::OperationState::Declined);
    let shown = [&operation.stan, &operation.rrn, &operation.response_code];
    assert_eq!(shown.map(String::as_str), ["", "", ""]);
    let events = format!(
        "SELECT COUNT(*) FROM events WHERE payment_id = '{}' AND kind = 'PAYMENT_DECLINED'",
        here[0].payment_id
    );
    assert_eq!(switch.database.number(events).await, 1);
    // Another card pays.
    let other = authorize(&mut payments, pay_with("pm_test_mastercard", 1250, "EUR")).await;
    assert_eq!(other.state(), State::Authorized);
    // Nothing of the card is kept for messages that never come, and no message waits for an answer.
    let kept = "SELECT COUNT(*) FROM payments WHERE state = 'DECLINED' AND custody IS NOT NULL";
    assert_eq!(switch.database.number(kept.to_owned()).await, 0);
    let open = "SELECT COUNT(*) FROM operations WHERE open <> 0".to_owned();
    assert_eq!(switch.database.number(open).await, 0);
    let unsent = "SELECT COUNT(*) FROM operations WHERE stan = 0".to_owned();
    let unsent = switch.database.number(unsent).await;
    assert_eq!(unsent, i64::try_from(here.len()).expect("a few"));
}

/// Cards one after the other, each tried once: the declines of their range end it.
async fn neighbouring_cards_are_limited_together(engine: Engine) {
    let ranges = LimitConfig {
        by_merchant: true,
        ..limit(
            "range-declines",
            LimitedSubject::CardRange,
            CountedEvent::Declines,
            5,
        )
    };
    let switch = limited(engine, vec![ranges]).await;
    let mut payments = switch.payments().await;
    let numbers = (0..1_000).map(|last| format!("455555000000{last:04}"));
    let numbers = numbers.filter(|pan| passes_luhn(pan)).take(40);
    let mut declined_here = 0;
    for pan in numbers {
        let payment = authorize(&mut payments, switch.pay_sealed(&card(&pan), 1250, "EUR")).await;
        assert_eq!(payment.state(), State::Declined, "{payment:?}");
        declined_here += u64::from(is_declined_here(&payment));
    }
    // One at a time, so that each decline is known before the next attempt.
    assert_eq!((switch.at_acquirer(), declined_here), (5, 35));
    // Other cards of the shop, and the range in another shop, are tried.
    let visa = authorize(&mut payments, pay_with("pm_test_visa", 1250, "EUR")).await;
    assert_eq!(visa.state(), State::Authorized);
    let (other, key) = switch.add_merchant("other-shop", |_| {}).await;
    let mut others = switch.payments_of(&key).await;
    let mut request = pay_with("", 1250, "EUR");
    let claims = crate::sealing::Claims::of(other.as_str(), &request);
    let recipient = switch.recipient(payswitch::card::header::Algorithm::EcdhEs);
    let sealed = claims.seal(&recipient, &card("4555550000000005"));
    request = crate::sealing::with_sealed(request, sealed);
    let payment = authorize(&mut others, request).await;
    assert!(!is_declined_here(&payment), "{payment:?}");
}

/// ISO/IEC 7812-1, annex B.
fn passes_luhn(pan: &str) -> bool {
    let digits = pan.bytes().rev().map(|byte| u32::from(byte - b'0'));
    let weighed = digits.enumerate().map(|(place, digit)| match place % 2 {
        0 => digit,
        _ => digit * 2 / 10 + digit * 2 % 10,
    });
    weighed.sum::<u32>() % 10 == 0
}

/// Many customers, some declined, some who try again: none is declined here.
async fn a_shop_does_not_meet_the_usual_limits(engine: Engine) {
    let switch = limited(engine, LimitConfig::usual()).await;
    let mut payments = switch.payments().await;
    for _ in 0..4 {
        for (token, state) in [
            ("pm_test_visa", State::Authorized),
            ("pm_test_mastercard", State::Authorized),
            ("pm_test_lost", State::Declined),
            ("pm_test_visa", State::Authorized),
        ] {
            let payment = authorize(&mut payments, pay_with(token, 1250, "EUR")).await;
            assert_eq!(payment.state(), state, "{payment:?}");
            assert!(!is_declined_here(&payment), "{payment:?}");
        }
    }
}

/// However often it comes, and also when the limit is reached by then.
async fn a_repeated_request_counts_once(engine: Engine) {
    let switch = limited(engine, attempts_of_a_card(3)).await;
    let mut payments = switch.payments().await;
    let first = pay_with("pm_test_visa", 1250, "EUR");
    let told = authorize(&mut payments, first.clone()).await;
    for _ in 0..10 {
        assert_eq!(authorize(&mut payments, first.clone()).await, told);
    }
    for _ in 0..2 {
        let payment = authorize(&mut payments, pay_with("pm_test_visa", 1250, "EUR")).await;
        assert_eq!(payment.state(), State::Authorized);
    }
    let over = pay_with("pm_test_visa", 1250, "EUR");
    let refused = authorize(&mut payments, over.clone()).await;
    assert_declined_here(&refused);
    for (request, told) in [(over, refused), (first, told)] {
        assert_eq!(authorize(&mut payments, request.clone()).await, told);
        let found = look_up(&mut payments, &request.merchant_reference).await;
        assert_eq!(found, Some(told));
    }
    assert_eq!(switch.at_acquirer(), 3);
}

async fn a_restart_remembers(engine: Engine) {
    let declines = limit(
        "card-declines",
        LimitedSubject::Card,
        CountedEvent::Declines,
        3,
    );
    let mut switch = limited(engine, [attempts_of_a_card(10), vec![declines]].concat()).await;
    let mut payments = switch.payments().await;
    for _ in 0..7 {
        authorize(&mut payments, pay_with("pm_test_visa", 1250, "EUR")).await;
    }
    for _ in 0..2 {
        let declined = authorize(&mut payments, pay_with("pm_test_lost", 1250, "EUR")).await;
        assert!(!is_declined_here(&declined), "{declined:?}");
    }
    switch.restart_gateway().await;
    let mut payments = switch.payments().await;
    for (token, left) in [("pm_test_visa", 3), ("pm_test_lost", 1)] {
        for nth in 0..left + 2 {
            let payment = authorize(&mut payments, pay_with(token, 1250, "EUR")).await;
            assert_eq!(is_declined_here(&payment), nth >= left, "{nth} {payment:?}");
        }
    }
    assert_eq!(switch.at_acquirer(), 10 + 3);
}

async fn a_verification_is_declined_as_a_payment_is(engine: Engine) {
    let switch = limited(engine, attempts_of_a_card(1)).await;
    let mut payments = switch.payments().await;
    let request = |number: u64| pb::VerifyCardRequest {
        request_id: format!("verify-{number}"),
        currency: "EUR".into(),
        merchant_reference: format!("signup-{number}"),
        payment_method: Some(ToVerify::PaymentMethodToken("pm_test_visa".into())),
    };
    let mut verify = async |request: pb::VerifyCardRequest| {
        let verified = payments.verify_card(request).await.expect("an answer");
        verified.into_inner().verification.expect("a verification")
    };
    let first = verify(request(unique())).await;
    assert_eq!(first.state(), pb::VerificationState::Verified);
    let over = request(unique());
    let refused = verify(over.clone()).await;
    assert_eq!(refused.state(), pb::VerificationState::Declined);
    let decline = refused.decline.as_ref().expect("why");
    assert_eq!(decline.source(), pb::DeclineSource::Gateway);
    assert_eq!(decline.response_code, "");
    assert_eq!(verify(over).await, refused);
    assert_eq!(switch.at_acquirer(), 1);
}

/// Each of two nodes lets through what it does not know of the other: together no more than one limit for each. Once they
/// have told each other neither lets anything through, nor does a node that starts then.
#[test]
fn two_nodes_exceed_a_limit_by_a_bounded_count() {
    // So few that also a single attempt is told to the other node.
    const MOST: u64 = 9;
    run(async {
        let switch = limited(Engine::Postgres, attempts_of_a_card(9)).await;
        let second = switch.another_gateway().await;
        let through_second = switch.connect_to(&second, None).await;
        let through_second = crate::harness::with_key(through_second, &switch.api_key);
        let payments = switch.payments().await;
        let requests = || (0..60).map(|_| pay_with("pm_test_visa", 1250, "EUR"));
        let (one, other) = tokio::join!(
            try_all(&payments, requests()),
            try_all(&through_second, requests()),
        );
        let sent = |tried: &[pb::Payment]| {
            let sent = tried.iter().filter(|it| !is_declined_here(it));
            u64::try_from(sent.count()).expect("a few")
        };
        let (one, other) = (sent(&one), sent(&other));
        assert!(one <= MOST && other <= MOST, "{one} {other}");
        assert!(one + other >= MOST, "{one} {other}");
        let at_the_bank = switch.at_acquirer();
        assert_eq!(one + other, at_the_bank);
        let counted = "SELECT CAST(COALESCE(SUM(counted), 0) AS BIGINT) FROM risk_counts";
        until("all that was counted in the database", async || {
            u64::try_from(switch.database.number(counted.to_owned()).await) == Ok(at_the_bank)
        })
        .await;
        // A node that starts then knows it at once.
        let third = switch.another_gateway().await;
        let through_third = switch.connect_to(&third, None).await;
        let mut through_third = crate::harness::with_key(through_third, &switch.api_key);
        let request = pay_with("pm_test_visa", 1250, "EUR");
        assert_declined_here(&authorize(&mut through_third, request).await);
        assert_eq!(switch.at_acquirer(), at_the_bank);
        // The others do when each has read what the other has written.
        for mut payments in [payments, through_second] {
            until("an attempt that is declined here", async || {
                let request = pay_with("pm_test_visa", 1250, "EUR");
                is_declined_here(&authorize(&mut payments, request).await)
            })
            .await;
        }
        assert!(switch.at_acquirer() <= 2 * MOST);
        assert!(second.stop().await && third.stop().await);
    });
}
