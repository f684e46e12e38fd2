//! The lines of banks' reports, as they came, and what they say of items.

use sqlx::any::AnyRow;

use super::columns::Columns;
use crate::payment::ids::{ImportId, OperationId};
use crate::payment::report_line::{ItemReport, KeptLine, LineOutcome, LineState};
use crate::payment::settlement_import::SettlementImport;
use crate::random::HashMap;
use crate::store::Store;
use crate::store::database::many_rows::ManyRows;
use crate::store::database::value::Value;
use crate::store::error::StoreError;
use crate::store::records::lists::MAX_PAGE_SIZE;
use crate::store::records::settlement::KeptReportLine;

/// Whether the import of these rows, which are all of one, has come as far as it was read: found out once for all of them.
macro_rules! as_it_was_read {
    ($rows:literal) => {
        concat!(
            "(SELECT COUNT(*) FROM settlement_imports AS held WHERE held.id = (SELECT MAX(import_id) FROM ",
            $rows,
            ") AND held.applied_to = (SELECT MAX(applied_to) FROM ",
            $rows,
            ") AND held.clears = 0 AND held.state IN ('RECEIVED', 'APPLYING')) = 1"
        )
    };
}
pub(super) use as_it_was_read;

/// Lines that have come. None of them is there as long as their import has come as far as it was read, so no conflict is
/// looked for: that costs PostgreSQL half as much as the row.
pub(super) const NEW_LINES: ManyRows = ManyRows {
    name: "new report lines",
    before: "WITH new (applied_to, import_id, line, acceptor, currency, said, state, operation_id, rule) AS (VALUES ",
    row: "(CAST(? AS BIGINT), CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), \
        CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT))",
    after: concat!(
        ") INSERT INTO report_lines (import_id, line, acceptor, currency, said, state, operation_id, rule) \
         SELECT import_id, line, acceptor, currency, said, state, operation_id, rule FROM new WHERE ",
        as_it_was_read!("new")
    ),
    returning: "",
};

/// Lines that were open. One is matched with all of its items, or not at all: another report may have settled one of them.
pub(super) const DECIDED_LINES: ManyRows = ManyRows {
    name: "decided report lines",
    before: "WITH decided (import_id, line, state, operation_id, rule, items) AS (VALUES ",
    row: "(CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS BIGINT))",
    after: ") UPDATE report_lines SET state = decided.state, operation_id = decided.operation_id, rule = decided.rule \
        FROM decided WHERE report_lines.import_id = decided.import_id AND report_lines.line = decided.line \
        AND report_lines.state = 'OPEN' AND (decided.state <> 'MATCHED' OR EXISTS (SELECT 1 FROM settlement_items AS own \
            WHERE own.operation_id = decided.operation_id AND COALESCE(own.settled_by, '') = decided.import_id \
            AND (SELECT COUNT(*) FROM settled_lines AS others WHERE others.import_id = decided.import_id \
                AND others.line = own.settled_line) = decided.items))",
    returning: "",
};

/// What a line says of an item.
macro_rules! what_a_line_says {
    () => {
        "acquirer_reference = said.acquirer_reference, interchange_minor = said.interchange_minor, \
         scheme_fee_minor = said.scheme_fee_minor, commission_minor = said.commission_minor, \
         bank_minor = said.bank_minor, reject_code = said.reject_code, settled_by = said.import_id, settled_line = said.line"
    };
}
pub(super) use what_a_line_says;

/// An item has no line any more.
macro_rules! no_line {
    () => {
        "acquirer_reference = NULL, interchange_minor = NULL, scheme_fee_minor = NULL, commission_minor = NULL, \
         bank_minor = NULL, reject_code = NULL, settled_by = NULL, settled_line = NULL, missed = 1"
    };
}
pub(super) use no_line;

/// What lines say of items that no line has settled, as long as their import has come as far as it was read.
pub(super) const SETTLED_ITEMS: ManyRows = ManyRows {
    name: "settled items",
    before: "WITH said (applied_to, operation_id, import_id, line, acquirer_reference, interchange_minor, \
        scheme_fee_minor, commission_minor, bank_minor, reject_code) AS (VALUES ",
    row: "(CAST(? AS BIGINT), CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS TEXT), \
        CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS BIGINT), CAST(? AS TEXT))",
    after: concat!(
        ") UPDATE settlement_items SET ",
        what_a_line_says!(),
        " FROM said \
         WHERE settlement_items.operation_id = said.operation_id AND settlement_items.settled_by IS NULL \
         AND settlement_items.business_date IS NOT NULL \
         AND EXISTS (SELECT 1 FROM report_lines WHERE report_lines.import_id = said.import_id \
             AND report_lines.line = said.line AND report_lines.state IN ('OPEN', 'MATCHED')) \
         AND EXISTS (SELECT 1 FROM settlement_imports WHERE settlement_imports.id = said.import_id \
             AND settlement_imports.applied_to = said.applied_to AND settlement_imports.clears = 0 \
             AND settlement_imports.state IN ('RECEIVED', 'APPLYING'))"
    ),
    returning: "",
};

