//! The command line: one file for each command.

use std::io::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use crate::card::key_files::{Existing, KeyFileError, write_private_file};

pub mod certs;
#[cfg(feature = "demo")]
pub mod demo;
pub mod load;
pub mod merchant;
pub mod migrate;
pub mod ready_file;
pub mod seal;
pub mod serve;

/// Exit code when a command could not do what it was asked to.
const FAILED: u8 = 1;

#[derive(Debug, Parser)]
#[command(
    name = "payswitch",
    version,
    about = "A payment switch: merchants speak gRPC to it, banks speak ISO 8583 to it over mutual TLS.",
    after_help = "Examples:\n  \
        payswitch demo                        everything on this machine, with simulated banks\n  \
        payswitch migrate --config pay.toml   create or update the database\n  \
        payswitch serve --config pay.toml     run the gateway\n\n\
        Exit codes: 0 done, 1 failed, 2 wrong usage."
)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start simulated banks and the gateway on loopback, pay with each test card, show what happened.
    #[cfg(feature = "demo")]
    Demo(demo::DemoArgs),
    /// Run the gateway.
    Serve(serve::ServeArgs),
    /// Create or update the database.
    Migrate(migrate::MigrateArgs),
    /// Add merchants and their API keys.
    Merchant(merchant::MerchantArgs),
    /// Make a development PKI: gateway, merchant, and a private root for each bank host.
    Certs(certs::CertsArgs),
    /// Seal a card, ready to paste into a request.
    Seal(Box<seal::SealArgs>),
    /// Pay again and again, and report rates and times.
    Load(Box<load::arguments::LoadArgs>),
    /// Print a completion script for a shell.
    #[command(
        after_help = "Example:\n  payswitch completions bash > /etc/bash_completion.d/payswitch"
    )]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Why a command failed: a sentence, and what it comes from.
pub type CommandError = Box<dyn std::error::Error + Send + Sync>;

/// Reads the command line and does what it says.
#[must_use]
pub fn run() -> ExitCode {
    // One simulated bank speaks through a codec that wants a process of its own.
    #[cfg(feature = "demo")]
    if let Some(exit_code) = demo::stand::run_codec_child_if_asked() {
        std::process::exit(exit_code);
    }
    let done = match CommandLine::parse().command {
        #[cfg(feature = "demo")]
        Command::Demo(arguments) => demo::run(arguments),
        Command::Serve(arguments) => serve::run(arguments),
        Command::Migrate(arguments) => migrate::run(&arguments),
        Command::Merchant(arguments) => merchant::run(arguments),
        Command::Certs(arguments) => certs::run(arguments),
        Command::Seal(arguments) => seal::run(*arguments),
        Command::Load(arguments) => load::run(&arguments),
        Command::Completions { shell } => {
            let mut command = CommandLine::command();
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut command, "payswitch", &mut script);
            printed(std::io::stdout().write_all(&script)).map(|()| ExitCode::SUCCESS)
        }
    };
    done.unwrap_or_else(|error| {
        report(&*error);
        ExitCode::from(FAILED)
    })
}

/// Prints a line on standard output, which may be a closed pipe or a full disk: an error like any other.
macro_rules! print_line {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        $crate::commands::printed(writeln!(std::io::stdout(), $($text)*))
    }};
}
pub(crate) use print_line;

/// What became of something printed.
fn printed(done: std::io::Result<()>) -> Result<(), CommandError> {
    done.map_err(|error| format!("standard output can't be written: {error}").into())
}

/// Prints an error and what it comes from, one line each.
#[expect(clippy::print_stderr, reason = "this is where a command line speaks")]
fn report(error: &(dyn std::error::Error + 'static)) {
    eprintln!("payswitch: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        eprintln!("  because: {cause}");
        source = cause.source();
    }
}

/// A runtime for a command.
///
/// # Errors
/// When the operating system gives no threads.
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
}

/// Writes a JSON file whole or not at all, so that whoever waits for it never reads half of it. Only
/// its owner may read it: it may hold an API key.
///
/// # Errors
/// When it can't be written.
pub fn write_whole(path: &std::path::Path, value: &serde_json::Value) -> Result<(), KeyFileError> {
    let text = zeroize::Zeroizing::new(format!("{value:#}\n"));
    write_private_file(path, text.as_bytes(), Existing::Replace)
}
