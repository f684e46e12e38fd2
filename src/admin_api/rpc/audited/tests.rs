//! Each call against a store, and lines that do as they are told: what is answered, and what the audit trail keeps.

mod data_keys;
mod operators;

use std::sync::atomic::Ordering;

use tonic::{Code, Request};
use tonic_types::StatusExt as _;

use super::*;
use crate::admin_api::lines::HostLines;
use crate::admin_api::pb;
use crate::admin_api::pb::audit_service_server::AuditService as _;
use crate::admin_api::pb::host_service_server::HostService as _;
use crate::admin_api::pb::operator_service_server::OperatorService as _;
use crate::admin_api::records::COMMAND_LINE;
use crate::admin_api::rpc::audit_service::AuditApi;
use crate::admin_api::rpc::custody_service::CustodyApi;
use crate::admin_api::rpc::host_service::HostApi;
use crate::admin_api::rpc::operator_service::OperatorApi;
use crate::admin_api::testing::{Lines, NOW, operator};
use crate::clock::ManualClock;
use crate::grpc::body_hash::body_hash;
use crate::operations::card_custody::tests::open as card_custody;
use crate::store::records::callers::OperatorRole::{Approver, Operator, Viewer};
use crate::store::testing::TestDatabase;

struct Setting {
    _database: TestDatabase,
    store: Store,
    lines: Arc<Lines>,
    clock: Arc<ManualClock>,
    hosts: HostApi,
    operators: OperatorApi,
    custody: CustodyApi,
    audit: AuditApi,
}

async fn setting() -> Setting {
    let database = TestDatabase::sqlite().await;
    let store = database.open().await;
    for (number, (name, role)) in [("alice", Approver), ("bob", Operator), ("vic", Viewer)]
        .into_iter()
        .enumerate()
    {
        let row = AuditRecord {
            request_id: name.into(),
            ..audit_row(u8::try_from(number).unwrap())
        };
        let added = store.insert_operator(&operator(name, role), &row).await;
        added.unwrap();
    }
    let lines = Arc::new(Lines::default());
    let clock = Arc::new(ManualClock::at(NOW));
    let audited = Audited {
        store: store.clone(),
        clock: clock.clone(),
        random: Random::SYSTEM,
    };
    Setting {
        hosts: HostApi {
            lines: Arc::clone(&lines) as Arc<dyn HostLines>,
            audited: audited.clone(),
        },
        custody: CustodyApi {
            custody: Arc::new(card_custody(&store, clock.clone()).await),
            audited: audited.clone(),
        },
        operators: OperatorApi { audited },
        audit: AuditApi {
            store: store.clone(),
        },
        _database: database,
        store,
        lines,
        clock,
    }
}

/// A row from before the test.
fn audit_row(number: u8) -> AuditRecord {
    AuditRecord {
        id: AuditId::from_parts(NOW.plus_ms(-1), [number; 10]),
        at: NOW,
        operator: COMMAND_LINE.into(),
        action: "before".into(),
        target: String::new(),
        reason: "test".into(),
        request_id: String::new(),
        body_hash: [0; 32],
        outcome: None,
        answer: Vec::new(),
    }
}

impl Setting {
    /// A request as the gate passes it on.
    fn by<T>(&self, name: &str, request: T) -> Request<T> {
        let role = match name {
            "alice" => Approver,
            "bob" => Operator,
            _ => Viewer,
        };
        // Rows sort by their time.
        self.clock.advance_ms(1);
        let mut request = Request::new(request);
        request.extensions_mut().insert(operator(name, role));
        request
    }

    async fn sign_off(
        &self,
        by: &str,
        request_id: &str,
        host_id: &str,
    ) -> Result<pb::Host, Status> {
        let request = sign_off(request_id, host_id);
        let answer = self.hosts.sign_off_host(self.by(by, request)).await?;
        Ok(answer.into_inner().host.unwrap())
    }

    async fn add(&self, by: &str, name: &str, role: pb::OperatorRole) -> Result<(), Status> {
        let request = pb::AddOperatorRequest {
            request_id: format!("add-{name}"),
            reason: "new".into(),
            name: name.into(),
            role: role.into(),
        };
        let added = self.operators.add_operator(self.by(by, request)).await;
        added.map(drop)
    }

