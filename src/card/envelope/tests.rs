//! Every way in which an envelope can be bad, one table for each class.

use std::sync::LazyLock;

use proptest::prelude::*;
use ring::aead::{Aad, Nonce};

use super::*;
use crate::card::header::{CARD_TYPE, MAX_HEADER_BYTES};
use crate::card::jwe::{MAX_ENVELOPE_BYTES, concat_kdf, encode};
use crate::card::keys::KeyState;
use crate::card::pan::{Cvv, Expiry, Holder, Pan};
use crate::card::seal::{CardClaims, Recipient, SessionClaims, SessionKey};
use crate::card::session::MAX_MESSAGES;

const NOW: UnixMillis = UnixMillis::new(1_795_219_200_000);
const NOW_S: i64 = 1_795_219_200;
const JTI: &str = "abcdefghijklmnop-_01";
const PAYLOAD: &str = r#"{"pan":"4242424242424242","expiry":"3012","cvv":"123"}"#;

/// An RSA key takes long to make, so all tests share one.
static RSA_KEY: LazyLock<Zeroizing<Vec<u8>>> =
    LazyLock::new(|| SealingKey::generate_rsa().unwrap().1);

struct Fixture {
    opener: Opener,
    merchant_id: MerchantId,
    point: [u8; P256_POINT_BYTES],
    ecdh_kid: String,
    rsa_kid: String,
    master_key: MasterKey,
}

fn master_key(byte: u8) -> MasterKey {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode([byte; 32]);
    MasterKey::from_base64(&text).unwrap()
}

fn fixture() -> Fixture {
    let (ecdh, _) = SealingKey::generate_p256().unwrap();
    let rsa = SealingKey::from_pkcs8(&RSA_KEY, KeyState::Active).unwrap();
    let master_key = master_key(1);
    Fixture {
        point: ecdh.p256_point().unwrap(),
        ecdh_kid: ecdh.kid().to_owned(),
        rsa_kid: rsa.kid().to_owned(),
        opener: Opener::new(SealingKeys::new([ecdh, rsa]), &master_key).unwrap(),
        merchant_id: "demo-shop".parse().unwrap(),
        master_key,
    }
}

fn eur(amount_minor: i64) -> Money {
    Money::new(amount_minor, "EUR".parse().unwrap()).unwrap()
}

fn card() -> Card {
    Card {
        pan: Pan::from_digits("4242424242424242").unwrap(),
        expiry: Expiry::from_yymm("3012").unwrap(),
        cvv: Some(Cvv::from_digits("123").unwrap()),
        holder: Some(Holder::new("Zoë \"Z\" Ångström").unwrap()),
    }
}

fn claims() -> CardClaims<'static> {
    CardClaims {
        merchant: "demo-shop",
        order: "order-1042",
        amount: eur(1234),
        jti: JTI,
        issued_at: NOW,
        lifetime_s: 300,
    }
}

impl Fixture {
    fn binding(&self) -> Binding<'_> {
        Binding {
            merchant_id: &self.merchant_id,
            merchant_reference: "order-1042",
            amount: eur(1234),
        }
    }

    fn recipient(&self, algorithm: Algorithm) -> Recipient {
        Recipient::from_jwks(&self.opener.jwks(), algorithm).unwrap()
    }

    fn seal(&self, algorithm: Algorithm) -> String {
        let sealed = self.recipient(algorithm).seal_card(&card(), &claims());
        sealed.unwrap().as_str().to_owned()
    }

    fn session(&self, lifetime_s: i64) -> (SealingSession, Recipient) {
        let key = SessionKey::generate().unwrap();
        let sealed = self
            .recipient(Algorithm::EcdhEs)
            .seal_session_key(
                &key,
                &SessionClaims {
                    merchant: "demo-shop",
                    jti: JTI,
                    issued_at: NOW,
                    lifetime_s,
                },
            )
            .unwrap();
        let session = self
            .opener
            .open_session(&sealed, &self.merchant_id, NOW)
            .unwrap();
        let recipient = Recipient::session(session.kid.clone(), &key).unwrap();
        (session, recipient)
    }

    fn open(&self, sealed: &str) -> Result<Opened, Refusal> {
        self.opener.open_card(sealed, &self.binding(), NOW)
    }

    /// Seals `payload` under whatever header is asked for, rightly: `EPK` stands for the ephemeral
    /// key, `KID` for the key's name.
    fn forge(&self, header: &str, payload: &str) -> String {
        let (other, _) = SealingKey::generate_p256().unwrap();
        let key = other.agree(&self.point, b"", b"").unwrap();
        let point = other.p256_point().unwrap();
        let epk = format!(
            r#"{{"kty":"EC","crv":"P-256","x":"{}","y":"{}"}}"#,
            encode(&point[1..33]),
            encode(&point[33..])
        );
        let header = header.replace("EPK", &epk).replace("KID", &self.ecdh_kid);
        encrypt(&header, "", payload, &content_key(&key).unwrap())
    }
}

