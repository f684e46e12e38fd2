//! Discrepancies for tests.

use crate::admin_api::pb;

pub(super) fn import() -> pb::SettlementImport {
    pb::SettlementImport {
        host_id: "acquirer".into(),
        business_date: "2026-11-27".into(),
        name: "<b>report</b>.csv".into(),
        sha256: "ab".repeat(32),
        create_time: Some(prost_types::Timestamp::default()),
        ..Default::default()
    }
}

/// A cent more, corrected.
pub(super) fn differs() -> pb::Discrepancy {
    pb::Discrepancy {
        discrepancy_id: "dis_1".into(),
        kind: "AMOUNT_DIFFERS".into(),
        state: "CORRECTED".into(),
        currency: "EUR".into(),
        ours: "2500".into(),
        theirs: "2501".into(),
        line: 7,
        correction_id: "dis_1-1".into(),
        history: vec![pb::DiscrepancyStep {
            time: Some(prost_types::Timestamp::default()),
            state: "CORRECTED".into(),
            actor: "alice".into(),
            reason: "<i>a & b</i>".into(),
        }],
        ..Default::default()
    }
}

/// An item of a currency without decimals that the bank does not have.
pub(super) fn missing() -> pb::Discrepancy {
    pb::Discrepancy {
        discrepancy_id: "dis_2".into(),
        kind: "MISSING_AT_BANK".into(),
        state: "OPEN".into(),
        currency: "JPY".into(),
        ours: "700".into(),
        ..Default::default()
    }
}
