//! `payswitch reload`: certificates, revocation lists and profiles are read again.

use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use super::error::{CommandError, FAILED};
use super::operators_door::{OperatorsDoor, Why, short, told};
use super::output::{print_line, table};
use super::runtime::runtime;
use crate::admin_api::pb;
use crate::admin_api::pb::reload_service_client::ReloadServiceClient;

/// What `payswitch reload` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    payswitch reload --reason 'the certificate of the door was renewed'\n  \
    payswitch reload --reason 'a merchant lost its key' --json --ready /run/payswitch.json\n\n\
    A running gateway also does this by itself, within seconds of a change of the files, and on SIGHUP.\n\
    It holds for the gateway that was asked.\n\n\
    Exit codes: 0 done, 1 failed or a part was refused, 2 wrong usage.")]
pub struct ReloadArgs {
    #[command(flatten)]
    door: OperatorsDoor,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    why: Why,
}

/// Does what was asked.
///
/// # Errors
/// When the gateway can't be reached, or refuses.
pub fn run(arguments: ReloadArgs) -> Result<ExitCode, CommandError> {
    runtime()?.block_on(async {
        let mut client = ReloadServiceClient::new(arguments.door.connect().await?);
        let request = pb::ReloadRequest {
            request_id: arguments.why.request_id()?,
            reason: arguments.why.reason,
        };
        let parts = client
            .reload(request)
            .await
            .map_err(told)?
            .into_inner()
            .parts;
        show(&parts, arguments.json)?;
        let refused = pb::ReloadOutcome::Refused;
        Ok(match parts.iter().any(|part| part.outcome() == refused) {
            true => ExitCode::from(FAILED),
            false => ExitCode::SUCCESS,
        })
    })
}

fn outcome(part: &pb::PartReload) -> &'static str {
    short(part.outcome().as_str_name(), "RELOAD_OUTCOME_")
}

fn show(parts: &[pb::PartReload], as_json: bool) -> Result<(), CommandError> {
    if as_json {
        let parts: Vec<Value> = parts
            .iter()
            .map(|part| {
                json!({
                    "part": part.part,
                    "outcome": outcome(part),
                    "detail": part.detail,
                })
            })
            .collect();
        return print_line!("{:#}", json!({ "parts": parts }));
    }
    let mut table = table(&["part", "outcome", "detail"]);
    for part in parts {
        table.add_row([part.part.as_str(), outcome(part), &part.detail]);
    }
    print_line!("{table}")
}
