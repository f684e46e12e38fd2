//! The runtime that a command runs on.

/// A runtime for a command.
///
/// # Errors
/// When the operating system gives no threads.
pub fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
}
