//! What is otherwise in banks' reports and statements than in payswitch, looked up.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::clock::Clock;
use crate::ledger::journal::JournalError;
use crate::payment::account_finding::{AccountFinding, OnAccount};
use crate::payment::bank_statement::{BankLine, BankStatement};
use crate::payment::discrepancy::{
    Discrepancy, DiscrepancyChange, Found, ReportFinding, StepRefused,
};
use crate::payment::ids::{ImportId, MerchantId, OperatorName};
use crate::payment::moment::BusinessDate;
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
    /// It is given to somebody who is no operator.
    #[error("there is no operator {0}")]
    NoOwner(OperatorName),
    /// It is given to an operator who may not call.
    #[error("expected an active operator, got {0}, who is not")]
    OwnerInactive(OperatorName),
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
    /// The line or statement that it is about; none of what has none.
    pub line: Option<Evidence>,
}

/// What the bank says that a discrepancy is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The name of the file.
    pub file: String,
    /// The number of the line in it; 0 of a statement.
    pub number: i64,
    /// What it says, by the names of its fields.
    pub fields: BTreeMap<String, String>,
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
    let line = match &discrepancy.found {
        Found::InReport(found) => in_report(store, found).await?,
        Found::OnAccount(found) => on_account(store, found).await?,
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

/// What a report's line says; none of a report of an older version, which kept no lines.
async fn in_report(
    store: &Store,
    found: &ReportFinding,
) -> Result<Option<Evidence>, DiscrepancyError> {
    let Some(number) = found.difference.line else {
        return Ok(None);
    };
    let line = line_of(store, found.import_id, number).await?;
    Ok(line.map(|(line, file)| Evidence {
        file,
        number: i64::try_from(line.number).unwrap_or(i64::MAX),
        fields: line.shown(),
    }))
}

/// The line of a report, and the name of its file; none of a report of an older version, which kept no lines.
pub(super) async fn line_of(
    store: &Store,
    import: ImportId,
    number: i64,
) -> Result<Option<(ReportLine, String)>, DiscrepancyError> {
    let said = store.report_line(import, number).await?;
    let name = store.import(import).await?.map(|import| import.name);
    let read = said.and_then(|(said, _)| serde_json::from_str(&said).ok());
    Ok(read.map(|line| (line, name.unwrap_or_default())))
}

/// What a line of a bank statement says, or the statement; none of what is on no statement.
async fn on_account(
    store: &Store,
    found: &AccountFinding,
) -> Result<Option<Evidence>, DiscrepancyError> {
    let (line, statement_id) = match &found.of {
        OnAccount::Line {
            id, statement_id, ..
        } => (store.bank_line(*id).await?, *statement_id),
        OnAccount::Statement(id) => (None, *id),
        OnAccount::Missing(_) | OnAccount::Notified { .. } => return Ok(None),
    };
    let statement = store.bank_statement(statement_id).await?;
    Ok(statement.map(|statement| {
        let said = match &line {
            Some(line) => line_says(line),
            None => statement_says(&statement),
        };
        let said = said
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        Evidence {
            number: line.as_ref().map_or(0, |line| line.number),
            fields: said.collect(),
            file: statement.file_name,
        }
    }))
}

fn line_says(line: &BankLine) -> Vec<(&'static str, Option<String>)> {
    let date = |date: Option<BusinessDate>| date.map(|it| it.to_string());
    vec![
        ("booking_date", date(line.booking_date)),
        ("value_date", date(line.value_date)),
        ("amount_minor", Some(line.amount_minor.to_string())),
        ("currency", Some(line.currency.code().to_owned())),
        ("bank_reference", line.bank_reference.clone()),
        ("own_reference", line.own_reference.clone()),
        ("text", line.text.clone()),
        ("reverses", line.reverses.then(|| true.to_string())),
    ]
}

fn statement_says(statement: &BankStatement) -> Vec<(&'static str, Option<String>)> {
    let number = |number: Option<i64>| number.map(|number| number.to_string());
    let closing_date = statement.closing.and_then(|closing| closing.date);
    vec![
        ("reference", Some(statement.reference.clone())),
        ("sequence", number(statement.sequence)),
        ("page", number(statement.page)),
        (
            "opening_minor",
            number(statement.opening.map(|it| it.amount_minor)),
        ),
        ("before_minor", number(statement.before_minor)),
        (
            "closing_minor",
            number(statement.closing.map(|it| it.amount_minor)),
        ),
        ("closing_date", closing_date.map(|date| date.to_string())),
    ]
}
