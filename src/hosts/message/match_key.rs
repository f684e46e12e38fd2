//! The key under which a response finds its request: message type, DE 7, 11, 37, 41 and 49. The amount is no
//! part of it: a partial approval answers the request as well.

use std::fmt;

use iso8583::{Message, Mti};

use crate::payment::reference::{Rrn, Stan};

use super::amount::AskedAmount;

/// A part of the key under which a response finds its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyField {
    /// The message type.
    Mti,
    /// DE 7, transmission date and time.
    TransmissionDateTime,
    /// DE 11, system trace audit number.
    Stan,
    /// DE 37, retrieval reference number.
    Rrn,
    /// DE 41, card acceptor terminal identification.
    TerminalId,
    /// DE 49, currency code, transaction.
    Currency,
}

impl KeyField {
    /// Every part that has a DE number.
    pub const DES: [Self; 5] = [
        Self::TransmissionDateTime,
        Self::Stan,
        Self::Rrn,
        Self::TerminalId,
        Self::Currency,
    ];

    /// Its DE number; `None` for the MTI.
    #[must_use]
    pub fn de(self) -> Option<u8> {
        match self {
            Self::Mti => None,
            Self::TransmissionDateTime => Some(7),
            Self::Stan => Some(11),
            Self::Rrn => Some(37),
            Self::TerminalId => Some(41),
            Self::Currency => Some(49),
        }
    }
}

impl fmt::Display for KeyField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.de() {
            None => f.write_str("MTI"),
            Some(de) => write!(f, "DE {de}"),
        }
    }
}

/// A set of key fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct KeyFields(u8);

impl KeyFields {
    const fn bit(field: KeyField) -> u8 {
        match field {
            KeyField::Mti => 1,
            KeyField::TransmissionDateTime => 2,
            KeyField::Stan => 4,
            KeyField::Rrn => 8,
            KeyField::TerminalId => 16,
            KeyField::Currency => 32,
        }
    }

    /// The set with `field` in it.
    #[must_use]
    pub const fn with(self, field: KeyField) -> Self {
        Self(self.0 | Self::bit(field))
    }

    /// Whether `field` is in it.
    #[must_use]
    pub const fn contains(self, field: KeyField) -> bool {
        self.0 & Self::bit(field) != 0
    }

    /// Whether nothing is in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its fields: the message type first, then by DE.
    #[must_use]
    pub fn to_vec(self) -> Vec<KeyField> {
        std::iter::once(KeyField::Mti)
            .chain(KeyField::DES)
            .filter(|field| self.contains(*field))
            .collect()
    }
}

/// Which parts of the key a host's responses must carry. The message type counts always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MatchRule {
    /// Each must be there, and be equal. DE 11 is among them.
    pub always: KeyFields,
    /// Each must be equal if it is there.
    pub where_echoed: KeyFields,
}

impl Default for MatchRule {
    /// DE 7, 11, 37 and 41 always; DE 49 where echoed.
    fn default() -> Self {
        Self {
            always: KeyFields::default()
                .with(KeyField::TransmissionDateTime)
                .with(KeyField::Stan)
                .with(KeyField::Rrn)
                .with(KeyField::TerminalId),
            where_echoed: KeyFields::default().with(KeyField::Currency),
        }
    }
}

/// The key of a request that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::hosts) struct RequestKey {
    /// Which parts its answer must carry.
    pub(in crate::hosts) rule: MatchRule,
    /// The message type of its answer.
    pub(in crate::hosts) response_mti: Mti,
    /// DE 4 and DE 49 of the request, by which the amount of its answer is judged.
    pub(in crate::hosts) asked: AskedAmount,
    /// DE 7, MMDDhhmmss as a number.
    pub(in crate::hosts) transmitted: u64,
    /// DE 11.
    pub(in crate::hosts) stan: Stan,
    /// DE 37.
    pub(in crate::hosts) rrn: Rrn,
    /// DE 41.
    pub(in crate::hosts) terminal_id: TerminalId,
}

