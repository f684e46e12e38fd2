//! `payswitch manual`: the manual pages of all commands.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::error::CommandError;

/// What `payswitch manual` takes.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  payswitch manual --out /usr/local/share/man/man1")]
pub struct ManualArgs {
    /// The folder that they are written to; it is made when it is missing.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Writes a page for the program and one for each command: `payswitch-serve.1` and so on.
///
/// # Errors
/// When the folder can't be written to.
pub fn run(arguments: &ManualArgs, command: clap::Command) -> Result<ExitCode, CommandError> {
    let failed = |error| format!("{}: {error}", arguments.out.display());
    std::fs::create_dir_all(&arguments.out).map_err(failed)?;
    clap_mangen::generate_to(command, &arguments.out).map_err(failed)?;
    Ok(ExitCode::SUCCESS)
}
