//! Discrepancies and the lines of reports, as operators see them.

use std::collections::BTreeMap;

use crate::admin_api::pb;
use crate::grpc::time::timestamp;
use crate::payment::account_finding::{AccountFinding, OnAccount};
use crate::payment::discrepancy::{
    Bearer, Discrepancy, DiscrepancyChange, Ending, Found, Proposal, ReportFinding,
};
use crate::reconciliation::discrepancies::Followed;
use crate::settlement::report::line::ReportLine;
use crate::store::records::settlement::KeptReportLine;

/// Whose line is the evidence of what is in a report, and of what is on an account.
const SIDES: [&str; 2] = ["REPORT", "STATEMENT"];

/// A discrepancy with its evidence and what was done about it.
pub(in crate::admin_api) fn followed(found: &Followed) -> pb::Discrepancy {
    let evidence = found.line.as_ref();
    pb::Discrepancy {
        file: evidence.map_or_else(String::new, |it| it.file.clone()),
        line_fields: evidence.map_or_else(BTreeMap::new, |it| it.fields.clone()),
        history: found.changes.iter().map(step).collect(),
        ..discrepancy(&found.discrepancy)
    }
}

/// A discrepancy as a list shows it.
pub(in crate::admin_api) fn discrepancy(found: &Discrepancy) -> pb::Discrepancy {
    let shown = |value: Option<String>| value.unwrap_or_default();
    let about = match &found.found {
        Found::InReport(found) => in_report(found),
        Found::OnAccount(found) => on_account(found),
    };
    pb::Discrepancy {
        discrepancy_id: found.id.clone(),
        kind: found.found.kind_name().to_owned(),
        currency: found.found.currency().code().to_owned(),
        state: found.state.name().to_owned(),
        owner: shown(found.owner.map(|it| it.to_string())),
        proposal: found.proposal.as_ref().map(proposal).unwrap_or_default(),
        correction_id: shown(found.correction.clone()),
        create_time: Some(timestamp(found.found_at)),
        due_time: found
            .due_at
            .filter(|_| !found.state.is_final())
            .map(timestamp),
        ..about
    }
}

fn in_report(found: &ReportFinding) -> pb::Discrepancy {
    let [side, _] = SIDES;
    let about = &found.difference;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let shown = |value: Option<String>| value.unwrap_or_default();
    pb::Discrepancy {
        side: side.to_owned(),
        import_id: found.import_id.to_string(),
        host_id: about.host_id.to_string(),
        business_date: about.business_date.to_string(),
        merchant_id: shown(about.merchant_id.map(|it| it.to_string())),
        subject_id: shown(about.subject_id.map(|it| it.to_string())),
        rrn: text(&about.rrn),
        ours: text(&about.ours),
        theirs: text(&about.theirs),
        line: about.line.unwrap_or(0),
        rule: text(&about.rule),
        candidates: about.candidates.iter().map(ToString::to_string).collect(),
        item_rrn: shown(found.item_rrn.map(|it| it.to_string())),
        ..pb::Discrepancy::default()
    }
}

fn on_account(found: &AccountFinding) -> pb::Discrepancy {
    let [_, side] = SIDES;
    let shown = |value: Option<String>| value.unwrap_or_default();
    let about = pb::Discrepancy {
        side: side.to_owned(),
        account: found.account.to_string(),
        host_id: shown(found.host_id.map(|it| it.to_string())),
        business_date: found.date.to_string(),
        ours: shown(found.ours.clone()),
        theirs: shown(found.theirs.clone()),
        rule: shown(found.rule().map(|rule| rule.name().to_owned())),
        candidates: found.candidates.iter().map(ToString::to_string).collect(),
        ..pb::Discrepancy::default()
    };
    match &found.of {
        OnAccount::Line {
            id,
            statement_id,
            number,
        } => pb::Discrepancy {
            line_id: id.to_string(),
            statement_id: statement_id.to_string(),
            line: *number,
            ..about
        },
        OnAccount::Statement(id) => pb::Discrepancy {
            statement_id: id.to_string(),
            ..about
        },
        OnAccount::Missing(what) => pb::Discrepancy {
            missing: what.to_string(),
            ..about
        },
        OnAccount::Notified { number, .. } => pb::Discrepancy {
            line: *number,
            ..about
        },
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
