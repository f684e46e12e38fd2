use std::sync::Mutex;

use futures_util::future::join_all;
use tonic::{Code, async_trait};
use tonic_types::StatusExt as _;

use super::*;
use crate::clock::ManualClock;
use crate::config::environment::Environment;
use crate::grpc::connection::Recorder;
use crate::grpc::places::ConnectionPlace;
use crate::grpc::records::{ConnectionLog, RecordsUnavailable};
use crate::grpc::tls::CertificateIdentity;
use crate::merchant_api::records::{KnownApiKey, MerchantDirectory};
use crate::merchant_api::testing::merchant;
use crate::merchant_api::transport::api_key::Pepper;
use crate::merchant_api::transport::auth::Directories;
use crate::metrics::Metrics;
use crate::payment::ids::{ConnectionId, MerchantId};
use crate::payment::moment::UnixMillis;
use crate::store::records::callers::ClientConnection;

/// Notes when it was asked.
#[derive(Default)]
struct Directory {
    asked: Mutex<Vec<Instant>>,
}

#[async_trait]
impl MerchantDirectory for Directory {
    async fn api_key(&self, _: &str) -> Result<Option<KnownApiKey>, RecordsUnavailable> {
        Ok(None)
    }

    async fn merchant(&self, id: &MerchantId) -> Result<Option<Arc<Merchant>>, RecordsUnavailable> {
        self.asked.lock().unwrap().push(Instant::now());
        Ok(Some(merchant(id.as_str())))
    }
}

struct NoLog;

impl ConnectionLog for NoLog {
    fn opened(&self, _: ClientConnection) -> Result<(), RecordsUnavailable> {
        Ok(())
    }

    fn identified(&self, _: ConnectionId, _: &str) -> Result<(), RecordsUnavailable> {
        Ok(())
    }

    fn closed(&self, _: ConnectionId, _: UnixMillis) -> Result<(), RecordsUnavailable> {
        Ok(())
    }
}

/// Notes when the calls that reach it arrived, and answers, or never does.
#[derive(Clone)]
struct Inner {
    received: Arc<Mutex<Vec<Instant>>>,
    answers: bool,
}

impl Service<Request<Body>> for Inner {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let request = tonic::Request::from_http(request);
        assert!(caller(&request).unwrap().id.as_str().ends_with("shop"));
        self.received.lock().unwrap().push(received_at(&request));
        let answers = self.answers;
        Box::pin(async move {
            if !answers {
                std::future::pending::<()>().await;
            }
            Ok(Status::ok("done").into_http())
        })
    }
}

fn gate(directory: Arc<Directory>, answered_within: Duration) -> Arc<Gate> {
    let (pepper, metrics) = (Pepper::new(&[7; 32]), Metrics::new([]));
    let directories = Directories {
        known: directory.clone(),
        unknown: directory,
    };
    let authenticator = Authenticator::new(directories, pepper, Environment::Test, &metrics);
    Arc::new(Gate {
        answered_within,
        body_within: Duration::from_millis(50),
        ..Gate::new(authenticator, 2, &metrics)
    })
}

/// A request of a merchant, by its certificate.
fn request(merchant: &str, body: Body) -> Request<Body> {
    let now = UnixMillis::new(1);
    let recorder = Recorder::new(Arc::new(NoLog), Arc::new(ManualClock::at(now)));
    let certificate = CertificateIdentity::<MerchantId>::Named(merchant.parse().unwrap());
    let peer = "192.0.2.7:50123".parse().unwrap();
    let id = ConnectionId::from_parts(now, [1; 10]);
    let connection = recorder
        .open(id, peer, now, certificate, ConnectionPlace::alone())
        .unwrap();
    let mut request = Request::new(body);
    request.extensions_mut().insert(connection);
    request
}

async fn answer(gate: &Arc<Gate>, inner: &Inner, request: Request<Body>) -> Status {
    let Ok(response) = gate.before(inner.clone()).call(request).await;
    Status::from_header_map(response.headers()).unwrap()
}

