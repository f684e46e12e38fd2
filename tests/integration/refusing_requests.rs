//! Requests that are refused: wrong fields, card numbers in clear, calls that are laid out only. Each
//! with its precise status and details, nothing stored, nothing sent.

use payswitch::merchant_api::pb;
use payswitch::merchant_api::pb::authorize_payment_request::PaymentMethod;
use payswitch::merchant_api::pb::lookup_payment_request::Key;
use payswitch::merchant_api::pb::refund_service_client::RefundServiceClient;
use payswitch::merchant_api::pb::sealing_service_client::SealingServiceClient;
use tonic::{Code, Request, Status};

use crate::database::Engine;
use crate::harness::{Switch, on_both_engines, pay_with};
use crate::refused::{Refused, assert_nothing_came_of_it, refusal};

on_both_engines!(
    fields_that_are_wrong,
    card_numbers_in_clear,
    calls_that_are_not_built,
);

/// What is wrong with a request, and the fields that the refusal names.
type WrongRequest = (
    &'static str,
    fn(&mut pb::AuthorizePaymentRequest),
    &'static [&'static str],
);

fn amount(request: &mut pb::AuthorizePaymentRequest, amount_minor: i64, currency: &str) {
    request.amount = Some(pb::Money {
        amount_minor,
        currency: currency.to_owned(),
    });
}

fn token(request: &mut pb::AuthorizePaymentRequest, token: &str) {
    request.payment_method = Some(PaymentMethod::PaymentMethodToken(token.to_owned()));
}

const WRONG_REQUESTS: [WrongRequest; 34] = [
    ("no request id", |r| r.request_id.clear(), &["request_id"]),
    (
        "a long request id",
        |r| r.request_id = "r".repeat(65),
        &["request_id"],
    ),
    (
        "a space in it",
        |r| r.request_id = "a b".into(),
        &["request_id"],
    ),
    (
        "a line end in it",
        |r| r.request_id = "a\r\nb".into(),
        &["request_id"],
    ),
    (
        "a letter that is not ASCII",
        |r| r.request_id = "ä".into(),
        &["request_id"],
    ),
    ("no amount", |r| r.amount = None, &["amount"]),
    ("zero", |r| amount(r, 0, "EUR"), &["amount.amount_minor"]),
    (
        "less than zero",
        |r| amount(r, -1, "EUR"),
        &["amount.amount_minor"],
    ),
    (
        "the smallest",
        |r| amount(r, i64::MIN, "EUR"),
        &["amount.amount_minor"],
    ),
    (
        "13 digits",
        |r| amount(r, 1_000_000_000_000, "EUR"),
        &["amount.amount_minor"],
    ),
    (
        "the largest",
        |r| amount(r, i64::MAX, "EUR"),
        &["amount.amount_minor"],
    ),
    ("no currency", |r| amount(r, 1, ""), &["amount.currency"]),
    (
        "an unknown currency",
        |r| amount(r, 1, "XYZ"),
        &["amount.currency"],
    ),
    (
        "a currency in small letters",
        |r| amount(r, 1, "eur"),
        &["amount.currency"],
    ),
    (
        "a numeric currency",
        |r| amount(r, 1, "978"),
        &["amount.currency"],
    ),
    ("gold", |r| amount(r, 1, "XAU"), &["amount.currency"]),
    ("a symbol", |r| amount(r, 1, "€"), &["amount.currency"]),
    (
        "both",
        |r| amount(r, 0, "?"),
        &["amount.amount_minor", "amount.currency"],
    ),
    (
        "no order",
        |r| r.merchant_reference.clear(),
        &["merchant_reference"],
    ),
    (
        "a long order",
        |r| r.merchant_reference = "o".repeat(65),
        &["merchant_reference"],
    ),
    (
        "a tab in the order",
        |r| r.merchant_reference = "a\tb".into(),
        &["merchant_reference"],
    ),
    (
        "an umlaut in it",
        |r| r.merchant_reference = "Bücher".into(),
        &["merchant_reference"],
    ),
    (
        "a long customer",
        |r| r.customer_reference = "c".repeat(65),
        &["customer_reference"],
    ),
    (
        "an escape",
        |r| r.customer_reference = "\u{1b}[2J".into(),
        &["customer_reference"],
    ),
    (
        "a long description",
        |r| r.description = "ä".repeat(201),
        &["description"],
    ),
    (
        "a line end in it",
        |r| r.description = "a\nb".into(),
        &["description"],
    ),
    (
        "a long terminal",
        |r| r.terminal_id = "WEB000001".into(),
        &["terminal_id"],
    ),
    (
        "a space in it",
        |r| r.terminal_id = "WEB 1".into(),
        &["terminal_id"],
    ),
    (
        "nothing that pays",
        |r| r.payment_method = None,
        &["payment_method"],
    ),
    (
        "an empty token",
        |r| token(r, ""),
        &["payment_method_token"],
    ),
    (
        "a long token",
        |r| token(r, &"t".repeat(65)),
        &["payment_method_token"],
    ),
    (
        "a dash in the token",
        |r| token(r, "pm-test-visa"),
        &["payment_method_token"],
    ),
    (
        "two things at once",
        |r| {
            r.request_id.clear();
            r.terminal_id = "?".into();
        },
        &["request_id", "terminal_id"],
    ),
    (
        "everything at once",
        |r| {
            *r = pb::AuthorizePaymentRequest::default();
        },
        &[
            "request_id",
            "amount",
            "merchant_reference",
            "payment_method",
        ],
    ),
];

