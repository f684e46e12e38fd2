//! The reports of a date that has several: its cycles.

use super::business_days::hold_positions;
use super::difference_steps::{step_statements, step_where};
use super::settlement_imports::{batches_with_report, hold, import, reported_batches};
use crate::payment::ids::HostId;
use crate::payment::moment::{BusinessDate, UnixMillis};
use crate::payment::settlement_import::{ReportRule, SettlementImport};
use crate::store::Store;
use crate::store::database::connection::Statement;
use crate::store::database::value::Value;
use crate::store::error::StoreError;

/// Which discrepancies of the host `$1` and the date `$2` are of items that have a line by now.
macro_rules! came_after_all {
    () => {
        "host_id = $1 AND business_date = $2 AND kind = 'NOT_IN_REPORT' AND state NOT IN ('ACCEPTED', 'CORRECTED') \
         AND EXISTS (SELECT 1 FROM settlement_items WHERE settlement_items.operation_id = \
             settlement_differences.operation_id AND settlement_items.settled_by IS NOT NULL)"
    };
}

/// Which discrepancies of the host `$1` and the date `$2` were ended for the reason `$4`, and are of items that have no line
/// again: another report has come in the place of the one that had them.
macro_rules! gone_again {
    () => {
        "host_id = $1 AND business_date = $2 AND kind = 'NOT_IN_REPORT' AND state = 'ACCEPTED' \
         AND EXISTS (SELECT 1 FROM settlement_items WHERE settlement_items.operation_id = \
             settlement_differences.operation_id AND settlement_items.settled_by IS NULL) \
         AND EXISTS (SELECT 1 FROM difference_changes AS changes WHERE changes.difference_id = settlement_differences.id \
             AND changes.version = settlement_differences.version AND changes.reason = $4)"
    };
}

impl Store {
    /// The reports of a host's date that stand, by their cycles.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn reports_of_day(
        &self,
        host: &HostId,
        date: BusinessDate,
    ) -> Result<Vec<SettlementImport>, StoreError> {
        let text = "SELECT * FROM settlement_imports WHERE host_id = $1 AND business_date = $2 AND kind = 'REPORT' \
            AND state <> 'AMENDED' ORDER BY cycle";
        let values = [host.as_str().into(), date.to_string().into()];
        let rows = self.read(text, &values).await?;
        rows.iter().map(import).collect()
    }

    /// The reports of a host that stand, of the dates from one to another, both included.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub(in crate::store) async fn reports_between(
        &self,
        host: &HostId,
        (from, to): (BusinessDate, BusinessDate),
    ) -> Result<Vec<SettlementImport>, StoreError> {
        let text = "SELECT * FROM settlement_imports AS imports WHERE host_id = $1 AND business_date >= $2 \
            AND business_date <= $3 AND kind = 'REPORT' AND state <> 'AMENDED' ORDER BY business_date, cycle";
        let values = [
            host.as_str().into(),
            from.to_string().into(),
            to.to_string().into(),
        ];
        let rows = self.read(text, &values).await?;
        rows.iter().map(import).collect()
    }

    /// Ends what was missed of items of a date that have come since, with an amended report of another cycle; and opens again
    /// what was ended so and has gone since.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn follow_missed_of_day(
        &self,
        last: &SettlementImport,
        at: UnixMillis,
    ) -> Result<(), StoreError> {
        let date = last.business_date.to_string();
        let values: Vec<Value> = vec![
            last.host_id.as_str().into(),
            date.as_str().into(),
            at.as_i64().into(),
            format!("it is in a report of {date} that was amended").into(),
        ];
        let mut of_gone = values.clone();
        of_gone.push(format!("no report of {date} has it any more").into());
        let gone = step_where!(
            opens told, at "$3", by "'payswitch'", since "$5", where gone_again!()
        );
        let came = step_where!(
            ends told, at "$3", by "'payswitch'", since "$4", where came_after_all!()
        );
        let mut statements = vec![hold(last)];
        statements.extend(step_statements(gone, of_gone));
        statements.extend(step_statements(came, values));
        self.inner.housekeeping.run(statements).await.map(drop)
    }

    /// Records that all cycles of a date are applied, of which `last` is the last one. A batch that their differences hold back
    /// is disputed. Nothing is recorded while one of them is not applied.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn finish_cycles(
        &self,
        last: &SettlementImport,
        rule: Option<ReportRule>,
    ) -> Result<(), StoreError> {
        let mut values = reported_batches(last, rule);
        values.push(last.cycle.map_or(0, |cycle| cycle.of_day).into());
        // A batch that is being funded meanwhile is before it or after it.
        let statements = vec![
            hold(last),
            hold_positions(),
            Statement {
                text: concat!(
                    batches_with_report!(),
                    " AND report_id IS NULL AND (SELECT COUNT(*) FROM settlement_imports AS cycles \
                    WHERE cycles.host_id = $1 AND cycles.business_date = $2 AND cycles.kind = 'REPORT' \
                    AND cycles.state = 'DONE') = $5"
                ),
                values,
                returning: false,
            },
        ];
        self.inner.housekeeping.run(statements).await.map(drop)
    }
}
