//! What the program says while it runs: one line for each event, as text or as JSON.
//!
//! Field names are the same everywhere: `payment.id`, `operation.id`, `merchant.id`, `host.id`,
//! `stan`, `rrn`. Nothing secret is ever a field.

use std::fs::OpenOptions;
use std::io::{self, IsTerminal as _};
use std::path::Path;
use std::sync::Mutex;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// A line for people.
    #[default]
    Text,
    /// A JSON object a line, for machines.
    Json,
}

/// What is logged when `RUST_LOG` says nothing else.
const DEFAULT_FILTER: &str = "info,sqlx=warn,h2=warn,rustls=warn";

/// Starts logging: to `file` when one is named, else to standard error.
///
/// # Errors
/// When the file can't be opened.
pub fn start(format: LogFormat, file: Option<&Path>) -> io::Result<()> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| DEFAULT_FILTER.into());
    let writer = match file {
        Some(path) => {
            let file = OpenOptions::new().create(true).append(true).open(path)?;
            BoxMakeWriter::new(Mutex::new(file))
        }
        None => BoxMakeWriter::new(io::stderr),
    };
    let colour = file.is_none() && io::stderr().is_terminal() && no_colour_is_unset();
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer);
    // A second start in one process (a test) keeps the first one's choice.
    let _already_started = match format {
        LogFormat::Text => builder.with_ansi(colour).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    Ok(())
}

/// Whoever sets `NO_COLOR` to anything wants plain text, on a terminal too (no-color.org).
fn no_colour_is_unset() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}
