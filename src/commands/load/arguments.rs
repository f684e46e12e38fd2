//! What `payswitch load` takes, and within which bounds.

use std::time::Duration;

use clap::Args;

use super::cards::{Sealing, TestCard, test_card};
use super::target::TargetArgs;
use crate::payment::money::Currency;

/// The longest run.
const MAX_DURATION: Duration = Duration::from_secs(24 * 60 * 60);
/// The most calls at once.
const MAX_CONCURRENCY: u64 = 10_000;
/// The most connections.
const MAX_CONNECTIONS: u64 = 1000;
/// The highest rate of an open loop, in calls a second.
const MAX_RATE: f64 = 1_000_000.0;

/// What `payswitch load` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    payswitch demo --no-tour --port 0 --ready-file /tmp/ready.json &\n  \
    payswitch load --ready-file /tmp/ready.json\n  \
    payswitch load --ready-file /tmp/ready.json --concurrency 256 --duration 30s --sealing session\n  \
    payswitch load --ready-file /tmp/ready.json --rate 2000 --duration 1m --json\n  \
    payswitch load --ready-file /tmp/ready.json --mix\n  \
    payswitch load --ready-file /tmp/ready.json --phases\n  \
    PAYSWITCH_API_KEY=sk_test_... payswitch load --address 10.0.0.7:8443 --server-name pay.example \\\n      \
    --ca ca.pem --merchant demo-shop --card 4111111111111111,pm_test_mastercard\n\n\
    These are payments like any other: only load a gateway whose banks are simulated.\n\
    Exit codes: 0 every call was answered (an authorization: AUTHORIZED, DECLINED or AUTHORIZING), 1 some\n\
    were not, 2 wrong usage.")]
pub struct LoadArgs {
    #[command(flatten)]
    pub(super) target: TargetArgs,
    /// Closed loop: so many callers, each of whom calls again when it was answered.
    #[arg(long, value_name = "N", default_value_t = 64, conflicts_with = "rate",
        value_parser = clap::value_parser!(u64).range(1..=MAX_CONCURRENCY))]
    pub(super) concurrency: u64,
    /// Open loop: so many calls a second, whatever the answers do. A call's time counts from when it
    /// was due.
    #[arg(long, value_name = "PER_SECOND", value_parser = rate)]
    pub(super) rate: Option<f64>,
    /// The most calls in flight in an open loop; what is due beyond that waits, and the time counts.
    #[arg(long, value_name = "N", default_value_t = 1024, requires = "rate",
        value_parser = clap::value_parser!(u64).range(1..=MAX_CONCURRENCY))]
    pub(super) in_flight: u64,
    /// How long: 10s, 500ms, 2m; a number alone is seconds.
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub(super) duration: Duration,
    /// Connections that the calls are spread over.
    #[arg(long, value_name = "N", default_value_t = 4,
        value_parser = clap::value_parser!(u64).range(1..=MAX_CONNECTIONS))]
    pub(super) connections: u64,
    /// Calls before the run that are not in its figures; a closed loop learns from them how many
    /// cards to seal ahead.
    #[arg(long, value_name = "CALLS", default_value_t = 2000,
        value_parser = clap::value_parser!(u64).range(0..=100_000))]
    pub(super) warm_up: u64,
    /// When cards are sealed, and to what.
    #[arg(long, value_enum, default_value = "ahead")]
    pub(super) sealing: Sealing,
    /// A test card, by number or token; several, with commas between, take turns.
    #[arg(long, value_name = "CARD", value_delimiter = ',', default_value = "4111111111111111",
        value_parser = test_card)]
    pub(super) card: Vec<TestCard>,
    /// The amount in minor units: 1250 is 12.50 EUR.
    #[arg(long, value_name = "N", default_value_t = 1250)]
    pub(super) amount_minor: i64,
    /// The currency, ISO 4217.
    #[arg(long, value_name = "CODE", default_value = "EUR")]
    pub(super) currency: Currency,
    /// Lives instead of authorizations alone: each payment is captured after it was authorized; 1 in 10 is refunded, 1
    /// in 20 is voided instead, and 1 in 1,000 has a card that is never answered. The rate is that of lives.
    #[arg(long)]
    pub(super) mix: bool,
    /// After the run, captures every payment that it authorized, and then refunds them all; each kind of call is
    /// measured alone. Captures that travel as advices are refunded once the bank has acknowledged them.
    #[arg(long, conflicts_with_all = ["mix", "rate"])]
    pub(super) phases: bool,
    /// Print the figures as one line of JSON.
    #[arg(long)]
    pub(super) json: bool,
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
}
