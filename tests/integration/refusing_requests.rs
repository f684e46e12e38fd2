//! Requests that are refused: each kind with its precise status and details, nothing stored, nothing sent. What is
//! wrong with which field is tested where it is read (`merchant_api/rpc`, `merchant_api/read`).

use payswitch::merchant_api::pb;
use payswitch::merchant_api::pb::lookup_payment_request::Key;
use payswitch::merchant_api::pb::sealing_service_client::SealingServiceClient;
use payswitch::merchant_api::pb::token_service_client::TokenServiceClient;
use tonic::client::Grpc;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

use crate::database::Engine;
use crate::harness::{Switch, pay_with, run};
use crate::refused::{Refused, assert_nothing_came_of_it, refusal};
use crate::sealing::with_sealed;

#[test]
fn fields_that_are_wrong() {
    run(async {
        let switch = Switch::start(Engine::Sqlite).await;
        let mut payments = switch.payments().await;
        let good = || pay_with("pm_test_visa", 1250, "EUR");
        let wrong_amount = pb::AuthorizePaymentRequest {
            request_id: "two words".into(),
            amount: pay_with("", 0, "?").amount,
            ..good()
        };
        let token = pay_with("pm_test_nobody", 1250, "EUR");
        let long = pb::AuthorizePaymentRequest {
            description: "x".repeat(80 * 1024),
            ..good()
        };
        for (request, reason, fields) in [
            (
                pb::AuthorizePaymentRequest::default(),
                "INVALID_REQUEST",
                &[
                    "request_id",
                    "amount",
                    "merchant_reference",
                    "payment_method",
                ][..],
            ),
            (
                wrong_amount,
                "INVALID_REQUEST",
                &["request_id", "amount.amount_minor", "amount.currency"],
            ),
            (token, "UNKNOWN_PAYMENT_METHOD", &["payment_method_token"]),
            (long, "REQUEST_NOT_READABLE", &[]),
        ] {
            let status = refusal(&mut payments, request).await;
            assert_eq!(Refused::from(&status), Refused::invalid(reason, fields));
        }
        // A number where AuthorizePaymentRequest has a text.
        let mut raw = Grpc::new(switch.connect(None).await);
        raw.ready().await.expect("a connection");
        let path = "/payswitch.v1.PaymentService/AuthorizePayment".parse();
        let codec = ProstCodec::<pb::Money, pb::AuthorizePaymentResponse>::default();
        let money = pay_with("", 1, "").amount.expect("an amount");
        let request = with_bearer(&switch, money);
        let unreadable = raw.unary(request, path.expect("a path"), codec).await;
        let status = unreadable.expect_err("a refusal");
        let expected = Refused::invalid("REQUEST_NOT_READABLE", &[]);
        assert_eq!(Refused::from(&status), expected);
        assert!(status.message().contains("request_id"), "{status:?}");
        assert_nothing_came_of_it(&switch).await;
    });
}

fn with_bearer<T>(switch: &Switch, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let bearer = format!("Bearer {}", switch.api_key);
    let bearer = bearer.parse().expect("a header");
    request.metadata_mut().insert("authorization", bearer);
    request
}

/// A card number that must never come back.
const PAN: &str = "4242424242424242";

/// It hides every other fault, so that nothing else of the request is repeated.
#[test]
fn card_numbers_in_clear() {
    run(async {
        let switch = Switch::start(Engine::Sqlite).await;
        let mut payments = switch.payments().await;
        let in_texts = pb::AuthorizePaymentRequest {
            description: format!("two: {PAN}"),
            customer_reference: "4242 4242 4242 4242".into(),
            ..pay_with("pm_test_visa", 0, "EUR")
        };
        let in_place_of_an_envelope = with_sealed(pay_with("", 1250, "EUR"), PAN.into());
        let mut refused = Vec::new();
        for (request, fields) in [
            (in_texts, &["customer_reference", "description"][..]),
            (in_place_of_an_envelope, &["sealed_card"]),
        ] {
            let status = refusal(&mut payments, request).await;
            refused.push((status, "CLEAR_CARD_REFUSED", fields));
        }
        refused.extend(clear_in_other_calls(&switch).await);
        for (status, reason, fields) in refused {
            assert_eq!(Refused::from(&status), Refused::invalid(reason, fields));
            let shown = format!("{status:?} {}", String::from_utf8_lossy(status.details()));
            let digits: String = shown.chars().filter(char::is_ascii_digit).collect();
            assert!(!digits.contains(PAN), "{shown}");
        }
        assert_nothing_came_of_it(&switch).await;
    });
}

