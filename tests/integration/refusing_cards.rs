//! Sealed cards that are refused, with one answer to the byte for each fault; nothing of them reaches a bank. In how
//! many ways an envelope can have each fault is tested where it is opened (`card/envelope/tests`).

use payswitch::card::header::Algorithm;
use serde_json::{Value, json};

use crate::database::Engine;
use crate::harness::{Switch, authorize, now, pay_with, run};
use crate::refused::{Envelopes, refusal};
use crate::sealing::{Claims, Forge, card, with_sealed};

/// The card in the envelopes.
const PAN: &str = "4242424242424242";

/// A change to the header of an envelope that is good otherwise.
type WrongHeader = (&'static str, fn(&mut Value));

const WRONG_HEADERS: [WrongHeader; 9] = [
    ("zip", |h| h["zip"] = json!("DEF")),
    ("no algorithm", |h| h["alg"] = json!("none")),
    ("an amount that is a text", |h| {
        h["amount_minor"] = json!("1250")
    }),
    ("an unknown key", |h| h["kid"] = json!("nobody")),
    ("another key's algorithm", |h| h["alg"] = json!("ECDH-ES")),
    ("a short jti", |h| h["jti"] = json!("abcdefghijklmno")),
    ("a long jti", |h| h["jti"] = json!("a".repeat(65))),
    ("a life of 301 s", |h| {
        h["exp"] = json!(h["iat"].as_i64().expect("a time") + 301);
    }),
    ("iat ahead", |h| {
        h["iat"] = json!(h["iat"].as_i64().expect("a time") + 120);
    }),
];

/// A change to what an envelope is bound to.
type WrongClaim = (&'static str, fn(&mut Claims));

const WRONG_CLAIMS: [WrongClaim; 6] = [
    ("another merchant", |claims| {
        claims.merchant = "other-shop".into()
    }),
    ("another order", |claims| claims.order.push('x')),
    ("a larger amount", |claims| claims.amount_minor += 1),
    ("a smaller amount", |claims| claims.amount_minor -= 1),
    ("another currency", |claims| claims.currency = "USD".into()),
    ("one that has just expired", |claims| {
        claims.issued_at = now().plus_ms(-10_000);
        claims.lifetime_s = 10;
    }),
];

#[test]
fn a_sealed_card_that_is_bad_or_of_another_payment() {
    run(async {
        let switch = Switch::start(Engine::Sqlite).await;
        let (_, other_key) = switch.add_merchant("other-shop", |_| {}).await;
        let mut payments = switch.payments().await;
        let mut others = switch.payments_of(&other_key).await;
        let merchant = switch.merchant_id.as_str();
        let forge = Forge::new(&switch, merchant, &switch.api_key).await;
        let mut envelopes = Envelopes::default();

        for (what, change) in WRONG_HEADERS {
            let request = switch.pay_forged(&forge, change);
            envelopes.assert_refused(&refusal(&mut payments, request).await, what);
        }
        let request = pay_with("", 1250, "EUR");
        let header = Claims::of(merchant, &request)
            .header(&forge.kid)
            .to_string();
        let good = forge.seal(&header, br#"{"pan":"4242424242424242","expiry":"3012"}"#);
        let other_content = forge.seal(&header, br#"{"pan":"4242424242424242","expiry":"3011"}"#);
        let (head, _) = good.rsplit_once('.').expect("five parts");
        let (_, other_tag) = other_content.rsplit_once('.').expect("five parts");
        for (what, sealed) in [
            ("a wrong check digit", {
                forge.seal(&header, br#"{"pan":"4242424242424241","expiry":"3012"}"#)
            }),
            ("a word", "card".into()),
            (
                "8193 characters",
                format!("{good}{}", "A".repeat(8193 - good.len())),
            ),
            ("a header that is no JSON", forge.seal("{", b"{}")),
            ("another's tag", format!("{head}.{other_tag}")),
        ] {
            let request = with_sealed(request.clone(), sealed);
            envelopes.assert_refused(&refusal(&mut payments, request).await, what);
        }
        for algorithm in [Algorithm::EcdhEs, Algorithm::RsaOaep256] {
            let recipient = switch.recipient(algorithm);
            for (what, change) in WRONG_CLAIMS {
                let request = pay_with("", 1250, "EUR");
                let mut claims = Claims::of(merchant, &request);
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
        let request = switch.pay_forged(&forge, |header| header["merchant"] = json!("other-shop"));
        envelopes.assert_refused(&refusal(&mut others, request).await, "another's session");
        let faults = [
            "AMOUNT",
            "CLOCK_AHEAD",
            "CONTENT",
            "EXPIRED",
            "HEADER",
            "JTI",
            "KEY",
            "LIFETIME",
            "MERCHANT",
            "NOT_AN_ENVELOPE",
            "ORDER",
            "PAYLOAD",
        ];
        assert_eq!(envelopes.faults(), faults);
        // The control: the same by hand, without a fault, is good. It leaves exactly one of everything.
        for (table, rows) in switch.database.rows_of_payments().await {
            assert_eq!(rows, 0, "{table}");
        }
        authorize(&mut payments, switch.pay_forged(&forge, |_| {})).await;
        assert_eq!(switch.at_acquirer(), 1);
    });
}
