//! Reports that were taken in: recorded, read, amended, and finished once all of their lines are applied. Whoever changes
//! what a report has left or brings holds its row first.

use iso8583::hex;
use sqlx::any::AnyRow;

use super::business_days::hold_positions;
use super::columns::Columns;
use super::difference_steps::{step_statements, step_where};
use super::report_lines::no_line;
use super::text_buffer::TextBuffer;
use crate::payment::ids::{HostId, ImportId};
use crate::payment::moment::{BusinessDate, UnixMillis};
use crate::payment::settlement_import::{ImportState, ReportCycle, ReportRule, SettlementImport};
use crate::store::Store;
use crate::store::database::connection::Statement;
use crate::store::database::value::Value;
use crate::store::error::StoreError;

/// Some of the items that amended reports of the host `$1` and the date `$2` have settled: the same ones until they are
/// deleted.
macro_rules! to_clear {
    () => {
        "(SELECT settled.import_id, settled.line, settled.operation_id FROM settled_lines AS settled \
            WHERE settled.import_id = (SELECT MIN(amended.id) FROM settlement_imports AS amended \
                WHERE amended.host_id = $1 AND amended.business_date = $2 AND amended.state = 'AMENDED' \
                AND EXISTS (SELECT 1 FROM settled_lines AS has WHERE has.import_id = amended.id)) \
            ORDER BY settled.line, settled.operation_id LIMIT 500) AS found"
    };
}

/// Which discrepancies are missed again: an amended report had them of an earlier day than `$2`, and the report `$3` clears
/// what that has left, these items next.
macro_rules! missed_again {
    () => {
        concat!(
            "kind = 'NOT_IN_REPORT' AND state = 'ACCEPTED' AND operation_id IN (SELECT items.operation_id FROM ",
            to_clear!(),
            " JOIN settlement_items AS items ON items.operation_id = found.operation_id \
             AND items.settled_by = found.import_id WHERE items.business_date <> $2) \
             AND EXISTS (SELECT 1 FROM settlement_imports WHERE settlement_imports.id = $3 AND clears = 1)"
        )
    };
}

/// That batches of a date have their report, from which on they may be charged and funded. One that its differences hold back
/// is disputed. A condition follows.
macro_rules! batches_with_report {
    () => {
        "UPDATE settlement_batches SET report_id = $3, fees_at_ms = NULL, fees_to = NULL, \
         fee_terms_version = NULL, fee_plan = NULL, state = CASE WHEN CAST($4 AS BIGINT) = 1 \
         AND EXISTS (SELECT 1 FROM settlement_differences AS differences \
             WHERE differences.host_id = settlement_batches.host_id \
             AND differences.business_date = settlement_batches.business_date \
             AND differences.merchant_id = settlement_batches.merchant_id \
             AND differences.currency = settlement_batches.currency) THEN 'DISPUTED' ELSE state END \
         WHERE host_id = $1 AND business_date = $2 AND funded_at_ms IS NULL"
    };
}
pub(super) use batches_with_report;

