//! `payswitch hosts`: shows the bank hosts and their lines, signs them off and on, and sends echoes.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tonic::transport::Channel;

use super::error::{CommandError, FAILED};
use super::operators_door::{OperatorsDoor, Why, moment, short, told};
use super::output::{print_line, table};
use super::runtime::runtime;
use crate::admin_api::pb;
use crate::admin_api::pb::host_service_client::HostServiceClient;

/// What `payswitch hosts` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    payswitch hosts list\n  \
    payswitch hosts sign-off acquirer --reason 'maintenance at the bank until 14:00'\n  \
    payswitch hosts sign-on acquirer --reason 'the bank is back'\n  \
    payswitch hosts echo acquirer --reason 'is it there?'\n  \
    payswitch hosts list --json --ready /run/payswitch.json\n\n\
    Each gateway has lines of its own: sign off on each. A host is signed on again when its gateway is\n\
    started anew.\n\n\
    Exit codes: 0 done, 1 failed or not every line is where it should be, 2 wrong usage.")]
pub struct HostsArgs {
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
    /// Show the hosts and their lines.
    List,
    /// Sign all lines of a host off: no payment is sent to it until it is signed on.
    SignOff(OneHost),
    /// Sign all lines of a host on again.
    SignOn(OneHost),
    /// Send an echo on each line of a host, and show what came back.
    Echo(OneHost),
}

#[derive(Debug, Args)]
struct OneHost {
    /// The host: the name of its profile.
    host: String,
    #[command(flatten)]
    why: Why,
}

/// Does what was asked.
///
/// # Errors
/// When the gateway can't be reached, or refuses.
pub fn run(arguments: HostsArgs) -> Result<ExitCode, CommandError> {
    runtime()?.block_on(async {
        let client = HostServiceClient::new(arguments.door.connect().await?);
        act(client, arguments.action, arguments.json).await
    })
}

async fn act(
    mut client: HostServiceClient<Channel>,
    action: Action,
    as_json: bool,
) -> Result<ExitCode, CommandError> {
    let (hosts, wanted) = match action {
        Action::List => {
            let listed = client.list_hosts(pb::ListHostsRequest {}).await;
            (listed.map_err(told)?.into_inner().hosts, None)
        }
        Action::SignOff(OneHost { host, why }) => {
            let request = pb::SignOffHostRequest {
                request_id: why.request_id()?,
                reason: why.reason,
                host_id: host,
            };
            let done = client.sign_off_host(request).await.map_err(told)?;
            let host = done.into_inner().host;
            (host.into_iter().collect(), Some(pb::LineState::SignedOff))
        }
        Action::SignOn(OneHost { host, why }) => {
            let request = pb::SignOnHostRequest {
                request_id: why.request_id()?,
                reason: why.reason,
                host_id: host,
            };
            let done = client.sign_on_host(request).await.map_err(told)?;
            let host = done.into_inner().host;
            (host.into_iter().collect(), Some(pb::LineState::SignedOn))
        }
        Action::Echo(OneHost { host, why }) => {
            let request = pb::EchoHostRequest {
                request_id: why.request_id()?,
                reason: why.reason,
                host_id: host,
            };
            let answered = client.echo_host(request).await.map_err(told)?;
            return show_echoes(&answered.into_inner().results, as_json);
        }
    };
    show(&hosts, as_json)?;
    let mut lines = hosts.iter().flat_map(|host| &host.lines);
    let as_wanted = wanted.is_none_or(|wanted| lines.all(|line| line.state() == wanted));
    Ok(exit_code(as_wanted))
}

fn exit_code(as_wanted: bool) -> ExitCode {
    if as_wanted {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAILED)
    }
}

fn state(line: &pb::Line) -> &'static str {
    short(line.state().as_str_name(), "LINE_STATE_")
}

fn circuit(host: &pb::Host) -> &'static str {
    short(host.circuit_state().as_str_name(), "CIRCUIT_STATE_")
}

fn show(hosts: &[pb::Host], as_json: bool) -> Result<(), CommandError> {
    if as_json {
        let hosts: Result<Vec<Value>, CommandError> = hosts.iter().map(host_as_json).collect();
        return print_line!("{:#}", json!({ "hosts": hosts? }));
    }
    let mut table = table(&[
        "host",
        "address",
        "required",
        "circuit",
        "line",
        "state",
        "in flight",
        "since",
        "lost last because",
    ]);
    for host in hosts {
        for line in &host.lines {
            table.add_row([
                host.host_id.as_str(),
                &host.address,
                if host.required { "yes" } else { "no" },
                circuit(host),
                &line.line_number.to_string(),
                state(line),
                &line.in_flight_count.to_string(),
                &moment(line.state_time)?,
                &line.last_error,
            ]);
        }
    }
    print_line!("{table}")
}

fn host_as_json(host: &pb::Host) -> Result<Value, CommandError> {
    let mut lines = Vec::new();
    for line in &host.lines {
        lines.push(json!({
            "line_number": line.line_number,
            "state": state(line),
            "in_flight_count": line.in_flight_count,
            "state_time": moment(line.state_time)?,
            "last_error": line.last_error,
        }));
    }
    Ok(json!({
        "host_id": host.host_id,
        "address": host.address,
        "required": host.required,
        "signed_off_by_operator": host.signed_off_by_operator,
        "circuit_state": circuit(host),
        "circuit_state_time": moment(host.circuit_state_time)?,
        "lines": lines,
    }))
}

fn show_echoes(results: &[pb::EchoResult], as_json: bool) -> Result<ExitCode, CommandError> {
    if as_json {
        let results: Vec<Value> = results
            .iter()
            .map(|result| {
                json!({
                    "line_number": result.line_number,
                    "answered": result.answered,
                    "round_trip_us": result.round_trip_us,
                    "response_code": result.response_code,
                    "error": result.error,
                })
            })
            .collect();
        print_line!("{:#}", json!({ "results": results }))?;
    } else {
        let mut table = table(&["line", "answer", "ms", "DE 39"]);
        for result in results {
            let millis = format!(
                "{}.{:03}",
                result.round_trip_us / 1000,
                result.round_trip_us % 1000
            );
            table.add_row([
                result.line_number.to_string(),
                if result.answered {
                    "answered".to_owned()
                } else {
                    result.error.clone()
                },
                if result.answered {
                    millis
                } else {
                    String::new()
                },
                result.response_code.clone(),
            ]);
        }
        print_line!("{table}")?;
    }
    Ok(exit_code(results.iter().all(|result| result.answered)))
}
