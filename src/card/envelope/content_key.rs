//! Finding the key that an envelope's content is encrypted under, or one that opens nothing, with the same
//! work.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use ring::aead::LessSafeKey;
use zeroize::Zeroizing;

use crate::card::header::{Algorithm, EphemeralKey, Header};
use crate::card::jwe::{
    CONTENT_KEY_BYTES, Compact, P256_BYTES, P256_POINT_BYTES, content_key, decode,
};
use crate::card::key_folder::KeyFolder;
use crate::card::keys::{SealingKeys, SealingKeysError};
use crate::card::master_key::MasterKey;
use crate::card::masters::MasterKeyError;
use crate::card::sealing_key::{KeyNotMade, SealingKey};
use crate::card::session::{SealingSession, Session, Tickets};
use crate::payment::ids::MerchantId;
use crate::payment::moment::UnixMillis;
use crate::random::Random;

/// Stands in for what is missing or malformed.
struct Decoy {
    key: SealingKey,
    point: [u8; P256_POINT_BYTES],
    /// Opens nothing, because nobody knows it (RFC 7516 section 11.5).
    content_key: LessSafeKey,
}

impl Decoy {
    fn new(random: &Random) -> Result<Self, SealingKeysError> {
        let (key, _) = SealingKey::generate_p256()?;
        let (other, _) = SealingKey::generate_p256()?;
        let point = other.p256_point().ok_or(KeyNotMade { kind: "P-256" })?;
        let bytes = Zeroizing::new(random.bytes().map_err(MasterKeyError::from)?);
        let content_key = content_key(&bytes).ok_or(KeyNotMade { kind: "AES-256" })?;
        Ok(Self {
            key,
            point,
            content_key,
        })
    }
}

impl fmt::Debug for Decoy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decoy")
    }
}

/// A content key: of this envelope alone, of a session, or one that opens nothing.
pub(super) enum ContentKey<'a> {
    Own(Box<LessSafeKey>),
    Session(Arc<Session>),
    Decoy(&'a LessSafeKey),
}

impl ContentKey<'_> {
    pub(super) fn key(&self) -> &LessSafeKey {
        match self {
            Self::Own(key) => key,
            Self::Session(session) => &session.key,
            Self::Decoy(key) => key,
        }
    }
}

/// The keys that content keys come from: sealing keys and session tickets.
#[derive(Debug)]
pub(super) struct ContentKeys {
    keys: RwLock<Arc<SealingKeys>>,
    /// Where they came from; none where they were made in memory.
    folder: Option<KeyFolder>,
    pub(super) tickets: Tickets,
    decoy: Decoy,
}

impl ContentKeys {
    pub(super) fn new(
        keys: SealingKeys,
        folder: Option<KeyFolder>,
        master_key: &MasterKey,
        random: &Random,
    ) -> Result<Self, SealingKeysError> {
        Ok(Self {
            keys: RwLock::new(Arc::new(keys)),
            folder,
            tickets: Tickets::new(master_key)?,
            decoy: Decoy::new(random)?,
        })
    }

