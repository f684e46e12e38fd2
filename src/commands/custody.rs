//! `payswitch custody`: shows the data keys of cards in custody, makes a new one, and destroys those that have ended.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tonic::transport::Channel;

use super::error::CommandError;
use super::operators_door::{OperatorsDoor, Why, moment, pages, told};
use super::output::{print_line, table};
use super::runtime::runtime;
use crate::admin_api::pb;
use crate::admin_api::pb::custody_service_client::CustodyServiceClient;

/// What `payswitch custody` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    payswitch custody list\n  \
    payswitch custody rotate --reason 'a backup was lost'\n  \
    payswitch custody destroy-expired --reason 'the monthly run'\n\n\
    Cards are counted a few minutes after their key was replaced, and at most once a day after that. A key\n\
    without cards, or past its end, is destroyed by destroy-expired.\n\n\
    Exit codes: 0 done, 1 failed, 2 wrong usage.")]
pub struct CustodyArgs {
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
    /// Show the data keys, newest first: the first one seals.
    List,
    /// Make a new data key now, instead of at the next date.
    Rotate(Why),
    /// Destroy the data keys whose cards have all ended, and those past their end.
    DestroyExpired(Why),
}

/// Does what was asked.
///
/// # Errors
/// When the gateway can't be reached, or refuses.
pub fn run(arguments: CustodyArgs) -> Result<ExitCode, CommandError> {
    runtime()?.block_on(async {
        let client = CustodyServiceClient::new(arguments.door.connect().await?);
        act(client, arguments.action, arguments.json).await?;
        Ok(ExitCode::SUCCESS)
    })
}

async fn act(
    mut client: CustodyServiceClient<Channel>,
    action: Action,
    as_json: bool,
) -> Result<(), CommandError> {
    match action {
        Action::List => show(&list(client).await?, as_json),
        Action::Rotate(why) => {
            let request = pb::RotateDataKeyRequest {
                request_id: why.request_id()?,
                reason: why.reason,
            };
            let made = client.rotate_data_key(request).await.map_err(told)?;
            let made: Vec<_> = made.into_inner().data_key.into_iter().collect();
            show(&made, as_json)
        }
        Action::DestroyExpired(why) => {
            let request = pb::DestroyExpiredDataKeysRequest {
                request_id: why.request_id()?,
                reason: why.reason,
            };
            let destroyed = client.destroy_expired_data_keys(request).await;
            let count = destroyed.map_err(told)?.into_inner().destroyed_count;
            if as_json {
                return print_line!("{:#}", json!({ "destroyed_count": count }));
            }
            print_line!("Data keys destroyed: {count}")
        }
    }
}

async fn list(mut client: CustodyServiceClient<Channel>) -> Result<Vec<pb::DataKey>, CommandError> {
    pages(usize::MAX, async |page_size, page_token| {
        let request = pb::ListDataKeysRequest {
            page_size,
            page_token,
        };
        let page = client.list_data_keys(request).await.map_err(told)?;
        let page = page.into_inner();
        Ok((page.data_keys, page.next_page_token))
    })
    .await
}

fn show(keys: &[pb::DataKey], as_json: bool) -> Result<(), CommandError> {
    if as_json {
        let mut rows: Vec<Value> = Vec::new();
        for key in keys {
            rows.push(json!({
                "key_version": key.key_version,
                "create_time": moment(key.create_time)?,
                "expire_time": moment(key.expire_time)?,
                "entry_count": key.entry_count,
            }));
        }
        return print_line!("{:#}", json!({ "data_keys": rows }));
    }
    let mut table = table(&["key", "made", "destroyed at the latest", "cards"]);
    for key in keys {
        table.add_row([
            key.key_version.to_string(),
            moment(key.create_time)?,
            moment(key.expire_time)?,
            key.entry_count
                .map_or_else(|| "not counted yet".to_owned(), |count| count.to_string()),
        ]);
    }
    print_line!("{table}")
}
