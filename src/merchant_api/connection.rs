//! Client connections: who is connected, from where, since when.
//!
//! Every connection whose TLS handshake succeeded is recorded: when it came, from which address and
//! port, whose it turned out to be, and when it left. Recording never holds up a payment: events go
//! through a bounded queue to one task, which hands them to the [`ConnectionLog`] in batches.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Duration, Instant, Sleep};
use tokio_rustls::server::TlsStream;
use tonic::async_trait;
use tonic::transport::server::Connected;
use tracing::{debug, warn};

use crate::clock::Clock;
use crate::payment::ids::{ConnectionId, MerchantId};
use crate::payment::moment::UnixMillis;

/// Events that wait to be recorded. When it is full, new connections wait to be opened.
const EVENT_QUEUE: usize = 4096;
/// Events that are recorded together at most.
const EVENT_BATCH: usize = 256;
/// How long a client may take from the TLS handshake to the first byte of HTTP/2.
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(10);

/// Something that happened to a client connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConnectionEvent {
    /// It came, and its TLS handshake succeeded.
    Opened {
        /// Its name.
        id: ConnectionId,
        /// The client's address and port.
        peer: SocketAddr,
        /// When it was accepted.
        connected_at: UnixMillis,
        /// The merchant that its client certificate names, if it has one.
        certificate_of: Option<MerchantId>,
    },
    /// A call on it was the first to be authenticated by an API key.
    Identified {
        /// Its name.
        id: ConnectionId,
        /// The merchant whose key it is.
        merchant_id: MerchantId,
        /// The public part of the API key, for instance `pk_5f0c9d2e8a71b364`.
        api_key_id: String,
    },
    /// It left.
    Closed {
        /// Its name.
        id: ConnectionId,
        /// When it left.
        disconnected_at: UnixMillis,
    },
}

/// Where client connections are recorded.
#[async_trait]
pub trait ConnectionLog: Send + Sync + 'static {
    /// Records what happened, in this order.
    ///
    /// # Errors
    /// When it can't be recorded; the events are then lost, and logged.
    async fn record(&self, events: &[ConnectionEvent]) -> Result<(), ConnectionsNotRecorded>;
}

/// The connection log is out of order.
#[derive(Debug, thiserror::Error)]
#[error("the client connections could not be recorded: {reason}")]
pub struct ConnectionsNotRecorded {
    /// What the store said.
    pub reason: String,
}

/// The way to the one task that records.
#[derive(Debug, Clone)]
pub(super) struct Recorder {
    events: mpsc::Sender<ConnectionEvent>,
    clock: Arc<dyn Clock>,
}

impl Recorder {
    /// Starts the task. It ends when the recorder and all connections are gone, and has then recorded
    /// everything.
    pub(super) fn start(
        log: Arc<dyn ConnectionLog>,
        clock: Arc<dyn Clock>,
    ) -> (Self, JoinHandle<()>) {
        let (events, received) = mpsc::channel(EVENT_QUEUE);
        (
            Self { events, clock },
            tokio::spawn(record_all(received, log)),
        )
    }

    /// Records that a connection came, and gives its handle.
    pub(super) async fn open(
        &self,
        id: ConnectionId,
        peer: SocketAddr,
        connected_at: UnixMillis,
        certificate: CertificateIdentity,
    ) -> ConnectionHandle {
        let certificate_of = match &certificate {
            CertificateIdentity::Merchant(merchant_id) => Some(merchant_id.clone()),
            CertificateIdentity::None | CertificateIdentity::NoMerchant => None,
        };
        let opened = ConnectionEvent::Opened {
            id,
            peer,
            connected_at,
            certificate_of,
        };
        if self.events.send(opened).await.is_err() {
            warn!(connection.id = %id, "the connection log has ended");
        }
        ConnectionHandle(Arc::new(ClientConnection {
            id,
            peer,
            certificate,
            identified: OnceLock::new(),
            recorder: self.clone(),
        }))
    }

    /// Records without waiting. A full queue is waited for aside, so that nothing is lost.
    fn note(&self, event: ConnectionEvent) {
        let Err(mpsc::error::TrySendError::Full(event)) = self.events.try_send(event) else {
            return;
        };
        let events = self.events.clone();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { events.send(event).await });
        }
    }
}

async fn record_all(mut received: mpsc::Receiver<ConnectionEvent>, log: Arc<dyn ConnectionLog>) {
    let mut batch = Vec::with_capacity(EVENT_BATCH);
    while received.recv_many(&mut batch, EVENT_BATCH).await > 0 {
        if let Err(error) = log.record(&batch).await {
            warn!(%error, lost = batch.len(), "client connections were not recorded");
        }
        batch.clear();
    }
}

