//! `payswitch settle payout`, `notify` and `refused`: payouts are made, and the bank says what became of them.

use std::path::Path;
use std::process::ExitCode;

use serde_json::json;
use tonic::transport::Channel;

use super::error::CommandError;
use super::operators_door::{Why, short, told};
use super::output::{amount, print_line, table};
use super::sent_file::SentFile;
use crate::admin_api::pb;
use crate::admin_api::pb::payout_admin_service_client::PayoutAdminServiceClient;

/// Makes the payouts of a host, and shows what was done for each merchant.
///
/// # Errors
/// When the gateway can't be reached, or refuses.
pub async fn make(
    channel: Channel,
    host_id: String,
    now: bool,
    why: Why,
    as_json: bool,
) -> Result<ExitCode, CommandError> {
    let request = pb::MakePayoutsRequest {
        request_id: why.request_id()?,
        reason: why.reason,
        host_id,
        now,
    };
    let mut client = PayoutAdminServiceClient::new(channel);
    let made = client.make_payouts(request).await.map_err(told)?;
    let decisions = made.into_inner().decisions;
    let kind = |it: &pb::PayoutDecision| short(it.kind().as_str_name(), "PAYOUT_DECISION_KIND_");
    if as_json {
        let rows = decisions.iter().map(|it| {
            json!({
                "merchant_id": it.merchant_id,
                "currency": it.currency,
                "decision": kind(it),
                "amount_minor": it.amount_minor,
                "reserve_minor": it.reserve_minor,
                "payout_id": it.payout_id,
                "batch_ids": it.batch_ids,
            })
        });
        print_line!("{:#}", json!({ "decisions": rows.collect::<Vec<_>>() }))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = table(&[
        "merchant",
        "decision",
        "amount",
        "held back",
        "currency",
        "payout",
        "batches",
    ]);
    for it in &decisions {
        table.add_row([
            it.merchant_id.clone(),
            kind(it).to_owned(),
            amount(it.amount_minor, &it.currency),
            amount(it.reserve_minor, &it.currency),
            it.currency.clone(),
            it.payout_id.clone(),
            it.batch_ids.join("\n"),
        ]);
    }
    print_line!("{table}")?;
    Ok(ExitCode::SUCCESS)
}

/// Records that the bank has refused an order.
///
/// # Errors
/// When the gateway can't be reached, or refuses.
pub async fn refuse(
    channel: Channel,
    host_id: String,
    order_id: String,
    why: Why,
    as_json: bool,
) -> Result<ExitCode, CommandError> {
    let request = pb::RefuseOrderRequest {
        request_id: why.request_id()?,
        reason: why.reason,
        host_id,
        order_id,
    };
    let mut client = PayoutAdminServiceClient::new(channel);
    let refused = client.refuse_order(request).await.map_err(told)?;
    let failed = refused.into_inner().failed_payout_ids;
    match as_json {
        true => print_line!("{:#}", json!({ "failed_payout_ids": failed }))?,
        false => print_line!("{} payouts are FAILED: {}", failed.len(), failed.join(", "))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Sends a notification of a bank, and shows what came of it. It has failed where a booking fits no payout.
///
/// # Errors
/// When the file can't be read, or the gateway can't be reached, or refuses.
pub async fn notify(
    channel: Channel,
    host_id: String,
    file: &Path,
    why: Why,
    as_json: bool,
) -> Result<ExitCode, CommandError> {
    let first = pb::NotifyPayoutsRequest {
        request_id: why.request_id()?,
        reason: why.reason,
        host_id,
        data: Vec::new(),
    };
    let chunk = |data| pb::NotifyPayoutsRequest {
        data,
        ..pb::NotifyPayoutsRequest::default()
    };
    let mut client = PayoutAdminServiceClient::new(channel);
    let call = async |parts| client.notify_payouts(parts).await;
    let notified = SentFile::at(file).send(first, chunk, call).await?;
    let kind =
        |it: &pb::NotificationProblem| short(it.kind().as_str_name(), "NOTIFICATION_PROBLEM_KIND_");
    let (paid, returned) = (&notified.paid_payout_ids, &notified.returned_payout_ids);
    if as_json {
        let problems = notified.problems.iter().map(|it| {
            json!({ "kind": kind(it), "reference": it.reference, "line": it.line, "text": it.text })
        });
        print_line!(
            "{:#}",
            json!({
                "paid_payout_ids": paid,
                "returned_payout_ids": returned,
                "known_count": notified.known_count,
                "problems": problems.collect::<Vec<_>>(),
                "problem_count": notified.problem_count,
            })
        )?;
    } else {
        print_line!(
            "{} paid, {} returned, {} known before, {} that fit no payout",
            paid.len(),
            returned.len(),
            notified.known_count,
            notified.problem_count
        )?;
        for it in &notified.problems {
            print_line!(
                "line {}: {} {:?}: {}",
                it.line,
                kind(it),
                it.reference,
                it.text
            )?;
        }
    }
    Ok(match notified.problem_count {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}
