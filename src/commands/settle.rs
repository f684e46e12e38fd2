//! `payswitch settle`: shows the bank's days and their totals, ends one, goes on with what a host does not agree to, and
//! pays merchants out.

mod answer;
mod day_report;
mod files;
mod report;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tonic::transport::Channel;

use super::error::CommandError;
use super::operators_door::{OperatorsDoor, Why, moment, pages, short, told};
use super::output::{amount, print_line, table};
use super::runtime::runtime;
use super::settle_payouts;
use crate::admin_api::pb;
use crate::admin_api::pb::host_service_client::HostServiceClient;
use crate::admin_api::pb::settlement_admin_service_client::SettlementAdminServiceClient;

/// What `payswitch settle` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    payswitch settle status\n  \
    payswitch settle status acquirer --limit 30\n  \
    payswitch settle cutover acquirer --date 2026-11-27 --reason 'the bank closes early today'\n  \
    payswitch settle totals acquirer --date 2026-11-27\n  \
    payswitch settle submit acquirer --date 2026-11-27 --reason 'the bank has corrected its books'\n  \
    payswitch settle import acquirer report.csv --reason 'the report of Friday'\n  \
    payswitch settle imports\n  \
    payswitch settle report acquirer --date 2026-11-27\n  \
    payswitch settle differences acquirer --date 2026-11-27\n  \
    payswitch settle files acquirer --date 2026-11-27\n  \
    payswitch settle answer acquirer answer.txt --reason 'the answer of Friday'\n  \
    payswitch settle payout acquirer --now --reason 'agreed by telephone'\n  \
    payswitch settle notify acquirer camt054.xml --reason 'statement of 2026-11-30'\n  \
    payswitch settle refused acquirer ord-01m8m2jpccf1pa3hmjwht9qbt8 --reason 'AM04, told by telephone'\n\n\
    Each host has one day that is open. It ends at the time that the host's profile says ([settlement]), when\n\
    the host says so, or by cutover. What counts from then on is settled with the next day. The totals of a\n\
    closed day are agreed with its host where the profile has [messages.totals]. Its report is taken in\n\
    where the profile has [settlement.report]: all of it, or, where a line of it is wrong, nothing.\n\n\
    Exit codes: 0 done, 1 failed, 2 wrong usage.")]
