//! What lines have that are the same.

use crate::payment::moment::BusinessDate;
use crate::payment::money::Currency;
use crate::settlement::report::format::ReportKind;
use crate::settlement::report::line::ReportLine;

/// What lines have that are the same.
#[derive(PartialEq, Eq, Hash, Clone, Copy)]
pub(super) struct Alike<'a> {
    kind: ReportKind,
    acceptor: &'a str,
    rrn: Option<&'a str>,
    approval_code: Option<&'a str>,
    currency: Currency,
    /// None for lines that are alike but for their amounts.
    gross_minor: Option<i64>,
    date: BusinessDate,
}

impl<'a> Alike<'a> {
    pub(super) fn of(line: &'a ReportLine) -> Self {
        Self {
            kind: line.kind,
            acceptor: line.acceptor.trim_end(),
            rrn: line.rrn.as_deref(),
            approval_code: line.approval_code.as_deref(),
            currency: line.currency,
            gross_minor: Some(line.gross_minor),
            date: line.business_date,
        }
    }

    pub(super) fn without_code(self) -> Self {
        Self {
            approval_code: None,
            ..self
        }
    }

    pub(super) fn without_amount(self) -> Self {
        Self {
            gross_minor: None,
            ..self
        }
    }
}
