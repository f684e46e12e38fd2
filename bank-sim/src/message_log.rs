//! The messages that the hosts have received and sent, in the order in which they passed. Each is logged once, at
//! the host that was called.

use std::{
    collections::VecDeque,
    fmt,
    fmt::Write as _,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use iso8583::{Dialect, Mti, masked};
use time::OffsetDateTime;
use tokio::sync::watch;

use crate::{message::BankMessage, outcome::Effect};

/// How many messages are kept, of all hosts together; beyond it the oldest is forgotten.
pub const MAX_LOGGED_MESSAGES: usize = 100_000;

/// Which way a message went, seen from the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The host received it.
    Received,
    /// The host sent it.
    Sent,
}

/// One message on a line, without its frame header.
#[derive(Clone)]
pub struct LoggedMessage {
    /// Its number among the messages of all hosts, from 1.
    pub position: u64,
    /// The host.
    pub host: Arc<str>,
    /// Which way it went.
    pub direction: Direction,
    /// Its message type.
    pub mti: Mti,
    /// When it passed.
    pub at: OffsetDateTime,
    /// Whether the host had received the same message before.
    pub is_repeat: bool,
    /// What it did to an account.
    pub effect: Effect,
    dialect: Arc<Dialect>,
    /// In clear: only masked renderings leave this file.
    bytes: Box<[u8]>,
    stan: Option<[u8; 6]>,
    rrn: Option<[u8; 12]>,
}

impl fmt::Debug for LoggedMessage {
    /// Leaves the bytes out, which hold card data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoggedMessage")
            .field("position", &self.position)
            .field("host", &self.host)
            .field("direction", &self.direction)
            .field("mti", &self.mti)
            .finish_non_exhaustive()
    }
}

impl LoggedMessage {
    /// DE 11; empty when it has none.
    #[must_use]
    pub fn stan(&self) -> &str {
        text(self.stan.as_ref())
    }

    /// DE 37; empty when it has none.
    #[must_use]
    pub fn rrn(&self) -> &str {
        text(self.rrn.as_ref())
    }

    /// The name of the dialect that it is written in.
    #[must_use]
    pub fn dialect_name(&self) -> &str {
        self.dialect.name()
    }

    /// Its elements in ascending order, secrets masked; none when it can't be read.
    #[must_use]
    pub fn elements(&self) -> Vec<masked::DescribedField> {
        let message = self.dialect.decode(&self.bytes);
        message.map_or_else(
            |_| Vec::new(),
            |message| masked::describe(&self.dialect, &message),
        )
    }

    /// Its elements, one on a line with number, name and value, secrets masked.
    #[must_use]
    pub fn render(&self) -> String {
        self.elements()
            .iter()
            .fold(String::new(), |mut text, field| {
                // Writing to a string does not fail.
                let _ = writeln!(
                    text,
                    "  {:<4}{:<43}{}",
                    field.de, field.name, field.value_masked
                );
                text
            })
    }
}

fn text<const N: usize>(ascii: Option<&[u8; N]>) -> &str {
    ascii
        .and_then(|ascii| str::from_utf8(ascii).ok())
        .unwrap_or_default()
}

/// Which messages to list.
#[derive(Debug, Clone, Copy)]
pub struct MessageQuery<'a> {
    /// Only those after this position.
    pub after_position: u64,
    /// How many at most.
    pub limit: usize,
    /// Only of this host.
    pub host: Option<&'a str>,
    /// Only with this RRN.
    pub rrn: Option<&'a str>,
}

/// The log of all hosts.
#[derive(Debug, Default)]
pub(crate) struct MessageLog {
    kept: Mutex<Kept>,
    /// The position of the newest message; told only while somebody listens.
    newest: watch::Sender<u64>,
}

/// The messages that are kept.
#[derive(Default)]
struct Kept {
    /// Oldest first.
    entries: VecDeque<Entry>,
    /// Their bytes, one behind the other: a bank under load allocates nothing for its log.
    bytes: VecDeque<u8>,
    /// How many bytes were forgotten before those in `bytes`.
    forgotten_bytes: usize,
}

