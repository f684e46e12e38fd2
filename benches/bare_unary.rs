//! The yardstick of `scripts/bench`: a unary call that does nothing, over the same TLS stack, gRPC
//! library and socket options as the merchant API, with a request and an answer of the same size.
//!
//! ```text
//! bare_unary serve --ready-file FILE
//! bare_unary call --ready-file FILE [--concurrency N] [--connections N] [--seconds S]
//! ```
//!
//! What a payment costs on top of this is what the switch, the store and both banks cost.

use std::error::Error;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use clap::{Args, Parser, Subcommand};
use hdrhistogram::Histogram;
use http::{HeaderMap, HeaderValue};
use http_body_util::{BodyExt as _, Full};
use payswitch::commands::output::write_whole;
use payswitch::grpc::client;
use payswitch::grpc::tls;
use payswitch::merchant_api::client::ApiKey;
use payswitch::merchant_api::pb;
use payswitch::merchant_api::pb::sealing_service_client::SealingServiceClient;
use payswitch::merchant_api::pb::sealing_service_server::{SealingService, SealingServiceServer};
use payswitch::net::{self, Listener, Net};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic::transport::server::Connected;
use tonic::{Request, Response, Status, async_trait};

/// With three bytes of tag and length, what `payswitch load` sends with a card sealed by ECDH-ES: an
/// AuthorizePaymentRequest of 704 bytes (613 with a session key).
const REQUEST_BYTES: usize = 701;
/// With its tag and length, what comes back of an authorized payment: 231 to 234 bytes.
const ANSWER_BYTES: usize = 231;
/// The name in the certificate.
const SERVER_NAME: &str = "localhost";
/// As long as a real one.
const API_KEY: &str = "pk_0123456789abcdef.0123456789abcdef0123456789abcdef0123456789a";
/// Calls before those that are counted.
const WARM_UP: Duration = Duration::from_secs(1);
/// Connections that wait to be served.
const ACCEPTED: usize = 64;
/// The longest time that is told apart, in microseconds.
const LONGEST_US: u64 = 60_000_000;

type Failure = Box<dyn Error + Send + Sync>;

#[derive(Debug, Parser)]
#[command(about = "A unary call that does nothing: what scripts/bench compares a payment with.")]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer calls until killed.
    Serve {
        /// Written as JSON once it listens.
        #[arg(long)]
        ready_file: PathBuf,
    },
    /// Call in a closed loop and print the rate as JSON.
    Call(CallArgs),
}

#[derive(Debug, Args)]
struct CallArgs {
    /// What `serve` wrote.
    #[arg(long)]
    ready_file: PathBuf,
    /// Callers, each of whom calls again when it was answered.
    #[arg(long, default_value_t = 64)]
    concurrency: usize,
    /// Connections that they are spread over.
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// How long.
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
}

fn main() -> Result<(), Failure> {
    let runtime = payswitch::commands::runtime::runtime()?;
    match CommandLine::parse().command {
        Command::Serve { ready_file } => runtime.block_on(serve(&ready_file)),
        Command::Call(arguments) => runtime.block_on(call(&arguments)),
    }
}

/// A string comes, a string goes: of all calls the one with the least to encode and decode.
struct Bare {
    answer: String,
}

#[async_trait]
impl SealingService for Bare {
    async fn get_sealing_keys(
        &self,
        _: Request<pb::GetSealingKeysRequest>,
    ) -> Result<Response<pb::GetSealingKeysResponse>, Status> {
        Err(Status::unimplemented("the other call is the one"))
    }

    async fn create_sealing_session(
        &self,
        _: Request<pb::CreateSealingSessionRequest>,
    ) -> Result<Response<pb::CreateSealingSessionResponse>, Status> {
        Ok(Response::new(pb::CreateSealingSessionResponse {
            kid: self.answer.clone(),
            ..pb::CreateSealingSessionResponse::default()
        }))
    }
}

