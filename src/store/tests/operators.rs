//! Operators, and what they did.

use super::make::{NOW, random};
use super::{fails, on_both};
use crate::payment::ids::AuditId;
use crate::store::error::StoreError;
use crate::store::records::callers::{AuditRecord, OperatorRecord, OperatorRole};
use crate::store::testing::{TestDatabase, unique};

on_both!(
    operators_change_with_their_audit_rows,
    an_active_approver_stays,
    the_audit_is_listed_newest_first,
);

fn operator(name: &str) -> OperatorRecord {
    OperatorRecord {
        name: name.into(),
        role: OperatorRole::Operator,
        active: true,
        created_at: NOW,
        created_by: "root".into(),
    }
}

fn audit(operator: &str, action: &str, target: &str) -> AuditRecord {
    let number = i64::try_from(unique()).unwrap();
    let at = NOW.plus_ms(number);
    AuditRecord {
        id: AuditId::from_parts(at, random()),
        at,
        operator: operator.into(),
        action: action.into(),
        target: target.into(),
        reason: "planned work at the bank".into(),
        request_id: format!("request-{number}"),
        body_hash: [7; 32],
        outcome: None,
        answer: Vec::new(),
    }
}

async fn operators_change_with_their_audit_rows(database: TestDatabase) {
    let store = database.open().await;
    let (anna, bert) = (operator("anna"), operator("bert"));
    let added = audit("root", "AddOperator", "anna");
    store.insert_first_operator(&anna, &added).await.unwrap();
    assert_eq!(store.operator("anna").await, Ok(Some(anna.clone())));
    assert_eq!(store.operator("carl").await, Ok(None));

    let conflict = |result: Result<(), StoreError>| {
        fails!(result, Conflict);
    };
    let second = audit("root", "AddOperator", "bert");
    conflict(store.insert_first_operator(&bert, &second).await);
    conflict(store.insert_operator(&anna, &second).await);
    // The same request of the same operator: neither row is written.
    let mut repeated = audit("root", "AddOperator", "bert");
    repeated.request_id = added.request_id.clone();
    conflict(store.insert_operator(&bert, &repeated).await);
    assert_eq!(store.list_operators().await, Ok(vec![anna.clone()]));
    store.insert_operator(&bert, &second).await.unwrap();
    assert_eq!(
        store.list_operators().await.unwrap(),
        [anna.clone(), bert.clone()]
    );

    let changed = audit("anna", "SetOperatorRole", "bert");
    let viewer = OperatorRecord {
        role: OperatorRole::Viewer,
        active: false,
        ..bert.clone()
    };
    let update = store.update_operator(&bert, &viewer, &changed).await;
    assert_eq!(update, Ok(true));
    assert_eq!(store.operator("bert").await, Ok(Some(viewer.clone())));
    // It is not any more as it was, or was never there, and the request was made before.
    let second_change = audit("anna", "SetOperatorRole", "bert");
    let update = store.update_operator(&bert, &viewer, &second_change).await;
    assert_eq!(update, Ok(false));
    let carl = operator("carl");
    let update = store.update_operator(&carl, &carl, &second_change).await;
    assert_eq!(update, Ok(false));
    let mut repeated = audit("anna", "SetOperatorRole", "bert");
    repeated.request_id = changed.request_id.clone();
    let update = store.update_operator(&viewer, &bert, &repeated).await;
    conflict(update.map(drop));
    assert_eq!(store.operator("bert").await, Ok(Some(viewer)));
    let all = store.list_audit(10, None).await;
    assert_eq!(all.unwrap(), [changed, second, added]);
}

/// Two approvers take each other's role away at the same moment: one of them stays.
async fn an_active_approver_stays(database: TestDatabase) {
    let store = database.open().await;
    // One SQLite file serves one gateway at a time.
    let other_store = if store.exclusive() {
        store.clone()
    } else {
        database.open().await
    };
    let approver = |name| OperatorRecord {
        role: OperatorRole::Approver,
        ..operator(name)
    };
    let demoted = |who: &OperatorRecord| OperatorRecord {
        role: OperatorRole::Viewer,
        ..who.clone()
    };
    let (anna, bert) = (approver("anna"), approver("bert"));
    for who in [&anna, &bert] {
        let added = audit("root", "AddOperator", &who.name);
        store.insert_operator(who, &added).await.unwrap();
    }
    let (of_anna, of_bert) = (
        audit("bert", "SetOperatorRole", "anna"),
        audit("anna", "SetOperatorRole", "bert"),
    );
    let (no_anna, no_bert) = (demoted(&anna), demoted(&bert));
    let (one, other) = tokio::join!(
        store.update_operator(&anna, &no_anna, &of_anna),
        other_store.update_operator(&bert, &no_bert, &of_bert),
    );
    assert_eq!(usize::from(one.unwrap()) + usize::from(other.unwrap()), 1);
    let operators = store.list_operators().await.unwrap();
    let approvers = operators
        .iter()
        .filter(|operator| operator.role == OperatorRole::Approver);
    let last = approvers.collect::<Vec<_>>();
    let [last] = last[..] else {
        panic!("{last:?}");
    };
    let inactive = OperatorRecord {
        active: false,
        ..last.clone()
    };
    let row = audit("root", "DeactivateOperator", &last.name);
    assert_eq!(
        store.update_operator(last, &inactive, &row).await,
        Ok(false)
    );
    other_store.close().await;
}

async fn the_audit_is_listed_newest_first(database: TestDatabase) {
    let store = database.open().await;
    let mut rows = Vec::new();
    for (operator, action, target) in [
        ("anna", "SignOff", "acquirer"),
        ("bert", "SignOff", "issuer"),
        ("anna", "SignOn", "acquirer"),
        ("anna", "Echo", "' OR 1 = 1 --"),
    ] {
        let row = audit(operator, action, target);
        store.insert_audit(&row).await.unwrap();
        rows.insert(0, row);
    }
    let again = store.insert_audit(&rows[0]).await;
    fails!(again, Conflict);
    for _ in 0..2 {
        let set = store.set_audit_outcome(rows[3].id, "done", b"answer");
        set.await.unwrap();
    }
    let other = store.set_audit_outcome(rows[3].id, "failed", b"").await;
    fails!(other, NotFound);
    rows[3].outcome = Some("done".into());
    rows[3].answer = b"answer".to_vec();
    let request_id = &rows[3].request_id;
    assert_eq!(
        store.find_audit("anna", request_id).await,
        Ok(Some(rows[3].clone()))
    );
    assert_eq!(store.find_audit("bert", request_id).await, Ok(None));

    let mut listed: Vec<AuditRecord> = Vec::new();
    // One at a time, so that each page goes on where the last one ended.
    while let [row] = &store
        .list_audit(1, listed.last().map(|row| row.id))
        .await
        .unwrap()[..]
    {
        listed.push(row.clone());
    }
    assert_eq!(listed, rows);
}
