//! `payswitch sealing-keys`: shows the keys that cards are sealed to, makes one, publishes it, removes one.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::error::CommandError;
use super::moment::second;
use super::output::{print_line, table};
use crate::card::header::Algorithm;
use crate::card::key_files::check_owner;
use crate::card::key_rotation::{ListedKey, Retired, Rotation};
use crate::card::master_key::MasterKey;
use crate::card::sealing_key::KeyState;
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
    payswitch sealing-keys --config pay.toml retire OLD_KID   two days later\n\n\
    It works on the folder of keys. Gateways that run find what has changed within seconds.\n\
    docs/operations.md, \"Sealing keys\", has a rotation step by step.\n\n\
    Exit codes: 0 done, 1 failed or refused, 2 wrong usage.")]
pub struct SealingKeysArgs {
    /// The configuration file; without it, the defaults and the environment.
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the keys: UPCOMING ones are not published yet, ACTIVE ones are, RETIRING ones are no longer; all open.
    List,
    /// Make a key that is not published yet.
    Add {
        /// For RSA-OAEP-256 instead of ECDH-ES.
        #[arg(long)]
        rsa: bool,
    },
    /// Publish an upcoming key in place of the active one, which goes on opening.
    Activate {
        /// Its name.
        #[arg(value_name = "KID", allow_hyphen_values = true)]
        kid: String,
    },
    /// Remove a key that is no longer published, a day and an hour after that; or one that never was.
    Retire {
        /// Its name.
        #[arg(value_name = "KID", allow_hyphen_values = true)]
        kid: String,
        /// Although cards that are sealed to it may still come: they are refused from then on.
        #[arg(long)]
        anyway: bool,
    },
}

/// Does what was asked.
///
/// # Errors
/// When the master key or the folder can't be used, or the step is not allowed.
pub fn run(arguments: &SealingKeysArgs) -> Result<ExitCode, CommandError> {
    let _log = telemetry::start(LogFormat::Text, None)?;
    let config = Config::load(arguments.config.as_deref())?;
    let card = &config.card;
    let master_key = MasterKey::load(card.master_key_file.as_deref(), &Random::SYSTEM)?;
    let rotation = Rotation {
        folder: &card.sealing_keys,
        master_key: &master_key,
        now: SystemClock.now(),
    };
    if !matches!(arguments.action, Action::List) && card.sealing_keys.exists() {
        check_owner(&card.sealing_keys)?;
    }
    let keys = match &arguments.action {
        Action::List => rotation.list()?,
        Action::Add { rsa: true } => vec![rotation.add(Algorithm::RsaOaep256)?],
        Action::Add { rsa: false } => vec![rotation.add(Algorithm::EcdhEs)?],
        Action::Activate { kid } => vec![rotation.activate(kid)?],
        Action::Retire { kid, anyway } => {
            let done = rotation.retire(kid, card.rsa_sealing_key, *anyway)?;
            told(kid, done, arguments.json)?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    show(&keys, arguments.json)?;
    Ok(ExitCode::SUCCESS)
}

fn told(kid: &str, done: Retired, as_json: bool) -> Result<(), CommandError> {
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

fn show(keys: &[ListedKey], as_json: bool) -> Result<(), CommandError> {
    if as_json {
        let mut rows: Vec<Value> = Vec::new();
        for key in keys {
            rows.push(json!({
                "kid": key.kid,
                "alg": key.algorithm.name(),
                "state": key.state.name(),
                "since": second(key.since)?,
                "next_from": key.next_from.map(second).transpose()?,
            }));
        }
        return print_line!("{:#}", json!({ "sealing_keys": rows }));
    }
    let mut table = table(&["key", "for", "state", "since", "next"]);
    for key in keys {
        let from = key.next_from.map_or(Ok(String::new()), second)?;
        let next = match key.state {
            KeyState::Upcoming => format!("activate from {from} on"),
            KeyState::Active => String::new(),
            KeyState::Retiring => format!("retire from {from} on"),
        };
        table.add_row([
            key.kid.as_str(),
            key.algorithm.name(),
            key.state.name(),
            &second(key.since)?,
            &next,
        ]);
    }
    print_line!("{table}")
}
