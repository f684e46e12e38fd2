//! What an account has otherwise, looked for with each file of its statements: lines that are not matched, statements between
//! which one is missing, and what should have come or gone and has not.
//!
//! Missing is what is past its time, and not what may still come, or may be in a statement that has not: a statement of a later
//! date was taken in, none of the time between is known to be missing, and no open line may be about it.

use std::collections::BTreeSet;

use super::accounts::{MOST_DAYS_AHEAD, StatementAccount};
use super::references::payouts_named;
use crate::payment::account_finding::{AccountFinding, AccountFindingKind, OnAccount, found_in};
use crate::payment::bank_statement::{BankLine, BankStatement, Candidate, LineFinding, LineMatch};
use crate::payment::discrepancy::{Discrepancy, Found};
use crate::payment::ids::{BankLineId, HostId, PayoutId};
use crate::payment::moment::{BusinessDate, NumberDate, UnixMillis};
use crate::payment::payout::PayoutState;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::merchant_money::Payout;

/// How far back something is looked for that an account misses, in days: what is older was missed by then, or never will be.
const LOOK_BACK_DAYS: u16 = 366;
/// Rows that are read at once.
const AT_ONCE: usize = 500;

/// A line that counts and is not matched.
#[derive(Debug)]
pub(super) struct OpenLine {
    line: BankLine,
    finding: LineFinding,
    candidates: Vec<Candidate>,
    ours: Option<String>,
}

impl OpenLine {
    /// A line that stands so; none where it is matched.
    pub(super) fn of(line: BankLine, matching: LineMatch) -> Option<Self> {
        match matching {
            LineMatch::Open {
                finding,
                candidates,
                ours,
            } => Some(Self {
                line,
                finding,
                candidates,
                ours,
            }),
            LineMatch::NotCounted | LineMatch::Matched { .. } => None,
        }
    }
}

/// Records what an account has otherwise, of whose lines these are open, and ends what is not so any more.
///
/// # Errors
/// When the store can't be read or written: what is recorded stands.
pub(super) async fn look_beside(
    store: &Store,
    account: &StatementAccount,
    open: &[OpenLine],
    at: UnixMillis,
) -> Result<(), StoreError> {
    let host = match account.hosts.as_slice() {
        [only] => Some(*only),
        _ => None,
    };
    let today: BusinessDate = NumberDate::of(at).into();
    let of_lines: Vec<_> = (open.iter())
        .map(|it| {
            let (candidates, ours) = (&it.candidates, it.ours.as_ref());
            AccountFinding::of_line(&it.line, it.finding, candidates, ours, (host, today))
        })
        .collect();
    store.record_account_findings(&of_lines, at).await?;
    record_broken(store, account, host, at).await?;
    let gap = end_what_is_not_so(store, account, open, at).await?;
    let about: BTreeSet<String> = (open.iter().flat_map(|it| &it.candidates))
        .map(ToString::to_string)
        .collect();
    record_missing(store, account, gap, &about, at).await
}

/// The line that names this and has another amount.
fn with_another_amount(open: &[OpenLine], what: &Candidate) -> Option<BankLineId> {
    let mut lines = open.iter();
    let line = lines
        .find(|it| it.finding == LineFinding::LineAmountDiffers && it.candidates.contains(what));
    line.map(|it| it.line.id)
}

/// The line that says what the bank has notified of a payout.
fn as_notified(open: &[OpenLine], payout: PayoutId, found: &AccountFinding) -> Option<BankLineId> {
    let theirs = found.theirs.as_deref();
    let mut lines = open.iter().map(|it| &it.line);
    let line = lines.find(|line| {
        line.currency == found.currency
            && theirs == Some(line.amount_minor.to_string().as_str())
            && payouts_named(line).contains(&payout)
    });
    line.map(|line| line.id)
}

/// Records the statements that do not begin with what the one before them closed with.
async fn record_broken(
    store: &Store,
    account: &StatementAccount,
    host: Option<HostId>,
    at: UnixMillis,
) -> Result<(), StoreError> {
    let mut after = None;
    loop {
        let broken = store.broken_bank_statements(account.name, AT_ONCE, after);
        let broken = broken.await?;
        let found: Vec<_> = (broken.iter())
            .filter_map(|statement| broken_chain(statement, host))
            .collect();
        store.record_account_findings(&found, at).await?;
        after = broken.last().map(|last| last.id);
        if broken.len() < AT_ONCE {
            return Ok(());
        }
    }
}

/// That a statement does not begin where the one before it ends.
fn broken_chain(statement: &BankStatement, host_id: Option<HostId>) -> Option<AccountFinding> {
    let date = statement.closing.and_then(|closing| closing.date)?;
    let opening = statement.opening.map(|opening| opening.amount_minor);
    Some(AccountFinding {
        kind: AccountFindingKind::StatementChainBroken,
        account: statement.account,
        host_id,
        date,
        currency: statement.currency,
        of: OnAccount::Statement(statement.id),
        ours: statement.before_minor.map(|minor| minor.to_string()),
        theirs: opening.map(|minor| minor.to_string()),
        candidates: Vec::new(),
    })
}

