//! `payswitch risk`: shows the limits on how often a card, a merchant or an address is tried, and what was counted for
//! them, and forgets what was.

use std::net::IpAddr;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use pb::risk_subject::Subject;
use serde_json::{Value, json};

use super::error::CommandError;
use super::operators_door::{OperatorsDoor, Why, moment, short, told};
use super::output::{print_line, table};
use super::runtime::runtime;
use crate::admin_api::pb;
use crate::admin_api::pb::risk_service_client::RiskServiceClient;

/// What `payswitch risk` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    payswitch risk limits\n  \
    payswitch risk show --payment pay_06e9x3w8k1z7h4n2m5q0r8t6va\n  \
    payswitch risk show --address 192.0.2.1 --at shop\n  \
    payswitch risk release --payment pay_06e9x3w8k1z7h4n2m5q0r8t6va --reason 'the cardholder called, ticket 4711'\n  \
    payswitch risk release --merchant shop --limit shop-attempts --reason 'a sale of tickets'\n\n\
    A card is named by a payment with it, also by one that was declined for a limit. docs/risk.md says what counts.\n\n\
    Exit codes: 0 done, 1 failed or refused, 2 wrong usage.")]
pub struct RiskArgs {
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
    /// Show the limits, and how often each was reached since the gateway was started.
    Limits,
    /// Show what counts now, for each limit that counts it, and until when it is blocked.
    Show(About),
    /// Forget what was counted, at all gateways, so that it may be tried again.
    Release {
        #[command(flatten)]
        about: About,
        /// For this limit only.
        #[arg(
            long,
            value_name = "NAME",
            default_value = "",
            hide_default_value = true
        )]
        limit: String,
        #[command(flatten)]
        why: Why,
    },
}

#[derive(Debug, Args)]
struct About {
    #[command(flatten)]
    named: Named,
    /// With an address: the merchant, for limits that count each merchant apart.
    #[arg(long, value_name = "MERCHANT", requires = "address")]
    at: Option<String>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Named {
    /// The card of this payment.
    #[arg(long, value_name = "PAYMENT_ID")]
    payment: Option<String>,
    /// All of this merchant's.
    #[arg(long)]
    merchant: Option<String>,
    /// All from this address.
    #[arg(long, value_name = "IP")]
    address: Option<IpAddr>,
}

impl About {
    fn subject(self) -> pb::RiskSubject {
        let Named {
            payment,
            merchant,
            address,
        } = self.named;
        let address = address.map(|it| Subject::Address(it.to_string()));
        pb::RiskSubject {
            subject: payment
                .map(Subject::PaymentId)
                .or(merchant.map(Subject::MerchantId))
                .or(address),
            at_merchant_id: self.at.unwrap_or_default(),
        }
    }
}

/// Does what was asked.
///
/// # Errors
/// When the gateway can't be reached, or refuses.
pub fn run(arguments: RiskArgs) -> Result<ExitCode, CommandError> {
    runtime()?.block_on(async {
        let mut client = RiskServiceClient::new(arguments.door.connect().await?);
        let as_json = arguments.json;
        match arguments.action {
            Action::Limits => {
                let listed = client.list_limits(pb::ListLimitsRequest {}).await;
                show_limits(&listed.map_err(told)?.into_inner().limits, as_json)?;
            }
            Action::Show(about) => {
                let subject = Some(about.subject());
                let request = pb::GetCountsRequest { subject };
                let counted = client.get_counts(request).await.map_err(told)?;
                show_counts(&counted.into_inner().counts, "counts", as_json)?;
            }
            Action::Release { about, limit, why } => {
                let request = pb::ReleaseCountsRequest {
                    request_id: why.request_id()?,
                    reason: why.reason,
                    subject: Some(about.subject()),
                    limit,
                };
                let done = client.release_counts(request).await.map_err(told)?;
                show_counts(&done.into_inner().released, "released", as_json)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}

fn show_limits(limits: &[pb::RiskLimit], as_json: bool) -> Result<(), CommandError> {
    let of = |it: &pb::RiskLimit| short(it.of().as_str_name(), "LIMITED_SUBJECT_");
    let counts = |it: &pb::RiskLimit| short(it.counts().as_str_name(), "COUNTED_EVENT_");
    if as_json {
        let rows = limits.iter().map(|it| {
            json!({
                "name": it.name,
                "of": of(it),
                "by_merchant": it.by_merchant,
                "counts": counts(it),
                "operations": it.operations,
                "most": it.most,
                "most_of": it.most_of,
                "window_seconds": it.window_seconds,
                "declined_count": it.declined_count,
            })
        });
        let rows: Vec<Value> = rows.collect();
        return print_line!("{:#}", json!({ "limits": rows }));
    }
    let mut table = table(&[
        "limit", "of", "counts", "calls", "most", "within", "declined",
    ]);
    for it in limits {
        let apart = if it.by_merchant { ", by merchant" } else { "" };
        let others = it.most_of.iter();
        let others: String = others.map(|(id, most)| format!(", {id} {most}")).collect();
        table.add_row([
            it.name.clone(),
            format!("{}{apart}", of(it)),
            counts(it).to_owned(),
            it.operations.join(", "),
            format!("{}{others}", it.most),
            format!("{} s", it.window_seconds),
            it.declined_count.to_string(),
        ]);
    }
    print_line!("{table}")
}

fn show_counts(counts: &[pb::RiskCount], name: &str, as_json: bool) -> Result<(), CommandError> {
    let until = |it: &pb::RiskCount| {
        let time = it.blocked_until_time;
        time.map(|time| moment(Some(time))).transpose()
    };
    if as_json {
        let mut rows: Vec<Value> = Vec::new();
        for it in counts {
            rows.push(json!({
                "limit": it.limit,
                "merchant_id": it.merchant_id,
                "count": it.count,
                "most": it.most,
                "blocked_until": until(it)?,
            }));
        }
        return print_line!("{:#}", json!({ name: rows }));
    }
    let mut table = table(&["limit", "merchant", "counted", "most", "blocked until"]);
    for it in counts {
        table.add_row([
            it.limit.clone(),
            it.merchant_id.clone(),
            it.count.to_string(),
            it.most.to_string(),
            until(it)?.unwrap_or_default(),
        ]);
    }
    print_line!("{table}")
}
