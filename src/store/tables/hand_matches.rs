//! What a person says that a line of a report is about: recorded together with the step of its discrepancy, or not at all.

use super::business_days::hold_positions;
use super::difference_steps::{step_statements, step_where};
use super::report_lines::{no_line, said_of_item, what_a_line_says};
use super::settled_lines::{NEW_SETTLED_LINES, no_settled_line, of_line, settled_line};
use crate::payment::discrepancy::Discrepancy;
use crate::payment::ids::ImportId;
use crate::payment::moment::UnixMillis;
use crate::payment::report_line::{BY_HAND, ItemReport, LineChange, LineOutcome};
use crate::store::database::connection::Statement;
use crate::store::database::engine::Engine;
use crate::store::database::many_rows::{ManyRows, rows_per_statement};
use crate::store::database::value::Value;
use crate::store::error::StoreError;

/// Items that are about to be settled together: nobody else settles one of them before this is done.
const HELD_ITEMS: ManyRows = ManyRows {
    name: "held items",
    before: "WITH held (operation_id) AS (VALUES ",
    row: "(CAST(? AS TEXT))",
    after: ") UPDATE settlement_items SET settled_by = settlement_items.settled_by FROM held \
        WHERE settlement_items.operation_id = held.operation_id",
    returning: "",
};

/// Where they are missed: nobody decides on that meanwhile.
const HELD_MISSING: ManyRows = ManyRows {
    name: "held discrepancies of items",
    before: "WITH held (operation_id) AS (VALUES ",
    row: "(CAST(? AS TEXT))",
    after: ") UPDATE settlement_differences SET version = settlement_differences.version FROM held \
        WHERE settlement_differences.operation_id = held.operation_id AND settlement_differences.kind = 'NOT_IN_REPORT'",
    returning: "",
};

/// What a line says of the items that a person has found it to be about: of all of them, or of none.
const SETTLED_BY_HAND: ManyRows = ManyRows {
    name: "items settled by hand",
    before: "WITH said (difference_id, version, operation_id, import_id, line, acquirer_reference, interchange_minor, \
        scheme_fee_minor, commission_minor, bank_minor, reject_code) AS (VALUES ",
    row: "(CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS TEXT), \
        CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS TEXT))",
    after: concat!(
        ") UPDATE settlement_items SET ",
        what_a_line_says!(),
        " FROM said \
        WHERE settlement_items.operation_id = said.operation_id \
        AND (SELECT COUNT(*) FROM said AS one JOIN settlement_items AS free ON free.operation_id = one.operation_id \
            WHERE free.settled_by IS NULL AND free.business_date IS NOT NULL) = {rows} \
        AND NOT EXISTS (SELECT 1 FROM said AS one JOIN settlement_differences AS missing \
            ON missing.operation_id = one.operation_id WHERE missing.kind = 'NOT_IN_REPORT' \
            AND missing.state IN ('CORRECTED', 'PROPOSED')) \
        AND EXISTS (SELECT 1 FROM settlement_differences AS stepped WHERE stepped.id = said.difference_id \
            AND stepped.version = said.version) \
        AND EXISTS (SELECT 1 FROM report_lines WHERE report_lines.import_id = said.import_id \
            AND report_lines.line = said.line AND report_lines.state IN ('AMBIGUOUS', 'UNKNOWN')) \
        AND EXISTS (SELECT 1 FROM settlement_imports WHERE settlement_imports.id = said.import_id \
            AND settlement_imports.state = 'DONE')"
    ),
    returning: "",
};

