//! One connection of a link: signs on, sends requests, matches answers.

use iso8583::Mti;
use thiserror::Error;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};
use tokio_rustls::client::TlsStream;

use super::{
    in_flight::is_network,
    link::{Forward, Link, LinkTarget},
};
use crate::{
    clock::transmission_date_time,
    iso8583_rs_codec::CodecError,
    line::{Line, LineError},
    message::{BankMessage, ECHOED_NETWORK_DES},
    net::Stream,
    network,
    response_code::ResponseCode,
};

/// How many requests or answers are handled before the line is looked at again.
const MESSAGES_AT_A_TIME: usize = 256;

/// Why a connection of a link ended.
#[derive(Debug, Error)]
pub(super) enum SessionEnd {
    #[error("the issuer refused the sign-on with {code}")]
    SignOnRefused { code: String },
    #[error("{0}")]
    Line(#[from] LineError),
    #[error("{0}")]
    Codec(#[from] CodecError),
    #[error("the issuer sent what is no message: {reason}")]
    Unreadable { reason: String },
}

pub(super) struct Session<'a> {
    link: &'a Link,
    target: &'a LinkTarget,
    line: Line<TlsStream<Stream>>,
    last_traffic: Instant,
}

impl<'a> Session<'a> {
    pub(super) fn new(link: &'a Link, target: &'a LinkTarget, stream: TlsStream<Stream>) -> Self {
        Self {
            link,
            target,
            line: Line::new(stream, target.framing),
            last_traffic: Instant::now(),
        }
    }

    pub(super) async fn sign_on(&mut self) -> Result<(), SessionEnd> {
        let request = self.network_request(network::SIGN_ON);
        let stan = request.get(11).map(<[u8]>::to_vec);
        self.send(&[request]).await?;
        loop {
            self.line.read_while_writing().await?;
            for answer in self.read().await? {
                if !is_network(answer.mti()) || answer.get(11) != stan.as_deref() {
                    continue;
                }
                return match answer.text(39) {
                    Some("00") => Ok(()),
                    code => Err(SessionEnd::SignOnRefused {
                        code: code.unwrap_or("nothing").to_owned(),
                    }),
                };
            }
        }
    }

    pub(super) async fn step(
        &mut self,
        queued: &mut mpsc::Receiver<Forward>,
    ) -> Result<(), SessionEnd> {
        let mut batch = Vec::new();
        let next_echo = self
            .link
            .settings
            .echo_idle
            .map(|idle| self.last_traffic + idle);
        tokio::select! {
            _ = queued.recv_many(&mut batch, MESSAGES_AT_A_TIME) => self.forward(batch).await,
            read = self.line.read_while_writing() => {
                read?;
                self.relay().await
            }
            () = sleep_until(next_echo.unwrap_or(self.last_traffic)), if next_echo.is_some() => {
                let echo = self.network_request(network::ECHO);
                self.send(&[echo]).await
            }
        }
    }

    /// Notes what is about to be sent, then sends it.
    async fn forward(&mut self, batch: Vec<Forward>) -> Result<(), SessionEnd> {
        let now = Instant::now();
        let mut messages = Vec::with_capacity(batch.len());
        {
            let mut in_flight = self.link.in_flight();
            for forward in batch {
                let Forward {
                    message,
                    request,
                    replies,
                } = forward;
                if in_flight.insert(&message, request, replies, now) {
                    messages.push(message);
                }
            }
        }
        self.send(&messages).await
    }

    /// Hands the issuer's answers on, and answers its requests.
    async fn relay(&mut self) -> Result<(), SessionEnd> {
        self.last_traffic = Instant::now();
        loop {
            let messages = self.read().await?;
            if messages.is_empty() {
                return Ok(());
            }
            let mut own_answers = Vec::new();
            for message in messages {
                if message.mti().is_request() {
                    own_answers.extend(answer_to_issuer(&message));
                } else if !is_network(message.mti()) {
                    self.relay_one(&message);
                }
            }
            self.send(&own_answers).await?;
        }
    }

    fn relay_one(&self, answer: &BankMessage) {
        let taken = self.link.in_flight().take(answer);
        match taken {
            Ok(waiting) => {
                let code = answer.text(39).and_then(ResponseCode::parse);
                let code = code.unwrap_or(ResponseCode::SYSTEM_MALFUNCTION);
                self.link
                    .answer(&waiting.request, &waiting.replies, code, Some(answer));
            }
            Err(reason) => tracing::warn!(
                host.id = %self.link.settings.host,
                issuer = %self.link.settings.issuer,
                mti = %answer.mti(),
                stan = answer.text(11).unwrap_or("?"),
                ?reason,
                "an issuer's answer matches no request in flight"
            ),
        }
    }

    /// The messages that have been read and not been taken yet.
    async fn read(&mut self) -> Result<Vec<BankMessage>, SessionEnd> {
        let (frames, consumed) = self
            .line
            .frames(MESSAGES_AT_A_TIME)
            .map_err(LineError::from)?;
        let input = self.line.input();
        let payloads: Vec<&[u8]> = frames
            .iter()
            .filter_map(|(begin, end)| input.get(*begin..*end))
            .filter(|payload| !payload.is_empty())
            .collect();
        let decoded = self.target.codec.decode(&payloads).await?;
        self.line.consume(consumed);
        let mut messages = Vec::with_capacity(decoded.len());
        for message in decoded {
            let message = message.map_err(|unreadable| SessionEnd::Unreadable {
                reason: unreadable.reason,
            })?;
            self.link.counters.received(message.mti());
            messages.push(message);
        }
        Ok(messages)
    }

    fn network_request(&self, code: &str) -> BankMessage {
        let settings = &self.link.settings;
        let mut request = BankMessage::new(Mti::NETWORK_REQUEST);
        request.set(7, transmission_date_time(settings.clock.now_utc()));
        request.set(11, self.link.next_stan());
        request.set(33, &settings.institution_id);
        request.set(70, code);
        request
    }

    async fn send(&mut self, messages: &[BankMessage]) -> Result<(), SessionEnd> {
        if messages.is_empty() {
            return Ok(());
        }
        self.last_traffic = Instant::now();
        let framing = self.line.framing();
        let link = self.link;
        self.target
            .codec
            .encode(
                messages,
                framing,
                self.line.output(),
                |message, payload| match payload {
                    Ok(_) => link.counters.sent(message.mti()),
                    Err(reason) => link.refuse_unencodable(message, &reason),
                },
            )
            .await?;
        Ok(())
    }
}

/// An issuer may ask for an echo; it has nothing else to ask of an acquirer.
fn answer_to_issuer(request: &BankMessage) -> Option<BankMessage> {
    let code = match (is_network(request.mti()), request.text(70)) {
        (true, Some(network::ECHO)) => ResponseCode::APPROVED,
        _ => ResponseCode::INVALID_TRANSACTION,
    };
    request.answer(ECHOED_NETWORK_DES, code)
}
