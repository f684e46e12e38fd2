//! What statements of a bank account have otherwise than payswitch, and what they should have and do not.

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::bank_statement::{BankLine, Candidate, LineFinding, MatchRule};
use super::ids::{BankAccountName, BankLineId, BankStatementId, DiscrepancyId, HostId, PayoutId};
use super::moment::{BusinessDate, UnixMillis};
use super::money::Currency;

/// In what way an account is otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AccountFindingKind {
    /// A line, or what the bank notifies in another currency, fits nothing.
    UnmatchedLine,
    /// A line fits two things, or two lines fit the same.
    Ambiguous,
    /// A line, or what the bank notifies, names a payout, and has another amount.
    AmountDiffers,
    /// What a line fits is matched with another line.
    DuplicateAtBank,
    /// A statement does not begin with what the one before it closed with.
    StatementChainBroken,
    /// A payout, or the money of a host's day, is on no statement.
    MissingAtBank,
}

impl AccountFindingKind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::UnmatchedLine,
        Self::Ambiguous,
        Self::AmountDiffers,
        Self::DuplicateAtBank,
        Self::StatementChainBroken,
        Self::MissingAtBank,
    ];

    /// The name that the store uses. None of them is that of a report's difference that means something else.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnmatchedLine => "UNMATCHED_LINE",
            Self::Ambiguous => "AMBIGUOUS",
            Self::AmountDiffers => "AMOUNT_DIFFERS",
            Self::DuplicateAtBank => "DUPLICATE_AT_BANK",
            Self::StatementChainBroken => "STATEMENT_CHAIN_BROKEN",
            Self::MissingAtBank => "MISSING_AT_BANK",
        }
    }

    /// The name of a discrepancy of this kind, from whichever books it comes.
    #[must_use]
    pub const fn discrepancy_name(self) -> &'static str {
        match self {
            Self::UnmatchedLine => "UNEXPECTED_LINE",
            _ => self.name(),
        }
    }

    /// The one with this name of a discrepancy.
    #[must_use]
    pub fn from_discrepancy_name(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|kind| kind.discrepancy_name() == name)
    }

    /// Of a line that is not matched for this reason.
    #[must_use]
    pub const fn of_line(finding: LineFinding) -> Self {
        match finding {
            LineFinding::LineUnmatched => Self::UnmatchedLine,
            LineFinding::LineAmbiguous => Self::Ambiguous,
            LineFinding::LineAmountDiffers => Self::AmountDiffers,
            LineFinding::LineMatchedBefore => Self::DuplicateAtBank,
        }
    }
}

/// What of an account is otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnAccount {
    /// A line that counts and is not matched.
    Line {
        /// It.
        id: BankLineId,
        /// The statement by which it came first.
        statement_id: BankStatementId,
        /// Its number in the file.
        number: i64,
    },
    /// A statement that does not begin where the one before it ends.
    Statement(BankStatementId),
    /// What should have come on the account, or left it, and has not.
    Missing(Candidate),
    /// A booking of a payout, or of its return, that the bank has notified, in no statement.
    Notified {
        /// The payout.
        payout: PayoutId,
        /// The line of the file where it begins, from 1.
        number: i64,
    },
}

/// What an account has otherwise than payswitch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountFinding {
    /// In what way.
    pub kind: AccountFindingKind,
    /// The account.
    pub account: BankAccountName,
    /// The host that it is about; none where it may be one of several.
    pub host_id: Option<HostId>,
    /// The date of the host's day that it is about; else of the booking, of the statement's end, or on which the payout was
    /// made.
    pub date: BusinessDate,
    /// The currency.
    pub currency: Currency,
    /// What of the account it is.
    pub of: OnAccount,
    /// Minor units, below 0 for a debit; of a line that comes once more, the one that is matched. None where payswitch has
    /// nothing.
    pub ours: Option<String>,
    /// Minor units of the bank; none where it has nothing.
    pub theirs: Option<String>,
    /// What it may be about.
    pub candidates: Vec<Candidate>,
}

impl AccountFinding {
    /// The finding of a line that is not matched. `host` is the only one of the account, and `today` the date of a line without
    /// one.
    #[must_use]
    pub fn of_line(
        line: &BankLine,
        finding: LineFinding,
        candidates: &[Candidate],
        ours: Option<&String>,
        (host, today): (Option<HostId>, BusinessDate),
    ) -> Self {
        let booked = line.booking_date.or(line.value_date).unwrap_or(today);
        // A day that only it can be about has it on its sheet.
        let (host_id, date) = match candidates {
            [Candidate::Settlement { host_id, date, .. }] => (Some(*host_id), *date),
            _ => (host, booked),
        };
        Self {
            kind: AccountFindingKind::of_line(finding),
            account: line.account,
            host_id,
            date,
            currency: line.currency,
            of: OnAccount::Line {
                id: line.id,
                statement_id: line.statement_id,
                number: line.number,
            },
            ours: ours.cloned(),
            theirs: Some(line.amount_minor.to_string()),
            candidates: candidates.to_vec(),
        }
    }

