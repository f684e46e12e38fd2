//! The merchant API as a whole: its services behind its gate.

use std::sync::Arc;

use prost::Message as _;
use prost_types::{FileDescriptorSet, ServiceDescriptorProto};
use tokio::sync::watch;
use tonic::service::Routes;

use super::pb;
use super::pb::balance_service_server::{BalanceServiceServer, SERVICE_NAME as BALANCE_SERVICE};
use super::pb::event_service_server::{EventServiceServer, SERVICE_NAME as EVENT_SERVICE};
use super::pb::payment_service_server::{PaymentServiceServer, SERVICE_NAME as PAYMENT_SERVICE};
use super::pb::reconciliation_service_server::{
    ReconciliationServiceServer, SERVICE_NAME as RECONCILIATION_SERVICE,
};
use super::pb::refund_service_server::{RefundServiceServer, SERVICE_NAME as REFUND_SERVICE};
use super::pb::sealing_service_server::{SERVICE_NAME as SEALING_SERVICE, SealingServiceServer};
use super::pb::settlement_service_server::{
    SERVICE_NAME as SETTLEMENT_SERVICE, SettlementServiceServer,
};
use super::read::cursor::Cursors;
use super::rpc::balance_service::BalancesApi;
use super::rpc::event_service::EventsApi;
use super::rpc::payment_service::PaymentsApi;
use super::rpc::perform::Performer;
use super::rpc::reconciliation_service::ReconciliationApi;
use super::rpc::refund_service::RefundsApi;
use super::rpc::sealing_service::SealingApi;
use super::rpc::settlement_service::SettlementApi;
use super::rpc::views::PaymentViews;
use super::rpc::watcher::EventViews;
use super::transport::api_key::Pepper;
use super::transport::auth::{Authenticator, Directories};
use super::transport::gate::Gate;
use super::transport::trailers::Timed;
use crate::card::envelope::Opener;
use crate::clock::Clock;
use crate::config::environment::Environment;
use crate::event_feed::EventFeed;
use crate::flows::authorization::Authorization;
use crate::flows::cancellation::Cancellation;
use crate::flows::capture::Capture;
use crate::flows::increment::Increment;
use crate::flows::refund::Refund;
use crate::flows::reverse::Reverse;
use crate::flows::verification::Verification;
use crate::flows::void::Void;
use crate::grpc::places::ConnectionBounds;
use crate::grpc::server::{Bound, Door, MAX_REQUEST_BYTES, ServeError};
use crate::hosts::Hosts;
use crate::metrics::{MethodName, Metrics};
use crate::operations::machine::Operations;
use crate::operations::new_card::NewCards;
use crate::payment::ids::MerchantId;
use crate::random::Random;
use crate::shares::Shares;
use crate::store::Store;
use crate::store::database::read_kinds::ReadKind;

/// Payments, captures and refunds that are read for one merchant at once; its further calls wait for these.
const READS_PER_MERCHANT: usize = 2;
/// Lists and reports that are read for one merchant at once, beside these.
const LISTS_PER_MERCHANT: usize = 2;
/// The services of the API that are served.
const SERVICES: [&str; 7] = [
    PAYMENT_SERVICE,
    REFUND_SERVICE,
    SEALING_SERVICE,
    BALANCE_SERVICE,
    EVENT_SERVICE,
    SETTLEMENT_SERVICE,
    RECONCILIATION_SERVICE,
];

