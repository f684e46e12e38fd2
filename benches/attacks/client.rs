//! The other end of an attack: TLS and HTTP/2 as they are to be, and nothing that a well-behaved client does beside.

use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::{BufMut as _, Bytes, BytesMut};
use h2::SendStream;
use h2::client::{ResponseFuture, SendRequest};
use payswitch::net::Stream;
use rustls_pki_types::ServerName;
use tokio::net::TcpSocket;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// The name in the certificate.
const SERVER_NAME: &str = "localhost";
/// A gRPC message stands behind so many bytes.
pub(crate) const FRAME_BYTES: usize = 5;

pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// A connection, to open streams on.
pub(crate) type Link = SendRequest<Bytes>;

/// Who connects.
pub(crate) struct Client {
    /// Where the server is.
    pub(crate) address: SocketAddr,
    /// Where it comes from.
    pub(crate) from: Ipv4Addr,
    pub(crate) tls: TlsConnector,
}

impl Client {
    /// A connection: an attacker's from an address of its own.
    #[expect(
        clippy::disallowed_methods,
        reason = "payswitch itself never chooses the address it comes from"
    )]
    pub(crate) async fn connect(&self) -> io::Result<Stream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((self.from, 0).into())?;
        let tcp = socket.connect(self.address).await?;
        tcp.set_nodelay(true)?;
        Ok(tcp)
    }

    /// The same, after a TLS handshake.
    pub(crate) async fn handshake(&self) -> io::Result<TlsStream<Stream>> {
        let tcp = self.connect().await?;
        let name = ServerName::try_from(SERVER_NAME).map_err(io::Error::other)?;
        self.tls.connect(name, tcp).await
    }

    /// A connection on which so many bytes of each stream may come before they are read.
    pub(crate) async fn link(&self, window_bytes: u32) -> Result<Link, Failure> {
        let tls = self.handshake().await?;
        let mut http2 = h2::client::Builder::new();
        let opened = http2.initial_window_size(window_bytes).handshake(tls);
        let (link, connection) = opened.await?;
        tokio::spawn(connection);
        Ok(link)
    }
}

/// Sends the headers of a call.
pub(crate) async fn open(
    link: &Link,
    path: &str,
    key: &str,
) -> Result<(ResponseFuture, SendStream<Bytes>), Failure> {
    let mut link = link.clone().ready().await?;
    let mut request = http::Request::post(format!("https://{SERVER_NAME}{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers");
    if !key.is_empty() {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    Ok(link.send_request(request.body(())?, false)?)
}

/// The status of an answer and its message.
pub(crate) async fn read(response: ResponseFuture) -> Result<(String, Bytes), Failure> {
    let (head, mut body) = response.await?.into_parts();
    let mut message = BytesMut::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        message.extend_from_slice(&data);
    }
    let trailers = body.trailers().await?.unwrap_or(head.headers);
    let status = trailers.get("grpc-status").ok_or("no status")?;
    Ok((status.to_str()?.to_owned(), message.freeze()))
}

/// A message as it stands in the body of a call.
pub(crate) fn frame(message: &impl prost::Message) -> Bytes {
    let encoded = message.encode_to_vec();
    let mut frame = BytesMut::with_capacity(FRAME_BYTES + encoded.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(encoded.len()).unwrap_or(u32::MAX));
    frame.put_slice(&encoded);
    frame.freeze()
}