impl fmt::Debug for Kept {
    /// Leaves the bytes out, which hold card data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept")
            .field("messages", &self.entries.len())
            .finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct Entry {
    position: u64,
    host: Arc<LoggedHost>,
    direction: Direction,
    mti: Mti,
    at: OffsetDateTime,
    is_repeat: bool,
    effect: Effect,
    stan: Option<[u8; 6]>,
    rrn: Option<[u8; 12]>,
    /// Where its bytes begin, counted over all messages that ever were, and how many there are.
    bytes: (usize, usize),
}

impl Kept {
    fn message(&self, entry: &Entry) -> LoggedMessage {
        let (begin, length) = entry.bytes;
        let begin = begin.saturating_sub(self.forgotten_bytes);
        LoggedMessage {
            position: entry.position,
            host: Arc::clone(&entry.host.name),
            direction: entry.direction,
            mti: entry.mti,
            at: entry.at,
            is_repeat: entry.is_repeat,
            effect: entry.effect,
            dialect: Arc::clone(&entry.host.dialect),
            bytes: self
                .bytes
                .iter()
                .skip(begin)
                .take(length)
                .copied()
                .collect(),
            stan: entry.stan,
            rrn: entry.rrn,
        }
    }
}

/// The host at whose line a message is logged, and how it is read.
#[derive(Debug)]
pub(crate) struct LoggedHost {
    pub(crate) name: Arc<str>,
    pub(crate) dialect: Arc<Dialect>,
}

impl MessageLog {
    /// Adds a message that passed at `at`; its position.
    pub(crate) fn add(
        &self,
        host: &Arc<LoggedHost>,
        direction: Direction,
        (message, bytes): (&BankMessage, &[u8]),
        at: OffsetDateTime,
    ) -> u64 {
        let element = |de| message.get(de);
        let mut kept = self.kept();
        if kept.entries.len() >= MAX_LOGGED_MESSAGES
            && let Some(forgotten) = kept.entries.pop_front()
        {
            let (_, length) = forgotten.bytes;
            kept.bytes.drain(..length);
            kept.forgotten_bytes += length;
        }
        let position = kept.entries.back().map_or(1, |newest| newest.position + 1);
        let begin = kept.forgotten_bytes + kept.bytes.len();
        kept.bytes.extend(bytes);
        kept.entries.push_back(Entry {
            position,
            host: Arc::clone(host),
            direction,
            mti: message.mti(),
            at,
            is_repeat: false,
            effect: Effect::None,
            stan: element(11).and_then(|stan| stan.try_into().ok()),
            rrn: element(37).and_then(|rrn| rrn.try_into().ok()),
            bytes: (begin, bytes.len()),
        });
        drop(kept);
        if self.newest.receiver_count() > 0 {
            self.newest.send_replace(position);
        }
        position
    }

    /// Notes what became of a message; nothing when it is forgotten.
    pub(crate) fn decided(&self, position: u64, effect: Effect, is_repeat: bool) {
        let mut kept = self.kept();
        let oldest = kept.entries.front().map_or(0, |oldest| oldest.position);
        let index = position.checked_sub(oldest);
        let index = index.and_then(|index| usize::try_from(index).ok());
        if let Some(entry) = index.and_then(|index| kept.entries.get_mut(index)) {
            entry.effect = effect;
            entry.is_repeat |= is_repeat;
        }
    }

    /// The messages that a query means, oldest first, and the position to go on after.
    pub(crate) fn list(&self, query: &MessageQuery<'_>) -> (Vec<LoggedMessage>, u64) {
        let kept = self.kept();
        let mut found = Vec::new();
        let mut position = query.after_position;
        let after = query.after_position;
        let begin = kept
            .entries
            .partition_point(|entry| entry.position <= after);
        for entry in kept.entries.range(begin..) {
            if found.len() >= query.limit {
                break;
            }
            position = entry.position;
            if query.host.is_none_or(|host| *host == *entry.host.name)
                && query.rrn.is_none_or(|rrn| rrn == text(entry.rrn.as_ref()))
            {
                found.push(kept.message(entry));
            }
        }
        (found, position)
    }

    /// Tells the position of the newest message whenever there is one.
    pub(crate) fn follow(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages have different lengths, so that a log that forgets the wrong bytes shows it.
    #[test]
    fn what_is_kept_is_read_as_it_passed() {
        let dialect = Arc::new(Dialect::builtin("iso1987-ascii-hex").unwrap());
        let host = Arc::new(LoggedHost {
            name: "issuer-a".into(),
            dialect: Arc::clone(&dialect),
        });
        let log = MessageLog::default();
        let forgotten = 10;
        for number in 1..=MAX_LOGGED_MESSAGES + forgotten {
            let mut message = BankMessage::new(Mti::NETWORK_REQUEST);
            message.set(11, format!("{:06}", number % 1_000_000));
            let mut builder = iso8583::MessageBuilder::new(message.mti());
            builder.bytes(11, message.get(11).unwrap());
            builder.bytes(44, "x".repeat(1 + number % 7).as_bytes());
            let mut bytes = Vec::new();
            dialect.encode(&builder, &mut bytes).unwrap();
            let at = OffsetDateTime::UNIX_EPOCH;
            log.add(&host, Direction::Received, (&message, &bytes), at);
        }
        let listed = |after_position| {
            let query = MessageQuery {
                after_position,
                limit: 2,
                host: None,
                rrn: None,
            };
            let (messages, _) = log.list(&query);
            let shown = messages.iter().map(|message| {
                let private = message.elements().into_iter().find(|it| it.de == 44);
                let length = private.map(|it| it.value_masked.len());
                (message.position, message.stan().to_owned(), length)
            });
            shown.collect::<Vec<_>>()
        };
        let expected = |number: usize| {
            let position = u64::try_from(number).unwrap();
            (position, format!("{number:06}"), Some(1 + number % 7))
        };
        let oldest = forgotten + 1;
        assert_eq!(listed(0), [expected(oldest), expected(oldest + 1)]);
        let newest = MAX_LOGGED_MESSAGES + forgotten;
        let newest_position = u64::try_from(newest).unwrap();
        assert_eq!(listed(newest_position - 1), [expected(newest)]);
        assert_eq!(listed(newest_position), []);
        log.decided(1, Effect::Held, true);
        log.decided(newest_position, Effect::Held, true);
        let (messages, _) = log.list(&MessageQuery {
            after_position: newest_position - 2,
            limit: 2,
            host: Some("issuer-a"),
            rrn: None,
        });
        let effects = messages
            .iter()
            .map(|message| (message.effect, message.is_repeat));
        assert!(effects.eq([(Effect::None, false), (Effect::Held, true)]));
    }
}
