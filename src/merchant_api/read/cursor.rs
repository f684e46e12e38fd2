//! Cursors: places among a store's events, sealed, so that they tell nobody how much happens in the store.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hmac;

use crate::card::derived_key::Purpose;
use crate::card::master_key::MasterKey;
use crate::card::masters::MasterKeyError;
use crate::payment::ids::EventId;
use crate::payment::moment::UnixMillis;
use crate::store::records::StoreIdentity;

/// The largest cursor that is looked at, in bytes.
const MAX_LENGTH: usize = 200;
/// The beginning of the store's id, in clear: a cursor of another store is recognised by it.
const STORE_BYTES: usize = 8;
/// The epoch and the position.
const CONTENT_BYTES: usize = 16;

/// Why a cursor is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadCursor {
    /// It is none.
    NoCursor,
    /// It is one of another store, or of this one before it was restored.
    OfAnotherStore,
}

/// Writes and reads the cursors of one store.
pub struct Cursors {
    store: [u8; STORE_BYTES],
    epoch: i64,
    key: LessSafeKey,
    nonce_key: hmac::Key,
}

impl fmt::Debug for Cursors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cursors").finish_non_exhaustive()
    }
}

impl Cursors {
    /// The cursors of this store.
    ///
    /// # Errors
    /// When the cryptographic library takes no key.
    pub fn new(master_key: &MasterKey, store: &StoreIdentity) -> Result<Self, MasterKeyError> {
        let key = master_key.derive(Purpose::EventCursors)?;
        let nonce_key = master_key.derive(Purpose::EventCursorNonces)?;
        let key = UnboundKey::new(&AES_256_GCM, key.as_bytes())
            .map_err(|_| MasterKeyError::Refused("take the key of the cursors"))?;
        let id = ring::digest::digest(&ring::digest::SHA256, store.id.as_bytes());
        let mut first = [0; STORE_BYTES];
        for (to, from) in first.iter_mut().zip(id.as_ref()) {
            *to = *from;
        }
        Ok(Self {
            store: first,
            epoch: store.epoch,
            key: LessSafeKey::new(key),
            nonce_key: hmac::Key::new(hmac::HMAC_SHA256, nonce_key.as_bytes()),
        })
    }

    /// The cursor of a position: always the same one.
    pub(crate) fn write(&self, position: i64) -> String {
        let mut content = [self.epoch.to_be_bytes(), position.to_be_bytes()].concat();
        // The nonce is a MAC of the content, and repeats only with it.
        let nonce: [u8; NONCE_LEN] = self.mac(&content);
        let sealed = self.key.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(self.store),
            &mut content,
        );
        match sealed {
            Ok(()) => URL_SAFE_NO_PAD.encode([&self.store[..], &nonce, &content].concat()),
            // No content is as long as it would have to be for that.
            Err(_) => String::new(),
        }
    }

    /// The position of a cursor.
    ///
    /// # Errors
    /// When it is none of this store and epoch.
    pub(crate) fn read(&self, cursor: &str) -> Result<i64, BadCursor> {
        let (store, nonce, sealed) = parts(cursor).ok_or(BadCursor::NoCursor)?;
        if store != self.store {
            return Err(BadCursor::OfAnotherStore);
        }
        let mut sealed = sealed.to_vec();
        let content = self
            .key
            .open_in_place(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(self.store),
                &mut sealed,
            )
            .map_err(|_| BadCursor::NoCursor)?;
        let (epoch, position) = content.split_first_chunk().ok_or(BadCursor::NoCursor)?;
        let position = position.try_into().map_err(|_| BadCursor::NoCursor)?;
        if i64::from_be_bytes(*epoch) != self.epoch {
            return Err(BadCursor::OfAnotherStore);
        }
        Ok(i64::from_be_bytes(position))
    }

    /// The name of the event at a position.
    pub(crate) fn event_id(&self, position: i64, at: UnixMillis) -> EventId {
        let content = [self.epoch.to_be_bytes(), position.to_be_bytes()].concat();
        EventId::from_parts(at, self.mac(&content))
    }

    fn mac<const N: usize>(&self, content: &[u8]) -> [u8; N] {
        let mac = hmac::sign(&self.nonce_key, content);
        let mut first = [0; N];
        for (to, from) in first.iter_mut().zip(mac.as_ref()) {
            *to = *from;
        }
        first
    }
}

/// The store, the nonce, and what is sealed.
fn parts(cursor: &str) -> Option<([u8; STORE_BYTES], [u8; NONCE_LEN], Vec<u8>)> {
    if cursor.len() > MAX_LENGTH {
        return None;
    }
    let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
    let (store, rest) = bytes.split_first_chunk()?;
    let (nonce, sealed) = rest.split_first_chunk()?;
    let whole = sealed.len() == CONTENT_BYTES + AES_256_GCM.tag_len();
    whole.then(|| (*store, *nonce, sealed.to_vec()))
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::random::Random;

    fn cursors(id: &str, epoch: i64) -> Cursors {
        let master_key = STANDARD.encode([7; 32]);
        let master_key = MasterKey::from_base64(&master_key, &Random::SYSTEM).unwrap();
        let store = StoreIdentity {
            id: id.into(),
            epoch,
            restored_at: UnixMillis::new(0),
            first_number: 0,
            numbers_until: None,
        };
        Cursors::new(&master_key, &store).unwrap()
    }

    #[test]
    fn a_cursor_is_read_by_its_own_store_and_epoch_alone() {
        let ours = cursors("0a", 1);
        for position in [0, 1, i64::MAX] {
            let cursor = ours.write(position);
            assert_eq!(ours.read(&cursor), Ok(position));
            assert_eq!(cursor, ours.write(position));
            for other in [cursors("0b", 1), cursors("0a", 2)] {
                assert_eq!(other.read(&cursor), Err(BadCursor::OfAnotherStore));
                assert_ne!(other.write(position), cursor);
            }
        }
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        let ours = cursors("0a", 1);
        let cursor = ours.write(7);
        let mut changed = cursor.clone().into_bytes();
        if let Some(letter) = changed.get_mut(20) {
            *letter = if *letter == b'A' { b'B' } else { b'A' };
        }
        let changed = String::from_utf8(changed).unwrap();
        let long = "A".repeat(300);
        for text in ["", "7", "äöü", &cursor[1..], &changed, &long] {
            assert_eq!(ours.read(text), Err(BadCursor::NoCursor), "{text}");
        }
    }
}
