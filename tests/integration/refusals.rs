//! What is refused: each with its precise status and details, nothing stored, nothing sent.

use futures_util::future::join_all;
use payswitch::card::header::Algorithm;
use payswitch::merchant_api::pb;
use payswitch::merchant_api::pb::authorize_payment_request::PaymentMethod;
use payswitch::merchant_api::pb::lookup_payment_request::Key;
use payswitch::merchant_api::pb::payment_service_client::PaymentServiceClient;
use payswitch::merchant_api::pb::sealing_service_client::SealingServiceClient;
use serde_json::{Value, json};
use tonic::{Code, Request, Status};

use crate::database::Engine;
use crate::harness::{Payments, Switch, authorize, now, on_both_engines, pay_with, unique, until};
use crate::refused::Refused;
use crate::sealing::{Claims, Forge, GOOD_PAYLOAD, base64url, card, with_sealed};

on_both_engines!(
    fields_that_are_wrong,
    card_numbers_in_clear,
    sealed_cards_that_are_bad,
    sealed_cards_of_another_payment,
    a_sealed_card_works_once,
    a_sealed_card_works_once_of_fifty_at_once,
    other_merchants_payments_do_not_exist,
    callers_who_are_not_let_in,
    a_revoked_key_stops_working,
    merchants_who_may_not_pay,
    calls_that_are_not_built,
);

/// The bank has seen nothing, and nothing was kept; then one good payment leaves exactly one of each.
async fn assert_nothing_came_of_it(switch: &Switch) {
    for (table, rows) in switch.database.rows_of_payments().await {
        assert_eq!(rows, 0, "{table}");
    }
    let good = pay_with("pm_test_visa", 1250, "EUR");
    authorize(&mut switch.payments().await, good).await;
    // What had been sent before would have arrived before.
    assert_eq!(switch.at_acquirer(), 1);
    assert_eq!(switch.database.count("payments").await, 1);
}

async fn refusal(payments: &mut Payments, request: pb::AuthorizePaymentRequest) -> Status {
    payments
        .authorize_payment(request)
        .await
        .expect_err("a refusal")
}

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
    assert_eq!(long.code(), Code::OutOfRange, "{long:?}");
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

/// What every refused envelope must answer, to the byte.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Shown {
    code: Code,
    message: String,
    details: Vec<u8>,
}

impl From<&Status> for Shown {
    fn from(status: &Status) -> Self {
        Self {
            code: status.code(),
            message: status.message().to_owned(),
            details: status.details().to_vec(),
        }
    }
}

/// Holds refusals of envelopes to one text.
#[derive(Default)]
struct Envelopes {
    first: Option<Shown>,
}

impl Envelopes {
    fn assert_refused(&mut self, status: &Status, what: &str) {
        let expected = Refused::not_sent(Code::InvalidArgument, "SEALED_CARD_REFUSED");
        assert_eq!(Refused::from(status), expected, "{what}");
        let shown = Shown::from(status);
        let first = self.first.get_or_insert_with(|| shown.clone());
        assert_eq!(*first, shown, "{what} can be told from the others");
    }
}

