//! One table for each class of bad envelopes.

use super::*;
use crate::card::header::{CARD_TYPE, MAX_HEADER_BYTES};
use crate::card::jwe::MAX_ENVELOPE_BYTES;

/// The fault's name, or nothing when it opens.
fn fault(opened: Result<Opened, SealedCardFault>) -> &'static str {
    opened.err().map_or("", SealedCardFault::name)
}

#[test]
fn every_claim_is_compared() {
    let fixture = fixture();
    let now = |seconds: i64| (NOW_S + seconds).to_string();
    let letters = |count: usize| format!(r#""{}""#, "a".repeat(count));
    for (name, value, expected) in [
        ("order", r#""order-1042""#, ""),
        ("order", r#""order\u002d1042""#, ""),
        ("merchant", r#""other-shop""#, "MERCHANT"),
        ("merchant", r#""demo-shop ""#, "MERCHANT"),
        ("order", r#""order-1043""#, "ORDER"),
        ("order", r#""""#, "ORDER"),
        ("amount_minor", "1235", "AMOUNT"),
        ("amount_minor", "-1234", "AMOUNT"),
        ("currency", r#""USD""#, "AMOUNT"),
        ("currency", r#""eur""#, "AMOUNT"),
        ("iat", &now(60), ""),
        ("iat", &now(61), "CLOCK_AHEAD"),
        ("iat", &now(-1), "LIFETIME"),
        ("iat", &now(300), "LIFETIME"),
        ("exp", &now(301), "LIFETIME"),
        ("exp", &now(1), ""),
        ("exp", &now(0), "LIFETIME"),
        ("exp", &now(-400), "LIFETIME"),
        ("exp", &i64::MAX.to_string(), "LIFETIME"),
        ("iat", &i64::MIN.to_string(), "LIFETIME"),
        ("jti", &letters(15), "JTI"),
        ("jti", r#""abcdefghijklmnop""#, ""),
        ("jti", r#""abcdefghijklmno+""#, "JTI"),
        ("jti", r#""abcdefghijklmn\u0000op""#, "JTI"),
        ("jti", &letters(64), ""),
        ("jti", &letters(65), "JTI"),
    ] {
        let opened = fixture.open(&fixture.forge(&header_with(name, value), PAYLOAD));
        assert_eq!(fault(opened), expected, "{name}: {value}");
    }
    let good = fixture.forge(&header_with("typ", ""), PAYLOAD);
    for (later_ms, expected) in [(299_999, None), (300_000, Some(SealedCardFault::Expired))] {
        let now = NOW.plus_ms(later_ms);
        let opened = fixture
            .opener
            .open(&good.clone().into(), &fixture.binding(), now);
        assert_eq!(opened.err(), expected, "{later_ms} ms later");
    }
}

#[test]
fn what_was_sealed_before_a_restore_is_refused_whether_it_has_expired_or_not() {
    let mut fixture = fixture();
    let restored = |fixture: Fixture, moment| Fixture {
        opener: fixture.opener.restored_at(moment),
        ..fixture
    };
    fixture = restored(fixture, UnixMillis::new(0));
    let good = fixture.forge(&header_with("typ", ""), PAYLOAD);
    assert_eq!(fault(fixture.open(&good)), "");
    // The clock that sealed it may be a minute ahead.
    fixture = restored(fixture, NOW.plus_ms(-60_000));
    assert_eq!(fault(fixture.open(&good)), "");
    fixture = restored(fixture, NOW.plus_ms(-59_999));
    let bound_elsewhere = fixture.forge(&header_with("order", r#""order-1043""#), PAYLOAD);
    assert_eq!(fault(fixture.open(&bound_elsewhere)), "ORDER");
    for later_ms in [0, 300_000] {
        let (sealed, now) = (good.clone().into(), NOW.plus_ms(later_ms));
        let opened = fixture.opener.open(&sealed, &fixture.binding(), now);
        assert_eq!(fault(opened), "RESTORED", "{later_ms} ms later");
    }
    let key = SessionKey::generate(&Random::SYSTEM).unwrap();
    let session = |issued_at| {
        let claims = SessionClaims {
            merchant: "demo-shop",
            jti: JTI,
            issued_at,
            lifetime_s: 600,
        };
        let sealed = fixture
            .recipient(Algorithm::EcdhEs)
            .seal_session_key(&key, &claims);
        let opened = fixture
            .opener
            .open_session(&sealed.unwrap(), &fixture.merchant_id, issued_at);
        opened.err()
    };
    assert_eq!(session(NOW), Some(SealedCardFault::Restored));
    assert_eq!(session(NOW.plus_ms(1000)), None);
}

#[test]
fn a_header_is_taken_only_as_specified() {
    let fixture = fixture();
    let refused = |header: String| fault(fixture.open(&fixture.forge(&header, PAYLOAD)));
    for (name, value) in [
        ("typ", r#""JOSE""#.to_owned()),
        ("typ", format!(r#""{CARD_TYPE}""#)),
        ("cty", r#""json""#.into()),
        ("apu", r#""""#.into()),
        ("crit", r#"["merchant","order","jti"]"#.into()),
    ] {
        // An empty `apu` is the same as none.
        assert_eq!(refused(header_with(name, &value)), "", "{name}: {value}");
    }
    for (name, value) in [
        ("zip", r#""DEF""#),
        ("b64", "false"),
        ("b64", "true"),
        ("crit", "[]"),
        ("crit", r#"["exp","exp"]"#),
        ("crit", r#"["b64"]"#),
        ("crit", r#"["alg"]"#),
        ("crit", r#""exp""#),
        ("crit", r#"["unknown"]"#),
        ("unknown", "1"),
        ("jku", r#""https://example.com/keys""#),
        ("jwk", r#"{"kty":"oct","k":"AA"}"#),
        ("x5c", "[]"),
        ("alg", r#""none""#),
        ("alg", r#""ECDH-ES+A256KW""#),
        ("alg", r#""RSA1_5""#),
        ("alg", r#""RSA-OAEP""#),
        ("alg", r#""ecdh-es""#),
        ("alg", "1"),
        ("enc", r#""A128GCM""#),
        ("enc", r#""A256CBC-HS512""#),
        ("typ", r#""payswitch-session+jwe""#),
        ("typ", r#""JWT""#),
        ("cty", r#""JWT""#),
        ("epk", ""),
        ("epk", r#"{"kty":"EC","crv":"P-384","x":"AA","y":"AA"}"#),
        ("epk", r#"{"kty":"OKP","crv":"P-256","x":"AA","y":"AA"}"#),
        ("epk", r#"{"kty":"EC","crv":"P-256","x":"AA"}"#),
        (
            "epk",
            r#"{"kty":"EC","crv":"P-256","x":"AA","x":"AA","y":"AA"}"#,
        ),
        (
            "epk",
            r#"{"kty":"EC","crv":"P-256","x":"AA","y":"AA","d":"AA"}"#,
        ),
        ("kid", ""),
        ("kid", "1"),
        ("merchant", ""),
        ("order", ""),
        ("order", "null"),
        ("amount_minor", ""),
        ("amount_minor", "1234.0"),
        ("amount_minor", r#""1234""#),
        ("amount_minor", "12340000000000000000000"),
        ("currency", ""),
        ("jti", ""),
        ("iat", ""),
        ("iat", "1.5"),
        ("exp", ""),
        ("exp", "1e10"),
        ("exp", r#"1,"exp":1"#),
        ("alg", r#""ECDH-ES","alg":"ECDH-ES""#),
        ("merchant", r#""demo-shop","merchant":"demo-shop""#),
        ("merchant", r#""demo-shop","\u006derchant":"demo-shop""#),
    ] {
        let refused = refused(header_with(name, value));
        assert_eq!(refused, "HEADER", "{name}: {value}");
    }
    for header in ["", "{}", "[]", "null", "\"\"", "{", "\u{feff}{}"] {
        assert_eq!(refused(header.into()), "HEADER", "{header}");
    }
    let good = header_with("typ", "");
    assert_eq!(refused(format!("{good} ")), "");
    assert_eq!(refused(format!(" {good}")), "HEADER");
    assert_eq!(refused(format!("{good}{{}}")), "HEADER");
}

#[test]
fn a_payload_is_a_card_or_refused() {
    let fixture = fixture();
    for payload in [
        "",
        "{}",
        r#"{"k":"AAAA"}"#,
        r#"{"pan":"4242424242424241","expiry":"3012"}"#,
    ] {
        let refused = fixture.open(&fixture.forge(&header_with("typ", ""), payload));
        assert_eq!(refused.err(), Some(SealedCardFault::Payload), "{payload}");
    }
}

#[test]
fn sizes_have_limits() {
    let fixture = fixture();
    let of_header_bytes = |bytes: usize| {
        let header = header_with("typ", "");
        let forged = fixture.forge(&header, PAYLOAD);
        let length = decode(forged.split('.').next().unwrap()).unwrap().len();
        // Whitespace within the object is JSON, and only makes it longer.
        let padded = format!("{{{}{}", " ".repeat(bytes - length), &header[1..]);
        fixture.open(&fixture.forge(&padded, PAYLOAD)).err()
    };
    assert_eq!(of_header_bytes(MAX_HEADER_BYTES), None);
    assert_eq!(
        of_header_bytes(MAX_HEADER_BYTES + 1),
        Some(SealedCardFault::Header)
    );

    let of_bytes = |bytes: usize| {
        let header = header_with("typ", "");
        let spaces =
            |count: usize| format!("{}{}", &PAYLOAD[..1], " ".repeat(count)) + &PAYLOAD[1..];
        let start = (bytes - fixture.forge(&header, PAYLOAD).len()) / 4 * 3;
        let sealed = (start - 4..start + 4)
            .map(|count| fixture.forge(&header, &spaces(count)))
            .filter(|sealed| sealed.len() <= bytes)
            .max_by_key(String::len)
            .unwrap();
        assert!(sealed.len() > bytes - 2, "{}", sealed.len());
        fixture.open(&sealed).err()
    };
    assert_eq!(of_bytes(MAX_ENVELOPE_BYTES), None);
    assert_eq!(
        of_bytes(MAX_ENVELOPE_BYTES + 4),
        Some(SealedCardFault::NotAnEnvelope)
    );
}

#[test]
fn what_is_no_compact_jwe_is_refused() {
    let fixture = fixture();
    let good = fixture.seal(Algorithm::EcdhEs);
    let parts: Vec<&str> = good.split('.').collect();
    let with = |place: usize, part: String| {
        let mut parts: Vec<String> = parts.iter().map(|part| (*part).to_owned()).collect();
        parts[place] = part;
        parts.join(".")
    };
    let mut bad = vec![
        String::new(),
        ".".into(),
        "....".into(),
        "4242424242424242".into(),
        parts[..4].join("."),
        format!("{good}."),
        format!("{good}.AA"),
        format!("{good}\n"),
        format!(" {good}"),
        format!("{good}="),
        r#"{"protected":"","ciphertext":""}"#.into(),
        with(2, encode(&[0; 11])),
        with(2, encode(&[0; 16])),
        with(4, encode(&[0; 12])),
        with(4, encode(&[0; 17])),
        with(3, format!("{}==", parts[3])),
        with(0, parts[0].replace('_', "/").replace('-', "+") + "+"),
        "é".repeat(100),
    ];
    bad.extend((0..5).map(|place| with(place, format!("{}=", parts[place]))));
    for sealed in bad {
        let refused = fixture.open(&sealed).unwrap_err();
        assert_eq!(refused, SealedCardFault::NotAnEnvelope, "{sealed}");
    }
    assert_eq!(
        fixture.open(&with(1, "AAAA".into())).unwrap_err(),
        SealedCardFault::Key,
        "an encrypted key where none is sent"
    );
}

#[test]
fn a_kid_names_one_key_and_its_only_algorithm() {
    let fixture = fixture();
    let random = content_key(&[9; 32]).unwrap();
    let rsa = |kid: &str| {
        header_with("epk", "")
            .replace("ECDH-ES", "RSA-OAEP-256")
            .replace("@KID@", kid)
    };
    let dir = |kid: &str| {
        header_with("epk", "")
            .replace("ECDH-ES", "dir")
            .replace("@KID@", kid)
    };
    let encrypted_key = encode(&[1; 384]);
    let to =
        |header: String, encrypted_key: &str| encrypt(&header, encrypted_key, PAYLOAD, &random);
    let above_the_modulus = encode(&[0xff; 384]);
    let made_up = format!("session.{}", encode(&[0; 109]));
    let rsa_kid = format!(r#""{}""#, fixture.rsa_kid);
    let ecdh = |kid: &str| fixture.forge(&header_with("kid", kid), PAYLOAD);
    for (sealed, case) in [
        (ecdh(r#""unknown""#), "an unknown kid"),
        (ecdh(&rsa_kid), "ECDH-ES to an RSA key"),
        (
            to(rsa(&fixture.ecdh_kid), &encrypted_key),
            "RSA to a P-256 key",
        ),
        (to(rsa("unknown"), &encrypted_key), "RSA to an unknown key"),
        (
            to(rsa(&fixture.rsa_kid), &encrypted_key),
            "no RSA ciphertext",
        ),
        (to(rsa(&fixture.rsa_kid), ""), "an empty RSA ciphertext"),
        (
            to(rsa(&fixture.rsa_kid), &above_the_modulus),
            "above the modulus",
        ),
        (to(dir(&fixture.ecdh_kid), ""), "dir under a P-256 key"),
        (to(dir("session.AAAA"), ""), "dir under no ticket"),
        (to(dir(&made_up), ""), "dir under a made-up ticket"),
    ] {
        assert_eq!(fault(fixture.open(&sealed)), "KEY", "{case}");
    }
}

#[test]
fn only_points_on_the_curve_are_agreed_with() {
    let fixture = fixture();
    let good = fixture.point;
    // The order of the field: a coordinate must be below it.
    let p = [&[0xff; 4][..], &[0, 0, 0, 1], &[0; 12], &[0xff; 12]].concat();
    let mut off_by_one = good[33..].to_vec();
    off_by_one[31] ^= 1;
    for (x, y, case) in [
        (good[1..33].to_vec(), off_by_one, "not on the curve"),
        (vec![0; 32], vec![0; 32], "all zero"),
        (p.clone(), good[33..].to_vec(), "x is p"),
        (vec![0xff; 32], vec![0xff; 32], "above p"),
        (good[1..32].to_vec(), good[33..].to_vec(), "x is short"),
        (
            [&[0], &good[1..33]].concat(),
            good[33..].to_vec(),
            "x is long",
        ),
    ] {
        let epk = format!(
            r#"{{"kty":"EC","crv":"P-256","x":"{}","y":"{}"}}"#,
            encode(&x),
            encode(&y)
        );
        let sealed = fixture.forge(&header_with("epk", &epk), PAYLOAD);
        assert_eq!(fault(fixture.open(&sealed)), "KEY", "{case}");
    }
}
