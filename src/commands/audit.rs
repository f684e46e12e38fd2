//! `payswitch audit`: shows who changed what, when and why.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tonic::transport::Channel;

use super::error::CommandError;
use super::operators_door::{OperatorsDoor, moment, pages, short, told};
use super::output::{print_line, table};
use super::runtime::runtime;
use crate::admin_api::pb;
use crate::admin_api::pb::audit_service_client::AuditServiceClient;

/// What `payswitch audit` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    payswitch audit list\n  \
    payswitch audit list --limit 1000 --json\n\n\
    Exit codes: 0 done, 1 failed, 2 wrong usage.")]
pub struct AuditArgs {
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
    /// Show the audit trail, newest first.
    List {
        /// The most entries to show.
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
    },
}

/// Does what was asked.
///
/// # Errors
/// When the gateway can't be reached, or refuses.
pub fn run(arguments: AuditArgs) -> Result<ExitCode, CommandError> {
    let Action::List { limit } = arguments.action;
    runtime()?.block_on(async {
        let client = AuditServiceClient::new(arguments.door.connect().await?);
        let entries = list(client, limit).await?;
        show(&entries, arguments.json)?;
        Ok(ExitCode::SUCCESS)
    })
}

async fn list(
    mut client: AuditServiceClient<Channel>,
    limit: usize,
) -> Result<Vec<pb::AuditEntry>, CommandError> {
    pages(limit, async |page_size, page_token| {
        let request = pb::ListAuditEntriesRequest {
            page_size,
            page_token,
        };
        let page = client.list_audit_entries(request).await.map_err(told)?;
        let page = page.into_inner();
        Ok((page.entries, page.next_page_token))
    })
    .await
}

fn outcome(entry: &pb::AuditEntry) -> String {
    let outcome = short(entry.outcome().as_str_name(), "AUDIT_OUTCOME_");
    format!("{outcome} {}", entry.outcome_reason)
        .trim_end()
        .to_owned()
}

fn show(entries: &[pb::AuditEntry], as_json: bool) -> Result<(), CommandError> {
    if as_json {
        let mut rows: Vec<Value> = Vec::new();
        for entry in entries {
            rows.push(json!({
                "audit_id": entry.audit_id,
                "time": moment(entry.time)?,
                "operator": entry.operator,
                "action": entry.action,
                "target": entry.target,
                "reason": entry.reason,
                "request_id": entry.request_id,
                "outcome": short(entry.outcome().as_str_name(), "AUDIT_OUTCOME_"),
                "outcome_reason": entry.outcome_reason,
            }));
        }
        return print_line!("{:#}", json!({ "entries": rows }));
    }
    let mut table = table(&["time", "operator", "action", "target", "reason", "outcome"]);
    for entry in entries {
        table.add_row([
            moment(entry.time)?.as_str(),
            &entry.operator,
            &entry.action,
            &entry.target,
            &entry.reason,
            &outcome(entry),
        ]);
    }
    print_line!("{table}")
}