/// Whether what a person has matched with the line $2 of the import $1 may be undone, by a step of the discrepancy $3 from
/// the version $4: as long as no fee was charged, and nothing funded, since it was matched at $5.
macro_rules! may_undo {
    () => {
        "EXISTS (SELECT 1 FROM report_lines WHERE report_lines.import_id = $1 AND report_lines.line = $2 \
            AND report_lines.rule = 'by-hand') \
        AND EXISTS (SELECT 1 FROM settlement_imports WHERE settlement_imports.id = $1 AND settlement_imports.state = 'DONE') \
        AND EXISTS (SELECT 1 FROM settlement_differences AS stepped WHERE stepped.id = $3 AND stepped.version = $4) \
        AND NOT EXISTS (SELECT 1 FROM settled_lines AS of_line JOIN settlement_items AS paid \
            ON paid.operation_id = of_line.operation_id AND paid.settled_by = of_line.import_id \
            AND paid.settled_line = of_line.line JOIN settlement_batches AS batches ON batches.host_id = paid.host_id AND batches.business_date = paid.business_date \
            AND batches.merchant_id = paid.merchant_id AND batches.currency = paid.currency \
            WHERE of_line.import_id = $1 AND of_line.line = $2 AND (batches.fees_at_ms >= $5 \
                OR batches.funded_at_ms >= $5 OR (batches.fees_at_ms IS NULL AND batches.fees_to IS NOT NULL)))"
    };
}

/// What was ended because a line was about it, and what of that is as the match has left it: $6 is the reason.
macro_rules! missed_again {
    () => {
        concat!(
            "kind = 'NOT_IN_REPORT' AND state = 'ACCEPTED' AND operation_id IN (",
            of_line!("items.operation_id"),
            ") AND EXISTS (SELECT 1 FROM difference_changes AS changes WHERE changes.difference_id = settlement_differences.id \
             AND changes.version = settlement_differences.version AND changes.reason = $6) AND ",
            may_undo!()
        )
    };
}

/// The statements that change what a line is about, before those that take the step of its discrepancy from `before`. They
/// do it all or nothing, and the row of the discrepancy is held.
///
/// # Errors
/// When there are more items than one statement takes: only in one are they all settled, or none.
pub(super) fn line_change(
    engine: Engine,
    before: &Discrepancy,
    change: &LineChange,
    (by, at): (&str, UnixMillis),
) -> Result<Vec<Statement>, StoreError> {
    let Some(found) = before.found.in_report() else {
        return Err(StoreError::Invalid {
            expected: "a discrepancy of a report",
            got: before.id.clone(),
        });
    };
    let import: Value = found.import_id.to_string().into();
    // Who applies the report, amends it or matches its lines holds its row.
    let mut statements = vec![Statement {
        text: "UPDATE settlement_imports SET applied_to = applied_to WHERE id = $1",
        values: vec![import.clone()],
        returning: false,
    }];
    match change {
        LineChange::Matched(items) => {
            let matched = matched(engine, (before, found.import_id), items, (by, at));
            statements.extend(matched?);
        }
        LineChange::Undone {
            outcome,
            matched_at,
        } => statements.extend(undone(
            (before, found.import_id),
            outcome,
            *matched_at,
            (by, at),
        )),
    }
    Ok(statements)
}

/// Why what was missed is not any more, by which it is known again.
fn reason(import_id: ImportId, line: i64) -> Value {
    format!("by hand: it is line {line} of {import_id}").into()
}

