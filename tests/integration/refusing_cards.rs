//! Sealed cards that are refused, with one answer to the byte for each fault; nothing of them reaches a bank.

use payswitch::card::header::Algorithm;
use payswitch::merchant_api::pb;
use payswitch::merchant_api::pb::authorize_payment_request::PaymentMethod;
use serde_json::{Value, json};

use crate::database::Engine;
use crate::harness::{Switch, authorize, now, on_both_engines, pay_with};
use crate::refused::{Envelopes, assert_nothing_came_of_it, refusal};
use crate::sealing::{Claims, Forge, GOOD_PAYLOAD, base64url, card, with_sealed};

on_both_engines!(sealed_cards_that_are_bad, sealed_cards_of_another_payment,);

/// The card in the envelopes.
const PAN: &str = "4242424242424242";

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
    let faults = ["CONTENT", "CLOCK_AHEAD", "HEADER", "JTI", "KEY", "LIFETIME"];
    for fault in faults.into_iter().chain(["NOT_AN_ENVELOPE", "PAYLOAD"]) {
        assert!(envelopes.faults().contains(&fault), "{fault}");
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
    let faults = ["AMOUNT", "EXPIRED", "KEY", "MERCHANT", "ORDER"];
    assert_eq!(envelopes.faults(), faults);
    assert_nothing_came_of_it(&switch).await;
}
