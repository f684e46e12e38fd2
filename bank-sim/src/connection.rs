//! One connection of a host: what comes on it, what is answered, and what goes wrong with answers on demand.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use iso8583::{Mti, mti::Class};
use thiserror::Error;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep_until},
};
use tokio_rustls::server::TlsStream;

use crate::{
    clock::transmission_date_time,
    faults::Misbehaviour,
    host::Host,
    iso8583_rs_codec::CodecError,
    line::{Line, LineError},
    lines::{ListedLine, OwnRequest},
    message::{BankMessage, Unreadable, echoed_des},
    message_log::Direction,
    net::Stream,
    network,
    outcome::Outcome,
    random::HashMap,
    response_code::ResponseCode,
};

/// How many messages of a connection are decided before their answers are written.
const MESSAGES_AT_A_TIME: usize = 256;

/// How many answers of issuers may wait for a connection of the acquirer; further ones are lost.
const MAX_RELAYED_ANSWERS: usize = 16_384;

/// How many answers of a connection may be delayed at once; further late ones are never sent.
const MAX_DELAYED_ANSWERS: usize = 16_384;

/// How many answers of a connection may have a fault before them; further ones have none.
const MAX_FAULTY_ANSWERS: usize = 16_384;

/// Why a connection ended.
#[derive(Debug, Error)]
pub(crate) enum ConnectionEnd {
    #[error("{0}")]
    Line(#[from] LineError),
    #[error("a frame is no message, and too little of it can be read to answer: {reason}")]
    Unanswerable { reason: String },
    #[error("a fault that was asked for")]
    Fault,
    #[error("{0}")]
    Codec(#[from] CodecError),
}

/// One connection of a host.
pub(crate) struct Connection {
    host: Arc<Host>,
    line: Line<TlsStream<Stream>>,
    is_signed_on: bool,
    listed: ListedLine,
    /// What the host sends by itself.
    own_requests: mpsc::Receiver<OwnRequest>,
    /// Where answers to the host's own requests go, by their message type and DE 11.
    awaited: HashMap<(Mti, [u8; 6]), oneshot::Sender<BankMessage>>,
    /// What goes wrong with answers, by their message type and DE 11.
    faulty_answers: HashMap<(Mti, [u8; 6]), Misbehaviour>,
    /// Answers that come from elsewhere: from issuers, or after a reversal.
    relay: mpsc::Sender<BankMessage>,
    relayed: mpsc::Receiver<BankMessage>,
    delayed: BTreeMap<(Instant, u64), BankMessage>,
    delayed_so_far: u64,
    last_traffic: Instant,
    last_stan: u32,
}

impl Connection {
    pub(crate) fn new(host: Arc<Host>, stream: TlsStream<Stream>, peer: SocketAddr) -> Self {
        let (listed, own_requests) = host.lines.list(peer);
        let (relay, relayed) = mpsc::channel(MAX_RELAYED_ANSWERS);
        Self {
            faulty_answers: HashMap::default(),
            line: Line::new(stream, host.framing),
            host,
            is_signed_on: false,
            listed,
            own_requests,
            awaited: HashMap::default(),
            relay,
            relayed,
            delayed: BTreeMap::new(),
            delayed_so_far: 0,
            last_traffic: Instant::now(),
            last_stan: 0,
        }
    }

    /// Answers what comes until the connection ends; why it did.
    pub(crate) async fn run(&mut self) -> ConnectionEnd {
        loop {
            if let Err(end) = self.step().await {
                return end;
            }
        }
    }

    /// Closes the line, within a limit.
    pub(crate) async fn close(&mut self, limit: Duration) {
        self.line.close(limit).await;
    }

    async fn step(&mut self) -> Result<(), ConnectionEnd> {
        let next_delayed = self.delayed.first_key_value().map(|((at, _), _)| *at);
        let next_echo = self.host.echo_idle.filter(|_| self.is_signed_on);
        let next_echo = next_echo.map(|idle| self.last_traffic + idle);
        let now = Instant::now();
        let mut answers = Vec::new();
        tokio::select! {
            _ = self.relayed.recv_many(&mut answers, MESSAGES_AT_A_TIME) => {}
            read = self.line.read_while_writing() => {
                read?;
                self.last_traffic = Instant::now();
                return self.decide_all().await;
            }
            () = sleep_until(next_delayed.unwrap_or(now)), if next_delayed.is_some() => {
                answers = self.due_answers();
            }
            () = sleep_until(next_echo.unwrap_or(now)), if next_echo.is_some() => {
                answers.push(self.echo());
            }
            Some(request) = self.own_requests.recv() => {
                answers.push(self.own_request(request));
            }
        }
        self.send(answers).await
    }

    /// Decides about every whole frame that has been read.
    async fn decide_all(&mut self) -> Result<(), ConnectionEnd> {
        loop {
            let (frames, consumed) = self
                .line
                .frames(MESSAGES_AT_A_TIME)
                .map_err(LineError::from)?;
            if frames.is_empty() {
                return Ok(());
            }
            let input = self.line.input();
            // An empty frame only keeps the line open.
            let payloads: Vec<&[u8]> = frames
                .iter()
                .filter_map(|(begin, end)| input.get(*begin..*end))
                .filter(|payload| !payload.is_empty())
                .collect();
            let messages = self.host.codec.decode(&payloads).await?;
            let host = &self.host;
            let at = host.clock.now_utc();
            let received: Vec<_> = messages
                .into_iter()
                .zip(payloads)
                .map(|(message, payload)| {
                    message.map(|message| {
                        let (logged, way) = (&host.logged, Direction::Received);
                        let position = host.log.add(logged, way, (&message, payload), at);
                        (position, message)
                    })
                })
                .collect();
            self.line.consume(consumed);
            let mut answers = Vec::with_capacity(received.len());
            let mut unanswerable = None;
            for message in received {
                match self.decide(message) {
                    Ok(Outcome::Answer(answer)) => answers.push(answer),
                    Ok(Outcome::AnswerAfter(delay, answer)) => self.delay(delay, answer),
                    Ok(Outcome::Nothing) => {}
                    Err(end) => {
                        unanswerable = Some(end);
                        break;
                    }
                }
            }
            // The messages before the bad frame are answered all the same.
            self.send(answers).await?;
            if let Some(end) = unanswerable {
                return Err(end);
            }
        }
    }

    fn decide(
        &mut self,
        message: Result<(u64, BankMessage), Unreadable>,
    ) -> Result<Outcome, ConnectionEnd> {
        let (position, message) = match message {
            Ok(received) => received,
            Err(unreadable) => return self.refuse_format(unreadable),
        };
        self.host.counters.received(message.mti());
        if !message.mti().is_request() {
            let key = key_of(message.mti(), &message);
            if let Some(awaited) = key.and_then(|key| self.awaited.remove(&key)) {
                // Whoever waited may have given up.
                let _ = awaited.send(message);
            }
            return Ok(Outcome::Nothing);
        }
        match self.host.faults.strike(&self.host.name, &message) {
            None => {
                if let Some(key) = key_of_answer(&message) {
                    self.faulty_answers.remove(&key);
                }
            }
            Some(Misbehaviour::DropRequest) => return Ok(Outcome::Nothing),
            Some(misbehaviour) => {
                let can_wait = misbehaviour != Misbehaviour::AnswerAfterReversal
                    || self.host.keep_until_reversed(&message, &self.relay);
                if let Some(key) = key_of_answer(&message)
                    && can_wait
                    && self.faulty_answers.len() < MAX_FAULTY_ANSWERS
                {
                    self.faulty_answers.insert(key, misbehaviour);
                }
            }
        }
        if message.mti().class() == Class::NetworkManagement {
            let code = network::decide(&message, &mut self.is_signed_on);
            self.listed.set_signed_on(self.is_signed_on);
            return Ok(Outcome::answer_with(&message, code));
        }
        if !self.is_signed_on {
            return Ok(Outcome::answer_with(&message, ResponseCode::INOPERATIVE));
        }
        self.host.reversal_has_come(&message);
        Ok(self.host.decide(message, &self.relay, position))
    }

    /// The answers as the faults let them be.
    fn under_faults(
        &mut self,
        answers: Vec<BankMessage>,
    ) -> Result<Vec<BankMessage>, ConnectionEnd> {
        let mut sent = Vec::with_capacity(answers.len());
        for mut answer in answers {
            let stan = answer.get(11).and_then(|stan| stan.try_into().ok());
            let key = stan.map(|stan| (answer.mti(), stan));
            match key.and_then(|key| self.faulty_answers.remove(&key)) {
                // Such a request was passed over when it came.
                None | Some(Misbehaviour::DropRequest) => sent.push(answer),
                Some(Misbehaviour::AnswerAfterReversal) => {
                    sent.extend(self.host.unless_until_reversed(answer));
                }
                Some(Misbehaviour::DropResponse) => {}
                Some(Misbehaviour::Close) => return Err(ConnectionEnd::Fault),
                Some(Misbehaviour::Delay(delay)) => self.delay(delay, answer),
                Some(Misbehaviour::Duplicate(more)) => {
                    sent.extend((0..more).map(|_| answer.clone()));
                    sent.push(answer);
                }
                Some(Misbehaviour::Change(de, value)) => {
                    match value {
                        Some(value) => answer.set(de, value),
                        None => answer.unset(de),
                    }
                    sent.push(answer);
                }
            }
        }
        Ok(sent)
    }

    /// A frame that is no message is answered with 30 when MTI and STAN could be read. Without them the
    /// answer could not be matched, and the line is dropped.
    fn refuse_format(&self, unreadable: Unreadable) -> Result<Outcome, ConnectionEnd> {
        let Unreadable { reason, partial } = unreadable;
        let answer = partial
            .filter(|partial| partial.text(11).is_some())
            .and_then(|partial| {
                self.host.counters.received(partial.mti());
                let echoed = echoed_des(partial.mti().class());
                partial.answer(echoed, ResponseCode::FORMAT_ERROR)
            });
        let Some(answer) = answer else {
            return Err(ConnectionEnd::Unanswerable { reason });
        };
        let stan = answer.text(11).unwrap_or_default();
        tracing::warn!(host.id = %self.host.name, stan, %reason, "a message was refused with 30");
        Ok(Outcome::Answer(answer))
    }

    fn delay(&mut self, delay: Duration, answer: BankMessage) {
        if self.delayed.len() >= MAX_DELAYED_ANSWERS {
            tracing::warn!(host.id = %self.host.name, "a late answer is never sent, too many are delayed");
            return;
        }
        self.delayed_so_far += 1;
        self.delayed
            .insert((Instant::now() + delay, self.delayed_so_far), answer);
    }

    fn due_answers(&mut self) -> Vec<BankMessage> {
        let now = Instant::now();
        let mut due = Vec::new();
        while let Some(first) = self.delayed.first_entry()
            && first.key().0 <= now
        {
            due.push(first.remove());
        }
        due
    }

    /// An echo of the host's own; its answer is read like any other and never answered.
    fn echo(&mut self) -> BankMessage {
        let sent_at = transmission_date_time(self.host.clock.now_utc());
        let is_of_1993 = self.host.codec.is_of_1993();
        let mut echo = network::request(network::ECHO, is_of_1993, &sent_at);
        echo.set(11, self.next_stan());
        echo
    }

    /// A request of the host's own, ready to be sent; its answer is awaited.
    fn own_request(&mut self, request: OwnRequest) -> BankMessage {
        let OwnRequest {
            mut message,
            answer,
        } = request;
        message.set(11, self.next_stan());
        self.awaited.retain(|_, awaited| !awaited.is_closed());
        if let Some(key) = key_of_answer(&message) {
            self.awaited.insert(key, answer);
        }
        message
    }

    /// The STAN of the host's next request on this line.
    fn next_stan(&mut self) -> String {
        self.last_stan = self.last_stan % 999_999 + 1;
        format!("{:06}", self.last_stan)
    }

    async fn send(&mut self, mut messages: Vec<BankMessage>) -> Result<(), ConnectionEnd> {
        if !self.faulty_answers.is_empty() {
            messages = self.under_faults(messages)?;
        }
        if messages.is_empty() {
            return Ok(());
        }
        self.last_traffic = Instant::now();
        let framing = self.line.framing();
        let host = &self.host;
        let at = host.clock.now_utc();
        host.codec
            .encode(
                &messages,
                framing,
                self.line.output(),
                |message, payload| match payload {
                    Ok(payload) => {
                        host.counters.sent(message.mti());
                        let sent = (message, payload);
                        host.log.add(&host.logged, Direction::Sent, sent, at);
                    }
                    Err(reason) => tracing::error!(
                        host.id = %host.name,
                        mti = %message.mti(),
                        stan = message.text(11).unwrap_or("?"),
                        reason,
                        "a message cannot be encoded in this host's dialect and is not sent"
                    ),
                },
            )
            .await?;
        Ok(())
    }
}

/// What tells the answer to a request.
fn key_of_answer(request: &BankMessage) -> Option<(Mti, [u8; 6])> {
    key_of(request.mti().response()?, request)
}

fn key_of(mti: Mti, message: &BankMessage) -> Option<(Mti, [u8; 6])> {
    Some((mti, message.get(11)?.try_into().ok()?))
}
