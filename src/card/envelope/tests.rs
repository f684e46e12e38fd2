//! Sealing and opening, and every way in which an envelope can be bad.
//!
//! - `refusals`: one table for each class of bad envelopes.
//! - `sessions`: session keys.
//! - `mutations`: changed bytes.

mod mutations;
mod refusals;
mod sessions;
mod watching;

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use ring::aead::{Aad, LessSafeKey, Nonce};
use zeroize::Zeroizing;

use super::content_key::ephemeral_point;
use super::*;
use crate::card::header::{Algorithm, EphemeralKey};
use crate::card::jwe::{P256_POINT_BYTES, concat_kdf, content_key, decode, encode};
use crate::card::key_files::Existing;
use crate::card::master_key;
use crate::card::pan::{Cvv, Expiry, Holder, Pan};
use crate::card::seal::{CardClaims, Recipient, SessionClaims, SessionKey};
use crate::card::sealing_key::{KeyState, SealingKey};
use crate::payment::samples::eur;
use crate::random::Random;

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
    MasterKey::from_base64(&text, &Random::SYSTEM).unwrap()
}

fn fixture() -> Fixture {
    let (ecdh, _) = SealingKey::generate_p256().unwrap();
    let rsa = SealingKey::from_pkcs8(&RSA_KEY, KeyState::Active).unwrap();
    let master_key = master_key(1);
    Fixture {
        point: ecdh.p256_point().unwrap(),
        ecdh_kid: ecdh.kid().to_owned(),
        rsa_kid: rsa.kid().to_owned(),
        opener: Opener::new(SealingKeys::new([ecdh, rsa]), &master_key, &Random::SYSTEM).unwrap(),
        merchant_id: "demo-shop".parse().unwrap(),
        master_key,
    }
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
        Recipient::from_jwks(&self.opener.jwks(), algorithm, &Random::SYSTEM).unwrap()
    }

    fn seal(&self, algorithm: Algorithm) -> String {
        let sealed = self.recipient(algorithm).seal_card(&card(), &claims());
        sealed.unwrap().as_str().to_owned()
    }

    fn session(&self, lifetime_s: i64) -> (SealingSession, Recipient) {
        let key = SessionKey::generate(&Random::SYSTEM).unwrap();
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
        let recipient = Recipient::session(session.kid.clone(), &key, &Random::SYSTEM).unwrap();
        (session, recipient)
    }

    fn open(&self, sealed: &str) -> Result<Opened, SealedCardFault> {
        self.opener.open_card(sealed, &self.binding(), NOW)
    }

    /// Seals `payload` under whatever header is asked for, rightly: `@EPK@` stands for the ephemeral
    /// key, `@KID@` for the key's name.
    fn forge(&self, header: &str, payload: &str) -> String {
        let (other, _) = SealingKey::generate_p256().unwrap();
        let key = other.agree(&self.point, b"", b"").unwrap();
        let point = other.p256_point().unwrap();
        let epk = format!(
            r#"{{"kty":"EC","crv":"P-256","x":"{}","y":"{}"}}"#,
            encode(&point[1..33]),
            encode(&point[33..])
        );
        let header = header
            .replace("@EPK@", &epk)
            .replace("@KID@", &self.ecdh_kid);
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
        ("kid", r#""@KID@""#.to_owned()),
        ("epk", "@EPK@".to_owned()),
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
        .replace("@KID@", &fixture.ecdh_kid)
        .replace(
            "@EPK@",
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
    assert_eq!(refused.unwrap_err(), SealedCardFault::Content);
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
        SessionKey::generate(&Random::SYSTEM).unwrap(),
    );
    for secret in [
        "0123456", "42424242", "\"3012\"", "\"123\"", "Zoë", "AQEBAQEB",
    ] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

proptest! {
    #[test]
    fn any_card_and_claims_come_back(
        account in "[2-6][0-9]{11,17}",
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
    let opener = Opener::new(SealingKeys::new([key]), &master_key, &Random::SYSTEM).unwrap();
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
