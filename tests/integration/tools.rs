//! Clients, linters, codecs and readers that others wrote, as `scripts/test` installs them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The project's folder.
pub(crate) fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The folder of the tools, when `scripts/test` has made it.
fn folder() -> PathBuf {
    project().join("target/test-tools/python/bin")
}

/// The search path with the tools first.
pub(crate) fn search_path() -> std::ffi::OsString {
    let before = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder()).chain(std::env::split_paths(&before));
    std::env::join_paths(folders).expect("a search path")
}

/// A tool: that of `scripts/test` if it is there, else whatever the search path has.
pub(crate) fn tool(name: &str) -> Command {
    let ours = folder().join(name);
    let mut command = if ours.exists() {
        Command::new(ours)
    } else {
        Command::new(name)
    };
    command.env("PATH", search_path()).current_dir(project());
    command
}

/// Runs it to its end. One that is not there fails the test.
pub(crate) fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| {
        panic!("{command:?}: {error}; `scripts/test --tools` installs what the tests need")
    })
}

/// Runs it, and gives what it printed; it must end well.
pub(crate) fn printed_by(command: &mut Command) -> String {
    let output = output(command);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {printed}\n{errors}");
    printed
}
