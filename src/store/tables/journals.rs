//! Journals and their lines: written once, at the position of their event.

use iso8583::hex;

use super::text_buffer::TextBuffer;
use crate::ledger::journal::Journal;
use crate::store::database::many_rows::ManyRows;
use crate::store::database::value::Value;

/// Journals. `back` says how many positions before the next one theirs is.
pub(in crate::store) const JOURNALS: ManyRows = ManyRows {
    name: "journals",
    before: "WITH new (back, id, at_ms, content_sha256) AS (VALUES ",
    row: "(CAST(? AS BIGINT), CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS TEXT))",
    after: ") INSERT INTO journals (stream, position, id, at_ms, content_sha256) \
        SELECT 0, positions.next - new.back, new.id, new.at_ms, new.content_sha256 \
        FROM new CROSS JOIN positions WHERE positions.stream = 0",
    returning: "",
};

/// Lines of journals, each with its journal's `back`.
pub(in crate::store) const LEDGER_LINES: ManyRows = ManyRows {
    name: "ledger lines",
    before: "WITH new (back, n, account, merchant_id, host_id, currency, amount_minor) AS (VALUES ",
    row: "(CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), \
        CAST(? AS TEXT), CAST(? AS BIGINT))",
    after: ") INSERT INTO ledger_lines \
        (stream, position, n, account, merchant_id, host_id, currency, amount_minor) \
        SELECT 0, positions.next - new.back, new.n, new.account, new.merchant_id, new.host_id, \
        new.currency, new.amount_minor FROM new CROSS JOIN positions WHERE positions.stream = 0",
    returning: "",
};

/// The rows of a journal, without `back`, which only the writer knows.
#[derive(Debug)]
pub(in crate::store) struct JournalRows {
    pub(in crate::store) journal: Vec<Value>,
    pub(in crate::store) lines: Vec<Vec<Value>>,
}

impl JournalRows {
    pub(in crate::store) fn of(texts: &mut TextBuffer, journal: &Journal) -> Self {
        let lines = journal.lines().iter().zip(0_i64..);
        Self {
            journal: vec![
                journal.id().into(),
                journal.at().as_i64().into(),
                hex::encode_lower(&journal.content_hash()).into(),
            ],
            lines: lines
                .map(|(line, number)| {
                    vec![
                        number.into(),
                        texts.text(line.account.kind).into(),
                        texts.text(line.account.merchant_id).into(),
                        texts.text(line.account.host_id).into(),
                        Value::Static(line.currency.code()),
                        line.amount_minor.into(),
                    ]
                })
                .collect(),
        }
    }
}
