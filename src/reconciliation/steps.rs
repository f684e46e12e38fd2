//! What is done about discrepancies: who works on one, what corrects it, and what a person has found it to be about.

use crate::ledger::account::AccountKind;
use crate::ledger::journal::Journal;
use crate::ledger::template::{CORRECTION_OF_MERCHANT, Posting};
use crate::payment::discrepancy::{
    Bearer, Discrepancy, DiscrepancyChange, DiscrepancyState, Step, Stepped,
};
use crate::payment::ids::SubjectId;
use crate::payment::moment::UnixMillis;
use crate::payment::settlement_import::{
    DifferenceKind, ItemReport, LineOutcome, LineState, ReportedItem,
};
use crate::reconciliation::candidates::{bank_minor, item_kind};
use crate::reconciliation::discrepancies::{
    Discrepancies, DiscrepancyError, Followed, known, line_of,
};
use crate::settlement::report::line::ReportLine;
use crate::store::error::StoreError;
use crate::store::records::settlement::DiscrepancyFilter;

/// How often a step is tried again where somebody else's came first.
const ATTEMPTS: u32 = 3;
/// The rule of what a person has matched.
const BY_HAND: &str = "by-hand";
/// The most discrepancies that one item is missed in.
const MISSED_AT_ONCE: usize = 10;

impl Discrepancies {
    /// Takes a step, and gives the discrepancy as it is then.
    ///
    /// # Errors
    /// [`DiscrepancyError`].
    pub async fn step(
        &self,
        id: &str,
        step: &Step,
        (by, reason): (&str, &str),
    ) -> Result<Followed, DiscrepancyError> {
        let subjects = match step {
            Step::Found(subject) => std::slice::from_ref(subject),
            Step::Split(subjects) => subjects,
            _ => &[],
        };
        if !subjects.is_empty() {
            self.match_by_hand(id, (step, subjects), (by, reason))
                .await?;
        }
        if *step == Step::Reopen {
            self.undo_match(id, (by, reason)).await?;
        }
        self.take(id, step, (by, reason), self.alone_minor).await?;
        self.follow(id).await
    }

    /// Takes a step of somebody who decides alone on so many minor units.
    pub(super) async fn take(
        &self,
        id: &str,
        step: &Step,
        (by, reason): (&str, &str),
        alone_minor: i64,
    ) -> Result<(), DiscrepancyError> {
        for _ in 0..ATTEMPTS {
            let before = known(&self.store, id, None).await?;
            let after = before.step(step, by, alone_minor)?;
            let at = self.clock.now();
            let journal = journal(&before, &after, at)?;
            let change = DiscrepancyChange {
                at,
                state: after.state,
                actor: by.to_owned(),
                reason: reason.to_owned(),
            };
            let changed = self
                .store
                .change_discrepancy(&before, &after, &change, journal.as_ref());
            if changed.await? {
                tracing::info!(
                    discrepancy.id = %id, kind = before.found.kind.name(), state = after.state.name(),
                    operator = by, "Something was done about a discrepancy"
                );
                return Ok(());
            }
        }
        Err(DiscrepancyError::Busy)
    }

    /// Records that the line of a discrepancy is about these captures or refunds, which make up its amount. What is missed
    /// of them is found.
    async fn match_by_hand(
        &self,
        id: &str,
        (step, subjects): (&Step, &[SubjectId]),
        (by, reason): (&str, &str),
    ) -> Result<(), DiscrepancyError> {
        let discrepancy = known(&self.store, id, None).await?;
        // It is looked at before anything is written.
        discrepancy.step(step, by, self.alone_minor)?;
        let (number, line) = self.open_line(&discrepancy).await?;
        let mut items = Vec::with_capacity(subjects.len());
        let mut missing = Vec::new();
        for subject in subjects {
            items.push(self.item_like(&discrepancy, &line, *subject).await?);
            missing.extend(self.missing(*subject).await?);
        }
        let mut amounts = items.iter().map(|item| item.amount_minor);
        let ours = amounts.try_fold(0_i64, i64::checked_add);
        let theirs = bank_minor(&line);
        if ours != Some(theirs) {
            let expected = format!("{theirs} {}, as the line says", line.currency);
            let got = ours.map_or("too much to add up".to_owned(), |ours| {
                format!("{ours} {}", line.currency)
            });
            return Err(DiscrepancyError::AmountDiffers { expected, got });
        }
        // As of what a rule has matched, the first one has the fees of the line.
        let reports: Vec<ItemReport> = (items.iter().enumerate())
            .map(|(place, item)| {
                let fee = |fee: Option<i64>| fee.map(|fee| if place == 0 { fee } else { 0 });
                ItemReport {
                    operation_id: item.operation_id,
                    line: number,
                    acquirer_reference: line.acquirer_reference.clone(),
                    interchange_minor: fee(line.interchange_minor),
                    scheme_fee_minor: fee(line.scheme_fee_minor),
                    commission_minor: fee(line.commission_minor),
                    bank_minor: Some(item.amount_minor),
                    reject_code: line.reject_code.clone(),
                    was_missed: false,
                }
            })
            .collect();
        let import = discrepancy.import_id;
        if !self.store.settle_by_hand(import, &reports, BY_HAND).await? {
            let got = "one that another line has settled".to_owned();
            return Err(DiscrepancyError::Taken { got });
        }
        for id in missing {
            self.take(&id, step, (by, reason), self.alone_minor).await?;
        }
        Ok(())
    }

