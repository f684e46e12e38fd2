//! `payswitch master`: puts another master key in the place of the one before, and wraps everything anew under it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use super::error::CommandError;
use super::moment::second;
use super::operators_door::{OperatorsDoor, moment, short, told};
use super::output::print_line;
use super::runtime::runtime;
use crate::admin_api::pb;
use crate::admin_api::pb::key_service_client::KeyServiceClient;
use crate::app::issue::record_master_rotation;
use crate::app::parts::master_key_file;
use crate::app::rewrapping::{Rewrapped, rewrap};
use crate::card::key_files::check_owner;
use crate::card::key_rotation::KNOWN_AFTER_MS;
use crate::card::master_key::MasterKey;
use crate::card::master_rotation::{MasterRotation, Stage};
use crate::card::masters::MASTER_KEY_VARIABLE;
use crate::clock::{Clock as _, SystemClock};
use crate::config::Config;
use crate::fault_points::FaultPoint;
use crate::grpc::text::words;
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
    stopped. Killed in the middle, it goes on where it was when it is run again. Run again after it has finished,\n\
    it says so and does nothing: --again begins another rotation. docs/operations.md, \"The master\n\
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
    /// Say whether a rotation is in progress, and how far it is. With --ready FILE (or PAYSWITCH_READY_FILE) or --admin-api,
    /// and without --config, a gateway says it.
    Status(OperatorsDoor),
    /// Make a new master key, put it in the place of the one before, wrap all keys anew under it.
    Rotate(RotateArgs),
}

#[derive(Debug, Args)]
struct RotateArgs {
    /// Why, for the audit trail.
    #[arg(long, value_name = "TEXT", value_parser = words)]
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
    /// Begin another rotation although one has finished. One that was cut short goes on without this.
    #[arg(long)]
    again: bool,
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
    if let (Action::Status(door), None) = (&arguments.action, &arguments.config)
        && door.is_named()
    {
        runtime()?.block_on(async {
            let mut client = KeyServiceClient::new(door.connect().await?);
            let asked = client.get_master_key_status(pb::GetMasterKeyStatusRequest {});
            let status = asked.await.map_err(told)?.into_inner();
            let time = |time: Option<_>| time.map(|time| moment(Some(time))).transpose();
            let name = short(status.rotation().as_str_name(), "MASTER_KEY_ROTATION_");
            let (since, finished) = (time(status.since_time)?, time(status.last_finish_time)?);
            show(name, since, finished, arguments.json)
        })?;
        return Ok(ExitCode::SUCCESS);
    }
    let _log = telemetry::start(LogFormat::Text, None)?;
    let config = Config::load(arguments.config.as_deref())?;
    let master_key = MasterKey::load(config.card.master_key_file.as_deref(), &Random::SYSTEM)?;
    let path = master_key_file(&config, &master_key);
    let path = &path.ok_or_else(|| {
        format!(
            "expected a master key in a file (card.master_key_file), not in {MASTER_KEY_VARIABLE}"
        )
    })?;
    let has_finished = matches!(MasterRotation::stage(path)?, Stage::Finished(_));
    match &arguments.action {
        Action::Status(_) => {}
        Action::Rotate(rotate) if has_finished && !rotate.again => {}
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
    let (name, since, finished) = match MasterRotation::stage(path)? {
        Stage::None => ("NONE", None, None),
        Stage::Finished(at) => ("NONE", None, Some(at)),
        Stage::Prepared(since) => ("PREPARED", Some(since), None),
        Stage::Replaced(since) => ("REPLACED", Some(since), None),
    };
    let (since, finished) = (
        since.map(second).transpose()?,
        finished.map(second).transpose()?,
    );
    show(name, since, finished, arguments.json)?;
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
                Stage::None | Stage::Finished(_) => {
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

fn show(
    rotation: &str,
    since: Option<String>,
    finished: Option<String>,
    as_json: bool,
) -> Result<(), CommandError> {
    if as_json {
        return print_line!(
            "{:#}",
            json!({ "rotation": rotation, "since": since, "finished": finished })
        );
    }
    match (since, finished) {
        (Some(since), _) => {
            print_line!(
                "rotation: {rotation} since {since}; `payswitch master rotate` goes on with it"
            )
        }
        (None, None) if rotation == "NOT_IN_A_FILE" => {
            print_line!("the master key lies in no file, and can't be rotated")
        }
        (None, None) => print_line!("no rotation of the master key is in progress"),
        (None, Some(at)) => print_line!(
            "no rotation of the master key is in progress; the last one has finished at {at} \
             (`payswitch master rotate --again` begins another)"
        ),
    }
}
