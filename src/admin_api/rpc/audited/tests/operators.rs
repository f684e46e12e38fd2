//! Who may give which role, and what becomes of operators.

use super::{reason, setting};
use crate::admin_api::pb;
use crate::admin_api::pb::operator_service_server::OperatorService as _;

#[tokio::test]
async fn nobody_gives_or_touches_a_role_above_its_own() {
    use pb::OperatorRole as Role;
    let setting = setting().await;
    let mut refusals = Vec::new();
    for refused in [
        setting.add("vic", "carl", Role::Viewer).await,
        setting.add("bob", "carl", Role::Approver).await,
        setting.add("bob", "alice", Role::Viewer).await,
        setting.add("bob", "command-line", Role::Viewer).await,
        setting.set_role("bob", "bob", Role::Approver).await,
        setting.set_role("bob", "alice", Role::Viewer).await,
        setting.set_role("alice", "nobody", Role::Viewer).await,
        setting.set_role("alice", "alice", Role::Viewer).await,
        setting.deactivate("bob", "alice").await.map(drop),
        setting.deactivate("alice", "alice").await.map(drop),
    ] {
        refusals.push(reason(&refused.unwrap_err()));
    }
    assert_eq!(
        refusals,
        [
            "ROLE_TOO_LOW",
            "ROLE_TOO_LOW",
            "OPERATOR_EXISTS",
            "OPERATOR_EXISTS",
            "ROLE_TOO_LOW",
            "ROLE_TOO_LOW",
            "OPERATOR_NOT_FOUND",
            "LAST_APPROVER",
            "ROLE_TOO_LOW",
            "LAST_APPROVER",
        ]
    );
    assert_eq!(setting.trail().await.len(), refusals.len());
    assert_eq!(setting.store.list_operators().await.unwrap().len(), 3);
}

#[tokio::test]
async fn operators_are_added_changed_and_deactivated() {
    use pb::OperatorRole as Role;
    let setting = setting().await;
    setting.add("bob", "carl", Role::Viewer).await.unwrap();
    // The same request again, although there is a carl now.
    setting.add("bob", "carl", Role::Viewer).await.unwrap();
    setting
        .set_role("bob", "carl", Role::Operator)
        .await
        .unwrap();
    let carl = setting.deactivate("alice", "carl").await.unwrap();
    assert_eq!((carl.role(), carl.active), (Role::Operator, false));
    let request = pb::ActivateOperatorRequest {
        request_id: "again".into(),
        reason: "is back".into(),
        name: "carl".into(),
    };
    let activated = setting
        .operators
        .activate_operator(setting.by("bob", request));
    assert!(
        activated
            .await
            .unwrap()
            .into_inner()
            .operator
            .unwrap()
            .active
    );
    // The answer of then.
    let carl = setting.deactivate("alice", "carl").await.unwrap();
    assert!(!carl.active);
    let list = setting.by("vic", pb::ListOperatorsRequest {});
    let listed = setting.operators.list_operators(list).await.unwrap();
    let listed = listed.into_inner().operators;
    let carl = listed.iter().find(|it| it.name == "carl").unwrap();
    assert_eq!((carl.active, &*carl.created_by), (true, "bob"));
    assert_eq!(
        setting.trail().await,
        [
            "bob OperatorService.AddOperator carl as VIEWER DONE",
            "bob OperatorService.SetOperatorRole carl as OPERATOR DONE",
            "alice OperatorService.DeactivateOperator carl DONE",
            "bob OperatorService.ActivateOperator carl DONE",
        ]
    );
}
