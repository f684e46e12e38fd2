//! The operators' door: hosts are signed off and on, who did it is on record, and nobody else gets in.

use payswitch::admin_api::pb as admin;
use payswitch::admin_api::pb::audit_service_client::AuditServiceClient;
use payswitch::admin_api::pb::host_service_client::HostServiceClient;
use payswitch::admin_api::pb::operator_service_client::OperatorServiceClient;
use payswitch::admin_api::pb::owed_service_client::OwedServiceClient;
use payswitch::certs::{DevelopmentPki, Identity};
use payswitch::grpc::client::{self, ClientCertificate, ConnectError, error_reason};
use payswitch::merchant_api::pb;
use pb::PaymentState as State;
use serde_json::Value;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::database::Engine;
use crate::demo::{Demo, text};
use crate::harness::{
    Switch, TempFolder, authorize, eventually, now, on_both_engines, pay_with, run,
};
use crate::refused::Refused;
use crate::tools::{printed_by, tool};

on_both_engines!(
    a_sign_off_stops_payments_and_is_on_record,
    operators_are_kept,
);

/// A connection of a client with this certificate. Whether the handshake succeeded may show only in the first call.
async fn try_to_connect(
    switch: &Switch,
    identity: Option<&Identity>,
) -> Result<Channel, ConnectError> {
    let address = switch.gateway().admin_api.expect("a door for operators");
    let key = identity.map(Identity::key_pem);
    let certificate = identity.zip(key.as_ref());
    let certificate = certificate.map(|(identity, key)| ClientCertificate {
        chain: identity.certificate_pem().as_bytes(),
        key,
    });
    let ca = switch.pki.operators_root.certificate_pem().as_bytes();
    client::connect(address, "localhost", ca, certificate.as_ref()).await
}

/// A connection of the demo's operator, who is an approver.
pub(crate) async fn operator(switch: &Switch) -> Channel {
    let channel = try_to_connect(switch, Some(&switch.pki.operator)).await;
    channel.expect("a connection to the operators' API")
}

/// Its client of what is owed.
pub(crate) async fn owed_client(switch: &Switch) -> OwedServiceClient<Channel> {
    OwedServiceClient::new(operator(switch).await)
}

pub(crate) async fn sign_off(channel: Channel, request_id: &str) -> Result<admin::Host, Status> {
    let request = admin::SignOffHostRequest {
        request_id: request_id.into(),
        reason: "maintenance until 14:00".into(),
        host_id: "acquirer".into(),
    };
    let done = HostServiceClient::new(channel)
        .sign_off_host(request)
        .await?;
    Ok(done.into_inner().host.expect("the host"))
}

pub(crate) async fn trail(channel: Channel) -> Vec<admin::AuditEntry> {
    let request = admin::ListAuditEntriesRequest::default();
    let listed = AuditServiceClient::new(channel)
        .list_audit_entries(request)
        .await;
    listed.expect("the audit trail").into_inner().entries
}

