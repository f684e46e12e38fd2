use std::net::Ipv4Addr;

use tokio::time::Instant;

use super::super::perform::read;
use super::*;
use crate::card::fault::SealedCardFault;
use crate::config::environment::Environment;
use crate::grpc::testing::error_row;
use crate::grpc::violations::{InvalidRequest, Violation};
use crate::merchant_api::pb::authorize_payment_request::PaymentMethod as PbPaymentMethod;
use crate::merchant_api::show::refusal::{failure, not_readable};
use crate::merchant_api::testing::merchant;
use crate::operations::call::{Call, OperationError};
use crate::operations::new_card::{CardRefusal, PaymentMethod};
use crate::payment::ids::PaymentId;
use crate::payment::moment::UnixMillis;

/// The card number that must never come back.
const PAN: &str = "4242424242424242";

fn good() -> pb::AuthorizePaymentRequest {
    pb::AuthorizePaymentRequest {
        request_id: "r-1".into(),
        amount: Some(pb::Money {
            amount_minor: 1250,
            currency: "EUR".into(),
        }),
        merchant_reference: "order 10/42".into(),
        customer_reference: "crm-77".into(),
        description: "Zwei Karten für heute".into(),
        terminal_id: "WEB00001".into(),
        payment_method: Some(PbPaymentMethod::PaymentMethodToken("pm_test_visa".into())),
        capture_mode: pb::CaptureMode::Manual.into(),
        accept_partial_approval: true,
    }
}

fn authorize(request: pb::AuthorizePaymentRequest) -> Result<(Call, Authorize), InvalidRequest> {
    let received = (Instant::now(), Ipv4Addr::LOCALHOST.into());
    read(request, merchant("demo-shop"), received, command)
}

fn violations(invalid: InvalidRequest) -> Vec<(&'static str, String)> {
    match invalid {
        InvalidRequest::Violations(violations) => violations
            .into_iter()
            .map(|Violation { field, description }| (field, description))
            .collect(),
        InvalidRequest::ClearCard(fields) => panic!("a clear card in {fields:?}"),
    }
}

#[test]
fn a_good_request_is_read() {
    let (call, read) = authorize(good()).unwrap();
    assert_eq!(call.request_id, "r-1");
    assert_eq!(read.amount.to_string(), "12.50 EUR");
    assert_eq!(read.merchant_reference, "order 10/42");
    assert_eq!(read.customer_reference.as_deref(), Some("crm-77"));
    assert_eq!(read.description.as_deref(), Some("Zwei Karten für heute"));
    assert_eq!(read.terminal_id.as_deref(), Some("WEB00001"));
    assert!(read.accepts_partial);
    assert!(
        matches!(read.payment_method, PaymentMethod::TestToken(token) if token == "pm_test_visa")
    );

    let (_, bare) = authorize(pb::AuthorizePaymentRequest {
        customer_reference: String::new(),
        description: String::new(),
        terminal_id: String::new(),
        ..good()
    })
    .unwrap();
    assert_eq!(
        (bare.customer_reference, bare.description, bare.terminal_id),
        (None, None, None)
    );
}

/// A good request with another text in one field.
fn with(field: &str, text: &str) -> pb::AuthorizePaymentRequest {
    let mut request = good();
    let text = text.to_owned();
    match field {
        "request_id" => request.request_id = text,
        "merchant_reference" => request.merchant_reference = text,
        "customer_reference" => request.customer_reference = text,
        "description" => request.description = text,
        "terminal_id" => request.terminal_id = text,
        "amount.currency" => request.amount.as_mut().unwrap().currency = text,
        "amount.amount_minor" => {
            request.amount.as_mut().unwrap().amount_minor = text.parse().unwrap();
        }
        "capture_mode" => request.capture_mode = text.parse().unwrap(),
        "sealed_card" => request.payment_method = Some(PbPaymentMethod::SealedCard(text)),
        "payment_method_token" => {
            request.payment_method = Some(PbPaymentMethod::PaymentMethodToken(text));
        }
        other => panic!("{other}"),
    }
    request
}

fn assert_violates(request: pb::AuthorizePaymentRequest, field: &str, got: &str) {
    let found = violations(authorize(request).unwrap_err());
    assert_eq!(found.len(), 1, "{field}: {found:?}");
    assert_eq!(found[0].0, field);
    assert!(found[0].1.contains(got), "{field}: {found:?}");
    assert!(found[0].1.starts_with("expected "), "{field}: {found:?}");
}

