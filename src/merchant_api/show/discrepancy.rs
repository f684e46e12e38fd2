//! Discrepancies, and the reports that show them, as the API shows them.

use std::collections::BTreeMap;

use super::money::money;
use crate::grpc::time::timestamp;
use crate::merchant_api::pb;
use crate::payment::difference::DifferenceKind;
use crate::payment::discrepancy::{Discrepancy, DiscrepancyChange, DiscrepancyState, Found};
use crate::payment::ids::ImportId;
use crate::reconciliation::discrepancies::{Evidence, Followed};
use crate::store::records::settlement::ReportRun;

/// The name of the comparison with a report.
pub(crate) fn run_id(import: ImportId) -> String {
    import.to_string().replacen("imp_", "rec_", 1)
}

/// The report of a comparison with this name.
pub(crate) fn import_of(run_id: &str) -> Option<ImportId> {
    let rest = run_id.strip_prefix("rec_")?;
    format!("imp_{rest}").parse().ok()
}

/// A comparison with a report.
pub(crate) fn run(found: &ReportRun) -> pb::ReconciliationRun {
    let count = |count: i64| i32::try_from(count).unwrap_or(i32::MAX);
    pb::ReconciliationRun {
        run_id: run_id(found.import_id),
        host_id: found.host_id.to_string(),
        business_date: found.business_date.to_string(),
        matched_count: count(found.matched),
        discrepancy_count: count(found.discrepancies),
        create_time: Some(timestamp(found.at)),
    }
}

/// A discrepancy with its evidence and what was done about it.
pub(crate) fn followed(found: &Followed) -> pb::Discrepancy {
    let own = own_evidence(&found.discrepancy);
    let bank = found.line.as_ref().map(bank_evidence);
    let evidence = own.into_iter().chain(bank);
    pb::Discrepancy {
        evidence: evidence.collect(),
        history: found.changes.iter().map(change).collect(),
        ..discrepancy(&found.discrepancy)
    }
}

/// A discrepancy without its evidence.
pub(crate) fn discrepancy(found: &Discrepancy) -> pb::Discrepancy {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let Found::InReport(in_report) = &found.found else {
        // Nobody but operators sees what is on the house's accounts.
        return pb::Discrepancy::default();
    };
    let about = &in_report.difference;
    let amount = |value: &Option<String>| {
        let minor = value.as_deref()?.parse().ok()?;
        Some(money(minor, about.currency))
    };
    let (own, bank) = match is_of_amounts(about.kind) {
        true => (amount(&about.ours), amount(&about.theirs)),
        false => (None, None),
    };
    pb::Discrepancy {
        discrepancy_id: found.id.clone(),
        run_id: run_id(in_report.import_id),
        kind: kind(about.kind).into(),
        state: state(found.state).into(),
        subject_id: about
            .subject_id
            .map_or_else(String::new, |it| it.to_string()),
        rrn: text(&about.rrn),
        own_amount: own,
        bank_amount: bank,
        correction_entry_id: text(&found.correction),
        create_time: Some(timestamp(found.found_at)),
        update_time: Some(timestamp(found.updated_at)),
        evidence: Vec::new(),
        candidates: about
            .candidates
            .iter()
            .map(|it| it.subject_id.to_string())
            .collect(),
        rule: text(&about.rule),
        owner: found
            .owner
            .map_or_else(String::new, |owner| owner.to_string()),
        due_time: found
            .due_at
            .filter(|_| !found.state.is_final())
            .map(timestamp),
        history: Vec::new(),
    }
}

fn change(done: &DiscrepancyChange) -> pb::DiscrepancyChange {
    pb::DiscrepancyChange {
        time: Some(timestamp(done.at)),
        state: state(done.state).into(),
        actor: done.actor.clone(),
        reason: done.reason.clone(),
    }
}

/// Whether both sides have amounts, and not dates, currencies or references.
const fn is_of_amounts(kind: DifferenceKind) -> bool {
    !matches!(
        kind,
        DifferenceKind::CurrencyDiffers
            | DifferenceKind::DateDiffers
            | DifferenceKind::LatePresentment
            | DifferenceKind::ReferenceDiffers
    )
}

fn own_evidence(found: &Discrepancy) -> Option<pb::Evidence> {
    let about = &found.found.in_report()?.difference;
    let operation = about.operation_id?;
    let mut fields = BTreeMap::from([
        ("operation".to_owned(), operation.to_string()),
        ("business_date".to_owned(), about.business_date.to_string()),
        ("currency".to_owned(), about.currency.code().to_owned()),
    ]);
    if let Some(ours) = &about.ours {
        fields.insert("has".to_owned(), ours.clone());
    }
    Some(pb::Evidence {
        side: pb::EvidenceSide::Own.into(),
        file: String::new(),
        line: 0,
        fields,
    })
}

fn bank_evidence(evidence: &Evidence) -> pb::Evidence {
    pb::Evidence {
        side: pb::EvidenceSide::Bank.into(),
        file: evidence.file.clone(),
        line: evidence.number,
        fields: evidence.fields.clone(),
    }
}

const fn state(state: DiscrepancyState) -> pb::DiscrepancyState {
    match state {
        DiscrepancyState::Open => pb::DiscrepancyState::Open,
        DiscrepancyState::Assigned => pb::DiscrepancyState::Assigned,
        DiscrepancyState::AskedBank => pb::DiscrepancyState::AskedBank,
        DiscrepancyState::Proposed => pb::DiscrepancyState::Proposed,
        DiscrepancyState::Corrected => pb::DiscrepancyState::Corrected,
        DiscrepancyState::Accepted => pb::DiscrepancyState::Accepted,
    }
}

fn kind(kind: DifferenceKind) -> pb::DiscrepancyKind {
    let name = format!("DISCREPANCY_KIND_{}", kind.discrepancy_name());
    pb::DiscrepancyKind::from_str_name(&name).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_shown_under_its_own_name() {
        for known in DifferenceKind::ALL {
            assert_ne!(kind(known), pb::DiscrepancyKind::Unspecified, "{known:?}");
            let name = known.discrepancy_name();
            assert_eq!(DifferenceKind::from_discrepancy_name(name), Some(known));
        }
    }
}