    /// Its name: what it is of, so that nothing is found twice. What is missing has the moment at which that was found, and
    /// what was notified that of its payout.
    #[must_use]
    pub fn id(&self, found_at: UnixMillis) -> String {
        match self.of {
            OnAccount::Line { id, .. } => discrepancy_of(&id.to_string()),
            OnAccount::Statement(id) => discrepancy_of(&id.to_string()),
            OnAccount::Missing(what) => named(found_at, &format!("{} {what}", self.account)),
            // The same booking in another file, or told again later, is the same.
            OnAccount::Notified { payout, .. } => {
                let theirs = self.theirs.as_deref().unwrap_or_default();
                let currency = self.currency.code();
                let text = format!("{} {payout} {theirs} {currency}", self.account);
                named(payout.made_at(), &text)
            }
        }
    }

    /// As what its line is compared with what it may be about, or what is missing would be matched.
    #[must_use]
    pub fn rule(&self) -> Option<MatchRule> {
        let (what, side) = match &self.of {
            OnAccount::Missing(what) => (what, &self.ours),
            OnAccount::Line { .. } | OnAccount::Notified { .. } => {
                (self.candidates.first()?, &self.theirs)
            }
            OnAccount::Statement(_) => return None,
        };
        let minor = side.as_deref()?.parse().ok()?;
        Some(MatchRule::of(what, minor))
    }

    /// About how many minor units it is: by how much two amounts differ, or else the one that there is.
    #[must_use]
    pub fn at_stake_minor(&self) -> i64 {
        let minor = |text: &Option<String>| text.as_deref()?.parse::<i64>().ok();
        match (minor(&self.ours), minor(&self.theirs)) {
            (Some(ours), Some(theirs)) => theirs.saturating_sub(ours),
            (ours, theirs) => theirs.or(ours).unwrap_or(i64::MAX),
        }
    }
}

/// The name of a discrepancy that was found at this moment, and is of what this text says.
fn named(at: UnixMillis, text: &str) -> String {
    let hash = digest(&SHA256, text.as_bytes());
    let mut bits = [0; 10];
    for (bit, byte) in bits.iter_mut().zip(hash.as_ref()) {
        *bit = *byte;
    }
    DiscrepancyId::from_parts(at, bits).to_string()
}

/// The name of the discrepancy of a line or statement with this name.
#[must_use]
pub fn discrepancy_of(id: &str) -> String {
    format!("dis_{}", id.split_once('_').map_or(id, |(_, bits)| bits))
}

/// What a step changes of the line that a discrepancy is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountLineChange {
    /// The line.
    pub line: BankLineId,
    /// What it is matched with, or was until now.
    pub with: Candidate,
    /// As what.
    pub rule: MatchRule,
    /// Whether it is matched now, or not any more.
    pub is_matched: bool,
}

/// Why what was missing is not any more, by which it is known again.
#[must_use]
pub fn found_in(line: BankLineId) -> String {
    format!("it is the line {line}")
}

#[cfg(test)]
mod tests {
    use super::super::samples::NOW;
    use super::*;

    fn line(theirs: i64, ours: Option<&str>, candidates: Vec<Candidate>) -> AccountFinding {
        AccountFinding {
            kind: AccountFindingKind::UnmatchedLine,
            account: "main".parse().unwrap(),
            host_id: None,
            date: "2026-11-29".parse().unwrap(),
            currency: "EUR".parse().unwrap(),
            of: OnAccount::Line {
                id: BankLineId::from_parts(NOW, [7; 10]),
                statement_id: BankStatementId::from_parts(NOW, [8; 10]),
                number: 1,
            },
            ours: ours.map(str::to_owned),
            theirs: Some(theirs.to_string()),
            candidates,
        }
    }

    #[test]
    fn what_is_at_stake_is_what_differs_or_all_of_it() {
        let day: Candidate = "acquirer/2026-11-29/EUR".parse().unwrap();
        let missing = AccountFinding {
            of: OnAccount::Missing(day),
            theirs: None,
            ..line(0, Some("500"), vec![])
        };
        for (finding, expected) in [
            (line(-99, Some("-100"), vec![]), 1),
            (line(-99, None, vec![]), -99),
            // The line that is matched is no amount.
            (line(-99, Some("bln_06e9x3"), vec![]), -99),
            (missing, 500),
        ] {
            assert_eq!(finding.at_stake_minor(), expected, "{finding:?}");
        }
    }

    #[test]
    fn a_kind_has_one_name_and_a_line_one_discrepancy() {
        for kind in AccountFindingKind::ALL {
            let name = kind.discrepancy_name();
            assert_eq!(AccountFindingKind::from_discrepancy_name(name), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
        let found = line(-99, None, vec![]);
        assert_eq!(found.id(NOW), found.id(UnixMillis::new(0)));
        let bits = BankLineId::from_parts(NOW, [7; 10]).to_string();
        assert_eq!(
            found.id(NOW).strip_prefix("dis_"),
            bits.strip_prefix("bln_")
        );
    }
}