/// Each row spoils one field of a good request; exactly that field is named.
#[test]
fn every_violation_is_named() {
    let long = "x".repeat(201);
    for (field, text, got) in [
        ("request_id", "", "got nothing"),
        ("request_id", &long[..65], "got 65 characters"),
        ("request_id", "a b", "U+0020 at position 2"),
        ("request_id", "ä", "U+00E4 at position 1"),
        ("merchant_reference", "", "got nothing"),
        ("merchant_reference", &long[..65], "got 65 characters"),
        ("merchant_reference", "a\r\n", "U+000D at position 2"),
        ("merchant_reference", "Bü", "U+00FC at position 2"),
        ("customer_reference", &long[..65], "got 65 characters"),
        ("customer_reference", "\u{1b}[31m", "U+001B at position 1"),
        ("description", &long, "got 201 characters"),
        ("description", "a\0", "U+0000 at position 2"),
        ("terminal_id", "123456789", "got 9 characters"),
        ("terminal_id", "WEB-1", "U+002D at position 4"),
        ("capture_mode", "9", "got a value that is none"),
        ("payment_method_token", "", "got nothing"),
        ("payment_method_token", &long[..65], "got 65 characters"),
        ("payment_method_token", "pm test", "U+0020 at position 3"),
        ("amount.amount_minor", "0", "got 0"),
        ("amount.amount_minor", "-5", "got -5"),
        ("amount.amount_minor", "1000000000000", "got 1000000000000"),
        (
            "amount.amount_minor",
            "-9223372036854775808",
            "got a number of 19 digits",
        ),
        ("amount.currency", "", "got nothing"),
        ("amount.currency", "eur", "got \"eur\""),
        ("amount.currency", "ZZZ", "got \"ZZZ\""),
        ("amount.currency", "XAU", "got \"XAU\""),
        (
            "amount.currency",
            "HRK",
            "got \"HRK\", which was replaced by EUR",
        ),
        (
            "amount.currency",
            "CLF",
            "got \"CLF\", a unit of account that nobody pays in",
        ),
        (
            "amount.currency",
            "\u{1b}[0m",
            "4 characters of another form",
        ),
        (
            "amount.currency",
            "EUROPEANS",
            "9 characters of another form",
        ),
    ] {
        assert_violates(with(field, text), field, got);
    }
    let mut request = good();
    request.amount = None;
    assert_violates(request, "amount", "got nothing");
    let mut request = good();
    request.payment_method = None;
    assert_violates(request, "payment_method", "got neither");
}

#[test]
fn all_violations_are_told_at_once() {
    let found = violations(authorize(pb::AuthorizePaymentRequest::default()).unwrap_err());
    let fields: Vec<&str> = found.iter().map(|(field, _)| *field).collect();
    assert_eq!(
        fields,
        [
            "request_id",
            "amount",
            "merchant_reference",
            "payment_method"
        ]
    );
    let mut request = good();
    request.amount = Some(pb::Money::default());
    let found = violations(authorize(request).unwrap_err());
    let fields: Vec<&str> = found.iter().map(|(field, _)| *field).collect();
    assert_eq!(fields, ["amount.amount_minor", "amount.currency"]);
}

#[test]
fn a_clear_card_is_refused_in_every_field_and_never_repeated() {
    let json = format!("{{\"pan\":\"{PAN}\",\"expiry\":\"2912\"}}");
    for (field, text) in [
        ("request_id", PAN),
        ("amount.currency", PAN),
        ("amount.amount_minor", PAN),
        ("merchant_reference", &format!("order {PAN}")),
        ("customer_reference", "4242 4242 4242 4242"),
        ("description", &format!("card {PAN}")),
        ("terminal_id", PAN),
        ("sealed_card", PAN),
        ("sealed_card", &json),
        ("payment_method_token", PAN),
    ] {
        let mut request = with(field, text);
        // A violation beside it does not hide it.
        request.request_id.push(' ');
        let refused = authorize(request).unwrap_err();
        assert_eq!(refused, InvalidRequest::ClearCard(vec![field]));
    }
}

#[test]
fn what_is_shaped_like_an_envelope_is_left_to_the_opener() {
    // Random base64url may hold any digits; and what is no envelope is refused as one, further on.
    for jwe in [
        format!("eyJhbGciOiJkaXIifQ..{PAN}.AAAA.BBBB"),
        "not an envelope".into(),
        String::new(),
    ] {
        let (_, read) = authorize(with("sealed_card", &jwe)).unwrap();
        assert!(
            matches!(read.payment_method, PaymentMethod::SealedCard(kept) if kept.as_str() == jwe)
        );
    }
}

