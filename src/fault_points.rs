//! Places at which a test build ends its process as `kill -9` would. A build without debug assertions has none.

#[cfg(debug_assertions)]
use std::sync::OnceLock;
#[cfg(debug_assertions)]
use std::sync::atomic::{AtomicU64, Ordering};

/// The variable that says where: `answer:37` is the 37th time that an answer is there and not recorded.
#[cfg(debug_assertions)]
const VARIABLE: &str = "FAULT_POINT";

/// A moment between two things that a crash can part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultPoint {
    /// The intent is recorded; nothing is sent.
    Intent,
    /// The socket has taken a request.
    Send,
    /// The exchange with the bank has ended; nothing of it is recorded.
    Answer,
    /// The outcome is recorded; nobody is told.
    Outcome,
    /// The outcome is recorded with the reversal that is owed; nothing of that is sent.
    Queue,
    /// The bank has acknowledged what was owed; it is not recorded.
    Acknowledgement,
    /// The exchange of totals with the bank has ended; nothing of it is recorded.
    Totals,
    /// A file for a bank is written under its temporary name.
    FileWritten,
    /// It has its name; the folder may not know that yet.
    FileRenamed,
    /// It is there for good; that is not recorded.
    FileRecorded,
}

impl FaultPoint {
    /// All of them, by the names that the variable has for them.
    pub const NAMES: [(&'static str, FaultPoint); 10] = [
        ("intent", FaultPoint::Intent),
        ("send", FaultPoint::Send),
        ("answer", FaultPoint::Answer),
        ("outcome", FaultPoint::Outcome),
        ("queue", FaultPoint::Queue),
        ("acknowledgement", FaultPoint::Acknowledgement),
        ("totals", FaultPoint::Totals),
        ("file_written", FaultPoint::FileWritten),
        ("file_renamed", FaultPoint::FileRenamed),
        ("file_recorded", FaultPoint::FileRecorded),
    ];

    /// Ends the process if it was told to end here. In a build without debug assertions it does nothing.
    pub(crate) fn pass(self) {
        #[cfg(debug_assertions)]
        kill_if_told(self);
    }
}

#[cfg(debug_assertions)]
fn kill_if_told(point: FaultPoint) {
    static TOLD: OnceLock<Option<(FaultPoint, u64)>> = OnceLock::new();
    static PASSED: AtomicU64 = AtomicU64::new(0);
    let told = TOLD.get_or_init(|| {
        let text = std::env::var(VARIABLE).ok()?;
        let (name, number) = text.split_once(':')?;
        let (_, point) = FaultPoint::NAMES
            .into_iter()
            .find(|(known, _)| *known == name)?;
        Some((point, number.parse().ok()?))
    });
    let Some((_, last)) = told.filter(|(told, _)| *told == point) else {
        return;
    };
    if PASSED.fetch_add(1, Ordering::Relaxed) + 1 == last {
        let own = rustix::process::getpid();
        // What can't be killed goes on, and the test notices.
        let _ = rustix::process::kill_process(own, rustix::process::Signal::KILL);
    }
}
