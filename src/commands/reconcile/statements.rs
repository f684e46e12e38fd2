//! `payswitch reconcile statement`, `statement-lines` and `match-line`: statements of bank accounts.

use std::path::Path;
use std::process::ExitCode;

use pb::import_statement_request::Part;
use serde_json::{Value, json};

use super::client::Client;
use crate::admin_api::pb;
use crate::commands::error::CommandError;
use crate::commands::operators_door::{Why, moment, pages, short, told};
use crate::commands::output::{amount, print_line, table};
use crate::commands::sent_file::SentFile;

/// Takes in a file of statements, and shows what came of it. It has failed where something is wrong with the file.
///
/// # Errors
/// When the file can't be read, or the gateway can't be reached, or refuses.
pub(super) async fn take_in(
    client: &mut Client,
    account: String,
    file: &Path,
    why: Why,
    as_json: bool,
) -> Result<ExitCode, CommandError> {
    let answer = import(client, account, &SentFile::at(file), why).await?;
    let is_faulty = answer.fault.is_some();
    show_file(&answer, as_json)?;
    Ok(match is_faulty {
        true => ExitCode::FAILURE,
        false => ExitCode::SUCCESS,
    })
}

/// Shows the lines of an account, as they came.
///
/// # Errors
/// When the gateway can't be reached, or refuses.
pub(super) async fn list(
    client: &mut Client,
    account: &str,
    (only_open, limit): (bool, usize),
    as_json: bool,
) -> Result<ExitCode, CommandError> {
    let lines = lines_of(client, account, only_open, limit).await?;
    show_lines(&lines, as_json)?;
    Ok(ExitCode::SUCCESS)
}

/// Says which payout or day of a host a line is, and shows the line.
///
/// # Errors
/// When the gateway can't be reached, or refuses.
pub(super) async fn match_line(
    client: &mut Client,
    line: String,
    with: String,
    why: Why,
    as_json: bool,
) -> Result<ExitCode, CommandError> {
    let request = pb::MatchStatementLineRequest {
        request_id: why.request_id()?,
        reason: why.reason,
        line_id: line,
        with,
    };
    let matched = client.match_statement_line(request).await.map_err(told)?;
    let line: Vec<_> = matched.into_inner().line.into_iter().collect();
    show_lines(&line, as_json)?;
    Ok(ExitCode::SUCCESS)
}

async fn import(
    client: &mut Client,
    account: String,
    file: &SentFile,
    why: Why,
) -> Result<pb::ImportStatementResponse, CommandError> {
    let first = pb::BankStatementFile {
        request_id: why.request_id()?,
        reason: why.reason,
        account,
        name: file.name(),
        sha256: file.sha256()?,
    };
    let first = pb::ImportStatementRequest {
        part: Some(Part::File(first)),
    };
    let chunk = |bytes| pb::ImportStatementRequest {
        part: Some(Part::Chunk(bytes)),
    };
    let call = async |parts| client.import_statement(parts).await;
    file.send(first, chunk, call).await
}