async fn a_sign_off_stops_payments_and_is_on_record(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let channel = operator(&switch).await;
    let before = switch.database.count("audit").await;
    let host = sign_off(channel.clone(), "one").await.expect("a sign-off");
    assert!(host.signed_off_by_operator);
    let states = host.lines.iter().map(admin::Line::state);
    assert!(states.eq(host.lines.iter().map(|_| admin::LineState::SignedOff)));

    let seen = switch.at_acquirer();
    let unsent = authorize(&mut payments, pay_with("pm_test_visa", 1250, "EUR")).await;
    assert_eq!(unsent.state(), State::Failed);
    let failure = unsent.failure.as_ref().expect("why it failed");
    assert_eq!(failure.reason(), pb::FailureReason::HostUnavailable);
    assert_eq!(switch.at_acquirer(), seen);
    // The same request again: the same answer, and no second row.
    let again = sign_off(channel.clone(), "one").await.expect("its answer");
    assert_eq!(again, host);
    assert_eq!(switch.database.count("audit").await, before + 1);

    let mut hosts = HostServiceClient::new(channel.clone());
    let request = admin::SignOnHostRequest {
        request_id: "two".into(),
        reason: "the bank is back".into(),
        host_id: "acquirer".into(),
    };
    let signed_on = hosts.sign_on_host(request).await.expect("a sign-on");
    let host = signed_on.into_inner().host.expect("the host");
    assert!(
        host.lines
            .iter()
            .all(|line| line.state() == admin::LineState::SignedOn)
    );
    let paid = authorize(&mut payments, pay_with("pm_test_visa", 1250, "EUR")).await;
    assert_eq!(paid.state(), State::Authorized);
    let request = admin::EchoHostRequest {
        request_id: "three".into(),
        reason: "is it there?".into(),
        host_id: "acquirer".into(),
    };
    let echoed = hosts
        .echo_host(request)
        .await
        .expect("an echo")
        .into_inner();
    assert!(!echoed.results.is_empty());
    for result in echoed.results {
        assert!(result.answered && result.round_trip_us > 0, "{result:?}");
        assert_eq!(result.response_code, "00");
    }

    let entries = trail(channel).await;
    let told: Vec<_> = entries
        .iter()
        .rev()
        .skip(1)
        .map(|entry| {
            (
                &*entry.operator,
                &*entry.action,
                &*entry.target,
                &*entry.reason,
            )
        })
        .collect();
    let operator = "demo-operator";
    assert_eq!(
        told,
        [
            (
                operator,
                "HostService.SignOffHost",
                "acquirer",
                "maintenance until 14:00"
            ),
            (
                operator,
                "HostService.SignOnHost",
                "acquirer",
                "the bank is back"
            ),
            (operator, "HostService.EchoHost", "acquirer", "is it there?"),
        ]
    );
    let done = entries
        .iter()
        .all(|entry| entry.outcome() == admin::AuditOutcome::Done);
    assert!(done, "{entries:?}");
    let first = entries.last().expect("the first operator");
    assert_eq!(
        (&*first.operator, &*first.target),
        ("command-line", "demo-operator as APPROVER")
    );
}

/// Gives the demo's operator, who is the only approver, another role.
pub(crate) async fn set_own_role(channel: Channel, role: admin::OperatorRole) {
    let mut operators = OperatorServiceClient::new(channel);
    let add = admin::AddOperatorRequest {
        request_id: "another-approver".into(),
        reason: "a second approver".into(),
        name: "alice".into(),
        role: admin::OperatorRole::Approver.into(),
    };
    operators.add_operator(add).await.expect("another operator");
    let change = admin::SetOperatorRoleRequest {
        request_id: "own-role".into(),
        reason: "does less from now on".into(),
        name: "demo-operator".into(),
        role: role.into(),
    };
    operators.set_operator_role(change).await.expect("the role");
}

async fn operators_are_kept(engine: Engine) {
    let mut switch = Switch::start(engine).await;
    let channel = operator(&switch).await;
    let mut operators = OperatorServiceClient::new(channel);
    for (request_id, name) in [("one", "bob"), ("two", "carl")] {
        let add = admin::AddOperatorRequest {
            request_id: request_id.into(),
            reason: "joined".into(),
            name: name.into(),
            role: admin::OperatorRole::Operator.into(),
        };
        operators.add_operator(add).await.expect("an operator");
    }
    let deactivate = |request_id: &str, name: &str| admin::DeactivateOperatorRequest {
        request_id: request_id.into(),
        reason: "left".into(),
        name: name.into(),
    };
    let left = operators
        .deactivate_operator(deactivate("three", "bob"))
        .await;
    left.expect("bob has left");
    let last = operators.deactivate_operator(deactivate("four", "demo-operator"));
    let last = last.await.expect_err("the last approver");
    assert_eq!(
        Refused::from(&last),
        Refused::not_sent(Code::FailedPrecondition, "LAST_APPROVER")
    );
    // Access is looked at with each call.
    let approver = admin::SetOperatorRoleRequest {
        request_id: "five".into(),
        reason: "takes over".into(),
        name: "carl".into(),
        role: admin::OperatorRole::Approver.into(),
    };
    let carl = operators.set_operator_role(approver).await;
    carl.expect("another approver");
    let left = operators.deactivate_operator(deactivate("six", "demo-operator"));
    left.await.expect("the first approver has left");
    let refused = operators.list_operators(admin::ListOperatorsRequest {});
    let expected = Refused::not_sent(Code::Unauthenticated, "OPERATOR_REFUSED");
    let refused = refused.await.expect_err("no access");
    assert_eq!(Refused::from(&refused), expected);
    // And all that is so after a restart.
    switch.restart_gateway().await;
    let listed = switch.store().list_operators().await.expect("operators");
    let listed: Vec<_> = listed
        .iter()
        .map(|operator| (&*operator.name, operator.role.name(), operator.active))
        .collect();
    assert_eq!(
        listed,
        [
            ("bob", "OPERATOR", false),
            ("carl", "APPROVER", true),
            ("demo-operator", "APPROVER", false),
        ]
    );
    let identities = switch.store().list_connections(100, None).await;
    let identities = identities.expect("the connections").into_iter();
    let mut identities = identities.filter_map(|record| record.connection.identity);
    let expected = "operator demo-operator by certificate";
    assert_eq!(identities.next().as_deref(), Some(expected));
}

