//! Sockets: the only place that opens any, so that a simulation can replace them. The drivers of the
//! database open their own.

use std::io;
use std::net::SocketAddr;

/// One end of a connection.
pub type Stream = tokio::net::TcpStream;

/// A network. Nagle's algorithm is off on every connection: without that a small message waits for the
/// acknowledgement of the one before.
#[derive(Debug, Clone)]
pub struct Net(());

impl Net {
    /// The machine's network.
    pub const SYSTEM: Self = Self(());

    /// Connects to `address`: `host:port` or a socket address.
    ///
    /// # Errors
    /// When the name is not known or no connection can be made.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that connects"
    )]
    pub async fn connect(&self, address: impl tokio::net::ToSocketAddrs) -> io::Result<Stream> {
        let stream = Stream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Listens on `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address is taken or not of this machine.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that listens"
    )]
    pub async fn listen(&self, address: SocketAddr) -> io::Result<Listener> {
        let listener = tokio::net::TcpListener::bind(address).await?;
        Ok(Listener(listener))
    }
}

/// A place where connections arrive.
#[derive(Debug)]
pub struct Listener(tokio::net::TcpListener);

impl Listener {
    /// The address, with the real port.
    ///
    /// # Errors
    /// When the operating system does not tell it.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// The next connection, and the address of the peer.
    ///
    /// # Errors
    /// When none can be taken, as when file descriptors have run out.
    pub async fn accept(&self) -> io::Result<(Stream, SocketAddr)> {
        let (stream, peer) = self.0.accept().await?;
        // It fails on a connection that is closed already, which the first read finds.
        let _ = stream.set_nodelay(true);
        Ok((stream, peer))
    }
}
