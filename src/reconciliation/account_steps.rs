//! What is done about discrepancies of bank accounts: a line is matched as a person says, or opened again.

use super::discrepancies::{Discrepancies, DiscrepancyError, known};
use super::statement_matching::{MatchError, fitting_line};
use crate::payment::account_finding::{AccountFinding, AccountLineChange, OnAccount};
use crate::payment::bank_statement::{Candidate, LineMatch};
use crate::payment::discrepancy::{Discrepancy, DiscrepancyChange, Step, Stepped};
use crate::payment::ids::BankLineId;

impl Discrepancies {
    /// Takes a step of what is on an account. Whether it was taken: somebody else's may have come first.
    ///
    /// # Errors
    /// [`DiscrepancyError`].
    pub(super) async fn take_on_account(
        &self,
        (before, found): (&Discrepancy, &AccountFinding),
        step: &Step,
        after: &Stepped,
        change: &DiscrepancyChange,
    ) -> Result<bool, DiscrepancyError> {
        let line = self.change_of_line(found, step).await?;
        let changed = self
            .store
            .change_account_discrepancy(before, after, change, line.as_ref());
        if changed.await? {
            return Ok(true);
        }
        let Some(line) = line else {
            return Ok(false);
        };
        // Where nobody else has taken a step, it is the line that can't be changed so.
        let now = known(&self.store, &before.id, None).await?;
        match now.version == before.version {
            true => Err(taken(line.line)),
            false => Ok(false),
        }
    }

    /// What a step changes of the line that a discrepancy is about.
    async fn change_of_line(
        &self,
        found: &AccountFinding,
        step: &Step,
    ) -> Result<Option<AccountLineChange>, DiscrepancyError> {
        match (step, &found.of) {
            (Step::Matched(with), OnAccount::Line { id, .. }) => {
                let (_, rule) = fitting_line(&self.store, *id, *with).await?;
                Ok(Some(AccountLineChange {
                    line: *id,
                    with: *with,
                    rule,
                    is_matched: true,
                }))
            }
            (Step::Matched(_) | Step::Found(_) | Step::Split(_), _) => {
                Err(DiscrepancyError::NoMatch {
                    expected:
                        "a line of a bank statement, and the payout or the day of a host that it is"
                            .to_owned(),
                    got: found.kind.discrepancy_name().to_owned(),
                })
            }
            (Step::Reopen, OnAccount::Line { id, .. }) => self.matched_line(*id).await,
            // As long as a line is matched with it, it is not missing.
            (Step::Reopen, OnAccount::Missing(what)) => self.not_found(found, what).await,
            _ => Ok(None),
        }
    }

    /// That a line is not matched any more; none where it is not.
    async fn matched_line(
        &self,
        id: BankLineId,
    ) -> Result<Option<AccountLineChange>, DiscrepancyError> {
        let line = self.store.bank_line(id).await?;
        Ok(line.and_then(|line| match line.matching {
            LineMatch::Matched { with, rule, .. } => Some(AccountLineChange {
                line: id,
                with,
                rule,
                is_matched: false,
            }),
            LineMatch::NotCounted | LineMatch::Open { .. } => None,
        }))
    }

    async fn not_found(
        &self,
        found: &AccountFinding,
        what: &Candidate,
    ) -> Result<Option<AccountLineChange>, DiscrepancyError> {
        let Some(rule) = found.rule() else {
            return Ok(None);
        };
        match self.store.line_matched_with(what, rule).await? {
            Some(line) => Err(taken(line)),
            None => Ok(None),
        }
    }
}

fn taken(line: BankLineId) -> DiscrepancyError {
    DiscrepancyError::Taken {
        got: format!("the line {line}, which is matched, or something that another one is"),
    }
}

impl From<MatchError> for DiscrepancyError {
    fn from(error: MatchError) -> Self {
        match error {
            MatchError::Amount {
                expected_minor,
                got_minor,
            } => Self::AmountDiffers {
                expected: expected_minor.to_string(),
                got: got_minor.to_string(),
            },
            MatchError::Taken { line, .. } => taken(line),
            MatchError::Store(error) => Self::Store(error),
            error @ (MatchError::NoLine(_) | MatchError::NoCandidate(_)) => Self::NoMatch {
                expected: "a payout that was sent, or a funded day, in the line's currency"
                    .to_owned(),
                got: error.to_string(),
            },
        }
    }
}
