//! Takes the connections of a host, and lets go of them.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    connection::{Connection, ConnectionEnd},
    host::Host,
    line::LineError,
    net::{Listener, Stream},
};

/// The most connections that a host holds at once; further ones are closed as they come.
pub const MAX_CONNECTIONS: usize = 256;

/// How long a TLS handshake may take.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(5);

/// How long closing a connection may take.
const CLOSE_LIMIT: Duration = Duration::from_millis(500);

/// How long a host that cannot accept connections waits before it tries again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts connections until told to stop, and drops them all then, as a killed process would.
pub(crate) async fn listen(host: Arc<Host>, listener: Listener, mut stop: watch::Receiver<bool>) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, most likely: some will come free.
                tracing::warn!(host.id = %host.name, %error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            tracing::warn!(host.id = %host.name, %peer, "a connection was closed, there are {MAX_CONNECTIONS}");
            continue;
        };
        let host = Arc::clone(&host);
        connections.spawn(async move {
            serve(host, stream, peer).await;
            drop(slot);
        });
    }
    drop(listener);
    connections.shutdown().await;
}

async fn serve(host: Arc<Host>, stream: Stream, peer: SocketAddr) {
    let acceptor = TlsAcceptor::from(Arc::clone(&host.tls));
    let stream = match timeout(HANDSHAKE_LIMIT, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            host.counters
                .with(|counters| counters.refused_handshakes += 1);
            tracing::warn!(host.id = %host.name, %peer, %error, "a TLS handshake failed");
            return;
        }
        Err(_) => {
            host.counters
                .with(|counters| counters.refused_handshakes += 1);
            tracing::warn!(host.id = %host.name, %peer, "a TLS handshake took too long");
            return;
        }
    };
    host.counters.with(|counters| counters.connections += 1);
    tracing::info!(host.id = %host.name, %peer, "a line was opened");
    let mut connection = Connection::new(Arc::clone(&host), stream, peer);
    let ended = connection.run().await;
    connection.close(CLOSE_LIMIT).await;
    match ended {
        ConnectionEnd::Line(LineError::Closed) => {
            tracing::info!(host.id = %host.name, %peer, "a line was closed by the peer");
        }
        error => {
            host.counters.with(|counters| counters.dropped_lines += 1);
            tracing::warn!(host.id = %host.name, %peer, %error, "a line was dropped");
        }
    }
}
