//! Chooses what to do; everything that is done is elsewhere.

use std::process::ExitCode;

fn main() -> ExitCode {
    payswitch::commands::run()
}