fn matched(
    engine: Engine,
    (before, import_id): (&Discrepancy, ImportId),
    items: &[ItemReport],
    (by, at): (&str, UnixMillis),
) -> Result<Vec<Statement>, StoreError> {
    let count = items.len();
    let Some(first) = items.first().filter(|_| rows_per_statement(count) == count) else {
        return Err(StoreError::Invalid {
            expected: "as many items as one statement takes",
            got: count.to_string(),
        });
    };
    let mut items: Vec<&ItemReport> = items.iter().collect();
    // Two people who match the same items wait for each other.
    items.sort_unstable_by_key(|item| item.operation_id);
    let import: Value = import_id.to_string().into();
    let names = || {
        let names = items.iter();
        names.map(|item| vec![item.operation_id.to_string().into()])
    };
    let step: [Value; 2] = [before.id.as_str().into(), before.version.into()];
    let rows = items.iter().map(|item| {
        let said = said_of_item(import_id, item);
        [&step[..], &said].concat()
    });
    let mut statements = vec![hold(before)];
    statements.extend(HELD_MISSING.statements(engine, names().collect()));
    // Items and batches are held behind the positions, as they are by payments and by what funds.
    statements.push(hold_positions());
    statements.extend(HELD_ITEMS.statements(engine, names().collect()));
    statements.extend(SETTLED_BY_HAND.statements(engine, rows.collect()));
    let lines = items.iter().map(|item| settled_line(import_id, item));
    statements.extend(NEW_SETTLED_LINES.statements(engine, lines.collect()));
    let (line, reason): (Value, Value) = (first.line.into(), reason(import_id, first.line));
    statements.push(Statement {
        text: "UPDATE report_lines SET state = 'MATCHED', operation_id = $3, rule = $4 WHERE import_id = $1 AND line = $2 \
            AND state IN ('AMBIGUOUS', 'UNKNOWN') AND EXISTS (SELECT 1 FROM settlement_items \
                WHERE settlement_items.operation_id = $3 AND settled_by = $1 AND settled_line = $2)",
        values: vec![
            import.clone(),
            line.clone(),
            first.operation_id.to_string().into(),
            BY_HAND.into(),
        ],
        returning: false,
    });
    // What was missed of them is found.
    let found = step_where!(
        ends told, at "$3", by "$4", since "$5", where
        "kind = 'NOT_IN_REPORT' AND state NOT IN ('ACCEPTED', 'CORRECTED', 'PROPOSED') \
         AND EXISTS (SELECT 1 FROM settlement_differences AS stepped WHERE stepped.id = $6 AND stepped.version = $7) \
         AND operation_id IN (",
        of_line!("items.operation_id"),
        ")"
    );
    let values = vec![
        import,
        line,
        at.as_i64().into(),
        by.into(),
        reason,
        before.id.as_str().into(),
        before.version.into(),
    ];
    statements.extend(step_statements(found, values));
    Ok(statements)
}

fn undone(
    (before, import_id): (&Discrepancy, ImportId),
    outcome: &LineOutcome,
    matched_at: UnixMillis,
    (by, at): (&str, UnixMillis),
) -> Vec<Statement> {
    let line: Vec<Value> = vec![import_id.to_string().into(), outcome.number.into()];
    let may: Vec<Value> = [before.id.as_str().into(), before.version.into()]
        .into_iter()
        .chain([matched_at.as_i64().into()])
        .collect();
    let missed = step_where!(
        opens told, at "$7", by "$8", since "'the match was undone: ' || $6", where missed_again!()
    );
    let reason = reason(import_id, outcome.number);
    let because = vec![reason, at.as_i64().into(), by.into()];
    let mut statements = vec![
        hold(before),
        hold_positions(),
        // Who charges or funds them comes before it or after it.
        Statement {
            text: concat!(
                "UPDATE settlement_batches SET state = state WHERE (host_id, business_date, merchant_id, currency) IN (",
                of_line!("items.host_id, items.business_date, items.merchant_id, items.currency"),
                ")"
            ),
            values: line.clone(),
            returning: false,
        },
    ];
    let values = [line.clone(), may.clone(), because].concat();
    statements.extend(step_statements(missed, values));
    statements.extend([
        Statement {
            text: concat!(
                "UPDATE settlement_items SET ",
                no_line!(),
                " WHERE operation_id IN (",
                of_line!("items.operation_id"),
                ") AND ",
                may_undo!()
            ),
            values: [line.clone(), may].concat(),
            returning: false,
        },
        no_settled_line(line.clone()),
        Statement {
            text: "UPDATE report_lines SET state = $3, operation_id = $4, rule = $5 WHERE import_id = $1 AND line = $2 \
                AND rule = 'by-hand' AND NOT EXISTS (SELECT 1 FROM settled_lines WHERE settled_lines.import_id = $1 \
                    AND settled_lines.line = $2)",
            values: line
                .into_iter()
                .chain([
                    outcome.state.name().into(),
                    outcome.operation_id.map(|it| it.to_string()).into(),
                    outcome.rule.clone().into(),
                ])
                .collect(),
            returning: false,
        },
    ]);
    statements
}

/// Holds the row of a discrepancy: one who takes another step waits.
pub(super) fn hold(before: &Discrepancy) -> Statement {
    Statement {
        text: "UPDATE settlement_differences SET version = version WHERE id = $1",
        values: vec![before.id.as_str().into()],
        returning: false,
    }
}
