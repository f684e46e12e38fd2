//! `payswitch load`: pays as often as it is told to, and says how long that took.
//!
//! - [`arguments`]: what it takes.
//! - [`target`]: which gateway, and as whom.
//! - [`cards`]: cards sealed ahead of the run, so that the client's crypto is not in the figure.
//! - [`pace`]: when calls are made: closed and open loop.
//! - [`mix`]: what follows an authorization, when lives are run.
//! - [`tally`]: how long they took, and how they ended.
//! - [`report`]: the figures, for people and as JSON.

pub mod arguments;
mod cards;
mod figures;
mod mix;
mod pace;
mod report;
mod tally;
mod target;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::error::CommandError;
use super::output::print_line;
use super::runtime::runtime;
use crate::payment::money::Money;
use crate::telemetry::{self, LogFormat};
use arguments::LoadArgs;
use cards::{Sealed, Sealer, Sealing, Supply, float};
use figures::{Counted, Followed, Pace, Report};
use mix::Mix;
use pace::{Phase, Run};
use tally::Tally;
use target::Target;

/// How many more cards are sealed ahead than the warm-up's rate asks for, because a cold gateway is
/// slower than a warm one.
const HEADROOM: f64 = 1.5;
/// The rate to seal for when there is no warm-up, in calls a second.
const ASSUMED_RATE: f64 = 10_000.0;
/// How often the progress bar moves.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

/// Loads the gateway and prints the figures.
///
/// # Errors
/// When the gateway can't be reached or answers nothing, or no card can be sealed.
pub fn run(arguments: &LoadArgs) -> Result<ExitCode, CommandError> {
    // Without a subscriber tracing offers each span of the HTTP/2 library to the crate `log`, and the
    // load would be slower by that.
    let _log = telemetry::start(LogFormat::Text, None)?;
    let target = arguments.target.read()?;
    let report = runtime()?.block_on(load(arguments, &target))?;
    if arguments.json {
        print_line!("{}", serde_json::to_string(&report)?)?;
    } else {
        print_line!("{report}")?;
    }
    Ok(if report.all_answered() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn load(arguments: &LoadArgs, target: &Target) -> Result<Report, CommandError> {
    let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let connections = target.connect(count(arguments.connections)).await?;
    let one = connections.first().ok_or("there is no connection")?.clone();
    let amount = Money::new(arguments.amount_minor, arguments.currency)?;
    let (sealing, cards) = (arguments.sealing, arguments.card.clone());
    // A time-out would make the warm-up's rate too small.
    let unanswered_from = arguments.mix.then(|| sealed_for_warm_up(arguments));
    let sealer = Sealer::new(target, one, sealing, amount, cards, unanswered_from);
    let sealer = Arc::new(sealer.await?);
    let stop = stop_on_ctrl_c();

    let run = |supply| {
        let goes_on = arguments.mix || arguments.phases;
        let mix = goes_on.then(|| Mix::new(arguments.phases)).transpose()?;
        let run = Run::new(
            connections.clone(),
            supply,
            Tally::new()?,
            mix,
            stop.clone(),
        );
        Ok::<_, CommandError>(run)
    };
    let warmed = warm_up(arguments, &sealer, &run).await?;
    let (supply, sealed) = supply(arguments, &sealer, warmed, &stop).await?;

    let run = run(supply)?;
    let (elapsed, due) = in_view(arguments, &run, go(arguments, &run)).await?;
    let [capturing, refunding] = match arguments.phases {
        true => phases(arguments, &run).await?,
        false => [elapsed; 2],
    };
    Ok(Report {
        address: target.address.to_string(),
        pace: match arguments.rate {
            Some(rate) => Pace::Open {
                rate,
                in_flight_limit: count(arguments.in_flight),
            },
            None => Pace::Closed {
                concurrency: count(arguments.concurrency),
            },
        },
        connections: connections.len(),
        warm_up: arguments.warm_up,
        sealing,
        sealed_ahead: sealed.cards,
        sealed_ahead_in_s: sealed.took.as_secs_f64(),
        sealed_during_run: run.sealed_during_run(),
        duration_s: arguments.duration.as_secs_f64(),
        interrupted: stop.is_cancelled(),
        counted: Counted::new(
            run.tally.close(),
            elapsed,
            due.map(|due| (due, arguments.duration)),
        ),
        followed_by: run.mix.as_ref().map(|mix| {
            Followed::new(mix.close(), |kind| match kind {
                "refund" => refunding,
                _ => capturing,
            })
        }),
    })
}

/// Ctrl-C ends the run early; the figures are printed all the same.
fn stop_on_ctrl_c() -> CancellationToken {
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stopped.cancel();
        }
    });
    stop
}

/// What the warm-up showed.
#[derive(Debug, Clone, Copy)]
struct Warmed {
    sealed: Sealed,
    /// Calls a second.
    rate: f64,
}

/// How many cards are sealed for the warm-up: enough to see how long one takes.
fn sealed_for_warm_up(arguments: &LoadArgs) -> u64 {
    arguments.warm_up.max(64)
}

