//! Which items a line of a report settles. What is not so any more is deleted; who reads it compares it with the items.

use super::report_lines::as_it_was_read;
use crate::payment::ids::ImportId;
use crate::payment::report_line::ItemReport;
use crate::store::database::connection::Statement;
use crate::store::database::many_rows::ManyRows;
use crate::store::database::value::Value;

/// Whether an item is not settled any more by what a row says.
macro_rules! is_not_so {
    () => {
        "NOT EXISTS (SELECT 1 FROM settlement_items AS items WHERE items.operation_id = settled_lines.operation_id \
         AND items.settled_by = settled_lines.import_id AND items.settled_line = settled_lines.line)"
    };
}

/// The rows of items that lines have settled just now, where they have.
macro_rules! rows_of_settled {
    () => {
        ") INSERT INTO settled_lines (import_id, line, operation_id) \
         SELECT said.import_id, said.line, said.operation_id FROM said JOIN settlement_items AS items \
         ON items.operation_id = said.operation_id WHERE items.settled_by = said.import_id \
         AND items.settled_line = said.line"
    };
}

/// Items that lines have settled which were there.
pub(super) const NEW_SETTLED_LINES: ManyRows = ManyRows {
    name: "new settled lines",
    before: "WITH said (import_id, line, operation_id) AS (VALUES ",
    row: "(CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS TEXT))",
    after: concat!(rows_of_settled!(), " ON CONFLICT DO NOTHING"),
    returning: "",
};

/// Items that lines have settled which have come with this, as long as their import has come as far as it was read: then
/// these lines have no rows before, and no conflict is looked for.
pub(super) const SETTLED_LINES_OF_NEW_LINES: ManyRows = ManyRows {
    name: "settled lines of new lines",
    before: "WITH said (applied_to, import_id, line, operation_id) AS (VALUES ",
    row: "(CAST(? AS BIGINT), CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS TEXT))",
    after: concat!(rows_of_settled!(), " AND ", as_it_was_read!("said")),
    returning: "",
};

/// Lines whose items were taken back from them.
pub(super) const NO_SETTLED_LINES: ManyRows = ManyRows {
    name: "no settled lines any more",
    before: "WITH said (import_id, line) AS (VALUES ",
    row: "(CAST(? AS TEXT), CAST(? AS BIGINT))",
    after: concat!(
        ") DELETE FROM settled_lines WHERE (import_id, line) IN (SELECT import_id, line FROM said) AND ",
        is_not_so!()
    ),
    returning: "",
};

/// Of the items that the line $2 of the import $1 has.
macro_rules! of_line {
    ($what:literal) => {
        concat!(
            "SELECT ",
            $what,
            " FROM settled_lines AS of_line JOIN settlement_items AS items ON items.operation_id = of_line.operation_id \
             AND items.settled_by = of_line.import_id AND items.settled_line = of_line.line \
             WHERE of_line.import_id = $1 AND of_line.line = $2"
        )
    };
}
pub(super) use of_line;

/// The row of an item that a line has settled.
pub(super) fn settled_line(import: ImportId, item: &ItemReport) -> Vec<Value> {
    vec![
        import.to_string().into(),
        item.line.into(),
        item.operation_id.to_string().into(),
    ]
}

/// Deletes what the line says of items that were taken back from it: its values are the import and the line.
pub(super) fn no_settled_line(line: Vec<Value>) -> Statement {
    Statement {
        text: concat!(
            "DELETE FROM settled_lines WHERE import_id = $1 AND line = $2 AND ",
            is_not_so!()
        ),
        values: line,
        returning: false,
    }
}
