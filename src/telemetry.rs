//! What the program says while it runs: one line for each event, as text or as JSON.
//!
//! Field names are the same everywhere: `payment.id`, `operation.id`, `merchant.id`, `host.id`,
//! `stan`, `rrn`. Nothing secret is ever a field.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fs::OpenOptions;
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// A line for people.
    #[default]
    Text,
    /// A JSON object a line, for machines.
    Json,
}

/// How long a line that is repeated is not written again.
const REPEATED_AFTER: Duration = Duration::from_secs(1);

/// What is logged when `RUST_LOG` says nothing else.
const DEFAULT_FILTER: &str = "info,sqlx=warn,h2=warn,rustls=warn";

/// The target of the spans that traces are made of. No line of the log has them, whatever `RUST_LOG` says.
pub const TRACES_TARGET: &str = "payswitch::traces";

/// Lines that wait to be written. When so many do, because what takes them stands still, those that follow are left out.
const WAITING_LINES: usize = 16_384;

/// How many lines were left out because too many waited.
static LEFT_OUT: OnceLock<ErrorCounter> = OnceLock::new();
/// How many could not be written, as on a full disk.
static NOT_WRITTEN: AtomicU64 = AtomicU64::new(0);

/// Counts what can't be written.
struct Counted<W>(W);

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.0.write(bytes);
        if written.is_err() {
            NOT_WRITTEN.fetch_add(1, Ordering::Relaxed);
        }
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Lines are written as long as this is kept; dropping it writes those that wait.
#[must_use]
pub struct Log {
    _writer: WorkerGuard,
}

/// How many lines of the log were left out since the start, because what takes them stood still or failed.
#[must_use]
pub fn lines_left_out() -> u64 {
    let left_out = LEFT_OUT.get().map_or(0, ErrorCounter::dropped_lines);
    let left_out = u64::try_from(left_out).unwrap_or(u64::MAX);
    left_out.saturating_add(NOT_WRITTEN.load(Ordering::Relaxed))
}

/// Starts logging: to `file` when one is named, else to standard error. Lines are written by a thread of their own: a
/// pipe that nobody reads, or a full disk, holds up nothing but the log.
///
/// # Errors
/// When the file can't be opened.
pub fn start(format: LogFormat, file: Option<&Path>) -> io::Result<Log> {
    start_with(format, file, None)
}

/// What takes other things than lines from the program.
pub type OtherLayer = Box<dyn Layer<Registry> + Send + Sync>;

/// [`start`], with another layer beside the log's.
///
/// # Errors
/// When the file can't be opened.
pub fn start_with(
    format: LogFormat,
    file: Option<&Path>,
    other: Option<OtherLayer>,
) -> io::Result<Log> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| DEFAULT_FILTER.into());
    let no_spans = format!("{TRACES_TARGET}=off").parse();
    let no_spans = no_spans.map_err(io::Error::other)?;
    let filter = filter.add_directive(no_spans);
    let to: Box<dyn Write + Send> = match file {
        Some(path) => Box::new(OpenOptions::new().create(true).append(true).open(path)?),
        None => Box::new(io::stderr()),
    };
    let (writer, log) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(WAITING_LINES)
        .thread_name("log")
        .finish(Counted(BufWriter::new(to)));
    // The first one counts, as below.
    let _ = LEFT_OUT.set(writer.error_counter());
    if file.is_none() {
        log_panics();
    }
    let colour = file.is_none() && io::stderr().is_terminal() && no_colour_is_unset();
    let lines = fmt::layer().with_writer(writer);
    let lines: OtherLayer = match format {
        LogFormat::Text => lines.with_ansi(colour).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    // A second start in one process (a test) keeps the first one's choice. A filter of the log's lines alone costs each line
    // more than one of all.
    let _already_started = match other {
        None => tracing_subscriber::registry()
            .with(lines.and_then(filter))
            .try_init(),
        Some(other) => {
            let layers = vec![other, lines.with_filter(filter).boxed()];
            tracing_subscriber::registry().with(layers).try_init()
        }
    };
    Ok(Log { _writer: log })
}

/// A panic is a line of the log: standard error itself may stand still, and would hold up the thread that panics.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let backtrace = Backtrace::capture();
        let captured = backtrace.status() == BacktraceStatus::Captured;
        let backtrace = captured.then(|| tracing::field::display(&backtrace));
        tracing::error!(backtrace, "{panic}");
    }));
}

/// A line of the log that may be repeated very often: it is written once a second at most, with how often it would have
/// been.
#[derive(Debug, Default)]
pub struct Repeated(Mutex<(u64, Option<Instant>)>);

impl Repeated {
    /// One that was not written yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Mutex::new((0, None)))
    }

    /// How often it happened since the line was last written, if it is to be written now.
    #[must_use]
    pub fn now(&self) -> Option<u64> {
        // Nothing panics while it is held.
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (times, written) = &mut *state;
        *times = times.saturating_add(1);
        let now = Instant::now();
        if written.is_some_and(|at| now < at + REPEATED_AFTER) {
            return None;
        }
        *written = Some(now);
        Some(std::mem::take(times))
    }
}

/// An error and what it comes from, in one line.
#[must_use]
pub fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // An error that says what it comes from is not said twice.
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whoever sets `NO_COLOR` to anything wants plain text, on a terminal too (no-color.org).
fn no_colour_is_unset() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_line_is_counted() {
        let line = Repeated::new();
        assert_eq!(line.now(), Some(1));
        assert_eq!([line.now(), line.now()], [None, None]);
        let earlier = Instant::now().checked_sub(REPEATED_AFTER);
        line.0.lock().unwrap().1 = earlier;
        assert_eq!([line.now(), line.now()], [Some(3), None]);
    }

    #[test]
    fn what_can_t_be_written_is_counted() {
        let full = || OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut log = Counted(BufWriter::with_capacity(8, full()));
        let before = lines_left_out();
        assert!(log.write_all(b"a line that is longer").is_err());
        assert_eq!(lines_left_out(), before + 1);
    }

    #[test]
    fn an_error_is_one_line_with_what_it_comes_from() {
        #[derive(Debug, thiserror::Error)]
        #[error("the key\ncan't be read")]
        struct Outer(#[source] io::Error);
        let error = Outer(io::Error::other("no such file"));
        assert_eq!(with_causes(&error), "the key can't be read: no such file");
    }
}
