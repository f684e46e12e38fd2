//! Why a command fails, and how it says so.

use std::io::Write as _;

/// Exit code when a command could not do what it was asked to.
pub const FAILED: u8 = 1;

/// Exit code of a gateway whose database is older than the seals outside it.
pub const OLDER_DATABASE: u8 = 3;

/// Why a command failed: a sentence, and what it comes from.
pub type CommandError = Box<dyn std::error::Error + Send + Sync>;

/// Prints an error and what it comes from, one line each. Where nobody takes it any more, the exit code says it alone.
pub fn report(error: &(dyn std::error::Error + 'static)) {
    let mut to = std::io::stderr().lock();
    let _ = writeln!(to, "payswitch: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = writeln!(to, "  because: {cause}");
        source = cause.source();
    }
}
