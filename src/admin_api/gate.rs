//! What every call of a service passes first: whether there is room, and which operator is calling.
//!
//! A client certificate names its operator in exactly one subject alternative name of the form
//! `payswitch://operator/<name>`. The operator's role and whether it has access are read from the store at each
//! call. A service behind the gate finds the operator with [`caller`], which wants to know the least role.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{Request, Response};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use tower::Service;
use tracing::{error, info};

use super::show::errors::role_too_low;
use crate::grpc::caller_deadline::caller_deadline;
use crate::grpc::connection::ConnectionHandle;
use crate::grpc::status::{self, ErrorAnswer, with_reason};
use crate::grpc::tls::{CertificateIdentity, Party};
use crate::metrics::BoundCounter;
use crate::payment::ids::OperatorName;
use crate::store::Store;
use crate::store::records::callers::{OperatorRecord, OperatorRole};

/// Calls at once, over all connections and services.
const CONCURRENT_CALLS: usize = 64;
/// How long any call may take: longer than the lines of a host are waited for.
const ANSWERED_WITHIN: Duration = Duration::from_secs(20);
/// The ends of the names of the calls that read or write files, and how long these may take.
const LONG_CALLS: [&str; 3] = ["ImportReport", "NotifyPayouts", "MakePayouts"];
const LONG_CALL_WITHIN: Duration = Duration::from_secs(30 * 60);
/// The path of the page of figures, which is read several times a minute and not logged then.
pub(super) const METRICS: &str = "/metrics";
/// How long looking the operator up may take.
const LOOK_UP_WITHIN: Duration = Duration::from_secs(2);

impl Party for OperatorName {
    const URI_PREFIX: &'static str = "payswitch://operator/";
    const KIND: &'static str = "operator ";
}

/// The gate: one for all services.
pub(super) struct Gate {
    store: Store,
    room: Semaphore,
    refused: BoundCounter,
}

impl Gate {
    /// A gate that counts in `refused` whom it has no room for.
    pub(super) fn new(store: Store, refused: BoundCounter) -> Self {
        Self {
            store,
            room: Semaphore::new(CONCURRENT_CALLS),
            refused,
        }
    }

    /// Puts itself before a service.
    pub(super) fn before<S>(self: &Arc<Self>, inner: S) -> Gated<S> {
        Gated {
            inner,
            gate: Arc::clone(self),
        }
    }

    /// The operator of this name, if it has access.
    async fn operator(&self, name: OperatorName) -> Result<OperatorRecord, Status> {
        let looked_up = match timeout(LOOK_UP_WITHIN, self.store.operator(name.as_str())).await {
            Ok(looked_up) => looked_up.map_err(|error| error.to_string()),
            Err(_) => Err(format!("no answer within {LOOK_UP_WITHIN:?}")),
        };
        match looked_up {
            Ok(Some(operator)) if operator.active => Ok(operator),
            Ok(_) => Err(unauthenticated(
                "OPERATOR_REFUSED",
                "there is no active operator of the name in the client certificate",
            )),
            Err(reason) => {
                error!(operator = %name, reason, "An operator could not be looked up");
                Err(status::store_unavailable())
            }
        }
    }

    async fn answer<S, B>(&self, inner: &mut S, mut request: Request<B>) -> Response<Body>
    where
        S: Service<Request<B>, Response = Response<Body>, Error = Infallible>,
    {
        let Ok(_room) = self.room.try_acquire() else {
            self.refused.reached();
            return status::overloaded().into_http();
        };
        let name = match name_of_caller(&request) {
            Ok(name) => name,
            Err(refused) => return refused.into_http(),
        };
        match self.operator(name).await {
            Ok(operator) => request.extensions_mut().insert(operator),
            Err(refused) => return refused.into_http(),
        };
        let Ok(answer) = inner.call(request).await;
        with_reason(answer)
    }
}

/// How long a call may take, by the end of its path.
pub(super) fn answered_within(call: &str) -> Duration {
    match LONG_CALLS.iter().any(|long| call.ends_with(long)) {
        true => LONG_CALL_WITHIN,
        false => ANSWERED_WITHIN,
    }
}

