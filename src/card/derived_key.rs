//! What is derived from the master key by HKDF-SHA256 (RFC 5869): a key for each purpose, and none says anything about
//! another.

use std::fmt;

use ring::hkdf;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes of the master key and of every key derived from it.
pub const KEY_BYTES: usize = 32;

/// What a derived key is for. These stay what they are when the master key is rotated: what was made with them could
/// not be made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// The pepper under which API keys are stored (HMAC-SHA256).
    ApiKeyPepper,
    /// Encrypts the tickets that carry session keys (AES-256-GCM).
    SessionTickets,
    /// Makes the nonces of the tickets (HMAC-SHA256).
    SessionTicketNonces,
    /// Makes the hashes by which a merchant knows a card again (HMAC-SHA256).
    CardFingerprints,
    /// Makes the hashes by which the installation knows a card again (HMAC-SHA256).
    CardVelocity,
    /// Signs the seals of the ledger (the seed of an Ed25519 key).
    LedgerSeals,
    /// Encrypts the cursors of events (AES-256-GCM).
    EventCursors,
    /// Makes the nonces of the cursors, and the names of events (HMAC-SHA256).
    EventCursorNonces,
}

impl Purpose {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::ApiKeyPepper,
        Self::SessionTickets,
        Self::SessionTicketNonces,
        Self::CardFingerprints,
        Self::CardVelocity,
        Self::LedgerSeals,
        Self::EventCursors,
        Self::EventCursorNonces,
    ];

    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::ApiKeyPepper => "payswitch v1 api key pepper",
            Self::SessionTickets => "payswitch v1 session tickets",
            Self::SessionTicketNonces => "payswitch v1 session ticket nonces",
            Self::CardFingerprints => "payswitch v1 card fingerprints",
            Self::CardVelocity => "payswitch v1 card velocity",
            Self::LedgerSeals => "payswitch v1 ledger seals",
            Self::EventCursors => "payswitch v1 event cursors",
            Self::EventCursorNonces => "payswitch v1 event cursor nonces",
        }
    }
}

/// What is wrapped under the master key (AES-256-GCM), and wrapped anew when the master key is rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrapping {
    /// Files of private keys.
    KeyFiles,
    /// The data keys of cards in custody.
    DataKeys,
}

impl Wrapping {
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::KeyFiles => "payswitch v1 key wrapping",
            Self::DataKeys => "payswitch v1 data key wrapping",
        }
    }
}

/// 32 secret bytes, derived from the master key for one purpose.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct DerivedKey([u8; KEY_BYTES]);

impl DerivedKey {
    /// The key for what `label` says; `None` when the cryptographic library refuses, which it has no reason to.
    pub(super) fn of(master_key: &[u8; KEY_BYTES], label: &str) -> Option<Self> {
        let mut key = Self([0; KEY_BYTES]);
        hkdf::Salt::new(hkdf::HKDF_SHA256, b"payswitch master key")
            .extract(master_key)
            .expand(&[label.as_bytes()], hkdf::HKDF_SHA256)
            .and_then(|okm| okm.fill(&mut key.0))
            .ok()?;
        Some(key)
    }

    /// One that was derived from an earlier master key.
    pub(super) fn kept(bytes: &[u8; KEY_BYTES]) -> Self {
        Self(*bytes)
    }

    /// The bytes, for the cryptographic library.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl fmt::Debug for DerivedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DerivedKey(masked)")
    }
}