fn encrypt(header: &str, encrypted_key: &str, payload: &str, key: &LessSafeKey) -> String {
    let protected = encode(header.as_bytes());
    let mut content = payload.as_bytes().to_vec();
    let tag = key
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key([3; 12]),
            Aad::from(protected.as_bytes()),
            &mut content,
        )
        .unwrap();
    format!(
        "{protected}.{encrypted_key}.{}.{}.{}",
        encode(&[3; 12]),
        encode(&content),
        encode(tag.as_ref())
    )
}

/// The header of a good card, with one member replaced or added (`""` takes it out).
fn header_with(name: &str, value: &str) -> String {
    let mut members = vec![
        ("alg", r#""ECDH-ES""#.to_owned()),
        ("enc", r#""A256GCM""#.to_owned()),
        ("kid", r#""KID""#.to_owned()),
        ("epk", "EPK".to_owned()),
        ("merchant", r#""demo-shop""#.to_owned()),
        ("order", r#""order-1042""#.to_owned()),
        ("amount_minor", "1234".to_owned()),
        ("currency", r#""EUR""#.to_owned()),
        ("jti", format!(r#""{JTI}""#)),
        ("iat", NOW_S.to_string()),
        ("exp", (NOW_S + 300).to_string()),
    ];
    match members.iter_mut().find(|member| member.0 == name) {
        Some(member) => member.1 = value.to_owned(),
        None => members.push((name, value.to_owned())),
    }
    let members: Vec<_> = members
        .into_iter()
        .filter(|member| !member.1.is_empty())
        .map(|(name, value)| format!(r#""{name}":{value}"#))
        .collect();
    format!("{{{}}}", members.join(","))
}

#[test]
fn what_is_sealed_opens() {
    let fixture = fixture();
    let (_, session) = fixture.session(3600);
    for recipient in [
        fixture.recipient(Algorithm::EcdhEs),
        fixture.recipient(Algorithm::RsaOaep256),
        session,
    ] {
        let sealed = recipient.seal_card(&card(), &claims()).unwrap();
        let opened = fixture
            .opener
            .open(&sealed, &fixture.binding(), NOW)
            .unwrap();
        assert_eq!(opened.card.pan.digits(), "4242424242424242");
        assert_eq!(opened.card.expiry.yymm(), "3012");
        assert_eq!(opened.card.cvv.as_ref().unwrap().digits(), "123");
        assert_eq!(
            opened.card.holder.as_ref().unwrap().as_str(),
            "Zoë \"Z\" Ångström"
        );
        assert_eq!(opened.jti, JTI);
        assert_eq!(opened.expires_at, NOW.plus_ms(300_000));
    }
}

/// The key with the private number `d`, in base64url.
fn p256_key(d: &str) -> SealingKey {
    use aws_lc_rs::agreement::{ECDH_P256, PrivateKey};
    use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
    let private = PrivateKey::from_private_key(&ECDH_P256, &decode(d).unwrap()).unwrap();
    let der: Pkcs8V1Der<'_> = private.as_der().unwrap();
    SealingKey::from_pkcs8(der.as_ref(), KeyState::Active).unwrap()
}

/// RFC 7518 appendix C: Bob's static key and Alice's ephemeral one.
#[test]
fn keys_agree_as_in_rfc_7518_appendix_c() {
    let bob = p256_key("VEmDZpDXXK8p8N0Cndsxs924q6nS1RXFASRl6BfUqdw");
    let bob_x = decode("weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ").unwrap();
    let bob_y = decode("e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck").unwrap();
    assert_eq!(
        bob.p256_point().unwrap()[..],
        [&[4], bob_x.as_slice(), &bob_y].concat()
    );
    let alice = ephemeral_point(&EphemeralKey {
        kty: "EC".into(),
        crv: "P-256".into(),
        x: "gI0GAILBdu7T53akrFmMyGcsF3n5dO7MmwNBHKW5SV0".into(),
        y: "SLW_xSffzlPWrHEVI30DHM_4egVwt3NQqeUD7nMFpps".into(),
    })
    .unwrap();
    let agreed = [
        158, 86, 217, 29, 129, 113, 53, 211, 114, 131, 66, 131, 191, 132, 38, 156, 251, 49, 110,
        163, 218, 128, 106, 72, 246, 218, 167, 121, 140, 254, 144, 196,
    ];
    assert_eq!(
        bob.agree(&alice, b"Alice", b"Bob").unwrap(),
        concat_kdf(&agreed, "A256GCM", b"Alice", b"Bob").unwrap()
    );
}

#[test]
fn party_names_take_part_in_the_key() {
    let fixture = fixture();
    let (other, _) = SealingKey::generate_p256().unwrap();
    let key = other.agree(&fixture.point, b"Alice", b"Bob").unwrap();
    let point = other.p256_point().unwrap();
    let header = header_with("apu", r#""QWxpY2U","apv":"Qm9i""#)
        .replace("KID", &fixture.ecdh_kid)
        .replace(
            "EPK",
            &format!(
                r#"{{"kty":"EC","crv":"P-256","x":"{}","y":"{}"}}"#,
                encode(&point[1..33]),
                encode(&point[33..])
            ),
        );
    let key = content_key(&key).unwrap();
    assert!(fixture.open(&encrypt(&header, "", PAYLOAD, &key)).is_ok());
    let swapped = header.replace("Qm9i", "Qm9j");
    let refused = fixture.open(&encrypt(&swapped, "", PAYLOAD, &key));
    assert_eq!(refused.unwrap_err(), Refusal::Content);
}

#[test]
fn a_change_to_any_character_is_refused() {
    let fixture = fixture();
    let (_, session) = fixture.session(3600);
    let under_session = session.seal_card(&card(), &claims()).unwrap();
    for sealed in [
        fixture.seal(Algorithm::EcdhEs),
        under_session.as_str().to_owned(),
    ] {
        assert!(fixture.open(&sealed).is_ok());
        for place in 0..sealed.len() {
            let mut changed = sealed.clone().into_bytes();
            changed[place] = if changed[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(fixture.open(&changed).is_err(), "character {place}");
        }
    }
}

#[test]
fn parts_of_two_envelopes_do_not_mix() {
    let fixture = fixture();
    for algorithm in [Algorithm::EcdhEs, Algorithm::RsaOaep256] {
        let (one, other) = (fixture.seal(algorithm), fixture.seal(algorithm));
        for swapped in 0..5 {
            let mut parts: Vec<_> = one.split('.').collect();
            let foreign = other.split('.').nth(swapped).unwrap();
            if parts[swapped] == foreign {
                continue;
            }
            parts[swapped] = foreign;
            assert!(fixture.open(&parts.join(".")).is_err(), "part {swapped}");
        }
    }
}

#[test]
fn every_claim_is_compared() {
    let fixture = fixture();
    let now = |seconds: i64| (NOW_S + seconds).to_string();
    for (name, value, expected) in [
        ("order", r#""order-1042""#.to_owned(), None),
        ("order", r#""order\u002d1042""#.to_owned(), None),
        (
            "merchant",
            r#""other-shop""#.into(),
            Some(Refusal::Merchant),
        ),
        (
            "merchant",
            r#""demo-shop ""#.into(),
            Some(Refusal::Merchant),
        ),
        ("order", r#""order-1043""#.into(), Some(Refusal::Order)),
        ("order", r#""""#.into(), Some(Refusal::Order)),
        ("amount_minor", "1235".into(), Some(Refusal::Amount)),
        ("amount_minor", "-1234".into(), Some(Refusal::Amount)),
        ("currency", r#""USD""#.into(), Some(Refusal::Amount)),
        ("currency", r#""eur""#.into(), Some(Refusal::Amount)),
        ("iat", now(60), None),
        ("iat", now(61), Some(Refusal::Time)),
        ("iat", now(-1), Some(Refusal::Time)),
        ("iat", now(300), Some(Refusal::Time)),
        ("exp", now(301), Some(Refusal::Time)),
        ("exp", now(1), None),
        ("exp", now(0), Some(Refusal::Time)),
        ("exp", now(-400), Some(Refusal::Time)),
        ("exp", i64::MAX.to_string(), Some(Refusal::Time)),
        ("iat", i64::MIN.to_string(), Some(Refusal::Time)),
        ("jti", r#""abcdefghijklmno""#.into(), Some(Refusal::Time)),
        ("jti", r#""abcdefghijklmnop""#.into(), None),
        ("jti", r#""abcdefghijklmno+""#.into(), Some(Refusal::Time)),
        (
            "jti",
            r#""abcdefghijklmn\u0000op""#.into(),
            Some(Refusal::Time),
        ),
        ("jti", format!(r#""{}""#, "a".repeat(64)), None),
        (
            "jti",
            format!(r#""{}""#, "a".repeat(65)),
            Some(Refusal::Time),
        ),
    ] {
        let refused = fixture.open(&fixture.forge(&header_with(name, &value), PAYLOAD));
        assert_eq!(refused.err(), expected, "{name}: {value}");
    }
}

#[test]
fn a_header_is_taken_only_as_specified() {
    let fixture = fixture();
    let refused = |header: String| fixture.open(&fixture.forge(&header, PAYLOAD)).err();
    for (name, value) in [
        ("typ", r#""JOSE""#.to_owned()),
        ("typ", format!(r#""{CARD_TYPE}""#)),
        ("cty", r#""json""#.into()),
        ("apu", r#""""#.into()),
        ("crit", r#"["merchant","order","jti"]"#.into()),
    ] {
        // An empty `apu` is the same as none.
        assert_eq!(refused(header_with(name, &value)), None, "{name}: {value}");
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
        assert_eq!(
            refused(header_with(name, value)),
            Some(Refusal::Header),
            "{name}: {value}"
        );
    }
    for header in ["", "{}", "[]", "null", "\"\"", "{", "\u{feff}{}"] {
        assert_eq!(refused(header.into()), Some(Refusal::Header), "{header}");
    }
    let good = header_with("typ", "");
    assert_eq!(refused(format!("{good} ")), None);
    assert_eq!(refused(format!(" {good}")), Some(Refusal::Header));
    assert_eq!(refused(format!("{good}{{}}")), Some(Refusal::Header));
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
        assert_eq!(refused.err(), Some(Refusal::Payload), "{payload}");
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
    assert_eq!(of_header_bytes(MAX_HEADER_BYTES + 1), Some(Refusal::Header));

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
        Some(Refusal::NotAnEnvelope)
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
        assert_eq!(refused, Refusal::NotAnEnvelope, "{sealed}");
    }
    assert_eq!(
        fixture.open(&with(1, "AAAA".into())).unwrap_err(),
        Refusal::Key,
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
            .replace("KID", kid)
    };
    let dir = |kid: &str| {
        header_with("epk", "")
            .replace("ECDH-ES", "dir")
            .replace("KID", kid)
    };
    let encrypted_key = encode(&[1; 384]);
    for (sealed, case) in [
        (
            fixture.forge(&header_with("kid", r#""unknown""#), PAYLOAD),
            "an unknown kid",
        ),
        (
            fixture.forge(
                &header_with("kid", &format!(r#""{}""#, fixture.rsa_kid)),
                PAYLOAD,
            ),
            "ECDH-ES to an RSA key",
        ),
        (
            encrypt(&rsa(&fixture.ecdh_kid), &encrypted_key, PAYLOAD, &random),
            "RSA to a P-256 key",
        ),
        (
            encrypt(&rsa("unknown"), &encrypted_key, PAYLOAD, &random),
            "RSA to an unknown key",
        ),
        (
            encrypt(&rsa(&fixture.rsa_kid), &encrypted_key, PAYLOAD, &random),
            "an RSA ciphertext that is none",
        ),
        (
            encrypt(&rsa(&fixture.rsa_kid), "", PAYLOAD, &random),
            "no RSA ciphertext",
        ),
        (
            encrypt(
                &rsa(&fixture.rsa_kid),
                &encode(&[0xff; 384]),
                PAYLOAD,
                &random,
            ),
            "an RSA ciphertext above the modulus",
        ),
        (
            encrypt(&dir(&fixture.ecdh_kid), "", PAYLOAD, &random),
            "dir under a P-256 key",
        ),
        (
            encrypt(&dir("session.AAAA"), "", PAYLOAD, &random),
            "dir under no ticket",
        ),
        (
            encrypt(
                &dir(&format!("session.{}", encode(&[0; 109]))),
                "",
                PAYLOAD,
                &random,
            ),
            "dir under a made-up ticket",
        ),
    ] {
        assert_eq!(fixture.open(&sealed).unwrap_err(), Refusal::Key, "{case}");
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
        assert_eq!(fixture.open(&sealed).unwrap_err(), Refusal::Key, "{case}");
    }
}

#[test]
fn a_session_works_on_every_node_that_has_the_master_key() {
    let here = fixture();
    let (session, recipient) = here.session(600);
    assert_eq!(session.expires_at, NOW.plus_ms(600_000));
    assert_eq!(session.max_messages, MAX_MESSAGES);
    let sealed = recipient.seal_card(&card(), &claims()).unwrap();

    let restarted = fixture();
    assert!(restarted.open(sealed.as_str()).is_ok());
    let foreign = Opener::new(SealingKeys::new([]), &master_key(2)).unwrap();
    let refused = foreign.open_card(sealed.as_str(), &here.binding(), NOW);
    assert_eq!(refused.unwrap_err(), Refusal::Key);

    let other: MerchantId = "other-shop".parse().unwrap();
    let stolen = Binding {
        merchant_id: &other,
        ..here.binding()
    };
    let refused = here.opener.open_card(sealed.as_str(), &stolen, NOW);
    assert_eq!(refused.unwrap_err(), Refusal::Key);

    let last = NOW.plus_ms(599_000);
    for (moment, expected) in [(last, None), (last.plus_ms(1000), Some(Refusal::Key))] {
        let claims = CardClaims {
            issued_at: moment,
            ..claims()
        };
        let sealed = recipient.seal_card(&card(), &claims).unwrap();
        let opened = here
            .opener
            .open_card(sealed.as_str(), &here.binding(), moment);
        assert_eq!(opened.err(), expected);
    }
}

#[test]
fn a_session_key_is_set_up_once_and_used_a_limited_number_of_times() {
    let fixture = fixture();
    let key = SessionKey::generate().unwrap();
    let claims_of = |merchant, lifetime_s| SessionClaims {
        merchant,
        jti: JTI,
        issued_at: NOW,
        lifetime_s,
    };
    let recipient = fixture.recipient(Algorithm::RsaOaep256);
    let seal = |merchant, lifetime_s| {
        recipient
            .seal_session_key(&key, &claims_of(merchant, lifetime_s))
            .unwrap()
    };
    let open = |sealed: &str, now| {
        fixture
            .opener
            .open_session_key(sealed, &fixture.merchant_id, now)
    };
    let good = seal("demo-shop", 3600);
    let first = open(&good, NOW).unwrap();
    assert_eq!(open(&good, NOW.plus_ms(299_000)).unwrap(), first);
    for (sealed, now, expected) in [
        (good.clone(), NOW.plus_ms(300_000), Refusal::Time),
        (good, NOW.plus_ms(-61_000), Refusal::Time),
        (seal("demo-shop", 3601), NOW, Refusal::Time),
        (seal("demo-shop", 0), NOW, Refusal::Time),
        (seal("other-shop", 3600), NOW, Refusal::Merchant),
        (fixture.seal(Algorithm::EcdhEs), NOW, Refusal::Header),
    ] {
        assert_eq!(open(&sealed, now).unwrap_err(), expected);
    }

    let (session, recipient) = fixture.session(3600);
    let ready = fixture.opener.tickets.find(&session.kid).unwrap();
    let sealed = recipient.seal_card(&card(), &claims()).unwrap();
    let uses = (0..MAX_MESSAGES).filter(|_| ready.count()).count();
    assert_eq!(uses, 1 << 20);
    let refused = fixture.open(sealed.as_str()).unwrap_err();
    assert_eq!(refused, Refusal::SessionUsedUp);
    // A session is no card, and the other way round.
    let sealed = recipient.seal_session_key(&key, &claims_of("demo-shop", 60));
    assert_eq!(open(&sealed.unwrap(), NOW).unwrap_err(), Refusal::Header);
}

#[test]
fn the_caller_is_never_told_how_an_envelope_was_bad() {
    let fixture = fixture();
    let binding = fixture.binding();
    let expected = SealedCardRefused.to_string();
    for sealed in [
        String::new(),
        fixture.forge(&header_with("zip", r#""DEF""#), PAYLOAD),
        fixture.forge(&header_with("kid", r#""unknown""#), PAYLOAD),
        fixture.forge(&header_with("merchant", r#""other-shop""#), PAYLOAD),
        fixture.forge(&header_with("typ", ""), "{}"),
    ] {
        let refused = fixture.opener.open(&sealed.into(), &binding, NOW);
        assert_eq!(refused.unwrap_err().to_string(), expected);
    }
}

#[test]
fn debug_shows_nothing_secret() {
    let fixture = fixture();
    let sealed = SealedCard::from("4999990123456784 in clear by mistake".to_owned());
    let opened = fixture.open(&fixture.seal(Algorithm::EcdhEs)).unwrap();
    let (session, recipient) = fixture.session(60);
    let shown = format!(
        "{sealed:?} {opened:?} {:?} {:?} {session:?} {recipient:?} {:?}",
        fixture.opener,
        fixture.master_key,
        SessionKey::generate().unwrap(),
    );
    for secret in ["0123456", "42424242", "3012", "\"123\"", "Zo", "AQEBAQEB"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

/// Xorshift (Marsaglia 2003), so that a failure comes back with the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 16).unwrap() % bound
    }
}

#[test]
fn a_hundred_thousand_mutations_are_all_refused_alike() {
    const ALPHABET: &[u8] =
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ {\"";
    let fixture = fixture();
    let (_, session) = fixture.session(3600);
    let under_session = session.seal_card(&card(), &claims()).unwrap();
    let seeds = [
        fixture.seal(Algorithm::EcdhEs),
        under_session.as_str().to_owned(),
        fixture.forge(&header_with("typ", ""), PAYLOAD),
    ];
    std::thread::scope(|scope| {
        for seed in [0x9e37_79b9_7f4a_7c15, 0xd1b5_4a32_d192_ed03] {
            let (fixture, seeds) = (&fixture, &seeds);
            scope.spawn(move || {
                let mut random = Random(seed);
                for _ in 0..50_000 {
                    let original = &seeds[random.below(seeds.len())];
                    let mut bytes = original.clone().into_bytes();
                    for _ in 0..=random.below(3) {
                        let place = random.below(bytes.len());
                        let letter = ALPHABET[random.below(ALPHABET.len())];
                        match random.below(5) {
                            0 => bytes.insert(place, letter),
                            1 if bytes.len() > 1 => drop(bytes.remove(place)),
                            2 => bytes.truncate(place.max(1)),
                            _ => bytes[place] = letter,
                        }
                    }
                    let changed = String::from_utf8(bytes).unwrap();
                    let same = changed == *original;
                    let opened =
                        fixture
                            .opener
                            .open(&changed.clone().into(), &fixture.binding(), NOW);
                    assert_eq!(opened.is_ok(), same, "{changed}");
                }
            });
        }
    });
}

proptest! {
    #[test]
    fn any_card_and_claims_come_back(
        account in "[2-6][0-9]{10,17}",
        expiry in "[0-9]{2}(0[1-9]|1[0-2])",
        cvv in proptest::option::of("[0-9]{3,4}"),
        holder in proptest::option::of("[A-Za-z '\"\\\\éß中-]{1,30}"),
        order in "[ -~]{1,64}",
        jti in "[A-Za-z0-9_-]{16,64}",
        amount_minor in 0..=999_999_999_999_i64,
        lifetime_s in 1..=300_i64,
    ) {
        static FIXTURE: LazyLock<Fixture> = LazyLock::new(fixture);
        let pan = (0..10)
            .find_map(|digit| Pan::from_digits(&format!("{account}{digit}")).ok())
            .unwrap();
        let card = Card {
            pan,
            expiry: Expiry::from_yymm(&expiry).unwrap(),
            cvv: cvv.as_deref().map(|cvv| Cvv::from_digits(cvv).unwrap()),
            holder: holder.as_deref().map(|holder| Holder::new(holder).unwrap()),
        };
        let claims = CardClaims { order: &order, amount: eur(amount_minor), jti: &jti, lifetime_s, ..claims() };
        let binding = Binding {
            merchant_reference: &order,
            amount: eur(amount_minor),
            ..FIXTURE.binding()
        };
        let sealed = FIXTURE.recipient(Algorithm::EcdhEs).seal_card(&card, &claims).unwrap();
        let opened = FIXTURE.opener.open(&sealed, &binding, NOW).unwrap();
        prop_assert_eq!(opened.card.pan.digits(), card.pan.digits());
        prop_assert_eq!(opened.card.expiry.yymm(), &expiry);
        prop_assert_eq!(opened.card.cvv.as_ref().map(Cvv::digits), cvv.as_deref());
        prop_assert_eq!(opened.card.holder.as_ref().map(Holder::as_str), holder.as_deref());
        prop_assert_eq!(opened.jti, jti);
    }
}

/// docs/sealing.md is what merchants build from: its example opens, and its values are right.
#[test]
fn the_example_of_the_specification_opens() {
    let text = include_str!("../../../docs/sealing.md");
    let fenced = |language: &str| {
        let fence = format!("```{language}\n");
        text.split(&fence)
            .skip(1)
            .map(|rest| rest.split("```").next().unwrap().replace('\n', ""))
            .collect::<Vec<_>>()
    };
    let quoted = |before: &str| {
        let (_, after) = text.split_once(before).unwrap();
        after.split('`').nth(1).unwrap().to_owned()
    };
    let [jwk, header, payload] = fenced("json").try_into().unwrap();
    let sealed = fenced("text").concat();
    let key = p256_key(&quoted("Its private half, `d`"));
    assert!(jwk.contains(key.kid()), "{}", key.kid());

    let master_key = master_key(1);
    let opener = Opener::new(SealingKeys::new([key]), &master_key).unwrap();
    let merchant_id = "demo-shop".parse().unwrap();
    let binding = Binding {
        merchant_id: &merchant_id,
        merchant_reference: "order-1042",
        amount: eur(1234),
    };
    let opened = opener.open(&sealed.clone().into(), &binding, NOW).unwrap();
    assert_eq!(opened.card.pan.digits(), "4242424242424242");

    let parsed = |json: &[u8]| serde_json::from_slice::<serde_json::Value>(json).unwrap();
    let clear = decode(sealed.split('.').next().unwrap()).unwrap();
    assert_eq!(parsed(header.as_bytes()), parsed(&clear));
    let secret = decode(&quoted("appendix C has the same)")).unwrap();
    let derived = concat_kdf(&secret, "A256GCM", b"", b"").unwrap();
    assert_eq!(
        encode(derived.as_slice()),
        quoted("empty `apu` and `apv`, 256 bits")
    );
    let mut envelope = Compact::parse(&sealed).unwrap();
    let content = envelope.decrypt(&content_key(&derived).unwrap()).unwrap();
    assert_eq!(std::str::from_utf8(content).unwrap(), payload);
}
