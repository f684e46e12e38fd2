//! Journals and their lines: written once, at the position of their event.

use iso8583::hex;

use super::text_buffer::TextBuffer;
use crate::ledger::journal::Journal;
use crate::payment::event_kind::EventKind;
use crate::payment::moment::UnixMillis;
use crate::store::database::connection::Statement;
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

/// The texts that put an event and a journal of a row at the next position, which that row has taken before; then it is
/// taken. [`next_position!`] makes them.
pub(super) struct NextPosition {
    pub(super) event: &'static str,
    pub(super) journal: &'static str,
    pub(super) line: &'static str,
    pub(super) taken: &'static str,
}

/// Texts of [`NextPosition`] for a row: `from` what, where that has the next position and the id $1; `id`, `merchant` and
/// `date` are columns of it.
macro_rules! next_position {
    (from: $from:literal, id: $id:literal, merchant: $merchant:literal, date: $date:literal) => {
        $crate::store::tables::journals::NextPosition {
            event: concat!(
                "INSERT INTO events (stream, position, payment_sequence, kind, at_ms, operation_id, state_detail, \
                 amounts, merchant_id) SELECT 0, positions.next, 0, CAST($2 AS TEXT), CAST($3 AS BIGINT), ",
                $id,
                ", CAST($4 AS TEXT), '', ",
                $merchant,
                " FROM ",
                $from
            ),
            journal: concat!(
                "INSERT INTO journals (stream, position, id, at_ms, content_sha256, business_date) \
                 SELECT 0, positions.next, CAST($2 AS TEXT), CAST($3 AS BIGINT), CAST($4 AS TEXT), ",
                $date,
                " FROM ",
                $from
            ),
            line: concat!(
                "INSERT INTO ledger_lines (stream, position, n, account, merchant_id, host_id, currency, \
                 amount_minor) SELECT 0, positions.next, CAST($2 AS BIGINT), CAST($3 AS TEXT), CAST($4 AS TEXT), \
                 CAST($5 AS TEXT), CAST($6 AS TEXT), CAST($7 AS BIGINT) FROM ",
                $from
            ),
            taken: concat!(
                "UPDATE positions SET next = next + 1 WHERE stream = 0 AND next IN (SELECT positions.next FROM ",
                $from,
                ")"
            ),
        }
    };
}
pub(super) use next_position;

impl NextPosition {
    /// The statements for the row with this id. `state` is what the event says of it.
    pub(super) fn statements(
        &self,
        id: &Value,
        (kind, state, at): (EventKind, &str, UnixMillis),
        journal: Option<&Journal>,
    ) -> Vec<Statement> {
        let statement = |text, values| Statement {
            text,
            values,
            returning: false,
        };
        let event = vec![
            id.clone(),
            Value::Static(kind.name()),
            at.as_i64().into(),
            state.into(),
        ];
        let mut statements = vec![statement(self.event, event)];
        if let Some(journal) = journal {
            let rows = JournalRows::of(&mut TextBuffer::new(), journal);
            let with_id = |values: Vec<Value>| {
                let id = std::iter::once(id.clone());
                id.chain(values).collect()
            };
            statements.push(statement(self.journal, with_id(rows.journal)));
            let lines = rows.lines.into_iter();
            statements.extend(lines.map(|line| statement(self.line, with_id(line))));
        }
        statements.push(statement(self.taken, vec![id.clone()]));
        statements
    }
}