pub struct SettleArgs {
    #[command(flatten)]
    door: OperatorsDoor,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the days of the hosts, newest first, and what is settled with each.
    Status {
        /// Only of this host: the name of its profile.
        host: Option<String>,
        /// The most days of each host.
        #[arg(long, value_name = "N", default_value_t = 7)]
        limit: usize,
    },
    /// End the open day of a host now, and show its totals once its batches are made.
    Cutover {
        /// The host: the name of its profile.
        host: String,
        /// The date of the day, so that the same command given twice ends no other.
        #[arg(long, value_name = "YYYY-MM-DD")]
        date: String,
        #[command(flatten)]
        why: Why,
    },
    /// Show the totals of a closed day, ours and the host's.
    Totals {
        /// The host: the name of its profile.
        host: String,
        /// The date of the day.
        #[arg(long, value_name = "YYYY-MM-DD")]
        date: String,
        /// The most totals.
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
    },
    /// Send the totals of a closed day once more that the host did not agree to, or settle them as they are.
    Submit {
        /// The host: the name of its profile.
        host: String,
        /// The date of the day.
        #[arg(long, value_name = "YYYY-MM-DD")]
        date: String,
        /// Settle the batches with our totals instead, and accept what the day's report has otherwise and what the host
        /// does not say of its clearing file. Only an approver may.
        #[arg(long)]
        accept: bool,
        #[command(flatten)]
        why: Why,
    },
    /// Show the clearing files of a day, and what the host has answered to them.
    Files {
        /// The host: the name of its profile.
        host: String,
        /// The date of the day.
        #[arg(long, value_name = "YYYY-MM-DD")]
        date: String,
    },
    /// Take in what the host answers to a clearing file.
    Answer {
        /// The host: the name of its profile.
        host: String,
        /// The answer.
        file: PathBuf,
        #[command(flatten)]
        why: Why,
    },
    /// Take in the host's report of a closed day.
    Import(report::ImportArgs),
    /// Show the reports that were taken in or are being taken in, newest first, and how far each has come.
    Imports {
        /// The most reports.
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: usize,
    },
    /// Show what the host's report of a closed day has said: lines, differences by kind, and fees.
    Report {
        /// The host: the name of its profile.
        host: String,
        /// The date of the day.
        #[arg(long, value_name = "YYYY-MM-DD")]
        date: String,
    },
    /// Show what the host's report of a closed day has otherwise.
    Differences {
        /// The host: the name of its profile.
        host: String,
        /// The date of the day.
        #[arg(long, value_name = "YYYY-MM-DD")]
        date: String,
        /// The most differences.
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
    },
    /// Make the payouts of a host now that are due, and write their order.
    Payout {
        /// The host: the name of its profile.
        host: String,
        /// Pay today, whatever the plans say of days. Only an approver may.
        #[arg(long)]
        now: bool,
        #[command(flatten)]
        why: Why,
    },
    /// Take a file (camt.054) in which the bank says what became of payouts.
    Notify {
        /// The host: the name of its profile.
        host: String,
        /// The file.
        file: PathBuf,
        #[command(flatten)]
        why: Why,
    },
    /// Record that the bank has refused an order whole: its amounts are available again. Only an approver may.
    Refused {
        /// The host: the name of its profile.
        host: String,
        /// The order: the message id of its file.
        order: String,
        #[command(flatten)]
        why: Why,
    },
}

/// The days that are looked through for one.
const MOST_DAYS: usize = 4_000;

type Client = SettlementAdminServiceClient<Channel>;

/// Does what was asked.
///
/// # Errors
/// When the gateway can't be reached, or refuses.
pub fn run(arguments: SettleArgs) -> Result<ExitCode, CommandError> {
    runtime()?.block_on(async {
        let channel = arguments.door.connect().await?;
        let mut client = Client::new(channel.clone());
        let days = match arguments.action {
            Action::Status { host, limit } => {
                let hosts = match host {
                    Some(host) => vec![host],
                    None => hosts(channel).await?,
                };
                let mut days = Vec::new();
                for host in hosts {
                    days.extend(days_of(&mut client, &host, limit).await?);
                }
                days
            }
            Action::Cutover { host, date, why } => {
                let request = pb::CutoverRequest {
                    request_id: why.request_id()?,
                    reason: why.reason,
                    host_id: host,
                    business_date: date,
                };
                let ended = client.cutover(request).await.map_err(told)?;
                ended.into_inner().business_day.into_iter().collect()
            }
            Action::Totals { host, date, limit } => {
                let totals = totals_of(&mut client, &host, &date, limit).await?;
                show_totals(&totals, arguments.json)?;
                return Ok(ExitCode::SUCCESS);
            }
            Action::Submit {
                host,
                date,
                accept,
                why,
            } => {
                let request = pb::SubmitTotalsRequest {
                    request_id: why.request_id()?,
                    reason: why.reason,
                    host_id: host,
                    business_date: date,
                    accept,
                };
                let submitted = client.submit_totals(request).await.map_err(told)?;
                let submitted = submitted.into_inner();
                let (count, differences, files) = (
                    submitted.totals_count,
                    submitted.difference_count,
                    submitted.file_count,
                );
                match arguments.json {
                    true => print_line!(
                        "{:#}",
                        json!({
                            "totals_count": count,
                            "difference_count": differences,
                            "file_count": files,
                        })
                    )?,
                    false => print_line!(
                        "{count} totals that were stopped go on, {differences} differences are accepted, \
                         {files} clearing files count as they are"
                    )?,
                }
                return Ok(ExitCode::SUCCESS);
            }
            Action::Files { host, date } => {
                let days = days_of(&mut client, &host, MOST_DAYS).await?;
                let day = days.into_iter().find(|day| day.business_date == date);
                let day = day.ok_or_else(|| format!("the host {host} has no day {date}"))?;
                files::show(&day.files, arguments.json)?;
                return Ok(ExitCode::SUCCESS);
            }
            Action::Answer { host, file, why } => {
                return answer::take(&mut client, host, &file, why, arguments.json).await;
            }
            Action::Import(given) => {
                return report::import(&mut client, given, arguments.json).await;
            }
            Action::Imports { limit } => {
                let found = report::imports(&mut client, limit).await?;
                report::show_imports(&found, arguments.json)?;
                return Ok(ExitCode::SUCCESS);
            }
            Action::Report { host, date } => {
                day_report::show(&mut client, host, date, arguments.json).await?;
                return Ok(ExitCode::SUCCESS);
            }
            Action::Differences { host, date, limit } => {
                let found = report::differences_of(&mut client, &host, &date, limit).await?;
                report::show_differences(&found, arguments.json)?;
                return Ok(ExitCode::SUCCESS);
            }
            Action::Payout { host, now, why } => {
                return settle_payouts::make(channel, host, now, why, arguments.json).await;
            }
            Action::Notify { host, file, why } => {
                return settle_payouts::notify(channel, host, &file, why, arguments.json).await;
            }
            Action::Refused { host, order, why } => {
                return settle_payouts::refuse(channel, host, order, why, arguments.json).await;
            }
        };
        show(&days, arguments.json)?;
        Ok(ExitCode::SUCCESS)
    })
}

