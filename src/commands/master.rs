//! `payswitch master`: puts another master key in the place of the one before, and wraps everything anew under it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::error::CommandError;
use super::moment::second;
use super::output::print_line;
use super::runtime::runtime;
use crate::app::issue::record_master_rotation;
use crate::app::rewrapping::{Rewrapped, rewrap};
use crate::card::key_files::check_owner;
use crate::card::key_rotation::KNOWN_AFTER_MS;
use crate::card::master_key::{MasterKey, MasterKeyTier};
use crate::card::master_rotation::{MasterRotation, Stage};
use crate::card::masters::MASTER_KEY_VARIABLE;
use crate::clock::{Clock as _, SystemClock};
use crate::config::Config;
use crate::fault_points::FaultPoint;
use crate::payment::moment::UnixMillis;
use crate::random::Random;
use crate::store::Store;
use crate::telemetry::{self, LogFormat};

/// What `payswitch master` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    payswitch master --config pay.toml status\n  \
    payswitch master --config pay.toml rotate --reason 'the yearly rotation'\n\n\
    Gateways on PostgreSQL go on meanwhile. On SQLite, whose file belongs to one process, the gateway must be\n\
    stopped. Killed in the middle, it goes on where it was when it is run again. docs/operations.md, \"The master\n\
    key\", says what to do where each node has its files to itself.\n\n\
    Exit codes: 0 done, 1 failed, 2 wrong usage.")]
pub struct MasterArgs {
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
    /// Say whether a rotation is in progress, and how far it is.
    Status,
    /// Make a new master key, put it in the place of the one before, wrap all keys anew under it.
    Rotate(RotateArgs),
}

#[derive(Debug, Args)]
struct RotateArgs {
    /// Why, for the audit trail.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// How long every node has to notice what has changed, in seconds; twice that passes in all.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = KNOWN_AFTER_MS.unsigned_abs() / 1000,
        value_parser = clap::value_parser!(u64).range(10..=86_400)
    )]
    known_after: u64,
    /// Stop there: `prepared`, when the next master key is made; `replaced`, when it has taken its place and all is
    /// wrapped anew, but the one before is still read.
    #[arg(long, value_enum)]
    until: Option<Until>,
    /// One more file with a wrapped private key, which neither the configuration nor a host profile names.
    #[arg(long, value_name = "FILE")]
    also: Vec<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Until {
    Prepared,
    Replaced,
}

/// Does what was asked.
///
/// # Errors
/// When the configuration, a key or the database can't be used, or something opens under no master key.
pub fn run(arguments: &MasterArgs) -> Result<ExitCode, CommandError> {
    telemetry::start(LogFormat::Text, None)?;
    let config = Config::load(arguments.config.as_deref())?;
    let path = config.card.master_key_file.as_deref();
    let master_key = MasterKey::load(path, &Random::SYSTEM)?;
    let path = path.filter(|_| master_key.tier() == MasterKeyTier::File);
    let path = path.ok_or_else(|| {
        format!(
            "expected a master key in a file (card.master_key_file), not in {MASTER_KEY_VARIABLE}"
        )
    })?;
    match &arguments.action {
        Action::Status => {}
        Action::Rotate(rotate) => runtime()?.block_on(async {
            check_owner(path)?;
            let store = Store::open(&config.store, Arc::new(SystemClock), &Random::SYSTEM).await?;
            let work = Work {
                path,
                config: &config,
                store: &store,
                master_key: &master_key,
                arguments: rotate,
                is_told: !arguments.json,
            };
            let done = work.rotate().await;
            store.close().await;
            done
        })?,
    }
    show(path, arguments.json)?;
    Ok(ExitCode::SUCCESS)
}

struct Work<'a> {
    path: &'a Path,
    config: &'a Config,
    store: &'a Store,
    master_key: &'a MasterKey,
    arguments: &'a RotateArgs,
    is_told: bool,
}

impl Work<'_> {
    /// Goes from stage to stage, from whichever it finds.
    async fn rotate(&self) -> Result<(), CommandError> {
        let rotation = MasterRotation::of(self.path)?;
        let until = self.arguments.until;
        loop {
            self.master_key.reload()?;
            match MasterRotation::stage(self.path)? {
                Stage::None => {
                    // What opens under no master key is found before anything is changed.
                    self.rewrap().await?;
                    rotation.prepare(&Random::SYSTEM)?;
                    self.tell("the next master key is there")?;
                    FaultPoint::MasterRotation.pass();
                }
                Stage::Prepared(_) if until == Some(Until::Prepared) => return Ok(()),
                Stage::Prepared(since) => {
                    self.wait_since(since).await?;
                    rotation.replace()?;
                    self.tell("it has taken the place of the one before")?;
                    FaultPoint::MasterRotation.pass();
                }
                Stage::Replaced(since) => {
                    let done = self.rewrap().await?;
                    self.tell_of(done)?;
                    if until == Some(Until::Replaced) {
                        return Ok(());
                    }
                    // A node that had not noticed may have wrapped a key under the one before.
                    self.wait_since(since).await?;
                    self.tell_of(self.rewrap().await?)?;
                    // No file of the database holds the keys as they were wrapped before.
                    self.store.destroy_custody_keys(&[]).await?;
                    FaultPoint::MasterRotation.pass();
                    record_master_rotation(self.store, since, &self.arguments.reason).await?;
                    FaultPoint::MasterRotation.pass();
                    rotation.finish()?;
                    return self.tell("the one before is removed");
                }
            }
        }
    }

    async fn rewrap(&self) -> Result<Rewrapped, CommandError> {
        let also = &self.arguments.also;
        Ok(rewrap(self.config, also, self.store, self.master_key).await?)
    }

    /// Waits until every node has had its time since then.
    async fn wait_since(&self, since: UnixMillis) -> Result<(), CommandError> {
        let end = since.plus(Duration::from_secs(self.arguments.known_after));
        let left_ms = end.as_i64().saturating_sub(SystemClock.now().as_i64());
        // A clock that was set back makes nobody wait longer than he asked for.
        let left = Duration::from_millis(u64::try_from(left_ms).unwrap_or(0))
            .min(Duration::from_secs(self.arguments.known_after));
        if !left.is_zero() {
            self.tell(&format!(
                "waiting {} s, until every node knows it",
                left.as_secs()
            ))?;
            tokio::time::sleep(left).await;
        }
        Ok(())
    }

    fn tell_of(&self, done: Rewrapped) -> Result<(), CommandError> {
        let Rewrapped { files, data_keys } = done;
        self.tell(&format!(
            "wrapped anew: files {files}, data keys {data_keys}"
        ))
    }

    fn tell(&self, what: &str) -> Result<(), CommandError> {
        if self.is_told {
            print_line!("{what}")?;
        }
        Ok(())
    }
}

fn show(path: &Path, as_json: bool) -> Result<(), CommandError> {
    let (name, since) = match MasterRotation::stage(path)? {
        Stage::None => ("NONE", None),
        Stage::Prepared(since) => ("PREPARED", Some(since)),
        Stage::Replaced(since) => ("REPLACED", Some(since)),
    };
    let since = since.map(second).transpose()?;
    if as_json {
        return print_line!("{:#}", json!({ "rotation": name, "since": since }));
    }
    match since {
        None => print_line!("no rotation of the master key is in progress"),
        Some(since) => {
            print_line!("rotation: {name} since {since}; `payswitch master rotate` goes on with it")
        }
    }
}