    async fn set_role(&self, by: &str, name: &str, role: pb::OperatorRole) -> Result<(), Status> {
        let request = pb::SetOperatorRoleRequest {
            request_id: format!("role-{name}-{}", role.as_str_name()),
            reason: "trained".into(),
            name: name.into(),
            role: role.into(),
        };
        let set = self.operators.set_operator_role(self.by(by, request)).await;
        set.map(drop)
    }

    async fn deactivate(&self, by: &str, name: &str) -> Result<pb::Operator, Status> {
        let request = pb::DeactivateOperatorRequest {
            request_id: format!("deactivate-{name}"),
            reason: "left".into(),
            name: name.into(),
        };
        let done = self
            .operators
            .deactivate_operator(self.by(by, request))
            .await?;
        Ok(done.into_inner().operator.unwrap())
    }

    /// The rows of the test, oldest first.
    async fn rows(&self) -> Vec<AuditRecord> {
        let mut rows = self.store.list_audit(100, None).await.unwrap();
        rows.retain(|row| row.operator != COMMAND_LINE);
        rows.reverse();
        rows
    }

    /// The audit trail, oldest first: who, what, to what, with which outcome.
    async fn trail(&self) -> Vec<String> {
        let rows = self.rows().await;
        rows.iter()
            .map(|row| {
                let outcome = row.outcome.as_deref().unwrap_or("-");
                format!("{} {} {} {outcome}", row.operator, row.action, row.target)
            })
            .collect()
    }
}

fn sign_off(request_id: &str, host_id: &str) -> pb::SignOffHostRequest {
    pb::SignOffHostRequest {
        request_id: request_id.into(),
        reason: "maintenance".into(),
        host_id: host_id.into(),
    }
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().unwrap().reason
}

#[tokio::test]
async fn a_sign_off_is_audited_and_the_same_request_gets_the_same_answer() {
    let setting = setting().await;
    let host = setting.sign_off("bob", "one", "acquirer").await.unwrap();
    assert!(host.signed_off_by_operator);
    assert_eq!(host.lines[0].state(), pb::LineState::SignedOff);
    assert_eq!(host.lines[0].in_flight_count, 3);
    setting.lines.signed_off.store(false, Ordering::Relaxed);
    setting.clock.advance_ms(86_400_000);
    let again = setting.sign_off("bob", "one", "acquirer").await.unwrap();
    assert_eq!(again, host);
    assert_eq!(setting.lines.asked.load(Ordering::Relaxed), 1);
    // Another request of the same name, and the same name of another operator.
    let other = setting.sign_off("bob", "one", "issuer").await.unwrap_err();
    assert_eq!(
        (other.code(), reason(&other)),
        (Code::FailedPrecondition, "REQUEST_ID_REUSED".into())
    );
    setting.sign_off("alice", "one", "acquirer").await.unwrap();
    let row = setting.rows().await.swap_remove(0);
    assert_eq!((row.at, &*row.reason), (NOW.plus_ms(1), "maintenance"));
    assert_eq!(
        setting.trail().await,
        [
            "bob HostService.SignOffHost acquirer DONE",
            "alice HostService.SignOffHost acquirer DONE",
        ]
    );
}

#[tokio::test]
async fn what_is_refused_or_does_not_succeed_is_audited_too() {
    let setting = setting().await;
    for (by, host_id, code, expected) in [
        ("vic", "acquirer", Code::PermissionDenied, "ROLE_TOO_LOW"),
        ("bob", "nowhere", Code::NotFound, "HOST_NOT_FOUND"),
    ] {
        // And again, with the same answer.
        for _ in 0..2 {
            let refused = setting.sign_off(by, "one", host_id).await.unwrap_err();
            assert_eq!((refused.code(), reason(&refused)), (code, expected.into()));
        }
    }
    assert_eq!(setting.lines.asked.load(Ordering::Relaxed), 0);
    setting.lines.stuck.store(true, Ordering::Relaxed);
    setting.sign_off("bob", "two", "acquirer").await.unwrap();
    let echo = pb::EchoHostRequest {
        request_id: "three".into(),
        reason: "is it there?".into(),
        host_id: "acquirer".into(),
    };
    let echoed = setting.hosts.echo_host(setting.by("bob", echo)).await;
    let results = echoed.unwrap().into_inner().results;
    assert!(!results[0].answered && results[0].error.contains("in time"));
    assert_eq!(
        setting.trail().await,
        [
            "vic HostService.SignOffHost acquirer REFUSED:ROLE_TOO_LOW",
            "bob HostService.SignOffHost nowhere REFUSED:HOST_NOT_FOUND",
            "bob HostService.SignOffHost acquirer FAILED:NOT_IN_TIME",
            "bob HostService.EchoHost acquirer FAILED:NOT_ANSWERED",
        ]
    );
}

