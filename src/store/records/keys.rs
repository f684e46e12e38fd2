//! The sealing keys, as gateways have found them.

use std::str::FromStr;

use crate::payment::moment::UnixMillis;

/// How far a sealing key has come. It never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SealingKeyState {
    /// It is not published yet.
    Upcoming,
    /// It is published.
    Active,
    /// It is no longer published, and still opens.
    Retiring,
    /// It is removed.
    Retired,
}

impl SealingKeyState {
    const ALL: [Self; 4] = [Self::Upcoming, Self::Active, Self::Retiring, Self::Retired];

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Upcoming => "UPCOMING",
            Self::Active => "ACTIVE",
            Self::Retiring => "RETIRING",
            Self::Retired => "RETIRED",
        }
    }
}

/// A text that names no state of a sealing key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected UPCOMING, ACTIVE, RETIRING or RETIRED")]
pub struct UnknownKeyState;

impl FromStr for SealingKeyState {
    type Err = UnknownKeyState;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|state| state.name() == text);
        found.ok_or(UnknownKeyState)
    }
}

/// A sealing key as it is recorded: nothing of it but its name, which is public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealingKeyRecord {
    /// The name under which it is published.
    pub kid: String,
    /// What it is for: `ECDH-ES` or `RSA-OAEP-256`.
    pub algorithm: String,
    /// How far it has come.
    pub state: SealingKeyState,
    /// When a gateway noticed that.
    pub since: UnixMillis,
    /// When something that was sealed to it was opened last, by any gateway, to the minute; `None`: never.
    pub used_at: Option<UnixMillis>,
}
