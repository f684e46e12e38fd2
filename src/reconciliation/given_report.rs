//! A report that an operator gives: what came of it, and why it is not applied.

use super::discrepancies::DiscrepancyError;
use super::reported_ends::ReportedEndError;
use crate::payment::ids::HostId;
use crate::payment::moment::BusinessDate;
use crate::payment::settlement_import::SettlementImport;
use crate::settlement::chargebacks::ChargebackError;
use crate::settlement::report::fault::ReportError;
use crate::settlement::spool::SpoolError;
use crate::store::error::StoreError;
use crate::store::records::settlement::DifferenceCount;

/// A report that an operator gives.
#[derive(Debug, Clone)]
pub struct GivenReport {
    /// Whose it is.
    pub host_id: HostId,
    /// The file's name, for people.
    pub name: String,
    /// The date that it is about; none for that of its first line.
    pub business_date: Option<BusinessDate>,
    /// The SHA-256 of the file, where it was said before the file came.
    pub sha256: Option<[u8; 32]>,
    /// Which cycle of the date it is, where the bank sends several; none for what the file says.
    pub cycle: Option<i64>,
    /// Whether it takes the place of one that was applied.
    pub amends: bool,
    /// Who gives it.
    pub operator: String,
}

/// A report that was applied, now or before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// How it is recorded.
    pub import: SettlementImport,
    /// Whether it was applied before.
    pub was_there: bool,
    /// What it has otherwise.
    pub differences: Vec<DifferenceCount>,
    /// The cycles of its date that have not come, and of which a later one has.
    pub missing_cycles: Vec<i64>,
}

/// Why a report is not applied.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The gateway has no profile of the host.
    #[error("there is no host {0}")]
    NoHost(HostId),
    /// The host's profile has no `[settlement.report]`.
    #[error("the profile of host {0} has no [settlement.report]")]
    NoReports(HostId),
    /// The day is open, or its batches are not made yet, or there is none.
    #[error("the day {date} of host {host_id} is not closed")]
    NotClosed {
        /// The host.
        host_id: HostId,
        /// The date.
        date: BusinessDate,
    },
    /// The day has ended just now, and its batches are being made.
    #[error("the day {date} of host {host_id} is closing")]
    Closing {
        /// The host.
        host_id: HostId,
        /// The date.
        date: BusinessDate,
    },
    /// The report has no line to take its date from.
    #[error("expected a date, since the report has no lines")]
    NoDate,
    /// It is not known which cycle of its date it is, or there is no such one.
    #[error("the report of {date} of host {host_id}: expected {expected}, got {got}")]
    Cycle {
        /// The host.
        host_id: HostId,
        /// The date.
        date: BusinessDate,
        /// What it may be.
        expected: String,
        /// What was said.
        got: String,
    },
    /// Another hash was said than the file has.
    #[error("the file is not the one that was named: its SHA-256 is another")]
    OtherFile,
    /// Another file of the date was taken in before.
    #[error("the report of {date} of host {host_id} is another file")]
    AnotherReport {
        /// The host.
        host_id: HostId,
        /// The date.
        date: BusinessDate,
    },
    /// The file was in force, and another one has taken its place.
    #[error(
        "the file was amended before: another report of {date} of host {host_id} has its place"
    )]
    Replaced {
        /// The host.
        host_id: HostId,
        /// The date.
        date: BusinessDate,
    },
    /// A report can't be amended any more: money was made available by it, or a journal corrects what it says.
    #[error("batches of the day {date} of host {host_id} are funded, or its report was corrected")]
    Funded {
        /// The host.
        host_id: HostId,
        /// The date.
        date: BusinessDate,
    },
    /// As many reports are being taken in as may be at once.
    #[error("other reports are being taken in")]
    Busy,
    /// What the file says is wrong.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// The file could not be kept.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The file could not be read again, or this process ends.
    #[error("the import was interrupted: {0}")]
    Interrupted(String),
    /// What it has otherwise could not be corrected.
    #[error(transparent)]
    Correction(#[from] DiscrepancyError),
    /// A chargeback could not be recorded.
    #[error(transparent)]
    Chargeback(#[from] ChargebackError),
    /// What it has as booked could not be ended.
    #[error(transparent)]
    End(#[from] ReportedEndError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}
