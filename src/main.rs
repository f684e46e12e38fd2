//! Chooses what to do; everything that is done is elsewhere.

use std::process::ExitCode;

use mimalloc::MiMalloc;
use zeroizing_alloc::ZeroAlloc;

/// With the allocator of the C library a quarter of a payment's time is malloc and free. Memory is wiped when it
/// is freed: libraries, too, have copies of card numbers in it (docs/decisions/0018).
#[global_allocator]
static ALLOCATOR: ZeroAlloc<MiMalloc> = ZeroAlloc(MiMalloc);

fn main() -> ExitCode {
    payswitch::commands::run()
}
