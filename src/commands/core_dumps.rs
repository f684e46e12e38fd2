//! No core file, and nobody but root who looks into this process: its memory holds keys and cards.

use rustix::process::{Resource, Rlimit, setrlimit};

/// Forbids core files of this process, and lets no other process of the same user read its memory or trace it.
/// Called before anything secret is read.
///
/// # Errors
/// When the operating system refuses.
pub fn forbid() -> std::io::Result<()> {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    setrlimit(Resource::Core, none)?;
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    }
    Ok(())
}
