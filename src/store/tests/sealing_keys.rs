//! The sealing keys that gateways have found.

use super::make::{NOW, random};
use super::on_both;
use crate::payment::ids::AuditId;
use crate::store::records::callers::AuditRecord;
use crate::store::records::keys::{SealingKeyRecord, SealingKeyState};
use crate::store::testing::TestDatabase;

on_both!(
    a_key_goes_on_once_with_its_audit_row,
    a_step_at_the_door_that_is_found_as_well_has_one_row_at_most,
);

fn key(kid: &str, state: SealingKeyState, ms: i64) -> SealingKeyRecord {
    SealingKeyRecord {
        kid: kid.into(),
        algorithm: "ECDH-ES".into(),
        state,
        since: NOW.plus_ms(ms),
        used_at: None,
    }
}

fn found(key: &SealingKeyRecord) -> AuditRecord {
    AuditRecord {
        id: AuditId::from_parts(key.since, random()),
        at: key.since,
        operator: "command-line".into(),
        action: "sealing keys".into(),
        target: format!("{} {}", key.kid, key.state.name()),
        reason: "found".into(),
        request_id: format!("{}-{}", key.kid, key.state.name()),
        body_hash: [0; 32],
        outcome: Some("DONE".into()),
        answer: Vec::new(),
    }
}

/// Of two gateways that see the same one records it. When a key was used only grows.
async fn a_key_goes_on_once_with_its_audit_row(database: TestDatabase) {
    use SealingKeyState::{Active, Retired, Upcoming};
    let store = database.open().await;
    let added = key("one", Upcoming, 1);
    for is_first in [true, false] {
        let row = found(&added);
        let recorded = store.record_sealing_key(&added, None, Some(&row)).await;
        assert_eq!(recorded, Ok(is_first));
    }

    let active = key("one", Active, 2);
    let audited = found(&active);
    let recorded = store.record_sealing_key(&active, Some(Upcoming), Some(&audited));
    assert_eq!(recorded.await, Ok(true));
    let later = key("one", Active, 3);
    let row = found(&later);
    let second = store.record_sealing_key(&later, Some(Upcoming), Some(&row));
    assert_eq!(second.await, Ok(false));
    assert_eq!(store.sealing_keys().await, Ok(vec![active.clone()]));
    let rows = store.list_audit(10, None).await.unwrap();
    assert_eq!(rows, [audited, found_as_recorded(&rows[1], &added)]);

    // Without a row of the trail: an operator's call has its own.
    let other = key("two", Active, 4);
    for is_first in [true, false] {
        let recorded = store.record_sealing_key(&other, None, None).await;
        assert_eq!(recorded, Ok(is_first));
    }
    let retired = key("one", Retired, 5);
    for is_first in [true, false] {
        let recorded = store.record_sealing_key(&retired, Some(Active), None);
        assert_eq!(recorded.await, Ok(is_first));
    }
    // A gateway that has read the table before that adds no row to the operator's.
    for (late, before) in [(&retired, Some(Active)), (&other, None)] {
        let row = found(late);
        let recorded = store.record_sealing_key(late, before, Some(&row)).await;
        assert_eq!(recorded, Ok(false));
    }
    for (ms, used) in [(60, 60), (30, 60), (90, 90)] {
        let at = NOW.plus_ms(ms);
        store.record_sealing_key_use("two", at).await.unwrap();
        let other = SealingKeyRecord {
            used_at: Some(NOW.plus_ms(used)),
            ..other.clone()
        };
        let expected = vec![retired.clone(), other];
        assert_eq!(store.sealing_keys().await, Ok(expected), "{ms}");
    }
    assert_eq!(store.list_audit(10, None).await.unwrap().len(), 2);
}

/// An operator's step, and a gateway that has found it in the folder: at once, each as if it came first.
async fn a_step_at_the_door_that_is_found_as_well_has_one_row_at_most(database: TestDatabase) {
    use SealingKeyState::{Active, Upcoming};
    let door = database.open().await;
    let finder = database.open_beside(&door).await;
    for number in 0..20 {
        let kid = format!("key-{number}");
        for (state, before) in [(Upcoming, None), (Active, Some(Upcoming))] {
            // In the same millisecond, so that nothing but their rows tells the two apart.
            let key = key(&kid, state, number);
            let row = found(&key);
            let (by_operator, by_finder) = tokio::join!(
                door.record_sealing_key(&key, before, None),
                finder.record_sealing_key(&key, before, Some(&row)),
            );
            let (by_operator, by_finder) = (by_operator.unwrap(), by_finder.unwrap());
            assert_ne!(by_operator, by_finder, "{kid} {state:?}");
            let on_record = door.find_audit(&row.operator, &row.request_id).await;
            assert_eq!(on_record.unwrap().is_some(), by_finder, "{kid} {state:?}");
        }
    }
}

/// The row of this key, under the name that it was given.
fn found_as_recorded(row: &AuditRecord, key: &SealingKeyRecord) -> AuditRecord {
    AuditRecord {
        id: row.id,
        ..found(key)
    }
}
