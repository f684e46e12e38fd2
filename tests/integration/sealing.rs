//! Sealed cards, made as docs/sealing.md says, and wrong ones, made by hand.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use payswitch::card::header::Algorithm;
use payswitch::card::pan::{Card, Cvv, Expiry, Pan};
use payswitch::card::seal::{self, CardClaims, Recipient, SessionClaims, SessionKey};
use payswitch::clock::SystemClock;
use payswitch::merchant_api::pb;
use payswitch::merchant_api::pb::authorize_payment_request::PaymentMethod;
use payswitch::merchant_api::pb::sealing_service_client::SealingServiceClient;
use payswitch::payment::moment::UnixMillis;
use payswitch::payment::money::Money;
use payswitch::random::Random;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use serde_json::{Value, json};
use tonic::transport::Channel;

use crate::harness::{Switch, now, pay_with};

/// How long the tests' sealed cards are good for, in seconds: longer than any test takes.
const SEALED_FOR_S: i64 = 300;

/// A card with December 2030 and the usual CVV.
pub(crate) fn card(pan: &str) -> Card {
    let cvv = if pan.len() == 15 { "1234" } else { "123" };
    card_with(pan, "3012", cvv)
}

pub(crate) fn card_with(pan: &str, expiry_yymm: &str, cvv: &str) -> Card {
    Card {
        pan: Pan::from_digits(pan).expect("a card number"),
        expiry: Expiry::from_yymm(expiry_yymm).expect("an expiry date"),
        cvv: Some(Cvv::from_digits(cvv).expect("a CVV")),
        holder: None,
    }
}

/// What a sealed card is bound to. [`Claims::of`] binds it as it should be.
#[derive(Debug, Clone)]
pub(crate) struct Claims {
    pub(crate) merchant: String,
    pub(crate) order: String,
    pub(crate) amount_minor: i64,
    pub(crate) currency: String,
    pub(crate) jti: String,
    pub(crate) issued_at: UnixMillis,
    pub(crate) lifetime_s: i64,
}

impl Claims {
    /// The claims that fit a request.
    pub(crate) fn of(merchant: &str, request: &pb::AuthorizePaymentRequest) -> Self {
        let amount = request.amount.as_ref().expect("an amount");
        Self {
            merchant: merchant.to_owned(),
            order: request.merchant_reference.clone(),
            amount_minor: amount.amount_minor,
            currency: amount.currency.clone(),
            jti: seal::new_jti(&SystemClock, &Random::SYSTEM).expect("randomness"),
            issued_at: now(),
            lifetime_s: SEALED_FOR_S,
        }
    }

    pub(crate) fn seal(&self, recipient: &Recipient, card: &Card) -> String {
        let currency = self.currency.parse().expect("a currency");
        let claims = CardClaims {
            merchant: &self.merchant,
            order: &self.order,
            amount: Money::new(self.amount_minor, currency).expect("an amount"),
            jti: &self.jti,
            issued_at: self.issued_at,
            lifetime_s: self.lifetime_s,
        };
        let sealed = recipient.seal_card(card, &claims).expect("a sealed card");
        sealed.as_str().to_owned()
    }

    /// The protected header of a card that is sealed under a session.
    pub(crate) fn header(&self, kid: &str) -> Value {
        let issued_at_s = self.issued_at.as_i64() / 1000;
        json!({
            "alg": "dir", "enc": "A256GCM", "kid": kid, "typ": "payswitch-card+jwe",
            "merchant": self.merchant, "order": self.order, "amount_minor": self.amount_minor,
            "currency": self.currency, "jti": self.jti,
            "iat": issued_at_s, "exp": issued_at_s + self.lifetime_s,
        })
    }
}

/// The same request with another way to pay.
pub(crate) fn with_sealed(
    mut request: pb::AuthorizePaymentRequest,
    sealed: String,
) -> pb::AuthorizePaymentRequest {
    request.payment_method = Some(PaymentMethod::SealedCard(sealed));
    request
}

impl Switch {
    /// A request that pays with a card, sealed to the gateway's usual key.
    pub(crate) fn pay_sealed(
        &self,
        card: &Card,
        amount_minor: i64,
        currency: &str,
    ) -> pb::AuthorizePaymentRequest {
        let recipient = self.recipient(Algorithm::EcdhEs);
        self.pay_sealed_to(&recipient, card, amount_minor, currency)
    }

    /// The same, sealed to another key.
    pub(crate) fn pay_sealed_to(
        &self,
        recipient: &Recipient,
        card: &Card,
        amount_minor: i64,
        currency: &str,
    ) -> pb::AuthorizePaymentRequest {
        let request = pay_with("", amount_minor, currency);
        let sealed = Claims::of(self.merchant_id.as_str(), &request).seal(recipient, card);
        with_sealed(request, sealed)
    }

    /// Sets up a session key as the merchant with this API key; gives the session's `kid`.
    pub(crate) async fn set_up_session(
        &self,
        merchant: &str,
        api_key: &str,
        key: &SessionKey,
    ) -> String {
        let recipient = self.recipient(Algorithm::EcdhEs);
        let sealed = seal_session_key(&recipient, merchant, key);
        self.create_session(api_key, sealed).await
    }

    pub(crate) async fn create_session(&self, api_key: &str, sealed_session_key: String) -> String {
        create_session(self.connect(None).await, api_key, sealed_session_key).await
    }
}

