//! The whole door over a real socket, with doubles behind it.

mod door;

use rustls::version::{TLS12, TLS13};
use tokio::io::AsyncReadExt as _;
use tonic::{Code, Request};
use tonic_health::ServingStatus;
use tonic_types::StatusExt as _;

use self::door::{ROOMY, open, pki};
use super::*;
use crate::grpc::tls::{ClientCertificates, server_config};
use crate::merchant_api::pb::authorize_payment_request::PaymentMethod;
use crate::merchant_api::pb::payment_service_client::PaymentServiceClient;
use crate::merchant_api::transport::trailers::{BANK_US, OWN_US};
use crate::net::Net;
use crate::payment::ids::PaymentId;
use crate::payment::moment::UnixMillis;

fn with_key<T>(key: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Bearer {key}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}

fn authorize(reference: &str) -> pb::AuthorizePaymentRequest {
    pb::AuthorizePaymentRequest {
        request_id: reference.into(),
        amount: Some(pb::Money {
            amount_minor: 1250,
            currency: "EUR".into(),
        }),
        merchant_reference: reference.into(),
        payment_method: Some(PaymentMethod::PaymentMethodToken("pm_test_visa".into())),
        ..Default::default()
    }
}

fn reason(status: &tonic::Status) -> String {
    status.get_details_error_info().unwrap().reason
}

#[tokio::test]
async fn a_payment_goes_through_and_is_found_again_by_its_merchant_alone() {
    let door = open(ROOMY).await;
    let mut client = door.client().await;
    let answer = client
        .authorize_payment(with_key(&door.shop_key, authorize("order-1")))
        .await
        .unwrap();
    // tonic merges the trailers of a unary answer into its metadata.
    assert_eq!(answer.metadata().get(BANK_US.as_str()).unwrap(), "777");
    assert!(answer.metadata().contains_key(OWN_US.as_str()));
    let payment = *answer.into_inner().payment.unwrap();
    assert_eq!(payment.state(), pb::PaymentState::Authorized);

    let get = |key: &str, payment_id: &str| {
        let payment_id = payment_id.to_owned();
        with_key(key, pb::GetPaymentRequest { payment_id })
    };
    let own = client
        .get_payment(get(&door.shop_key, &payment.payment_id))
        .await;
    assert_eq!(own.unwrap().into_inner().payment.unwrap(), payment);
    let missing = PaymentId::from_parts(UnixMillis::new(7), [7; 10]).to_string();
    let foreign = client
        .get_payment(get(&door.other_key, &payment.payment_id))
        .await;
    let missing = client.get_payment(get(&door.other_key, &missing)).await;
    let (foreign, missing) = (foreign.unwrap_err(), missing.unwrap_err());
    assert_eq!(
        (foreign.code(), reason(&foreign)),
        (Code::NotFound, "PAYMENT_NOT_FOUND".into())
    );
    assert_eq!(
        (foreign.message(), foreign.details()),
        (missing.message(), missing.details())
    );

    let look_up = |key: &str| {
        let found_by = pb::lookup_payment_request::Key::Rrn(payment.rrn().to_owned());
        let message = pb::LookupPaymentRequest {
            key: Some(found_by),
            ..Default::default()
        };
        with_key(key, message)
    };
    let own = client
        .lookup_payment(look_up(&door.shop_key))
        .await
        .unwrap();
    assert_eq!(own.into_inner().payments, std::slice::from_ref(&payment));
    let foreign = client
        .lookup_payment(look_up(&door.other_key))
        .await
        .unwrap_err();
    assert_eq!(foreign.code(), Code::NotFound);
    drop(client);

    let behind = door.stop().await;
    let events = behind.events.lock().unwrap().clone();
    let [came, named, left] = &*events else {
        panic!("{events:?}");
    };
    assert_eq!((&**came, &**left), ("somebody came from 127.0.0.1", "left"));
    assert!(named.starts_with("demo-shop by sk_test_"), "{named}");
}

