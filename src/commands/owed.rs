//! `payswitch owed`: shows what is owed to banks, sends what is suspended again, and ends it by what was found out.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use tonic::transport::Channel;

use super::error::CommandError;
use super::operators_door::{OperatorsDoor, Why, moment, pages, short, told};
use super::output::{amount, print_line, table};
use super::runtime::runtime;
use crate::admin_api::pb;
use crate::admin_api::pb::owed_service_client::OwedServiceClient;

/// What `payswitch owed` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    payswitch owed list --suspended\n  \
    payswitch owed show op_06e9x3w8k1z7h4n2m5q0r8t6va\n  \
    payswitch owed retry op_06e9x3w8k1z7h4n2m5q0r8t6va --reason 'the bank has mended its format check'\n  \
    payswitch owed resolve op_06e9x3w8k1z7h4n2m5q0r8t6va --as undone --reason 'the bank released it, ticket 4711'\n\n\
    Of a reversal, undone: the bank has released the amount. stands: the bank holds it, and the payment is\n\
    authorized (needs an approver). never-happened: the bank has never seen the original. Of a capture, void or\n\
    refund, stands: the bank has done it; undone, never-happened: it has no effect, and its amount is free again.\n\n\
    UNKNOWN: a capture, void or refund that was sent once, and whose outcome is not known. `resolve` ends it.\n\n\
    Exit codes: 0 done, 1 failed, 2 wrong usage.")]
pub struct OwedArgs {
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
    /// Show what is owed, oldest first: reversals; captures, voids and refunds that are sent again, or have no known
    /// outcome.
    List {
        /// Only what is owed to this host.
        #[arg(
            long,
            value_name = "HOST",
            default_value = "",
            hide_default_value = true
        )]
        host: String,
        /// Only what an operator has to look at.
        #[arg(long)]
        suspended: bool,
        /// The most entries to show.
        #[arg(long, value_name = "N", default_value_t = 50)]
        limit: usize,
    },
    /// Show one entry.
    Show {
        /// The operation that is owed.
        operation: String,
    },
    /// Send a suspended entry again.
    Retry {
        /// The operation that is owed.
        operation: String,
        #[command(flatten)]
        why: Why,
    },
    /// End an entry by what was found out at the bank.
    Resolve {
        /// The operation that is owed.
        operation: String,
        /// What was found out.
        #[arg(long = "as", value_name = "WHAT")]
        found: Found,
        #[command(flatten)]
        why: Why,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Found {
    Undone,
    Stands,
    NeverHappened,
}

/// Does what was asked.
///
/// # Errors
/// When the gateway can't be reached, or refuses.
pub fn run(arguments: OwedArgs) -> Result<ExitCode, CommandError> {
    runtime()?.block_on(async {
        let client = OwedServiceClient::new(arguments.door.connect().await?);
        let entries = act(client, arguments.action).await?;
        show(&entries, arguments.json)?;
        Ok(ExitCode::SUCCESS)
    })
}

async fn act(
    mut client: OwedServiceClient<Channel>,
    action: Action,
) -> Result<Vec<pb::Owed>, CommandError> {
    let one = match action {
        Action::List {
            host,
            suspended,
            limit,
        } => return list(client, host, suspended, limit).await,
        Action::Show { operation } => {
            let request = pb::GetOwedRequest {
                operation_id: operation,
            };
            client
                .get_owed(request)
                .await
                .map_err(told)?
                .into_inner()
                .owed
        }
        Action::Retry { operation, why } => {
            let request = pb::RetryOwedRequest {
                request_id: why.request_id()?,
                reason: why.reason,
                operation_id: operation,
            };
            client
                .retry_owed(request)
                .await
                .map_err(told)?
                .into_inner()
                .owed
        }
        Action::Resolve {
            operation,
            found,
            why,
        } => {
            let resolution = match found {
                Found::Undone => pb::OwedResolution::Undone,
                Found::Stands => pb::OwedResolution::Stands,
                Found::NeverHappened => pb::OwedResolution::NeverHappened,
            };
            let request = pb::ResolveOwedRequest {
                request_id: why.request_id()?,
                reason: why.reason,
                operation_id: operation,
                resolution: resolution.into(),
            };
            client
                .resolve_owed(request)
                .await
                .map_err(told)?
                .into_inner()
                .owed
        }
    };
    Ok(one.into_iter().collect())
}

async fn list(
    mut client: OwedServiceClient<Channel>,
    host_id: String,
    suspended_only: bool,
    limit: usize,
) -> Result<Vec<pb::Owed>, CommandError> {
    pages(limit, async |page_size, page_token| {
        let request = pb::ListOwedRequest {
            page_size,
            page_token,
            host_id: host_id.clone(),
            suspended_only,
        };
        let page = client.list_owed(request).await.map_err(told)?.into_inner();
        Ok((page.owed, page.next_page_token))
    })
    .await
}

fn state(entry: &pb::Owed) -> &'static str {
    short(entry.state().as_str_name(), "OWED_STATE_")
}

fn amount_of(entry: &pb::Owed) -> String {
    let amount = amount(entry.amount_minor, &entry.currency);
    format!("{amount} {}", entry.currency)
}

fn show(entries: &[pb::Owed], as_json: bool) -> Result<(), CommandError> {
    if as_json {
        let mut rows: Vec<Value> = Vec::new();
        for entry in entries {
            rows.push(json!({
                "operation_id": entry.operation_id,
                "payment_id": entry.payment_id,
                "host_id": entry.host_id,
                "kind": entry.kind,
                "state": state(entry),
                "attempts": entry.attempts,
                "next_attempt_time": moment(entry.next_attempt_time)?,
                "create_time": moment(entry.create_time)?,
                "suspend_reason": entry.suspend_reason,
                "response_code": entry.response_code,
                "stan": entry.stan,
                "rrn": entry.rrn,
                "amount_minor": entry.amount_minor,
                "currency": entry.currency,
            }));
        }
        return print_line!("{:#}", json!({ "owed": rows }));
    }
    let mut table = table(&[
        "operation",
        "host",
        "kind",
        "amount",
        "RRN",
        "state",
        "attempts",
        "next",
        "since",
        "because",
    ]);
    for entry in entries {
        let because = format!("{} {}", entry.suspend_reason, entry.response_code);
        table.add_row([
            entry.operation_id.as_str(),
            &entry.host_id,
            &entry.kind,
            &amount_of(entry),
            &entry.rrn,
            state(entry),
            &entry.attempts.to_string(),
            &moment(entry.next_attempt_time)?,
            &moment(entry.create_time)?,
            because.trim(),
        ]);
    }
    print_line!("{table}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_has_the_decimals_of_its_currency() {
        for (currency, expected) in [("EUR", "12.50 EUR"), ("JPY", "1250 JPY")] {
            let entry = pb::Owed {
                amount_minor: 1_250,
                currency: currency.to_owned(),
                ..pb::Owed::default()
            };
            assert_eq!(amount_of(&entry), expected);
        }
    }
}
