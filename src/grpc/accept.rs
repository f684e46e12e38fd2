//! Accepts client connections: TCP, TLS, and their record, each step bounded.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

use super::connection::{ClientStream, Recorder};
use super::places::{ConnectionBounds, ConnectionPlace, ConnectionPlaces};
use super::shown::{ShownCertificate, ShownCertificates};
use super::tls::{self, CurrentTls, Party};
use crate::clock::Clock;
use crate::net::{Listener, Stream};
use crate::payment::ids::ConnectionId;
use crate::random::Random;
use crate::telemetry::Repeated;

/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(3);
/// Connections that have shaken hands and wait to be served.
const ACCEPTED: usize = 64;
/// How long to wait when the machine refuses a new connection (no file descriptor left).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What the accept loop needs.
pub(crate) struct Acceptor {
    pub(crate) listener: Listener,
    pub(crate) tls: CurrentTls,
    pub(crate) recorder: Recorder,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Random,
    pub(crate) bounds: ConnectionBounds,
}

impl Acceptor {
    /// Accepts until the receiver is dropped. The listening socket is closed then.
    pub(crate) fn start<P: Party>(self) -> mpsc::Receiver<Result<ClientStream<P>, io::Error>> {
        let (accepted, receiver) = mpsc::channel(ACCEPTED);
        tokio::spawn(async move {
            let gone = accepted.clone();
            let shown = ShownCertificates::default();
            let check = shown.clone();
            tokio::select! {
                () = gone.closed() => {}
                () = check.check_again(self.tls.clone(), Arc::clone(&self.clock)) => {}
                () = self.accept_all(accepted, shown) => {}
            }
        });
        receiver
    }

    async fn accept_all<P: Party>(
        self,
        accepted: mpsc::Sender<Result<ClientStream<P>, io::Error>>,
        shown: ShownCertificates,
    ) {
        let limit = self.bounds.limit;
        let places = ConnectionPlaces::new(self.bounds);
        let (not_accepted, turned_away) = (Repeated::new(), Repeated::new());
        loop {
            let (stream, peer) = match self.listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    if let Some(times) = not_accepted.now() {
                        warn!(%error, times, "A client connection could not be accepted");
                    }
                    // A descriptor is free once that has ended.
                    places.make_room();
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Some(place) = places.take(peer.ip()) else {
                if let Some(times) = turned_away.now() {
                    warn!(%peer, limit, times, "A client was turned away: no place is left");
                }
                continue;
            };
            let handshake = Handshake {
                tls: self.tls.clone(),
                recorder: self.recorder.clone(),
                clock: Arc::clone(&self.clock),
                random: self.random.clone(),
                peer,
                shown: shown.clone(),
            };
            let accepted = accepted.clone();
            tokio::spawn(async move {
                if let Some(stream) = handshake.complete(stream, place).await {
                    // Without a receiver the server is stopping, and the connection ends here.
                    let _ = accepted.send(Ok(stream)).await;
                }
            });
        }
    }
}

struct Handshake {
    tls: CurrentTls,
    recorder: Recorder,
    clock: Arc<dyn Clock>,
    random: Random,
    peer: SocketAddr,
    shown: ShownCertificates,
}

impl Handshake {
    async fn complete<P: Party>(
        self,
        tcp: Stream,
        place: ConnectionPlace<P>,
    ) -> Option<ClientStream<P>> {
        let (peer, connected_at) = (self.peer, self.clock.now());
        let tls = self.tls.now();
        let accepting = TlsAcceptor::from(tls.config()).accept(tcp);
        let shaken = tokio::time::timeout(HANDSHAKE_TIMEOUT, accepting);
        let Some(shaken) = place.ended().run_until_cancelled(shaken).await else {
            debug!(%peer, "an unidentified client made room for another");
            return None;
        };
        let stream = match shaken {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                debug!(%peer, %error, "a client's TLS handshake failed");
                return None;
            }
            Err(_) => {
                debug!(%peer, timeout = ?HANDSHAKE_TIMEOUT, "a client's TLS handshake took too long");
                return None;
            }
        };
        let id = match self.random.bytes_for_name() {
            Ok(random) => ConnectionId::from_parts(connected_at, random),
            Err(error) => {
                warn!(%peer, %error, "a client connection could not be named");
                return None;
            }
        };
        let certificate = tls::certificate_identity::<P>(stream.get_ref().1);
        debug!(connection.id = %id, %peer, ?certificate, "a client came");
        let handle = self
            .recorder
            .open(id, peer, connected_at, certificate, place)?;
        let chain = stream.get_ref().1.peer_certificates();
        let Some(chain) = chain.filter(|chain| !chain.is_empty()) else {
            return Some(ClientStream::new(stream, handle));
        };
        let shown = ShownCertificate::new(id, peer, chain);
        handle.has_shown(&shown);
        let registered = self.shown.add(&shown, &tls, &self.tls, &*self.clock);
        let stream = ClientStream::new(stream, handle);
        Some(stream.ends_with(&shown, registered))
    }
}
