//! `payswitch serve`: runs the gateway.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
#[cfg(feature = "otlp")]
use tracing_subscriber::Layer as _;

use super::error::{CommandError, OLDER_DATABASE, report};
use super::ready_file::ReadyFile;
use super::runtime::runtime;
use super::service_manager;
use crate::app;
use crate::app::descriptors;
use crate::app::parts::{Parts, StartError};
use crate::config::Config;
use crate::telemetry::{self, LogFormat};
#[cfg(feature = "otlp")]
use crate::traces::export::Exporter;

/// How often the log says that a required bank is not signed on yet.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// What `payswitch serve` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    payswitch serve --config pay.toml\n  \
    payswitch serve --config pay.toml --log json --ready-file /run/payswitch.json\n\n\
    Stop it with SIGTERM or Ctrl-C: it takes no new payments, finishes those in progress, signs off\n\
    from the banks and exits. SIGHUP makes it read certificates, revocation lists, profiles and\n\
    sealing keys again. Under systemd (Type=notify) it says when the doors are open, and what it waits\n\
    for.\n\n\
    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the database was restored from a backup: run\n\
    `payswitch restored`.")]
pub struct ServeArgs {
    /// The configuration file; without it, the defaults and the environment.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How log lines look.
    #[arg(long, value_enum, default_value_t = Log::Text)]
    log: Log,
    /// Written as JSON once every required bank is signed on, and removed when the gateway stops:
    /// `merchant_api`, `jwks_path`, `database_url`, `pid`; with a door for operators also `admin_api`,
    /// `admin_ca_path`, and `operator_certificate` and `operator_key` where `operator.pem` and `operator.key`
    /// lie beside the operators' root.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Log {
    Text,
    Json,
}

/// Runs the gateway until it is told to stop.
///
/// # Errors
/// When it can't be started.
pub fn run(arguments: ServeArgs) -> Result<ExitCode, CommandError> {
    let format = match arguments.log {
        Log::Text => LogFormat::Text,
        Log::Json => LogFormat::Json,
    };
    let config = Config::load(arguments.config.as_deref())?;
    let runtime = runtime()?;
    let _log = start_log(format, &config, &runtime)?;
    runtime.block_on(serve(config, arguments.ready_file))
}

/// Starts the log, and the traces where the configuration names a collector. Both end when what is returned is dropped.
fn start_log(
    format: LogFormat,
    config: &Config,
    runtime: &Runtime,
) -> Result<impl Sized + use<>, CommandError> {
    let _within = runtime.enter();
    #[cfg(feature = "otlp")]
    {
        let traces = Exporter::start(&config.traces).map_err(std::io::Error::other)?;
        let layer = traces.as_ref().map(|traces| traces.layer().boxed());
        Ok((traces, telemetry::start_with(format, None, layer)?))
    }
    #[cfg(not(feature = "otlp"))]
    {
        // Such a build refuses a configuration that names a collector.
        let _none = &config.traces;
        Ok(telemetry::start(format, None)?)
    }
}

async fn serve(config: Config, ready_file: Option<PathBuf>) -> Result<ExitCode, CommandError> {
    let mut stop = StopSignal::listen()?;
    let mut hang_up = signal(SignalKind::hangup())?;
    // Without a handler these would end the program on the spot.
    let _without_meaning = [
        signal(SignalKind::user_defined1())?,
        signal(SignalKind::user_defined2())?,
        signal(SignalKind::alarm())?,
    ];
    let mut ready_file = ready_file.map(ReadyFile::at).transpose()?;
    let parts = Parts::from_config(&config)?;
    descriptors::raise_to(descriptors::needed(&config, &parts.profiles))?;
    // Until the process ends: stopping takes its time as well.
    let _alive = tokio::spawn(service_manager::keep_alive());
    let mut running = match app::start(&config, parts).await {
        Err(error @ StartError::Older(_)) => {
            report(&error);
            return Ok(ExitCode::from(OLDER_DATABASE));
        }
        started => started?,
    };
    let hosts: Vec<_> = running.hosts.ids().map(|host| host.to_string()).collect();
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        environment = ?config.environment,
        node.id = %running.store.node_id(),
        pid = std::process::id(),
        database = config.store.shown_url(),
        merchant_api = %running.merchant_api,
        admin_api = running.admin_api.map(tracing::field::display),
        hosts = hosts.join(", "),
        "payswitch has started"
    );
    service_manager::open();
    let operators_root = config.admin_api.as_ref().map(|door| &door.client_ca);
    let operators_root = operators_root.map(std::path::absolute).transpose()?;
    let beside_root = |name: &str| {
        let path = operators_root.as_ref()?.with_file_name(name);
        path.exists().then_some(path)
    };
    let ready = serde_json::json!({
        "merchant_api": running.merchant_api.to_string(),
        // Absolute, for readers that stand elsewhere.
        "jwks_path": std::path::absolute(&config.card.jwks_path)?,
        "database_url": config.store.shown_url(),
        "admin_api": running.admin_api.map(|address| address.to_string()),
        "operator_certificate": beside_root("operator.pem"),
        "operator_key": beside_root("operator.key"),
        "admin_ca_path": operators_root,
        "pid": std::process::id(),
    });
    let hosts = Arc::clone(&running.hosts);
    let announcing = async {
        while !hosts.ready(WARN_EVERY).await {
            tracing::warn!("A required bank is not signed on yet; the gateway is not ready");
        }
        tracing::info!("Every required bank is signed on");
        ready_file
            .as_mut()
            .map_or(Ok(()), |file| file.write(&ready))
    };
    let reloading = running.reloading();
    let telling = service_manager::follow(Arc::clone(&running.hosts), running.readiness());
    let telling = tokio::spawn(telling);
    let announced: Result<(), CommandError> = tokio::select! {
        announced = async {
            announcing.await?;
            std::future::pending().await
        } => announced,
        () = running.door_failed() => Ok(()),
        () = stop.received() => Ok(()),
        () = async {
            loop {
                hang_up.recv().await;
                tracing::info!("SIGHUP: certificates, profiles and sealing keys are read again");
                let _logged = reloading.reload().await;
            }
        } => Ok(()),
    };
    drop(ready_file);
    // It must have ended before the manager hears of the stop, or it could take that back.
    telling.abort();
    let _aborted = telling.await;
    service_manager::stopping();
    tracing::info!("Stopping: no new payments, those in progress are finished");
    let drained = running.stop().await;
    tracing::info!(drained, "Stopped");
    announced?;
    Ok(if drained {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(super::error::FAILED)
    })
}

/// SIGTERM, SIGINT and SIGQUIT, listened for: one that comes before anybody waits for it is not lost, and does
/// not end the program on the spot.
pub struct StopSignal {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
}

impl StopSignal {
    /// Listens from now on.
    ///
    /// # Errors
    /// When the operating system takes no signal handlers.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
        })
    }

    /// Waits for any of them.
    pub async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.quit.recv() => {}
        }
    }
}
