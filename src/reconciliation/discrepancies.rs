//! What is otherwise in banks' reports than in payswitch, looked up.

use std::sync::Arc;

use crate::clock::Clock;
use crate::ledger::journal::JournalError;
use crate::payment::discrepancy::{Discrepancy, DiscrepancyChange, StepRefused};
use crate::payment::ids::{ImportId, MerchantId};
use crate::settlement::report::line::ReportLine;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::records::lists::{ListOrder, Page};
use crate::store::records::settlement::{DiscrepancyFilter, KeptReportLine};

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
    /// Line and item don't have the same amount.
    #[error("expected {expected}, got {got}")]
    AmountDiffers {
        /// What the line says.
        expected: String,
        /// What was named.
        got: String,
    },
    /// Another line has settled the item.
    #[error("expected an item that no line has settled, got {got}")]
    Taken {
        /// Which one.
        got: String,
    },
    /// What a person has matched was charged or funded since.
    #[error("what the line was matched with was charged or funded since")]
    Funded,
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
    pub(super) store: Store,
    pub(super) clock: Arc<dyn Clock>,
    /// What one person decides alone, in minor units.
    pub(super) alone_minor: i64,
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
        page_size: usize,
        after: Option<&String>,
    ) -> Result<Page<Discrepancy, String>, StoreError> {
        let order = ListOrder::OldestFirst;
        let listed = self
            .store
            .list_discrepancies(None, filter, order, page_size, after);
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
    let discrepancy = known(store, id, merchant).await?;
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

/// A discrepancy of a merchant, or of whomever.
pub(super) async fn known(
    store: &Store,
    id: &str,
    merchant: Option<&MerchantId>,
) -> Result<Discrepancy, DiscrepancyError> {
    let discrepancy = store.discrepancy(id, merchant).await?;
    discrepancy.ok_or_else(|| DiscrepancyError::NotFound(id.to_owned()))
}

/// The line that a discrepancy is about, and the name of its file; none of a report of an older version, which kept no lines.
pub(super) async fn line_of(
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