fn show_file(answer: &pb::ImportStatementResponse, as_json: bool) -> Result<(), CommandError> {
    if as_json {
        let statement = |it: &pb::BankStatement| -> Result<Value, CommandError> {
            Ok(json!({
                "statement_id": it.statement_id,
                "account": it.account,
                "reference": it.reference,
                "sequence": it.sequence,
                "page": it.page,
                "currency": it.currency,
                "interim": it.interim,
                "opening_minor": it.opening_minor,
                "closing_minor": it.closing_minor,
                "closing_date": it.closing_date,
                "before_minor": it.before_minor,
                "chain_broken": it.chain_broken,
                "line_count": it.line_count,
                "matched_count": it.matched_count,
                "unmatched_count": it.unmatched_count,
                "ambiguous_count": it.ambiguous_count,
                "not_counted_count": it.not_counted_count,
                "operator": it.operator,
                "create_time": moment(it.create_time)?,
            }))
        };
        let statements: Result<Vec<_>, _> = answer.statements.iter().map(statement).collect();
        let fault = answer.fault.as_ref().map(|it| {
            json!({ "line": it.line, "column": it.column, "offset": it.offset, "text": it.text })
        });
        let shown = json!({
            "statements": statements?,
            "was_there": answer.was_there,
            "matched_count": answer.matched_count,
            "fault": fault,
        });
        return print_line!("{shown:#}");
    }
    if let Some(fault) = &answer.fault {
        let (line, column, offset) = (fault.line, fault.column, fault.offset);
        print_line!(
            "line {line}, column {column} (byte {offset}): {}",
            fault.text
        )?;
        return print_line!("nothing of the file counts");
    }
    let mut table = table(&[
        "statement",
        "kind",
        "opening",
        "closing",
        "currency",
        "lines",
        "matched",
        "unmatched",
        "ambiguous",
        "not booked",
    ]);
    let balance = |minor: Option<i64>, currency: &str| {
        minor.map_or_else(String::new, |minor| amount(minor, currency))
    };
    for it in &answer.statements {
        table.add_row([
            it.reference.clone(),
            if it.interim { "INTERIM" } else { "BOOKED" }.to_owned(),
            balance(it.opening_minor, &it.currency),
            balance(it.closing_minor, &it.currency),
            it.currency.clone(),
            it.line_count.to_string(),
            it.matched_count.to_string(),
            it.unmatched_count.to_string(),
            it.ambiguous_count.to_string(),
            it.not_counted_count.to_string(),
        ]);
    }
    print_line!("{table}")?;
    for it in answer.statements.iter().filter(|it| it.chain_broken) {
        print_line!(
            "STATEMENT_CHAIN_BROKEN: {} begins with {}, and the one before it ends with {} {}",
            it.reference,
            balance(it.opening_minor, &it.currency),
            balance(it.before_minor, &it.currency),
            it.currency
        )?;
    }
    let before = if answer.was_there { "were" } else { "are" };
    print_line!(
        "{} statements {before} taken in; {} lines of the account are matched now",
        answer.statements.len(),
        answer.matched_count
    )
}

async fn lines_of(
    client: &mut Client,
    account: &str,
    only_open: bool,
    limit: usize,
) -> Result<Vec<pb::BankLine>, CommandError> {
    pages(limit, async |page_size, page_token| {
        let request = pb::ListStatementLinesRequest {
            account: account.to_owned(),
            only_open,
            page_size,
            page_token,
        };
        let page = client.list_statement_lines(request).await.map_err(told)?;
        let page = page.into_inner();
        Ok((page.lines, page.next_page_token))
    })
    .await
}

fn show_lines(lines: &[pb::BankLine], as_json: bool) -> Result<(), CommandError> {
    let state = |it: &pb::BankLine| short(it.state().as_str_name(), "BANK_LINE_STATE_");
    let rule = |it: &pb::BankLine| match it.rule() {
        pb::BankLineRule::Unspecified => "",
        rule => short(rule.as_str_name(), "BANK_LINE_RULE_"),
    };
    let finding = |it: &pb::BankLine| match it.finding() {
        pb::BankLineFinding::Unspecified => "",
        finding => short(finding.as_str_name(), "BANK_LINE_FINDING_"),
    };
    if as_json {
        let row = |it: &pb::BankLine| {
            json!({
                "line_id": it.line_id,
                "statement_id": it.statement_id,
                "number": it.number,
                "booking_date": it.booking_date,
                "value_date": it.value_date,
                "amount_minor": it.amount_minor,
                "currency": it.currency,
                "bank_reference": it.bank_reference,
                "own_reference": it.own_reference,
                "text": it.text,
                "reverses": it.reverses,
                "state": state(it),
                "matched_with": it.matched_with,
                "rule": rule(it),
                "matched_by": it.matched_by,
                "finding": finding(it),
                "candidates": it.candidates,
                "expected": it.expected,
            })
        };
        let rows: Vec<_> = lines.iter().map(row).collect();
        return print_line!("{:#}", json!({ "lines": rows }));
    }
    let mut table = table(&[
        "line",
        "booked",
        "amount",
        "currency",
        "reference",
        "state",
        "matched with",
        "finding",
        "candidates",
    ]);
    for it in lines {
        let reference = match it.own_reference.as_str() {
            "" => &it.bank_reference,
            own => own,
        };
        table.add_row([
            it.line_id.clone(),
            it.booking_date.clone(),
            amount(it.amount_minor, &it.currency),
            it.currency.clone(),
            reference.to_owned(),
            state(it).to_owned(),
            it.matched_with.clone(),
            finding(it).to_owned(),
            it.candidates.join(" "),
        ]);
    }
    print_line!("{table}")
}