    /// Undoes what a person has matched with the line of a discrepancy that is opened again: its items have no line any more,
    /// and what was ended because they had one is open again. What is done of it already stays, so that it may be done again.
    async fn undo_match(
        &self,
        id: &str,
        (by, reason): (&str, &str),
    ) -> Result<(), DiscrepancyError> {
        let discrepancy = known(&self.store, id, None).await?;
        let step = Step::Reopen;
        discrepancy.step(&step, by, self.alone_minor)?;
        let (Some(state), Some(number)) =
            (open_state(discrepancy.found.kind), discrepancy.found.line)
        else {
            return Ok(());
        };
        let import = discrepancy.import_id;
        let line = self.store.report_line(import, number).await?;
        if line.is_none_or(|(_, outcome)| outcome.rule.as_deref() != Some(BY_HAND)) {
            return Ok(());
        }
        let Some(ended_by) = self.store.discrepancy_changes(id).await?.pop() else {
            return Ok(());
        };
        let subjects = self.store.subjects_of_line(import, number, ended_by.at);
        let subjects = subjects.await?;
        if subjects.iter().any(|(_, is_paid)| *is_paid) {
            return Err(DiscrepancyError::Funded);
        }
        for (subject, _) in subjects {
            for missing in self.missing_of(subject).await? {
                let changes = self.store.discrepancy_changes(&missing.id).await?;
                // It was ended by the match, not for a reason of its own.
                let is_of_match = changes.last().is_some_and(|it| {
                    (&it.actor, &it.reason) == (&ended_by.actor, &ended_by.reason)
                });
                if missing.state == DiscrepancyState::Accepted && is_of_match {
                    self.take(&missing.id, &step, (by, reason), self.alone_minor)
                        .await?;
                }
            }
        }
        let outcome = LineOutcome {
            number,
            state,
            operation_id: discrepancy.found.operation_id,
            rule: discrepancy.found.rule.clone(),
        };
        let matched = (BY_HAND, ended_by.at);
        match self.store.undo_match(import, &outcome, matched).await? {
            true => Ok(()),
            false => Err(DiscrepancyError::Funded),
        }
    }

    /// The line that a discrepancy is about and nothing is matched with, and its number.
    async fn open_line(
        &self,
        discrepancy: &Discrepancy,
    ) -> Result<(i64, ReportLine), DiscrepancyError> {
        let kind = discrepancy.found.kind;
        let number = discrepancy
            .found
            .line
            .filter(|_| open_state(kind).is_some());
        let number = number.ok_or_else(|| {
            let expected = "a line that is ambiguous, or about no item";
            no_match(expected, kind.name().to_owned())
        })?;
        let line = line_of(&self.store, discrepancy, number).await?;
        let (line, _) = line.ok_or_else(|| {
            let got = format!("none with the number {number}");
            no_match("a line that is kept as it came", got)
        })?;
        Ok((number, line))
    }