async fn call(
    inner: &Inner,
    directory: Arc<Directory>,
    answered_within: Duration,
    grpc_timeout: Option<&'static str>,
) -> Status {
    let mut request = request("demo-shop", Body::empty());
    if let Some(text) = grpc_timeout {
        let value = http::HeaderValue::from_static(text);
        request.headers_mut().insert("grpc-timeout", value);
    }
    answer(&gate(directory, answered_within), inner, request).await
}

/// A body that never comes.
struct Late;

impl HttpBody for Late {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Status>>> {
        Poll::Pending
    }
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().unwrap().reason
}

#[tokio::test]
async fn a_call_takes_nothing_until_its_body_is_there() {
    let inner = Inner {
        received: Arc::default(),
        answers: true,
    };
    let directory = Arc::new(Directory::default());
    let gate = gate(Arc::clone(&directory), ANSWERED_WITHIN);
    let late = (0..10).map(|_| answer(&gate, &inner, request("demo-shop", Body::new(Late))));
    let meanwhile = async {
        tokio::task::yield_now().await;
        let asked = directory.asked.lock().unwrap().len();
        assert_eq!((gate.calls.held(), asked), (0, 0));
        let status = answer(&gate, &inner, request("other-shop", Body::empty())).await;
        assert_eq!(status.code(), Code::Ok);
    };
    let (late, ()) = tokio::join!(join_all(late), meanwhile);
    for status in late {
        assert_eq!(
            (status.code(), reason(&status)),
            (Code::DeadlineExceeded, "BODY_TOO_SLOW".into())
        );
    }
    assert_eq!(inner.received.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_merchant_that_has_every_place_leaves_others_theirs() {
    let waits = Inner {
        received: Arc::default(),
        answers: false,
    };
    let answers = Inner {
        received: Arc::default(),
        answers: true,
    };
    let gate = gate(Arc::default(), ANSWERED_WITHIN);
    let all = (0..2).map(|_| {
        let (gate, waits) = (Arc::clone(&gate), waits.clone());
        tokio::spawn(
            async move { answer(&gate, &waits, request("demo-shop", Body::empty())).await },
        )
    });
    let all: Vec<_> = all.collect();
    while gate.calls.held() < 2 {
        tokio::task::yield_now().await;
    }
    let refused = answer(&gate, &answers, request("demo-shop", Body::empty())).await;
    assert_eq!(reason(&refused), "OVERLOADED");
    let other = answer(&gate, &answers, request("other-shop", Body::empty())).await;
    assert_eq!(other.code(), Code::Ok);
    for call in all {
        call.abort();
    }
}

#[tokio::test]
async fn a_call_arrives_at_the_gate_not_at_its_handler() {
    let inner = Inner {
        received: Arc::default(),
        answers: true,
    };
    let directory = Arc::new(Directory::default());
    let status = call(&inner, Arc::clone(&directory), ANSWERED_WITHIN, None).await;
    assert_eq!(status.code(), Code::Ok);
    let (asked, received) = (
        directory.asked.lock().unwrap(),
        inner.received.lock().unwrap(),
    );
    assert_eq!((asked.len(), received.len()), (1, 1));
    assert!(received[0] < asked[0], "{received:?} {asked:?}");
}

#[tokio::test]
async fn every_call_is_answered_in_time() {
    let inner = Inner {
        received: Arc::default(),
        answers: false,
    };
    let long = Some("1H");
    for (within, its_own, code, reason) in [
        (Duration::ZERO, None, Code::Unavailable, "NO_ANSWER_IN_TIME"),
        (Duration::ZERO, long, Code::Unavailable, "NO_ANSWER_IN_TIME"),
        (
            ANSWERED_WITHIN,
            Some("3m"),
            Code::DeadlineExceeded,
            "CALLER_DEADLINE_EXCEEDED",
        ),
    ] {
        let status = call(&inner, Arc::default(), within, its_own).await;
        let told = status.get_details_error_info().unwrap();
        assert_eq!(
            (status.code(), &*told.reason, &*told.metadata["outcome"]),
            (code, reason, "UNKNOWN")
        );
    }
    assert_eq!(inner.received.lock().unwrap().len(), 3);
}