/// A refusal, its reason, and the fields that it names.
type RefusedFields = (Status, &'static str, &'static [&'static str]);

/// The same number in a string of each of the other calls.
async fn clear_in_other_calls(switch: &Switch) -> Vec<RefusedFields> {
    const CLEAR: &str = "CLEAR_CARD_REFUSED";
    let mut payments = switch.payments().await;
    let payment_id = PAN.into();
    let get = payments.get_payment(pb::GetPaymentRequest { payment_id });
    let get = get.await.expect_err("a refusal");
    let mut refused: Vec<RefusedFields> = vec![(get, CLEAR, &["payment_id"])];
    let some_rrn = Key::Rrn("632512000123".into());
    for (key, business_date, fields) in [
        (
            Key::MerchantReference(PAN.into()),
            "",
            &["merchant_reference"],
        ),
        (Key::Rrn(PAN.into()), "", &["rrn"]),
        (some_rrn, PAN, &["business_date"]),
    ] {
        let look_up = payments.lookup_payment(pb::LookupPaymentRequest {
            key: Some(key),
            business_date: business_date.into(),
            ..Default::default()
        });
        refused.push((look_up.await.expect_err("a refusal"), CLEAR, fields));
    }
    let filter = format!("merchant_reference={PAN}");
    // Neither of the others is a text of the merchant's own; a wrong one is not repeated, whatever it is.
    for (filter, order_by, page_token, reason, fields) in [
        (&*filter, "", "", CLEAR, &["filter"]),
        ("", PAN, "", "INVALID_REQUEST", &["order_by"]),
        ("", "", PAN, "INVALID_REQUEST", &["page_token"]),
    ] {
        let list = payments.list_payments(pb::ListPaymentsRequest {
            filter: filter.into(),
            order_by: order_by.into(),
            page_token: page_token.into(),
            ..Default::default()
        });
        refused.push((list.await.expect_err("a refusal"), reason, fields));
    }
    let sealed_session_key = PAN.into();
    let session = pb::CreateSealingSessionRequest { sealed_session_key };
    let session = SealingServiceClient::new(switch.connect(None).await)
        .create_sealing_session(with_bearer(switch, session))
        .await
        .expect_err("a refusal");
    refused.push((session, CLEAR, &["sealed_session_key"]));
    refused
}

#[test]
fn calls_that_are_not_built() {
    run(async {
        let switch = Switch::start(Engine::Sqlite).await;
        let mut payments = switch.payments().await;
        let lookup = pb::LookupPaymentRequest {
            key: Some(Key::ApprovalCode("A1B2C3".to_owned())),
            ..Default::default()
        };
        let lookup = payments.lookup_payment(lookup).await;
        // A service that is not served at all.
        let mut tokens = TokenServiceClient::new(switch.connect(None).await);
        let list = pb::ListCardTokensRequest::default();
        let list = tokens.list_card_tokens(list).await.map(drop);
        for answer in [lookup.map(drop), list] {
            let status = answer.expect_err("a call that is laid out only");
            let expected = Refused::not_sent(Code::Unimplemented, "NOT_IMPLEMENTED");
            assert_eq!(Refused::from(&status), expected);
        }
        assert_nothing_came_of_it(&switch).await;
    });
}