/// What the merchant API needs of the other modules.
pub struct Dependencies {
    /// Whether this is a test environment.
    pub environment: Environment,
    /// Merchants and their keys, payments, client connections.
    pub store: Store,
    /// The secret under which API keys are hashed.
    pub pepper: Pepper,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Names connections.
    pub random: Random,
    /// What carries out operations.
    pub operations: Arc<Operations>,
    /// Opens the cards of new payments.
    pub cards: Arc<NewCards>,
    /// What happens to payments.
    pub events: Arc<EventFeed>,
    /// Names places among the events.
    pub cursors: Arc<Cursors>,
    /// The banks' hosts.
    pub hosts: Arc<Hosts>,
    /// What opens sealed cards and session keys.
    pub opener: Arc<Opener>,
    /// Client connections at once.
    pub connections: usize,
    /// Calls at once over all connections.
    pub concurrent_calls: usize,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// The methods of the services that are served.
///
/// # Errors
/// When the descriptions are broken.
pub fn methods() -> Result<Vec<MethodName>, ServeError> {
    let files = FileDescriptorSet::decode(pb::FILE_DESCRIPTOR_SET);
    let files = files.map_err(tonic_reflection::server::Error::from)?;
    let mut methods = Vec::new();
    for file in &files.file {
        let served = |service: &&ServiceDescriptorProto| {
            let name = format!("{}.{}", file.package(), service.name());
            SERVICES.contains(&&*name)
        };
        for service in file.service.iter().filter(served) {
            for method in &service.method {
                let name = format!("{}/{}", service.name(), method.name());
                methods.push(MethodName {
                    path: format!("/{}.{name}", file.package()),
                    name,
                    streams: method.server_streaming(),
                });
            }
        }
    }
    Ok(methods)
}

/// Serves the merchant API on `bound` until `stop` completes ([`Bound::serve`]).
///
/// `ready` says whether the health service answers SERVING.
///
/// # Errors
/// When the descriptions or the transport are broken.
pub async fn serve(
    bound: Bound,
    dependencies: Dependencies,
    ready: watch::Receiver<bool>,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let Dependencies {
        environment,
        store,
        pepper,
        clock,
        random,
        operations,
        cards,
        events,
        cursors,
        hosts,
        opener,
        connections,
        concurrent_calls,
        metrics,
    } = dependencies;
    let calls = metrics.calls();
    let directories = Directories {
        known: Arc::new(store.reading(ReadKind::Requests)),
        unknown: Arc::new(store.reading(ReadKind::UnknownCallers)),
    };
    let authenticator = Authenticator::new(directories, pepper, environment, &metrics);
    let gate = Arc::new(Gate::new(authenticator, concurrent_calls, &metrics));
    let connection_log = Arc::new(store.clone());
    let reads = Shares::of_their_own(READS_PER_MERCHANT, metrics.bound("reads_of_merchant"));
    let lists = Shares::of_their_own(LISTS_PER_MERCHANT, metrics.bound("lists_of_merchant"));
    let listed = store.reading(ReadKind::Lists);
    let balances = BalanceServiceServer::new(BalancesApi {
        store: listed.clone(),
        lists: lists.clone(),
    })
    .max_decoding_message_size(MAX_REQUEST_BYTES);
    let settlement = SettlementServiceServer::new(SettlementApi {
        store: listed.clone(),
        lists: lists.clone(),
    })
    .max_decoding_message_size(MAX_REQUEST_BYTES);
    let reconciliation = ReconciliationServiceServer::new(ReconciliationApi {
        store: listed.clone(),
        lists: lists.clone(),
    })
    .max_decoding_message_size(MAX_REQUEST_BYTES);
    let views = Arc::new(PaymentViews {
        store: store.clone(),
        hosts: Arc::clone(&hosts),
        clock: Arc::clone(&clock),
    });
    let list_views = Arc::new(PaymentViews {
        store: listed.clone(),
        hosts,
        clock: Arc::clone(&clock),
    });
    let event_views = Arc::new(EventViews::new(
        Arc::clone(&list_views),
        events,
        cursors,
        metrics.bound("streams"),
    ));
    let events = EventServiceServer::new(EventsApi {
        views: Arc::clone(&event_views),
        lists: lists.clone(),
    })
    .max_decoding_message_size(MAX_REQUEST_BYTES);
    let payments = PaymentServiceServer::new(PaymentsApi {
        authorizations: Performer::new(
            &operations,
            Authorization {
                cards: Arc::clone(&cards),
            },
            environment,
        ),
        verifications: Performer::new(&operations, Verification { cards }, environment),
        captures: Performer::new(&operations, Capture, environment),
        increments: Performer::new(&operations, Increment, environment),
        voids: Performer::new(&operations, Void, environment),
        cancellations: Performer::new(&operations, Cancellation, environment),
        reverses: Performer::new(&operations, Reverse, environment),
        views,
        list_views,
        events: event_views,
        reads: reads.clone(),
        lists: lists.clone(),
    })
    .max_decoding_message_size(MAX_REQUEST_BYTES);
    let refunds = RefundServiceServer::new(RefundsApi {
        refunds: Performer::new(&operations, Refund, environment),
        store,
        listed,
        reads,
        lists,
    })
    .max_decoding_message_size(MAX_REQUEST_BYTES);
    let sealing = SealingServiceServer::new(SealingApi {
        environment,
        opener,
        clock: Arc::clone(&clock),
    })
    .max_decoding_message_size(MAX_REQUEST_BYTES);
    let door = Door {
        routes: Routes::new(Timed::new(gate.before(payments), calls.clone()))
            .add_service(Timed::new(gate.before(refunds), calls.clone()))
            .add_service(Timed::new(gate.before(sealing), calls.clone()))
            .add_service(Timed::new(gate.before(balances), calls.clone()))
            .add_service(Timed::new(gate.before(settlement), calls.clone()))
            .add_service(Timed::new(gate.before(reconciliation), calls.clone()))
            .add_service(Timed::new(gate.before(events), calls.clone())),
        services: &SERVICES,
        descriptors: pb::FILE_DESCRIPTOR_SET,
        connections: ConnectionBounds {
            limit: connections,
            refused: metrics.bound("connections"),
            ended: metrics.bound("unidentified_connections"),
            beyond_share: metrics.bound("connections_of_merchant"),
        },
        free_calls_refused: metrics.bound("free_calls"),
        connection_log,
        clock,
        random,
    };
    bound.serve::<MerchantId>(door, ready, stop).await
}
