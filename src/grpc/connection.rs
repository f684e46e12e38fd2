//! Client connections: who is connected, from where, since when.
//!
//! Every connection whose TLS handshake succeeded is recorded: when it came, from which address and
//! port, whose it turned out to be, and when it left. A client that can't be recorded is not served.
//!
//! An unidentified client keeps its place only while it makes calls: without an API key that was accepted, or a
//! certificate that names a merchant or an operator, a connection ends 30 seconds after its last call of any
//! kind, or after its handshake. Health checks and reflection are such calls, so a load balancer's probes keep
//! their connections; a health `Watch` is one call, however long it lasts, and has to be started again. A
//! merchant that opens its connection early should expect to connect again. It ends earlier where another needs its
//! place ([`super::places`]).

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Duration, Instant, Sleep};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::transport::server::Connected;
use tracing::{debug, warn};

use super::places::{ConnectionPlace, share_of};
use super::records::ConnectionLog;
use super::shown::{Registered, ShownCertificate};
use super::tls::{CertificateIdentity, Party};
use crate::clock::Clock;
use crate::net::Stream;
use crate::payment::ids::ConnectionId;
use crate::payment::moment::UnixMillis;
use crate::store::records::callers::ClientConnection;

/// How long a client may take from the TLS handshake to the first byte of HTTP/2.
const FIRST_BYTE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an unidentified client may go without a call.
const UNIDENTIFIED_TIMEOUT: Duration = Duration::from_secs(30);

/// Records the connections of one server.
#[derive(Clone)]
pub(crate) struct Recorder {
    log: Arc<dyn ConnectionLog>,
    clock: Arc<dyn Clock>,
}

impl Recorder {
    pub(crate) fn new(log: Arc<dyn ConnectionLog>, clock: Arc<dyn Clock>) -> Self {
        Self { log, clock }
    }

    /// Records that a client came, and gives its handle; `None` when it can't be recorded, and then
    /// it is not served.
    pub(crate) fn open<P: Party>(
        &self,
        id: ConnectionId,
        peer: SocketAddr,
        connected_at: UnixMillis,
        certificate: CertificateIdentity<P>,
        place: ConnectionPlace<P>,
    ) -> Option<ConnectionHandle<P>> {
        let identity = match &certificate {
            CertificateIdentity::Named(party) => Some(format!("{}{party} by certificate", P::KIND)),
            CertificateIdentity::None | CertificateIdentity::Unnamed => None,
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
        // A certificate has named the client already.
        let (is_recorded, identified) = match &certificate {
            CertificateIdentity::Named(party) => (true, place.identify(party)),
            CertificateIdentity::None | CertificateIdentity::Unnamed => (false, false),
        };
        Some(ConnectionHandle(Arc::new(OpenConnection {
            id,
            peer,
            is_recorded: AtomicBool::new(is_recorded),
            identified: AtomicBool::new(identified),
            place,
            certificate,
            not_accepted: CertificateIdentity::Unnamed,
            shown: OnceLock::new(),
            opened: Instant::now(),
            last_call_ms: AtomicU64::new(0),
            recorder: self.clone(),
        })))
    }
}

/// One client connection, as the calls on it see it.
#[derive(Clone)]
pub(crate) struct ConnectionHandle<P: Party>(Arc<OpenConnection<P>>);

struct OpenConnection<P: Party> {
    id: ConnectionId,
    peer: SocketAddr,
    certificate: CertificateIdentity<P>,
    /// What the certificate says once it is not accepted any more.
    not_accepted: CertificateIdentity<P>,
    /// The certificate itself, where the client has shown one.
    shown: OnceLock<Arc<ShownCertificate>>,
    /// Whether it is recorded who the client is.
    is_recorded: AtomicBool,
    /// Whether its place is one of its party's share.
    identified: AtomicBool,
    place: ConnectionPlace<P>,
    opened: Instant,
    /// When the last call came while the client was unidentified, in milliseconds after `opened`.
    last_call_ms: AtomicU64,
    recorder: Recorder,
}

impl<P: Party> ConnectionHandle<P> {
    /// The connection's name.
    pub(crate) fn id(&self) -> ConnectionId {
        self.0.id
    }

    /// The address that the client comes from.
    pub(crate) fn address(&self) -> IpAddr {
        self.0.peer.ip().to_canonical()
    }

    /// Whose share the client takes where addresses share something.
    pub(crate) fn share(&self) -> IpAddr {
        share_of(self.0.peer.ip())
    }

    /// Who the client's certificate says it is: nobody once it is not accepted any more.
    pub(crate) fn certificate(&self) -> &CertificateIdentity<P> {
        match self.0.shown.get() {
            Some(shown) if shown.is_refused() => &self.0.not_accepted,
            _ => &self.0.certificate,
        }
    }

    /// The client has shown this certificate, which is checked again from now on.
    pub(super) fn has_shown(&self, certificate: &Arc<ShownCertificate>) {
        // A connection has one handshake.
        let _first = self.0.shown.set(Arc::clone(certificate));
    }

    /// Notes that a call came, of whatever kind.
    pub(crate) fn called(&self) {
        if !self.is_identified() {
            let after = self.0.opened.elapsed().as_millis();
            let after = u64::try_from(after).unwrap_or(u64::MAX);
            self.0.last_call_ms.store(after, Ordering::Relaxed);
        }
    }

    fn is_identified(&self) -> bool {
        self.0.identified.load(Ordering::Relaxed)
    }

    /// When the connection ends unless another call comes or the client is identified.
    fn unidentified_until(&self) -> Instant {
        let after = Duration::from_millis(self.0.last_call_ms.load(Ordering::Relaxed));
        self.0.opened + after + UNIDENTIFIED_TIMEOUT
    }