#[test]
fn the_hash_is_of_every_field() {
    let hash = |request| authorize(request).unwrap().0.body_hash;
    let same = hash(good());
    assert_eq!(hash(good()), same);
    assert_ne!(hash(with("description", "Drei Karten")), same);
}

type Failed = OperationError<CardRefusal>;

fn status_of(failed: &Failed) -> Status {
    let merchant_id = "demo-shop".parse().unwrap();
    failure(failed, Environment::Live, &merchant_id)
}

fn refused_by_its_merchant() -> [Failed; 2] {
    let merchant_id = "demo-shop".parse().unwrap();
    let host_id = "acquirer".parse().unwrap();
    [
        Failed::Refused(CardRefusal::MerchantInactive { merchant_id }),
        Failed::Refused(CardRefusal::NoRoute {
            merchant_id,
            host_id,
        }),
    ]
}

#[test]
fn every_error_of_an_authorization_has_its_status() {
    let payment_id = PaymentId::from_parts(UnixMillis::new(1), [1; 10]);
    let request_id = PAN.to_owned();
    let token = request_id.clone();
    let source: Box<dyn std::error::Error + Send + Sync> = "disk full at /var/lib".into();
    let [inactive, no_route] = refused_by_its_merchant();
    let expected = "
InvalidArgument SEALED_CARD_REFUSED NOT_SENT
InvalidArgument SEALED_CARD_REFUSED NOT_SENT
InvalidArgument UNKNOWN_PAYMENT_METHOD NOT_SENT fields payment_method_token
FailedPrecondition REQUEST_ID_REUSED NOT_SENT precondition REQUEST_ID_REUSED
Aborted REQUEST_IN_PROGRESS UNKNOWN retry 500 ms
NotFound PAYMENT_NOT_FOUND NOT_SENT
Aborted OPERATION_IN_PROGRESS NOT_SENT retry 500 ms
PermissionDenied MERCHANT_INACTIVE NOT_SENT
FailedPrecondition NO_ROUTE NOT_SENT precondition NO_ROUTE
ResourceExhausted OVERLOADED NOT_SENT retry 250 ms
Unavailable DRAINING NOT_SENT retry 1000 ms
Unavailable STORE_UNAVAILABLE NOT_SENT retry 1000 ms
Unavailable OUTCOME_NOT_RECORDED UNKNOWN retry 1000 ms
Unavailable OUTCOME_NOT_RECORDED UNKNOWN retry 1000 ms";
    let unread = not_readable(&source);
    let statuses = [
        Failed::Refused(CardRefusal::SealedCard(SealedCardFault::Key)),
        Failed::SealedCardUsed,
        Failed::Refused(CardRefusal::UnknownPaymentMethod { token }),
        Failed::RequestIdReused {
            request_id: request_id.clone(),
        },
        Failed::RequestInProgress { request_id },
        Failed::PaymentNotFound { payment_id },
        Failed::PaymentBusy { payment_id },
        inactive,
        no_route,
        Failed::Overloaded,
        Failed::Draining,
        Failed::NotRecorded { source },
        Failed::OutcomeNotRecorded { payment_id },
    ]
    .map(|failed| status_of(&failed));
    let statuses: Vec<_> = statuses.into_iter().chain([unread]).collect();
    let rows: Vec<_> = statuses.iter().map(error_row).collect();
    assert_eq!(rows.join("\n"), expected.trim());
    // What the request held and what the machine said stay here.
    let told = format!("{statuses:?}");
    let kept = !told.contains("4242") && !told.contains("/var/lib");
    assert!(kept, "{told}");
}

/// A payment whose answer was lost may have been sent. Its repetition meets any of these, and must not
/// make its merchant pay again under a new request_id.
#[test]
fn what_a_repetition_can_meet_asks_to_keep_the_request_id() {
    let source = "disk full".into();
    let [inactive, no_route] = refused_by_its_merchant();
    let not_recorded = Failed::NotRecorded { source };
    for failed in [
        Failed::Overloaded,
        Failed::Draining,
        not_recorded,
        inactive,
        no_route,
    ] {
        let status = status_of(&failed);
        let text = status.message();
        assert!(error_row(&status).contains(" NOT_SENT"), "{text}");
        assert!(text.contains("this call sent nothing to a bank"), "{text}");
        assert!(text.contains("request_id"), "{text}");
    }
}