/// A change to the header of an envelope that is good otherwise.
type WrongHeader = (&'static str, fn(&mut Value));

const WRONG_HEADERS: [WrongHeader; 26] = [
    ("zip", |h| h["zip"] = json!("DEF")),
    ("a further member", |h| h["note"] = json!("x")),
    ("b64", |h| h["b64"] = json!(false)),
    ("an unknown extension", |h| {
        h["crit"] = json!(["exp", "foo"])
    }),
    ("no extension", |h| h["crit"] = json!([])),
    ("an extension twice", |h| h["crit"] = json!(["exp", "exp"])),
    ("another type", |h| {
        h["typ"] = json!("payswitch-session+jwe")
    }),
    ("another content type", |h| h["cty"] = json!("jwt")),
    ("another cipher", |h| h["enc"] = json!("A128GCM")),
    ("another algorithm", |h| h["alg"] = json!("A256KW")),
    ("no algorithm", |h| h["alg"] = json!("none")),
    ("an ephemeral key", |h| {
        h["epk"] = json!({ "kty": "EC", "crv": "P-256", "x": "AA", "y": "AA" });
    }),
    ("an unknown key", |h| h["kid"] = json!("nobody")),
    ("no key", |h| h["kid"] = Value::Null),
    ("a short jti", |h| h["jti"] = json!("abcdefghijklmno")),
    ("a long jti", |h| h["jti"] = json!("a".repeat(65))),
    ("a jti with a space", |h| {
        h["jti"] = json!("abcdefgh ijklmnop")
    }),
    ("a jti that is a number", |h| {
        h["jti"] = json!(1_234_567_890_123_456_u64)
    }),
    ("exp before iat", |h| {
        h["exp"] = json!(h["iat"].as_i64().expect("a time") - 1)
    }),
    ("exp at iat", |h| h["exp"] = h["iat"].clone()),
    ("a life of 301 s", |h| {
        h["exp"] = json!(h["iat"].as_i64().expect("a time") + 301)
    }),
    ("iat ahead", |h| {
        h["iat"] = json!(h["iat"].as_i64().expect("a time") + 120);
        h["exp"] = json!(h["iat"].as_i64().expect("a time") + 60);
    }),
    ("times that are texts", |h| {
        h["exp"] = json!(h["exp"].to_string())
    }),
    ("an amount with decimals", |h| {
        h["amount_minor"] = json!(1250.0)
    }),
    ("an amount that is a text", |h| {
        h["amount_minor"] = json!("1250")
    }),
    ("2049 bytes", |h| h["cty"] = json!(" ".repeat(2048))),
];

const WITHOUT: [&str; 10] = [
    "alg",
    "enc",
    "kid",
    "merchant",
    "order",
    "amount_minor",
    "currency",
    "jti",
    "iat",
    "exp",
];

const WRONG_PAYLOADS: [(&str, &str); 14] = [
    ("nothing", ""),
    ("no JSON", "4242"),
    ("a text", r#""card""#),
    ("an array", r#"["4242424242424242","3012","123"]"#),
    ("no card number", r#"{"expiry":"3012"}"#),
    ("no expiry", r#"{"pan":"4242424242424242"}"#),
    (
        "a wrong check digit",
        r#"{"pan":"4242424242424241","expiry":"3012"}"#,
    ),
    ("a short number", r#"{"pan":"42424242420","expiry":"3012"}"#),
    (
        "a number in groups",
        r#"{"pan":"4242 4242 4242 4242","expiry":"3012"}"#,
    ),
    (
        "a month that is none",
        r#"{"pan":"4242424242424242","expiry":"3013"}"#,
    ),
    (
        "an expiry with a slash",
        r#"{"pan":"4242424242424242","expiry":"12/30"}"#,
    ),
    (
        "a CVV of two",
        r#"{"pan":"4242424242424242","expiry":"3012","cvv":"12"}"#,
    ),
    (
        "a CVV that is a number",
        r#"{"pan":"4242424242424242","expiry":"3012","cvv":123}"#,
    ),
    (
        "a PIN",
        r#"{"pan":"4242424242424242","expiry":"3012","pin":"1234"}"#,
    ),
];

async fn sealed_cards_that_are_bad(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let merchant = switch.merchant_id.to_string();
    let forge = Forge::new(&switch, &merchant, &switch.api_key).await;
    let mut envelopes = Envelopes::default();

    for (what, change) in WRONG_HEADERS {
        let request = switch.pay_forged(&forge, change);
        envelopes.assert_refused(&refusal(&mut payments, request).await, what);
    }
    for member in WITHOUT {
        let request = switch.pay_forged(&forge, |header| {
            header.as_object_mut().expect("an object").remove(member);
        });
        let what = format!("no {member}");
        envelopes.assert_refused(&refusal(&mut payments, request).await, &what);
    }
    for (what, payload) in WRONG_PAYLOADS {
        let request = pay_with("", 1250, "EUR");
        let header = Claims::of(&merchant, &request)
            .header(&forge.kid)
            .to_string();
        let sealed = forge.seal(&header, payload.as_bytes());
        let status = refusal(&mut payments, with_sealed(request, sealed)).await;
        envelopes.assert_refused(&status, what);
    }
    for (what, sealed) in wrong_texts(&forge, &merchant) {
        let status = refusal(
            &mut payments,
            with_sealed(pay_with("", 1250, "EUR"), sealed),
        )
        .await;
        envelopes.assert_refused(&status, what);
    }
    for algorithm in [Algorithm::EcdhEs, Algorithm::RsaOaep256] {
        for part in 0..5 {
            let request =
                switch.pay_sealed_to(&switch.recipient(algorithm), &card(PAN), 1250, "EUR");
            let request = with_one_bit_flipped(request, part);
            let what = format!("a bit of part {part} of {}", algorithm.name());
            envelopes.assert_refused(&refusal(&mut payments, request).await, &what);
        }
    }
    // The control: the same by hand, without a fault, is good. It leaves exactly one of everything.
    for (_, rows) in switch.database.rows_of_payments().await {
        assert_eq!(rows, 0);
    }
    authorize(&mut payments, switch.pay_forged(&forge, |_| {})).await;
    assert_eq!(switch.at_acquirer(), 1);
}

/// Texts that are no envelope, or that are one twice over.
fn wrong_texts(forge: &Forge, merchant: &str) -> Vec<(&'static str, String)> {
    let request = pay_with("", 1250, "EUR");
    let header = Claims::of(merchant, &request)
        .header(&forge.kid)
        .to_string();
    let good = forge.seal(&header, GOOD_PAYLOAD.as_bytes());
    let parts: Vec<&str> = good.split('.').collect();
    let twice = header.replacen('{', r#"{"alg":"dir","#, 1);
    let array = format!("[{header}]");
    vec![
        ("nothing", String::new()),
        ("a word", "card".into()),
        ("dots", "....".into()),
        ("four parts", parts[..4].join(".")),
        ("six parts", format!("{good}.")),
        ("padding", format!("{good}=")),
        ("a space", format!("{good} ")),
        ("a line end", format!("{good}\n")),
        ("standard base64", good.replacen('.', "+.", 1)),
        ("a JWS", [parts[0], parts[3], parts[4]].join(".")),
        ("JSON", json!({ "ciphertext": parts[3] }).to_string()),
        (
            "no tag",
            format!("{}.{}..{}.", parts[0], parts[1], parts[3]),
        ),
        (
            "a long nonce",
            [parts[0], "", &base64url([1; 16]), parts[3], parts[4]].join("."),
        ),
        (
            "8193 characters",
            format!("{good}{}", "A".repeat(8193 - good.len())),
        ),
        (
            "a member twice",
            forge.seal(&twice, GOOD_PAYLOAD.as_bytes()),
        ),
        (
            "an array for a header",
            forge.seal(&array, GOOD_PAYLOAD.as_bytes()),
        ),
        (
            "a header that is no JSON",
            forge.seal("{", GOOD_PAYLOAD.as_bytes()),
        ),
    ]
}

fn with_one_bit_flipped(
    mut request: pb::AuthorizePaymentRequest,
    part: usize,
) -> pb::AuthorizePaymentRequest {
    let Some(PaymentMethod::SealedCard(sealed)) = &mut request.payment_method else {
        panic!("expected a sealed card");
    };
    let mut parts: Vec<String> = sealed.split('.').map(str::to_owned).collect();
    // The first character after the part's beginning; an empty part gets one.
    let other = match parts[part].chars().nth(8) {
        None => "AAAA".to_owned(),
        Some(at) => {
            let other = if at == 'A' { "B" } else { "A" };
            let mut text = parts[part].clone();
            text.replace_range(8..9, other);
            text
        }
    };
    parts[part] = other;
    *sealed = parts.join(".");
    request
}

/// A change to what an envelope is bound to.
type WrongClaim = (&'static str, fn(&mut Claims));

const WRONG_CLAIMS: [WrongClaim; 8] = [
    ("another merchant", |claims| {
        claims.merchant = "other-shop".into()
    }),
    ("an unknown merchant", |claims| {
        claims.merchant = "nobody".into()
    }),
    ("another order", |claims| claims.order.push('x')),
    ("a larger amount", |claims| claims.amount_minor += 1),
    ("a smaller amount", |claims| claims.amount_minor -= 1),
    ("another currency", |claims| claims.currency = "USD".into()),
    ("one that has expired", |claims| {
        claims.issued_at = now().plus_ms(-301_000);
        claims.lifetime_s = 300;
    }),
    ("one that has just expired", |claims| {
        claims.issued_at = now().plus_ms(-10_000);
        claims.lifetime_s = 10;
    }),
];

async fn sealed_cards_of_another_payment(engine: Engine) {
    let switch = Switch::start(engine).await;
    let (_, other_key) = switch.add_merchant("other-shop", |_| {}).await;
    let mut payments = switch.payments().await;
    let mut others = switch.payments_of(&other_key).await;
    let mut envelopes = Envelopes::default();
    for algorithm in [Algorithm::EcdhEs, Algorithm::RsaOaep256] {
        let recipient = switch.recipient(algorithm);
        for (what, change) in WRONG_CLAIMS {
            let request = pay_with("", 1250, "EUR");
            let mut claims = Claims::of(switch.merchant_id.as_str(), &request);
            change(&mut claims);
            let sealed = claims.seal(&recipient, &card(PAN));
            let status = refusal(&mut payments, with_sealed(request, sealed)).await;
            envelopes.assert_refused(&status, what);
        }
        // Stolen, and presented by somebody else.
        let stolen = switch.pay_sealed_to(&recipient, &card(PAN), 1250, "EUR");
        envelopes.assert_refused(&refusal(&mut others, stolen).await, "a stolen one");
    }
    // A session is its merchant's own, even for cards that are bound to the other.
    let forge = Forge::new(&switch, switch.merchant_id.as_str(), &switch.api_key).await;
    let request = switch.pay_forged(&forge, |header| header["merchant"] = json!("other-shop"));
    envelopes.assert_refused(&refusal(&mut others, request).await, "another's session");
    assert_nothing_came_of_it(&switch).await;
}

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
    amount(&mut another_amount, 1251, "EUR");
    let mut another_currency = under_new_id(&first);
    amount(&mut another_currency, 1250, "USD");
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

async fn other_merchants_payments_do_not_exist(engine: Engine) {
    let switch = Switch::start(engine).await;
    let (_, other_key) = switch.add_merchant("other-shop", |_| {}).await;
    let mut payments = switch.payments().await;
    let mut others = switch.payments_of(&other_key).await;
    let request = pay_with("pm_test_visa", 1250, "EUR");
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
    for (foreign_key, missing_key) in [
        (
            Key::MerchantReference(payment.merchant_reference.clone()),
            Key::MerchantReference("nothing".into()),
        ),
        (
            Key::Rrn(payment.rrn.clone()),
            Key::Rrn("999999999999".into()),
        ),
    ] {
        let mut shown = Vec::new();
        for key in [foreign_key, missing_key] {
            let look_up = pb::LookupPaymentRequest {
                key: Some(key),
                business_date: String::new(),
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

async fn calls_that_are_not_built(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let statuses = [
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