impl Store {
    /// Records a report, unless one of its date and cycle is there. With `amends` that one is amended, as long as no batch of
    /// the date is funded. Whether it is recorded now.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn insert_import(
        &self,
        import: &SettlementImport,
        amends: bool,
    ) -> Result<bool, StoreError> {
        let host: Value = import.host_id.as_str().into();
        let date: Value = import.business_date.to_string().into();
        let cycle: Value = import.cycle.map_or(0, |cycle| cycle.number).into();
        let nets = import.nets.as_ref();
        let nets = nets.map(|nets| TextBuffer::new().json(nets)).transpose()?;
        let mut statements = Vec::with_capacity(4);
        if amends {
            // Who waits for a report does not hold the positions, for which payments wait.
            statements.push(Statement {
                text: "UPDATE settlement_imports SET applied_to = applied_to WHERE host_id = $1 AND business_date = $2 \
                    AND kind = 'REPORT' AND cycle = $3 AND state <> 'AMENDED'",
                values: vec![host.clone(), date.clone(), cycle.clone()],
                returning: false,
            });
            // Batches are funded behind the row of the positions.
            statements.push(hold_positions());
            statements.push(Statement {
                text: "UPDATE settlement_imports SET state = 'AMENDED' WHERE host_id = $1 AND business_date = $2 \
                    AND kind = 'REPORT' AND cycle = $4 AND NOT EXISTS (SELECT 1 FROM settlement_imports AS same \
                        WHERE same.host_id = $1 AND same.sha256 = $3 AND same.business_date = $2 AND same.cycle = $4) \
                    AND NOT EXISTS (SELECT 1 FROM settlement_batches \
                        WHERE settlement_batches.host_id = $1 AND settlement_batches.business_date = $2 \
                        AND funded_at_ms IS NOT NULL) AND NOT EXISTS (SELECT 1 FROM settlement_differences AS corrected \
                        WHERE corrected.import_id = settlement_imports.id AND corrected.state = 'CORRECTED') \
                    AND NOT EXISTS (SELECT 1 FROM settlement_differences AS corrected \
                        WHERE corrected.host_id = $1 AND corrected.business_date = $2 AND corrected.kind = 'NOT_IN_REPORT' \
                        AND corrected.state = 'CORRECTED' AND settlement_imports.cycle > 0)",
                values: vec![
                    host.clone(),
                    date.clone(),
                    hex::encode_lower(&import.sha256).into(),
                    cycle.clone(),
                ],
                returning: false,
            });
            // No batch is funded by it any more, nor by a report of a later cycle, until it has been replaced.
            statements.push(Statement {
                text: "UPDATE settlement_batches SET report_id = NULL, fees_at_ms = NULL, fees_to = NULL, \
                    fee_terms_version = NULL, fee_plan = NULL, state = CASE WHEN state <> 'DISPUTED' THEN state \
                    WHEN submitted_at_ms IS NULL THEN 'CLOSED' ELSE 'SUBMITTED' END WHERE host_id = $1 \
                    AND business_date = $2 AND report_id IS NOT NULL AND funded_at_ms IS NULL \
                    AND NOT EXISTS (SELECT 1 FROM settlement_imports AS stands WHERE stands.host_id = $1 \
                        AND stands.business_date = $2 AND stands.kind = 'REPORT' AND stands.cycle = $3 \
                        AND stands.state <> 'AMENDED')",
                values: vec![host.clone(), date.clone(), cycle.clone()],
                returning: false,
            });
        }
        statements.push(Statement {
            text: "INSERT INTO settlement_imports (id, host_id, kind, name, sha256, business_date, lines, state, \
                applied_to, matched, clears, operator, at_ms, cycle, cycles, nets) \
                SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), 'REPORT', CAST($4 AS TEXT), CAST($5 AS TEXT), \
                CAST($3 AS TEXT), CAST($6 AS BIGINT), 'RECEIVED', 0, 0, CASE WHEN EXISTS (SELECT 1 \
                    FROM settlement_imports AS before WHERE before.host_id = $2 AND before.business_date = $3) \
                    THEN 1 ELSE 0 END, CAST($7 AS TEXT), CAST($8 AS BIGINT), \
                CAST($9 AS BIGINT), CAST($10 AS BIGINT), CAST($11 AS TEXT) \
                WHERE NOT EXISTS (SELECT 1 FROM settlement_imports AS before WHERE before.host_id = $2 \
                    AND before.business_date = $3 AND before.kind = 'REPORT' AND before.state <> 'AMENDED' \
                    AND (before.cycle = $9 OR before.cycle = 0 OR CAST($9 AS BIGINT) = 0)) \
                ON CONFLICT DO NOTHING",
            values: vec![
                import.id.to_string().into(),
                host,
                date,
                import.name.as_str().into(),
                hex::encode_lower(&import.sha256).into(),
                import.lines.into(),
                import.operator.as_str().into(),
                import.at.as_i64().into(),
                cycle,
                import.cycle.map_or(0, |cycle| cycle.of_day).into(),
                Value::OptionalText(nets),
            ],
            returning: false,
        });
        self.inner.housekeeping.run(statements).await?;
        // It may have run twice.
        Ok(self.import(import.id).await?.is_some())
    }

    /// A report by its name.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn import(&self, id: ImportId) -> Result<Option<SettlementImport>, StoreError> {
        let text = "SELECT * FROM settlement_imports WHERE id = $1";
        let rows = self.read(text, &[id.to_string().into()]).await?;
        rows.first().map(import).transpose()
    }

    /// The reports of all hosts, newest first, from `after` on; `limit` is 1 to
    /// [`MAX_PAGE_SIZE`](crate::store::records::lists::MAX_PAGE_SIZE).
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn list_imports(
        &self,
        limit: usize,
        after: Option<ImportId>,
    ) -> Result<Vec<SettlementImport>, StoreError> {
        let after = after.map(|id| id.to_string());
        let rows = self.newest_first("settlement_imports", limit, after);
        rows.await?.iter().map(import).collect()
    }

    /// The report of a host whose file has this hash: that of a date, or the only one there is. Of days without lines, and of
    /// their cycles, there may be several.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn import_of_file(
        &self,
        host: &HostId,
        sha256: &[u8; 32],
        date: Option<BusinessDate>,
        cycle: Option<i64>,
    ) -> Result<Option<SettlementImport>, StoreError> {
        let text = "SELECT * FROM settlement_imports WHERE host_id = $1 AND sha256 = $2 \
            AND ($3 = business_date OR $3 = '' AND lines > 0) AND (lines > 0 OR cycle = $4)";
        let date = date.map_or_else(String::new, |date| date.to_string());
        let sha256 = hex::encode_lower(sha256);
        let values = [
            host.as_str().into(),
            sha256.into(),
            date.into(),
            cycle.unwrap_or(0).into(),
        ];
        let rows = self.read(text, &values).await?;
        rows.first().map(import).transpose()
    }

    /// Clears some of what amended reports of the date have left. Whether nothing is left.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn clear_amended(
        &self,
        import: &SettlementImport,
        at: UnixMillis,
    ) -> Result<bool, StoreError> {
        let id: Value = import.id.to_string().into();
        let of_date = vec![
            import.host_id.as_str().into(),
            import.business_date.to_string().into(),
            id.clone(),
        ];
        let clear = |text| Statement {
            text,
            values: of_date.clone(),
            returning: false,
        };
        // What it had of an earlier day is missed again.
        let missed = step_where!(
            opens told, at "$4", by "'payswitch'",
            since "'the report of ' || $2 || ' that had it was amended'", where missed_again!()
        );
        let mut values = of_date.clone();
        values.push(at.as_i64().into());
        let [told, missed] = step_statements(missed, values);
        let statements = vec![
            hold(import),
            clear(
                "DELETE FROM settlement_differences WHERE id IN (SELECT differences.id \
                FROM settlement_differences AS differences JOIN settlement_imports AS amended \
                ON amended.id = differences.import_id WHERE amended.host_id = $1 AND amended.business_date = $2 \
                AND amended.state = 'AMENDED' LIMIT 500) AND EXISTS (SELECT 1 FROM settlement_imports \
                    WHERE settlement_imports.id = $3 AND clears = 1)",
            ),
            told,
            missed,
            clear(concat!(
                "UPDATE settlement_items SET ",
                no_line!(),
                " WHERE operation_id IN (SELECT operation_id FROM ",
                to_clear!(),
                ") AND settled_by IN (SELECT id FROM settlement_imports WHERE host_id = $1 AND business_date = $2 \
                    AND state = 'AMENDED') \
                AND EXISTS (SELECT 1 FROM settlement_imports WHERE settlement_imports.id = $3 AND clears = 1)"
            )),
            clear(concat!(
                "DELETE FROM settled_lines WHERE (import_id, line, operation_id) IN (SELECT import_id, line, operation_id FROM ",
                to_clear!(),
                ") AND EXISTS (SELECT 1 FROM settlement_imports WHERE settlement_imports.id = $3 AND clears = 1)"
            )),
            Statement {
                text: "UPDATE settlement_imports SET clears = 0 WHERE id = $1 AND NOT EXISTS (SELECT 1 \
                    FROM settlement_imports AS amended JOIN settled_lines ON settled_lines.import_id = amended.id \
                    WHERE amended.host_id = $2 AND amended.business_date = $3 AND amended.state = 'AMENDED') \
                    AND NOT EXISTS (SELECT 1 FROM settlement_imports AS amended JOIN settlement_differences \
                    ON settlement_differences.import_id = amended.id WHERE amended.host_id = $2 \
                    AND amended.business_date = $3 AND amended.state = 'AMENDED')",
                values: vec![
                    id,
                    import.host_id.as_str().into(),
                    import.business_date.to_string().into(),
                ],
                returning: false,
            },
        ];
        let ran = self.inner.housekeeping.run(statements).await?;
        Ok(ran.last().is_some_and(|cleared| cleared.rows_affected == 1))
    }

    /// Records that all of a report is applied. A batch that its differences hold back is disputed.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn finish_import(
        &self,
        import: &SettlementImport,
        rule: Option<ReportRule>,
    ) -> Result<bool, StoreError> {
        // A batch that is being funded meanwhile is before it or after it.
        let mut statements = vec![hold(import), hold_positions()];
        // Of several files of a date, all have to be applied first.
        if import.cycle.is_none() {
            statements.push(Statement {
                text: concat!(
                    batches_with_report!(),
                    " AND EXISTS (SELECT 1 FROM settlement_imports WHERE settlement_imports.id = $3 \
                    AND applied_to = lines AND clears = 0 AND settlement_imports.state IN ('RECEIVED', 'APPLYING'))"
                ),
                values: reported_batches(import, rule),
                returning: false,
            });
        }
        statements.push(Statement {
            text: "UPDATE settlement_imports SET state = 'DONE' WHERE id = $1 AND applied_to = lines AND clears = 0 \
                AND state IN ('RECEIVED', 'APPLYING')",
            values: vec![import.id.to_string().into()],
            returning: false,
        });
        let ran = self.inner.housekeeping.run(statements).await?;
        Ok(ran.last().is_some_and(|done| done.rows_affected == 1))
    }
}

