//! Statements for tests.

use super::{LineKind, Period, Statement, StatementLine};
use crate::payment::merchant::Merchant;

pub(super) fn merchant() -> Merchant {
    Merchant {
        id: "demo-shop".parse().unwrap(),
        name: "Demo Shop".to_owned(),
        city: "Madrid".to_owned(),
        country: "ES".to_owned(),
        country_numeric: 724,
        mcc: "5942".to_owned(),
        terminal_id: "TERM0001".to_owned(),
        acceptor_id: "DEMOSHOP".to_owned(),
        acquirer: "acquirer".parse().unwrap(),
        time_zone: "Europe/Madrid".to_owned(),
        active: true,
    }
}

/// November 2026.
pub(super) fn period() -> Period {
    let day = |text: &str| text.parse().unwrap();
    Period::new(day("2026-11-01"), day("2026-11-30")).unwrap()
}

/// A line whose balance is yet to be set.
pub(super) fn line(kind: LineKind, gross_minor: i64, fees_minor: i64) -> StatementLine {
    StatementLine {
        date: "2026-11-15".parse().unwrap(),
        kind,
        reference: "order-1".to_owned(),
        description: "Two books".to_owned(),
        gross_minor,
        fees_minor,
        net_minor: gross_minor - fees_minor,
        balance_minor: 0,
    }
}

/// The lines with their balances, and the last balance.
pub(super) fn with_balances(
    opening_minor: i64,
    mut lines: Vec<StatementLine>,
) -> (Vec<StatementLine>, i64) {
    let mut balance_minor = opening_minor;
    for line in &mut lines {
        balance_minor += line.net_minor;
        line.balance_minor = balance_minor;
    }
    (lines, balance_minor)
}

pub(super) fn statement(code: &str, opening_minor: i64, lines: Vec<StatementLine>) -> Statement {
    let currency = code.parse().unwrap();
    let (lines, closing_minor) = with_balances(opening_minor, lines);
    Statement::new(
        merchant(),
        period(),
        currency,
        opening_minor,
        lines,
        closing_minor,
    )
    .unwrap()
}
