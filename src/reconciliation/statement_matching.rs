//! Matches the lines of statements: with payouts by their references, and with what hosts pay for their days.
//!
//! A line is matched where it fits one thing, and no other line fits that. What fits two things is left to an operator, and
//! so is what fits nothing: there is no place where such lines go by themselves.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use super::account_findings::{OpenLine, look_beside};
use super::accounts::StatementAccount;
use super::references::payouts_named;
use crate::clock::Clock;
use crate::payment::bank_statement::{
    BankLine, Candidate, DueDay, LineFinding, LineMatch, MatchRule,
};
use crate::payment::ids::{BankLineId, HostId, PayoutId};
use crate::payment::moment::BusinessDate;
use crate::payment::payout::PayoutState;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::records::callers::BY_ITSELF;
use crate::store::records::statements::LinePlace;

/// The most open lines of an account that are looked at together: two of them may fit one thing.
const MOST_OPEN: usize = 100_000;
/// Lines that are read at once.
const AT_ONCE: usize = 100;

/// Matches lines.
pub struct Matching {
    store: Store,
    clock: Arc<dyn Clock>,
}

/// Why a line is not matched as an operator says.
#[derive(Debug, thiserror::Error)]
pub enum MatchError {
    /// There is no such line, or it does not count.
    #[error("there is no line {0} that counts")]
    NoLine(BankLineId),
    /// There is no such payout, or the day is not funded.
    #[error("there is no payout that was sent, and no funded day, {0}")]
    NoCandidate(Candidate),
    /// The amounts differ.
    #[error("expected a line of {expected_minor} minor units, got {got_minor}")]
    Amount {
        /// What it should have.
        expected_minor: i64,
        /// What it has.
        got_minor: i64,
    },
    /// The line is matched, or another one is matched with the same.
    #[error("the line {line} is matched, or another one with {with}")]
    Taken {
        /// The line.
        line: BankLineId,
        /// What it was to be matched with.
        with: Candidate,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The funded days of a host around a date, once they were read.
type Days = BTreeMap<(HostId, BusinessDate), Vec<DueDay>>;

/// What a line fits.
#[derive(Debug, Default)]
struct Fits {
    exactly: Vec<Candidate>,
    /// A payout that it names, with another amount.
    nearly: Option<(Candidate, i64)>,
    /// What it fits, and another line is matched with.
    taken: Option<(Candidate, BankLineId)>,
}

impl Matching {
    /// Matches lines in this store.
    #[must_use]
    pub const fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// Looks at all open lines of an account, and at what it has otherwise. How many lines are matched now.
    ///
    /// # Errors
    /// When the store can't be read or written: what is matched stands.
    pub async fn look(&self, account: &StatementAccount) -> Result<usize, StoreError> {
        let mut found = Vec::new();
        let mut after = None;
        let mut days = Days::new();
        loop {
            let lines = self
                .store
                .bank_lines(account.name, true, AT_ONCE, after.as_ref());
            let lines = lines.await?;
            let Some(last) = lines.last() else {
                break;
            };
            after = Some(LinePlace::of(last));
            for line in lines {
                let fits = self.fits(account, &line, &mut days).await?;
                found.push((line, fits));
            }
            if found.len() >= MOST_OPEN {
                tracing::warn!(account = %account.name, "There are more open lines than are matched at once");
                break;
            }
        }
        // What two lines fit is neither's.
        let mut wanted: BTreeMap<String, usize> = BTreeMap::new();
        for (line, fits) in &found {
            for candidate in &fits.exactly {
                *wanted.entry(key(candidate, line)).or_default() += 1;
            }
        }
        // Where a person has taken a match back, a person decides.
        let fitting = found.iter().filter(|(_, fits)| fits.exactly.len() == 1);
        let fitting = fitting.map(|(line, _)| line.id).collect();
        let opened_again = self.store.lines_opened_again(fitting, BY_ITSELF).await?;
        let mut matched = 0;
        let mut open = Vec::new();
        for (line, fits) in found {
            let is_shared = |candidate: &Candidate| {
                let others = wanted.get(&key(candidate, &line));
                others.is_some_and(|lines| *lines > 1) || opened_again.contains(&line.id)
            };
            let matching = verdict(&line, fits, is_shared);
            if matching != line.matching {
                let reason = match &matching {
                    LineMatch::Matched { with, .. } => format!("it is {with}"),
                    LineMatch::NotCounted | LineMatch::Open { .. } => String::new(),
                };
                let (by, at) = ((BY_ITSELF, reason.as_str()), self.clock.now());
                let stands = self.store.set_line_match(line.id, &matching, by, at);
                if !stands.await? {
                    continue;
                }
            }
            if let LineMatch::Matched { .. } = matching {
                matched += 1;
                tracing::info!(account = %account.name, line.id = %line.id, ?matching, "A line of a bank statement is matched");
            }
            open.extend(OpenLine::of(line, matching));
        }
        look_beside(&self.store, account, &open, self.clock.now()).await?;
        Ok(matched)
    }

    /// Matches a line as an operator says.
    ///
    /// # Errors
    /// [`MatchError`].
    pub async fn by_hand(
        &self,
        line_id: BankLineId,
        with: Candidate,
        (operator, reason): (&str, &str),
    ) -> Result<BankLine, MatchError> {
        let (line, rule) = fitting_line(&self.store, line_id, with).await?;
        let matching = LineMatch::Matched {
            with,
            rule,
            by: Some(operator.to_owned()),
        };
        let (by, at) = ((operator, reason), self.clock.now());
        let stands = self.store.set_line_match(line_id, &matching, by, at);
        match stands.await? {
            true => Ok(BankLine { matching, ..line }),
            false => Err(MatchError::Taken {
                line: line_id,
                with,
            }),
        }
    }

    async fn fits(
        &self,
        account: &StatementAccount,
        line: &BankLine,
        days: &mut Days,
    ) -> Result<Fits, StoreError> {
        let mut fits = Fits::default();
        let mut exactly = Vec::new();
        let named = payouts_named(line);
        for &id in &named {
            let candidate = Candidate::Payout(id);
            match payout_minor(&self.store, id, Some(account), line).await? {
                Some(minor) if minor == line.amount_minor => exactly.push(candidate),
                Some(minor) => fits.nearly = Some((candidate, minor)),
                None => {}
            }
        }
        // No bank writes the reference of a payout to what it pays for a day.
        let date = line.booking_date.or(line.value_date);
        if let Some(to) = date.filter(|_| named.is_empty()) {
            let from = to.days_before(account.window_days);
            for host in &account.hosts {
                let key = (*host, to);
                let days = match days.entry(key) {
                    Entry::Occupied(days) => days.into_mut(),
                    Entry::Vacant(place) => {
                        let read = self.store.due_days(*host, line.currency, from, to);
                        place.insert(read.await?)
                    }
                };
                let fitting = days.iter().filter(|day| {
                    let due_minor = day.due_minor;
                    due_minor == line.amount_minor && due_minor != 0
                });
                exactly.extend(fitting.map(DueDay::candidate));
            }
        }
        for candidate in exactly {
            let rule = MatchRule::of(&candidate, line.amount_minor);
            match self.store.line_matched_with(&candidate, rule).await? {
                Some(other) => fits.taken = Some((candidate, other)),
                None => fits.exactly.push(candidate),
            }
        }
        Ok(fits)
    }
}

/// The line that a person says is this, and as what it is matched: it counts, and has that amount.
///
/// # Errors
/// [`MatchError`].
pub(super) async fn fitting_line(
    store: &Store,
    line_id: BankLineId,
    with: Candidate,
) -> Result<(BankLine, MatchRule), MatchError> {
    let line = store.bank_line(line_id).await?;
    let line = line.filter(|line| line.matching != LineMatch::NotCounted);
    let line = line.ok_or(MatchError::NoLine(line_id))?;
    let expected_minor = match with {
        Candidate::Payout(id) => payout_minor(store, id, None, &line).await?,
        Candidate::Settlement {
            host_id,
            date,
            currency,
        } => {
            let days = store.due_days(host_id, currency, date, date);
            let day = days.await?.into_iter().next();
            let is_it = currency == line.currency;
            day.filter(|_| is_it).map(|day| day.due_minor)
        }
    };
    let expected_minor = expected_minor.ok_or(MatchError::NoCandidate(with))?;
    let got_minor = line.amount_minor;
    if got_minor != expected_minor {
        return Err(MatchError::Amount {
            expected_minor,
            got_minor,
        });
    }
    Ok((line, MatchRule::of(&with, got_minor)))
}

/// What a line has that is this payout or its return: of one that was sent, in the line's currency, of one of the
/// account's hosts.
async fn payout_minor(
    store: &Store,
    id: PayoutId,
    account: Option<&StatementAccount>,
    line: &BankLine,
) -> Result<Option<i64>, StoreError> {
    let payout = store.payout_by_id(id).await?;
    let payout = payout.filter(|payout| {
        let is_sent = matches!(
            payout.state,
            PayoutState::Sent | PayoutState::Paid | PayoutState::Returned
        );
        let is_of_host = account.is_none_or(|account| account.hosts.contains(&payout.host_id));
        is_sent && is_of_host && payout.amount.currency() == line.currency
    });
    let minor = payout.map(|payout| payout.amount.amount_minor());
    // It leaves the account, and its return comes back.
    Ok(minor.map(|minor| if line.amount_minor < 0 { -minor } else { minor }))
}

/// What a line wants of a candidate: two lines may have a payout, and its return.
fn key(candidate: &Candidate, line: &BankLine) -> String {
    let rule = MatchRule::of(candidate, line.amount_minor);
    format!("{} {candidate}", rule.name())
}

/// Where a line stands that fits this.
fn verdict(line: &BankLine, fits: Fits, is_shared: impl Fn(&Candidate) -> bool) -> LineMatch {
    let open = |finding, candidates, ours| LineMatch::Open {
        finding,
        candidates,
        ours,
    };
    match (fits.exactly.as_slice(), fits.taken, fits.nearly) {
        ([only], None, _) if !is_shared(only) => LineMatch::Matched {
            with: *only,
            rule: MatchRule::of(only, line.amount_minor),
            by: None,
        },
        ([], Some((candidate, other)), _) => open(
            LineFinding::LineMatchedBefore,
            vec![candidate],
            Some(other.to_string()),
        ),
        ([], None, Some((candidate, minor))) => open(
            LineFinding::LineAmountDiffers,
            vec![candidate],
            Some(minor.to_string()),
        ),
        ([], None, None) => open(LineFinding::LineUnmatched, Vec::new(), None),
        _ => open(LineFinding::LineAmbiguous, fits.exactly, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reconciliation::tests::line;

    fn payout(number: u8) -> Candidate {
        let id = PayoutId::from_parts(crate::payment::samples::NOW, [number; 10]);
        Candidate::Payout(id)
    }

    /// What a line fits, and what becomes of it.
    #[test]
    fn a_line_is_matched_only_with_the_one_thing_that_only_it_fits() {
        let line = line(-100);
        let other = line.id;
        for (exactly, taken, nearly, is_shared, expected) in [
            (vec![payout(1)], false, false, false, None),
            (vec![payout(1)], false, true, false, None),
            (
                vec![payout(1)],
                false,
                false,
                true,
                Some(LineFinding::LineAmbiguous),
            ),
            (
                vec![payout(1), payout(2)],
                false,
                false,
                false,
                Some(LineFinding::LineAmbiguous),
            ),
            (
                vec![payout(1)],
                true,
                false,
                false,
                Some(LineFinding::LineAmbiguous),
            ),
            (
                vec![],
                true,
                false,
                false,
                Some(LineFinding::LineMatchedBefore),
            ),
            (
                vec![],
                true,
                true,
                false,
                Some(LineFinding::LineMatchedBefore),
            ),
            (
                vec![],
                false,
                true,
                false,
                Some(LineFinding::LineAmountDiffers),
            ),
            (
                vec![],
                false,
                false,
                false,
                Some(LineFinding::LineUnmatched),
            ),
        ] {
            let candidates = exactly.clone();
            let fits = Fits {
                exactly,
                nearly: nearly.then_some((payout(3), -99)),
                taken: taken.then_some((payout(4), other)),
            };
            match (verdict(&line, fits, |_| is_shared), expected) {
                (LineMatch::Matched { with, rule, by }, None) => {
                    assert_eq!((with, rule, by), (payout(1), MatchRule::Payout, None));
                }
                (
                    LineMatch::Open {
                        finding,
                        candidates: kept,
                        ..
                    },
                    Some(expected),
                ) => {
                    assert_eq!(finding, expected);
                    if finding == LineFinding::LineAmbiguous {
                        assert_eq!(kept, candidates);
                    }
                }
                (got, expected) => panic!("{got:?} {expected:?}"),
            }
        }
    }
}
