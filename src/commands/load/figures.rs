//! What a run came to, as JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use super::cards::{Sealing, float};
use super::tally::Sheet;

/// The figures of a run.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// The gateway.
    pub(super) address: String,
    /// How calls were made.
    #[serde(flatten)]
    pub(super) pace: Pace,
    pub(super) connections: usize,
    /// Calls before the run, which are in no other figure.
    pub(super) warm_up: u64,
    pub(super) sealing: Sealing,
    pub(super) sealed_ahead: u64,
    pub(super) sealed_ahead_in_s: f64,
    pub(super) sealed_during_run: u64,
    /// How long the run should last.
    pub(super) duration_s: f64,
    /// Whether it was ended by hand.
    pub(super) interrupted: bool,
    /// What was counted of the authorizations.
    #[serde(flatten)]
    pub(super) counted: Counted,
    /// What followed them, in a mix.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) followed_by: Option<Followed>,
}

/// The calls that follow authorizations, by kind.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct Followed(pub(super) BTreeMap<&'static str, Calls>);

/// Counts and times of one kind of call.
#[derive(Debug, Serialize)]
pub(super) struct Calls {
    pub(super) made: u64,
    pub(super) answered: u64,
    pub(super) achieved_per_s: f64,
    pub(super) errors: u64,
    pub(super) total_us: Quantiles,
    pub(super) states: BTreeMap<&'static str, u64>,
    pub(super) reasons: BTreeMap<String, u64>,
    pub(super) error_reasons: BTreeMap<String, u64>,
}

impl Followed {
    /// `elapsed`: how long the calls of each kind took together.
    pub(super) fn new(
        kinds: impl IntoIterator<Item = (&'static str, Sheet)>,
        elapsed: impl Fn(&str) -> Duration,
    ) -> Self {
        let calls = |kind, sheet: Sheet| Calls {
            made: sheet.started,
            answered: sheet.answered,
            achieved_per_s: float(sheet.answered)
                / elapsed(kind).as_secs_f64().max(f64::MIN_POSITIVE),
            errors: sheet.errors,
            total_us: Quantiles::from(&sheet.total_us),
            states: sheet.states,
            reasons: sheet.reasons,
            error_reasons: sheet.error_reasons,
        };
        let kinds = kinds.into_iter();
        Self(
            kinds
                .map(|(kind, sheet)| (kind, calls(kind, sheet)))
                .collect(),
        )
    }
}

/// Counts and times.
#[derive(Debug, Serialize)]
pub(super) struct Counted {
    /// How long the run lasted, until the last answer.
    pub(super) elapsed_s: f64,
    /// Calls that were due.
    pub(super) offered: u64,
    pub(super) offered_per_s: f64,
    /// Calls that were made.
    pub(super) made: u64,
    /// Calls that were due and never made, because too many were in flight.
    pub(super) not_made: u64,
    /// Calls that were answered: AUTHORIZED, DECLINED or AUTHORIZING.
    pub(super) answered: u64,
    pub(super) achieved_per_s: f64,
    /// Calls that were not.
    pub(super) errors: u64,
    pub(super) latency: Latency,
    pub(super) states: BTreeMap<&'static str, u64>,
    pub(super) reasons: BTreeMap<String, u64>,
    pub(super) error_reasons: BTreeMap<String, u64>,
}

impl Counted {
    /// `due`: in an open loop, how many calls were due, and within what time.
    pub(super) fn new(sheet: Sheet, elapsed: Duration, due: Option<(u64, Duration)>) -> Self {
        let elapsed_s = elapsed.as_secs_f64().max(f64::MIN_POSITIVE);
        let (offered, within_s) = match due {
            // The offer ends with the run, and the last answers come a little later.
            Some((due, within)) => (due, elapsed_s.min(within.as_secs_f64())),
            None => (sheet.started, elapsed_s),
        };
        Self {
            elapsed_s,
            offered,
            offered_per_s: float(offered) / within_s,
            made: sheet.started,
            not_made: sheet.not_made,
            answered: sheet.answered,
            achieved_per_s: float(sheet.answered) / elapsed_s,
            errors: sheet.errors,
            latency: Latency {
                total_us: Quantiles::from(&sheet.total_us),
                bank_us: Quantiles::from(&sheet.bank_us),
                own_us: Quantiles::from(&sheet.own_us),
            },
            states: sheet.states,
            reasons: sheet.reasons,
            error_reasons: sheet.error_reasons,
        }
    }
}

/// How calls were made.
#[derive(Debug, Clone, Copy, Serialize)]
#[serde(tag = "loop", rename_all = "lowercase")]
pub(super) enum Pace {
    /// Each when the one before came back.
    Closed {
        /// Callers.
        concurrency: usize,
    },
    /// By the clock.
    Open {
        /// Calls a second.
        rate: f64,
        /// The most at once.
        in_flight_limit: usize,
    },
}

/// Where the time went.
#[derive(Debug, Serialize)]
pub(super) struct Latency {
    /// From the (intended) start until the answer.
    pub(super) total_us: Quantiles,
    /// The bank's part.
    pub(super) bank_us: Quantiles,
    /// The gateway's own part.
    pub(super) own_us: Quantiles,
}

/// In microseconds; at most 0.1 percent off.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Quantiles {
    pub(super) count: u64,
    pub(super) p50: u64,
    pub(super) p90: u64,
    pub(super) p99: u64,
    pub(super) p99_9: u64,
    pub(super) max: u64,
}

impl From<&Histogram<u64>> for Quantiles {
    fn from(times: &Histogram<u64>) -> Self {
        Self {
            count: times.len(),
            p50: times.value_at_quantile(0.5),
            p90: times.value_at_quantile(0.9),
            p99: times.value_at_quantile(0.99),
            p99_9: times.value_at_quantile(0.999),
            max: times.max(),
        }
    }
}

impl Report {
    /// Whether every call that was due was made and answered.
    pub(super) fn all_answered(&self) -> bool {
        let mut followed = self
            .followed_by
            .iter()
            .flat_map(|followed| followed.0.values());
        self.counted.errors == 0
            && self.counted.not_made == 0
            && followed.all(|calls| calls.errors == 0)
    }
}
