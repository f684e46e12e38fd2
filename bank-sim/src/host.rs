//! A host, the same for an acquirer and an issuer: what it has beside its connections, what it decides, and the
//! answers that it keeps back until a reversal comes.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use iso8583::{
    Framing,
    mti::{Class, Function},
};
use tokio::sync::mpsc;

use crate::{
    acquirer::Acquirer,
    clock::Clock,
    codec::WireCodec,
    counters::Counters,
    faults::Faults,
    issuer::{ExchangeKey, Issuer, MessageKind},
    lines::Lines,
    message::BankMessage,
    message_log::{LoggedHost, MessageLog},
    outcome::{Decided, Outcome},
    random::HashMap,
};

/// How many requests of a host may wait for their reversals; further ones don't.
const MAX_WAITING_FOR_REVERSAL: usize = 16_384;

/// The part of a host that decides about messages.
#[derive(Debug)]
pub(crate) enum Role {
    /// Forwards to issuers.
    Acquirer(Acquirer),
    /// Holds accounts.
    Issuer(Box<Issuer>),
}

/// Everything about a host that outlives a stop and a start.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) name: Arc<str>,
    pub(crate) dialect_name: Arc<str>,
    pub(crate) logged: Arc<LoggedHost>,
    pub(crate) codec: WireCodec,
    pub(crate) framing: Framing,
    pub(crate) echo_idle: Option<Duration>,
    pub(crate) tls: Arc<rustls::ServerConfig>,
    pub(crate) role: Role,
    /// The lines that others have opened to it.
    pub(crate) lines: Arc<Lines>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) log: Arc<MessageLog>,
    pub(crate) faults: Arc<Faults>,
    /// Answers that wait for reversals ([`Misbehaviour::AnswerAfterReversal`]), by the requests' keys.
    pub(crate) until_reversed: Mutex<HashMap<ExchangeKey, UntilReversed>>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// An answer that is sent once the reversal of its request has come.
#[derive(Debug)]
pub(crate) struct UntilReversed {
    /// None while there is no answer yet.
    answer: Option<BankMessage>,
    /// The connection that the request came on.
    replies: mpsc::Sender<BankMessage>,
}

impl Host {
    /// What decides for an issuer; `None` for an acquirer.
    pub(crate) fn issuer(&self) -> Option<&Issuer> {
        match &self.role {
            Role::Acquirer(_) => None,
            Role::Issuer(issuer) => Some(issuer),
        }
    }

    /// What decides for an acquirer; `None` for an issuer.
    pub(crate) fn acquirer(&self) -> Option<&Acquirer> {
        match &self.role {
            Role::Acquirer(acquirer) => Some(acquirer),
            Role::Issuer(_) => None,
        }
    }

    /// Decides about a financial message, and logs what became of it.
    pub(crate) fn decide(
        &self,
        message: BankMessage,
        replies: &mpsc::Sender<BankMessage>,
        position: u64,
    ) -> Outcome {
        let is_repeat = message.mti().is_repeat();
        let decided = match &self.role {
            Role::Acquirer(acquirer) => acquirer.decide(message, replies),
            Role::Issuer(issuer) => issuer.decide(&message),
        };
        let Decided {
            outcome,
            effect,
            is_repeat: is_known,
        } = decided;
        self.log.decided(position, effect, is_repeat || is_known);
        outcome
    }

    fn until_reversed(&self) -> MutexGuard<'_, HashMap<ExchangeKey, UntilReversed>> {
        self.until_reversed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on the answer to this request waits for its reversal; whether that can be.
    pub(crate) fn keep_until_reversed(
        &self,
        request: &BankMessage,
        replies: &mpsc::Sender<BankMessage>,
    ) -> bool {
        let mut waiting = self.until_reversed();
        let Some(key) = key_of(request).filter(|_| waiting.len() < MAX_WAITING_FOR_REVERSAL) else {
            return false;
        };
        let replies = replies.clone();
        waiting.insert(
            key,
            UntilReversed {
                answer: None,
                replies,
            },
        );
        true
    }

    /// The answer, unless it waits for the reversal of its request.
    pub(crate) fn unless_until_reversed(&self, answer: BankMessage) -> Option<BankMessage> {
        let mut waiting = self.until_reversed();
        match key_of(&answer).and_then(|key| waiting.get_mut(&key)) {
            Some(until) => {
                until.answer = Some(answer);
                None
            }
            None => Some(answer),
        }
    }

    /// Sends the answer that waited for this message, if it is the reversal of its request.
    pub(crate) fn reversal_has_come(&self, message: &BankMessage) {
        if message.mti().class() != Class::Reversal {
            return;
        }
        let original = ExchangeKey::of_original(message).ok();
        let until = original.and_then(|original| self.until_reversed().remove(&original));
        if let Some((answer, replies)) = until.and_then(|it| Some((it.answer?, it.replies)))
            && replies.try_send(answer).is_err()
        {
            tracing::warn!(host.id = %self.name, "an answer is lost, its line is gone or does not read");
        }
    }
}

/// The key of a request (0100, 0200), from itself or from its answer.
fn key_of(message: &BankMessage) -> Option<ExchangeKey> {
    let kind = match (message.mti().class(), message.mti().function()) {
        (Class::Authorization, Function::Request | Function::RequestResponse) => {
            MessageKind::Authorization
        }
        (Class::Financial, Function::Request | Function::RequestResponse) => MessageKind::Financial,
        _ => return None,
    };
    ExchangeKey::of(message, kind).ok()
}