#[tokio::test]
async fn nobody_gets_in_without_credentials_or_over_an_old_tls() {
    let door = open(ROOMY).await;
    assert!(door.shake_hands(None, &TLS12).await.is_err());
    let mut client = door.client().await;
    let missing = client
        .authorize_payment(authorize("order-1"))
        .await
        .unwrap_err();
    assert_eq!(
        (missing.code(), reason(&missing)),
        (Code::Unauthenticated, "CREDENTIALS_MISSING".into())
    );
    let wrong = with_key("pk_0000000000000000.AAAA", authorize("order-1"));
    let wrong = client.authorize_payment(wrong).await.unwrap_err();
    assert_eq!(
        (wrong.code(), reason(&wrong)),
        (Code::Unauthenticated, "API_KEY_REFUSED".into())
    );
    // A client certificate alone is enough.
    let channel = door.connect(Some(&door.pki.client)).await;
    let mut by_certificate = PaymentServiceClient::new(channel);
    assert!(
        by_certificate
            .authorize_payment(authorize("order-2"))
            .await
            .is_ok()
    );
    let disagree = with_key(&door.other_key, authorize("order-3"));
    let disagree = by_certificate
        .authorize_payment(disagree)
        .await
        .unwrap_err();
    assert_eq!(reason(&disagree), "CREDENTIALS_DISAGREE");
    // One from another root is not.
    let stranger = pki();
    // In TLS 1.3 the client hears of it only after its own handshake is over.
    if let Ok(mut refused) = door.shake_hands(Some(&stranger.client), &TLS13).await {
        assert!(refused.read_u8().await.is_err());
    }
    assert_eq!(door.behind.payments.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn lists_go_page_by_page() {
    let door = open(ROOMY).await;
    let mut client = door.client().await;
    for number in 0..5 {
        let request = with_key(&door.shop_key, authorize(&format!("order-{number}")));
        client.authorize_payment(request).await.unwrap();
    }
    let mut seen = Vec::new();
    let mut page_token = String::new();
    for expected in [2, 2, 1] {
        let page = pb::ListPaymentsRequest {
            page_size: 2,
            page_token,
            ..Default::default()
        };
        let page = client.list_payments(with_key(&door.shop_key, page)).await;
        let page = page.unwrap().into_inner();
        assert_eq!(page.payments.len(), expected);
        seen.extend(
            page.payments
                .into_iter()
                .map(|payment| payment.merchant_reference),
        );
        page_token = page.next_page_token;
    }
    assert_eq!(page_token, "");
    assert_eq!(
        seen,
        ["order-4", "order-3", "order-2", "order-1", "order-0"]
    );
}

#[tokio::test]
async fn more_calls_than_there_is_room_for_are_shed() {
    let door = open(Limits {
        connections: 10,
        concurrent_calls: 1,
    })
    .await;
    let held = door.behind.hold.lock().await;
    let mut first = door.client().await;
    let request = with_key(&door.shop_key, authorize("order-1"));
    let first = tokio::spawn(async move { first.authorize_payment(request).await });
    let mut client = door.client().await;
    door.behind.begun.notified().await;
    let request = with_key(&door.shop_key, pb::ListPaymentsRequest::default());
    let shed = client.list_payments(request).await.unwrap_err();
    assert_eq!(
        (shed.code(), reason(&shed)),
        (Code::ResourceExhausted, "OVERLOADED".into())
    );
    assert!(shed.get_details_retry_info().is_some());
    drop(held);
    assert!(first.await.unwrap().is_ok());
}

#[tokio::test]
async fn large_requests_and_calls_that_are_not_built_are_refused() {
    let door = open(ROOMY).await;
    let mut client = door.client().await;
    let mut large = authorize("order-1");
    large.payment_method = Some(PaymentMethod::SealedCard("x".repeat(MAX_REQUEST_BYTES)));
    let large = client
        .authorize_payment(with_key(&door.shop_key, large))
        .await
        .unwrap_err();
    assert_eq!(
        (large.code(), reason(&large)),
        (Code::InvalidArgument, "REQUEST_NOT_READABLE".into())
    );
    assert!(large.message().contains("65536"), "{}", large.message());
    let capture = with_key(&door.shop_key, pb::CapturePaymentRequest::default());
    let capture = client.capture_payment(capture).await.unwrap_err();
    assert_eq!(capture.code(), Code::Unimplemented);
    assert!(
        capture.message().contains("CapturePayment"),
        "{}",
        capture.message()
    );
    let invalid = with_key(&door.shop_key, pb::AuthorizePaymentRequest::default());
    let invalid = client.authorize_payment(invalid).await.unwrap_err();
    assert_eq!(
        invalid
            .get_details_bad_request()
            .unwrap()
            .field_violations
            .len(),
        4
    );
}

/// A number where AuthorizePaymentRequest has a text, so that tonic can't read it.
#[tokio::test]
async fn what_is_no_request_is_refused_with_a_reason() {
    let door = open(ROOMY).await;
    let mut raw = tonic::client::Grpc::new(door.connect(None).await);
    raw.ready().await.unwrap();
    let number = pb::Money {
        amount_minor: 1,
        currency: String::new(),
    };
    let path = format!("/{PAYMENT_SERVICE}/AuthorizePayment");
    let codec = tonic_prost::ProstCodec::<pb::Money, pb::AuthorizePaymentResponse>::default();
    let refused = raw
        .unary(
            with_key(&door.shop_key, number),
            path.parse().unwrap(),
            codec,
        )
        .await
        .unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused)),
        (Code::InvalidArgument, "REQUEST_NOT_READABLE".into())
    );
    let info = refused.get_details_error_info().unwrap();
    assert_eq!(info.metadata["outcome"], "NOT_SENT");
    assert!(
        refused.message().contains("request_id"),
        "{}",
        refused.message()
    );
}

