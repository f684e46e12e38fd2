//! Statements of bank accounts and their lines.

use crate::admin_api::pb;
use crate::grpc::time::timestamp;
use crate::payment::bank_statement::{BankLine, LineFinding, LineMatch, MatchRule, StatementKind};
use crate::reconciliation::statement::error::StatementError;
use crate::reconciliation::statement_imports::{TakenFile, TakenStatement};

/// A file that was taken in.
pub(in crate::admin_api) fn taken_file(taken: &TakenFile) -> pb::ImportStatementResponse {
    pb::ImportStatementResponse {
        statements: taken.statements.iter().map(statement).collect(),
        was_there: taken.was_there,
        matched_count: i64::try_from(taken.matched).unwrap_or(i64::MAX),
        fault: None,
    }
}

/// A file that has a fault.
pub(in crate::admin_api) fn faulty_file(error: &StatementError) -> pb::ImportStatementResponse {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let fault = pb::BankStatementFault {
        line: number(error.position.line),
        column: number(error.position.column),
        offset: number(error.position.offset),
        text: error.fault.to_string(),
    };
    pb::ImportStatementResponse {
        fault: Some(fault),
        ..pb::ImportStatementResponse::default()
    }
}

fn statement(taken: &TakenStatement) -> pb::BankStatement {
    let (it, counts) = (&taken.statement, &taken.counts);
    let date = it.closing.and_then(|closing| closing.date);
    pb::BankStatement {
        statement_id: it.id.to_string(),
        account: it.account.to_string(),
        reference: it.reference.clone(),
        sequence: it.sequence,
        page: it.page,
        currency: it.currency.code().to_owned(),
        interim: it.kind == StatementKind::Interim,
        opening_minor: it.opening.map(|opening| opening.amount_minor),
        closing_minor: it.closing.map(|closing| closing.amount_minor),
        closing_date: date.map_or_else(String::new, |date| date.to_string()),
        before_minor: it.before_minor,
        chain_broken: it.breaks_chain(),
        line_count: it.lines,
        matched_count: counts.matched,
        unmatched_count: counts.unmatched,
        ambiguous_count: counts.ambiguous,
        not_counted_count: counts.not_counted,
        operator: it.operator.clone(),
        create_time: Some(timestamp(it.at)),
    }
}

/// A line.
pub(in crate::admin_api) fn line(it: &BankLine) -> pb::BankLine {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let shown = pb::BankLine {
        line_id: it.id.to_string(),
        statement_id: it.statement_id.to_string(),
        number: it.number,
        booking_date: it
            .booking_date
            .map_or_else(String::new, |date| date.to_string()),
        value_date: it
            .value_date
            .map_or_else(String::new, |date| date.to_string()),
        amount_minor: it.amount_minor,
        currency: it.currency.code().to_owned(),
        bank_reference: text(&it.bank_reference),
        own_reference: text(&it.own_reference),
        text: text(&it.text),
        reverses: it.reverses,
        ..pb::BankLine::default()
    };
    match &it.matching {
        LineMatch::NotCounted => pb::BankLine {
            state: pb::BankLineState::NotCounted.into(),
            ..shown
        },
        LineMatch::Matched { with, rule, by } => pb::BankLine {
            state: pb::BankLineState::Matched.into(),
            matched_with: with.to_string(),
            rule: match rule {
                MatchRule::Payout => pb::BankLineRule::Payout,
                MatchRule::PayoutReturn => pb::BankLineRule::PayoutReturn,
                MatchRule::Settlement => pb::BankLineRule::Settlement,
            }
            .into(),
            matched_by: text(by),
            ..shown
        },
        LineMatch::Open {
            finding,
            candidates,
            ours,
        } => pb::BankLine {
            state: match finding {
                LineFinding::LineAmbiguous => pb::BankLineState::Ambiguous,
                _ => pb::BankLineState::Unmatched,
            }
            .into(),
            finding: match finding {
                LineFinding::LineUnmatched => pb::BankLineFinding::Unmatched,
                LineFinding::LineAmbiguous => pb::BankLineFinding::Ambiguous,
                LineFinding::LineAmountDiffers => pb::BankLineFinding::AmountDiffers,
                LineFinding::LineMatchedBefore => pb::BankLineFinding::MatchedBefore,
            }
            .into(),
            candidates: candidates.iter().map(ToString::to_string).collect(),
            expected: text(ours),
            ..shown
        },
    }
}
