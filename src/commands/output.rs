//! What a command writes: lines on standard output, and JSON files.

use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;

use super::error::CommandError;
use crate::card::key_files::{Existing, KeyFileError, write_private_file};
use crate::payment::money::Decimal;

/// Prints a line on standard output, which may be a closed pipe or a full disk: an error like any other.
macro_rules! print_line {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        $crate::commands::output::printed(writeln!(std::io::stdout(), $($text)*))
    }};
}
pub(crate) use print_line;

/// What became of something printed.
///
/// # Errors
/// When standard output is closed or full.
pub fn printed(done: std::io::Result<()>) -> Result<(), CommandError> {
    done.map_err(|error| format!("standard output can't be written: {error}").into())
}

/// Writes a JSON file whole or not at all, so that whoever waits for it never reads half of it. Only
/// its owner may read it: it may hold an API key.
///
/// # Errors
/// When it can't be written.
pub fn write_whole(path: &std::path::Path, value: &serde_json::Value) -> Result<(), KeyFileError> {
    let text = zeroize::Zeroizing::new(format!("{value:#}\n"));
    write_private_file(path, text.as_bytes(), Existing::Replace)
}

/// Writes a file, which has its name once all of it is there: a full disk leaves no part of it.
///
/// # Errors
/// When it can't be written.
pub fn write_file(path: &std::path::Path, bytes: &[u8]) -> Result<(), CommandError> {
    let mut new = path.to_path_buf().into_os_string();
    new.push(".new");
    let written = std::fs::write(&new, bytes).and_then(|()| std::fs::rename(&new, path));
    written.map_err(|error| {
        // What is there of it is of no use; the error says why it is not whole.
        let _ = std::fs::remove_file(&new);
        format!("{}: {error}", path.display()).into()
    })
}

/// An empty table with these columns.
#[must_use]
pub fn table(columns: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY);
    table.set_header(columns);
    table
}

/// An amount for people: `-12.50`; in minor units where the currency is not known.
#[must_use]
pub fn amount(amount_minor: i64, currency: &str) -> String {
    let currency = currency.parse();
    let shown = currency.map(|currency| Decimal::of_minor(amount_minor, currency).to_string());
    shown.unwrap_or_else(|_| amount_minor.to_string())
}
