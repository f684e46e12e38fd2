//! Lines of reports, applied some at a time: each time the row of their import is held first and says how far it has come, so
//! that of two nodes one is first, and nothing is applied twice.

use super::columns::Columns;
use super::difference_steps::{step_statements, step_where};
use super::new_differences::{OF_NEW_LINES, OF_OPEN_LINES, new_differences};
use super::report_lines::{
    DECIDED_LINES, NEW_LINES, PARTLY_SETTLED, SETTLED_BY_NEW_LINES, SETTLED_ITEMS, decided_lines,
    lines_with_several_items, new_line, settled_item,
};
use super::settled_lines::{
    NEW_SETTLED_LINES, NO_SETTLED_LINES, SETTLED_LINES_OF_NEW_LINES, settled_line,
};
use super::settlement_imports::hold;
use crate::payment::difference::{Difference, DifferenceKind};
use crate::payment::moment::UnixMillis;
use crate::payment::report_line::{AppliedLines, ItemReport, KeptLine};
use crate::payment::settlement_import::SettlementImport;
use crate::store::Store;
use crate::store::database::connection::Statement;
use crate::store::database::engine::Engine;
use crate::store::database::many_rows::ManyRows;
use crate::store::database::value::Value;
use crate::store::error::StoreError;

/// How many lines one statement counts.
const COUNTED_AT_ONCE: i64 = 20_000;
/// How many lines of a report one transaction applies: on SQLite payments wait for it.
const APPLIED_AT_ONCE_ON_SQLITE: usize = 512;
/// On PostgreSQL it has a connection of its own, for which heartbeats wait.
const APPLIED_AT_ONCE_ON_POSTGRES: usize = 1_024;

/// Items that a report does not have: later reports may bring them. What a line settles meanwhile is not looked at.
const MISSED_ITEMS: ManyRows = ManyRows {
    name: "missed items",
    before: "WITH said (operation_id) AS (VALUES ",
    row: "(CAST(? AS TEXT))",
    after: ") UPDATE settlement_items SET missed = 1 FROM said WHERE settlement_items.operation_id = said.operation_id \
        AND settlement_items.settled_by IS NULL",
    returning: "",
};

impl Store {
    /// How many lines of a report are applied in one transaction.
    #[must_use]
    pub fn report_lines_at_once(&self) -> usize {
        match self.inner.engine {
            Engine::Sqlite => APPLIED_AT_ONCE_ON_SQLITE,
            Engine::Postgres => APPLIED_AT_ONCE_ON_POSTGRES,
        }
    }