    /// Notes whose client it is, with each call that is accepted. By which means other than a certificate is recorded
    /// the first time: for instance `demo-shop by sk_live_…`.
    pub(crate) fn identify(&self, party: &P, identity: fmt::Arguments<'_>) {
        if !self.is_identified() && self.0.place.identify(party) {
            self.0.identified.store(true, Ordering::Relaxed);
        }
        if self.0.is_recorded.load(Ordering::Relaxed)
            || self.0.is_recorded.swap(true, Ordering::Relaxed)
        {
            return;
        }
        let id = self.0.id;
        if let Err(error) = self.0.recorder.log.identified(id, &identity.to_string()) {
            warn!(connection.id = %id, %error, "a client's identity was not recorded");
        }
    }
}

impl<P: Party> Drop for OpenConnection<P> {
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
pub(crate) struct ClientStream<P: Party, S = TlsStream<Stream>> {
    tls: S,
    handle: ConnectionHandle<P>,
    /// Whether the first byte came. A client that sends nothing after its handshake would otherwise keep its
    /// place for ever: HTTP/2 keep-alive begins with HTTP/2.
    first_byte_came: bool,
    /// What may end the connection; `None` once the client is identified.
    limits: Option<Box<Limits>>,
    /// Whether a write has been deferred since the last flush.
    write_deferred: bool,
    /// Completes when the client is not let in any more; `None` where it has shown no certificate.
    ended: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    _registered: Option<Registered>,
}

/// What may end the connection of a client that is not identified.
struct Limits {
    /// Runs until the first byte or the next call must have come.
    idle_timer: Pin<Box<Sleep>>,
    /// Another needs its place.
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl<P: Party, S> ClientStream<P, S> {
    /// A connection whose handshake has succeeded.
    pub(crate) fn new(tls: S, handle: ConnectionHandle<P>) -> Self {
        let first_byte_by = Instant::now() + FIRST_BYTE_TIMEOUT;
        let limits = Limits {
            idle_timer: Box::pin(tokio::time::sleep_until(first_byte_by)),
            ended: Box::pin(handle.0.place.ended().clone().cancelled_owned()),
        };
        Self {
            tls,
            handle,
            first_byte_came: false,
            limits: Some(Box::new(limits)),
            write_deferred: false,
            ended: None,
            _registered: None,
        }
    }

    /// The client has shown this certificate: the connection ends when it is not accepted any more.
    pub(super) fn ends_with(mut self, shown: &ShownCertificate, registered: Registered) -> Self {
        self.ended = Some(Box::pin(shown.ended().cancelled_owned()));
        self._registered = Some(registered);
        self
    }

    /// Defers a write once, so that the tasks that wait on the same worker run first. A commit makes many
    /// answers ready at once, each in a task of its own; written together they are one TLS record and one
    /// system call instead of many.
    ///
    /// This is a hint, not a promise: HTTP/2 may write again within the same turn, after a new call or when its
    /// buffer is full, and then the write happens. HTTP/2 flushes only when its buffer is empty, so that no
    /// write is deferred twice.
    fn defer_write(&mut self, cx: &Context<'_>) -> Poll<()> {
        if self.write_deferred {
            return Poll::Ready(());
        }
        self.write_deferred = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// That the connection goes on. It is asked before each read and each write: HTTP/2 does not read while a client takes
    /// nothing of what is written.
    fn goes_on(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.limits.is_some() && self.has_to_end(cx) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let ended = self.ended.as_mut();
        match ended.is_some_and(|ended| ended.as_mut().poll(cx).is_ready()) {
            true => Err(io::ErrorKind::ConnectionAborted.into()),
            false => Ok(()),
        }
    }

    /// Whether the connection has to end now. If not, the reader is woken when it may have to.
    fn has_to_end(&mut self, cx: &mut Context<'_>) -> bool {
        if self.first_byte_came && self.handle.is_identified() {
            self.limits = None;
        }
        let Some(limits) = &mut self.limits else {
            return false;
        };
        if limits.ended.as_mut().poll(cx).is_ready() {
            let connection = self.handle.id();
            debug!(connection.id = %connection, "an unidentified client made room for another");
            return true;
        }
        let idle_timer = &mut limits.idle_timer;
        while idle_timer.as_mut().poll(cx).is_ready() {
            let until = self.handle.unidentified_until();
            if !self.first_byte_came || until <= Instant::now() {
                let connection = self.handle.id();
                debug!(connection.id = %connection, "an unidentified client made no call");
                return true;
            }
            idle_timer.as_mut().reset(until);
        }
        false
    }
}

impl<P: Party> Connected for ClientStream<P> {
    type ConnectInfo = ConnectionHandle<P>;

    fn connect_info(&self) -> ConnectionHandle<P> {
        self.handle.clone()
    }
}

impl<P: Party, S: AsyncRead + Unpin> AsyncRead for ClientStream<P, S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        this.goes_on(cx)?;
        let read = Pin::new(&mut this.tls).poll_read(cx, buf);
        this.first_byte_came |= buf.filled().len() > before;
        read
    }
}

impl<P: Party, S: AsyncWrite + Unpin> AsyncWrite for ClientStream<P, S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.goes_on(cx)?;
        ready!(this.defer_write(cx));
        Pin::new(&mut this.tls).poll_write(cx, buf)
    }

    /// Where it can write several buffers at once, HTTP/2 sends each data frame of 256 bytes or more by
    /// itself; where it can't, it copies those below 1 KiB into one buffer, so that they leave together.
    fn is_write_vectored(&self) -> bool {
        false
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.goes_on(cx)?;
        let flushed = Pin::new(&mut this.tls).poll_flush(cx);
        this.write_deferred &= flushed.is_pending();
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tls).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
