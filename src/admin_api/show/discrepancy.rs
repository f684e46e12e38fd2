//! Discrepancies and the lines of reports, as operators see them.

use std::collections::BTreeMap;

use crate::admin_api::pb;
use crate::grpc::time::timestamp;
use crate::payment::discrepancy::{Bearer, Discrepancy, DiscrepancyChange, Ending, Proposal};
use crate::reconciliation::discrepancies::Followed;
use crate::settlement::report::line::ReportLine;
use crate::store::records::settlement::KeptReportLine;

/// A discrepancy with its evidence and what was done about it.
pub(in crate::admin_api) fn followed(found: &Followed) -> pb::Discrepancy {
    let (file, line_fields) = found
        .line
        .as_ref()
        .map_or_else(Default::default, |(file, line)| {
            (file.clone(), line.shown())
        });
    pb::Discrepancy {
        file,
        line_fields,
        history: found.changes.iter().map(step).collect(),
        ..discrepancy(&found.discrepancy)
    }
}

/// A discrepancy as a list shows it.
pub(in crate::admin_api) fn discrepancy(found: &Discrepancy) -> pb::Discrepancy {
    let about = &found.found;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let shown = |value: Option<String>| value.unwrap_or_default();
    pb::Discrepancy {
        discrepancy_id: found.id.clone(),
        import_id: found.import_id.to_string(),
        host_id: about.host_id.to_string(),
        business_date: about.business_date.to_string(),
        merchant_id: shown(about.merchant_id.map(|it| it.to_string())),
        kind: about.kind.discrepancy_name().to_owned(),
        state: found.state.name().to_owned(),
        currency: about.currency.code().to_owned(),
        subject_id: shown(about.subject_id.map(|it| it.to_string())),
        rrn: text(&about.rrn),
        ours: text(&about.ours),
        theirs: text(&about.theirs),
        line: about.line.unwrap_or(0),
        rule: text(&about.rule),
        candidates: about.candidates.iter().map(ToString::to_string).collect(),
        owner: shown(found.owner.map(|it| it.to_string())),
        proposal: found.proposal.as_ref().map(proposal).unwrap_or_default(),
        correction_id: text(&found.correction),
        create_time: Some(timestamp(found.found_at)),
        due_time: found
            .due_at
            .filter(|_| !found.state.is_final())
            .map(timestamp),
        item_rrn: shown(found.item_rrn.map(|it| it.to_string())),
        file: String::new(),
        line_fields: BTreeMap::new(),
        history: Vec::new(),
    }
}

/// A line of a report, and what it says.
pub(in crate::admin_api) fn report_line(
    found: &KeptReportLine,
    said: Option<&ReportLine>,
) -> pb::ReportLine {
    let shown = |value: Option<String>| value.unwrap_or_default();
    let fields = said.map(ReportLine::shown).unwrap_or_default().into_iter();
    pb::ReportLine {
        line: found.outcome.number,
        state: found.outcome.state.name().to_owned(),
        rule: shown(found.outcome.rule.clone()),
        subject_id: shown(found.subject_id.map(|it| it.to_string())),
        item_rrn: shown(found.item_rrn.map(|it| it.to_string())),
        fields: fields
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    }
}

fn step(done: &DiscrepancyChange) -> pb::DiscrepancyStep {
    pb::DiscrepancyStep {
        time: Some(timestamp(done.at)),
        state: done.state.name().to_owned(),
        actor: done.actor.clone(),
        reason: done.reason.clone(),
    }
}

fn proposal(found: &Proposal) -> String {
    let ending = match found.ending {
        Ending::Accept => "ACCEPT",
        Ending::Correct(Bearer::Merchant) => "CORRECT, borne by the merchant",
        Ending::Correct(Bearer::House) => "CORRECT, borne by the house",
    };
    format!("{ending}, proposed by {}", found.by)
}
