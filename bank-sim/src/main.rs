//! `bank-sim`: the simulated banks as a program of their own.

mod ask;
mod cards;
mod serve;
mod settle;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

/// Simulated banks: an acquirer and issuers with accounts, over ISO 8583 and mutual TLS.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Examples:\n  \
        bank-sim cards\n  \
        bank-sim serve --config bank-sim/bank-sim.toml\n  \
        bank-sim serve --config bank-sim/bank-sim.toml --show --ready-file /tmp/banks.json\n  \
        bank-sim accounts --host issuer-a --held\n  \
        bank-sim fault drop-response --mti 0100 --every-nth 10\n  \
        bank-sim cutover\n\n\
        Logs go to standard error; RUST_LOG chooses them, as in RUST_LOG=bank_sim=debug."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the hosts of a configuration until SIGTERM or SIGINT.
    Serve(serve::Arguments),
    /// Prints the test cards, and the amounts that provoke an answer.
    Cards,
    /// Lists the accounts of banks that run, in minor units.
    Accounts(ask::Accounts),
    /// Lists the messages that banks have received and sent.
    Messages(ask::Messages),
    /// Sums up what banks have done, in minor units.
    Totals(ask::Totals),
    /// Makes banks misbehave.
    Fault(ask::FaultArguments),
    /// Moves the acquirer's business date on.
    Cutover(settle::Cutover),
    /// Lists what the acquirer has booked for settlement, in minor units.
    Items(settle::Items),
    /// Writes the settlement report of a date, in CSV.
    Report(settle::Report),
    /// Hands a clearing file to the acquirer.
    Clearing(settle::Clearing),
    /// Hands a payment order to the bank, and writes what became of it.
    Pay(settle::Pay),
    /// Changes the booked amount of one settlement item, as a bank does that is wrong.
    Misbook(settle::Misbook),
    /// Charges a capture back, or gives the money back, so that it stands in the settlement report.
    Dispute(settle::Dispute),
}

fn main() -> ExitCode {
    // Before anything else: this program is also the child process of an issuer's codec.
    if let Some(exit_code) = bank_sim::run_codec_child_if_asked() {
        std::process::exit(exit_code);
    }
    let result = match Arguments::parse().command {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Cards => cards::print(&mut io::stdout().lock()).map_err(Into::into),
        Command::Accounts(arguments) => ask::accounts(&arguments),
        Command::Messages(arguments) => ask::messages(&arguments),
        Command::Totals(arguments) => ask::totals(&arguments),
        Command::Fault(arguments) => ask::fault(&arguments),
        Command::Cutover(arguments) => settle::cutover(&arguments),
        Command::Items(arguments) => settle::items(&arguments),
        Command::Report(arguments) => settle::report(&arguments),
        Command::Clearing(arguments) => settle::clearing(&arguments),
        Command::Pay(arguments) => settle::pay(&arguments),
        Command::Misbook(arguments) => settle::misbook(&arguments),
        Command::Dispute(arguments) => settle::dispute(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Standard error may be closed; there is no other place for the error.
            let _ = writeln!(io::stderr(), "bank-sim: {}", with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}

/// An error and what caused it, in one line.
fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}
