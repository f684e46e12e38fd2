//! A switch's end of a line.

use std::{net::SocketAddr, time::Duration};

use bank_sim::{RunningSim, net::Stream};
use iso8583::{Dialect, Framing, Message, MessageBuilder, Mti, Prefix};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};
use tokio_rustls::client::TlsStream;

use crate::pki::{HostPki, client_config, connect_tls};

/// Long enough for a busy machine; only a test that fails waits as long.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// A switch's end of a line.
pub(crate) struct Switch {
    pub(crate) stream: TlsStream<Stream>,
    pub(crate) dialect: Dialect,
    pub(crate) framing: Framing,
    input: Vec<u8>,
    stan: u32,
}

impl Switch {
    pub(crate) async fn connect(sim: &RunningSim, host: &str, pki: &HostPki) -> Self {
        let summary = sim.hosts().find(|summary| summary.name == host).unwrap();
        let dialect = Dialect::builtin(summary.dialect).unwrap();
        Self::connect_to(summary.address, host, pki, dialect, summary.framing).await
    }

    pub(crate) async fn connect_to(
        address: SocketAddr,
        host: &str,
        pki: &HostPki,
        dialect: Dialect,
        framing: Framing,
    ) -> Self {
        let identity = Some((pki.client_certificate.as_str(), pki.client_key.as_str()));
        let config = client_config(&pki.ca, identity, &[&rustls::version::TLS13]);
        let stream = connect_tls(address, host, config).await.unwrap();
        Self {
            stream,
            dialect,
            framing,
            input: Vec::new(),
            stan: 0,
        }
    }

    pub(crate) fn next_stan(&mut self) -> String {
        self.stan += 1;
        format!("{:06}", self.stan)
    }

    pub(crate) fn frame(&self, message: &MessageBuilder) -> Vec<u8> {
        let mut out = Vec::new();
        self.framing
            .write(&mut out, |out| self.dialect.encode(message, out))
            .unwrap();
        out
    }

