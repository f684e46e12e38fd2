//! Steps of discrepancies that statements take by themselves: a row in the history of each discrepancy that a condition holds
//! for, and its change, under that one condition.

use crate::store::database::connection::Statement;
use crate::store::database::value::Value;

/// The texts of a step by which discrepancies are ACCEPTED (`ends`) or OPEN again (`opens`): of reports (`told`: merchants are
/// to be told of it) or of accounts (`untold`). Moment, actor, reason and condition are SQL. Both texts name all values.
macro_rules! step_where {
    (ends $telling:ident, at $at:literal, by $by:literal, since $why:literal, where $($condition:tt)+) => {
        step_where!(@ "ACCEPTED", concat!("accepted_at_ms = ", $at, ", proposal = NULL"), $telling, $at, $by, $why, $($condition)+)
    };
    (opens $telling:ident, at $at:literal, by $by:literal, since $why:literal, where $($condition:tt)+) => {
        step_where!(@ "OPEN", "accepted_at_ms = NULL", $telling, $at, $by, $why, $($condition)+)
    };
    (@ $state:literal, $change:expr, $telling:ident, $at:literal, $by:literal, $why:literal, $($condition:tt)+) => {
        [
            concat!(
                "INSERT INTO difference_changes (difference_id, version, at_ms, state, actor, reason) \
                 SELECT id, version + 1, CAST(", $at, " AS BIGINT), '", $state, "', CAST(", $by, " AS TEXT), \
                 CAST(", $why, " AS TEXT) FROM settlement_differences WHERE ", $($condition)+, " ON CONFLICT DO NOTHING"
            ),
            concat!(
                "UPDATE settlement_differences SET state = '", $state, "', ", $change, ", updated_at_ms = ", $at,
                ", version = version + 1", step_where!(@position $telling), " WHERE ", $($condition)+,
                // PostgreSQL takes no value that a statement does not name.
                " AND CAST(", $by, " AS TEXT) IS NOT NULL AND CAST(", $why, " AS TEXT) IS NOT NULL"
            ),
        ]
    };
    (@position told) => { ", position = NULL" };
    (@position untold) => { "" };
}
pub(super) use step_where;

/// The two statements of a step.
pub(super) fn step_statements(texts: [&'static str; 2], values: Vec<Value>) -> [Statement; 2] {
    texts.map(|text| Statement {
        text,
        values: values.clone(),
        returning: false,
    })
}
