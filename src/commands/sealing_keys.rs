//! `payswitch sealing-keys`: shows the keys that cards are sealed to, makes one, publishes it, removes one: in the folder of
//! keys, or at the operators' door of a gateway.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tonic::transport::Channel;

use super::error::CommandError;
use super::moment::second;
use super::operators_door::{OperatorsDoor, WhyAtDoor, moment, short, told};
use super::output::{print_line, table};
use super::runtime::runtime;
use crate::admin_api::pb;
use crate::admin_api::pb::key_service_client::KeyServiceClient;
use crate::card::header::Algorithm;
use crate::card::key_files::check_owner;
use crate::card::key_rotation::{ListedKey, Retired, Rotation};
use crate::card::master_key::MasterKey;
use crate::clock::{Clock as _, SystemClock};
use crate::config::Config;
use crate::random::Random;
use crate::telemetry::{self, LogFormat};

/// What `payswitch sealing-keys` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    payswitch sealing-keys --config pay.toml list\n  \
    payswitch sealing-keys --config pay.toml add\n  \
    payswitch sealing-keys --config pay.toml activate KID     two minutes later\n  \
    payswitch sealing-keys --config pay.toml retire OLD_KID   two days later\n  \
    payswitch sealing-keys --ready pay.ready.json add --reason 'the yearly rotation'\n\n\
    With --config it works on the folder of keys, and gateways that run find what has changed within seconds.\n\
    Without, and with --ready FILE (or PAYSWITCH_READY_FILE) or --admin-api, a gateway does it: that needs a\n\
    --reason. Either leaves a row in the audit trail. docs/operations.md, \"Sealing keys\", has a rotation step by step.\n\n\
    Exit codes: 0 done, 1 failed or refused, 2 wrong usage.")]
pub struct SealingKeysArgs {
    /// The configuration file, for the folder of keys; without it, and without a gateway, the defaults and the
    /// environment.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
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
    /// Show the keys: UPCOMING ones are not published yet, ACTIVE ones are, RETIRING ones are no longer; all open. A gateway
    /// also says which are RETIRED, and when each was used last.
    List,
    /// Make a key that is not published yet.
    Add {
        /// For RSA-OAEP-256 instead of ECDH-ES.
        #[arg(long)]
        rsa: bool,
        #[command(flatten)]
        why: WhyAtDoor,
    },
    /// Publish an upcoming key in place of the active one, which goes on opening.
    Activate {
        /// Its name.
        #[arg(value_name = "KID", allow_hyphen_values = true)]
        kid: String,
        #[command(flatten)]
        why: WhyAtDoor,
    },
    /// Remove a key that is no longer published, a day and an hour after that; or one that never was.
    Retire {
        /// Its name.
        #[arg(value_name = "KID", allow_hyphen_values = true)]
        kid: String,
        /// Although cards that are sealed to it may still come: they are refused from then on.
        #[arg(long)]
        anyway: bool,
        #[command(flatten)]
        why: WhyAtDoor,
    },
}

impl Action {
    fn has_reason(&self) -> bool {
        match self {
            Self::List => false,
            Self::Add { why, .. } | Self::Activate { why, .. } | Self::Retire { why, .. } => {
                why.is_given()
            }
        }
    }
}

/// A key as it is shown.
struct Row {
    kid: String,
    algorithm: String,
    state: &'static str,
    since: String,
    next_from: Option<String>,
    /// What only a gateway knows: when it was used last, and whether that gateway has it.
    at_gateway: Option<(Option<String>, bool)>,
}