    pub(super) fn sealing_keys(&self) -> Arc<SealingKeys> {
        // Nothing panics while it is held.
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes that something was opened that was sealed to this key; to a session's it is nothing to note.
    pub(super) fn note_use(&self, header: &Header<'_>, at: UnixMillis) {
        let keys = self.sealing_keys();
        if let Some(key) = keys.find(&header.kid, header.alg) {
            key.note_use(at);
        }
    }

    /// The keys, looked for again when none of them has this name.
    fn keys_for(&self, kid: &str, algorithm: Algorithm, now: UnixMillis) -> Arc<SealingKeys> {
        let keys = self.sealing_keys();
        if keys.find(kid, algorithm).is_some() {
            return keys;
        }
        let folder = self.folder.as_ref();
        match folder.and_then(|folder| folder.look_again(now)) {
            Some(found) => self.take(found),
            None => keys,
        }
    }

    /// Takes these keys in place of those before, and says so where they differ.
    fn take(&self, found: SealingKeys) -> Arc<SealingKeys> {
        let found = Arc::new(found);
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        for key in found.iter() {
            let before = keys.find(key.kid(), key.algorithm());
            if let Some(used_at) = before.and_then(SealingKey::used_at) {
                key.note_use(used_at);
            }
        }
        let named = |keys: &SealingKeys| -> Vec<_> {
            let named = keys.iter().map(|key| (key.kid().to_owned(), key.state()));
            named.collect()
        };
        if named(&keys) != named(&found) {
            tracing::info!(
                keys = ?found.iter().collect::<Vec<_>>(),
                "The sealing keys have changed"
            );
        }
        *keys = Arc::clone(&found);
        found
    }

    /// Reads the keys again, and publishes those that are active.
    pub(super) fn reload(&self) -> Result<(), SealingKeysError> {
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        let keys = self.take(folder.read()?);
        folder.publish(&keys)
    }

    /// Does what [`Self::reload`] does where something has changed, and logs once what can't be done.
    pub(super) fn look(&self) {
        let Some(folder) = &self.folder else {
            return;
        };
        let done = if folder.has_changed() {
            self.reload()
        } else {
            folder.publish(&self.sealing_keys())
        };
        folder.said_once(done);
    }

    /// The ticket of a session key; `None` when the cryptographic library refuses it.
    pub(super) fn issue_ticket(
        &self,
        session_key: &[u8; CONTENT_KEY_BYTES],
        merchant_id: &MerchantId,
        expires_at: UnixMillis,
    ) -> Option<SealingSession> {
        self.tickets.issue(session_key, merchant_id, expires_at)
    }

    /// The content key and `true`, or one that opens nothing and `false`.
    pub(super) fn find(
        &self,
        header: &Header<'_>,
        envelope: &Compact<'_>,
        merchant_id: &MerchantId,
        now: UnixMillis,
    ) -> (ContentKey<'_>, bool) {
        let own = |bytes: Zeroizing<[u8; CONTENT_KEY_BYTES]>| {
            content_key(&bytes).map(|key| ContentKey::Own(Box::new(key)))
        };
        let found = match header.alg {
            Algorithm::EcdhEs => self.agreed_key(header, envelope, now).and_then(own),
            Algorithm::RsaOaep256 => self.encrypted_key(header, envelope, now).and_then(own),
            Algorithm::Direct => self
                .session(header, envelope, merchant_id, now)
                .map(ContentKey::Session),
        };
        match found {
            Some(key) => (key, true),
            None => (ContentKey::Decoy(&self.decoy.content_key), false),
        }
    }

    fn agreed_key(
        &self,
        header: &Header<'_>,
        envelope: &Compact<'_>,
        now: UnixMillis,
    ) -> Option<Zeroizing<[u8; CONTENT_KEY_BYTES]>> {
        let keys = self.keys_for(&header.kid, Algorithm::EcdhEs, now);
        let key = keys.find(&header.kid, Algorithm::EcdhEs);
        let agreed = header
            .epk
            .as_ref()
            .and_then(ephemeral_point)
            .zip(party(header.apu.as_deref()))
            .zip(party(header.apv.as_deref()))
            .and_then(|((point, party_u), party_v)| {
                key.unwrap_or(&self.decoy.key)
                    .agree(&point, &party_u, &party_v)
            });
        if agreed.is_none() {
            // The point was refused before the multiplication, which is nearly all of the time.
            self.spend_an_agreement();
        }
        agreed.filter(|_| key.is_some() && envelope.encrypted_key.is_empty())
    }

    fn encrypted_key(
        &self,
        header: &Header<'_>,
        envelope: &Compact<'_>,
        now: UnixMillis,
    ) -> Option<Zeroizing<[u8; CONTENT_KEY_BYTES]>> {
        let keys = self.keys_for(&header.kid, Algorithm::RsaOaep256, now);
        let key = keys.find(&header.kid, Algorithm::RsaOaep256);
        let Some(used) = key.or_else(|| keys.any(Algorithm::RsaOaep256)) else {
            self.spend_an_agreement();
            return None;
        };
        if envelope.encrypted_key.len() == used.encrypted_key_bytes() {
            used.decrypt_key(&envelope.encrypted_key)
                .filter(|_| key.is_some())
        } else {
            // A ciphertext of the right length, below every modulus, takes the time of a good one.
            let mut decoy = vec![0x5a; used.encrypted_key_bytes()];
            if let Some(first) = decoy.first_mut() {
                *first = 0;
            }
            let _ = std::hint::black_box(used.decrypt_key(&decoy));
            None
        }
    }

    fn session(
        &self,
        header: &Header<'_>,
        envelope: &Compact<'_>,
        merchant_id: &MerchantId,
        now: UnixMillis,
    ) -> Option<Arc<Session>> {
        self.tickets.find(&header.kid).filter(|session| {
            envelope.encrypted_key.is_empty()
                && session.merchant_id == *merchant_id
                && now < session.expires_at
        })
    }

    /// Does the work of an ECDH-ES opening, for nothing.
    pub(super) fn spend_an_agreement(&self) {
        let _ = std::hint::black_box(self.decoy.key.agree(&self.decoy.point, b"", b""));
    }
}

pub(super) fn ephemeral_point(epk: &EphemeralKey<'_>) -> Option<[u8; P256_POINT_BYTES]> {
    let x: [u8; P256_BYTES] = decode(&epk.x)?.try_into().ok()?;
    let y: [u8; P256_BYTES] = decode(&epk.y)?.try_into().ok()?;
    // 4: both coordinates follow (SEC 1 section 2.3.3).
    [[4].as_slice(), &x, &y].concat().try_into().ok()
}

/// `apu` or `apv`, decoded; empty when it is not there (RFC 7518 section 4.6.2).
fn party(encoded: Option<&str>) -> Option<Vec<u8>> {
    encoded.map_or(Some(Vec::new()), decode)
}