#[tokio::test]
async fn a_request_that_is_not_valid_is_told_every_fault_and_not_audited() {
    let setting = setting().await;
    for (reason, faults) in [
        ("", &["request_id", "reason", "host_id"][..]),
        ("line\nbreak", &["request_id", "reason", "host_id"]),
        ("4242 4242 4242 4242", &["reason"]),
        (&*"x".repeat(201), &["request_id", "reason", "host_id"]),
    ] {
        let request = pb::SignOnHostRequest {
            request_id: "two words".into(),
            reason: reason.into(),
            host_id: "Acquirer".into(),
        };
        let refused = setting.hosts.sign_on_host(setting.by("bob", request)).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        let bad = refused.get_details_bad_request().unwrap();
        let fields: Vec<_> = bad.field_violations.iter().map(|it| &*it.field).collect();
        assert_eq!(fields, faults, "{reason}");
        assert!(!format!("{refused:?}").contains("4242"));
    }
    let nameless = pb::AddOperatorRequest::default();
    let refused = setting.operators.add_operator(setting.by("bob", nameless));
    let bad = refused
        .await
        .unwrap_err()
        .get_details_bad_request()
        .unwrap();
    let fields: Vec<_> = bad.field_violations.iter().map(|it| &*it.field).collect();
    assert_eq!(fields, ["request_id", "reason", "name", "role"]);
    assert!(setting.trail().await.is_empty());
}

#[tokio::test]
async fn a_call_whose_end_was_not_recorded_is_not_done_again() {
    let setting = setting().await;
    let began = AuditRecord {
        operator: "bob".into(),
        action: "HostService.SignOffHost".into(),
        target: "acquirer".into(),
        request_id: "one".into(),
        body_hash: body_hash(&sign_off("one", "acquirer")),
        ..audit_row(9)
    };
    setting.store.insert_audit(&began).await.unwrap();
    for (later_ms, code, expected) in [
        (1_000, Code::Aborted, "REQUEST_IN_PROGRESS"),
        (60_000, Code::FailedPrecondition, "END_NOT_RECORDED"),
    ] {
        setting.clock.advance_ms(later_ms);
        let refused = setting
            .sign_off("bob", "one", "acquirer")
            .await
            .unwrap_err();
        assert_eq!((refused.code(), reason(&refused)), (code, expected.into()));
    }
    assert_eq!(setting.lines.asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn nothing_is_done_that_can_t_be_recorded_first() {
    let setting = setting().await;
    setting.store.close().await;
    let refused = setting
        .sign_off("bob", "one", "acquirer")
        .await
        .unwrap_err();
    assert_eq!(reason(&refused), "STORE_UNAVAILABLE");
    let refused = setting.add("bob", "carl", pb::OperatorRole::Viewer).await;
    assert_eq!(reason(&refused.unwrap_err()), "STORE_UNAVAILABLE");
    assert_eq!(setting.lines.asked.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn the_audit_trail_is_listed_page_by_page() {
    let setting = setting().await;
    for number in 0..3 {
        let request_id = format!("request-{number}");
        setting
            .sign_off("bob", &request_id, "acquirer")
            .await
            .unwrap();
    }
    let mut seen = Vec::new();
    let mut page_token = String::new();
    for _ in 0..2 {
        let request = pb::ListAuditEntriesRequest {
            page_size: 2,
            page_token,
        };
        let page = setting
            .audit
            .list_audit_entries(setting.by("vic", request))
            .await;
        let page = page.unwrap().into_inner();
        assert!(page.entries.len() <= 2);
        seen.extend(page.entries.into_iter().map(|entry| entry.request_id));
        page_token = page.next_page_token;
    }
    assert_eq!(seen[..3], ["request-2", "request-1", "request-0"]);
    let wrong = pb::ListAuditEntriesRequest {
        page_size: 101,
        page_token: "aud_1".into(),
    };
    let refused = setting
        .audit
        .list_audit_entries(setting.by("vic", wrong))
        .await;
    assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
}
