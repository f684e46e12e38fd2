//! `payswitch load`: pays as often as it is told to, and says how long that took.
//!
//! - [`target`]: which gateway, and as whom.
//! - [`cards`]: cards sealed ahead of the run, so that the client's crypto is not in the figure.
//! - [`pace`]: when calls are made: closed and open loop.
//! - [`tally`]: how long they took, and how they ended.
//! - [`report`]: the figures, for people and as JSON.

mod cards;
mod pace;
mod report;
mod tally;
mod target;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use tokio_util::sync::CancellationToken;

use super::{CommandError, print_line};
use crate::payment::money::{Currency, Money};
use crate::telemetry::{self, LogFormat};
use cards::{Sealed, Sealer, Sealing, Supply, TestCard, float, test_card};
use pace::Run;
use report::{Counted, Pace, Report};
use tally::Tally;
use target::{Target, TargetArgs};

/// The longest run.
const MAX_DURATION: Duration = Duration::from_secs(24 * 60 * 60);
/// The most calls at once.
const MAX_CONCURRENCY: u64 = 10_000;
/// The most connections.
const MAX_CONNECTIONS: u64 = 1000;
/// The highest rate of an open loop, in calls a second.
const MAX_RATE: f64 = 1_000_000.0;
/// How many more cards are sealed ahead than the warm-up's rate asks for, because a cold gateway is
/// slower than a warm one.
const HEADROOM: f64 = 1.5;
/// The rate to seal for when there is no warm-up, in calls a second.
const ASSUMED_RATE: f64 = 10_000.0;
/// How often the progress bar moves.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(200);

/// What `payswitch load` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    payswitch demo --no-tour --port 0 --ready-file /tmp/ready.json &\n  \
    payswitch load --ready-file /tmp/ready.json\n  \
    payswitch load --ready-file /tmp/ready.json --concurrency 256 --duration 30s --sealing session\n  \
    payswitch load --ready-file /tmp/ready.json --rate 2000 --duration 1m --json\n  \
    PAYSWITCH_API_KEY=pk_... payswitch load --address 10.0.0.7:8443 --server-name pay.example \\\n      \
    --ca ca.pem --merchant demo-shop --card 4111111111111111,pm_test_mastercard\n\n\
    These are payments like any other: only load a gateway whose banks are simulated.\n\
    Exit codes: 0 every call was answered (AUTHORIZED, DECLINED or AUTHORIZING), 1 some were not,\n\
    2 wrong usage.")]
pub struct LoadArgs {
    #[command(flatten)]
    target: TargetArgs,
    /// Closed loop: so many callers, each of whom calls again when it was answered.
    #[arg(long, value_name = "N", default_value_t = 64, conflicts_with = "rate",
        value_parser = clap::value_parser!(u64).range(1..=MAX_CONCURRENCY))]
    concurrency: u64,
    /// Open loop: so many calls a second, whatever the answers do. A call's time counts from when it
    /// was due.
    #[arg(long, value_name = "PER_SECOND", value_parser = rate)]
    rate: Option<f64>,
    /// The most calls in flight in an open loop; what is due beyond that waits, and the time counts.
    #[arg(long, value_name = "N", default_value_t = 1024, requires = "rate",
        value_parser = clap::value_parser!(u64).range(1..=MAX_CONCURRENCY))]
    in_flight: u64,
    /// How long: 10s, 500ms, 2m; a number alone is seconds.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    duration: Duration,
    /// Connections that the calls are spread over.
    #[arg(long, value_name = "N", default_value_t = 4,
        value_parser = clap::value_parser!(u64).range(1..=MAX_CONNECTIONS))]
    connections: u64,
    /// Calls before the run that are not in its figures; a closed loop learns from them how many
    /// cards to seal ahead.
    #[arg(long, value_name = "CALLS", default_value_t = 2000,
        value_parser = clap::value_parser!(u64).range(0..=100_000))]
    warm_up: u64,
    /// When cards are sealed, and to what.
    #[arg(long, value_enum, default_value = "ahead")]
    sealing: Sealing,
    /// A test card, by number or token; several, with commas between, take turns.
    #[arg(long, value_name = "CARD", value_delimiter = ',', default_value = "4111111111111111",
        value_parser = test_card)]
    card: Vec<TestCard>,
    /// The amount in minor units: 1250 is 12.50 EUR.
    #[arg(long, value_name = "N", default_value_t = 1250)]
    amount_minor: i64,
    /// The currency, ISO 4217.
    #[arg(long, value_name = "CODE", default_value = "EUR")]
    currency: Currency,
    /// Print the figures as one line of JSON.
    #[arg(long)]
    json: bool,
}

