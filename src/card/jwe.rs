//! JWE compact serialization (RFC 7516 section 7.1) and the cryptography that both sides share.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest;
use zeroize::Zeroizing;

/// The largest envelope, in bytes.
pub const MAX_ENVELOPE_BYTES: usize = 8192;
/// Bytes of a content key (A256GCM).
pub const CONTENT_KEY_BYTES: usize = 32;
/// Bytes of a GCM tag.
pub(super) const TAG_BYTES: usize = 16;
/// Bytes of a coordinate of P-256, and of the secret that two keys agree upon.
pub(super) const P256_BYTES: usize = 32;
/// Bytes of an uncompressed point of P-256 (SEC 1 section 2.3.3).
pub(super) const P256_POINT_BYTES: usize = 1 + 2 * P256_BYTES;

/// The five parts of a compact JWE, decoded. All but the header and the content are as long as
/// they may be, or parsing has failed.
pub(super) struct Compact<'a> {
    /// The header as it came: the associated data of the encryption.
    pub(super) protected: &'a str,
    /// The header, decoded: JSON.
    pub(super) header: Vec<u8>,
    /// The encrypted content key; empty where none is sent.
    pub(super) encrypted_key: Vec<u8>,
    /// The nonce.
    pub(super) iv: [u8; NONCE_LEN],
    /// The content and, at its end, the tag: what is decrypted in place.
    pub(super) sealed: Zeroizing<Vec<u8>>,
}

impl<'a> Compact<'a> {
    /// Splits and decodes; `None` when there are not five parts, one is no canonical base64url, or
    /// one has a length that it can't have.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        if text.len() > MAX_ENVELOPE_BYTES {
            return None;
        }
        let mut parts = text.split('.');
        let protected = parts.next()?;
        let encrypted_key = decode(parts.next()?)?;
        let iv = decode(parts.next()?)?;
        let content = parts.next()?;
        let tag = parts.next()?;
        if parts.next().is_some() {
            return None;
        }
        // Large enough for both, so that the content is never moved and left behind in clear.
        let mut sealed = Zeroizing::new(Vec::with_capacity(content.len() + tag.len()));
        URL_SAFE_NO_PAD.decode_vec(content, &mut sealed).ok()?;
        let content_bytes = sealed.len();
        URL_SAFE_NO_PAD.decode_vec(tag, &mut sealed).ok()?;
        if sealed.len() != content_bytes.checked_add(TAG_BYTES)? {
            return None;
        }
        Some(Self {
            protected,
            header: decode(protected)?,
            encrypted_key,
            iv: iv.try_into().ok()?,
            sealed,
        })
    }

    /// Decrypts the content under `key`, in place; `None` when the tag is wrong.
    pub(super) fn decrypt(&mut self, key: &LessSafeKey) -> Option<&[u8]> {
        let nonce = Nonce::assume_unique_for_key(self.iv);
        key.open_in_place(
            nonce,
            Aad::from(self.protected.as_bytes()),
            &mut self.sealed,
        )
        .ok()
        .map(|content| &*content)
    }
}

/// Canonical base64url without padding (RFC 7515 section 2), decoded: no `=`, no whitespace, no stray
/// bits in the last character.
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// Bytes in base64url without padding.
pub(super) fn encode(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A content key, ready for use.
pub(super) fn content_key(bytes: &[u8; CONTENT_KEY_BYTES]) -> Option<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, bytes)
        .ok()
        .map(LessSafeKey::new)
}

/// The Concat KDF with SHA-256 for a key of 256 bits (RFC 7518 section 4.6.2, NIST SP 800-56A section
/// 5.8.1): one round, because the hash is as long as the key.
pub(super) fn concat_kdf(
    shared_secret: &[u8],
    algorithm_id: &str,
    party_u: &[u8],
    party_v: &[u8],
) -> Option<Zeroizing<[u8; CONTENT_KEY_BYTES]>> {
    concat_kdf_round(shared_secret, algorithm_id, party_u, party_v, 256)
}

fn concat_kdf_round(
    shared_secret: &[u8],
    algorithm_id: &str,
    party_u: &[u8],
    party_v: &[u8],
    key_bits: u32,
) -> Option<Zeroizing<[u8; CONTENT_KEY_BYTES]>> {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(&1_u32.to_be_bytes());
    hash.update(shared_secret);
    for part in [algorithm_id.as_bytes(), party_u, party_v] {
        hash.update(&u32::try_from(part.len()).ok()?.to_be_bytes());
        hash.update(part);
    }
    hash.update(&key_bits.to_be_bytes());
    let mut key = Zeroizing::new([0; CONTENT_KEY_BYTES]);
    key.copy_from_slice(hash.finish().as_ref());
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64url_is_canonical() {
        for (text, expected) in [
            ("AAAA", Some(vec![0, 0, 0])),
            ("-_8", Some(vec![0xfb, 0xff])),
            ("", Some(vec![])),
            ("AA==", None),
            ("AAAA=", None),
            ("+/8", None),
            ("AB", None),
            ("A", None),
            ("AA AA", None),
            ("AAAA\n", None),
        ] {
            assert_eq!(decode(text), expected, "{text:?}");
        }
    }

    /// RFC 7518 appendix C: 128 bits for A128GCM from the secret that Alice and Bob agree upon.
    #[test]
    fn the_concat_kdf_derives_the_key_of_rfc_7518_appendix_c() {
        let shared_secret = [
            158, 86, 217, 29, 129, 113, 53, 211, 114, 131, 66, 131, 191, 132, 38, 156, 251, 49,
            110, 163, 218, 128, 106, 72, 246, 218, 167, 121, 140, 254, 144, 196,
        ];
        let derived = concat_kdf_round(&shared_secret, "A128GCM", b"Alice", b"Bob", 128).unwrap();
        assert_eq!(encode(&derived[..16]), "VqqN6vgjbSBcIijNcacQGg");
    }
}
