//! What the gateway counts, as the text that Prometheus reads (OpenMetrics 1.0).
//!
//! What happens often is counted where it happens: [`CallMetrics`]. What stands somewhere already is asked for when
//! somebody reads: [`Figure`].

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

/// What stands before each name.
const PREFIX: &str = "payswitch";

/// The limits of the banks' times, close together where a bank is slow and payments still wait for it.
const BANK_SECONDS: [f64; 18] = [
    0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0,
];

/// The names of gRPC's codes, by their numbers (gRPC, "Status codes and their use").
const CODES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];
/// That of a call that did what it was asked.
const OK: usize = 0;
/// Where a code has no name.
const UNKNOWN: usize = 2;
const INTERNAL: usize = 13;
const UNAVAILABLE: usize = 14;
/// The codes that stand at 0 before they come.
const FROM_THE_START: [usize; 4] = [OK, UNKNOWN, INTERNAL, UNAVAILABLE];

/// Stands for all methods that there are not: a caller may name any number of them.
const OTHER: &str = "other";

/// A method of an API.
#[derive(Debug, Clone)]
pub struct MethodName {
    /// The path of its calls: `/package.Service/Method`.
    pub path: String,
    /// How it is called here: `Service/Method`.
    pub name: String,
    /// Whether its answer is a stream, which lasts as long as the caller likes.
    pub streams: bool,
}

/// All that is counted.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    calls: CallMetrics,
    bounds: Family<BoundLabels, Counter>,
}

/// Counts how often one bound was reached: something was refused, or ended early.
#[derive(Debug, Clone, Default)]
pub struct BoundCounter(Counter);

/// The answers to merchants' calls, by method and code, and how long they took.
#[derive(Debug, Clone)]
pub struct CallMetrics(Arc<Calls>);

#[derive(Debug)]
struct Calls {
    methods: BTreeMap<String, Arc<MethodMetrics>>,
    other: Arc<MethodMetrics>,
}

