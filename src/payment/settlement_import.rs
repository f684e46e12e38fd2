//! A file in which a bank reports a closed day, and the cycles of a day that has several.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ids::{HostId, ImportId};
use super::moment::{BusinessDate, UnixMillis};
use super::money::Currency;

/// Where a file stands that was taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ImportState {
    /// All of it was read, and nothing is wrong with it.
    Received,
    /// Some of its lines are applied.
    Applying,
    /// It is applied.
    Done,
    /// Another file came in its place.
    Amended,
}

impl ImportState {
    const ALL: [Self; 4] = [Self::Received, Self::Applying, Self::Done, Self::Amended];

    /// The name that the store and the API use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Received => "RECEIVED",
            Self::Applying => "APPLYING",
            Self::Done => "DONE",
            Self::Amended => "AMENDED",
        }
    }

    /// The one with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }
}

/// One of the files in which a bank reports a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportCycle {
    /// Its number, from 1.
    pub number: i64,
    /// How many files the date has.
    pub of_day: i64,
}

impl fmt::Display for ReportCycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.number, self.of_day)
    }
}

/// What the lines of a report come to in one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportNet {
    /// The currency.
    pub currency: Currency,
    /// Minor units: above 0 where the bank pays them, below 0 where it takes them.
    pub minor: i64,
}

/// A report that was taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettlementImport {
    /// Its name.
    pub id: ImportId,
    /// Whose report it is.
    pub host_id: HostId,
    /// The file's name, for people.
    pub name: String,
    /// The SHA-256 of the file.
    pub sha256: [u8; 32],
    /// The date that it is about.
    pub business_date: BusinessDate,
    /// Which cycle of the date it is; none where the bank reports a date in one file.
    pub cycle: Option<ReportCycle>,
    /// How many lines it has.
    pub lines: i64,
    /// What they come to, in each currency that they have; none where a version before migration 0035 has taken it in.
    pub nets: Option<Vec<ReportNet>>,
    /// Where it stands.
    pub state: ImportState,
    /// How many of its lines were applied.
    pub applied_to: i64,
    /// How many of them have an item.
    pub matched: i64,
    /// Whether an amended import of the date has left what is to be cleared before a line is applied.
    pub clears: bool,
    /// Who gave it.
    pub operator: String,
    /// When.
    pub at: UnixMillis,
}

impl SettlementImport {
    /// What it pays in a currency; none where that is not known.
    fn net_minor(&self, currency: Currency) -> Option<i64> {
        let mut nets = self.nets.as_ref()?.iter();
        let net = nets.find(|net| net.currency == currency);
        Some(net.map_or(0, |net| net.minor))
    }
}

/// What the reports of a date pay in a currency, once all of them are applied; none before, and where it is not known.
/// `reports` are those of the date that stand.
#[must_use]
pub fn reported_minor(reports: &[SettlementImport], currency: Currency) -> Option<i64> {
    let first = reports.first()?;
    let is_applied = match first.cycle {
        Some(cycle) => has_all_cycles(reports, cycle),
        None => first.state == ImportState::Done,
    };
    if !is_applied {
        return None;
    }
    reports.iter().try_fold(0_i64, |sum, report| {
        Some(sum.saturating_add(report.net_minor(currency)?))
    })
}

/// The cycles of a date that have not come, and of which a later one has. `reports` are those of the date that stand.
#[must_use]
pub fn missing_cycles(reports: &[SettlementImport]) -> Vec<i64> {
    let came: Vec<i64> = (reports.iter())
        .filter_map(|report| Some(report.cycle?.number))
        .collect();
    let last = came.iter().copied().max().unwrap_or(0);
    (1..last).filter(|number| !came.contains(number)).collect()
}

/// Whether all cycles of a date are applied. `reports` are those of the date that stand.
#[must_use]
pub fn has_all_cycles(reports: &[SettlementImport], cycle: ReportCycle) -> bool {
    let is_applied = |number| {
        let mut reports = reports.iter();
        reports.any(|report| {
            let is_it = report.cycle.is_some_and(|cycle| cycle.number == number);
            is_it && report.state == ImportState::Done
        })
    };
    (1..=cycle.of_day).all(is_applied)
}

/// What the differences of a host's reports mean for the batches that they are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReportRule {
    /// They are funded all the same.
    DifferencesPass,
    /// They are funded once an approver has accepted the differences.
    DifferencesHold,
}