    /// Applies the next lines of a report, which has come to `import.applied_to`. Whether it was this that applied them:
    /// another node may have been first.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn apply_lines(
        &self,
        import: &SettlementImport,
        kept: &[KeptLine],
        applied: &AppliedLines,
        at: UnixMillis,
    ) -> Result<bool, StoreError> {
        let engine = self.inner.housekeeping.database.engine;
        let mut statements = vec![hold(import)];
        let lines = kept.iter().zip(&applied.lines);
        let lines = lines.map(|(kept, outcome)| new_line(import, kept, outcome));
        statements.extend(NEW_LINES.statements(engine, lines.collect()));
        let items = applied.items.iter().map(|item| settled_item(import, item));
        statements.extend(SETTLED_BY_NEW_LINES.statements(engine, items.collect()));
        let applied_to = [import.applied_to.into()];
        let items = applied.items.iter();
        let items = items.map(|item| [&applied_to[..], &settled_line(import.id, item)].concat());
        statements.extend(SETTLED_LINES_OF_NEW_LINES.statements(engine, items.collect()));
        // Another import may have settled one of them meanwhile: then its line is looked at once more when all have come.
        // That is seldom so, and counting says whether it is.
        if let (Some(first), Some(last)) = (kept.first(), kept.last()) {
            statements.push(Statement {
                text: "UPDATE report_lines SET state = 'OPEN', operation_id = NULL, rule = NULL WHERE import_id = $1 \
                    AND line >= $2 AND line <= $3 AND state = 'MATCHED' AND (SELECT COUNT(*) FROM settled_lines AS settled \
                        WHERE settled.import_id = $1 AND settled.line >= $2 AND settled.line <= $3) < $4 \
                    AND NOT EXISTS (SELECT 1 \
                        FROM settlement_items WHERE settlement_items.operation_id = report_lines.operation_id \
                        AND settlement_items.settled_by = report_lines.import_id)",
                values: vec![
                    import.id.to_string().into(),
                    first.number.into(),
                    last.number.into(),
                    i64::try_from(applied.items.len()).unwrap_or(i64::MAX).into(),
                ],
                returning: false,
            });
        }
        let missed = applied.items.iter().filter(|item| item.was_missed);
        statements.extend(missed.flat_map(|item| no_longer_missed(import, item, at)));
        statements.extend(new_differences(
            engine,
            &OF_NEW_LINES,
            import,
            &applied.differences,
            at,
        ));
        statements.push(Statement {
            text: "UPDATE settlement_imports SET state = 'APPLYING', applied_to = applied_to + $3, \
                matched = matched + $4 WHERE id = $1 AND applied_to = $2 AND clears = 0 \
                AND state IN ('RECEIVED', 'APPLYING')",
            values: vec![
                import.id.to_string().into(),
                import.applied_to.into(),
                i64::try_from(kept.len()).unwrap_or(i64::MAX).into(),
                applied.matched.into(),
            ],
            returning: false,
        });
        let ran = self.inner.housekeeping.run(statements).await?;
        Ok(ran.last().is_some_and(|applied| applied.rows_affected == 1))
    }

    /// Records what came of lines that were open, once all have come: what is recorded already stays.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn decide_lines(
        &self,
        import: &SettlementImport,
        applied: &AppliedLines,
        at: UnixMillis,
    ) -> Result<(), StoreError> {
        let engine = self.inner.housekeeping.database.engine;
        let mut statements = vec![hold(import)];
        let items = applied.items.iter().map(|item| settled_item(import, item));
        statements.extend(SETTLED_ITEMS.statements(engine, items.collect()));
        let items = applied.items.iter();
        let items = items.map(|item| settled_line(import.id, item));
        statements.extend(NEW_SETTLED_LINES.statements(engine, items.collect()));
        let several = lines_with_several_items(import, &applied.items);
        let lines = several
            .iter()
            .map(|row| row.iter().take(2).cloned().collect());
        let lines = lines.collect();
        statements.extend(PARTLY_SETTLED.statements(engine, several));
        statements.extend(NO_SETTLED_LINES.statements(engine, lines));
        let missed = applied.items.iter().filter(|item| item.was_missed);
        statements.extend(missed.flat_map(|item| no_longer_missed(import, item, at)));
        statements.extend(new_differences(
            engine,
            &OF_OPEN_LINES,
            import,
            &applied.differences,
            at,
        ));
        let lines = decided_lines(import, &applied.lines, &applied.items);
        statements.extend(DECIDED_LINES.statements(engine, lines));
        self.inner.housekeeping.run(statements).await.map(drop)
    }

    /// Counts the lines of a report that have an item, once all are decided.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn count_matched(&self, import: &SettlementImport) -> Result<(), StoreError> {
        let page = "SELECT CAST(COALESCE(MAX(line), -1) AS BIGINT) AS last, COUNT(CASE WHEN state = 'MATCHED' THEN 1 END) \
            AS matched FROM (SELECT line, state FROM report_lines WHERE import_id = $1 AND line > $2 \
            ORDER BY line LIMIT $3) AS page";
        let id: Value = import.id.to_string().into();
        let (mut last, mut matched) = (-1_i64, 0_i64);
        loop {
            let values = [id.clone(), last.into(), COUNTED_AT_ONCE.into()];
            let rows = self.read(page, &values).await?;
            let Some(row) = rows.first() else {
                break;
            };
            let columns = Columns::named(row, "report_lines", String::new());
            last = columns.integer("last")?;
            if last < 0 {
                break;
            }
            matched = matched.saturating_add(columns.integer("matched")?);
        }
        let counted = Statement {
            text: "UPDATE settlement_imports SET matched = $2 WHERE id = $1 AND applied_to = lines AND clears = 0 \
                AND state IN ('RECEIVED', 'APPLYING')",
            values: vec![id, matched.into()],
            returning: false,
        };
        self.inner.housekeeping.run(vec![counted]).await.map(drop)
    }

    /// Records what a report has otherwise and no line of it tells.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn add_differences(
        &self,
        import: &SettlementImport,
        differences: &[Difference],
        at: UnixMillis,
    ) -> Result<(), StoreError> {
        let engine = self.inner.housekeeping.database.engine;
        let mut statements = vec![hold(import)];
        let missing = differences
            .iter()
            .filter(|found| found.kind == DifferenceKind::NotInReport);
        let missing =
            missing.filter_map(|found| Some(vec![found.operation_id?.to_string().into()]));
        statements.extend(MISSED_ITEMS.statements(engine, missing.collect()));
        statements.extend(new_differences(
            engine,
            &OF_OPEN_LINES,
            import,
            differences,
            at,
        ));
        self.inner.housekeeping.run(statements).await.map(drop)
    }
}

/// Ends what an earlier report has missed of an item that this one has settled.
fn no_longer_missed(
    import: &SettlementImport,
    item: &ItemReport,
    at: UnixMillis,
) -> [Statement; 2] {
    let (date, line) = (import.business_date, item.line);
    let values: Vec<Value> = vec![
        item.operation_id.to_string().into(),
        import.id.to_string().into(),
        at.as_i64().into(),
        format!("it is line {line} of the report of {date}").into(),
    ];
    let found = step_where!(
        ends told, at "$3", by "'payswitch'", since "$4", where
        "operation_id = $1 AND kind = 'NOT_IN_REPORT' AND state NOT IN ('ACCEPTED', 'CORRECTED') \
         AND EXISTS (SELECT 1 FROM settlement_items WHERE settlement_items.operation_id = $1 AND settled_by = $2)"
    );
    step_statements(found, values)
}