async fn hosts(channel: Channel) -> Result<Vec<String>, CommandError> {
    let mut client = HostServiceClient::new(channel);
    let listed = client.list_hosts(pb::ListHostsRequest {}).await;
    let hosts = listed.map_err(told)?.into_inner().hosts;
    Ok(hosts.into_iter().map(|host| host.host_id).collect())
}

async fn days_of(
    client: &mut Client,
    host: &str,
    limit: usize,
) -> Result<Vec<pb::BusinessDay>, CommandError> {
    pages(limit, async |page_size, page_token| {
        let request = pb::ListBusinessDaysRequest {
            host_id: host.to_owned(),
            page_size,
            page_token,
        };
        let page = client.list_business_days(request).await.map_err(told)?;
        let page = page.into_inner();
        Ok((page.business_days, page.next_page_token))
    })
    .await
}

fn show(days: &[pb::BusinessDay], as_json: bool) -> Result<(), CommandError> {
    let state = |day: &pb::BusinessDay| short(day.state().as_str_name(), "BUSINESS_DAY_STATE_");
    let closed_by = |day: &pb::BusinessDay| match day.closed_by() {
        pb::ClosedBy::Unspecified => "",
        by => short(by.as_str_name(), "CLOSED_BY_"),
    };
    if as_json {
        let mut rows: Vec<Value> = Vec::new();
        for day in days {
            let totals = day.totals.iter().map(|it| {
                json!({
                    "currency": it.currency,
                    "batch_count": it.batch_count,
                    "capture_count": it.capture_count,
                    "captured_minor": it.captured_minor,
                    "refund_count": it.refund_count,
                    "refunded_minor": it.refunded_minor,
                })
            });
            rows.push(json!({
                "host_id": day.host_id,
                "business_date": day.business_date,
                "state": state(day),
                "open_time": moment(day.open_time)?,
                "close_time": moment(day.close_time)?,
                "closed_by": closed_by(day),
                "last_position": day.last_position,
                "totals": totals.collect::<Vec<_>>(),
                "files": files::rows(&day.files)?,
            }));
        }
        return print_line!("{:#}", json!({ "business_days": rows }));
    }
    let mut table = table(&[
        "host", "date", "state", "closes", "batches", "captures", "captured", "refunds",
        "refunded", "net", "currency", "file",
    ]);
    for day in days {
        let files: Vec<&str> = day.files.iter().map(|file| file.name.as_str()).collect();
        let files = files.join(", ");
        let closes = match closed_by(day) {
            "" => moment(day.close_time)?,
            by => format!("{} ({})", moment(day.close_time)?, by.to_lowercase()),
        };
        let first = [
            day.host_id.clone(),
            day.business_date.clone(),
            state(day).to_owned(),
            closes,
        ];
        if day.totals.is_empty() {
            let nothing = ["0", "", "", "", "", "", "", &files];
            table.add_row(first.iter().map(String::as_str).chain(nothing));
        }
        for it in &day.totals {
            let money = |minor| amount(minor, &it.currency);
            let net_minor = it.captured_minor.saturating_sub(it.refunded_minor);
            table.add_row(first.iter().cloned().chain([
                it.batch_count.to_string(),
                it.capture_count.to_string(),
                money(it.captured_minor),
                it.refund_count.to_string(),
                money(it.refunded_minor),
                money(net_minor),
                it.currency.clone(),
                files.clone(),
            ]));
        }
    }
    print_line!("{table}")
}

