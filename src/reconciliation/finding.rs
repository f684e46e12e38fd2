//! What a statement shows that is not as it should be.

use crate::payment::bank_statement::{BankLine, BankStatement, Candidate, LineFinding, LineMatch};
use crate::payment::ids::{BankAccountName, BankLineId, BankStatementId};

/// What is not as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FindingKind {
    /// A statement does not begin with what the one before it closed with.
    StatementChainBroken,
    /// A line is matched with nothing.
    Line(LineFinding),
}

impl FindingKind {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::StatementChainBroken => "STATEMENT_CHAIN_BROKEN",
            Self::Line(finding) => finding.name(),
        }
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// The account.
    pub account: BankAccountName,
    /// The statement.
    pub statement_id: BankStatementId,
    /// The line, where it is about one.
    pub line_id: Option<BankLineId>,
    /// What the line fits, or nearly fits.
    pub candidates: Vec<Candidate>,
    /// What was expected: minor units, or the line that is matched already.
    pub ours: Option<String>,
    /// What the bank says: minor units.
    pub theirs: String,
}

impl Finding {
    /// What a statement shows by itself.
    #[must_use]
    pub fn of_statement(statement: &BankStatement) -> Option<Self> {
        let opening = statement.opening.filter(|_| statement.breaks_chain())?;
        Some(Self {
            kind: FindingKind::StatementChainBroken,
            account: statement.account,
            statement_id: statement.id,
            line_id: None,
            candidates: Vec::new(),
            ours: statement.before_minor.map(|minor| minor.to_string()),
            theirs: opening.amount_minor.to_string(),
        })
    }

    /// What a line shows.
    #[must_use]
    pub fn of_line(line: &BankLine) -> Option<Self> {
        let LineMatch::Open {
            finding,
            candidates,
            ours,
        } = &line.matching
        else {
            return None;
        };
        Some(Self {
            kind: FindingKind::Line(*finding),
            account: line.account,
            statement_id: line.statement_id,
            line_id: Some(line.id),
            candidates: candidates.clone(),
            ours: ours.clone(),
            theirs: line.amount_minor.to_string(),
        })
    }
}