/// Does what was asked.
///
/// # Errors
/// When the master key or the folder can't be used, the gateway can't be reached or refuses, or the step is not allowed.
pub fn run(arguments: SealingKeysArgs) -> Result<ExitCode, CommandError> {
    if arguments.config.is_none() && arguments.door.is_named() {
        runtime()?.block_on(async {
            let client = KeyServiceClient::new(arguments.door.connect().await?);
            let keys = ask(client, arguments.action).await?;
            show(&keys, arguments.json)
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    if arguments.action.has_reason() {
        let text = "--reason is for a gateway (--ready FILE, without --config): what is done in the folder, the gateway that \
            notices it records";
        return Err(text.into());
    }
    in_folder(&arguments)?;
    Ok(ExitCode::SUCCESS)
}

fn in_folder(arguments: &SealingKeysArgs) -> Result<(), CommandError> {
    let _log = telemetry::start(LogFormat::Text, None)?;
    let config = Config::load(arguments.config.as_deref())?;
    let card = &config.card;
    let master_key = MasterKey::load(card.master_key_file.as_deref(), &Random::SYSTEM)?;
    let rotation = Rotation {
        folder: &card.sealing_keys,
        master_key: &master_key,
        now: SystemClock.now(),
        lock: None,
    };
    if !matches!(arguments.action, Action::List) && card.sealing_keys.exists() {
        check_owner(&card.sealing_keys)?;
    }
    let keys = match &arguments.action {
        Action::List => rotation.list()?,
        Action::Add { rsa: true, .. } => vec![rotation.add(Algorithm::RsaOaep256)?],
        Action::Add { rsa: false, .. } => vec![rotation.add(Algorithm::EcdhEs)?],
        Action::Activate { kid, .. } => vec![rotation.activate(kid)?],
        Action::Retire { kid, anyway, .. } => {
            let done = rotation.retire(kid, card.rsa_sealing_key, *anyway)?;
            return told_of(kid, done, arguments.json);
        }
    };
    let rows: Result<Vec<Row>, CommandError> = keys.iter().map(row).collect();
    show(&rows?, arguments.json)
}

/// Has a gateway do it.
async fn ask(
    mut client: KeyServiceClient<Channel>,
    action: Action,
) -> Result<Vec<Row>, CommandError> {
    let key = match action {
        Action::List => {
            let listed = client.list_sealing_keys(pb::ListSealingKeysRequest {});
            let listed = listed.await.map_err(told)?.into_inner().sealing_keys;
            return listed.into_iter().map(row_of_gateway).collect();
        }
        Action::Add { rsa, why } => {
            let why = why.needed()?;
            let request = pb::AddSealingKeyRequest {
                request_id: why.request_id()?,
                reason: why.reason,
                rsa,
            };
            let done = client.add_sealing_key(request).await.map_err(told)?;
            done.into_inner().sealing_key
        }
        Action::Activate { kid, why } => {
            let why = why.needed()?;
            let request = pb::ActivateSealingKeyRequest {
                request_id: why.request_id()?,
                reason: why.reason,
                kid,
            };
            let done = client.activate_sealing_key(request).await.map_err(told)?;
            done.into_inner().sealing_key
        }
        Action::Retire { kid, anyway, why } => {
            let why = why.needed()?;
            let request = pb::RetireSealingKeyRequest {
                request_id: why.request_id()?,
                reason: why.reason,
                kid,
                anyway,
            };
            let done = client.retire_sealing_key(request).await.map_err(told)?;
            done.into_inner().sealing_key
        }
    };
    key.into_iter().map(row_of_gateway).collect()
}

fn told_of(kid: &str, done: Retired, as_json: bool) -> Result<(), CommandError> {
    let removed = done == Retired::Removed;
    if as_json {
        return print_line!("{:#}", json!({ "kid": kid, "removed": removed }));
    }
    match done {
        Retired::Removed => print_line!("removed {kid}"),
        Retired::Unpublished => {
            print_line!("{kid} is no longer published; retire it again in two days")
        }
    }
}

fn row(key: &ListedKey) -> Result<Row, CommandError> {
    Ok(Row {
        kid: key.kid.clone(),
        algorithm: key.algorithm.name().to_owned(),
        state: key.state.name(),
        since: second(key.since)?,
        next_from: key.next_from.map(second).transpose()?,
        at_gateway: None,
    })
}

fn row_of_gateway(key: pb::SealingKey) -> Result<Row, CommandError> {
    let shown = |time: Option<_>| time.map(|time| moment(Some(time))).transpose();
    Ok(Row {
        state: short(key.state().as_str_name(), "SEALING_KEY_STATE_"),
        since: moment(key.since_time)?,
        next_from: shown(key.next_time)?,
        at_gateway: Some((shown(key.last_use_time)?, key.on_this_gateway)),
        kid: key.kid,
        algorithm: key.algorithm,
    })
}

fn show(keys: &[Row], as_json: bool) -> Result<(), CommandError> {
    if as_json {
        let rows = keys.iter().map(|key| {
            let row = json!({
                "kid": key.kid,
                "alg": key.algorithm,
                "state": key.state,
                "since": key.since,
                "next_from": key.next_from,
            });
            match (row, &key.at_gateway) {
                (Value::Object(mut row), Some((last_use, on_this_gateway))) => {
                    row.insert("last_use".to_owned(), json!(last_use));
                    row.insert("on_this_gateway".to_owned(), json!(on_this_gateway));
                    Value::Object(row)
                }
                (row, _) => row,
            }
        });
        let rows: Vec<Value> = rows.collect();
        return print_line!("{:#}", json!({ "sealing_keys": rows }));
    }
    let of_gateway = keys.iter().any(|key| key.at_gateway.is_some());
    let columns = ["key", "for", "state", "since", "next", "used last"];
    let mut table = table(columns.get(..if of_gateway { 6 } else { 5 }).unwrap_or(&[]));
    for key in keys {
        let next = match (&key.next_from, key.state) {
            (Some(from), "UPCOMING") => format!("activate from {from} on"),
            (Some(from), _) => format!("retire from {from} on"),
            (None, _) => String::new(),
        };
        let mut cells = vec![&key.kid, &key.algorithm];
        let state = key.state.to_owned();
        cells.extend([&state, &key.since, &next]);
        let used = key.at_gateway.as_ref().map(|(last_use, here)| {
            let used = last_use.as_deref().unwrap_or("never");
            match *here || key.state == "RETIRED" {
                true => used.to_owned(),
                false => format!("{used}; not at this gateway"),
            }
        });
        cells.extend(&used);
        table.add_row(cells);
    }
    print_line!("{table}")
}
