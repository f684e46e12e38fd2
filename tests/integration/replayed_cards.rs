//! A sealed card that is presented again is refused, and reaches no bank.

use futures_util::future::join_all;
use payswitch::card::header::Algorithm;
use payswitch::merchant_api::pb;

use crate::database::Engine;
use crate::harness::{Switch, authorize, on_both_engines, pay_with, unique};
use crate::refused::{Envelopes, refusal};
use crate::sealing::{Claims, card, with_sealed};

on_both_engines!(
    a_sealed_card_works_once,
    a_sealed_card_works_once_of_fifty_at_once,
    what_is_not_sent_uses_no_number,
);

/// The card in the envelopes.
const PAN: &str = "4242424242424242";

async fn a_sealed_card_works_once(engine: Engine) {
    let mut switch = Switch::start(engine).await;
    let (_, other_key) = switch.add_merchant("other-shop", |_| {}).await;
    let mut payments = switch.payments().await;
    let mut envelopes = Envelopes::default();
    let recipient = switch.recipient(Algorithm::EcdhEs);
    let first = pay_with("", 1250, "EUR");
    let claims = Claims::of(switch.merchant_id.as_str(), &first);
    let sealed = claims.seal(&recipient, &card(PAN));
    let first = with_sealed(first, sealed);
    let payment = authorize(&mut payments, first.clone()).await;

    let under_new_id = |request: &pb::AuthorizePaymentRequest| pb::AuthorizePaymentRequest {
        request_id: format!("again-{}", unique()),
        ..request.clone()
    };
    let mut another_order = under_new_id(&first);
    another_order.merchant_reference.push('x');
    let mut another_amount = under_new_id(&first);
    another_amount.amount = pay_with("", 1251, "EUR").amount;
    let mut another_currency = under_new_id(&first);
    another_currency.amount = pay_with("", 1250, "USD").amount;
    // The same jti again, in an envelope that is good in every other way.
    let resealed = under_new_id(&first);
    let resealed = with_sealed(resealed, claims.seal(&recipient, &card("4111111111111111")));
    let replays = [
        ("the same order", under_new_id(&first)),
        ("another order", another_order),
        ("another amount", another_amount),
        ("another currency", another_currency),
        ("another card under the same jti", resealed),
    ];
    for (what, replay) in &replays {
        let status = refusal(&mut payments, replay.clone()).await;
        envelopes.assert_refused(&status, what);
    }
    let mut others = switch.payments_of(&other_key).await;
    let status = refusal(&mut others, under_new_id(&first)).await;
    envelopes.assert_refused(&status, "another merchant");

    switch.restart_gateway().await;
    let mut payments = switch.payments().await;
    for (what, replay) in &replays {
        let status = refusal(&mut payments, replay.clone()).await;
        envelopes.assert_refused(&status, &format!("{what}, after a restart"));
    }
    // The same request is no replay: it is answered as before.
    assert_eq!(authorize(&mut payments, first).await, payment);
    assert_eq!(switch.at_acquirer(), 1);
    assert_eq!(switch.database.count("payments").await, 1);
    assert_eq!(switch.database.count("used_envelopes").await, 1);
    assert_eq!(switch.database.count("idempotency").await, 1);
}

async fn a_sealed_card_works_once_of_fifty_at_once(engine: Engine) {
    let switch = Switch::start(engine).await;
    let payments = switch.payments().await;
    let request = switch.pay_sealed(&card(PAN), 1250, "EUR");
    let calls = (0..50).map(|number| {
        let mut payments = payments.clone();
        let request = pb::AuthorizePaymentRequest {
            request_id: format!("at-once-{number}"),
            ..request.clone()
        };
        async move { payments.authorize_payment(request).await }
    });
    let mut envelopes = Envelopes::default();
    let mut accepted = 0;
    for answer in join_all(calls).await {
        match answer {
            Ok(_) => accepted += 1,
            Err(status) => envelopes.assert_refused(&status, "one of fifty"),
        }
    }
    assert_eq!(accepted, 1);
    assert_eq!(switch.at_acquirer(), 1);
    assert_eq!(switch.database.count("payments").await, 1);
    let books = switch.banks.books("issuer-a").expect("books");
    assert_eq!(
        books.account(PAN, "EUR").expect("an account").held_minor,
        1250
    );
}

/// Numbers are of a host and a day, and there are only so many: one merchant must not use them up.
async fn what_is_not_sent_uses_no_number(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let number = |payment: &pb::Payment| {
        let authorization = payment.authorization.as_ref().expect("its numbers");
        authorization.stan.parse::<usize>().expect("a number")
    };
    let sealed = switch.pay_sealed(&card(PAN), 1250, "EUR");
    let first = authorize(&mut payments, sealed.clone()).await;
    for _ in 0..20 {
        let replay = pb::AuthorizePaymentRequest {
            request_id: format!("again-{}", unique()),
            ..sealed.clone()
        };
        refusal(&mut payments, replay).await;
        assert_eq!(authorize(&mut payments, sealed.clone()).await, first);
    }
    let next = authorize(&mut payments, pay_with("pm_test_visa", 1250, "EUR")).await;
    assert_eq!(number(&next), number(&first) + 1);

    let at_once = pay_with("pm_test_visa", 1250, "EUR");
    let calls = (0..30).map(|_| {
        let (mut payments, request) = (payments.clone(), at_once.clone());
        async move { payments.authorize_payment(request).await }
    });
    let answered = join_all(calls).await;
    assert!(answered.iter().any(Result::is_ok));
    let mut paid = vec![next, authorize(&mut payments, at_once).await];
    for _ in 0..30 {
        paid.push(authorize(&mut payments, pay_with("pm_test_visa", 1250, "EUR")).await);
    }
    let mut numbers: Vec<usize> = paid.iter().map(number).collect();
    numbers.sort_unstable();
    let expected: Vec<usize> = (1..=paid.len()).map(|it| number(&first) + it).collect();
    assert_eq!(numbers, expected);
}

/// The database is asked last, so that it takes longer. Nobody is told otherwise.
#[test]
fn the_page_on_sealed_cards_says_that_a_replay_takes_longer() {
    let page = include_str!("../../docs/sealing.md").replace('\n', " ");
    let says = "A card that was used before takes longer to refuse than one that is bad in itself";
    assert!(page.contains(says));
    for promise in ["same time", "same work", "timing"] {
        assert!(!page.contains(promise), "{promise}");
    }
}
