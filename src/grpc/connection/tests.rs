use std::future::poll_fn;
use std::sync::Mutex;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

use super::*;
use crate::clock::ManualClock;
use crate::grpc::records::RecordsUnavailable;
use crate::payment::ids::MerchantId;

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
    certificate: CertificateIdentity<MerchantId>,
) -> Option<ConnectionHandle<MerchantId>> {
    let id = ConnectionId::from_parts(UnixMillis::new(1), [7; 10]);
    recorder.open(
        id,
        peer.parse().unwrap(),
        UnixMillis::new(4000),
        certificate,
        ConnectionPlace::alone(),
    )
}

#[test]
fn a_connection_is_recorded_from_coming_to_leaving() {
    let (memory, clock, recorder) = setting();
    let shop: MerchantId = "demo-shop".parse().unwrap();
    let handle = open(&recorder, "192.0.2.7:50123", CertificateIdentity::None).unwrap();
    let second = handle.clone();
    handle.identify(&shop, format_args!("{shop} by pk_1"));
    second.identify(&shop, format_args!("{shop} by pk_2"));
    drop(handle);
    clock.advance_ms(250);
    drop(second);
    let named = CertificateIdentity::Named(shop);
    let handle = open(&recorder, "[::ffff:192.0.2.7]:50124", named).unwrap();
    handle.identify(&shop, format_args!("{shop} by pk_1"));
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

/// A connection over a pipe, of a client that has sent its first byte or has not; and the client's end.
async fn stream(
    certificate: CertificateIdentity<MerchantId>,
    first_byte_came: bool,
) -> (ClientStream<MerchantId, DuplexStream>, DuplexStream) {
    let (_, _, recorder) = setting();
    let handle = open(&recorder, "192.0.2.7:50123", certificate).unwrap();
    let (near, mut far) = tokio::io::duplex(64);
    let mut stream = ClientStream::new(near, handle);
    if first_byte_came {
        far.write_all(b"P").await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), b'P');
    }
    // The timer has run out, so that what is decided then is decided at once.
    let mut idle_timer = Box::pin(tokio::time::sleep(Duration::ZERO));
    idle_timer.as_mut().await;
    stream.limits.as_mut().unwrap().idle_timer = idle_timer;
    (stream, far)
}

/// Puts the moment at which the connection began so far into the past.
fn age(stream: &mut ClientStream<MerchantId, DuplexStream>, by: Duration) {
    let open = Arc::get_mut(&mut stream.handle.0).unwrap();
    open.opened = Instant::now().checked_sub(by).unwrap();
}

async fn is_ended(stream: &mut ClientStream<MerchantId, DuplexStream>) -> bool {
    let mut read = Box::pin(stream.read_u8());
    match poll_fn(|cx| Poll::Ready(read.as_mut().poll(cx))).await {
        Poll::Ready(Err(error)) => {
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            true
        }
        Poll::Ready(Ok(byte)) => panic!("read {byte}"),
        Poll::Pending => false,
    }
}

#[tokio::test]
async fn an_unidentified_client_is_not_kept_without_calls() {
    let long = UNIDENTIFIED_TIMEOUT + Duration::from_secs(1);
    let short = UNIDENTIFIED_TIMEOUT - Duration::from_secs(20);
    let shop: MerchantId = "demo-shop".parse().unwrap();
    let by_certificate = || CertificateIdentity::Named(shop);

    // Nothing came after the handshake: it ends, whoever it is.
    for certificate in [CertificateIdentity::None, by_certificate()] {
        let (mut silent, _far) = stream(certificate, false).await;
        assert!(is_ended(&mut silent).await);
    }
    let (mut young, _far) = stream(CertificateIdentity::None, true).await;
    age(&mut young, short);
    assert!(!is_ended(&mut young).await);
    for certificate in [CertificateIdentity::None, CertificateIdentity::Unnamed] {
        let (mut idle, _far) = stream(certificate, true).await;
        age(&mut idle, long);
        assert!(is_ended(&mut idle).await);
    }
    // HTTP/2 does not read while a client takes nothing of what is written.
    let (mut stuck, _far) = stream(CertificateIdentity::None, true).await;
    age(&mut stuck, long);
    for error in [
        stuck.write(b"a").await.unwrap_err(),
        stuck.flush().await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
    let (mut calling, _far) = stream(CertificateIdentity::None, true).await;
    age(&mut calling, long);
    calling.handle.called();
    assert!(!is_ended(&mut calling).await);
    // It is watched further on: its timer is set again, and not dropped.
    assert!(calling.limits.is_some());

    let (mut named, _far) = stream(by_certificate(), true).await;
    age(&mut named, long);
    assert!(!is_ended(&mut named).await);
    assert!(named.limits.is_none());
    let (mut with_key, _far) = stream(CertificateIdentity::None, true).await;
    age(&mut with_key, long);
    with_key
        .handle
        .identify(&shop, format_args!("{shop} by pk_1"));
    assert!(!is_ended(&mut with_key).await);
    assert!(with_key.limits.is_none());
}

#[tokio::test]
async fn what_is_written_waits_once_for_the_tasks_that_are_ready() {
    let (mut stream, mut far) = stream(CertificateIdentity::None, true).await;
    for answer in *b"ab" {
        let answered = Arc::new(AtomicBool::new(false));
        let other = tokio::spawn({
            let answered = Arc::clone(&answered);
            async move { answered.store(true, Ordering::Relaxed) }
        });
        assert_eq!(stream.write(&[answer]).await.unwrap(), 1);
        assert!(answered.load(Ordering::Relaxed), "the write came first");
        // What follows before the flush is written at once.
        let mut more = Box::pin(stream.write(b"!"));
        let written = poll_fn(|cx| Poll::Ready(more.as_mut().poll(cx))).await;
        assert!(matches!(written, Poll::Ready(Ok(1))));
        drop(more);
        stream.flush().await.unwrap();
        other.await.unwrap();
    }
    let mut came = [0; 4];
    far.read_exact(&mut came).await.unwrap();
    assert_eq!(&came, b"a!b!");
}
