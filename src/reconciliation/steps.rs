//! What is done about discrepancies: who works on one, what corrects it, and what a person has found it to be about.

use crate::ledger::account::AccountKind;
use crate::ledger::journal::Journal;
use crate::ledger::template::{AnyTemplate, Posting};
use crate::payment::difference::DifferenceKind;
use crate::payment::discrepancy::{
    Bearer, Discrepancy, DiscrepancyChange, DiscrepancyState, Found, ReportFinding, Step, Stepped,
};
use crate::payment::ids::{ImportId, OperatorName, SubjectId};
use crate::payment::report_line::{
    BY_HAND, ItemReport, LineChange, LineOutcome, LineState, ReportedItem,
};
use crate::payment::settlement_import::{ImportState, has_all_cycles};
use crate::reconciliation::candidates::{bank_minor, item_kind};
use crate::reconciliation::discrepancies::{
    Discrepancies, DiscrepancyError, Followed, known, line_of,
};
use crate::settlement::report::line::ReportLine;
use crate::store::records::settlement::DiscrepancyFilter;

/// How often a step is tried again where somebody else's came first.
const ATTEMPTS: u32 = 3;
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
        self.take(id, step, (by, reason), self.alone_minor).await?;
        // What a match has ended, or its undoing opened again, is not told yet.
        if matches!(step, Step::Found(_) | Step::Split(_) | Step::Reopen) {
            self.store.tell_discrepancies().await;
        }
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
            if let Step::Assign(owner) = step {
                self.may_own(*owner).await?;
            }
            let change = DiscrepancyChange {
                at: self.clock.now(),
                state: after.state,
                actor: by.to_owned(),
                reason: reason.to_owned(),
            };
            let is_taken = match &before.found {
                Found::InReport(found) => {
                    let taken = self.take_in_report((&before, found), step, &after, &change);
                    taken.await?
                }
                Found::OnAccount(found) => {
                    let taken = self.take_on_account((&before, found), step, &after, &change);
                    taken.await?
                }
            };
            if is_taken {
                tracing::info!(
                    discrepancy.id = %id, kind = before.found.kind_name(), state = after.state.name(),
                    operator = by, "Something was done about a discrepancy"
                );
                return Ok(());
            }
        }
        Err(DiscrepancyError::Busy)
    }

    /// That there is such an operator, who may work on it. One who is deactivated later keeps what it has.
    async fn may_own(&self, owner: OperatorName) -> Result<(), DiscrepancyError> {
        match self.store.operator(owner.as_str()).await? {
            Some(operator) if operator.active => Ok(()),
            Some(_) => Err(DiscrepancyError::OwnerInactive(owner)),
            None => Err(DiscrepancyError::NoOwner(owner)),
        }
    }

    /// Takes a step of what is in a report. Whether it was taken: somebody else's may have come first.
    async fn take_in_report(
        &self,
        (before, found): (&Discrepancy, &ReportFinding),
        step: &Step,
        after: &Stepped,
        change: &DiscrepancyChange,
    ) -> Result<bool, DiscrepancyError> {
        let line = self.line_change((before, found), step).await?;
        let journal = journal((before, found), after, change)?;
        let changed =
            self.store
                .change_discrepancy(before, after, change, journal.as_ref(), line.as_ref());
        if changed.await? {
            return Ok(true);
        }
        let Some(line) = line else {
            return Ok(false);
        };
        if !self.is_applied(found.import_id).await? {
            return Err(not_applied());
        }
        // Where nobody else has taken a step, it is the line that can't be changed so.
        let now = known(&self.store, &before.id, None).await?;
        if now.version != before.version {
            return Ok(false);
        }
        Err(match line {
            LineChange::Matched(_) => {
                let got = "one that another line has settled, or whose discrepancy was decided";
                DiscrepancyError::Taken { got: got.into() }
            }
            LineChange::Undone { .. } => DiscrepancyError::Funded,
        })
    }

    /// What a step changes of what the discrepancy's line is about.
    async fn line_change(
        &self,
        (before, found): (&Discrepancy, &ReportFinding),
        step: &Step,
    ) -> Result<Option<LineChange>, DiscrepancyError> {
        match step {
            Step::Found(subject) => self.matched(found, std::slice::from_ref(subject)).await,
            Step::Split(subjects) => self.matched(found, subjects).await,
            Step::Matched(with) => {
                let expected = "a capture or refund: the line is one of an acquirer's report";
                Err(no_match(expected, with.to_string()))
            }
            Step::Reopen => self.undone(&before.id, found).await,
            _ => Ok(None),
        }
    }

    /// That the line is about these captures or refunds, which make up its amount.
    async fn matched(
        &self,
        found: &ReportFinding,
        subjects: &[SubjectId],
    ) -> Result<Option<LineChange>, DiscrepancyError> {
        let (number, line) = self.open_line(found).await?;
        if !self.is_applied(found.import_id).await? {
            return Err(not_applied());
        }
        if line.reject_code.is_some() {
            let expected = "a line that settles something";
            return Err(no_match(expected, "one that the bank rejects".to_owned()));
        }
        let mut items = Vec::with_capacity(subjects.len());
        for subject in subjects {
            items.push(self.item_like(found, &line, *subject).await?);
            self.may_be_found(*subject).await?;
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
        let reports = (items.iter().enumerate())
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
        Ok(Some(LineChange::Matched(reports)))
    }

    /// Whether all of a report is applied, all cycles of its date, and no other came in its place: until then what is missing
    /// of the date is not recorded.
    async fn is_applied(&self, import: ImportId) -> Result<bool, DiscrepancyError> {
        let import = self.store.import(import).await?;
        let Some(import) = import.filter(|import| import.state == ImportState::Done) else {
            return Ok(false);
        };
        match import.cycle {
            None => Ok(true),
            Some(cycle) => {
                let (host, date) = (&import.host_id, import.business_date);
                let reports = self.store.reports_of_day(host, date).await?;
                Ok(has_all_cycles(&reports, cycle))
            }
        }
    }

    /// That what a person has matched is undone, where one has.
    async fn undone(
        &self,
        id: &str,
        found: &ReportFinding,
    ) -> Result<Option<LineChange>, DiscrepancyError> {
        let (import_id, found) = (found.import_id, &found.difference);
        let (Some(state), Some(number)) = (open_state(found.kind), found.line) else {
            return Ok(None);
        };
        let line = self.store.report_line(import_id, number).await?;
        let changes = self.store.discrepancy_changes(id).await?;
        let is_by_hand =
            |(_, outcome): &(String, LineOutcome)| outcome.rule.as_deref() == Some(BY_HAND);
        let matched = line.filter(is_by_hand).and(changes.last());
        Ok(matched.map(|matched| LineChange::Undone {
            outcome: LineOutcome {
                number,
                state,
                operation_id: found.operation_id,
                rule: found.rule.clone(),
            },
            matched_at: matched.at,
        }))
    }

    /// The line that a discrepancy is about and nothing is matched with, and its number.
    async fn open_line(
        &self,
        found: &ReportFinding,
    ) -> Result<(i64, ReportLine), DiscrepancyError> {
        let kind = found.difference.kind;
        let number = found.difference.line;
        let number = number.filter(|_| open_state(kind).is_some());
        let number = number.ok_or_else(|| {
            let expected = "a line that is ambiguous, or about no item";
            no_match(expected, kind.name().to_owned())
        })?;
        let line = line_of(&self.store, found.import_id, number).await?;
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
        found: &ReportFinding,
        line: &ReportLine,
        subject: SubjectId,
    ) -> Result<ReportedItem, DiscrepancyError> {
        let host = &found.difference.host_id;
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
        if let Some(import) = item.settled_by.filter(|it| *it != found.import_id) {
            let got = format!("one of {import}");
            return Err(DiscrepancyError::Taken { got });
        }
        if line.currency != item.currency {
            let expected = format!("an item in {}, as the line says", line.currency);
            return Err(no_match(&expected, item.currency.to_string()));
        }
        Ok(item)
    }

    /// Whether a capture or refund may be found, as far as it is missed.
    ///
    /// # Errors
    /// Where that is corrected, or that is proposed: with the line its money would count twice, and what an approver has
    /// agreed with is undone by an approver.
    async fn may_be_found(&self, subject: SubjectId) -> Result<(), DiscrepancyError> {
        let filter = DiscrepancyFilter {
            kind: Some(DifferenceKind::NotInReport),
            subject_id: Some(subject),
            ..DiscrepancyFilter::default()
        };
        let mut after = None;
        loop {
            let missing = self.list(&filter, MISSED_AT_ONCE, after.as_ref()).await?;
            let decided = missing.items.iter().find(|it| {
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
            after = missing.next;
            if after.is_none() {
                return Ok(());
            }
        }
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

fn not_applied() -> DiscrepancyError {
    let got = "one that is being applied, or was amended";
    no_match("a line of a report that is applied", got.to_owned())
}

fn no_match(expected: &str, got: String) -> DiscrepancyError {
    DiscrepancyError::NoMatch {
        expected: expected.to_owned(),
        got,
    }
}

/// The journal that corrects a discrepancy, or undoes what has corrected it.
fn journal(
    (before, found): (&Discrepancy, &ReportFinding),
    after: &Stepped,
    change: &DiscrepancyChange,
) -> Result<Option<Journal>, DiscrepancyError> {
    let moves = match (&after.moves, &before.correction) {
        (Some(moves), _) => Some(*moves),
        (None, Some(correction)) if after.undoes => {
            let bearer = match AnyTemplate::of_journal(correction) {
                Some(AnyTemplate::CorrectionOfMerchant) => Bearer::Merchant,
                _ => Bearer::House,
            };
            let less = before.owed_more_minor().and_then(i64::checked_neg);
            less.map(|less| (less, bearer))
        }
        (None, _) => None,
    };
    let (Some((minor, bearer)), Some(merchant_id)) = (moves, found.difference.merchant_id) else {
        return Ok(None);
    };
    let posting = Posting {
        source: format!("{}.{}", before.id, before.version.saturating_add(1)),
        merchant_id,
        host_id: found.difference.host_id,
        at: change.at,
    };
    let currency = found.difference.currency;
    let journal = match bearer {
        Bearer::Merchant => posting.correction_of_merchant(currency, minor),
        Bearer::House => posting.correction(AccountKind::Receivable, currency, minor),
    };
    Ok(Some(journal?))
}