/// Ends what has come since, or will not come any more. The date of the last gap that is left.
async fn end_what_is_not_so(
    store: &Store,
    account: &StatementAccount,
    lines: &[OpenLine],
    at: UnixMillis,
) -> Result<Option<BusinessDate>, StoreError> {
    let (mut after, mut gap) = (String::new(), None);
    loop {
        let open = store.open_beside_lines(account.name, AT_ONCE, &after);
        let open = open.await?;
        for one in &open {
            let Found::OnAccount(found) = &one.found else {
                continue;
            };
            match (why_not_so(store, found, lines).await?, found.of) {
                (Some(reason), _) => end(store, one, &reason, at).await?,
                (None, OnAccount::Statement(_)) => gap = gap.max(Some(found.date)),
                (None, _) => {}
            }
        }
        match open.last() {
            Some(last) if open.len() == AT_ONCE => after.clone_from(&last.id),
            _ => return Ok(gap),
        }
    }
}

async fn end(
    store: &Store,
    one: &Discrepancy,
    reason: &str,
    at: UnixMillis,
) -> Result<(), StoreError> {
    let ended = store.end_account_discrepancy((&one.id, one.version), reason, at);
    if ended.await? {
        tracing::info!(discrepancy.id = %one.id, reason, "A discrepancy of a bank account has ended by itself");
    }
    Ok(())
}

/// Why something that was found on an account is not so any more; none where it is.
async fn why_not_so(
    store: &Store,
    found: &AccountFinding,
    open: &[OpenLine],
) -> Result<Option<String>, StoreError> {
    match &found.of {
        OnAccount::Line { .. } => Ok(None),
        // Its line has a discrepancy of its own.
        OnAccount::Notified { payout, .. } => Ok(as_notified(open, *payout, found).map(found_in)),
        OnAccount::Statement(id) => {
            let statement = store.bank_statement(*id).await?;
            let fits = statement.filter(|statement| !statement.breaks_chain());
            let before = fits.and_then(|statement| statement.before_minor);
            Ok(before.map(|minor| format!("the statement before it closes with {minor} now")))
        }
        OnAccount::Missing(what) => {
            if let Some(rule) = found.rule()
                && let Some(line) = store.line_matched_with(what, rule).await?
            {
                return Ok(Some(found_in(line)));
            }
            if let Some(line) = with_another_amount(open, what) {
                return Ok(Some(format!(
                    "the line {line} is about it, with another amount"
                )));
            }
            match what {
                Candidate::Settlement { .. } => Ok(None),
                Candidate::Payout(id) => {
                    let payout = store.payout_by_id(*id).await?;
                    let ended = payout.map(|payout| payout.state).filter(|state| {
                        matches!(state, PayoutState::Returned | PayoutState::Failed)
                    });
                    Ok(ended.map(|state| format!("the payout is {}", state.name())))
                }
            }
        }
    }
}

/// Records what should have come on an account, or left it, and has not. `about` is what open lines may be about, and `gap` the
/// date up to which a statement is missing.
async fn record_missing(
    store: &Store,
    account: &StatementAccount,
    gap: Option<BusinessDate>,
    about: &BTreeSet<String>,
    at: UnixMillis,
) -> Result<(), StoreError> {
    // A version before this one has taken statements in that close at any time.
    let today: BusinessDate = NumberDate::of(at).into();
    let latest = today.days_after(MOST_DAYS_AHEAD);
    let Some([first, last]) = store.statement_dates(account.name, latest).await? else {
        return Ok(());
    };
    let from = first
        .max(last.days_before(LOOK_BACK_DAYS))
        .max(gap.filter(|gap| *gap <= latest).unwrap_or(first));
    let before = last.days_before(account.window_days);
    for host in &account.hosts {
        let days = store.days_without_line(*host, account.currency, (from, before));
        let missing: Vec<_> = (days.await?.iter())
            .filter(|day| day.due_minor != 0 && !about.contains(&day.candidate().to_string()))
            .map(|day| {
                let of = (*host, day.date, day.candidate());
                missing(account, of, day.due_minor)
            })
            .collect();
        store.record_account_findings(&missing, at).await?;
        let mut after = None;
        loop {
            let payouts =
                store.payouts_without_line(*host, account.currency, (from, before), AT_ONCE, after);
            let payouts = payouts.await?;
            let missing: Vec<_> = (payouts.iter())
                .filter(|payout| !about.contains(&payout.id.to_string()))
                .map(|payout| missing_payout(account, payout))
                .collect();
            store.record_account_findings(&missing, at).await?;
            after = payouts.last().map(|last| (last.made_on, last.id));
            if payouts.len() < AT_ONCE {
                break;
            }
        }
    }
    Ok(())
}

fn missing_payout(account: &StatementAccount, payout: &Payout) -> AccountFinding {
    let of = (payout.host_id, payout.made_on, Candidate::Payout(payout.id));
    missing(account, of, -payout.amount.amount_minor())
}

fn missing(
    account: &StatementAccount,
    (host, date, what): (HostId, BusinessDate, Candidate),
    minor: i64,
) -> AccountFinding {
    AccountFinding {
        kind: AccountFindingKind::MissingAtBank,
        account: account.name,
        host_id: Some(host),
        date,
        currency: account.currency,
        of: OnAccount::Missing(what),
        ours: Some(minor.to_string()),
        theirs: None,
        candidates: Vec::new(),
    }
}
