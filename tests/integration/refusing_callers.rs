//! Callers who are refused, and what they can't see.

use payswitch::merchant_api::pb;
use payswitch::merchant_api::pb::lookup_payment_request::Key;
use payswitch::merchant_api::pb::payment_service_client::PaymentServiceClient;
use payswitch::merchant_api::pb::sealing_service_client::SealingServiceClient;
use tonic::{Code, Request};

use crate::database::Engine;
use crate::harness::{Switch, authorize, now, on_both_engines, pay_with, until};
use crate::refused::{Refused, Shown, assert_nothing_came_of_it, refusal};

on_both_engines!(
    other_merchants_payments_do_not_exist,
    callers_who_are_not_let_in,
    a_revoked_key_stops_working,
    merchants_who_may_not_pay,
);

/// A card number where a key belongs.
const PAN: &str = "4242424242424242";

async fn other_merchants_payments_do_not_exist(engine: Engine) {
    let switch = Switch::start(engine).await;
    let (_, other_key) = switch.add_merchant("other-shop", |_| {}).await;
    let mut payments = switch.payments().await;
    let mut others = switch.payments_of(&other_key).await;
    let request = pay_with("pm_test_visa", 1250, "EUR");
    let request_id = request.request_id.clone();
    let payment = authorize(&mut payments, request).await;
    let mut missing_id = payment.payment_id.clone().into_bytes();
    // Another last character that an id may end with.
    let last = missing_id.last_mut().expect("an id");
    *last = if *last == b'0' { b'4' } else { b'0' };
    let missing_id = String::from_utf8(missing_id).expect("ASCII");

    let get = |payment_id: &str| pb::GetPaymentRequest {
        payment_id: payment_id.to_owned(),
    };
    let foreign = others
        .get_payment(get(&payment.payment_id))
        .await
        .expect_err("foreign");
    let missing = others
        .get_payment(get(&missing_id))
        .await
        .expect_err("missing");
    let expected = Refused::not_sent(Code::NotFound, "PAYMENT_NOT_FOUND");
    assert_eq!(Refused::from(&foreign), expected);
    assert_eq!(Shown::from(&foreign), Shown::from(&missing));
    let operations = pb::ListOperationsRequest {
        payment_id: payment.payment_id.clone(),
        ..Default::default()
    };
    let operations = others.list_operations(operations).await;
    assert_eq!(
        Shown::from(&operations.expect_err("foreign")),
        Shown::from(&missing)
    );
    for (foreign_key, missing_key) in [
        (
            Key::MerchantReference(payment.merchant_reference.clone()),
            Key::MerchantReference("nothing".into()),
        ),
        (
            Key::Rrn(payment.rrn().to_owned()),
            Key::Rrn("999999999999".into()),
        ),
        (
            Key::RequestId(request_id.clone()),
            Key::RequestId("nothing".into()),
        ),
    ] {
        let mut shown = Vec::new();
        for key in [foreign_key, missing_key] {
            let look_up = pb::LookupPaymentRequest {
                key: Some(key),
                ..Default::default()
            };
            shown.push(Shown::from(
                &others.lookup_payment(look_up).await.expect_err("none"),
            ));
        }
        assert_eq!(shown[0], shown[1]);
        assert_eq!(shown[0], Shown::from(&foreign));
    }
    let list = others
        .list_payments(pb::ListPaymentsRequest::default())
        .await;
    let list = list.expect("a list").into_inner();
    assert_eq!((list.payments.len(), &*list.next_page_token), (0, ""));
    // An id that is none is told apart from one that does not exist, and says nothing of any payment.
    for wrong in ["", "pay_", "ref_06e9x3w8k1z7h4n2m5q0r8t6va", "pay_0", "x"] {
        let status = others.get_payment(get(wrong)).await.expect_err("no id");
        let expected = Refused::invalid("INVALID_REQUEST", &["payment_id"]);
        assert_eq!(Refused::from(&status), expected, "{wrong:?}");
    }
    assert_eq!(switch.at_acquirer(), 1);
}

