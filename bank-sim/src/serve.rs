//! `bank-sim serve`: the hosts of a configuration file, until told to stop.

use std::{
    collections::BTreeMap,
    error::Error,
    fs,
    io::{self, IsTerminal as _, Write},
    path::{Path, PathBuf},
};

use bank_sim::{
    BankSim, RunningSim, SimConfig,
    message_log::{Direction, MessageQuery},
};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// The arguments of `serve`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The configuration in TOML; paths in it are relative to the working directory.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// A file to write, in JSON, as soon as every host listens: {"pid", "control", "hosts": {NAME: {"address",
    /// "dialect"}}}.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// Print every message that comes and goes, secrets masked.
    #[arg(long)]
    show: bool,
}

#[derive(Debug, Serialize)]
struct Ready<'a> {
    pid: u32,
    /// Where the control API listens.
    control: Option<String>,
    hosts: BTreeMap<&'a str, ReadyHost<'a>>,
}

#[derive(Debug, Serialize)]
struct ReadyHost<'a> {
    address: String,
    dialect: &'a str,
}

/// Runs until SIGTERM or SIGINT.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("bank_sim=info"));
    // `NO_COLOR` with any value means plain text, on a terminal too (no-color.org).
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    tracing_subscriber::fmt()
        .with_ansi(io::stderr().is_terminal() && !plain)
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .init();
    let config = SimConfig::read(&arguments.config)?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(serve(config, arguments))
}

async fn serve(config: SimConfig, arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let ready_file = arguments.ready_file.as_deref();
    // Caught from here on, so that a signal during the start is not lost.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let sim = BankSim::start(config).await?;
    // Before "ready" is printed, so that a program that waits for the line finds the file.
    if let Some(path) = ready_file {
        write_ready_file(&sim, path)
            .map_err(|error| format!("`{}` can't be written: {error}", path.display()))?;
    }
    print_hosts(&sim)?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        shown = show(&sim), if arguments.show => shown?,
    }
    if let Some(path) = ready_file
        && let Err(error) = fs::remove_file(path)
    {
        // A program that starts the banks again waits for the new file.
        tracing::warn!(%error, path = %path.display(), "the ready file was not removed");
    }
    sim.shutdown().await;
    tracing::info!("all hosts were stopped");
    Ok(())
}

fn print_hosts(sim: &RunningSim) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(
        out,
        "{:<14}{:<23}{:<24}framing",
        "host", "address", "dialect"
    )?;
    for host in sim.hosts() {
        writeln!(
            out,
            "{:<14}{:<23}{:<24}{:?}",
            host.name,
            host.address.to_string(),
            host.dialect,
            host.framing.prefix
        )?;
    }
    if let Some(control) = sim.control_address() {
        writeln!(out, "{:<14}{control:<23}gRPC, in clear", "control")?;
    }
    writeln!(out, "ready")
}

/// How many messages are printed before it is asked for more.
const SHOWN_AT_A_TIME: usize = 100;

/// Prints every message, for ever.
async fn show(sim: &RunningSim) -> io::Result<()> {
    let mut newest = sim.follow_messages();
    let mut after_position = 0;
    loop {
        let (messages, position) = sim.messages(&MessageQuery {
            after_position,
            limit: SHOWN_AT_A_TIME,
            host: None,
            rrn: None,
        });
        {
            let mut out = io::stdout().lock();
            for message in &messages {
                let way = match message.direction {
                    Direction::Received => "received",
                    Direction::Sent => "sent",
                };
                let (host, mti, at) = (&message.host, message.mti, message.at);
                writeln!(out, "\n{at}  {host} {way} {mti}\n{}", message.render())?;
            }
            out.flush()?;
        }
        // The sender lives as long as the banks.
        if messages.is_empty() && newest.changed().await.is_err() {
            return Ok(());
        }
        after_position = position;
    }
}

/// Written beside its place and moved there, so that no reader sees half of it.
fn write_ready_file(sim: &RunningSim, path: &Path) -> Result<(), Box<dyn Error>> {
    let hosts = sim.hosts().map(|host| {
        (
            host.name,
            ReadyHost {
                address: host.address.to_string(),
                dialect: host.dialect,
            },
        )
    });
    let ready = Ready {
        pid: std::process::id(),
        control: sim.control_address().map(|address| address.to_string()),
        hosts: hosts.collect(),
    };
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(".part");
    fs::write(&unfinished, serde_json::to_vec_pretty(&ready)?)?;
    fs::rename(&unfinished, path)?;
    Ok(())
}
