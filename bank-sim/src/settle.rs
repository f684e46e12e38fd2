//! `bank-sim cutover|items|report|clearing|pay|misbook|dispute`: ends the day of banks that run.

use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
};

use bank_sim::control::pb;

use crate::ask::{Asked, ask, print};

/// How many bytes of a file go into one message.
const CHUNK_BYTES: usize = 64 * 1024;

/// Which acquirer to ask.
#[derive(Debug, clap::Args)]
struct Host {
    /// The acquirer; the only one unless it is named.
    host: Option<String>,
}

impl Host {
    /// Its name, empty for the only one.
    fn name(&self) -> String {
        self.host.clone().unwrap_or_default()
    }
}

/// The arguments of `cutover`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    bank-sim cutover\n  \
    bank-sim cutover acquirer --date 2026-12-01")]
pub(crate) struct Cutover {
    #[command(flatten)]
    host: Host,
    /// The date to move on to; the following day unless it is given.
    #[arg(long, value_name = "YYYY-MM-DD")]
    date: Option<String>,
    #[command(flatten)]
    asked: Asked,
}

/// The arguments of `items`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    bank-sim items --date 2026-11-30\n  \
    bank-sim items acquirer --json")]
pub(crate) struct Items {
    #[command(flatten)]
    host: Host,
    /// Only those of this date; all unless it is given.
    #[arg(long, value_name = "YYYY-MM-DD")]
    date: Option<String>,
    #[command(flatten)]
    asked: Asked,
}

/// The arguments of `report`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    bank-sim report acquirer --date 2026-11-29 --out report.csv")]
pub(crate) struct Report {
    /// The acquirer.
    host: String,
    /// The date that the items are reconciled with or, without totals, booked under.
    #[arg(long, value_name = "YYYY-MM-DD")]
    date: String,
    /// The file to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    asked: Asked,
}

/// The arguments of `clearing`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    bank-sim clearing acquirer acquirer-2026-11-29-1.csv")]
pub(crate) struct Clearing {
    /// The acquirer.
    host: String,
    /// The file, in CSV.
    file: PathBuf,
    #[command(flatten)]
    asked: Asked,
}

/// The arguments of `pay`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  \
    bank-sim pay pain001.xml --out camt054.xml")]
pub(crate) struct Pay {
    /// The order: pain.001.001.09.
    file: PathBuf,
    /// The file to write what became of it to: camt.054.001.08.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    asked: Asked,
}

/// The arguments of `misbook`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    bank-sim misbook 633300000001 100\n  \
    bank-sim misbook 633300000001 -100")]
pub(crate) struct Misbook {
    /// The RRN of the item; of several the one that was booked first.
    rrn: String,
    /// How much to add to its amount, in minor units.
    #[arg(allow_negative_numbers = true)]
    delta_minor: i64,
    /// The acquirer; the only one unless it is named.
    #[arg(long)]
    host: Option<String>,
    #[command(flatten)]
    asked: Asked,
}

/// The arguments of `dispute`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    bank-sim dispute 633300000001\n  \
    bank-sim dispute 633300000001 1250\n  \
    bank-sim dispute 633300000001 1250 --gives-back")]
pub(crate) struct Dispute {
    /// The RRN of the capture; of several the one that was booked first.
    rrn: String,
    /// How much, in minor units; the whole capture unless it is given.
    #[arg(value_parser = clap::value_parser!(i64).range(1..))]
    amount_minor: Option<i64>,
    /// Gives back what was charged back.
    #[arg(long)]
    gives_back: bool,
    /// The acquirer; the only one unless it is named.
    #[arg(long)]
    host: Option<String>,
    #[command(flatten)]
    asked: Asked,
}

pub(crate) fn cutover(arguments: &Cutover) -> Result<(), Box<dyn Error>> {
    let request = pb::CutoverRequest {
        host: arguments.host.name(),
        next_date: arguments.date.clone().unwrap_or_default(),
    };
    let answer = ask(&arguments.asked, async |mut client| {
        client.cutover(request).await
    })?;
    let date = &answer.business_date;
    let mut rows: Vec<_> = answer
        .lines
        .iter()
        .map(|line| {
            let said = match line.outcome() {
                pb::LineOutcome::Answered => line.response_code.as_str(),
                pb::LineOutcome::Ended => "line ended",
                pb::LineOutcome::Silent | pb::LineOutcome::Unspecified => "no answer",
            };
            [date.clone(), line.peer.clone(), said.to_owned()]
        })
        .collect();
    if rows.is_empty() {
        rows.push([date.clone(), String::new(), "no line".to_owned()]);
    }
    print(
        &arguments.asked,
        (["business_date", "line", "answer"], rows),
    )
}

pub(crate) fn items(arguments: &Items) -> Result<(), Box<dyn Error>> {
    let request = pb::ListSettlementItemsRequest {
        host: arguments.host.name(),
        business_date: arguments.date.clone().unwrap_or_default(),
    };
    let items = ask(&arguments.asked, async |mut client| {
        let mut parts = client.list_settlement_items(request).await?.into_inner();
        let mut items = Vec::new();
        while let Some(part) = parts.message().await? {
            items.extend(part.items);
        }
        Ok(tonic::Response::new(items))
    })?;
    let rows = items.into_iter().map(|item| {
        let kind = match item.kind() {
            pb::ItemKind::Refund => "refund",
            pb::ItemKind::Chargeback => "chargeback",
            pb::ItemKind::ChargebackReversed => "chargeback_reversed",
            pb::ItemKind::Capture | pb::ItemKind::Unspecified => "capture",
        };
        [
            item.acceptor,
            item.terminal,
            kind.to_owned(),
            item.rrn,
            item.approval_code,
            item.card_masked,
            item.currency,
            item.amount.to_string(),
            item.business_date,
            item.reconciled_with,
        ]
    });
    let columns = [
        "acceptor",
        "terminal",
        "kind",
        "rrn",
        "approval",
        "card",
        "currency",
        "amount",
        "business_date",
        "reconciled_with",
    ];
    print(&arguments.asked, (columns, rows.collect()))
}