async fn callers_who_are_not_let_in(engine: Engine) {
    let switch = Switch::start(engine).await;
    let key = switch.api_key.clone();
    let (id, secret) = key.split_once('.').expect("a key");
    let other_secret: String = secret.chars().rev().collect();
    let (_, other_key) = switch.add_merchant("other-shop", |_| {}).await;
    let other_id = other_key.split('.').next().expect("a key");
    let wrong: Vec<(&str, Vec<String>)> = vec![
        ("no key", vec![]),
        ("an empty header", vec![String::new()]),
        ("no scheme", vec![key.clone()]),
        ("another scheme", vec![format!("Basic {key}")]),
        ("no key after the scheme", vec!["Bearer ".into()]),
        ("the public part alone", vec![format!("Bearer {id}")]),
        (
            "a wrong secret",
            vec![format!("Bearer {id}.{other_secret}")],
        ),
        (
            "another's secret",
            vec![format!("Bearer {other_id}.{secret}")],
        ),
        (
            "an unknown key",
            vec![format!("Bearer pk_0123456789abcdef.{secret}")],
        ),
        ("one character more", vec![format!("Bearer {key}0")]),
        (
            "one character less",
            vec![format!("Bearer {}", &key[..key.len() - 1])],
        ),
        (
            "the key twice",
            vec![format!("Bearer {key}"), format!("Bearer {key}")],
        ),
        ("a card number", vec![format!("Bearer {PAN}")]),
    ];
    let channel = switch.connect(None).await;
    for (what, headers) in wrong {
        let mut request = Request::new(pay_with("pm_test_visa", 1250, "EUR"));
        for header in &headers {
            let header = header.parse().expect("a header");
            request.metadata_mut().append("authorization", header);
        }
        let reason = match headers.is_empty() {
            true => "CREDENTIALS_MISSING",
            false => "API_KEY_REFUSED",
        };
        let status = PaymentServiceClient::new(channel.clone())
            .authorize_payment(request)
            .await
            .expect_err(what);
        let expected = Refused::not_sent(Code::Unauthenticated, reason);
        assert_eq!(Refused::from(&status), expected, "{what}");
        let shown = format!("{status:?}");
        assert!(!shown.contains(secret) && !shown.contains(PAN), "{what}");
    }
    // Who they are is asked before what they want: without a key, a wrong request says nothing.
    let status = PaymentServiceClient::new(channel.clone())
        .authorize_payment(pb::AuthorizePaymentRequest::default())
        .await
        .expect_err("no key");
    assert_eq!(status.code(), Code::Unauthenticated);
    let status = SealingServiceClient::new(channel)
        .get_sealing_keys(pb::GetSealingKeysRequest {})
        .await
        .expect_err("no key");
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_nothing_came_of_it(&switch).await;
}

async fn a_revoked_key_stops_working(engine: Engine) {
    let switch = Switch::start(engine).await;
    let revoke = async |key: &str| {
        let id = key.split('.').next().expect("a key");
        switch
            .store()
            .revoke_api_key(id, now())
            .await
            .expect("revoked");
    };
    let expected = Refused::not_sent(Code::Unauthenticated, "API_KEY_REFUSED");
    // One that was never used is refused at once.
    let unused = switch.issue_key(&switch.merchant_id).await;
    revoke(&unused).await;
    let mut payments = switch.payments_of(&unused).await;
    let status = refusal(&mut payments, pay_with("pm_test_visa", 1250, "EUR")).await;
    assert_eq!(Refused::from(&status), expected);
    // One that was used is believed for a few seconds more, and on connections that stand, too.
    let used = switch.issue_key(&switch.merchant_id).await;
    let mut payments = switch.payments_of(&used).await;
    let get = || pb::ListPaymentsRequest::default();
    payments.list_payments(get()).await.expect("a good key");
    revoke(&used).await;
    until("a refusal of the revoked key", async || {
        match payments.list_payments(get()).await {
            Ok(_) => false,
            Err(status) => Refused::from(&status) == expected,
        }
    })
    .await;
    assert_nothing_came_of_it(&switch).await;
}

async fn merchants_who_may_not_pay(engine: Engine) {
    let switch = Switch::start(engine).await;
    let (_, inactive) = switch
        .add_merchant("closed-shop", |merchant| merchant.active = false)
        .await;
    let (_, stranded) = switch
        .add_merchant("stranded-shop", |merchant| {
            merchant.acquirer = "nowhere".parse().expect("a host id");
        })
        .await;
    let request = || pay_with("pm_test_visa", 1250, "EUR");
    let status = refusal(&mut switch.payments_of(&inactive).await, request()).await;
    let expected = Refused::not_sent(Code::PermissionDenied, "MERCHANT_INACTIVE");
    assert_eq!(Refused::from(&status), expected);
    let status = refusal(&mut switch.payments_of(&stranded).await, request()).await;
    let expected = Refused {
        preconditions: vec!["merchant".into()],
        ..Refused::not_sent(Code::FailedPrecondition, "NO_ROUTE")
    };
    assert_eq!(Refused::from(&status), expected);
    assert_nothing_came_of_it(&switch).await;
}