async fn fields_that_are_wrong(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    for (what, change, fields) in WRONG_REQUESTS {
        let mut request = pay_with("pm_test_visa", 1250, "EUR");
        change(&mut request);
        let status = refusal(&mut payments, request).await;
        let expected = Refused::invalid("INVALID_REQUEST", fields);
        assert_eq!(Refused::from(&status), expected, "{what}");
    }
    for unknown in ["pm_test_nobody", "PM_TEST_VISA", "tok_1"] {
        let status = refusal(&mut payments, pay_with(unknown, 1250, "EUR")).await;
        let expected = Refused::invalid("UNKNOWN_PAYMENT_METHOD", &["payment_method_token"]);
        assert_eq!(Refused::from(&status), expected, "{unknown}");
    }
    let long = payments
        .authorize_payment(pb::AuthorizePaymentRequest {
            description: "x".repeat(80 * 1024),
            ..pay_with("pm_test_visa", 1250, "EUR")
        })
        .await
        .expect_err("a message above the limit");
    let expected = Refused::invalid("REQUEST_NOT_READABLE", &[]);
    assert_eq!(Refused::from(&long), expected);
    assert_nothing_came_of_it(&switch).await;
}

/// A card number that must never come back, and ways in which people write it.
const PAN: &str = "4242424242424242";
const WAYS_TO_WRITE_IT: [&str; 5] = [
    "4242424242424242",
    "4242 4242 4242 4242",
    "4242-4242-4242-4242",
    "card4242424242424242x",
    "378282246310005",
];

fn assert_repeats_no_card_number(status: &Status) {
    let shown = format!("{status:?} {}", String::from_utf8_lossy(status.details()));
    let digits: String = shown.chars().filter(char::is_ascii_digit).collect();
    assert!(
        !digits.contains(PAN) && !digits.contains("378282246310005"),
        "{shown}"
    );
}

async fn card_numbers_in_clear(engine: Engine) {
    type Put = fn(&mut pb::AuthorizePaymentRequest, String);
    let fields: [(&str, Put); 8] = [
        ("request_id", |r, text| r.request_id = text),
        ("amount.currency", |r, text| {
            r.amount.as_mut().expect("an amount").currency = text;
        }),
        ("merchant_reference", |r, text| r.merchant_reference = text),
        ("customer_reference", |r, text| r.customer_reference = text),
        ("description", |r, text| r.description = text),
        ("terminal_id", |r, text| r.terminal_id = text),
        ("sealed_card", |r, text| {
            r.payment_method = Some(PaymentMethod::SealedCard(text));
        }),
        ("payment_method_token", |r, text| {
            r.payment_method = Some(PaymentMethod::PaymentMethodToken(text));
        }),
    ];
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    for (field, put) in fields {
        for text in WAYS_TO_WRITE_IT {
            let mut request = pay_with("pm_test_visa", 1250, "EUR");
            put(&mut request, text.to_owned());
            let status = refusal(&mut payments, request).await;
            let expected = Refused::invalid("CLEAR_CARD_REFUSED", &[field]);
            assert_eq!(Refused::from(&status), expected, "{field}: {text}");
            assert_repeats_no_card_number(&status);
        }
    }
    // A card number hides every other fault, so that nothing else of the request is repeated.
    let mut request = pay_with("pm_test_visa", 0, "EUR");
    request.description = format!("two: {PAN}");
    request.customer_reference = PAN.into();
    let status = refusal(&mut payments, request).await;
    let fields = ["customer_reference", "description"];
    assert_eq!(
        Refused::from(&status),
        Refused::invalid("CLEAR_CARD_REFUSED", &fields)
    );
    for (status, reason, field) in clear_in_other_calls(&switch).await {
        assert_eq!(
            Refused::from(&status),
            Refused::invalid(reason, &[field]),
            "{field}"
        );
        assert_repeats_no_card_number(&status);
    }
    assert_nothing_came_of_it(&switch).await;
}

