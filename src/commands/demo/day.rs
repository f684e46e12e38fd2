//! The end of the bank's day: an operator ends it, the bank agrees to its totals and reports what it settles, and its money
//! is available.

use std::path::Path;

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, Table};
use tonic::transport::Channel;

use super::stand::Stand;
use super::tour::{Connection, look_until, short};
use crate::admin_api::pb as admin;
use crate::admin_api::pb::import_report_request::Part;
use crate::admin_api::pb::settlement_admin_service_client::SettlementAdminServiceClient;
use crate::commands::error::CommandError;
use crate::commands::output::{amount, print_line};
use crate::merchant_api::pb;
use crate::merchant_api::pb::balance_service_client::BalanceServiceClient;
use crate::merchant_api::pb::settlement_service_client::SettlementServiceClient;
use crate::random::Random;

/// Where the demo's gateway writes files for banks, and theirs lie.
pub(super) const FOLDER: &str = "settlement";
/// The days of banks, as an operator sees them.
pub(super) type Days = SettlementAdminServiceClient<Channel>;
/// The host whose day it is.
pub(super) const HOST: &str = "acquirer";

/// Ends the open day, waits until the bank has agreed to its totals, takes in its report, and prints both sides. Gives how
/// many of its batches are not settled, and how many kinds of differences the report has.
///
/// # Errors
/// When the gateway can't be asked.
pub async fn end(
    stand: &Stand,
    data: &Path,
    connection: &Connection,
) -> Result<usize, CommandError> {
    let mut days = SettlementAdminServiceClient::new(stand.connect_operator().await?);
    let date = cut_over(&mut days, HOST).await?;
    // The bank's report is of what it has agreed to.
    look_until(async || {
        let batches = batches_of(connection, &date).await?;
        let agreed = batches.iter().all(|batch| batch.bank_totals.is_some());
        Ok(((), agreed))
    })
    .await?;
    let report = stand.banks.report(HOST, &date)?;
    let folder = data.join(FOLDER);
    std::fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{HOST}-{date}.report.csv"));
    std::fs::write(&path, &report)?;
    let imported = import(&mut days, &path, report).await?;
    let batches = look_until(async || {
        let batches = batches_of(connection, &date).await?;
        let settled = batches.iter().all(is_settled);
        Ok((batches, settled))
    })
    .await?;
    print_line!(
        "\nThe bank's day {date} is ended. Its totals, as payswitch and the bank (0500, DE 66) have them:\n"
    )?;
    print_line!("{}", table(&batches))?;
    print_line!(
        "the bank's report: {} lines, {} of them with an item, {} differences ({})",
        imported.line_count,
        imported.matched_count,
        imported.differences.iter().map(|it| it.count).sum::<i64>(),
        path.display()
    )?;
    let mut balances = BalanceServiceClient::new(connection.clone());
    let request = pb::GetBalancesRequest::default();
    for balance in balances.get_balances(request).await?.into_inner().balances {
        let shown = |money: &Option<pb::Money>| shown(money.as_ref());
        print_line!(
            "available to the merchant, less fees: {}; pending: {}",
            shown(&balance.available),
            shown(&balance.pending)
        )?;
    }
    let left = batches.iter().filter(|batch| !is_settled(batch)).count();
    Ok(left + imported.differences.len())
}

/// Ends the day of a host that is open, and gives its date.
///
/// # Errors
/// When the gateway can't be asked, or the host has no day.
pub(super) async fn cut_over(days: &mut Days, host: &str) -> Result<String, CommandError> {
    let request = admin::ListBusinessDaysRequest {
        host_id: host.to_owned(),
        page_size: 1,
        page_token: String::new(),
    };
    let listed = days.list_business_days(request).await?.into_inner();
    let Some(open) = listed.business_days.first() else {
        return Err(format!("the bank {host} has no day that is open").into());
    };
    let date = open.business_date.clone();
    let request = admin::CutoverRequest {
        request_id: request_id()?,
        reason: "the demo ends its day".to_owned(),
        host_id: host.to_owned(),
        business_date: date.clone(),
    };
    days.cutover(request).await?;
    Ok(date)
}

/// A name for a request of the demo's operator.
///
/// # Errors
/// When the operating system gives no randomness.
pub(super) fn request_id() -> Result<String, CommandError> {
    let number = u64::from_be_bytes(Random::SYSTEM.bytes()?);
    Ok(format!("demo-{number:016x}"))
}

/// Takes in the bank's report.
///
/// # Errors
/// When the gateway can't be asked, or refuses it.
pub(super) async fn import(
    days: &mut Days,
    path: &Path,
    report: Vec<u8>,
) -> Result<admin::SettlementImport, CommandError> {
    let name = path.file_name().unwrap_or_default();
    let file = Part::File(admin::ReportFile {
        request_id: request_id()?,
        reason: "the demo's report".to_owned(),
        host_id: HOST.to_owned(),
        name: name.to_string_lossy().into_owned(),
        ..admin::ReportFile::default()
    });
    let part = |part| admin::ImportReportRequest { part: Some(part) };
    let parts = [part(file), part(Part::Chunk(report))];
    let answer = days.import_report(tokio_stream::iter(parts)).await?;
    let imported = answer.into_inner().settlement_import;
    Ok(imported.ok_or("the bank's report can't be read")?)
}

/// Whether the money of a batch is available, and nobody differs.
pub(super) fn is_settled(batch: &pb::SettlementBatch) -> bool {
    batch.state() == pb::SettlementBatchState::Settled
}

/// A merchant's batches of a date.
///
/// # Errors
/// When the gateway can't be asked.
pub(super) async fn batches_of(
    connection: &Connection,
    date: &str,
) -> Result<Vec<pb::SettlementBatch>, CommandError> {
    let mut settlement = SettlementServiceClient::new(connection.clone());
    let request = pb::ListSettlementBatchesRequest {
        page_size: 100,
        filter: format!("business_date = \"{date}\""),
        ..pb::ListSettlementBatchesRequest::default()
    };
    let page = settlement.list_settlement_batches(request).await?;
    Ok(page.into_inner().settlement_batches)
}

/// An amount and its currency.
pub(super) fn shown(money: Option<&pb::Money>) -> String {
    money.map_or_else(String::new, |it| {
        format!("{} {}", amount(it.amount_minor, &it.currency), it.currency)
    })
}

fn table(batches: &[pb::SettlementBatch]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_header([
        "batch",
        "captured",
        "refunded",
        "the bank's net",
        "fees",
        "net",
        "state",
        "",
    ]);
    for batch in batches {
        let right = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
        let theirs = batch.bank_totals.as_ref();
        let verdict = match is_settled(batch) {
            true => "✓",
            false => "✗ not settled",
        };
        let money = |money: &Option<pb::Money>| right(shown(money.as_ref()));
        table.add_row([
            Cell::new(&batch.batch_id),
            money(&batch.captured_total),
            money(&batch.refunded_total),
            right(shown(theirs.and_then(|theirs| theirs.net_total.as_ref()))),
            money(&batch.fee_total),
            money(&batch.net_total),
            Cell::new(short(
                batch.state().as_str_name(),
                "SETTLEMENT_BATCH_STATE_",
            )),
            Cell::new(verdict),
        ]);
    }
    table
}
