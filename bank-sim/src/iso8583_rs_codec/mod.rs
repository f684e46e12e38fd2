//! The crate `iso8583_rs` as a codec, in a process of its own.
//!
//! The crate reads one spec per process from the environment, prints to standard output and panics
//! on bytes that it does not expect. So it lives in a child: the same program, started with a hidden
//! first argument, with `SPEC_FILE` set and one end of a socket pair as its standard input. Only its
//! codec is used, behind ours, which checks lengths first. A child that dies is started again, a
//! bounded number of times.

mod child;
mod parent;
mod pipe;

use std::process::ExitCode;

pub use self::parent::CodecError;
pub(crate) use self::parent::Iso8583RsCodec;
use self::pipe::CHILD_ARGUMENT;

/// Becomes the codec's child process when the program was started as one, and returns at once
/// otherwise. `main` of every program that runs a simulator calls this before anything else:
///
/// ```no_run
/// if let Some(exit_code) = bank_sim::run_codec_child_if_asked() {
///     std::process::exit(exit_code);
/// }
/// ```
#[must_use]
pub fn run_codec_child_if_asked() -> Option<i32> {
    (std::env::args_os().nth(1)? == CHILD_ARGUMENT)
        .then(|| i32::from(child::run() != ExitCode::SUCCESS))
}
