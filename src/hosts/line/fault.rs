//! Why a line was lost: what an operator reads in the status, the log and the notice.

use std::time::Duration;

use crate::payment::decline::ResponseCode;

use super::network::NetworkFunction;
use super::outbound::{WRITE_BYTES_LIMIT, WRITE_TIMEOUT};
use super::unmatched::FLOOD;

/// Why a line was lost.
#[derive(Debug, thiserror::Error)]
pub(super) enum LineFault {
    #[error("failed to connect: {0}")]
    Connect(#[source] std::io::Error),
    #[error("connecting took longer than {} ms", .0.as_millis())]
    ConnectTimeout(Duration),
    #[error("the TLS handshake failed: {0}")]
    Tls(#[source] std::io::Error),
    #[error("the host's certificate is not trusted any more: {0}")]
    NotTrusted(#[source] rustls::Error),
    #[error("the host closed the connection")]
    Closed,
    #[error("the host signed off")]
    SignedOff,
    #[error("the connection broke: {0}")]
    Broken(#[source] std::io::Error),
    #[error("the host took nothing for {} ms", WRITE_TIMEOUT.as_millis())]
    WriteTimeout,
    #[error("the host did not take a request before its deadline")]
    WriteDeadline,
    #[error("the host takes nothing: {WRITE_BYTES_LIMIT} bytes wait to be written")]
    WriteBacklog,
    #[error("the {} could not be written: {detail}", .function.name())]
    NetworkRequest {
        function: NetworkFunction,
        detail: String,
    },
    #[error("the host did not answer the {} in time", .0.name())]
    NetworkTimeout(NetworkFunction),
    #[error("the host answered the {} with {}", .function.name(), .response_code.map_or_else(|| "no response code".to_owned(), |code| code.to_string()))]
    NetworkRefused {
        function: NetworkFunction,
        response_code: Option<ResponseCode>,
    },
    #[error("a message could not be read: {0}")]
    Undecodable(String),
    #[error("the host sent {FLOOD} messages within a minute that nobody waits for")]
    Flood,
    #[error("the line's task panicked")]
    Panic,
}

impl LineFault {
    /// Whether there was no connection yet.
    pub(super) fn is_of_connecting(&self) -> bool {
        matches!(
            self,
            Self::Connect(_) | Self::ConnectTimeout(_) | Self::Tls(_)
        )
    }
}
