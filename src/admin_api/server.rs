//! The operators' API as a whole: its services behind its gate.

use std::sync::Arc;

use tokio::sync::watch;
use tonic::service::Routes;

use super::gate::Gate;
use super::lines::HostLines;
use super::metrics_page::MetricsPage;
use super::pb;
use super::pb::audit_service_server::{AuditServiceServer, SERVICE_NAME as AUDIT_SERVICE};
use super::pb::custody_service_server::{CustodyServiceServer, SERVICE_NAME as CUSTODY_SERVICE};
use super::pb::explain_service_server::{ExplainServiceServer, SERVICE_NAME as EXPLAIN_SERVICE};
use super::pb::host_service_server::{HostServiceServer, SERVICE_NAME as HOST_SERVICE};
use super::pb::key_service_server::{KeyServiceServer, SERVICE_NAME as KEY_SERVICE};
use super::pb::ledger_service_server::{LedgerServiceServer, SERVICE_NAME as LEDGER_SERVICE};
use super::pb::merchant_service_server::{MerchantServiceServer, SERVICE_NAME as MERCHANT_SERVICE};
use super::pb::operator_service_server::{OperatorServiceServer, SERVICE_NAME as OPERATOR_SERVICE};
use super::pb::owed_service_server::{OwedServiceServer, SERVICE_NAME as OWED_SERVICE};
use super::pb::payout_admin_service_server::{
    PayoutAdminServiceServer, SERVICE_NAME as PAYOUT_ADMIN_SERVICE,
};
use super::pb::reconciliation_admin_service_server::{
    ReconciliationAdminServiceServer, SERVICE_NAME as RECONCILIATION_ADMIN_SERVICE,
};
use super::pb::reload_service_server::{ReloadServiceServer, SERVICE_NAME as RELOAD_SERVICE};
use super::pb::risk_service_server::{RiskServiceServer, SERVICE_NAME as RISK_SERVICE};
use super::pb::settlement_admin_service_server::{
    SERVICE_NAME as SETTLEMENT_ADMIN_SERVICE, SettlementAdminServiceServer,
};
use super::pb::statement_service_server::{
    SERVICE_NAME as STATEMENT_SERVICE, StatementServiceServer,
};
use super::rpc::audit_service::AuditApi;
use super::rpc::audited::Audited;
use super::rpc::custody_service::CustodyApi;
use super::rpc::explain_service::ExplainApi;
use super::rpc::host_service::HostApi;
use super::rpc::key_service::KeyApi;
use super::rpc::ledger_service::LedgerApi;
use super::rpc::merchant_service::MerchantApi;
use super::rpc::operator_service::OperatorApi;
use super::rpc::owed_service::OwedApi;
use super::rpc::payout_admin_service::PayoutAdminApi;
use super::rpc::reconciliation_admin_service::ReconciliationAdminApi;
use super::rpc::reload_service::ReloadApi;
use super::rpc::risk_service::RiskApi;
use super::rpc::settlement_admin_service::SettlementAdminApi;
use super::rpc::statement_service::StatementApi;
use super::sealing_keys::SealingKeyBook;
use crate::clock::Clock;
use crate::grpc::places::ConnectionBounds;
use crate::grpc::server::{Bound, Door, MAX_REQUEST_BYTES, ServeError};
use crate::hosts::Hosts;
use crate::ledger_seals::sealer::LedgerSealer;
use crate::metrics::Metrics;
use crate::operations::card_custody::CardCustody;
use crate::operations::machine::Operations;
use crate::payment::ids::OperatorName;
use crate::random::Random;
use crate::reconciliation::discrepancies::Discrepancies;
use crate::reconciliation::report_imports::ReportImports;
use crate::reconciliation::statement_imports::StatementImports;
use crate::reconciliation::statement_matching::Matching;
use crate::reloading::Reloading;
use crate::risk::exchange::CountExchange;
use crate::risk::limits::Limits;
use crate::settlement::agreement::Agreement;
use crate::settlement::clearing_answers::ClearingAnswers;
use crate::settlement::days::BusinessDays;
use crate::settlement::merchant_terms::MerchantTerms;
use crate::settlement::payout_notices::PayoutNotices;
use crate::settlement::payouts::Payouts;
use crate::store::Store;
use crate::x509::EndsNow;