/// What a client's certificate says about who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum CertificateIdentity {
    /// The client presented none.
    None,
    /// It names exactly one merchant.
    Merchant(MerchantId),
    /// It is trusted and names no merchant, or more than one.
    NoMerchant,
}

/// One client connection, as the calls on it see it.
#[derive(Debug, Clone)]
pub(super) struct ConnectionHandle(Arc<ClientConnection>);

#[derive(Debug)]
struct ClientConnection {
    id: ConnectionId,
    peer: SocketAddr,
    certificate: CertificateIdentity,
    identified: OnceLock<()>,
    recorder: Recorder,
}

impl ConnectionHandle {
    /// The connection's name.
    pub(super) fn id(&self) -> ConnectionId {
        self.0.id
    }

    /// Who the client's certificate says it is.
    pub(super) fn certificate(&self) -> &CertificateIdentity {
        &self.0.certificate
    }

    /// Records whose API key was used, the first time one is.
    pub(super) fn identify(&self, merchant_id: &MerchantId, api_key_id: &str) {
        if self.0.identified.set(()).is_ok() {
            self.0.recorder.note(ConnectionEvent::Identified {
                id: self.0.id,
                merchant_id: merchant_id.clone(),
                api_key_id: api_key_id.to_owned(),
            });
        }
    }
}

impl Drop for ClientConnection {
    fn drop(&mut self) {
        debug!(connection.id = %self.id, peer = %self.peer, "a client left");
        self.recorder.note(ConnectionEvent::Closed {
            id: self.id,
            disconnected_at: self.recorder.clock.now(),
        });
    }
}

/// An accepted connection: its bytes, its place among the connections, and its record.
pub(super) struct ClientStream {
    tls: TlsStream<TcpStream>,
    handle: ConnectionHandle,
    /// Set until the first byte came. A client that says nothing after its handshake would otherwise
    /// keep its place for ever: HTTP/2 keep-alive begins with HTTP/2.
    first_byte_by: Option<Pin<Box<Sleep>>>,
    _place: OwnedSemaphorePermit,
}

impl ClientStream {
    /// A connection whose handshake has succeeded.
    pub(super) fn new(
        tls: TlsStream<TcpStream>,
        handle: ConnectionHandle,
        place: OwnedSemaphorePermit,
    ) -> Self {
        let first_byte_by = Instant::now() + FIRST_BYTE_TIMEOUT;
        Self {
            tls,
            handle,
            first_byte_by: Some(Box::pin(tokio::time::sleep_until(first_byte_by))),
            _place: place,
        }
    }
}

impl Connected for ClientStream {
    type ConnectInfo = ConnectionHandle;

    fn connect_info(&self) -> ConnectionHandle {
        self.handle.clone()
    }
}

impl AsyncRead for ClientStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let read = Pin::new(&mut this.tls).poll_read(cx, buf);
        if let Some(deadline) = &mut this.first_byte_by {
            if buf.filled().len() > before {
                this.first_byte_by = None;
            } else if read.is_pending() && deadline.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
        }
        read
    }
}

impl AsyncWrite for ClientStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().tls).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().tls).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.tls.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tls).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tls).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::clock::ManualClock;

    #[derive(Default)]
    struct Memory(Mutex<Vec<ConnectionEvent>>);

    #[async_trait]
    impl ConnectionLog for Memory {
        async fn record(&self, events: &[ConnectionEvent]) -> Result<(), ConnectionsNotRecorded> {
            self.0.lock().unwrap().extend_from_slice(events);
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_connection_is_recorded_from_coming_to_leaving() {
        let memory = Arc::new(Memory::default());
        let clock = Arc::new(ManualClock::at(UnixMillis::new(5000)));
        let (recorder, task) = Recorder::start(memory.clone(), clock.clone());
        let id = ConnectionId::from_parts(UnixMillis::new(1), [7; 10]);
        let peer: SocketAddr = "192.0.2.7:50123".parse().unwrap();
        let shop: MerchantId = "demo-shop".parse().unwrap();
        let handle = recorder
            .open(id, peer, UnixMillis::new(4000), CertificateIdentity::None)
            .await;
        drop(recorder);
        let second = handle.clone();
        handle.identify(&shop, "pk_1");
        second.identify(&shop, "pk_2");
        drop(handle);
        clock.advance_ms(250);
        drop(second);
        task.await.unwrap();
        assert_eq!(
            *memory.0.lock().unwrap(),
            [
                ConnectionEvent::Opened {
                    id,
                    peer,
                    connected_at: UnixMillis::new(4000),
                    certificate_of: None,
                },
                ConnectionEvent::Identified {
                    id,
                    merchant_id: shop,
                    api_key_id: "pk_1".into(),
                },
                ConnectionEvent::Closed {
                    id,
                    disconnected_at: UnixMillis::new(5250),
                },
            ]
        );
    }
}