#[tokio::test]
async fn health_follows_readiness_and_stopping_lets_calls_finish() {
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_client::HealthClient;
    let door = open(ROOMY).await;
    let mut health = HealthClient::new(door.connect(None).await);
    let service = PAYMENT_SERVICE.to_owned();
    let mut watched = health
        .watch(HealthCheckRequest { service })
        .await
        .unwrap()
        .into_inner();
    let serving = watched.message().await.unwrap().unwrap();
    assert_eq!(serving.status, ServingStatus::Serving as i32);
    door.ready.send(false).unwrap();
    let stopped = watched.message().await.unwrap().unwrap();
    assert_eq!(stopped.status, ServingStatus::NotServing as i32);
    drop((watched, health));

    let behind = Arc::clone(&door.behind);
    let held = behind.hold.lock().await;
    let mut client = door.client().await;
    let request = with_key(&door.shop_key, authorize("order-1"));
    let call = tokio::spawn(async move { client.authorize_payment(request).await });
    behind.begun.notified().await;
    let address = door.address;
    door.stop.send(()).unwrap();
    drop(held);
    assert!(
        call.await.unwrap().is_ok(),
        "a call that had begun was not answered"
    );
    door.served.await.unwrap().unwrap();
    assert!(
        Net::SYSTEM.connect(address).await.is_err(),
        "it still listens"
    );
}

#[tokio::test]
async fn a_taken_port_is_named() {
    let door = open(ROOMY).await;
    let (chain, key) = &door.pki.server;
    let tls = server_config(chain.as_bytes(), key.as_bytes(), ClientCertificates::None).unwrap();
    let Err(taken) = MerchantApi::bind(&Net::SYSTEM, door.address, tls, ROOMY).await else {
        panic!("two listeners on one port");
    };
    assert!(
        taken.to_string().contains(&door.address.to_string()),
        "{taken}"
    );
}
