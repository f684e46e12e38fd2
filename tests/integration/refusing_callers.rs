//! Callers who are refused, and what they can't see. Which credentials are good is tested where they are read
//! (`merchant_api/transport/auth`).

use payswitch::merchant_api::pb;
use payswitch::merchant_api::pb::lookup_payment_request::Key;
use payswitch::merchant_api::pb::payment_service_client::PaymentServiceClient;
use payswitch::merchant_api::pb::sealing_service_client::SealingServiceClient;
use tonic::{Code, Request};

use crate::database::Engine;
use crate::harness::{Switch, authorize, now, on_both_engines, pay_with, run, until};
use crate::refused::{Refused, Shown, assert_nothing_came_of_it, refusal};

on_both_engines!(
    other_merchants_payments_do_not_exist,
    a_revoked_key_stops_working
);

/// A card number where a key belongs.
const PAN: &str = "4242424242424242";

async fn other_merchants_payments_do_not_exist(engine: Engine) {
    let switch = Switch::start(engine).await;
    let (_, other_key) = switch.add_merchant("other-shop", |_| {}).await;
    let mut payments = switch.payments().await;
    let mut others = switch.payments_of(&other_key).await;
    let request = pay_with("pm_test_visa", 1250, "EUR");
    let payment = authorize(&mut payments, request.clone()).await;
    // Another last character that an id may end with.
    let (id, last) = payment.payment_id.split_at(payment.payment_id.len() - 1);
    let missing_id = format!("{id}{}", if last == "0" { '4' } else { '0' });

    let mut seen = Vec::new();
    for payment_id in [&payment.payment_id, &missing_id] {
        let payment_id = payment_id.clone();
        let get = others.get_payment(pb::GetPaymentRequest { payment_id });
        seen.push(get.await.expect_err("none of theirs"));
    }
    for key in [
        Key::MerchantReference(payment.merchant_reference.clone()),
        Key::MerchantReference("nothing".into()),
        Key::Rrn(payment.rrn().to_owned()),
        Key::Rrn("999999999999".into()),
        Key::RequestId(request.request_id),
        Key::RequestId("nothing".into()),
    ] {
        let look_up = pb::LookupPaymentRequest {
            key: Some(key),
            ..Default::default()
        };
        let found = others.lookup_payment(look_up).await;
        seen.push(found.expect_err("none of theirs"));
    }
    let operations = pb::ListOperationsRequest {
        payment_id: payment.payment_id,
        ..Default::default()
    };
    let operations = others.list_operations(operations).await;
    seen.push(operations.expect_err("none of theirs"));
    let expected = Refused::not_sent(Code::NotFound, "PAYMENT_NOT_FOUND");
    assert_eq!(Refused::from(&seen[0]), expected);
    for status in &seen {
        assert_eq!(Shown::from(status), Shown::from(&seen[0]));
    }
    let list = pb::ListPaymentsRequest::default();
    let list = others
        .list_payments(list)
        .await
        .expect("a list")
        .into_inner();
    assert_eq!((list.payments.len(), &*list.next_page_token), (0, ""));
    // An id that is none is told apart from one that does not exist, and says nothing of any payment.
    for wrong in ["", "ref_06e9x3w8k1z7h4n2m5q0r8t6va"] {
        let payment_id = wrong.to_owned();
        let get = others.get_payment(pb::GetPaymentRequest { payment_id });
        let expected = Refused::invalid("INVALID_REQUEST", &["payment_id"]);
        assert_eq!(Refused::from(&get.await.expect_err("no id")), expected);
    }
    assert_eq!(switch.at_acquirer(), 1);
}

#[test]
fn callers_who_are_not_let_in() {
    run(async {
        let switch = Switch::start(Engine::Sqlite).await;
        let (_, other_key) = switch.add_merchant("other-shop", |_| {}).await;
        let (id, secret) = switch.api_key.split_once('.').expect("a key");
        let (other_id, _) = other_key.split_once('.').expect("a key");
        let channel = switch.connect(None).await;
        for (key, reason) in [
            (None, "CREDENTIALS_MISSING"),
            (Some(format!("{id}.x")), "API_KEY_REFUSED"),
            (Some(format!("{other_id}.{secret}")), "API_KEY_REFUSED"),
            (Some(PAN.to_owned()), "API_KEY_REFUSED"),
        ] {
            // Who they are is asked before what they want: a wrong request says nothing.
            let mut request = Request::new(pb::AuthorizePaymentRequest::default());
            if let Some(key) = key {
                let header = format!("Bearer {key}").parse().expect("a header");
                request.metadata_mut().insert("authorization", header);
            }
            let mut client = PaymentServiceClient::new(channel.clone());
            let status = client.authorize_payment(request).await.expect_err(reason);
            let expected = Refused::not_sent(Code::Unauthenticated, reason);
            assert_eq!(Refused::from(&status), expected);
            let shown = format!("{status:?}");
            assert!(!shown.contains(secret) && !shown.contains(PAN), "{shown}");
        }
        let status = SealingServiceClient::new(channel)
            .get_sealing_keys(pb::GetSealingKeysRequest {})
            .await
            .expect_err("no key");
        assert_eq!(status.code(), Code::Unauthenticated);
        assert_nothing_came_of_it(&switch).await;
    });
}

async fn a_revoked_key_stops_working(engine: Engine) {
    let switch = Switch::start(engine).await;
    let revoke = async |key: &str| {
        let id = key.split('.').next().expect("a key");
        let revoked = switch.store().revoke_api_key(id, now()).await;
        revoked.expect("revoked");
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

#[test]
fn merchants_who_may_not_pay() {
    run(async {
        let switch = Switch::start(Engine::Sqlite).await;
        let (_, inactive) = switch
            .add_merchant("closed-shop", |merchant| merchant.active = false)
            .await;
        let (_, stranded) = switch
            .add_merchant("stranded-shop", |merchant| {
                merchant.acquirer = "nowhere".parse().expect("a host id");
            })
            .await;
        let closed = Refused::not_sent(Code::PermissionDenied, "MERCHANT_INACTIVE");
        let unrouted = Refused {
            preconditions: vec!["merchant".into()],
            ..Refused::not_sent(Code::FailedPrecondition, "NO_ROUTE")
        };
        for (key, expected) in [(inactive, closed), (stranded, unrouted)] {
            let mut payments = switch.payments_of(&key).await;
            let status = refusal(&mut payments, pay_with("pm_test_visa", 1250, "EUR")).await;
            assert_eq!(Refused::from(&status), expected);
        }
        assert_nothing_came_of_it(&switch).await;
    });
}
