//! A difference that is looked after: who works on it, and how it ends. One function moves between its states.

use serde::{Deserialize, Serialize};

use super::account_finding::AccountFinding;
use super::bank_statement::Candidate;
use super::difference::{Difference, DifferenceKind};
use super::ids::{ImportId, MerchantId, OperatorName, SubjectId};
use super::moment::UnixMillis;
use super::money::Currency;
use super::reference::Rrn;

/// Where a discrepancy stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DiscrepancyState {
    /// Nobody has decided on it.
    Open,
    /// Somebody works on it.
    Assigned,
    /// The bank was asked.
    AskedBank,
    /// How it is to end is proposed, and waits for a second person.
    Proposed,
    /// A journal has corrected it.
    Corrected,
    /// It is accepted as it is, or what it was about was found.
    Accepted,
}

impl DiscrepancyState {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Open,
        Self::Assigned,
        Self::AskedBank,
        Self::Proposed,
        Self::Corrected,
        Self::Accepted,
    ];

    /// The name that the store and the API use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Assigned => "ASSIGNED",
            Self::AskedBank => "ASKED_BANK",
            Self::Proposed => "PROPOSED",
            Self::Corrected => "CORRECTED",
            Self::Accepted => "ACCEPTED",
        }
    }

    /// The one with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether it has ended.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Corrected | Self::Accepted)
    }
}

/// Who bears what a correction moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Bearer {
    /// The merchant: its balance changes.
    Merchant,
    /// The operator of payswitch: the suspense account changes.
    House,
}

/// How a discrepancy is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Ending {
    /// As it is.
    Accept,
    /// With a journal.
    Correct(Bearer),
}

/// An ending that waits for a second person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// How it is to end.
    pub ending: Ending,
    /// Who proposes it.
    pub by: String,
}

/// What is otherwise in an acquirer's report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportFinding {
    /// The report that shows it.
    pub import_id: ImportId,
    /// The RRN of the item's own message; none of what is no item.
    pub item_rrn: Option<Rrn>,
    /// What is otherwise.
    pub difference: Difference,
}

/// What is otherwise, and in which books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// In the report of an acquirer.
    InReport(ReportFinding),
    /// On a bank account, as its statements say.
    OnAccount(AccountFinding),
}

impl Found {
    /// What differs, as the API names it.
    #[must_use]
    pub const fn kind_name(&self) -> &'static str {
        match self {
            Self::InReport(found) => found.difference.kind.discrepancy_name(),
            Self::OnAccount(found) => found.kind.discrepancy_name(),
        }
    }

    /// The currency.
    #[must_use]
    pub const fn currency(&self) -> Currency {
        match self {
            Self::InReport(found) => found.difference.currency,
            Self::OnAccount(found) => found.currency,
        }
    }

    /// The merchant; none of what is of none that is known. Accounts are the house's.
    #[must_use]
    pub const fn merchant_id(&self) -> Option<MerchantId> {
        match self {
            Self::InReport(found) => found.difference.merchant_id,
            Self::OnAccount(_) => None,
        }
    }

    /// In which report it is; none of what is on an account.
    #[must_use]
    pub const fn in_report(&self) -> Option<&ReportFinding> {
        match self {
            Self::InReport(found) => Some(found),
            Self::OnAccount(_) => None,
        }
    }
}

/// A difference that is looked after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discrepancy {
    /// Its name.
    pub id: String,
    /// What is otherwise.
    pub found: Found,
    /// When it was found.
    pub found_at: UnixMillis,
    /// Where it stands.
    pub state: DiscrepancyState,
    /// Who works on it.
    pub owner: Option<OperatorName>,
    /// When it should be decided; none of what was found before there were such times.
    pub due_at: Option<UnixMillis>,
    /// When it last changed.
    pub updated_at: UnixMillis,
    /// Its version, from 1.
    pub version: i64,
    /// What waits for a second person.
    pub proposal: Option<Proposal>,
    /// The journal that corrects it.
    pub correction: Option<String>,
}

