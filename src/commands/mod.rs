//! The command line: one file for each command.

use std::io::Write as _;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

use error::{FAILED, report};
use output::printed;

pub mod audit;
pub mod certs;
pub mod core_dumps;
pub mod custody;
#[cfg(feature = "demo")]
pub mod demo;
pub mod doctor;
pub mod error;
pub mod explain;
pub mod hosts;
pub mod ledger;
pub mod load;
pub mod manual;
pub mod master;
pub mod merchant;
pub mod merchant_terms;
pub mod migrate;
pub mod moment;
pub mod operator;
pub mod operators_door;
pub mod output;
pub mod owed;
pub mod ready_file;
pub mod reconcile;
pub mod reload;
pub mod restored;
pub mod risk;
pub mod runtime;
pub mod seal;
pub mod sealing_keys;
pub mod sent_file;
pub mod serve;
pub mod service_manager;
pub mod settle;
pub mod settle_payouts;
pub mod statement;

#[derive(Debug, Parser)]
#[command(
    name = "payswitch",
    version,
    about = "A payment switch: merchants speak gRPC to it, banks speak ISO 8583 to it over mutual TLS.",
    after_help = "Examples:\n  \
        payswitch demo                        everything on this machine, with simulated banks\n  \
        payswitch migrate --config pay.toml   create or update the database\n  \
        payswitch doctor --config pay.toml    check the installation\n  \
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
    /// Check configuration and installation, change nothing, and say what to do.
    Doctor(doctor::DoctorArgs),
    /// Create or update the database.
    Migrate(migrate::MigrateArgs),
    /// Begin a new epoch after the database was restored from a backup, and list what may have been paid meanwhile.
    Restored(restored::RestoredArgs),
    /// Add merchants and their API keys, set their terms, their names, and the accounts that payouts go to.
    Merchant(Box<merchant::MerchantArgs>),
    /// Show the bank hosts and their lines, sign them off and on, send echoes.
    Hosts(hosts::HostsArgs),
    /// Add operators, change what they may do, take their access away.
    Operator(operator::OperatorArgs),
    /// Show what is owed to banks, send what is suspended again, end it by what was found out at the bank.
    Owed(owed::OwedArgs),
    /// Show everything that is recorded of one payment, in the order in which things happened.
    Explain(Box<explain::ExplainArgs>),
    /// Show balances and journals, and check the ledger against its seals.
    Ledger(ledger::LedgerArgs),
    /// Show the bank's days, end one, agree its totals, take in the bank's files, pay merchants out.
    Settle(settle::SettleArgs),
    /// Show what banks have otherwise, correct it or accept it; take in statements of bank accounts.
    Reconcile(reconcile::ReconcileArgs),
    /// Write the statement of a merchant as CSV or PDF.
    Statement(statement::StatementArgs),
    /// Show who changed what, when and why.
    Audit(audit::AuditArgs),
    /// Show the limits on how often a card is tried, what was counted, and forget what was.
    Risk(risk::RiskArgs),
    /// Show the data keys of cards in custody, make a new one, destroy those that have ended.
    Custody(custody::CustodyArgs),
    /// Read certificates, revocation lists, host profiles and sealing keys again.
    Reload(reload::ReloadArgs),
    /// Show the keys that cards are sealed to, make a new one, publish it, remove an old one.
    SealingKeys(Box<sealing_keys::SealingKeysArgs>),
    /// Put another master key in the place of the one before, and wrap all keys anew under it.
    Master(master::MasterArgs),
    /// Make a development PKI: gateway, merchant, operators, and a private root for each bank host.
    Certs(certs::CertsArgs),
    /// Seal a card, ready to paste into a request.
    Seal(Box<seal::arguments::SealArgs>),
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
    /// Write the manual pages.
    Manual(manual::ManualArgs),
}

/// Reads the command line and does what it says.
#[must_use]
pub fn run() -> ExitCode {
    // One simulated bank speaks through a codec that wants a process of its own.
    #[cfg(feature = "demo")]
    if let Some(exit_code) = demo::banks::run_codec_child_if_asked() {
        std::process::exit(exit_code);
    }
    if let Err(error) = core_dumps::forbid() {
        report(&error);
        return ExitCode::from(FAILED);
    }
    let done = match CommandLine::parse().command {
        #[cfg(feature = "demo")]
        Command::Demo(arguments) => demo::run(arguments),
        Command::Serve(arguments) => serve::run(arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Migrate(arguments) => migrate::run(&arguments),
        Command::Restored(arguments) => restored::run(&arguments),
        Command::Merchant(arguments) => merchant::run(*arguments),
        Command::Hosts(arguments) => hosts::run(arguments),
        Command::Operator(arguments) => operator::run(arguments),
        Command::Owed(arguments) => owed::run(arguments),
        Command::Explain(arguments) => explain::run(*arguments),
        Command::Ledger(arguments) => ledger::run(arguments),
        Command::Settle(arguments) => settle::run(arguments),
        Command::Reconcile(arguments) => reconcile::run(arguments),
        Command::Statement(arguments) => statement::run(arguments),
        Command::Audit(arguments) => audit::run(arguments),
        Command::Risk(arguments) => risk::run(arguments),
        Command::Custody(arguments) => custody::run(arguments),
        Command::Reload(arguments) => reload::run(arguments),
        Command::SealingKeys(arguments) => sealing_keys::run(*arguments),
        Command::Master(arguments) => master::run(&arguments),
        Command::Certs(arguments) => certs::run(arguments),
        Command::Seal(arguments) => seal::run(*arguments),
        Command::Load(arguments) => load::run(&arguments),
        Command::Manual(arguments) => manual::run(&arguments, CommandLine::command()),
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
