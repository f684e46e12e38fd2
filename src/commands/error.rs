//! Why a command fails, and how it says so.

/// Exit code when a command could not do what it was asked to.
pub const FAILED: u8 = 1;

/// Exit code of a gateway whose database is older than the seals outside it.
pub const OLDER_DATABASE: u8 = 3;

/// Why a command failed: a sentence, and what it comes from.
pub type CommandError = Box<dyn std::error::Error + Send + Sync>;

/// Prints an error and what it comes from, one line each.
#[expect(clippy::print_stderr, reason = "this is where a command line speaks")]
pub fn report(error: &(dyn std::error::Error + 'static)) {
    eprintln!("payswitch: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        eprintln!("  because: {cause}");
        source = cause.source();
    }
}