fn rate(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|rate| *rate > 0.0 && *rate <= MAX_RATE)
        .ok_or_else(|| format!("expected calls a second, above 0 and up to {MAX_RATE}"))
}

fn duration(text: &str) -> Result<Duration, String> {
    let unit_at = text
        .find(|c: char| c.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let seconds = match unit {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" => 60.0,
        "h" => 3600.0,
        _ => 0.0,
    };
    number
        .parse::<f64>()
        .ok()
        .map(|number| number * seconds)
        .filter(|total| *total > 0.0 && *total <= MAX_DURATION.as_secs_f64())
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "expected a time such as 10s, 500ms or 2m, up to 24h".to_owned())
}

/// Loads the gateway and prints the figures.
///
/// # Errors
/// When the gateway can't be reached or answers nothing, or no card can be sealed.
pub fn run(arguments: &LoadArgs) -> Result<ExitCode, CommandError> {
    // Without a subscriber tracing offers each span of the HTTP/2 library to the crate `log`, and the
    // load would be slower by that.
    telemetry::start(LogFormat::Text, None)?;
    let target = arguments.target.read()?;
    let report = super::runtime()?.block_on(load(arguments, &target))?;
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
    let sealer = Arc::new(Sealer::new(target, one, sealing, amount, cards).await?);
    let stop = stop_on_ctrl_c();

    let run = |supply, tally| Run::new(connections.clone(), supply, tally, stop.clone());
    let warmed = warm_up(arguments, &sealer, &run).await?;
    let (supply, sealed) = supply(arguments, &sealer, warmed, &stop).await?;

    let run = run(supply, Tally::new()?);
    let (elapsed, due) = in_view(arguments, &run, go(arguments, &run)).await?;
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

/// Calls before the run: they warm the gateway up, and show whether it answers at all.
async fn warm_up(
    arguments: &LoadArgs,
    sealer: &Arc<Sealer>,
    run: &impl Fn(Supply, Tally) -> Arc<Run>,
) -> Result<Warmed, CommandError> {
    let calls = arguments.warm_up;
    let started = Instant::now();
    // Sealing a few shows how long many will take.
    let cards = sealer.seal_many(calls.max(64), |_| {}).await?;
    let sealed = Sealed::since(started, calls.max(64));
    if calls == 0 {
        return Ok(Warmed {
            sealed,
            rate: ASSUMED_RATE,
        });
    }
    let run = run(Supply::ahead(Arc::clone(sealer), cards), Tally::new()?);
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
    fn times_are_read_with_their_unit() {
        for (text, ms) in [
            ("10s", Some(10_000)),
            ("10", Some(10_000)),
            ("500ms", Some(500)),
            ("1.5s", Some(1500)),
            ("2m", Some(120_000)),
            ("24h", Some(86_400_000)),
            ("25h", None),
            ("0s", None),
            ("-1s", None),
            ("s", None),
            ("10 s", None),
            ("10d", None),
            ("inf", None),
            ("", None),
        ] {
            let read = duration(text).ok().map(|time| time.as_millis());
            assert_eq!(read, ms, "{text}");
        }
    }

    #[test]
    fn rates_have_a_range() {
        for (text, expected) in [
            ("2000", Some(2000.0)),
            ("0.5", Some(0.5)),
            ("0", None),
            ("-1", None),
            ("NaN", None),
            ("1e9", None),
        ] {
            assert_eq!(rate(text).ok(), expected, "{text}");
        }
    }

    #[test]
    fn a_rate_makes_calls() {
        assert_eq!(calls_of(1000.0, Duration::from_millis(1500)), 1500);
        assert_eq!(calls_of(0.5, Duration::from_secs(1)), 1);
    }
}
