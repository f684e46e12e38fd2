//! What banks say that they have booked on accounts of ours, as it is recorded, and what each line is matched with.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::ids::{BankAccountName, BankLineId, BankStatementId, HostId, PayoutId};
use super::moment::{BusinessDate, UnixMillis};
use super::money::Currency;

/// Whether the bank's day was over when a statement was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum StatementKind {
    /// What was booked: camt.053, MT940, and BAI2 of a day that is over.
    Booked,
    /// What is to be seen within the day: camt.052, and BAI2 that calls itself interim. What it has comes again in a
    /// statement of what was booked, perhaps under another reference and date.
    Interim,
}

impl StatementKind {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Booked => "BOOKED",
            Self::Interim => "INTERIM",
        }
    }
}

/// Where a line stands at the bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LineState {
    /// It is on the account. Nothing else counts.
    Booked,
    /// It may still change, or never be booked.
    Pending,
    /// It is told for information, or under a status that is the bank's own.
    Other,
}

impl LineState {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Booked => "BOOKED",
            Self::Pending => "PENDING",
            Self::Other => "OTHER",
        }
    }
}

/// A balance of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balance {
    /// Minor units; below 0 where the account is overdrawn.
    pub amount_minor: i64,
    /// Its date, where there is one.
    pub date: Option<BusinessDate>,
}

/// A statement that was taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BankStatement {
    /// Its name.
    pub id: BankStatementId,
    /// The account.
    pub account: BankAccountName,
    /// Which one of the account, from 1, as they came.
    pub ordinal: i64,
    /// The file's name, for people.
    pub file_name: String,
    /// The SHA-256 of the file.
    pub sha256: [u8; 32],
    /// Its number in the file, from 1.
    pub number_in_file: i64,
    /// The bank's name of it.
    pub reference: String,
    /// The bank's number of it.
    pub sequence: Option<i64>,
    /// The page of it that this is.
    pub page: Option<i64>,
    /// The currency.
    pub currency: Currency,
    /// Whether the bank's day was over.
    pub kind: StatementKind,
    /// The balance before its lines.
    pub opening: Option<Balance>,
    /// The balance after its lines.
    pub closing: Option<Balance>,
    /// Sorts it among the statements of the account; none where it has no place, or came before.
    pub place: Option<String>,
    /// What the statement before it closed with.
    pub before_minor: Option<i64>,
    /// Whether no line of it came before, since it begins where the one before it ended.
    pub continues: bool,
    /// How many lines it has.
    pub lines: i64,
    /// How many of them were looked at.
    pub applied_to: i64,
    /// Whether all of it counts.
    pub is_done: bool,
    /// Who gave it.
    pub operator: String,
    /// When.
    pub at: UnixMillis,
}

impl BankStatement {
    /// Whether it does not begin with what the statement before it closed with.
    #[must_use]
    pub fn breaks_chain(&self) -> bool {
        let opening = self.opening.map(|opening| opening.amount_minor);
        matches!((self.before_minor, opening), (Some(before), Some(opening)) if before != opening)
    }
}

/// What a line may be matched with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Candidate {
    /// A payout.
    Payout(PayoutId),
    /// What a host pays for one of its days.
    Settlement {
        /// The host.
        host_id: HostId,
        /// The date of the day.
        date: BusinessDate,
        /// The currency.
        currency: Currency,
    },
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Payout(id) => id.fmt(f),
            Self::Settlement {
                host_id,
                date,
                currency,
            } => write!(f, "{host_id}/{date}/{currency}"),
        }
    }
}

/// A text that names nothing that a line is matched with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a payout, or a host, date and currency such as acquirer/2026-11-30/EUR")]
pub struct UnknownCandidate;

impl FromStr for Candidate {
    type Err = UnknownCandidate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Payout(id));
        }
        let mut parts = text.splitn(3, '/');
        let mut next = || parts.next().unwrap_or("");
        let (host, date, currency) = (next(), next(), next());
        Ok(Self::Settlement {
            host_id: host.parse().map_err(|_| UnknownCandidate)?,
            date: date.parse().map_err(|_| UnknownCandidate)?,
            currency: currency.parse().map_err(|_| UnknownCandidate)?,
        })
    }
}

/// As what a line is matched. Nothing is matched twice as the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MatchRule {
    /// A debit with the reference and the amount of a payout.
    Payout,
    /// A credit with the reference and the amount of a payout, which came back.
    PayoutReturn,
    /// The net amount of a host's day.
    Settlement,
}

