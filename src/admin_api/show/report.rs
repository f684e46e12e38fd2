//! What banks report.

use iso8583::hex;

use crate::admin_api::pb;
use crate::grpc::time::timestamp;
use crate::payment::difference::{Difference, DifferenceKind};
use crate::payment::settlement_import::{ImportState, SettlementImport};
use crate::reconciliation::given_report::Imported;
use crate::settlement::agreement::DayReport;
use crate::settlement::report::fault::ReportError;
use crate::store::records::settlement::{DifferenceCount, ReportedFees};

/// A report that is applied.
pub(in crate::admin_api) fn imported(done: &Imported) -> pb::ImportReportResponse {
    pb::ImportReportResponse {
        settlement_import: Some(settlement_import(&done.import, &done.differences)),
        was_there: done.was_there,
        missing_cycles: cycles(&done.missing_cycles),
        ..pb::ImportReportResponse::default()
    }
}

/// What a report has said.
pub(in crate::admin_api) fn day_report(report: &DayReport) -> pb::GetDayReportResponse {
    let fees = |it: &ReportedFees| pb::ReportedFees {
        currency: it.currency.to_string(),
        item_count: it.items,
        rejected_count: it.rejected,
        interchange_minor: it.interchange_minor,
        scheme_fee_minor: it.scheme_fee_minor,
        commission_minor: it.commission_minor,
    };
    let reports = report.reports.iter();
    let reports = reports.map(|(import, differences)| settlement_import(import, differences));
    let reports: Vec<_> = reports.collect();
    pb::GetDayReportResponse {
        settlement_import: reports.last().cloned(),
        fees: report.fees.iter().map(fees).collect(),
        settlement_imports: reports,
        missing_cycles: cycles(&report.missing_cycles),
    }
}

fn cycles(numbers: &[i64]) -> Vec<i32> {
    numbers.iter().map(|number| cycle(*number)).collect()
}

fn cycle(number: i64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// A report, with what it has otherwise.
pub(in crate::admin_api) fn settlement_import(
    import: &SettlementImport,
    differences: &[DifferenceCount],
) -> pb::SettlementImport {
    let state = match import.state {
        ImportState::Received => pb::SettlementImportState::Received,
        ImportState::Applying => pb::SettlementImportState::Applying,
        ImportState::Done => pb::SettlementImportState::Done,
        ImportState::Amended => pb::SettlementImportState::Amended,
    };
    let count = |found: &DifferenceCount| pb::DifferenceCount {
        kind: kind(found.kind).into(),
        count: found.count,
    };
    pb::SettlementImport {
        import_id: import.id.to_string(),
        host_id: import.host_id.to_string(),
        name: import.name.clone(),
        sha256: hex::encode_lower(&import.sha256),
        business_date: import.business_date.to_string(),
        line_count: import.lines,
        state: state.into(),
        matched_count: import.matched,
        differences: differences.iter().map(count).collect(),
        operator: import.operator.clone(),
        create_time: Some(timestamp(import.at)),
        applied_line_count: import.applied_to,
        cycle: import.cycle.map_or(0, |it| cycle(it.number)),
        cycle_count: import.cycle.map_or(0, |it| cycle(it.of_day)),
    }
}

/// A report that is not applied, since something is wrong with what it says; none where it could not be read.
pub(in crate::admin_api) fn faulty(error: &ReportError) -> Option<pb::ImportReportResponse> {
    let (faults, fault_count) = match error {
        ReportError::Read { .. } => return None,
        ReportError::Header { expected, got } => {
            let header = pb::ReportFault {
                line: 1,
                column: String::new(),
                expected: expected.clone(),
                got: got.clone(),
            };
            (vec![header], 1)
        }
        ReportError::Faults(faults) => {
            let shown = faults.first.iter().map(|fault| pb::ReportFault {
                line: i64::try_from(fault.line).unwrap_or(i64::MAX),
                column: fault.column.clone().unwrap_or_default(),
                expected: fault.expected.clone(),
                got: fault.got.clone(),
            });
            let count = i64::try_from(faults.count).unwrap_or(i64::MAX);
            (shown.collect(), count)
        }
    };
    Some(pb::ImportReportResponse {
        faults,
        fault_count,
        ..pb::ImportReportResponse::default()
    })
}

/// What a report has otherwise.
pub(in crate::admin_api) fn difference(found: &Difference) -> pb::Difference {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let shown = |value: Option<String>| value.unwrap_or_default();
    pb::Difference {
        kind: kind(found.kind).into(),
        merchant_id: shown(found.merchant_id.map(|merchant| merchant.to_string())),
        currency: found.currency.code().to_owned(),
        operation_id: shown(found.operation_id.map(|operation| operation.to_string())),
        subject_id: shown(found.subject_id.map(|subject| subject.to_string())),
        rrn: text(&found.rrn),
        ours: text(&found.ours),
        theirs: text(&found.theirs),
        line: found.line.unwrap_or(0),
        accept_time: found.accepted_at.map(timestamp),
    }
}

const fn kind(kind: DifferenceKind) -> pb::DifferenceKind {
    match kind {
        DifferenceKind::AmountDiffers => pb::DifferenceKind::AmountDiffers,
        DifferenceKind::NotInReport => pb::DifferenceKind::NotInReport,
        DifferenceKind::UnexpectedLine => pb::DifferenceKind::UnexpectedLine,
        DifferenceKind::Rejected => pb::DifferenceKind::Rejected,
        DifferenceKind::DateDiffers => pb::DifferenceKind::DateDiffers,
        DifferenceKind::DuplicateLine => pb::DifferenceKind::DuplicateLine,
        DifferenceKind::CurrencyDiffers => pb::DifferenceKind::CurrencyDiffers,
        DifferenceKind::AboveCaptured => pb::DifferenceKind::AboveCaptured,
        DifferenceKind::SignDiffers => pb::DifferenceKind::SignDiffers,
        DifferenceKind::LatePresentment => pb::DifferenceKind::LatePresentment,
        DifferenceKind::ReferenceDiffers => pb::DifferenceKind::ReferenceDiffers,
        DifferenceKind::Ambiguous => pb::DifferenceKind::Ambiguous,
        DifferenceKind::ReversalNotApplied => pb::DifferenceKind::ReversalNotApplied,
        DifferenceKind::FeeDiffers => pb::DifferenceKind::FeeDiffers,
    }
}