/// What lines say of items that no line has settled, where the lines come with it: nobody has decided them before.
pub(super) const SETTLED_BY_NEW_LINES: ManyRows = ManyRows {
    name: "items settled by new lines",
    before: SETTLED_ITEMS.before,
    row: SETTLED_ITEMS.row,
    after: concat!(
        ") UPDATE settlement_items SET ",
        what_a_line_says!(),
        " FROM said \
         WHERE settlement_items.operation_id = said.operation_id AND settlement_items.settled_by IS NULL \
         AND settlement_items.business_date IS NOT NULL AND ",
        as_it_was_read!("said")
    ),
    returning: "",
};

pub(super) fn new_line(
    import: &SettlementImport,
    kept: &KeptLine,
    outcome: &LineOutcome,
) -> Vec<Value> {
    vec![
        import.applied_to.into(),
        import.id.to_string().into(),
        kept.number.into(),
        kept.acceptor.as_str().into(),
        kept.currency.code().into(),
        kept.said.as_str().into(),
        outcome.state.name().into(),
        outcome.operation_id.map(|it| it.to_string()).into(),
        outcome.rule.clone().into(),
    ]
}

/// Lines that are about several items, and have not got all of them, as another report has settled one meanwhile: they have
/// none then, and are looked at once more.
pub(super) const PARTLY_SETTLED: ManyRows = ManyRows {
    name: "lines without all of their items",
    before: "WITH said (import_id, line, items) AS (VALUES ",
    row: "(CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS BIGINT))",
    after: concat!(
        ") UPDATE settlement_items SET ",
        no_line!(),
        " FROM said, settled_lines AS of_line WHERE of_line.import_id = said.import_id AND of_line.line = said.line \
         AND settlement_items.operation_id = of_line.operation_id \
         AND settlement_items.settled_by = said.import_id AND settlement_items.settled_line = said.line \
         AND EXISTS (SELECT 1 FROM report_lines WHERE report_lines.import_id = said.import_id \
             AND report_lines.line = said.line AND report_lines.state = 'OPEN') \
         AND (SELECT COUNT(*) FROM settled_lines AS has WHERE has.import_id = said.import_id \
             AND has.line = said.line) < said.items"
    ),
    returning: "",
};

/// The lines that settle several of these items.
pub(super) fn lines_with_several_items(
    import: &SettlementImport,
    items: &[ItemReport],
) -> Vec<Vec<Value>> {
    let several = items_of_lines(items)
        .into_iter()
        .filter(|(_, count)| *count > 1);
    let row =
        |(line, count): (i64, i64)| vec![import.id.to_string().into(), line.into(), count.into()];
    several.map(row).collect()
}

/// How many of these items each line settles.
fn items_of_lines(items: &[ItemReport]) -> HashMap<i64, i64> {
    let mut counts: HashMap<i64, i64> = HashMap::default();
    for item in items {
        *counts.entry(item.line).or_default() += 1;
    }
    counts
}

/// Lines that were open, and these items that they are about.
pub(super) fn decided_lines(
    import: &SettlementImport,
    lines: &[LineOutcome],
    items: &[ItemReport],
) -> Vec<Vec<Value>> {
    let counts = items_of_lines(items);
    let settled_by: HashMap<OperationId, i64> = (items.iter())
        .map(|item| (item.operation_id, item.line))
        .collect();
    let row = |outcome: &LineOutcome| {
        // Of several lines that are about the same items, the first one settles them.
        let first = outcome.operation_id.and_then(|it| settled_by.get(&it));
        let count = first.and_then(|line| counts.get(line)).copied();
        vec![
            import.id.to_string().into(),
            outcome.number.into(),
            outcome.state.name().into(),
            outcome.operation_id.map(|it| it.to_string()).into(),
            outcome.rule.clone().into(),
            count.unwrap_or(0).into(),
        ]
    };
    lines.iter().map(row).collect()
}