async fn totals_of(
    client: &mut Client,
    host: &str,
    date: &str,
    limit: usize,
) -> Result<Vec<pb::Totals>, CommandError> {
    pages(limit, async |page_size, page_token| {
        let request = pb::ListTotalsRequest {
            host_id: host.to_owned(),
            business_date: date.to_owned(),
            page_size,
            page_token,
        };
        let page = client.list_totals(request).await.map_err(told)?;
        let page = page.into_inner();
        Ok((page.totals, page.next_page_token))
    })
    .await
}

fn show_totals(totals: &[pb::Totals], as_json: bool) -> Result<(), CommandError> {
    let state = |it: &pb::Totals| short(it.state().as_str_name(), "TOTALS_STATE_");
    if as_json {
        let sums = |sums: &Option<pb::TotalsSums>| {
            sums.as_ref().map(|it| {
                json!({
                    "capture_count": it.capture_count,
                    "captured_minor": it.captured_minor,
                    "refund_count": it.refund_count,
                    "refunded_minor": it.refunded_minor,
                })
            })
        };
        let row = |it: &pb::Totals| -> Result<Value, CommandError> {
            Ok(json!({
                "merchant_id": it.merchant_id,
                "terminal_id": it.terminal_id,
                "currency": it.currency,
                "state": state(it),
                "ours": sums(&it.ours),
                "theirs": sums(&it.theirs),
                "sent": it.sent,
                "stan": it.stan,
                "next_send_time": moment(it.next_send_time)?,
                "response_code": it.response_code,
                "uploaded": it.uploaded,
            }))
        };
        let rows: Result<Vec<Value>, CommandError> = totals.iter().map(row).collect();
        return print_line!("{:#}", json!({ "totals": rows? }));
    }
    let mut table = table(&[
        "merchant", "terminal", "state", "sent", "whose", "captures", "captured", "refunds",
        "refunded", "net", "currency",
    ]);
    for it in totals {
        let first = [
            it.merchant_id.clone(),
            it.terminal_id.clone(),
            state(it).to_owned(),
            it.sent.to_string(),
        ];
        let (ours, theirs) = (it.ours.iter(), it.theirs.iter());
        let both = ours
            .map(|sums| ("ours", sums))
            .chain(theirs.map(|sums| ("the host's", sums)));
        for (whose, sums) in both {
            let money = |minor| amount(minor, &it.currency);
            table.add_row(first.iter().cloned().chain([
                whose.to_owned(),
                sums.capture_count.to_string(),
                money(sums.captured_minor),
                sums.refund_count.to_string(),
                money(sums.refunded_minor),
                money(sums.captured_minor.saturating_sub(sums.refunded_minor)),
                it.currency.clone(),
            ]));
        }
    }
    print_line!("{table}")
}