/// The operator that the client certificate names. It is the only credential that this door takes.
fn name_of_caller<B>(request: &Request<B>) -> Result<OperatorName, Status> {
    let connection = request.extensions().get::<ConnectionHandle<OperatorName>>();
    let Some(CertificateIdentity::Named(name)) = connection.map(ConnectionHandle::certificate)
    else {
        return Err(unauthenticated(
            "CLIENT_CERTIFICATE_REFUSED",
            "the client certificate is of no operator; expected exactly one subject alternative name \
             `payswitch://operator/<name>`",
        ));
    };
    if request.headers().contains_key(AUTHORIZATION) {
        return Err(unauthenticated(
            "API_KEY_REFUSED",
            "API keys are for the merchant API; expected no header `authorization`",
        ));
    }
    Ok(*name)
}

fn unauthenticated(reason: &str, message: &str) -> Status {
    ErrorAnswer::not_sent(Code::Unauthenticated, reason, message).into_status()
}

/// The operator that the gate found, if its role is at least this one. A service that is not behind the gate
/// lets nobody in.
pub(super) fn caller<T>(
    request: &tonic::Request<T>,
    least: OperatorRole,
) -> Result<OperatorRecord, Status> {
    let operator = request.extensions().get::<OperatorRecord>().cloned();
    match operator {
        Some(operator) if operator.role >= least => Ok(operator),
        Some(operator) => Err(role_too_low(operator.role, least)),
        None => Err(unauthenticated(
            "CREDENTIALS_MISSING",
            "expected a client certificate of an operator",
        )),
    }
}

/// A gRPC service behind the gate.
#[derive(Clone)]
pub(super) struct Gated<S> {
    inner: S,
    gate: Arc<Gate>,
}

impl<S: NamedService> NamedService for Gated<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, B> Service<Request<B>> for Gated<S>
where
    S: Service<Request<B>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The ready service is the one to call; its clone is made ready before the next call.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let gate = Arc::clone(&self.gate);
        Box::pin(async move {
            let called = Called::of(&request);
            let limit = answered_within(&called.call);
            let (within, too_late): (_, fn() -> Status) = match caller_deadline(request.headers()) {
                Some(within) if within < limit => (within, status::caller_deadline_exceeded),
                _ => (limit, status::not_answered_in_time),
            };
            let answer = timeout_at(called.at + within, gate.answer(&mut inner, request))
                .await
                .unwrap_or_else(|_| too_late().into_http());
            called.log(&answer);
            Ok(answer)
        })
    }
}

/// What the log line says of a call.
struct Called {
    at: Instant,
    /// By the certificate; empty when it names nobody.
    operator: String,
    call: String,
}

impl Called {
    fn of<B>(request: &Request<B>) -> Self {
        let connection = request.extensions().get::<ConnectionHandle<OperatorName>>();
        let operator = match connection.map(ConnectionHandle::certificate) {
            Some(CertificateIdentity::Named(name)) => name.to_string(),
            _ => String::new(),
        };
        Self {
            at: Instant::now(),
            operator,
            call: request.uri().path().to_owned(),
        }
    }

    fn log(&self, answer: &Response<Body>) {
        let status = Status::from_header_map(answer.headers());
        let (code, reason) = match &status {
            None => (Code::Ok, String::new()),
            Some(status) => {
                let reason = status.get_details_error_info().map(|info| info.reason);
                (status.code(), reason.unwrap_or_default())
            }
        };
        if code == Code::Ok && self.call == METRICS {
            return;
        }
        info!(
            operator = self.operator,
            call = self.call,
            ?code,
            reason,
            took_ms = self.at.elapsed().as_millis(),
            "An operator's call was answered"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grpc::testing::error_row;
    use crate::store::testing::TestDatabase;

    #[tokio::test]
    async fn nobody_is_refused_because_the_store_is_down() {
        let store = TestDatabase::sqlite().await.open().await;
        let gate = Gate::new(store.clone(), BoundCounter::default());
        store.close().await;
        let down = gate.operator("alice".parse().unwrap()).await.unwrap_err();
        let expected = "Unavailable STORE_UNAVAILABLE NOT_SENT retry 1000 ms";
        assert_eq!(error_row(&down), expected);
    }
}
