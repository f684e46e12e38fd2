//! Authorizations in every way to send one: amounts, fields, keys, sessions, certificates.

use payswitch::card::header::Algorithm;
use payswitch::card::seal::{Recipient, SessionKey};
use payswitch::merchant_api::pb;
use payswitch::merchant_api::pb::payment_service_client::PaymentServiceClient;
use payswitch::random::Random;
use pb::PaymentState as State;
use tonic::{Code, Request};

use crate::database::Engine;
use crate::harness::{Switch, authorize, on_both_engines, paid, pay_with, response_code, with_key};
use crate::refused::Refused;
use crate::sealing::{Forge, card, card_with};

on_both_engines!(
    amounts_are_exact_at_the_bank,
    the_request_comes_back_as_it_was_sent,
    cards_may_be_sealed_to_each_key_and_under_a_session,
    a_client_certificate_is_a_way_in,
);

async fn amounts_are_exact_at_the_bank(engine: Engine) {
    let switch = Switch::start(engine).await;
    let payments = switch.payments().await;
    // The smallest, an ordinary one, one with all digits, and the largest that DE 4 can say.
    let amounts = [1, 1250, 123_456_789_012, 999_999_999_999];
    for currency in ["JPY", "EUR", "KWD"] {
        for (token, pan, issuer) in [
            ("pm_test_visa", "4242424242424242", "issuer-a"),
            ("pm_test_mastercard", "5555555555554444", "issuer-b"),
        ] {
            let mut held_minor = 0;
            for amount_minor in amounts {
                let request = pay_with(token, amount_minor, currency);
                let payment = authorize(&mut payments.clone(), request).await;
                held_minor += amount_minor;
                assert_eq!(payment.state(), State::Authorized, "{payment:?}");
                let authorized = payment.authorized_amount.as_ref().expect("an amount");
                assert_eq!(authorized.amount_minor, amount_minor);
                assert_eq!(authorized.currency, currency);
                let books = switch.banks.books(issuer).expect("books");
                let account = books.account(pan, currency).expect("an account");
                assert_eq!(account.held_minor, held_minor, "{currency} at {issuer}");
                let seen: Vec<_> = books.by_rrn(payment.rrn()).collect();
                assert_eq!(seen.len(), 1);
                assert_eq!(seen[0].amount_minor, amount_minor);
                assert_eq!(seen[0].currency.as_deref(), Some(currency));
            }
        }
    }
    assert_eq!(switch.at_acquirer(), 24);
}

async fn the_request_comes_back_as_it_was_sent(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let request = pb::AuthorizePaymentRequest {
        customer_reference: "crm 77/a~".into(),
        description: "Two concert tickets, row Ω\u{1f3b5}".into(),
        terminal_id: "KIOSK7".into(),
        ..pay_with("pm_test_amex", 1250, "EUR")
    };
    let answer = payments.authorize_payment(request.clone()).await;
    let metadata = answer.as_ref().expect("an answer").metadata().clone();
    let payment = paid(answer);
    assert_eq!(payment.merchant_reference, request.merchant_reference);
    assert_eq!(payment.customer_reference, request.customer_reference);
    assert_eq!(payment.description, request.description);
    assert_eq!(payment.amount, request.amount);
    assert_eq!(
        (payment.version, &payment.capturable_amount),
        (2, &request.amount)
    );
    assert!(payment.payment_id.starts_with("pay_") && payment.payment_id.len() == 30);
    let sent = payment.authorization.as_ref().expect("it is routed");
    assert_eq!((&*sent.host_id, &*sent.terminal_id), ("acquirer", "KIOSK7"));
    assert_eq!((sent.stan.len(), sent.rrn.len()), (6, 12));
    let shown = payment.card.as_ref().expect("a card");
    assert_eq!(shown.brand(), pb::CardBrand::AmericanExpress);
    let books = switch.banks.books("issuer-b").expect("books");
    let seen: Vec<_> = books.by_rrn(payment.rrn()).collect();
    // DE 41 has eight characters.
    assert_eq!(seen[0].terminal.trim_end(), "KIOSK7");
    for trailer in ["payswitch-bank-us", "payswitch-own-us"] {
        let us = metadata
            .get(trailer)
            .and_then(|us| us.to_str().ok()?.parse::<u64>().ok());
        assert!(us.is_some_and(|us| us > 0), "{trailer}: {metadata:?}");
    }
}