/// What [`batches_with_report!`] needs.
pub(super) fn reported_batches(import: &SettlementImport, rule: Option<ReportRule>) -> Vec<Value> {
    let holds = rule != Some(ReportRule::DifferencesPass);
    vec![
        import.host_id.as_str().into(),
        import.business_date.to_string().into(),
        import.id.to_string().into(),
        i64::from(holds).into(),
    ]
}

/// Holds the row of an import until the COMMIT.
pub(super) fn hold(import: &SettlementImport) -> Statement {
    Statement {
        text: "UPDATE settlement_imports SET applied_to = applied_to WHERE id = $1",
        values: vec![import.id.to_string().into()],
        returning: false,
    }
}

/// A report from its row.
pub(super) fn import(row: &AnyRow) -> Result<SettlementImport, StoreError> {
    let columns = Columns::of(row, "settlement_imports", "id")?;
    let state = columns.text("state")?;
    let state = ImportState::from_name(state)
        .ok_or_else(|| columns.corrupt("state", state, "expected the state of an import"))?;
    let id: ImportId = columns.parsed("id")?;
    Ok(SettlementImport {
        id,
        host_id: columns.parsed("host_id")?,
        name: columns.text("name")?.to_owned(),
        sha256: columns.hash("sha256")?,
        business_date: columns.parsed("business_date")?,
        cycle: match columns.integer("cycle")? {
            0 => None,
            number => Some(ReportCycle {
                number,
                of_day: columns.integer("cycles")?,
            }),
        },
        lines: columns.integer("lines")?,
        nets: columns.optional_json("nets")?,
        state,
        applied_to: columns.integer("applied_to")?,
        matched: columns.integer("matched")?,
        clears: columns.flag("clears")?,
        operator: columns.text("operator")?.to_owned(),
        at: columns.moment("at_ms")?,
    })
}