#[test]
fn only_operators_get_in() {
    run(async {
        let switch = Switch::start(Engine::Sqlite).await;
        let name = "demo-operator".parse().expect("a name");
        let other = DevelopmentPki::generate(&switch.merchant_id, &name, now());
        let other = other.expect("another root").operator;
        for identity in [None, Some(&switch.pki.merchant), Some(&other)] {
            if let Ok(channel) = try_to_connect(&switch, identity).await {
                let refused = sign_off(channel, "one").await.expect_err("a handshake");
                // The handshake failed, so the gateway has said nothing.
                assert_eq!(error_reason(&refused), None, "{refused:?}");
            }
        }
        let channel = operator(&switch).await;
        let mut request = Request::new(admin::ListHostsRequest {});
        let key = format!("Bearer {}", switch.api_key);
        let key = key.parse().expect("a header");
        request.metadata_mut().insert("authorization", key);
        let refused = HostServiceClient::new(channel.clone())
            .list_hosts(request)
            .await
            .expect_err("an API key");
        assert_eq!(
            Refused::from(&refused),
            Refused::not_sent(Code::Unauthenticated, "API_KEY_REFUSED")
        );
        assert_eq!(trail(channel).await.len(), 1);
        // And no operator at the merchants' door.
        let operator = switch.connect(Some(&switch.pki.operator)).await;
        let list = pb::payment_service_client::PaymentServiceClient::new(operator)
            .list_payments(pb::ListPaymentsRequest::default())
            .await;
        assert_eq!(error_reason(&list.expect_err("a handshake")), None);
    });
}

#[test]
fn grpcurl_lists_and_calls_the_door() {
    run(async {
        let folder = TempFolder::new("admin-grpcurl");
        let demo = Demo::start(&folder, &["--no-tour"]).await;
        let grpcurl = || {
            let mut command = tool("grpcurl");
            command
                .args(["-cacert", demo.said("admin_ca_path")])
                .args(["-cert", demo.said("operator_certificate")])
                .args(["-key", demo.said("operator_key")])
                .args(["-servername", demo.said("server_name")]);
            command
        };
        let address = demo.said("admin_api");
        let services = printed_by(grpcurl().args([address, "list"]));
        for service in [
            "payswitch.admin.v1.HostService",
            "payswitch.admin.v1.AuditService",
            "payswitch.admin.v1.OperatorService",
            "grpc.health.v1.Health",
        ] {
            assert!(services.lines().any(|line| line == service), "{services}");
        }
        let method = "payswitch.admin.v1.HostService.SignOffHost";
        let described = printed_by(grpcurl().args([address, "describe", method]));
        assert!(described.contains("Role: operator."), "{described}");
        let health = printed_by(grpcurl().args([address, "grpc.health.v1.Health/Check"]));
        assert!(health.contains("\"SERVING\""), "{health}");
        let method = "payswitch.admin.v1.HostService/ListHosts";
        let listed = printed_by(grpcurl().args([address, method]));
        let listed: Value = serde_json::from_str(&listed).expect("JSON");
        assert_eq!(listed["hosts"][0]["hostId"], "acquirer", "{listed}");
        // The log is written beside the answers.
        let line = eventually("a line for the call", async || {
            let log = text(&demo.data.join("payswitch.log"));
            let mut lines = log.lines();
            let line = lines.find(|line| line.contains("HostService/ListHosts"));
            line.map(str::to_owned)
        });
        let line = line.await;
        assert!(
            line.contains("demo-operator") && line.contains("Ok"),
            "{line}"
        );
    });
}
