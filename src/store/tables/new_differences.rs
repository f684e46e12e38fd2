//! What the lines of a report have otherwise, recorded as they are decided.

use crate::payment::difference::{Difference, DifferenceKind};
use crate::payment::moment::UnixMillis;
use crate::payment::settlement_import::SettlementImport;
use crate::store::database::connection::Statement;
use crate::store::database::engine::Engine;
use crate::store::database::many_rows::ManyRows;
use crate::store::database::value::Value;

/// By when a difference should be decided: two days after it was found, in milliseconds.
pub(super) const DUE_AFTER_MS: i64 = 2 * 24 * 60 * 60 * 1_000;

/// Differences of an import that has come as far as it was read, each under one more condition.
macro_rules! differences_where {
    ($name:literal, $condition:literal) => {
        ManyRows {
            name: $name,
            before: "WITH found (id, import_id, applied_to, kind, host_id, business_date, merchant_id, currency, \
                operation_id, subject_id, rrn, ours, theirs, line, found_at_ms, rule, \
                candidates, due_at_ms) AS (VALUES ",
            row: "(CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS TEXT), \
                CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), \
                CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), \
                CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS TEXT), \
                CAST(? AS TEXT), CAST(? AS BIGINT))",
            after: concat!(
                ") INSERT INTO settlement_differences (id, import_id, kind, host_id, business_date, merchant_id, \
                 currency, operation_id, subject_id, rrn, ours, theirs, line, found_at_ms, rule, candidates, \
                 due_at_ms, updated_at_ms) SELECT found.id, found.import_id, found.kind, found.host_id, \
                 found.business_date, found.merchant_id, found.currency, found.operation_id, found.subject_id, \
                 found.rrn, found.ours, found.theirs, found.line, found.found_at_ms, found.rule, found.candidates, \
                 found.due_at_ms, found.found_at_ms FROM found WHERE EXISTS (SELECT 1 FROM settlement_imports \
                     WHERE settlement_imports.id = found.import_id \
                     AND settlement_imports.applied_to = found.applied_to AND settlement_imports.clears = 0 \
                     AND (settlement_imports.state IN ('RECEIVED', 'APPLYING') \
                          OR settlement_imports.state = 'DONE' AND settlement_imports.cycle > 0)) AND ",
                $condition,
                " ON CONFLICT DO NOTHING"
            ),
            returning: "",
        }
    };
}

// What each is of must be as it was read: another import, another node or a person may have come first.

/// Of items that no line settles, also of no report that is being applied meanwhile.
const OF_OPEN_ITEMS: ManyRows = differences_where!(
    "differences of open items",
    "EXISTS (SELECT 1 FROM settlement_items WHERE settlement_items.operation_id = found.operation_id \
     AND settlement_items.settled_by IS NULL /*POSTGRES FOR SHARE */)"
);
/// Of lines that settle nothing, and have come just now.
pub(super) const OF_NEW_LINES: ManyRows = differences_where!(
    "differences of new lines",
    "EXISTS (SELECT 1 FROM report_lines WHERE report_lines.import_id = found.import_id \
     AND report_lines.line = found.line AND report_lines.state = CASE found.kind \
         WHEN 'AMBIGUOUS' THEN 'AMBIGUOUS' WHEN 'DUPLICATE_LINE' THEN 'ONCE_MORE' ELSE 'UNKNOWN' END)"
);
/// Of those that were open: each is decided once.
pub(super) const OF_OPEN_LINES: ManyRows = differences_where!(
    "differences of open lines",
    "EXISTS (SELECT 1 FROM report_lines WHERE report_lines.import_id = found.import_id \
     AND report_lines.line = found.line AND report_lines.state = 'OPEN')"
);
/// Of items that a line of this import has settled.
const OF_SETTLED_ITEMS: ManyRows = differences_where!(
    "differences of settled items",
    "EXISTS (SELECT 1 FROM settlement_items WHERE settlement_items.operation_id = found.operation_id \
     AND COALESCE(settlement_items.settled_by, '') = found.import_id)"
);

/// The statements that record these differences, before lines that were open are decided.
pub(super) fn new_differences(
    engine: Engine,
    lines: &'static ManyRows,
    import: &SettlementImport,
    differences: &[Difference],
    at: UnixMillis,
) -> Vec<Statement> {
    let (mut of_open_items, mut of_lines, mut of_settled_items) = (vec![], vec![], vec![]);
    for found in differences {
        let rows = match found.kind {
            DifferenceKind::NotInReport => &mut of_open_items,
            _ if found.is_of_line() => &mut of_lines,
            _ => &mut of_settled_items,
        };
        rows.push(row(import, found, at));
    }
    let mut statements = OF_OPEN_ITEMS.statements(engine, of_open_items);
    statements.extend(lines.statements(engine, of_lines));
    statements.extend(OF_SETTLED_ITEMS.statements(engine, of_settled_items));
    statements
}

fn row(import: &SettlementImport, found: &Difference, at: UnixMillis) -> Vec<Value> {
    let text = |value: Option<String>| Value::from(value);
    let candidates: Vec<String> = found.candidates.iter().map(ToString::to_string).collect();
    let candidates = (!candidates.is_empty()).then(|| candidates.join(" "));
    vec![
        found.id(import).to_string().into(),
        import.id.to_string().into(),
        import.applied_to.into(),
        found.kind.name().into(),
        found.host_id.as_str().into(),
        found.business_date.to_string().into(),
        text(found.merchant_id.map(|merchant| merchant.to_string())),
        found.currency.code().into(),
        text(found.operation_id.map(|operation| operation.to_string())),
        text(found.subject_id.map(|subject| subject.to_string())),
        found.rrn.clone().into(),
        found.ours.clone().into(),
        found.theirs.clone().into(),
        found.line.into(),
        at.as_i64().into(),
        found.rule.clone().into(),
        text(candidates),
        at.plus_ms(DUE_AFTER_MS).as_i64().into(),
    ]
}