/// Client connections at once.
pub const CONNECTIONS: usize = 64;
/// The largest message of a file on its way: a chunk of 64 KiB and what is around it.
const MAX_CHUNK_BYTES: usize = MAX_REQUEST_BYTES + 1024;
/// The services that are served.
const SERVICES: [&str; 15] = [
    HOST_SERVICE,
    AUDIT_SERVICE,
    OPERATOR_SERVICE,
    CUSTODY_SERVICE,
    OWED_SERVICE,
    LEDGER_SERVICE,
    EXPLAIN_SERVICE,
    SETTLEMENT_ADMIN_SERVICE,
    RECONCILIATION_ADMIN_SERVICE,
    MERCHANT_SERVICE,
    PAYOUT_ADMIN_SERVICE,
    STATEMENT_SERVICE,
    RELOAD_SERVICE,
    KEY_SERVICE,
    RISK_SERVICE,
];

/// What the operators' API needs of the other modules.
pub struct Dependencies {
    /// Operators, the audit trail, client connections.
    pub store: Store,
    /// The lines to the bank hosts.
    pub lines: Arc<dyn HostLines>,
    /// The bank hosts, as far as they show messages.
    pub hosts: Arc<Hosts>,
    /// The custody of cards.
    pub custody: Arc<CardCustody>,
    /// What sends what is owed to banks.
    pub operations: Arc<Operations>,
    /// What seals the ledger.
    pub sealer: Arc<LedgerSealer>,
    /// The bank's days.
    pub days: Arc<BusinessDays>,
    /// What agrees their totals with the banks.
    pub agreement: Arc<Agreement>,
    /// What takes in their reports.
    pub imports: Arc<ReportImports>,
    /// What takes in their answers to clearing files.
    pub answers: Arc<ClearingAnswers>,
    /// What is done about what they have otherwise.
    pub discrepancies: Arc<Discrepancies>,
    /// What takes in statements of bank accounts.
    pub statements: Arc<StatementImports>,
    /// What matches their lines.
    pub matching: Arc<Matching>,
    /// The terms of merchants.
    pub terms: Arc<MerchantTerms>,
    /// Payouts.
    pub payouts: Arc<Payouts>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// When certificates and revocation lists end.
    pub ends: EndsNow,
    /// What is read again while the gateway runs.
    pub reloading: Arc<Reloading>,
    /// How often a card, a merchant or an address may be tried.
    pub limits: Arc<Limits>,
    /// What all nodes have counted for them.
    pub counts: Arc<CountExchange>,
    /// The keys that cards are sealed to.
    pub sealing_keys: Arc<SealingKeyBook>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Names connections and audit rows.
    pub random: Random,
}