/// One thing that was done about a discrepancy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiscrepancyChange {
    /// When.
    pub at: UnixMillis,
    /// The state after it.
    pub state: DiscrepancyState,
    /// Who did it: an operator, or payswitch.
    pub actor: String,
    /// Why.
    pub reason: String,
}

/// What somebody does about a discrepancy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Gives it to somebody.
    Assign(OperatorName),
    /// Has asked the bank.
    AskBank,
    /// Ends it, or proposes to end it where a second person has to agree.
    End(Ending),
    /// Proposes to end it, whatever it is about.
    Propose(Ending),
    /// Agrees with what is proposed.
    Approve,
    /// Opens it again; what corrected it is undone.
    Reopen,
    /// The line is about this capture or refund.
    Found(SubjectId),
    /// The line is about these captures or refunds together.
    Split(Vec<SubjectId>),
    /// The line of a statement is this payout or day.
    Matched(Candidate),
}

/// What a step comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stepped {
    /// The state after it.
    pub state: DiscrepancyState,
    /// Who works on it then.
    pub owner: Option<OperatorName>,
    /// What waits for a second person then.
    pub proposal: Option<Proposal>,
    /// What a journal moves now: minor units that the acquirer owes more, and who gets them.
    pub moves: Option<(i64, Bearer)>,
    /// Whether the journal that corrects it is undone.
    pub undoes: bool,
}

/// Why a step is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StepRefused {
    /// It stands somewhere else.
    #[error("a discrepancy that is {0:?} can't take this step")]
    State(DiscrepancyState),
    /// Nothing of it can be moved by a journal.
    #[error("a discrepancy of this kind has no amount to correct")]
    NoAmount,
    /// It is of no merchant, who could bear it or in whose ledger it could stand.
    #[error("a correction needs a merchant, and none is known")]
    NoMerchant,
    /// It is on a bank account, for which the ledger has no account.
    #[error("the ledger has no account for what is on a bank account")]
    NotInLedger,
    /// Who proposed it can't agree with it.
    #[error("the same person has proposed it")]
    SamePerson,
}

impl Discrepancy {
    /// By how many minor units more the acquirer owes than the ledger says, where a correction can say so: less, where it
    /// is negative.
    #[must_use]
    pub fn owed_more_minor(&self) -> Option<i64> {
        let found = &self.found.in_report()?.difference;
        let minor = |text: &Option<String>| text.as_deref()?.parse::<i64>().ok();
        let (ours, theirs) = (minor(&found.ours), minor(&found.theirs));
        let signed = |minor: i64| match found.goes_to_merchant()? {
            true => Some(minor),
            false => minor.checked_neg(),
        };
        match found.kind {
            DifferenceKind::AmountDiffers | DifferenceKind::SignDiffers => {
                signed(theirs?.checked_sub(ours?)?)
            }
            DifferenceKind::NotInReport | DifferenceKind::Rejected => signed(ours?.checked_neg()?),
            DifferenceKind::DuplicateLine => signed(theirs?),
            // Fees are from the merchant, whichever way its item goes: the acquirer owes back what it keeps too much.
            DifferenceKind::FeeDiffers => theirs?.checked_sub(ours?),
            // It has no item, whose sign it could have.
            DifferenceKind::UnexpectedLine | DifferenceKind::ReversalNotApplied => theirs,
            DifferenceKind::CurrencyDiffers
            | DifferenceKind::DateDiffers
            | DifferenceKind::AboveCaptured
            | DifferenceKind::LatePresentment
            | DifferenceKind::ReferenceDiffers
            | DifferenceKind::Ambiguous => None,
        }
    }

