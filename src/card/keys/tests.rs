//! Keys in real folders: made when missing, read again, rotated, published.

use aws_lc_rs::agreement;
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};

use super::*;
use crate::card::jwe::encode;
use crate::card::sealing_key::PublicNumbers;
use crate::random::Random;

/// A folder that is removed with everything in it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let random = u64::from_be_bytes(Random::SYSTEM.bytes().unwrap());
        Self(std::env::temp_dir().join(format!("payswitch-keys-{random:016x}")))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn master_key(byte: u8) -> MasterKey {
    use base64::Engine as _;
    let text = base64::engine::general_purpose::STANDARD.encode([byte; 32]);
    MasterKey::from_base64(&text, &Random::SYSTEM).unwrap()
}

fn kids(keys: &SealingKeys) -> Vec<(String, KeyState)> {
    keys.iter()
        .map(|key| (key.kid().to_owned(), key.state()))
        .collect()
}

#[test]
fn keys_are_made_once_and_found_again() {
    let folder = Folder::new();
    let made = SealingKeys::load_or_generate(&folder.0, true, &master_key(1)).unwrap();
    let algorithms: Vec<_> = made.iter().map(SealingKey::algorithm).collect();
    assert_eq!(algorithms.len(), 2);
    assert!(algorithms.contains(&Algorithm::EcdhEs));
    assert!(algorithms.contains(&Algorithm::RsaOaep256));
    let again = SealingKeys::load_or_generate(&folder.0, true, &master_key(1)).unwrap();
    assert_eq!(kids(&again), kids(&made));
    assert_eq!(again.jwks(), made.jwks());
    let foreign = SealingKeys::load_or_generate(&folder.0, true, &master_key(2));
    assert!(matches!(
        foreign,
        Err(SealingKeysError::MasterKey(MasterKeyError::NotOurs { .. }))
    ));
    for entry in std::fs::read_dir(&folder.0).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(text.starts_with("-----BEGIN PAYSWITCH WRAPPED KEY-----"));
    }
}

#[test]
fn a_retiring_key_opens_but_is_not_published() {
    let folder = Folder::new();
    let old = SealingKeys::load_or_generate(&folder.0, false, &master_key(1)).unwrap();
    let old_kid = old.iter().next().unwrap().kid().to_owned();
    let retiring = folder.0.join(RETIRING_FOLDER);
    std::fs::create_dir(&retiring).unwrap();
    let file = format!("p256-{old_kid}.pem");
    std::fs::rename(folder.0.join(&file), retiring.join(&file)).unwrap();

    let rotated = SealingKeys::load_or_generate(&folder.0, false, &master_key(1)).unwrap();
    let states: Vec<_> = kids(&rotated);
    assert_eq!(states.len(), 2);
    assert!(states.contains(&(old_kid.clone(), KeyState::Retiring)));
    assert!(rotated.find(&old_kid, Algorithm::EcdhEs).is_some());
    assert!(!rotated.jwks().contains(&old_kid));
}

#[test]
fn what_is_published_is_public() {
    let (key, pkcs8) = SealingKey::generate_p256().unwrap();
    let kid = key.kid().to_owned();
    let keys = SealingKeys::new([key]);
    let jwks: serde_json::Value = serde_json::from_str(&keys.jwks()).unwrap();
    let jwk = jwks["keys"][0].as_object().unwrap();
    let mut members: Vec<_> = jwk.keys().map(String::as_str).collect();
    members.sort_unstable();
    assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x", "y"]);
    assert_eq!(jwk["kid"], kid);
    assert_eq!(jwk["alg"], "ECDH-ES");
    let secret = encode(&pkcs8[36..68]);
    assert!(!keys.jwks().contains(&secret));

    let folder = Folder::new();
    std::fs::create_dir_all(&folder.0).unwrap();
    let path = folder.0.join("jwks.json");
    keys.write_jwks(&path).unwrap();
    keys.write_jwks(&path).unwrap();
    let written = std::fs::read_to_string(&path).unwrap();
    assert_eq!(written.trim_end(), keys.jwks());
}

/// RFC 7638 section 3.1.
#[test]
fn a_kid_is_the_thumbprint_of_the_public_key() {
    let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSo\
             c_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YG\
             jQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt\
             -bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDK\
             gw";
    let numbers = PublicNumbers::Rsa {
        n: n.into(),
        e: "AQAB".into(),
    };
    assert_eq!(
        numbers.thumbprint(),
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    );
}

#[test]
fn unsuitable_keys_are_refused() {
    let folder = Folder::new();
    std::fs::create_dir_all(&folder.0).unwrap();
    let small = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let p384 = agreement::PrivateKey::generate(&agreement::ECDH_P384).unwrap();
    let p384: Pkcs8V1Der<'_> = p384.as_der().unwrap();
    for der in [small.as_der().unwrap().as_ref(), p384.as_ref(), b"nonsense"] {
        assert!(SealingKey::from_pkcs8(der, KeyState::Active).is_none());
        let path = folder.0.join("a.pem");
        master_key::write_wrapped(&path, der, &master_key(1), Existing::Replace).unwrap();
        let error = SealingKeys::load_or_generate(&folder.0, false, &master_key(1)).unwrap_err();
        assert!(
            matches!(error, SealingKeysError::Unsuitable { .. }),
            "{error}"
        );
    }
}

#[test]
fn gateways_that_start_together_make_the_same_keys() {
    let folder = Folder::new();
    let made: Vec<_> = std::thread::scope(|scope| {
        let start = || SealingKeys::load_or_generate(&folder.0, false, &master_key(1)).unwrap();
        let starting: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
        let started = starting.into_iter().map(|thread| thread.join().unwrap());
        started.map(|keys| kids(&keys)).collect()
    });
    assert_eq!(made[0].len(), 1);
    assert!(made.iter().all(|kids| *kids == made[0]), "{made:?}");
}
