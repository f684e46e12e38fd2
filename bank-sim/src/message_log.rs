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

use crate::{clock::Clock, message::BankMessage, outcome::Effect};

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
#[derive(Debug)]
pub(crate) struct MessageLog {
    messages: Mutex<VecDeque<LoggedMessage>>,
    /// The position of the newest message; told only while somebody listens.
    newest: watch::Sender<u64>,
    clock: Arc<dyn Clock>,
}

/// The host at whose line a message is logged, and how it is read.
#[derive(Debug, Clone)]
pub(crate) struct LoggedHost {
    pub(crate) name: Arc<str>,
    pub(crate) dialect: Arc<Dialect>,
}

impl MessageLog {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            messages: Mutex::new(VecDeque::new()),
            newest: watch::Sender::new(0),
            clock,
        }
    }

    /// Adds a message; its position.
    pub(crate) fn add(
        &self,
        host: &LoggedHost,
        direction: Direction,
        message: &BankMessage,
        bytes: &[u8],
    ) -> u64 {
        let element = |de| message.get(de);
        let mut logged = LoggedMessage {
            position: 1,
            host: Arc::clone(&host.name),
            direction,
            mti: message.mti(),
            at: self.clock.now_utc(),
            is_repeat: false,
            effect: Effect::None,
            dialect: Arc::clone(&host.dialect),
            bytes: Box::from(bytes),
            stan: element(11).and_then(|stan| stan.try_into().ok()),
            rrn: element(37).and_then(|rrn| rrn.try_into().ok()),
        };
        let mut messages = self.messages();
        if let Some(newest) = messages.back() {
            logged.position = newest.position + 1;
        }
        let position = logged.position;
        if messages.len() >= MAX_LOGGED_MESSAGES {
            messages.pop_front();
        }
        messages.push_back(logged);
        drop(messages);
        if self.newest.receiver_count() > 0 {
            self.newest.send_replace(position);
        }
        position
    }

    /// Notes what became of a message; nothing when it is forgotten.
    pub(crate) fn decided(&self, position: u64, effect: Effect, is_repeat: bool) {
        let mut messages = self.messages();
        let first = messages.front().map_or(0, |first| first.position);
        let index = position.checked_sub(first);
        let index = index.and_then(|index| usize::try_from(index).ok());
        if let Some(logged) = index.and_then(|index| messages.get_mut(index)) {
            logged.effect = effect;
            logged.is_repeat |= is_repeat;
        }
    }

    /// The messages that a query means, oldest first, and the position to go on after.
    pub(crate) fn list(&self, query: &MessageQuery<'_>) -> (Vec<LoggedMessage>, u64) {
        let messages = self.messages();
        let mut found = Vec::new();
        let mut position = query.after_position;
        let begin = messages.partition_point(|logged| logged.position <= query.after_position);
        for logged in messages.range(begin..) {
            if found.len() >= query.limit {
                break;
            }
            position = logged.position;
            if query.host.is_none_or(|host| *host == *logged.host)
                && query.rrn.is_none_or(|rrn| rrn == logged.rrn())
            {
                found.push(logged.clone());
            }
        }
        (found, position)
    }

    /// Tells the position of the newest message whenever there is one.
    pub(crate) fn follow(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    fn messages(&self) -> MutexGuard<'_, VecDeque<LoggedMessage>> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
