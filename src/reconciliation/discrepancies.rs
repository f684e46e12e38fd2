//! What is done about discrepancies: who works on one, what corrects it, and what a person has found it to be about.

use std::sync::Arc;

use crate::clock::Clock;
use crate::ledger::account::AccountKind;
use crate::ledger::journal::{Journal, JournalError};
use crate::ledger::template::{CORRECTION_OF_MERCHANT, Posting};
use crate::payment::discrepancy::{
    Bearer, Discrepancy, DiscrepancyChange, DiscrepancyState, Step, StepRefused, Stepped,
};
use crate::payment::ids::{ImportId, MerchantId, SubjectId};
use crate::payment::moment::UnixMillis;
use crate::payment::settlement_import::{DifferenceKind, ItemReport};
use crate::settlement::report::line::ReportLine;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::records::lists::ListOrder;
use crate::store::records::settlement::{DiscrepancyFilter, KeptReportLine};

/// How often a step is tried again where somebody else's came first.
const ATTEMPTS: u32 = 3;
/// The rule of what a person has matched.
const BY_HAND: &str = "by-hand";

/// Why a step is not taken.
#[derive(Debug, thiserror::Error)]
pub enum DiscrepancyError {
    /// There is none with this name.
    #[error("there is no discrepancy {0}")]
    NotFound(String),
    /// It can't take this step.
    #[error(transparent)]
    Refused(#[from] StepRefused),
    /// Line and item don't go together.
    #[error("expected {expected}, got {got}")]
    NoMatch {
        /// What a match needs.
        expected: String,
        /// What there is.
        got: String,
    },
    /// Somebody else changes it all the time.
    #[error("the discrepancy is changed all the time")]
    Busy,
    /// The journal that corrects it can't be made.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A discrepancy with what was done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed {
    /// The discrepancy.
    pub discrepancy: Discrepancy,
    /// What was done, oldest first.
    pub changes: Vec<DiscrepancyChange>,
    /// The line that it is about, and the name of its file; none of what has none.
    pub line: Option<(String, ReportLine)>,
}

/// What is done about discrepancies.
pub struct Discrepancies {
    store: Store,
    clock: Arc<dyn Clock>,
    /// What one person decides alone, in minor units.
    alone_minor: i64,
}

impl Discrepancies {
    /// Those of this store. One person decides alone on what is about `alone_minor` minor units or less.
    #[must_use]
    pub const fn new(store: Store, clock: Arc<dyn Clock>, alone_minor: i64) -> Self {
        Self {
            store,
            clock,
            alone_minor,
        }
    }

    /// Discrepancies of all merchants, as [`Store::list_discrepancies`] lists them.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn list(
        &self,
        filter: &DiscrepancyFilter,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Vec<Discrepancy>, StoreError> {
        let order = ListOrder::OldestFirst;
        let listed = self
            .store
            .list_discrepancies(None, filter, order, limit, after);
        listed.await
    }

    /// Lines of a report as [`Store::report_lines`] lists them, each with what it says.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn lines(
        &self,
        import: ImportId,
        limit: usize,
        after: i64,
    ) -> Result<Vec<(KeptReportLine, Option<ReportLine>)>, StoreError> {
        let lines = self.store.report_lines(import, limit, after).await?;
        let with_said = |line: KeptReportLine| {
            let said = serde_json::from_str(&line.said).ok();
            (line, said)
        };
        Ok(lines.into_iter().map(with_said).collect())
    }