/// The same number in every string of the calls that only read, and of the one that seals.
async fn clear_in_other_calls(switch: &Switch) -> Vec<(Status, &'static str, &'static str)> {
    const CLEAR: &str = "CLEAR_CARD_REFUSED";
    let mut payments = switch.payments().await;
    let mut refused = Vec::new();
    let get = pb::GetPaymentRequest {
        payment_id: PAN.into(),
    };
    let status = payments.get_payment(get).await.expect_err("a refusal");
    refused.push((status, CLEAR, "payment_id"));
    for (key, business_date, field) in [
        (Key::MerchantReference(PAN.into()), "", "merchant_reference"),
        (Key::Rrn(PAN.into()), "", "rrn"),
        (Key::Rrn("632512000123".into()), PAN, "business_date"),
    ] {
        let look_up = pb::LookupPaymentRequest {
            key: Some(key),
            business_date: business_date.into(),
            ..Default::default()
        };
        let status = payments
            .lookup_payment(look_up)
            .await
            .expect_err("a refusal");
        refused.push((status, CLEAR, field));
    }
    for (list, reason, field) in [
        (
            pb::ListPaymentsRequest {
                filter: format!("merchant_reference={PAN}"),
                ..Default::default()
            },
            CLEAR,
            "filter",
        ),
        (
            pb::ListPaymentsRequest {
                order_by: PAN.into(),
                ..Default::default()
            },
            "INVALID_REQUEST",
            "order_by",
        ),
        (
            pb::ListPaymentsRequest {
                page_token: PAN.into(),
                ..Default::default()
            },
            "INVALID_REQUEST",
            "page_token",
        ),
    ] {
        let status = payments.list_payments(list).await.expect_err("a refusal");
        refused.push((status, reason, field));
    }
    let mut request = Request::new(pb::CreateSealingSessionRequest {
        sealed_session_key: PAN.into(),
    });
    let bearer = format!("Bearer {}", switch.api_key);
    request
        .metadata_mut()
        .insert("authorization", bearer.parse().expect("a header"));
    let status = SealingServiceClient::new(switch.connect(None).await)
        .create_sealing_session(request)
        .await
        .expect_err("a refusal");
    refused.push((status, CLEAR, "sealed_session_key"));
    refused
}

async fn calls_that_are_not_built(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let mut refunds = RefundServiceClient::new(switch.connect(None).await);
    let statuses = [
        // A service that is not served at all.
        refunds
            .create_refund(pb::CreateRefundRequest::default())
            .await
            .map(drop),
        payments
            .verify_card(pb::VerifyCardRequest::default())
            .await
            .map(drop),
        payments
            .get_capture(pb::GetCaptureRequest::default())
            .await
            .map(drop),
        payments
            .list_captures(pb::ListCapturesRequest::default())
            .await
            .map(drop),
        payments
            .capture_payment(pb::CapturePaymentRequest::default())
            .await
            .map(drop),
        payments
            .void_payment(pb::VoidPaymentRequest::default())
            .await
            .map(drop),
        payments
            .reverse_payment(pb::ReversePaymentRequest::default())
            .await
            .map(drop),
        payments
            .increment_authorization(pb::IncrementAuthorizationRequest::default())
            .await
            .map(drop),
        payments
            .cancel_by_request_id(pb::CancelByRequestIdRequest::default())
            .await
            .map(drop),
        payments
            .watch_payment(pb::WatchPaymentRequest::default())
            .await
            .map(drop),
    ];
    for status in statuses {
        let status = status.expect_err("a call that is laid out only");
        let expected = Refused::not_sent(Code::Unimplemented, "NOT_IMPLEMENTED");
        assert_eq!(Refused::from(&status), expected);
    }
    assert_nothing_came_of_it(&switch).await;
}
