//! Sockets: the only place that opens any, so that a simulation can replace them.

use std::{io, net::SocketAddr};

/// One end of a connection.
pub type Stream = tokio::net::TcpStream;

/// A network. Nagle's algorithm is off on every connection: messages are short, and an
/// answer is waited for.
#[derive(Debug, Clone)]
pub struct Net(());

impl Net {
    /// The network of the machine.
    pub const SYSTEM: Self = Self(());

    /// Connects to an address.
    ///
    /// # Errors
    /// When no connection can be made.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that connects"
    )]
    pub async fn connect(&self, address: SocketAddr) -> io::Result<Stream> {
        let stream = Stream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Listens at an address; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address is taken or not of this machine.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that listens"
    )]
    pub async fn listen(&self, address: SocketAddr) -> io::Result<Listener> {
        tokio::net::TcpListener::bind(address).await.map(Listener)
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

    /// The listener itself, for a server that accepts on its own.
    pub(crate) fn into_tcp(self) -> tokio::net::TcpListener {
        self.0
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
