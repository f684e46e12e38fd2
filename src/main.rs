//! Chooses what to do; everything that is done is elsewhere.

use std::process::ExitCode;

/// With the allocator of the C library a quarter of a payment's time is malloc and free.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    payswitch::commands::run()
}