    /// A discrepancy with all that is known of it.
    ///
    /// # Errors
    /// [`DiscrepancyError::NotFound`], and when the database can't be read.
    pub async fn follow(&self, id: &str) -> Result<Followed, DiscrepancyError> {
        followed(&self.store, id, None).await
    }

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
        if let Step::Found(subject) = step {
            self.match_by_hand(id, *subject, (by, reason)).await?;
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
            let before = self.store.discrepancy(id, None).await?;
            let before = before.ok_or_else(|| DiscrepancyError::NotFound(id.to_owned()))?;
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

    /// Records that the line of a discrepancy is about this capture or refund. What is missed of that is found.
    async fn match_by_hand(
        &self,
        id: &str,
        subject: SubjectId,
        (by, reason): (&str, &str),
    ) -> Result<(), DiscrepancyError> {
        let discrepancy = self.store.discrepancy(id, None).await?;
        let discrepancy = discrepancy.ok_or_else(|| DiscrepancyError::NotFound(id.to_owned()))?;
        // It is looked at before anything is written.
        discrepancy.step(&Step::Found(subject), by, self.alone_minor)?;
        let no_match = |expected: &str, got: String| DiscrepancyError::NoMatch {
            expected: expected.to_owned(),
            got,
        };
        let kind = discrepancy.found.kind;
        let is_open_line = matches!(
            kind,
            DifferenceKind::Ambiguous | DifferenceKind::UnexpectedLine
        );
        let number = discrepancy.found.line.filter(|_| is_open_line);
        let number = number.ok_or_else(|| {
            let expected = "a line that is ambiguous, or about nothing that payswitch has";
            no_match(expected, kind.name().to_owned())
        })?;
        let line = line_of(&self.store, &discrepancy, number).await?;
        let (line, _) = line.ok_or_else(|| {
            no_match(
                "a line that is kept as it came",
                format!("none with the number {number}"),
            )
        })?;
        let host = &discrepancy.found.host_id;
        let named = vec![line.acceptor.clone()];
        let named = self.store.merchants_of_acceptors(host, named).await?;
        let merchants: Vec<MerchantId> = named.into_iter().map(|(_, merchant)| merchant).collect();
        let item = self
            .store
            .item_of_subject(&discrepancy.found.host_id, subject)
            .await?;
        let item = item.ok_or_else(|| {
            no_match(
                "a capture or refund of this host that is settled with it",
                subject.to_string(),
            )
        })?;
        if !merchants.is_empty() && !merchants.contains(&item.merchant_id) {
            let expected = "a capture or refund of the merchant whose acceptor the line names";
            return Err(no_match(expected, item.merchant_id.to_string()));
        }
        let kind = super::candidates::item_kind(line.kind);
        if kind != item.kind {
            return Err(no_match(
                "an item of the line's own kind",
                format!("{:?}", item.kind),
            ));
        }
        if let Some(import) = item.settled_by.filter(|it| *it != discrepancy.import_id) {
            return Err(no_match(
                "an item that no line has settled",
                format!("one of {import}"),
            ));
        }
        let theirs = (super::candidates::bank_minor(&line), line.currency);
        if theirs != (item.amount_minor, item.currency) {
            let expected = format!("{} {}, as the line says", theirs.0, theirs.1);
            return Err(no_match(
                &expected,
                format!("{} {}", item.amount_minor, item.currency),
            ));
        }
        let report = ItemReport {
            operation_id: item.operation_id,
            line: number,
            acquirer_reference: line.acquirer_reference,
            interchange_minor: line.interchange_minor,
            scheme_fee_minor: line.scheme_fee_minor,
            commission_minor: line.commission_minor,
            bank_minor: Some(item.amount_minor),
            reject_code: line.reject_code,
            was_missed: false,
        };
        let import = discrepancy.import_id;
        let is_settled = self.store.settle_by_hand(import, &report, BY_HAND).await?;
        if !is_settled {
            let got = "one that another line has settled".to_owned();
            return Err(no_match("an item that no line has settled", got));
        }
        let filter = DiscrepancyFilter {
            kind: Some(DifferenceKind::NotInReport),
            subject_id: Some(subject),
            ..DiscrepancyFilter::default()
        };
        for missing in self.list(&filter, 10, None).await? {
            let steps = match missing.state {
                // What has corrected it would count twice.
                DiscrepancyState::Corrected | DiscrepancyState::Proposed => {
                    vec![Step::Reopen, Step::Found(subject)]
                }
                DiscrepancyState::Accepted => Vec::new(),
                _ => vec![Step::Found(subject)],
            };
            for step in steps {
                let alone = self.alone_minor;
                self.take(&missing.id, &step, (by, reason), alone).await?;
            }
        }
        Ok(())
    }
}

/// A discrepancy of a merchant, or of whomever, with all that is known of it.
///
/// # Errors
/// [`DiscrepancyError::NotFound`], and when the database can't be read.
pub async fn followed(
    store: &Store,
    id: &str,
    merchant: Option<&MerchantId>,
) -> Result<Followed, DiscrepancyError> {
    let discrepancy = store.discrepancy(id, merchant).await?;
    let discrepancy = discrepancy.ok_or_else(|| DiscrepancyError::NotFound(id.to_owned()))?;
    let line = match discrepancy.found.line {
        Some(number) => {
            let line = line_of(store, &discrepancy, number).await?;
            line.map(|(line, file)| (file, line))
        }
        None => None,
    };
    Ok(Followed {
        changes: store.discrepancy_changes(id).await?,
        discrepancy,
        line,
    })
}

/// The line that a discrepancy is about, and the name of its file; none of a report of an older version, which kept no lines.
async fn line_of(
    store: &Store,
    discrepancy: &Discrepancy,
    number: i64,
) -> Result<Option<(ReportLine, String)>, DiscrepancyError> {
    let import = discrepancy.import_id;
    let said = store.report_line(import, number).await?;
    let name = store.import(import).await?.map(|import| import.name);
    let read = said.and_then(|(said, _)| serde_json::from_str(&said).ok());
    Ok(read.map(|line| (line, name.unwrap_or_default())))
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
