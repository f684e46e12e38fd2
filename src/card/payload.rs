//! What is inside an envelope, once it is decrypted: a card, or a session key, as JSON.

use std::borrow::Cow;

use serde::Deserialize;
use zeroize::{Zeroize as _, Zeroizing};

use super::jwe::{CONTENT_KEY_BYTES, decode};
use super::pan::{Card, Cvv, Expiry, Holder, Pan};

/// The payload of a sealed card. A member that is not listed here, or that comes twice, is an error.
/// Digits are borrowed from the decrypted bytes, which are zeroized, and so may hold no escapes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CardPayload<'a> {
    pan: &'a str,
    expiry: &'a str,
    #[serde(default)]
    cvv: Option<&'a str>,
    #[serde(borrow, default)]
    holder: Option<Cow<'a, str>>,
}

/// The payload of a sealed session key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionPayload<'a> {
    k: &'a str,
}

/// The card in a decrypted payload; `None` when it is not one.
pub(super) fn parse_card(json: &[u8]) -> Option<Card> {
    // serde takes an array for a struct, too; a payload is an object.
    if json.first() != Some(&b'{') {
        return None;
    }
    let mut payload: CardPayload<'_> = serde_json::from_slice(json).ok()?;
    let card = (|| {
        Some(Card {
            pan: Pan::from_digits(payload.pan).ok()?,
            expiry: Expiry::from_yymm(payload.expiry).ok()?,
            cvv: payload.cvv.map(Cvv::from_digits).transpose().ok()?,
            holder: payload
                .holder
                .as_deref()
                .map(Holder::new)
                .transpose()
                .ok()?,
        })
    })();
    if let Some(Cow::Owned(holder)) = &mut payload.holder {
        holder.zeroize();
    }
    card
}

/// The session key in a decrypted payload; `None` when it is not one.
pub(super) fn parse_session_key(json: &[u8]) -> Option<Zeroizing<[u8; CONTENT_KEY_BYTES]>> {
    if json.first() != Some(&b'{') {
        return None;
    }
    let payload: SessionPayload<'_> = serde_json::from_slice(json).ok()?;
    let bytes = Zeroizing::new(decode(payload.k)?);
    <[u8; CONTENT_KEY_BYTES]>::try_from(bytes.as_slice())
        .ok()
        .map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_payload_is_strict() {
        let good = r#"
{"pan":"4242424242424242","expiry":"3012","cvv":"123"}
{"pan":"4242424242424242","expiry":"3012"}
{"pan":"4242424242424242","expiry":"3012","holder":"Zo\u00eb"}"#;
        let bad = r#"
{"pan":"4242424242424241","expiry":"3012"}
{"pan":"4242424242424242","expiry":"3013"}
{"pan":"4242424242424242","expiry":"3012","cvv":""}
{"pan":"4242424242424242","expiry":"3012","cvv":123}
{"pan":4242424242424242,"expiry":"3012"}
{"pan":"\u0034242424242424242","expiry":"3012"}
{"pan":"4242424242424242","pan":"4242424242424242","expiry":"3012"}
{"pan":"4242424242424242","expiry":"3012","track2":"x"}
["4242424242424242","3012"]
{"pan":"4242424242424242","expiry":"3012"}{"#;
        for json in good.trim().lines() {
            assert!(parse_card(json.as_bytes()).is_some(), "{json}");
        }
        // The first of the lines is empty.
        for json in bad.lines() {
            assert!(parse_card(json.as_bytes()).is_none(), "{json}");
        }
    }

    #[test]
    fn a_session_payload_is_32_bytes() {
        let key = crate::card::jwe::encode(&[7; 32]);
        let parse = |k: &str| parse_session_key(format!(r#"{{"k":"{k}"}}"#).as_bytes());
        assert_eq!(parse(&key).as_deref(), Some(&[7; 32]));
        for bad in [
            "",
            "AAAA",
            &format!("{key}="),
            &crate::card::jwe::encode(&[7; 33]),
        ] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }
}