pub(super) fn settled_item(import: &SettlementImport, item: &ItemReport) -> Vec<Value> {
    let of_import = [import.applied_to.into()];
    [&of_import[..], &said_of_item(import.id, item)].concat()
}

/// What a line of a report says of an item, from the item's operation on.
pub(super) fn said_of_item(import: ImportId, item: &ItemReport) -> [Value; 9] {
    [
        item.operation_id.to_string().into(),
        import.to_string().into(),
        item.line.into(),
        item.acquirer_reference.clone().into(),
        item.interchange_minor.into(),
        item.scheme_fee_minor.into(),
        item.commission_minor.into(),
        item.bank_minor.into(),
        item.reject_code.clone().into(),
    ]
}

impl Store {
    /// What the next open lines of a report say, as JSON: those of one acceptor, at most `limit`.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn open_lines(
        &self,
        import: ImportId,
        limit: usize,
    ) -> Result<Vec<String>, StoreError> {
        let text = "SELECT line, said FROM report_lines WHERE import_id = $1 AND state = 'OPEN' \
            AND acceptor = (SELECT MIN(acceptor) FROM report_lines WHERE import_id = $1 AND state = 'OPEN') \
            ORDER BY line LIMIT $2";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let values = [import.to_string().into(), limit.into()];
        let rows = self.read(text, &values).await?;
        let said = |row: &AnyRow| {
            let columns = Columns::named(row, "report_lines", String::new());
            Ok(columns.text("said")?.to_owned())
        };
        rows.iter().map(said).collect()
    }

    /// A line of a report as JSON, with what came of it.
    ///
    /// # Errors
    /// When the database can't be read, or the row is corrupt.
    pub async fn report_line(
        &self,
        import: ImportId,
        number: i64,
    ) -> Result<Option<(String, LineOutcome)>, StoreError> {
        let text = "SELECT * FROM report_lines WHERE import_id = $1 AND line = $2";
        let values = [import.to_string().into(), number.into()];
        let rows = self.read(text, &values).await?;
        rows.first().map(kept_line).transpose()
    }
}

impl Store {
    /// Lines of a report, in the order of the file, each with the items that it is about: those of at most `limit` lines
    /// (1 to [`MAX_PAGE_SIZE`]) after `after`.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn report_lines(
        &self,
        import: ImportId,
        limit: usize,
        after: i64,
    ) -> Result<Vec<KeptReportLine>, StoreError> {
        let limit = i64::try_from(limit.clamp(1, MAX_PAGE_SIZE)).unwrap_or(1);
        // Of several lines that are one item, the first one settles it.
        let text = "SELECT lines.line, lines.said, lines.state, lines.operation_id, lines.rule, own.rrn, \
            COALESCE(items.subject_id, named.subject_id) AS subject_id FROM (SELECT * FROM report_lines \
                WHERE import_id = $1 AND line > $2 ORDER BY line LIMIT $3) AS lines \
            LEFT JOIN settled_lines AS settled ON settled.import_id = $1 AND settled.line = lines.line \
            LEFT JOIN settlement_items AS items ON items.operation_id = settled.operation_id AND items.settled_by = $1 \
            AND items.settled_line = lines.line \
            LEFT JOIN settlement_items AS named ON named.operation_id = lines.operation_id \
            LEFT JOIN operations AS own ON own.id = COALESCE(items.operation_id, lines.operation_id) \
            ORDER BY lines.line, subject_id";
        let values = [import.to_string().into(), after.into(), limit.into()];
        let rows = self.read(text, &values).await?;
        let line = |row: &AnyRow| {
            let (said, outcome) = kept_line(row)?;
            let columns = Columns::named(row, "report_lines", outcome.number.to_string());
            Ok(KeptReportLine {
                said,
                outcome,
                subject_id: columns.optional_parsed("subject_id")?,
                item_rrn: columns.optional_parsed("rrn")?,
            })
        };
        rows.iter().map(line).collect()
    }
}

fn kept_line(row: &AnyRow) -> Result<(String, LineOutcome), StoreError> {
    let number = Columns::named(row, "report_lines", String::new()).integer("line")?;
    let columns = Columns::named(row, "report_lines", number.to_string());
    let state = columns.text("state")?;
    let outcome = LineOutcome {
        number,
        state: LineState::from_name(state)
            .ok_or_else(|| columns.corrupt("state", state, "expected the state of a line"))?,
        operation_id: columns.optional_parsed("operation_id")?,
        rule: columns.optional_text("rule")?,
    };
    Ok((columns.text("said")?.to_owned(), outcome))
}