impl MatchRule {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Payout => "PAYOUT",
            Self::PayoutReturn => "PAYOUT_RETURN",
            Self::Settlement => "SETTLEMENT",
        }
    }

    /// As what a line of this amount is matched with this.
    #[must_use]
    pub const fn of(candidate: &Candidate, amount_minor: i64) -> Self {
        match candidate {
            Candidate::Settlement { .. } => Self::Settlement,
            Candidate::Payout(_) if amount_minor < 0 => Self::Payout,
            Candidate::Payout(_) => Self::PayoutReturn,
        }
    }
}

/// Why a line that counts is matched with nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LineFinding {
    /// It fits nothing.
    LineUnmatched,
    /// It fits two things, or another line fits the same thing.
    LineAmbiguous,
    /// It has the reference of a payout, and another amount.
    LineAmountDiffers,
    /// What it fits is matched with another line.
    LineMatchedBefore,
}

impl LineFinding {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LineUnmatched => "LINE_UNMATCHED",
            Self::LineAmbiguous => "LINE_AMBIGUOUS",
            Self::LineAmountDiffers => "LINE_AMOUNT_DIFFERS",
            Self::LineMatchedBefore => "LINE_MATCHED_BEFORE",
        }
    }
}

/// Where a line stands with us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LineMatch {
    /// It is not booked, and counts for nothing.
    NotCounted,
    /// It is matched with this.
    Matched {
        /// What it is.
        with: Candidate,
        /// As what.
        rule: MatchRule,
        /// The operator who said so; none where it was matched by itself.
        by: Option<String>,
    },
    /// It is matched with nothing.
    Open {
        /// Why.
        finding: LineFinding,
        /// What it fits, or nearly fits.
        candidates: Vec<Candidate>,
        /// What was expected instead: minor units, or another line.
        ours: Option<String>,
    },
}

impl LineMatch {
    /// What a line is before it is looked at.
    #[must_use]
    pub const fn new(counts: bool) -> Self {
        match counts {
            false => Self::NotCounted,
            true => Self::Open {
                finding: LineFinding::LineUnmatched,
                candidates: Vec::new(),
                ours: None,
            },
        }
    }

    /// The name of its state.
    #[must_use]
    pub const fn state(&self) -> &'static str {
        match self {
            Self::NotCounted => "NOT_COUNTED",
            Self::Matched { .. } => "MATCHED",
            Self::Open {
                finding: LineFinding::LineAmbiguous,
                ..
            } => "AMBIGUOUS",
            Self::Open { .. } => "UNMATCHED",
        }
    }
}

/// A line of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BankLine {
    /// Its name.
    pub id: BankLineId,
    /// The account.
    pub account: BankAccountName,
    /// The statement by which it came first.
    pub statement_id: BankStatementId,
    /// Which one of the account that is, from 1, as they came.
    pub ordinal: i64,
    /// Its number in the file, from 1.
    pub number: i64,
    /// The SHA-256 of what makes it another line.
    pub key: [u8; 32],
    /// Which of the lines with this key, from 1.
    pub occurrence: i64,
    /// Where it stands at the bank.
    pub bank_state: LineState,
    /// The date of the booking.
    pub booking_date: Option<BusinessDate>,
    /// The date from which it bears interest.
    pub value_date: Option<BusinessDate>,
    /// Minor units: above 0 for a credit of the account.
    pub amount_minor: i64,
    /// The currency.
    pub currency: Currency,
    /// The bank's own reference.
    pub bank_reference: Option<String>,
    /// The reference of whoever ordered the payment.
    pub own_reference: Option<String>,
    /// What else is said of it.
    pub text: Option<String>,
    /// Whether it undoes an earlier line.
    pub reverses: bool,
    /// Where it stands with us.
    pub matching: LineMatch,
}

/// What a host pays for a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueDay {
    /// The host.
    pub host_id: HostId,
    /// The date.
    pub date: BusinessDate,
    /// The currency.
    pub currency: Currency,
    /// What the host's reports of the date come to, in minor units. Without a report: what was captured, less what was
    /// refunded and charged back, and less what the host keeps.
    pub due_minor: i64,
}

impl DueDay {
    /// What a line is matched with that pays it.
    #[must_use]
    pub const fn candidate(&self) -> Candidate {
        Candidate::Settlement {
            host_id: self.host_id,
            date: self.date,
            currency: self.currency,
        }
    }
}