/// A session key of this merchant, sealed for an hour.
pub(crate) fn seal_session_key(recipient: &Recipient, merchant: &str, key: &SessionKey) -> String {
    let claims = SessionClaims {
        merchant,
        jti: &seal::new_jti(&SystemClock, &Random::SYSTEM).expect("randomness"),
        issued_at: now(),
        lifetime_s: 3600,
    };
    recipient
        .seal_session_key(key, &claims)
        .expect("a sealed session key")
}

/// Sets up a sealed session key; gives the session's `kid`.
pub(crate) async fn create_session(
    channel: Channel,
    api_key: &str,
    sealed_session_key: String,
) -> String {
    let mut request = tonic::Request::new(pb::CreateSealingSessionRequest { sealed_session_key });
    let bearer = format!("Bearer {api_key}").parse().expect("a header");
    request.metadata_mut().insert("authorization", bearer);
    let session = SealingServiceClient::new(channel)
        .create_sealing_session(request)
        .await
        .expect("a sealing session")
        .into_inner();
    assert_eq!(session.max_messages, 1_048_576);
    session.kid
}

/// A session key that the test knows, so that it can seal anything at all under it.
pub(crate) struct Forge {
    pub(crate) kid: String,
    key: LessSafeKey,
}

impl Forge {
    /// Sets up a session for the merchant. `payswitch` gives session keys no way out, so the key is
    /// sealed by hand: as the payload of an envelope like any other.
    pub(crate) async fn new(switch: &Switch, merchant: &str, api_key: &str) -> Self {
        let bytes: [u8; 32] = Random::SYSTEM.bytes().expect("randomness");
        let sealed = seal_session_key_by_hand(switch, merchant, &bytes);
        Self {
            kid: switch.create_session(api_key, sealed).await,
            key: aes_256_gcm(&bytes),
        }
    }

    /// A compact JWE of this header and this payload, whatever they are.
    pub(crate) fn seal(&self, header: &str, payload: &[u8]) -> String {
        compact(&self.key, header, "", payload)
    }
}

fn aes_256_gcm(bytes: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes).expect("a key"))
}

fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn compact(key: &LessSafeKey, header: &str, encrypted_key: &str, payload: &[u8]) -> String {
    let protected = base64url(header);
    let nonce: [u8; NONCE_LEN] = Random::SYSTEM.bytes().expect("randomness");
    let mut content = payload.to_vec();
    let tag = key
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(protected.as_bytes()),
            &mut content,
        )
        .expect("a sealed payload");
    [
        protected,
        encrypted_key.to_owned(),
        base64url(nonce),
        base64url(content),
        base64url(tag),
    ]
    .join(".")
}

/// A session key in an envelope, with RSA-OAEP-256 by aws-lc-rs alone.
fn seal_session_key_by_hand(switch: &Switch, merchant: &str, session_key: &[u8; 32]) -> String {
    use aws_lc_rs::rsa::{
        OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey, PublicKeyComponents,
    };
    let jwks: Value = serde_json::from_str(&switch.jwks).expect("a JWK Set");
    let jwk = jwks["keys"]
        .as_array()
        .and_then(|keys| keys.iter().find(|key| key["alg"] == "RSA-OAEP-256"))
        .expect("an RSA key");
    let part = |name: &str| {
        let text = jwk[name].as_str().expect("a number of the key");
        URL_SAFE_NO_PAD.decode(text).expect("base64url")
    };
    let components = PublicKeyComponents {
        n: part("n"),
        e: part("e"),
    };
    let public: PublicEncryptingKey = components.try_into().expect("an RSA key");
    let public = OaepPublicEncryptingKey::new(public).expect("an OAEP key");
    let content_key: [u8; 32] = Random::SYSTEM.bytes().expect("randomness");
    let mut room = vec![0; public.ciphertext_size()];
    let encrypted_key = public
        .encrypt(&OAEP_SHA256_MGF1SHA256, &content_key, &mut room, None)
        .expect("an encrypted key");
    let issued_at_s = now().as_i64() / 1000;
    let header = json!({
        "alg": "RSA-OAEP-256", "enc": "A256GCM", "kid": jwk["kid"],
        "typ": "payswitch-session+jwe", "merchant": merchant,
        "jti": seal::new_jti(&SystemClock, &Random::SYSTEM).expect("randomness"),
        "iat": issued_at_s, "exp": issued_at_s + 3600,
    });
    let payload = json!({ "k": base64url(session_key) });
    compact(
        &aes_256_gcm(&content_key),
        &header.to_string(),
        &base64url(encrypted_key),
        payload.to_string().as_bytes(),
    )
}

/// The payload of a good card.
const GOOD_PAYLOAD: &str = r#"{"pan":"4242424242424242","expiry":"3012","cvv":"123"}"#;

impl Switch {
    /// A request that pays with a card sealed by hand, after `change` has been at its header.
    pub(crate) fn pay_forged(
        &self,
        forge: &Forge,
        change: impl FnOnce(&mut Value),
    ) -> pb::AuthorizePaymentRequest {
        let request = pay_with("", 1250, "EUR");
        let claims = Claims::of(self.merchant_id.as_str(), &request);
        let mut header = claims.header(&forge.kid);
        change(&mut header);
        let sealed = forge.seal(&header.to_string(), GOOD_PAYLOAD.as_bytes());
        with_sealed(request, sealed)
    }
}
