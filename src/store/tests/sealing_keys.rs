//! The sealing keys that gateways have found.

use super::make::{NOW, random};
use super::{fails, on_both};
use crate::payment::ids::AuditId;
use crate::store::records::callers::AuditRecord;
use crate::store::records::keys::{SealingKeyRecord, SealingKeyState};
use crate::store::testing::TestDatabase;

on_both!(a_key_goes_on_once_with_its_audit_row);

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
        match is_first {
            true => recorded.unwrap(),
            false => fails!(recorded, Conflict),
        }
    }

    let active = key("one", Active, 2);
    let audited = found(&active);
    let recorded = store.record_sealing_key(&active, Some(Upcoming), Some(&audited));
    recorded.await.unwrap();
    let later = key("one", Active, 3);
    let row = found(&later);
    let second = store.record_sealing_key(&later, Some(Upcoming), Some(&row));
    fails!(second.await, Conflict);
    assert_eq!(store.sealing_keys().await, Ok(vec![active.clone()]));
    let rows = store.list_audit(10, None).await.unwrap();
    assert_eq!(rows, [audited, found_as_recorded(&rows[1], &added)]);

    // Without a row of the trail: an operator's call has its own.
    let other = key("two", Active, 4);
    store.record_sealing_key(&other, None, None).await.unwrap();
    store.record_sealing_key(&other, None, None).await.unwrap();
    let retired = key("one", Retired, 5);
    let recorded = store.record_sealing_key(&retired, Some(Active), None);
    recorded.await.unwrap();
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

/// The row of this key, under the name that it was given.
fn found_as_recorded(row: &AuditRecord, key: &SealingKeyRecord) -> AuditRecord {
    AuditRecord {
        id: row.id,
        ..found(key)
    }
}
