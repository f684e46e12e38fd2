//! `payswitch settle import`, `imports` and `differences`: the reports of banks.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use pb::import_report_request::Part;
use serde_json::{Value, json};
use tonic::transport::Channel;

use crate::admin_api::pb;
use crate::admin_api::pb::settlement_admin_service_client::SettlementAdminServiceClient;
use crate::commands::error::CommandError;
use crate::commands::operators_door::{Why, moment, pages, short, told};
use crate::commands::output::{amount, print_line, table};
use crate::commands::sent_file::SentFile;

type Client = SettlementAdminServiceClient<Channel>;

/// What `payswitch settle import` takes.
#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// The host: the name of its profile.
    host: String,
    /// The report.
    file: PathBuf,
    /// The date that it is about, where it has no lines.
    #[arg(long, value_name = "YYYY-MM-DD")]
    date: Option<String>,
    /// Which cycle of the date it is, where the bank sends several files and this one does not say it.
    #[arg(long, value_name = "N")]
    cycle: Option<u8>,
    /// Put it in the place of another report of the date and cycle, while no batch of the date is funded.
    #[arg(long)]
    amends: bool,
    #[command(flatten)]
    why: Why,
}

/// Takes in a report, and shows what became of it.
pub(super) async fn import(
    client: &mut Client,
    given: ImportArgs,
    as_json: bool,
) -> Result<ExitCode, CommandError> {
    let file = SentFile::at(&given.file);
    let first = pb::ReportFile {
        request_id: given.why.request_id()?,
        reason: given.why.reason,
        host_id: given.host,
        name: file.name(),
        business_date: given.date.unwrap_or_default(),
        sha256: file.sha256()?,
        amends: given.amends,
        cycle: given.cycle.unwrap_or_default().into(),
    };
    let first = pb::ImportReportRequest {
        part: Some(Part::File(first)),
    };
    let chunk = |bytes| pb::ImportReportRequest {
        part: Some(Part::Chunk(bytes)),
    };
    let call = async |parts| client.import_report(parts).await;
    let answer = file.send(first, chunk, call).await?;
    show(&answer, as_json)?;
    Ok(match answer.fault_count {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// The state of a report.
pub(super) fn state(import: &pb::SettlementImport) -> &'static str {
    short(import.state().as_str_name(), "SETTLEMENT_IMPORT_STATE_")
}

/// A report as JSON.
pub(super) fn import_json(import: &pb::SettlementImport) -> Result<Value, CommandError> {
    let differences = import.differences.iter();
    let differences = differences.map(|it| (kind(it.kind).to_owned(), it.count.into()));
    Ok(json!({
        "import_id": import.import_id,
        "host_id": import.host_id,
        "name": import.name,
        "sha256": import.sha256,
        "business_date": import.business_date,
        "line_count": import.line_count,
        "applied_line_count": import.applied_line_count,
        "state": state(import),
        "cycle": import.cycle,
        "cycle_count": import.cycle_count,
        "matched_count": import.matched_count,
        "differences": differences.collect::<serde_json::Map<_, _>>(),
        "operator": import.operator,
        "create_time": moment(import.create_time)?,
    }))
}

/// The name of a kind of difference.
pub(super) fn kind(number: i32) -> &'static str {
    let kind = pb::DifferenceKind::try_from(number).unwrap_or_default();
    short(kind.as_str_name(), "DIFFERENCE_KIND_")
}

fn show(answer: &pb::ImportReportResponse, as_json: bool) -> Result<(), CommandError> {
    let import = answer.settlement_import.as_ref();
    if as_json {
        let import = import.map(import_json);
        let faults = answer.faults.iter().map(|it| {
            json!({
                "line": it.line,
                "column": it.column,
                "expected": it.expected,
                "got": it.got,
            })
        });
        let shown = json!({
            "settlement_import": import.transpose()?,
            "was_there": answer.was_there,
            "missing_cycles": answer.missing_cycles,
            "faults": faults.collect::<Vec<_>>(),
            "fault_count": answer.fault_count,
        });
        return print_line!("{shown:#}");
    }
    for fault in &answer.faults {
        let column = match fault.column.as_str() {
            "" => String::new(),
            column => format!("{column}: "),
        };
        let (expected, got) = (&fault.expected, &fault.got);
        print_line!(
            "line {}: {column}expected {expected}, got {got:?}",
            fault.line
        )?;
    }
    if answer.fault_count > 0 {
        let count = answer.fault_count;
        return print_line!("{count} lines are wrong; nothing of the report is applied");
    }
    let Some(import) = import else {
        return Ok(());
    };
    let before = if answer.was_there { "was before" } else { "is" };
    print_line!(
        "The report of {}{} {before} {}: {} lines, {} of them with an item",
        import.business_date,
        cycle(import),
        state(import),
        import.line_count,
        import.matched_count
    )?;
    for found in &import.differences {
        print_line!("{:>8} {}", found.count, kind(found.kind))?;
    }
    if import.state() == pb::SettlementImportState::Amended {
        print_line!("Another report has its place; this one does not come back")?;
    }
    show_missing_cycles(&answer.missing_cycles)
}

/// The reports of all hosts, newest first.
pub(super) async fn imports(
    client: &mut Client,
    limit: usize,
) -> Result<Vec<pb::SettlementImport>, CommandError> {
    pages(limit, async |page_size, page_token| {
        let request = pb::ListSettlementImportsRequest {
            page_size,
            page_token,
        };
        let page = client.list_settlement_imports(request).await;
        let page = page.map_err(told)?.into_inner();
        Ok((page.settlement_imports, page.next_page_token))
    })
    .await
}

/// Shows them, and how far each has come.
pub(super) fn show_imports(
    found: &[pb::SettlementImport],
    as_json: bool,
) -> Result<(), CommandError> {
    if as_json {
        let rows: Result<Vec<Value>, CommandError> = found.iter().map(import_json).collect();
        return print_line!("{:#}", json!({ "settlement_imports": rows? }));
    }
    let mut table = table(&[
        "report", "host", "date", "cycle", "file", "state", "lines", "applied", "by", "since",
    ]);
    for it in found {
        let cycle = match it.cycle {
            0 => String::new(),
            number => format!("{number} of {}", it.cycle_count),
        };
        table.add_row([
            it.import_id.clone(),
            it.host_id.clone(),
            it.business_date.clone(),
            cycle,
            it.name.clone(),
            state(it).to_owned(),
            it.line_count.to_string(),
            it.applied_line_count.to_string(),
            it.operator.clone(),
            moment(it.create_time)?,
        ]);
    }
    print_line!("{table}")
}

/// Which cycle of its date a report is, behind that.
pub(super) fn cycle(import: &pb::SettlementImport) -> String {
    match import.cycle {
        0 => String::new(),
        number => format!(", cycle {number} of {},", import.cycle_count),
    }
}

/// Names the cycles that have not come, and of which a later one has.
pub(super) fn show_missing_cycles(missing: &[i32]) -> Result<(), CommandError> {
    for cycle in missing {
        print_line!("CYCLE_MISSING {cycle}")?;
    }
    Ok(())
}

/// What a report has otherwise.
pub(super) async fn differences_of(
    client: &mut Client,
    host: &str,
    date: &str,
    limit: usize,
) -> Result<Vec<pb::Difference>, CommandError> {
    pages(limit, async |page_size, page_token| {
        let request = pb::ListDifferencesRequest {
            host_id: host.to_owned(),
            business_date: date.to_owned(),
            page_size,
            page_token,
        };
        let page = client.list_differences(request).await.map_err(told)?;
        let page = page.into_inner();
        Ok((page.differences, page.next_page_token))
    })
    .await
}

/// Shows them.
pub(super) fn show_differences(
    found: &[pb::Difference],
    as_json: bool,
) -> Result<(), CommandError> {
    if as_json {
        let row = |it: &pb::Difference| -> Result<Value, CommandError> {
            Ok(json!({
                "kind": kind(it.kind),
                "merchant_id": it.merchant_id,
                "currency": it.currency,
                "operation_id": it.operation_id,
                "subject_id": it.subject_id,
                "rrn": it.rrn,
                "ours": it.ours,
                "theirs": it.theirs,
                "line": it.line,
                "accept_time": moment(it.accept_time)?,
            }))
        };
        let rows: Result<Vec<Value>, CommandError> = found.iter().map(row).collect();
        return print_line!("{:#}", json!({ "differences": rows? }));
    }
    let mut table = table(&[
        "kind", "merchant", "subject", "rrn", "line", "ours", "theirs", "currency", "accepted",
    ]);
    for it in found {
        // Minor units for people; dates, currencies and the bank's codes stay as they are.
        let shown = |text: &str| match text.parse() {
            Ok(minor) => amount(minor, &it.currency),
            Err(_) => text.to_owned(),
        };
        let theirs = match it.kind() {
            pb::DifferenceKind::Rejected | pb::DifferenceKind::ReferenceDiffers => {
                it.theirs.clone()
            }
            _ => shown(&it.theirs),
        };
        let line = match it.line {
            0 => String::new(),
            line => line.to_string(),
        };
        table.add_row([
            kind(it.kind).to_owned(),
            it.merchant_id.clone(),
            it.subject_id.clone(),
            it.rrn.clone(),
            line,
            match it.kind() {
                pb::DifferenceKind::ReferenceDiffers => it.ours.clone(),
                _ => shown(&it.ours),
            },
            theirs,
            it.currency.clone(),
            moment(it.accept_time)?,
        ]);
    }
    print_line!("{table}")
}
