//! Discrepancies and lines of reports, as tables and as JSON.

use serde_json::{Value, json};

use crate::admin_api::pb;
use crate::commands::error::CommandError;
use crate::commands::operators_door::moment;
use crate::commands::output::{amount, print_line, table};

/// What one side has: an amount as people write it, or what it is.
pub(super) fn side(found: &pb::Discrepancy, value: &str) -> String {
    let minor = value.parse().ok().filter(|_| has_amounts(found));
    minor.map_or_else(|| value.to_owned(), |minor| amount(minor, &found.currency))
}

/// What the bank has, which of an outcome is a code.
fn theirs(found: &pb::Discrepancy) -> String {
    match is_code(found) {
        true => found.theirs.clone(),
        false => side(found, &found.theirs),
    }
}

/// Whether the bank's side is a code, whatever ours is.
pub(super) fn is_code(found: &pb::Discrepancy) -> bool {
    found.kind == "OUTCOME_DIFFERS"
}

/// Whether both sides have amounts, and not dates, currencies or references.
pub(super) fn has_amounts(found: &pb::Discrepancy) -> bool {
    !matches!(
        found.kind.as_str(),
        "CURRENCY_DIFFERS" | "DATE_DIFFERS" | "LATE_PRESENTMENT" | "REFERENCE_DIFFERS"
    )
}

pub(super) fn show_list(found: &[pb::Discrepancy], as_json: bool) -> Result<(), CommandError> {
    if as_json {
        for one in found {
            print_line!("{}", as_value(one)?)?;
        }
        return Ok(());
    }
    let mut table = table(&[
        "discrepancy",
        "date",
        "account",
        "merchant",
        "kind",
        "ours",
        "the bank's",
        "currency",
        "line",
        "state",
        "owner",
        "due",
    ]);
    for one in found {
        let line = match one.line {
            0 => String::new(),
            line => line.to_string(),
        };
        table.add_row([
            one.discrepancy_id.clone(),
            one.business_date.clone(),
            one.account.clone(),
            one.merchant_id.clone(),
            one.kind.clone(),
            side(one, &one.ours),
            theirs(one),
            one.currency.clone(),
            line,
            one.state.clone(),
            one.owner.clone(),
            moment(one.due_time)?,
        ]);
    }
    print_line!("{table}")?;
    Ok(())
}

pub(super) fn show_all(found: Option<pb::Discrepancy>, as_json: bool) -> Result<(), CommandError> {
    let Some(one) = found else {
        return Err("the gateway did not say what became of it".into());
    };
    if as_json {
        return Ok(print_line!("{}", as_value(&one)?)?);
    }
    show_list(std::slice::from_ref(&one), false)?;
    for (what, value) in [
        ("of", &one.subject_id),
        ("with the RRN", &one.item_rrn),
        ("missing", &one.missing),
        ("line", &one.line_id),
        ("statement", &one.statement_id),
        ("found by the rule", &one.rule),
        ("proposal", &one.proposal),
        ("corrected by the journal", &one.correction_id),
        ("file", &one.file),
    ] {
        if !value.is_empty() {
            print_line!("{what:<26}{value}")?;
        }
    }
    for like in &one.candidates {
        print_line!("{:<26}{like}", "may be")?;
    }
    for (name, value) in &one.line_fields {
        print_line!("  the line says {name:<22}{value}")?;
    }
    for done in &one.history {
        print_line!(
            "{} {:<11} {}: {}",
            moment(done.time)?,
            done.state,
            done.actor,
            done.reason
        )?;
    }
    Ok(())
}

fn as_value(one: &pb::Discrepancy) -> Result<Value, CommandError> {
    let minor = |value: &str| value.parse::<i64>().ok().filter(|_| has_amounts(one));
    let history: Result<Vec<Value>, CommandError> = (one.history.iter())
        .map(|done| {
            Ok(json!({
                "time": moment(done.time)?, "state": done.state, "actor": done.actor, "reason": done.reason,
            }))
        })
        .collect();
    let text = |value: &str| (!value.is_empty()).then(|| value.to_owned());
    let names = one.candidates.iter().map(String::as_str);
    // What a bank statement's line may be has no RRN.
    let (subjects, rrns): (Vec<&str>, Vec<&str>) = match one.account.is_empty() {
        true => names.filter_map(|like| like.split_once(':')).unzip(),
        false => (names.collect(), Vec::new()),
    };
    Ok(json!({
        "discrepancy_id": one.discrepancy_id,
        "side": one.side,
        "import_id": one.import_id,
        "account": one.account,
        "statement_id": one.statement_id,
        "line_id": one.line_id,
        "missing": one.missing,
        "host_id": one.host_id,
        "business_date": one.business_date,
        "merchant_id": one.merchant_id,
        "kind": one.kind,
        "state": one.state,
        "currency": one.currency,
        "subject_id": one.subject_id,
        "rrn": text(&one.item_rrn),
        "line_rrn": text(&one.rrn),
        "ours": one.ours,
        "theirs": one.theirs,
        "own_minor": minor(&one.ours),
        "bank_minor": minor(&one.theirs).filter(|_| !is_code(one)),
        "line": Some(one.line).filter(|line| *line > 0),
        "file": one.file,
        "line_fields": one.line_fields,
        "rule": one.rule,
        "candidates": rrns,
        "candidate_ids": subjects,
        "owner": one.owner,
        "proposal": one.proposal,
        "correction_id": one.correction_id,
        "create_time": moment(one.create_time)?,
        "due_time": moment(one.due_time)?,
        "history": history?,
    }))
}

pub(super) fn show_lines(found: &[pb::ReportLine], as_json: bool) -> Result<(), CommandError> {
    if as_json {
        for one in found {
            let shown = json!({
                "line": one.line, "state": one.state, "rule": one.rule, "subject_id": one.subject_id,
                "rrn": Some(&one.item_rrn).filter(|rrn| !rrn.is_empty()), "fields": one.fields,
            });
            print_line!("{shown}")?;
        }
        return Ok(());
    }
    let mut table = table(&[
        "line", "state", "rule", "about", "its RRN", "RRN", "amount", "currency",
    ]);
    for one in found {
        let field = |name: &str| one.fields.get(name).cloned().unwrap_or_default();
        let currency = field("currency");
        let minor = field("gross_minor").parse().unwrap_or(0);
        table.add_row([
            one.line.to_string(),
            one.state.clone(),
            one.rule.clone(),
            one.subject_id.clone(),
            one.item_rrn.clone(),
            field("rrn"),
            amount(minor, &currency),
            currency,
        ]);
    }
    print_line!("{table}")?;
    Ok(())
}