/// DE 41: eight characters, filled up with spaces on the right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::hosts) struct TerminalId([u8; 8]);

impl TerminalId {
    /// `text`, filled up; `None` when it is longer than eight characters.
    pub(in crate::hosts) fn new(text: &str) -> Option<Self> {
        let mut padded = [b' '; 8];
        padded
            .get_mut(..text.len())?
            .copy_from_slice(text.as_bytes());
        Some(Self(padded))
    }
}

/// One part of the key as a response carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::hosts) enum Part<T> {
    /// It is not there: the bitmap does not announce it.
    Absent,
    /// It is there, and it can't be read or is no value that was ever sent.
    Unusable,
    /// It is there.
    Is(T),
}

impl<T> Part<T> {
    /// Reads a data element of a message that may be readable in part only.
    pub(in crate::hosts) fn of(
        message: &Message<'_>,
        de: u8,
        read: impl FnOnce() -> Option<T>,
    ) -> Self {
        if message.announces(de) {
            read().map_or(Self::Unusable, Self::Is)
        } else {
            Self::Absent
        }
    }
}

/// The parts of the key that a response carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceivedKey {
    pub(in crate::hosts) mti: Mti,
    pub(in crate::hosts) transmitted: Part<u64>,
    pub(in crate::hosts) stan: Option<Stan>,
    pub(in crate::hosts) rrn: Part<Rrn>,
    pub(in crate::hosts) terminal_id: Part<TerminalId>,
    pub(in crate::hosts) currency: Part<u16>,
}

impl ReceivedKey {
    /// Reads the key of a message.
    pub(in crate::hosts) fn of(message: &Message<'_>) -> Self {
        Self {
            mti: message.mti(),
            transmitted: Part::of(message, 7, || message.number(7)),
            stan: stan_of(message),
            rrn: Part::of(message, 37, || rrn_of(message)),
            terminal_id: Part::of(message, 41, || TerminalId::new(&message.text_trimmed(41)?)),
            currency: currency_of(message),
        }
    }
}

/// DE 11, where there is a valid one.
pub(in crate::hosts) fn stan_of(message: &Message<'_>) -> Option<Stan> {
    let number = u32::try_from(message.number(11)?).ok()?;
    Stan::try_from(number).ok()
}

/// DE 49 as a number.
pub(in crate::hosts) fn currency_of(message: &Message<'_>) -> Part<u16> {
    Part::of(message, 49, || message.text(49)?.parse().ok())
}

/// DE 37, where there is a valid one.
pub(in crate::hosts) fn rrn_of(message: &Message<'_>) -> Option<Rrn> {
    message.text(37)?.parse().ok()
}

impl MatchRule {
    /// The parts of the key in which `received` is not the answer to `sent`; empty when it is.
    pub(in crate::hosts) fn differences(
        &self,
        sent: &RequestKey,
        received: &ReceivedKey,
    ) -> KeyFields {
        let mut differing = KeyFields::default();
        if received.mti != sent.response_mti {
            differing = differing.with(KeyField::Mti);
        }
        for field in KeyField::DES {
            let (there, equal) = match field {
                KeyField::Mti => continue,
                KeyField::TransmissionDateTime => compare(received.transmitted, sent.transmitted),
                KeyField::Stan => (true, received.stan == Some(sent.stan)),
                KeyField::Rrn => compare(received.rrn, sent.rrn),
                KeyField::TerminalId => compare(received.terminal_id, sent.terminal_id),
                KeyField::Currency => compare(received.currency, sent.asked.currency),
            };
            let wrong = (self.always.contains(field) && !equal)
                || (self.where_echoed.contains(field) && there && !equal);
            if wrong {
                differing = differing.with(field);
            }
        }
        differing
    }
}

fn compare<T: PartialEq>(received: Part<T>, sent: T) -> (bool, bool) {
    let there = received != Part::Absent;
    (there, received == Part::Is(sent))
}

#[cfg(test)]
mod tests;
