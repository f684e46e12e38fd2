//! Session keys: a merchant that seals many cards sends one key of its own, sealed to a sealing key,
//! and then seals each card under it with AES-GCM alone (`alg` `dir`).
//!
//! The session's `kid` is a ticket: the session key, the merchant and the expiry, encrypted under a
//! key that every node derives from the master key. So a session works on every node and after a
//! restart, and nothing about it is stored.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ring::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce};
use ring::hmac;
use zeroize::Zeroizing;

use super::derived_key::Purpose;
use super::header::MAX_SESSION_LIFETIME_S;
use super::jwe::{CONTENT_KEY_BYTES, content_key, decode, encode};
use super::master_key::MasterKey;
use super::masters::MasterKeyError;
use crate::payment::ids::MerchantId;
use crate::payment::moment::UnixMillis;

/// The most cards under one session key: far below the 2^32 that random nonces allow (NIST SP
/// 800-38D section 8.3). Each node counts for itself, from when it first met the session.
pub const MAX_MESSAGES: u32 = 1 << 20;
/// How a ticket begins. No sealing key's kid has a dot.
pub const TICKET_PREFIX: &str = "session.";
/// The most sessions that are kept ready; others are opened from their ticket again.
const MAX_READY_SESSIONS: u64 = 16_384;
/// The longest ticket in characters: the prefix, and nonce, content (version, key, expiry, 40
/// characters of merchant) and tag in base64url.
const MAX_TICKET_CHARACTERS: usize = 160;
/// The layout of a ticket's content.
const TICKET_VERSION: u8 = 1;
/// Bytes of a ticket's content before the merchant: version, key, expiry.
const TICKET_FIXED_BYTES: usize = 1 + CONTENT_KEY_BYTES + 8;

/// A session key that is ready for use.
pub(super) struct Session {
    pub(super) key: LessSafeKey,
    pub(super) merchant_id: MerchantId,
    pub(super) expires_at: UnixMillis,
    opened: AtomicU32,
}

impl Session {
    /// Counts one card; false when the session key is used up.
    pub(super) fn count(&self) -> bool {
        self.opened
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |opened| {
                (opened < MAX_MESSAGES).then_some(opened + 1)
            })
            .is_ok()
    }
}

/// What a merchant is told about its session key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealingSession {
    /// The `kid` of every card sealed under it.
    pub kid: String,
    /// When it ends: at most an hour after it was made.
    pub expires_at: UnixMillis,
    /// How many cards may be sealed under it.
    pub max_messages: u32,
}

/// Issues tickets and opens them.
pub(super) struct Tickets {
    key: LessSafeKey,
    nonce_key: hmac::Key,
    ready: moka::sync::Cache<String, Arc<Session>>,
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tickets").finish_non_exhaustive()
    }
}

impl Tickets {
    pub(super) fn new(master_key: &MasterKey) -> Result<Self, MasterKeyError> {
        let nonce_key = master_key.derive(Purpose::SessionTicketNonces)?;
        let lifetime_s = MAX_SESSION_LIFETIME_S.unsigned_abs();
        Ok(Self {
            key: master_key.aead_key(Purpose::SessionTickets)?,
            nonce_key: hmac::Key::new(hmac::HMAC_SHA256, nonce_key.as_bytes()),
            ready: moka::sync::Cache::builder()
                .max_capacity(MAX_READY_SESSIONS)
                .time_to_live(Duration::from_secs(lifetime_s))
                .build(),
        })
    }

    /// The ticket for a session key. The same key, merchant and expiry give the same ticket, so that
    /// setting a session up twice is one session with one count; hence the nonce is a MAC of the
    /// content, and repeats only with it.
    pub(super) fn issue(
        &self,
        session_key: &[u8; CONTENT_KEY_BYTES],
        merchant_id: &MerchantId,
        expires_at: UnixMillis,
    ) -> Option<SealingSession> {
        let mut content = Zeroizing::new(Vec::with_capacity(MAX_TICKET_CHARACTERS));
        content.push(TICKET_VERSION);
        content.extend_from_slice(session_key);
        content.extend_from_slice(&expires_at.as_i64().to_be_bytes());
        content.extend_from_slice(merchant_id.as_str().as_bytes());
        let mac = hmac::sign(&self.nonce_key, &content);
        let nonce: [u8; NONCE_LEN] = mac.as_ref().get(..NONCE_LEN)?.try_into().ok()?;
        let tag = self
            .key
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(TICKET_PREFIX),
                &mut content,
            )
            .ok()?;
        let ticket = [nonce.as_slice(), &content, tag.as_ref()].concat();
        Some(SealingSession {
            kid: format!("{TICKET_PREFIX}{}", encode(&ticket)),
            expires_at,
            max_messages: MAX_MESSAGES,
        })
    }

    /// The session that a ticket carries; `None` when we have not issued it. Whose it is and whether
    /// it has expired is for the caller to check.
    pub(super) fn find(&self, kid: &str) -> Option<Arc<Session>> {
        if kid.len() > MAX_TICKET_CHARACTERS {
            return None;
        }
        if let Some(session) = self.ready.get(kid) {
            return Some(session);
        }
        let session = self.open(kid)?;
        // Only genuine tickets get here, so that nobody else can fill the cache. Two threads that
        // meet the session at once must share one count.
        Some(self.ready.get_with_by_ref(kid, || Arc::new(session)))
    }

    fn open(&self, kid: &str) -> Option<Session> {
        let mut ticket = Zeroizing::new(decode(kid.strip_prefix(TICKET_PREFIX)?)?);
        let (nonce, sealed) = ticket.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let content = self
            .key
            .open_in_place(nonce, Aad::from(TICKET_PREFIX), sealed)
            .ok()?;
        let (fixed, merchant_id) = content.split_at_checked(TICKET_FIXED_BYTES)?;
        let (version, rest) = fixed.split_first()?;
        let (session_key, expires_at) = rest.split_first_chunk::<CONTENT_KEY_BYTES>()?;
        if *version != TICKET_VERSION {
            return None;
        }
        Some(Session {
            key: content_key(session_key)?,
            merchant_id: std::str::from_utf8(merchant_id).ok()?.parse().ok()?,
            expires_at: UnixMillis::new(i64::from_be_bytes(expires_at.try_into().ok()?)),
            opened: AtomicU32::new(0),
        })
    }
}
