//! `payswitch migrate`: creates or updates the database.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::error::CommandError;
use super::output::print_line;
use super::runtime::runtime;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::store::Store;
use crate::telemetry::{self, LogFormat};

/// What `payswitch migrate` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    payswitch migrate --config pay.toml\n  \
    PAYSWITCH_STORE__URL=postgres://pay@localhost/pay payswitch migrate")]
pub struct MigrateArgs {
    /// The configuration file; without it, the defaults and the environment.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Creates or updates the database, and says what was done.
///
/// # Errors
/// When the configuration or the database can't be used.
pub fn run(arguments: &MigrateArgs) -> Result<ExitCode, CommandError> {
    let _log = telemetry::start(LogFormat::Text, None)?;
    let config = Config::load(arguments.config.as_deref())?;
    let report = runtime()?.block_on(Store::migrate(&config.store, &SystemClock))?;
    for migration in &report.applied {
        print_line!("applied {migration}")?;
    }
    print_line!("the schema is at version {}", report.version)?;
    Ok(ExitCode::SUCCESS)
}