    /// The item of a capture or refund that has merchant, kind and currency of a line, and is not settled by another
    /// report.
    async fn item_like(
        &self,
        discrepancy: &Discrepancy,
        line: &ReportLine,
        subject: SubjectId,
    ) -> Result<ReportedItem, DiscrepancyError> {
        let host = &discrepancy.found.host_id;
        let item = self.store.item_of_subject(host, subject).await?;
        let item = item.ok_or_else(|| {
            let expected = "a capture or refund of this host that is settled with it";
            no_match(expected, subject.to_string())
        })?;
        let named = vec![line.acceptor.clone()];
        let named = self.store.merchants_of_acceptors(host, named).await?;
        let is_named = named.iter().any(|(_, it)| *it == item.merchant_id);
        if !named.is_empty() && !is_named {
            let expected = "a capture or refund of the merchant whose acceptor the line names";
            return Err(no_match(expected, item.merchant_id.to_string()));
        }
        if item_kind(line.kind) != item.kind {
            let got = format!("{:?}", item.kind);
            return Err(no_match("an item of the line's own kind", got));
        }
        if let Some(import) = item.settled_by.filter(|it| *it != discrepancy.import_id) {
            let got = format!("one of {import}");
            return Err(DiscrepancyError::Taken { got });
        }
        if line.currency != item.currency {
            let expected = format!("an item in {}, as the line says", line.currency);
            return Err(no_match(&expected, item.currency.to_string()));
        }
        Ok(item)
    }

    /// The discrepancies in which a capture or refund is missed.
    async fn missing_of(&self, subject: SubjectId) -> Result<Vec<Discrepancy>, StoreError> {
        let filter = DiscrepancyFilter {
            kind: Some(DifferenceKind::NotInReport),
            subject_id: Some(subject),
            ..DiscrepancyFilter::default()
        };
        self.list(&filter, MISSED_AT_ONCE, None).await
    }

    /// The discrepancies in which a capture or refund is missed, and nobody has accepted that.
    ///
    /// # Errors
    /// Where one is corrected, or that is proposed: with the line its money would count twice, and what an approver has
    /// agreed with is undone by an approver.
    async fn missing(&self, subject: SubjectId) -> Result<Vec<String>, DiscrepancyError> {
        let mut missing = self.missing_of(subject).await?;
        missing.retain(|it| it.state != DiscrepancyState::Accepted);
        let decided = missing.iter().find(|it| {
            matches!(
                it.state,
                DiscrepancyState::Corrected | DiscrepancyState::Proposed
            )
        });
        if let Some(it) = decided {
            let expected = format!(
                "a capture or refund that is not missed any more, or only in what is open: reopen {} first",
                it.id
            );
            let got = format!("one that is {} there", it.state.name());
            return Err(no_match(&expected, got));
        }
        Ok(missing.into_iter().map(|it| it.id).collect())
    }
}

/// How a line stands that has such a discrepancy, and is matched with nothing; none of what is about an item.
const fn open_state(kind: DifferenceKind) -> Option<LineState> {
    match kind {
        DifferenceKind::Ambiguous => Some(LineState::Ambiguous),
        DifferenceKind::UnexpectedLine | DifferenceKind::ReversalNotApplied => {
            Some(LineState::Unknown)
        }
        _ => None,
    }
}

fn no_match(expected: &str, got: String) -> DiscrepancyError {
    DiscrepancyError::NoMatch {
        expected: expected.to_owned(),
        got,
    }
}

/// The journal that corrects a discrepancy, or undoes what has corrected it.
fn journal(
    before: &Discrepancy,
    after: &Stepped,
    at: UnixMillis,
) -> Result<Option<Journal>, DiscrepancyError> {
    let moves = match (&after.moves, &before.correction) {
        (Some(moves), _) => Some(*moves),
        (None, Some(correction)) if after.undoes => {
            let bearer = match correction.ends_with(CORRECTION_OF_MERCHANT) {
                true => Bearer::Merchant,
                false => Bearer::House,
            };
            let less = before.owed_more_minor().and_then(i64::checked_neg);
            less.map(|less| (less, bearer))
        }
        (None, _) => None,
    };
    let (Some((minor, bearer)), Some(merchant_id)) = (moves, before.found.merchant_id) else {
        return Ok(None);
    };
    let posting = Posting {
        source: format!("{}.{}", before.id, before.version.saturating_add(1)),
        merchant_id,
        host_id: before.found.host_id,
        at,
    };
    let currency = before.found.currency;
    let journal = match bearer {
        Bearer::Merchant => posting.correction_of_merchant(currency, minor),
        Bearer::House => posting.correction(AccountKind::Receivable, currency, minor),
    };
    Ok(Some(journal?))
}
