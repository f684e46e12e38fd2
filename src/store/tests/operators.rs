//! Operators, and what they did.

use super::make::{NOW, random};
use super::on_both;
use crate::payment::ids::AuditId;
use crate::store::error::StoreError;
use crate::store::records::{AuditFilter, AuditRecord, OperatorRecord, OperatorRole};
use crate::store::testing::{TestDatabase, unique};

on_both!(
    operators_change_with_their_audit_rows,
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
        assert!(
            matches!(result, Err(StoreError::Conflict { .. })),
            "{result:?}"
        );
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
    let update = store.update_operator("bert", OperatorRole::Viewer, false, &changed);
    update.await.unwrap();
    let bert = OperatorRecord {
        role: OperatorRole::Viewer,
        active: false,
        ..bert
    };
    assert_eq!(store.operator("bert").await, Ok(Some(bert)));
    let nobody = audit("anna", "SetOperatorRole", "carl");
    let missing = store
        .update_operator("carl", OperatorRole::Viewer, true, &nobody)
        .await;
    assert!(
        matches!(missing, Err(StoreError::NotFound { .. })),
        "{missing:?}"
    );
    let all = store.list_audit(&AuditFilter::default(), 10, None).await;
    assert_eq!(all.unwrap(), [changed, second, added]);
    store.close().await;
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
    assert!(
        matches!(again, Err(StoreError::Conflict { .. })),
        "{again:?}"
    );
    store.set_audit_outcome(rows[3].id, "done").await.unwrap();
    store.set_audit_outcome(rows[3].id, "done").await.unwrap();
    let other = store.set_audit_outcome(rows[3].id, "failed").await;
    assert!(
        matches!(other, Err(StoreError::NotFound { .. })),
        "{other:?}"
    );
    rows[3].outcome = Some("done".into());
    let request_id = &rows[3].request_id;
    assert_eq!(
        store.find_audit("anna", request_id).await,
        Ok(Some(rows[3].clone()))
    );
    assert_eq!(store.find_audit("bert", request_id).await, Ok(None));

    let none = AuditFilter::default;
    let cases = [
        (none(), vec![0, 1, 2, 3]),
        (
            AuditFilter {
                operator: Some("anna".into()),
                ..none()
            },
            vec![0, 1, 3],
        ),
        (
            AuditFilter {
                action: Some("SignOff".into()),
                target: Some("issuer".into()),
                ..none()
            },
            vec![2],
        ),
        (
            AuditFilter {
                from: Some(rows[2].at),
                before: Some(rows[0].at),
                ..none()
            },
            vec![1, 2],
        ),
        (
            AuditFilter {
                target: Some(rows[0].target.clone()),
                ..none()
            },
            vec![0],
        ),
    ];
    for (filter, expected) in cases {
        let mut listed = Vec::new();
        // One at a time, so that each page goes on where the last one ended.
        while let [row] = &store
            .list_audit(&filter, 1, listed.last().map(|row: &AuditRecord| row.id))
            .await
            .unwrap()[..]
        {
            listed.push(row.clone());
        }
        let expected: Vec<_> = expected.iter().map(|&i: &usize| rows[i].clone()).collect();
        assert_eq!(listed, expected, "{filter:?}");
    }
    store.close().await;
}