    pub(crate) async fn send(&mut self, message: &MessageBuilder) {
        let frame = self.frame(message);
        self.write(&frame).await;
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Writes to a line that the host may have closed.
    pub(crate) async fn write_anyhow(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
        let _ = self.stream.flush().await;
    }

    pub(crate) fn echo(&mut self) -> MessageBuilder {
        let mut request = MessageBuilder::new(Mti::NETWORK_REQUEST);
        let stan = self.next_stan();
        request
            .text(7, "1121120000")
            .text(11, &stan)
            .text(70, "301");
        request
    }

    /// The next message, or `None` when the host closed the line.
    pub(crate) async fn receive_or_end(&mut self) -> Option<Answer> {
        let reading = async {
            loop {
                if let Some((begin, end)) = self.framing.split(&self.input).unwrap() {
                    let payload: Vec<u8> = self.input.drain(..end).skip(begin).collect();
                    return Some(Answer::of(&self.dialect.decode(&payload).unwrap()));
                }
                match self.stream.read_buf(&mut self.input).await {
                    Ok(0) | Err(_) => return None,
                    Ok(_) => {}
                }
            }
        };
        timeout(LIMIT, reading)
            .await
            .expect("the host answers or closes in time")
    }

    pub(crate) async fn receive(&mut self) -> Answer {
        self.receive_or_end().await.expect("the line stays open")
    }

    pub(crate) async fn ask(&mut self, message: &MessageBuilder) -> Answer {
        self.send(message).await;
        self.receive().await
    }

    /// Sends a 0800 and returns DE 39 of its answer.
    pub(crate) async fn network(&mut self, code: &str) -> String {
        let mut request = MessageBuilder::new(Mti::NETWORK_REQUEST);
        let stan = self.next_stan();
        request.text(7, "1121120000").text(11, &stan).text(70, code);
        let answer = self.ask(&request).await;
        assert_eq!(answer.mti, "0810");
        assert_eq!(answer.text(11), Some(stan.as_str()));
        assert_eq!(answer.text(70), Some(code));
        answer.code()
    }

    /// A payment with the next STAN and an RRN made of it.
    pub(crate) fn payment(
        &mut self,
        mti: Mti,
        pan: &str,
        amount_minor: u64,
        currency: &str,
    ) -> MessageBuilder {
        let stan = self.next_stan();
        let mut message = MessageBuilder::new(mti);
        message
            .text(2, pan)
            .text(3, "000000")
            .number(4, amount_minor)
            .text(7, "1121120000")
            .text(11, &stan)
            .text(12, "120000")
            .text(13, "1121")
            .text(14, "3012")
            .text(18, "5999")
            .text(22, "012")
            .text(25, "59")
            .text(32, "123456")
            .text(37, &format!("632512{stan}"))
            .text(41, "TERM0001")
            .text(42, "MERCHANT0000001")
            .text(43, "A shop                 Valletta       MT")
            .text(48, &cvv_element(pan))
            .text(49, currency);
        message
    }

    /// Signs on as the edition of 1993 says it.
    pub(crate) async fn sign_on_1993(&mut self) {
        let stan = self.next_stan();
        let mut request = MessageBuilder::new(Mti::NETWORK_REQUEST_1993);
        request
            .text(11, &stan)
            .text(12, "261129120000")
            .text(24, "801");
        assert_eq!(self.ask(&request).await.mti_and_code(), "1814 800");
    }

    /// A payment of the edition of 1993 with the next STAN and an RRN made of it.
    pub(crate) fn payment_of_1993(
        &mut self,
        mti: &str,
        pan: &str,
        amount_minor: u64,
    ) -> MessageBuilder {
        let stan = self.next_stan();
        let mut message = MessageBuilder::new(mti.parse().unwrap());
        message
            .text(2, pan)
            .text(3, "000000")
            .number(4, amount_minor)
            .text(11, &stan)
            .text(12, "261129120000")
            .text(14, "3012")
            .text(22, "100850100110")
            .text(24, "200")
            .text(32, "123456")
            .text(37, &format!("633312{stan}"))
            .text(41, "TERM0001")
            .text(42, "MERCHANT0000001")
            .text(48, &cvv_element(pan))
            .text(49, "978");
        message
    }

    pub(crate) fn authorization(&mut self, pan: &str, amount_minor: u64) -> MessageBuilder {
        self.payment(Mti::AUTHORIZATION_REQUEST, pan, amount_minor, "978")
    }

    /// The reversal of a message, under a STAN of its own.
    pub(crate) fn reversal(&mut self, original: &MessageBuilder) -> MessageBuilder {
        let mut message = MessageBuilder::new(Mti::REVERSAL_ADVICE);
        let stan = self.next_stan();
        for de in [2, 3, 4, 7, 12, 13, 32, 37, 41, 42, 49] {
            message.text(de, &original.text_of(de).unwrap());
        }
        message.number(4, original.text_of(4).unwrap().parse().unwrap());
        message.text(11, &stan).text(90, &original_data(original));
        message
    }
}

/// DE 90 of a message that refers to `original`.
pub(crate) fn original_data(original: &MessageBuilder) -> String {
    let mti = original.mti();
    let (stan, at) = (original.text_of(11).unwrap(), original.text_of(7).unwrap());
    format!(
        "{mti}{stan}{at}{:0>11}{:0>11}",
        original.text_of(32).unwrap(),
        ""
    )
}

/// DE 48 with the right CVV2 of a test card.
pub(crate) fn cvv_element(pan: &str) -> String {
    if pan.len() == 15 {
        "92041234".to_owned()
    } else {
        "9203123".to_owned()
    }
}

/// A message from a host, copied out of its frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) mti: String,
    pub(crate) header: Vec<u8>,
    fields: Vec<(u8, String)>,
}

impl Answer {
    fn of(message: &Message<'_>) -> Self {
        Self {
            mti: message.mti().to_string(),
            header: message.header().to_vec(),
            fields: message
                .iter_des()
                .filter_map(|de| Some((de, message.text(de)?.into_owned())))
                .collect(),
        }
    }

    pub(crate) fn text(&self, de: u8) -> Option<&str> {
        self.fields
            .iter()
            .find(|(number, _)| *number == de)
            .map(|(_, text)| text.as_str())
    }

    pub(crate) fn mti_and_code(&self) -> String {
        format!("{} {}", self.mti, self.code())
    }

    pub(crate) fn code(&self) -> String {
        self.text(39).expect("an answer has DE 39").to_owned()
    }
}

/// Framing of two binary bytes.
pub(crate) const BINARY_2: Framing = Framing::new(Prefix::Binary2);