pub(crate) fn report(arguments: &Report) -> Result<(), Box<dyn Error>> {
    let request = pb::WriteSettlementReportRequest {
        host: arguments.host.clone(),
        business_date: arguments.date.clone(),
    };
    let report = ask(&arguments.asked, async |mut client| {
        let mut parts = client.write_settlement_report(request).await?.into_inner();
        let mut report = Vec::new();
        while let Some(part) = parts.message().await? {
            report.extend(part.chunk);
        }
        Ok(tonic::Response::new(report))
    })?;
    write(&arguments.out, &report)?;
    let rows = vec![[
        arguments.out.display().to_string(),
        report.len().to_string(),
    ]];
    print(&arguments.asked, (["file", "bytes"], rows))
}

pub(crate) fn clearing(arguments: &Clearing) -> Result<(), Box<dyn Error>> {
    let path = &arguments.file;
    let bytes =
        fs::read(path).map_err(|error| format!("`{}` can't be read: {error}", path.display()))?;
    let part = |chunk: &[u8]| pb::TakeClearingFileRequest {
        host: arguments.host.clone(),
        chunk: chunk.to_vec(),
    };
    let mut parts: Vec<_> = bytes.chunks(CHUNK_BYTES).map(part).collect();
    if parts.is_empty() {
        parts.push(part(&[]));
    }
    let answer = ask(&arguments.asked, async |mut client| {
        client.take_clearing_file(tokio_stream::iter(parts)).await
    })?;
    let verdict = match answer.verdict() {
        pb::ClearingVerdict::Accepted => "ACCEPTED",
        pb::ClearingVerdict::Duplicate => "DUPLICATE",
        pb::ClearingVerdict::Refused | pb::ClearingVerdict::Unspecified => {
            let faults = answer.faults.iter();
            let faults = faults.map(|fault| format!("\n  line {}: {}", fault.line, fault.problem));
            let faults = faults.collect::<String>();
            return Err(format!("REFUSED with {} faults:{faults}", answer.fault_count).into());
        }
    };
    let rows = vec![[
        verdict.to_owned(),
        answer.item_count.to_string(),
        answer.posted_count.to_string(),
    ]];
    print(&arguments.asked, (["verdict", "items", "posted"], rows))
}

pub(crate) fn pay(arguments: &Pay) -> Result<(), Box<dyn Error>> {
    let xml = read(&arguments.file)?;
    let order = ask(&arguments.asked, async |mut client| {
        let request = pb::SubmitPaymentOrderRequest { xml };
        client.submit_payment_order(request).await
    })?;
    if order.verdict() != pb::OrderVerdict::Accepted {
        return Err(format!("REFUSED with {}: {}", order.reason_code, order.reason).into());
    }
    let request = pb::GetAccountNotificationRequest {
        message_id: order.message_id,
    };
    let notification = ask(&arguments.asked, async |mut client| {
        client.get_account_notification(request).await
    })?;
    write(&arguments.out, &notification.xml)?;
    let said = if order.duplicate {
        "DUPLICATE"
    } else {
        "ACCEPTED"
    };
    let rows = order.transfers.into_iter().map(|transfer| {
        let returned = Some(transfer.return_reason).filter(|reason| !reason.is_empty());
        [
            said.to_owned(),
            transfer.end_to_end_id,
            transfer.utr,
            transfer.currency,
            transfer.amount.to_string(),
            returned.map_or("paid".to_owned(), |reason| format!("returned {reason}")),
        ]
    });
    let columns = [
        "order",
        "end_to_end_id",
        "utr",
        "currency",
        "amount",
        "state",
    ];
    print(&arguments.asked, (columns, rows.collect()))
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|error| format!("`{}` can't be read: {error}", path.display()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    fs::write(path, bytes)
        .map_err(|error| format!("`{}` can't be written: {error}", path.display()))
}

pub(crate) fn misbook(arguments: &Misbook) -> Result<(), Box<dyn Error>> {
    let request = pb::MisbookItemRequest {
        host: arguments.host.clone().unwrap_or_default(),
        rrn: arguments.rrn.clone(),
        delta_minor: arguments.delta_minor,
    };
    let answer = ask(&arguments.asked, async |mut client| {
        client.misbook_item(request).await
    })?;
    let rows = vec![[arguments.rrn.clone(), answer.amount.to_string()]];
    print(&arguments.asked, (["rrn", "amount"], rows))
}

pub(crate) fn dispute(arguments: &Dispute) -> Result<(), Box<dyn Error>> {
    let request = pb::DisputeItemRequest {
        host: arguments.host.clone().unwrap_or_default(),
        rrn: arguments.rrn.clone(),
        amount: arguments.amount_minor.unwrap_or_default(),
        gives_back: arguments.gives_back,
    };
    let answer = ask(&arguments.asked, async |mut client| {
        client.dispute_item(request).await
    })?;
    let rows = vec![[
        arguments.rrn.clone(),
        answer.business_date,
        answer.currency,
        answer.amount.to_string(),
        answer.posted.to_string(),
    ]];
    let columns = ["rrn", "business_date", "currency", "amount", "posted"];
    print(&arguments.asked, (columns, rows))
}