/// Serves the operators' API on `bound` until `stop` completes ([`Bound::serve`]). Its TLS must demand client
/// certificates from the operators' own root.
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
        store,
        lines,
        hosts: bank_hosts,
        custody,
        operations,
        sealer,
        days,
        agreement,
        imports,
        answers,
        discrepancies,
        statements,
        matching,
        terms,
        payouts,
        metrics,
        ends,
        reloading,
        limits,
        counts,
        sealing_keys,
        clock,
        random,
    } = dependencies;
    let gate = Arc::new(Gate::new(store.clone(), metrics.bound("operator_calls")));
    let audited = Audited {
        store: store.clone(),
        clock: Arc::clone(&clock),
        random: random.clone(),
    };
    let connection_log = Arc::new(store.clone());
    let page = MetricsPage {
        metrics: Arc::clone(&metrics),
        ends,
        reloading: Arc::clone(&reloading),
        limits: Arc::clone(&limits),
        store: store.clone(),
        lines: Arc::clone(&lines),
        clock: Arc::clone(&clock),
    };
    let hosts = HostServiceServer::new(HostApi {
        lines,
        audited: audited.clone(),
    })
    .max_decoding_message_size(MAX_REQUEST_BYTES);
    let custody = CustodyServiceServer::new(CustodyApi {
        custody,
        audited: audited.clone(),
    })
    .max_decoding_message_size(MAX_REQUEST_BYTES);
    let owed = OwedServiceServer::new(OwedApi {
        store: store.clone(),
        operations,
        audited: audited.clone(),
    })
    .max_decoding_message_size(MAX_REQUEST_BYTES);
    let ledger = LedgerServiceServer::new(LedgerApi {
        store: store.clone(),
        sealer,
    })
    .max_decoding_message_size(MAX_REQUEST_BYTES);
    let accounts = statements.account_names().collect();
    let notices = PayoutNotices::new(store.clone(), Arc::clone(&clock), accounts);
    let payouts = PayoutAdminServiceServer::new(PayoutAdminApi {
        payouts,
        notices: Arc::new(notices),
        hosts: Arc::clone(&bank_hosts),
        audited: audited.clone(),
    })
    .max_decoding_message_size(MAX_CHUNK_BYTES);
    let explain = ExplainServiceServer::new(ExplainApi {
        store: store.clone(),
        hosts: bank_hosts,
        clock: Arc::clone(&clock),
    })
    .max_decoding_message_size(MAX_REQUEST_BYTES);
    let settlement = SettlementAdminServiceServer::new(SettlementAdminApi {
        days,
        agreement,
        imports,
        answers,
        audited: audited.clone(),
    })
    .max_decoding_message_size(MAX_CHUNK_BYTES);
    let reconciliation = ReconciliationAdminServiceServer::new(ReconciliationAdminApi {
        discrepancies,
        store: store.clone(),
        imports: statements,
        matching,
        audited: audited.clone(),
    })
    .max_decoding_message_size(MAX_CHUNK_BYTES);
    let merchants = MerchantServiceServer::new(MerchantApi {
        terms,
        audited: audited.clone(),
    })
    .max_decoding_message_size(MAX_REQUEST_BYTES);
    let statements = StatementServiceServer::new(StatementApi {
        store: store.clone(),
    })
    .max_decoding_message_size(MAX_REQUEST_BYTES);
    let reloads = ReloadServiceServer::new(ReloadApi {
        reloading,
        audited: audited.clone(),
    })
    .max_decoding_message_size(MAX_REQUEST_BYTES);
    let keys = KeyServiceServer::new(KeyApi {
        keys: sealing_keys,
        audited: audited.clone(),
    })
    .max_decoding_message_size(MAX_REQUEST_BYTES);
    let risk = RiskServiceServer::new(RiskApi {
        limits,
        counts,
        store: store.clone(),
        clock: Arc::clone(&clock),
        audited: audited.clone(),
    })
    .max_decoding_message_size(MAX_REQUEST_BYTES);
    let operators = OperatorServiceServer::new(OperatorApi { audited })
        .max_decoding_message_size(MAX_REQUEST_BYTES);
    let audit =
        AuditServiceServer::new(AuditApi { store }).max_decoding_message_size(MAX_REQUEST_BYTES);
    let services = Routes::new(gate.before(hosts))
        .add_service(gate.before(audit))
        .add_service(gate.before(operators))
        .add_service(gate.before(custody))
        .add_service(gate.before(owed))
        .add_service(gate.before(ledger))
        .add_service(gate.before(explain))
        .add_service(gate.before(settlement))
        .add_service(gate.before(merchants))
        .add_service(gate.before(payouts))
        .add_service(gate.before(statements))
        .add_service(gate.before(reloads))
        .add_service(gate.before(keys))
        .add_service(gate.before(risk))
        .add_service(gate.before(reconciliation));
    let door = Door {
        routes: page.beside(services.into_axum_router(), &gate).into(),
        services: &SERVICES,
        descriptors: pb::FILE_DESCRIPTOR_SET,
        connections: ConnectionBounds {
            limit: CONNECTIONS,
            refused: metrics.bound("operator_connections"),
            ended: metrics.bound("operator_unidentified_connections"),
            beyond_share: metrics.bound("connections_of_operator"),
        },
        free_calls_refused: metrics.bound("operator_free_calls"),
        connection_log,
        clock,
        random,
    };
    bound.serve::<OperatorName>(door, ready, stop).await
}