async fn cards_may_be_sealed_to_each_key_and_under_a_session(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let merchant = switch.merchant_id.as_str();
    let key = SessionKey::generate(&Random::SYSTEM).expect("a session key");
    let kid = switch.set_up_session(merchant, &switch.api_key, &key).await;
    let session = Recipient::session(kid, &key, &Random::SYSTEM).expect("a session");
    let recipients = [
        switch.recipient(Algorithm::EcdhEs),
        switch.recipient(Algorithm::RsaOaep256),
        session,
    ];
    for recipient in &recipients {
        // A session is used many times, as the others are.
        for pan in ["4242424242424242", "378282246310005"] {
            let request = switch.pay_sealed_to(recipient, &card(pan), 1250, "EUR");
            let payment = authorize(&mut payments, request).await;
            assert_eq!(payment.state(), State::Authorized, "{recipient:?}");
        }
        // What is inside is what arrives: a wrong expiry date and a wrong CVV are noticed.
        for (wrong, code) in [
            (card_with("4242424242424242", "3011", "123"), "54"),
            (card_with("4242424242424242", "3012", "124"), "N7"),
            (card_with("4242424242424234", "3012", "123"), "14"),
        ] {
            let request = switch.pay_sealed_to(recipient, &wrong, 1250, "EUR");
            let payment = authorize(&mut payments, request).await;
            assert_eq!(response_code(&payment), code, "{recipient:?}");
        }
    }
    // One sealed by hand as the specification says, for the tests that seal wrong ones so.
    let forge = Forge::new(&switch, merchant, &switch.api_key).await;
    let request = switch.pay_forged(&forge, |_| {});
    assert_eq!(
        authorize(&mut payments, request).await.state(),
        State::Authorized
    );
    assert_eq!(switch.at_acquirer(), 16);
    assert_eq!(switch.database.count("used_envelopes").await, 16);
}

async fn a_client_certificate_is_a_way_in(engine: Engine) {
    let switch = Switch::start(engine).await;
    let (_, other_key) = switch.add_merchant("other-shop", |_| {}).await;
    let request = || pay_with("pm_test_visa", 1250, "EUR");
    let certified = switch.connect(Some(&switch.pki.merchant)).await;
    let anonymous = switch.connect(None).await;

    let by_certificate = PaymentServiceClient::new(certified.clone())
        .authorize_payment(request())
        .await;
    let payment = paid(by_certificate);
    let found = switch
        .payments()
        .await
        .get_payment(pb::GetPaymentRequest {
            payment_id: payment.payment_id.clone(),
        })
        .await
        .expect("the same merchant's payment, by key");
    assert_eq!(found.into_inner().payment, Some(payment));

    let mut agreeing = with_key(certified.clone(), &switch.api_key);
    assert_eq!(
        authorize(&mut agreeing, request()).await.state(),
        State::Authorized
    );

    let mut disagreeing = with_key(certified.clone(), &other_key);
    let status = disagreeing
        .authorize_payment(request())
        .await
        .expect_err("a refusal");
    assert_eq!(
        Refused::from(&status),
        Refused::not_sent(Code::Unauthenticated, "CREDENTIALS_DISAGREE")
    );
    // A certificate does not make a wrong key good.
    let mut wrong = Request::new(request());
    let header = "Bearer pk_0000000000000000.x".parse().expect("a header");
    wrong.metadata_mut().insert("authorization", header);
    let status = PaymentServiceClient::new(certified)
        .authorize_payment(wrong)
        .await
        .expect_err("a refusal");
    assert_eq!(
        Refused::from(&status),
        Refused::not_sent(Code::Unauthenticated, "API_KEY_REFUSED")
    );
    let status = PaymentServiceClient::new(anonymous)
        .authorize_payment(request())
        .await
        .expect_err("a refusal");
    assert_eq!(
        Refused::from(&status),
        Refused::not_sent(Code::Unauthenticated, "CREDENTIALS_MISSING")
    );
    assert_eq!(switch.at_acquirer(), 2);
}