async fn serve(ready_file: &Path) -> Result<(), Failure> {
    let certificate = rcgen::generate_simple_self_signed([SERVER_NAME.to_owned()])?;
    let (chain, key) = (
        certificate.cert.pem(),
        certificate.signing_key.serialize_pem(),
    );
    let tls = tls::DoorTls::new(&tls::DoorTexts {
        certificate: chain.as_bytes(),
        private_key: key.as_bytes(),
        clients: tls::ClientCertificates::None,
    })?;
    let listener = Net::SYSTEM
        .listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        .await?;
    let ready = serde_json::json!({ "address": listener.local_addr()?, "ca": chain });
    write_whole(ready_file, &ready)?;
    let (accepted, streams) = mpsc::channel(ACCEPTED);
    let tls = TlsAcceptor::from(tls.config());
    tokio::spawn(accept(listener, tls, accepted));
    let answer = "a".repeat(ANSWER_BYTES);
    let (_health, health) = tonic_health::server::health_reporter();
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(pb::FILE_DESCRIPTOR_SET)
        .build_v1()?;
    let services = Routes::new(SealingServiceServer::new(Bare { answer }))
        .add_service(health)
        .add_service(reflection)
        .into_axum_router()
        .fallback(answer_anything);
    Server::builder()
        .add_routes(Routes::from(services))
        .serve_with_incoming(ReceiverStream::new(streams))
        .await?;
    Ok(())
}

/// Whatever else is called is read, and answered with an empty message: `scripts/fairness` attacks this server, too.
async fn answer_anything(request: http::Request<axum::body::Body>) -> http::Response<Body> {
    drop(request.into_body().collect().await);
    let mut ok = HeaderMap::new();
    ok.insert("grpc-status", HeaderValue::from_static("0"));
    let message = Full::new(Bytes::from_static(&[0; 5])).with_trailers(async { Some(Ok(ok)) });
    let mut answer = http::Response::new(Body::new(message));
    let grpc = HeaderValue::from_static("application/grpc");
    answer.headers_mut().insert("content-type", grpc);
    answer
}

async fn accept(listener: Listener, tls: TlsAcceptor, accepted: mpsc::Sender<io::Result<Stream>>) {
    while let Ok((tcp, _)) = listener.accept().await {
        let (tls, accepted) = (tls.clone(), accepted.clone());
        tokio::spawn(async move {
            if let Ok(stream) = tls.accept(tcp).await {
                let _ = accepted.send(Ok(Stream(stream))).await;
            }
        });
    }
}

/// Only there because tonic wants to ask each connection who it is.
struct Stream(TlsStream<net::Stream>);

impl Connected for Stream {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[derive(serde::Deserialize)]
struct Ready {
    address: SocketAddr,
    ca: String,
}

#[expect(clippy::print_stdout, reason = "the figures are the answer")]
async fn call(arguments: &CallArgs) -> Result<(), Failure> {
    let ready: Ready = serde_json::from_slice(&std::fs::read(&arguments.ready_file)?)?;
    let mut connections = Vec::new();
    for _ in 0..arguments.connections {
        let channel = client::connect(ready.address, SERVER_NAME, ready.ca.as_bytes(), None);
        connections.push(ApiKey::new(API_KEY)?.on(channel.await?));
    }
    let times = Arc::new(Mutex::new(Histogram::<u64>::new_with_max(LONGEST_US, 3)?));
    let warm_up = Arc::new(AtomicU64::new(0));
    let request = "a".repeat(REQUEST_BYTES);
    let begin = Instant::now() + WARM_UP;
    let end = begin + Duration::try_from_secs_f64(arguments.seconds)?;
    let mut callers = tokio::task::JoinSet::new();
    for connection in connections.iter().cycle().take(arguments.concurrency) {
        let mut service = SealingServiceClient::new(connection.clone());
        let (times, warm_up, request) = (times.clone(), warm_up.clone(), request.clone());
        callers.spawn(async move {
            loop {
                let started = Instant::now();
                if started >= end {
                    return Ok::<_, Status>(());
                }
                let sealed_session_key = request.clone();
                let request = pb::CreateSealingSessionRequest { sealed_session_key };
                service.create_sealing_session(request).await?;
                let us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
                if started < begin {
                    warm_up.fetch_add(1, Ordering::Relaxed);
                } else if let Ok(mut times) = times.lock() {
                    times.saturating_record(us);
                }
            }
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended??;
    }
    let elapsed_s = begin.elapsed().as_secs_f64();
    let times = times.lock().map_err(|_| "a caller panicked")?;
    #[expect(
        clippy::cast_precision_loss,
        reason = "a count of calls is far below 2^53"
    )]
    let achieved_per_s = times.len() as f64 / elapsed_s;
    let figures = serde_json::json!({
        "achieved_per_s": achieved_per_s,
        "answered": times.len(),
        "warm_up": warm_up.load(Ordering::Relaxed),
        "elapsed_s": elapsed_s,
        "latency": { "total_us": {
            "p50": times.value_at_quantile(0.5),
            "p99": times.value_at_quantile(0.99),
        }},
    });
    println!("{figures}");
    Ok(())
}
