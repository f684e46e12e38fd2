//! Client connections: who is connected, from where, since when.
//!
//! Every connection whose TLS handshake succeeded is recorded: when it came, from which address and
//! port, whose it turned out to be, and when it left. A client that can't be recorded is not served.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Duration, Instant, Sleep};
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;
use tracing::{debug, warn};

use super::records::ConnectionLog;
use crate::clock::Clock;
use crate::payment::ids::{ConnectionId, MerchantId};
use crate::payment::moment::UnixMillis;
use crate::store::records::ClientConnection;

/// How long a client may take from the TLS handshake to the first byte of HTTP/2.
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(10);

/// Records the connections of one server.
#[derive(Clone)]
pub(super) struct Recorder {
    log: Arc<dyn ConnectionLog>,
    clock: Arc<dyn Clock>,
}

impl Recorder {
    pub(super) fn new(log: Arc<dyn ConnectionLog>, clock: Arc<dyn Clock>) -> Self {
        Self { log, clock }
    }

    /// Records that a client came, and gives its handle; `None` when it can't be recorded, and then
    /// it is not served.
    pub(super) fn open(
        &self,
        id: ConnectionId,
        peer: SocketAddr,
        connected_at: UnixMillis,
        certificate: CertificateIdentity,
    ) -> Option<ConnectionHandle> {
        let identity = match &certificate {
            CertificateIdentity::Merchant(merchant_id) => {
                Some(format!("{merchant_id} by certificate"))
            }
            CertificateIdentity::None | CertificateIdentity::NoMerchant => None,
        };
        let opened = ClientConnection {
            id,
            peer_address: peer.ip().to_canonical().to_string(),
            peer_port: peer.port(),
            identity,
            connected_at,
        };
        if let Err(error) = self.log.opened(opened) {
            warn!(connection.id = %id, %peer, %error, "a client that can't be recorded was turned away");
            return None;
        }
        Some(ConnectionHandle(Arc::new(OpenConnection {
            id,
            peer,
            // A certificate has named the client already.
            identified: AtomicBool::new(matches!(certificate, CertificateIdentity::Merchant(_))),
            certificate,
            recorder: self.clone(),
        })))
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
#[derive(Clone)]
pub(super) struct ConnectionHandle(Arc<OpenConnection>);

struct OpenConnection {
    id: ConnectionId,
    peer: SocketAddr,
    certificate: CertificateIdentity,
    identified: AtomicBool,
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
        if self.0.identified.swap(true, Ordering::Relaxed) {
            return;
        }
        let id = self.0.id;
        let identity = format!("{merchant_id} by {api_key_id}");
        if let Err(error) = self.0.recorder.log.identified(id, &identity) {
            warn!(connection.id = %id, %error, "a client's identity was not recorded");
        }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        let (id, peer) = (self.id, self.peer);
        debug!(connection.id = %id, %peer, "a client left");
        let recorder = &self.recorder;
        if let Err(error) = recorder.log.closed(id, recorder.clock.now()) {
            warn!(connection.id = %id, %peer, %error, "that a client left was not recorded");
        }
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

    use super::super::records::RecordsUnavailable;
    use super::*;
    use crate::clock::ManualClock;

    #[derive(Default)]
    struct Memory {
        lines: Mutex<Vec<String>>,
        full: AtomicBool,
    }

    impl Memory {
        fn note(&self, line: String) -> Result<(), RecordsUnavailable> {
            if self.full.load(Ordering::Relaxed) {
                let reason = "full".to_owned();
                return Err(RecordsUnavailable { reason });
            }
            self.lines.lock().unwrap().push(line);
            Ok(())
        }
    }

    impl ConnectionLog for Memory {
        fn opened(&self, connection: ClientConnection) -> Result<(), RecordsUnavailable> {
            self.note(format!(
                "{} port {} at {}, {:?}",
                connection.peer_address,
                connection.peer_port,
                connection.connected_at.as_i64(),
                connection.identity,
            ))
        }

        fn identified(&self, _: ConnectionId, identity: &str) -> Result<(), RecordsUnavailable> {
            self.note(identity.to_owned())
        }

        fn closed(&self, _: ConnectionId, at: UnixMillis) -> Result<(), RecordsUnavailable> {
            self.note(format!("left at {}", at.as_i64()))
        }
    }

    fn setting() -> (Arc<Memory>, Arc<ManualClock>, Recorder) {
        let memory = Arc::new(Memory::default());
        let clock = Arc::new(ManualClock::at(UnixMillis::new(5000)));
        let recorder = Recorder::new(memory.clone(), clock.clone());
        (memory, clock, recorder)
    }

    fn open(
        recorder: &Recorder,
        peer: &str,
        certificate: CertificateIdentity,
    ) -> Option<ConnectionHandle> {
        let id = ConnectionId::from_parts(UnixMillis::new(1), [7; 10]);
        recorder.open(
            id,
            peer.parse().unwrap(),
            UnixMillis::new(4000),
            certificate,
        )
    }

    #[test]
    fn a_connection_is_recorded_from_coming_to_leaving() {
        let (memory, clock, recorder) = setting();
        let shop: MerchantId = "demo-shop".parse().unwrap();
        let handle = open(&recorder, "192.0.2.7:50123", CertificateIdentity::None).unwrap();
        let second = handle.clone();
        handle.identify(&shop, "pk_1");
        second.identify(&shop, "pk_2");
        drop(handle);
        clock.advance_ms(250);
        drop(second);
        let named = CertificateIdentity::Merchant(shop.clone());
        let handle = open(&recorder, "[::ffff:192.0.2.7]:50124", named).unwrap();
        handle.identify(&shop, "pk_1");
        drop(handle);
        assert_eq!(
            *memory.lines.lock().unwrap(),
            [
                "192.0.2.7 port 50123 at 4000, None",
                "demo-shop by pk_1",
                "left at 5250",
                "192.0.2.7 port 50124 at 4000, Some(\"demo-shop by certificate\")",
                "left at 5250",
            ]
        );
    }

    #[test]
    fn a_client_that_can_t_be_recorded_is_turned_away() {
        let (memory, _, recorder) = setting();
        memory.full.store(true, Ordering::Relaxed);
        assert!(open(&recorder, "192.0.2.7:50123", CertificateIdentity::None).is_none());
    }
}