/// The answers to the calls of one method.
#[derive(Debug)]
pub struct MethodMetrics {
    name: String,
    answered: Family<AnswerLabels, Counter>,
    /// Those of the family, each once it has come.
    codes: [OnceLock<Counter>; CODES.len()],
    /// How long payswitch and the bank took; None where the answer is a stream.
    times: Option<(Histogram, Histogram)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MethodLabels {
    method: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BoundLabels {
    bound: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AnswerLabels {
    method: String,
    code: &'static str,
}

/// Something that stands at a value now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// What it is called, without the prefix; of a count without `_total`.
    pub name: &'static str,
    /// What it says, as a sentence without its full stop.
    pub help: &'static str,
    /// Whether it only grows, from the start of this process.
    pub counts: bool,
    /// Names and values, the same names for the same figure.
    pub labels: Vec<(&'static str, String)>,
    /// Its value.
    pub value: u64,
}

impl Figure {
    /// What goes up and down.
    #[must_use]
    pub fn standing(
        name: &'static str,
        help: &'static str,
        labels: Vec<(&'static str, String)>,
        value: u64,
    ) -> Self {
        Self {
            name,
            help,
            counts: false,
            labels,
            value,
        }
    }
}

impl Metrics {
    /// Nothing is counted yet; calls are of these methods.
    #[must_use]
    pub fn new(methods: impl IntoIterator<Item = MethodName>) -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        let answered = Family::<AnswerLabels, Counter>::default();
        registry.register(
            "calls",
            "Calls of merchants that were answered",
            answered.clone(),
        );
        let bounds = Family::<BoundLabels, Counter>::default();
        registry.register(
            "bound_reached",
            "What was refused or ended because a bound was reached",
            bounds.clone(),
        );
        // Half a millisecond to four seconds.
        let own = Family::<MethodLabels, Histogram>::new_with_constructor(|| {
            Histogram::new(exponential_buckets(0.0005, 2.0, 14))
        });
        let bank = Family::<MethodLabels, Histogram>::new_with_constructor(|| {
            Histogram::new(BANK_SECONDS)
        });
        registry.register_with_unit(
            "call_own",
            "How long payswitch itself took for a call",
            Unit::Seconds,
            own.clone(),
        );
        registry.register_with_unit(
            "call_bank",
            "How long the bank took within a call that asked it",
            Unit::Seconds,
            bank.clone(),
        );
        let method = |name: String, streams: bool| {
            let labels = MethodLabels {
                method: name.clone(),
            };
            let times = (!streams).then(|| {
                (
                    own.get_or_create_owned(&labels),
                    bank.get_or_create_owned(&labels),
                )
            });
            let method = MethodMetrics {
                name,
                answered: answered.clone(),
                codes: Default::default(),
                times,
            };
            // A count that appears has not grown for who looks at its growth.
            for code in FROM_THE_START {
                method.counter(code);
            }
            Arc::new(method)
        };
        let methods = methods
            .into_iter()
            .map(|it| (it.path, method(it.name, it.streams)))
            .collect();
        let other = method(OTHER.to_owned(), true);
        Self {
            registry,
            calls: CallMetrics(Arc::new(Calls { methods, other })),
            bounds,
        }
    }

    /// Where it is counted that the bound of this name was reached. It stands at 0 from now on.
    #[must_use]
    pub fn bound(&self, bound: &'static str) -> BoundCounter {
        BoundCounter(self.bounds.get_or_create_owned(&BoundLabels { bound }))
    }

    /// Where calls are counted.
    #[must_use]
    pub fn calls(&self) -> &CallMetrics {
        &self.calls
    }

    /// All of it, with `figures`, of which those of one name stand together, as text.
    #[must_use]
    pub fn text(&self, figures: &[Figure]) -> String {
        let mut now = Registry::with_prefix(PREFIX);
        for figures in figures.chunk_by(|one, other| one.name == other.name) {
            let Some(first) = figures.first() else {
                continue;
            };
            if first.counts {
                let family = Family::<Vec<(&'static str, String)>, Counter>::default();
                for figure in figures {
                    family.get_or_create(&figure.labels).inc_by(figure.value);
                }
                now.register(first.name, first.help, family);
            } else {
                let family = Family::<Vec<(&'static str, String)>, Gauge>::default();
                for figure in figures {
                    let value = i64::try_from(figure.value).unwrap_or(i64::MAX);
                    family.get_or_create(&figure.labels).set(value);
                }
                now.register(first.name, first.help, family);
            }
        }
        let mut text = String::new();
        // Writing to a String can't fail.
        let _written = encode_registry(&mut text, &self.registry)
            .and_then(|()| encode_registry(&mut text, &now))
            .and_then(|()| encode_eof(&mut text));
        text
    }
}

impl BoundCounter {
    /// Counts once more.
    pub fn reached(&self) {
        self.0.inc();
    }

    /// How often so far.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.get()
    }
}

impl CallMetrics {
    /// Where the calls of a path are counted.
    #[must_use]
    pub fn of(&self, path: &str) -> &Arc<MethodMetrics> {
        let Calls { methods, other } = &*self.0;
        methods.get(path).unwrap_or(other)
    }
}

impl MethodMetrics {
    /// The method, as it is named among the figures; `other` for those that there are not.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Counts an answer with a code of gRPC, 0 to 16. `bank` is zero where no bank was asked. Times count where the
    /// code is OK: of what was not answered in time nobody knows who took it.
    pub fn answered(&self, code: usize, own: Duration, bank: Duration) {
        if let Some(counter) = self.counter(code) {
            counter.inc();
        }
        if let Some((own_seconds, bank_seconds)) = self.times.as_ref().filter(|_| code == OK) {
            own_seconds.observe(own.as_secs_f64());
            if !bank.is_zero() {
                bank_seconds.observe(bank.as_secs_f64());
            }
        }
    }

    fn counter(&self, code: usize) -> Option<&Counter> {
        let code = if code < CODES.len() { code } else { UNKNOWN };
        let name = CODES.get(code)?;
        let labels = || AnswerLabels {
            method: self.name.clone(),
            code: name,
        };
        let counter = self.codes.get(code)?;
        Some(counter.get_or_init(|| self.answered.get_or_create_owned(&labels())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn method(path: &str, streams: bool) -> MethodName {
        MethodName {
            path: path.to_owned(),
            name: path.trim_start_matches("/x.").to_owned(),
            streams,
        }
    }

    #[test]
    fn what_is_counted_is_told() {
        let metrics = Metrics::new([method("/x.S/Pay", false), method("/x.S/Watch", true)]);
        let ms = Duration::from_millis;
        metrics.calls().of("/x.S/Pay").answered(0, ms(3), ms(40));
        metrics.calls().of("/x.S/Pay").answered(14, ms(3), ms(0));
        metrics
            .calls()
            .of("/x.S/Watch")
            .answered(0, ms(90_000), ms(0));
        metrics.calls().of("/x.S/NoSuch").answered(99, ms(1), ms(0));
        assert_eq!(metrics.bound("reads").count(), 0);
        metrics.bound("calls").reached();
        metrics.bound("calls").reached();
        let figure = |name, counts, label: &str, value| Figure {
            name,
            help: "What stands",
            counts,
            labels: vec![("host", label.to_owned())],
            value,
        };
        let text = metrics.text(&[
            figure("lines", false, "a", 2),
            figure("lines", false, "b", 0),
            figure("events", true, "a", 7),
        ]);
        for line in [
            "# HELP payswitch_calls Calls of merchants that were answered.",
            "payswitch_calls_total{method=\"S/Pay\",code=\"OK\"} 1",
            "payswitch_calls_total{method=\"S/Pay\",code=\"UNAVAILABLE\"} 1",
            "payswitch_calls_total{method=\"S/Watch\",code=\"OK\"} 1",
            "payswitch_calls_total{method=\"other\",code=\"UNKNOWN\"} 1",
            "payswitch_calls_total{method=\"S/Pay\",code=\"INTERNAL\"} 0",
            "payswitch_call_own_seconds_count{method=\"S/Pay\"} 1",
            "payswitch_call_bank_seconds_count{method=\"S/Pay\"} 1",
            "payswitch_call_bank_seconds_bucket{le=\"0.05\",method=\"S/Pay\"} 1",
            "payswitch_bound_reached_total{bound=\"reads\"} 0",
            "payswitch_bound_reached_total{bound=\"calls\"} 2",
            "# TYPE payswitch_lines gauge",
            "payswitch_lines{host=\"b\"} 0",
            "payswitch_events_total{host=\"a\"} 7",
        ] {
            assert!(text.lines().any(|it| it == line), "no {line} in {text}");
        }
        assert!(
            !text.contains("own_seconds_count{method=\"S/Watch\"}"),
            "{text}"
        );
        assert!(text.ends_with("# EOF\n"), "{text}");
        assert_eq!(text.matches("# EOF").count(), 1);
    }
}