/// Calls before the run: they warm the gateway up, and show whether it answers at all.
async fn warm_up(
    arguments: &LoadArgs,
    sealer: &Arc<Sealer>,
    run: &impl Fn(Supply) -> Result<Arc<Run>, CommandError>,
) -> Result<Warmed, CommandError> {
    let calls = arguments.warm_up;
    let started = Instant::now();
    // Sealing a few shows how long many will take.
    let cards = sealed_for_warm_up(arguments);
    let ahead = sealer.seal_many(cards, |_| {}).await?;
    let sealed = Sealed::since(started, cards);
    if calls == 0 {
        return Ok(Warmed {
            sealed,
            rate: ASSUMED_RATE,
        });
    }
    let run = run(Supply::ahead(Arc::clone(sealer), ahead))?;
    let left = Arc::new(AtomicU64::new(calls));
    let goes_on = move || {
        let taken = |left: u64| left.checked_sub(1);
        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken)
            .is_ok()
    };
    let concurrency = usize::try_from(arguments.concurrency.min(calls))?;
    let took = run.closed(concurrency, goes_on).await?;
    let sheet = run.tally.close();
    if sheet.answered == 0 && sheet.errors > 0 {
        let most = sheet.commonest_error().unwrap_or("no answer");
        return Err(format!("none of {calls} calls was answered: {most}").into());
    }
    Ok(Warmed {
        sealed,
        rate: float(sheet.answered) / took.as_secs_f64().max(f64::MIN_POSITIVE),
    })
}

/// The cards of the run, and how long sealing them ahead took.
async fn supply(
    arguments: &LoadArgs,
    sealer: &Arc<Sealer>,
    warmed: Warmed,
    stop: &CancellationToken,
) -> Result<(Supply, Sealed), CommandError> {
    let started = Instant::now();
    if arguments.sealing == Sealing::Each {
        let supply = Supply::each(Arc::clone(sealer));
        return Ok((supply, Sealed::since(started, 0)));
    }
    let cards = match arguments.rate {
        Some(rate) => calls_of(rate, arguments.duration),
        None => calls_of(warmed.rate * HEADROOM, arguments.duration) + arguments.concurrency,
    };
    warmed.sealed.check_fit(cards, arguments.duration)?;
    let bar = bar(cards, "sealing {bar:32} {pos}/{len} cards");
    let moved = bar.clone();
    let sealing = sealer.seal_many(cards, move |lot| moved.inc(lot));
    let ahead = tokio::select! {
        ahead = sealing => ahead?,
        () = stop.cancelled() => return Err("stopped while cards were sealed ahead".into()),
    };
    bar.finish_and_clear();
    let sealed = Sealed::since(started, cards);
    say(&format!(
        "sealed {cards} cards ahead in {:.1} s",
        sealed.took.as_secs_f64()
    ));
    Ok((Supply::ahead(Arc::clone(sealer), ahead), sealed))
}

/// The run itself: how long it took and, in an open loop, how many calls were due.
async fn go(arguments: &LoadArgs, run: &Arc<Run>) -> Result<(Duration, Option<u64>), CommandError> {
    match arguments.rate {
        Some(rate) => {
            let calls = calls_of(rate, arguments.duration);
            let in_flight = usize::try_from(arguments.in_flight)?;
            let (elapsed, due) = run.open(rate, calls, in_flight).await?;
            Ok((elapsed, Some(due)))
        }
        None => {
            let end = Instant::now() + arguments.duration;
            let concurrency = usize::try_from(arguments.concurrency)?;
            let elapsed = run
                .closed(concurrency, move || Instant::now() < end)
                .await?;
            Ok((elapsed, None))
        }
    }
}

/// Captures all that was authorized, and refunds it. How long each of the two took.
async fn phases(arguments: &LoadArgs, run: &Arc<Run>) -> Result<[Duration; 2], CommandError> {
    let mut payments = run.mix.as_ref().map_or_else(Vec::new, Mix::later);
    let concurrency = usize::try_from(arguments.concurrency)?;
    let capturing = run.phase(concurrency, Phase::Capture, payments.clone());
    let capturing = capturing.await?;
    // Once the bank has acknowledged the last capture all others are refundable, and nobody waits for a bank.
    let last = payments.pop().into_iter().collect();
    run.phase(1, Phase::Refund, last).await?;
    let refunding = run.phase(concurrency, Phase::Refund, payments).await?;
    Ok([capturing, refunding])
}

/// How many calls a rate makes in a time.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "both factors are positive and bounded, and a cast saturates"
)]
fn calls_of(rate: f64, duration: Duration) -> u64 {
    (rate * duration.as_secs_f64()).ceil() as u64
}

/// Does `work`, with a progress bar on a terminal.
async fn in_view<T>(arguments: &LoadArgs, run: &Arc<Run>, work: impl Future<Output = T>) -> T {
    let length = u64::try_from(arguments.duration.as_millis()).unwrap_or(u64::MAX);
    let bar = bar(length, "paying {bar:32} {msg}");
    let (started, mut before) = (Instant::now(), 0);
    let mut ticks = tokio::time::interval(PROGRESS_INTERVAL);
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => {
                bar.finish_and_clear();
                return done;
            }
            _ = ticks.tick(), if !bar.is_hidden() => {
                let (ended, errors) = run.tally.so_far();
                let lately = float(ended - before) / PROGRESS_INTERVAL.as_secs_f64();
                before = ended;
                bar.set_message(format!("{lately:.0}/s, {ended} calls, {errors} errors"));
                bar.set_position(u64::try_from(started.elapsed().as_millis()).unwrap_or(length));
            }
        }
    }
}

/// A progress bar on standard error, which shows nothing when that is no terminal.
fn bar(length: u64, template: &str) -> ProgressBar {
    let bar = ProgressBar::new(length);
    // The templates are constants; without one the bar only looks plainer.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

#[expect(
    clippy::print_stderr,
    reason = "standard output is for the figures alone"
)]
fn say(text: &str) {
    eprintln!("payswitch load: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_makes_calls() {
        assert_eq!(calls_of(1000.0, Duration::from_millis(1500)), 1500);
        assert_eq!(calls_of(0.5, Duration::from_secs(1)), 1);
    }
}
