//! `payswitch restored`: begins a new epoch after the database was restored from a backup.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use serde_json::{Value, json};

use super::error::{CommandError, FAILED};
use super::moment::second;
use super::output::{print_line, table};
use super::runtime::runtime;
use crate::app::issue;
use crate::card::master_key::MasterKey;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::grpc::text::words;
use crate::ledger::seal::Seal;
use crate::ledger_seals::restoring::{LeftOut, Restoration};
use crate::payment::moment::UnixMillis;
use crate::payment::reference::SequenceNumber;
use crate::random::Random;
use crate::store::Store;
use crate::telemetry::{self, LogFormat};

/// What `payswitch restored` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    payswitch restored --config pay.toml --reason 'the disk broke'         what it would do\n  \
    payswitch restored --config pay.toml --reason 'the disk broke' --yes\n\n\
    No gateway may run. docs/operations.md, \"Backups\", says what it does and what is left to do.\n\n\
    Exit codes: 0 done, or nothing to do, 1 failed, or not done for want of --yes, 2 wrong usage.")]
pub struct RestoredArgs {
    /// The configuration file; without it, the defaults and the environment.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Why, for the audit trail.
    #[arg(long, value_name = "TEXT", value_parser = words)]
    reason: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Do it; otherwise it is only shown.
    #[arg(long)]
    yes: bool,
    /// Do it although the last seal outside the database, if there is one, is in it: it was restored to a moment after
    /// that seal, or there is no file of seals.
    #[arg(long)]
    anyway: bool,
    /// How many epochs were begun after this backup of which no seal tells: it was restored before, without the file of
    /// the seals. Their numbers were used too.
    #[arg(long, value_name = "N", default_value_t = 0)]
    lost_epochs: u32,
}

/// Begins a new epoch, and lists what may have been paid between the restored state and now.
///
/// # Errors
/// When the configuration, the database or the file of the seals can't be used, or a gateway runs.
pub fn run(arguments: &RestoredArgs) -> Result<ExitCode, CommandError> {
    let _log = telemetry::start(LogFormat::Text, None)?;
    let config = Config::load(arguments.config.as_deref())?;
    let master_key = MasterKey::load(config.card.master_key_file.as_deref(), &Random::SYSTEM)?;
    runtime()?.block_on(async {
        Store::expect_no_gateway(&config.store).await?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = Store::open(&config.store, Arc::clone(&clock), &Random::SYSTEM).await?;
        let done = act(arguments, &config, &store, (&master_key, &clock)).await;
        store.close().await;
        done
    })
}

async fn act(
    arguments: &RestoredArgs,
    config: &Config,
    store: &Store,
    (master_key, clock): (&MasterKey, &Arc<dyn Clock>),
) -> Result<ExitCode, CommandError> {
    let sealer = issue::sealer(config, store, master_key, clock)?;
    let restoration = sealer.restoration(arguments.lost_epochs).await?;
    let needed = restoration.is_older || arguments.anyway || arguments.lost_epochs > 0;
    let done = needed && arguments.yes;
    if done {
        issue::begin_epoch(&sealer, &restoration, &arguments.reason).await?;
    }
    if arguments.json {
        print_line!("{:#}", as_json(&restoration, needed, done)?)?;
    } else if needed {
        show(&restoration, done)?;
    } else {
        show_nothing_to_do(&restoration)?;
    }
    Ok(if done || !needed {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(FAILED)
    })
}

fn show_nothing_to_do(restoration: &Restoration) -> Result<(), CommandError> {
    let Some(Seal { sealed, .. }) = &restoration.outside else {
        return print_line!(
            "Nothing is done: there are no seals outside the database (ledger.seal_file) that say what it lacks. \
             If it was restored, add --anyway."
        );
    };
    print_line!(
        "Nothing to do: the database has all that the seals outside it say, up to seal {} of {} (epoch {}, position \
         {}). If it was restored to a later moment than that, add --anyway.",
        sealed.number,
        second(sealed.at)?,
        restoration.before.epoch,
        sealed.to
    )
}

fn show(restoration: &Restoration, done: bool) -> Result<(), CommandError> {
    let Restoration { before, after, .. } = restoration;
    let mut states = table(&["", "epoch", "position", "last known moment"]);
    states.add_row([
        "the database as it was restored",
        &before.epoch.to_string(),
        &restoration.position.to_string(),
        &restoration
            .last_event_at
            .map_or(Ok("no event".into()), second)?,
    ]);
    if let Some(Seal { sealed, .. }) = &restoration.outside {
        states.add_row([
            "the last seal outside it",
            &sealed.epoch.to_string(),
            &sealed.to.to_string(),
            &second(sealed.at)?,
        ]);
    }
    print_line!("{states}")?;
    print_line!(
        "\nFrom the first moment until the gateways stopped these may have been used at the banks, without a trace \
         in the database. They are not used again:"
    )?;
    let mut numbers = table(&["host", "date (UTC)", "RRNs from", "to", "STANs from"]);
    for it in &restoration.left_out {
        let (first, last) = ends(it);
        numbers.add_row([
            it.host_id.as_str(),
            &it.date.to_string(),
            &first.map_or("none left".into(), |number| number.rrn(it.date).to_string()),
            &last.map_or(String::new(), |number| number.rrn(it.date).to_string()),
            &first.map_or(String::new(), |number| number.stan().to_string()),
        ]);
    }
    print_line!("{numbers}")?;
    let at = second(after.restored_at)?;
    if done {
        print_line!(
            "\nEpoch {} has begun at {at}. Older cursors end, and cards that were sealed before are refused.",
            after.epoch
        )
    } else {
        print_line!(
            "\nNothing was changed. With --yes epoch {} begins.",
            after.epoch
        )
    }
}

/// The first of the numbers and the last one.
fn ends(left_out: &LeftOut) -> (Option<SequenceNumber>, Option<SequenceNumber>) {
    let last = left_out.end.checked_sub(1).and_then(SequenceNumber::new);
    (SequenceNumber::new(left_out.first), last)
}

fn as_json(restoration: &Restoration, needed: bool, done: bool) -> Result<Value, CommandError> {
    let Restoration { before, after, .. } = restoration;
    let moment = |at: Option<UnixMillis>| at.map(second).transpose();
    let outside = restoration.outside.as_ref().map(|seal| &seal.sealed);
    let left_out = restoration.left_out.iter().map(|it| {
        let (first, last) = ends(it);
        let rrn =
            |number: Option<SequenceNumber>| number.map(|number| number.rrn(it.date).to_string());
        json!({
            "host_id": it.host_id.as_str(),
            "number_date": it.date.to_string(),
            "first_rrn": rrn(first),
            "last_rrn": rrn(last),
            "first_stan": first.map(|number| number.stan().to_string()),
        })
    });
    Ok(json!({
        "needed": needed,
        "done": done,
        "store_id": before.id,
        "database": {
            "epoch": before.epoch,
            "position": restoration.position,
            "last_event_time": moment(restoration.last_event_at)?,
        },
        "outside": {
            "epoch": outside.map(|it| it.epoch),
            "position": outside.map(|it| it.to),
            "seal": outside.map(|it| it.number),
            "seal_time": moment(outside.map(|it| it.at))?,
        },
        "epoch": after.epoch,
        "restore_time": second(after.restored_at)?,
        "left_out": left_out.collect::<Vec<_>>(),
    }))
}
