//! Places at which a test build ends its process as `kill -9` would. A build without debug assertions has none.

#[cfg(debug_assertions)]
use std::sync::OnceLock;
#[cfg(debug_assertions)]
use std::sync::atomic::{AtomicU64, Ordering};

/// The variable that says where: `answer:37` is the 37th time that an answer is there and not recorded.
#[cfg(debug_assertions)]
const VARIABLE: &str = "FAULT_POINT";

/// Names the moments, each once.
macro_rules! fault_points {
    ($($(#[$doc:meta])* $point:ident = $name:literal,)*) => {
        /// A moment between two things that a crash can part.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum FaultPoint {
            $($(#[$doc])* $point,)*
        }

        impl FaultPoint {
            /// All of them, by the names that the variable has for them.
            pub const NAMES: &[(&str, FaultPoint)] = &[$(($name, FaultPoint::$point)),*];
        }
    };
}

fault_points! {
    // Payments.
    /// The intent is recorded; nothing is sent.
    Intent = "intent",
    /// The socket has taken a request.
    Send = "send",
    /// The exchange with the bank has ended; nothing of it is recorded.
    Answer = "answer",
    /// The outcome is recorded; nobody is told.
    Outcome = "outcome",
    /// The outcome is recorded with the reversal that is owed; nothing of that is sent.
    Queue = "queue",
    /// The bank has acknowledged what was owed; it is not recorded.
    Acknowledgement = "acknowledgement",

    // The end of a day.
    /// A day is to end; that is not recorded.
    Cutover = "cutover",
    /// A day has ended; nobody is told, and it has no batches.
    CutoverRecorded = "cutover_recorded",
    /// The batches of a day and its totals are recorded; that these are all is not.
    Batches = "batches",
    /// All batches of a day are recorded; nothing is sent or written.
    BatchesRecorded = "batches_recorded",
    /// That totals are sent is recorded; they are not.
    TotalsIntent = "totals_intent",
    /// The socket has taken totals, or another message of settlement.
    TotalsSend = "totals_send",
    /// The exchange of totals with the bank has ended; nothing of it is recorded.
    Totals = "totals",
    /// What the bank says of totals is recorded; nothing follows of it.
    TotalsRecorded = "totals_recorded",
    /// That items behind totals are uploaded is recorded; they are not.
    UploadIntent = "upload_intent",
    /// The exchanges of these items have ended; nothing of them is recorded.
    Upload = "upload",
    /// That the bank has taken them is recorded; the totals are not sent again.
    UploadRecorded = "upload_recorded",

    // Files for banks.
    /// A file has its temporary name, and no bytes.
    FileOpened = "file_opened",
    /// All bytes of it are handed to the system; they may not be on the disk.
    FileWritten = "file_written",
    /// They are on the disk, under the temporary name.
    FileSynced = "file_synced",
    /// It has its name; the folder may not know that yet.
    FileRenamed = "file_renamed",
    /// It is there for good; that is not recorded.
    FileKept = "file_kept",
    /// That it is there is recorded; nothing follows of it.
    FileRecorded = "file_recorded",

    // The bank's report.
    /// A report is on the disk; it is not recorded.
    ReportKept = "report_kept",
    /// It is recorded; nothing of it is applied.
    ReportRecorded = "report_recorded",
    /// Some of its lines are applied.
    ReportLines = "report_lines",
    /// All of it is applied; that it is done is not recorded.
    ReportApplied = "report_applied",
    /// It is done; nobody is told, and its file is there.
    ReportDone = "report_done",

    // Merchants' money.
    /// The fees of some items of a batch are recorded.
    Fees = "fees",
    /// All fees of a batch are recorded; it is not funded.
    FeesRecorded = "fees_recorded",
    /// A batch is funded; its day is not settled.
    Funded = "funded",
    /// Some items of a batch that is funded are told to their merchant.
    ItemsTold = "items_told",
    /// A day is settled; nothing follows of it.
    DaySettled = "day_settled",
    /// A payout is made; it is in no order.
    PayoutMade = "payout_made",
    /// Payouts are in an order; of its file there is nothing.
    OrderMade = "order_made",
    /// What the bank says became of a payout is recorded; nobody is told.
    PayoutEnded = "payout_ended",

    // Keys at rest.
    /// One step more of a rotation of the master key is done.
    MasterRotation = "master_rotation",
}

impl FaultPoint {
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
        let (_, point) = FaultPoint::NAMES.iter().find(|(known, _)| *known == name)?;
        Some((*point, number.parse().ok()?))
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