    /// What a step of this person comes to. What is about more than `alone_minor` minor units takes a second person.
    ///
    /// # Errors
    /// [`StepRefused`].
    pub fn step(&self, step: &Step, by: &str, alone_minor: i64) -> Result<Stepped, StepRefused> {
        use DiscrepancyState as S;
        let stays = Stepped {
            state: self.state,
            owner: self.owner,
            proposal: None,
            moves: None,
            undoes: false,
        };
        let is_working = matches!(self.state, S::Open | S::Assigned | S::AskedBank);
        let at_stake = self.at_stake_minor().saturating_abs();
        match step {
            Step::Assign(owner) if is_working => Ok(Stepped {
                state: S::Assigned,
                owner: Some(*owner),
                ..stays
            }),
            Step::AskBank if is_working => Ok(Stepped {
                state: S::AskedBank,
                ..stays
            }),
            Step::End(ending) if is_working && at_stake <= alone_minor => {
                self.ended(*ending, stays)
            }
            Step::End(ending) | Step::Propose(ending) if is_working => {
                // What can't be done is not proposed.
                self.ended(*ending, stays.clone())?;
                Ok(Stepped {
                    state: S::Proposed,
                    proposal: Some(Proposal {
                        ending: *ending,
                        by: by.to_owned(),
                    }),
                    ..stays
                })
            }
            Step::Approve => match &self.proposal {
                Some(proposal) if proposal.by == by => Err(StepRefused::SamePerson),
                Some(proposal) => self.ended(proposal.ending, stays),
                None => Err(StepRefused::State(self.state)),
            },
            Step::Found(_) | Step::Split(_) | Step::Matched(_) if is_working => Ok(Stepped {
                state: S::Accepted,
                ..stays
            }),
            Step::Reopen if !is_working => Ok(Stepped {
                state: S::Open,
                undoes: self.state == S::Corrected,
                ..stays
            }),
            _ => Err(StepRefused::State(self.state)),
        }
    }

    fn ended(&self, ending: Ending, stays: Stepped) -> Result<Stepped, StepRefused> {
        match ending {
            Ending::Accept => Ok(Stepped {
                state: DiscrepancyState::Accepted,
                ..stays
            }),
            Ending::Correct(bearer) => {
                let Found::InReport(found) = &self.found else {
                    return Err(StepRefused::NotInLedger);
                };
                let more = self.owed_more_minor().filter(|more| *more != 0);
                let more = more.ok_or(StepRefused::NoAmount)?;
                if found.difference.merchant_id.is_none() {
                    return Err(StepRefused::NoMerchant);
                }
                Ok(Stepped {
                    state: DiscrepancyState::Corrected,
                    moves: Some((more, bearer)),
                    ..stays
                })
            }
        }
    }

    /// About how many minor units it is: what a correction would move, or else what either side has. Dates and references move
    /// nothing, and another currency is worth any amount.
    fn at_stake_minor(&self) -> i64 {
        let found = match &self.found {
            Found::InReport(found) => &found.difference,
            Found::OnAccount(found) => return found.at_stake_minor(),
        };
        let minor = |text: &Option<String>| text.as_deref().and_then(|text| text.parse().ok());
        match found.kind {
            DifferenceKind::DateDiffers
            | DifferenceKind::LatePresentment
            | DifferenceKind::ReferenceDiffers => 0,
            DifferenceKind::CurrencyDiffers => i64::MAX,
            // Nobody knows whether any of it was booked.
            DifferenceKind::AmountDiffers if found.is_of_line() => {
                minor(&found.theirs).unwrap_or(i64::MAX)
            }
            _ => {
                let either = || minor(&found.theirs).or(minor(&found.ours));
                self.owed_more_minor().or_else(either).unwrap_or(0)
            }
        }
    }
}

impl Difference {
    /// Whether money of its item goes to the merchant; none where there is no item, or one that is taken back.
    const fn goes_to_merchant(&self) -> Option<bool> {
        match self.subject_id {
            Some(SubjectId::Capture(_)) => Some(true),
            Some(SubjectId::Refund(_)) => Some(false),
            Some(SubjectId::Chargeback(_)) | None => None,
        }
    }
}

#[cfg(test)]
mod tests;
