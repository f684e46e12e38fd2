//! What the reports of banks have otherwise, and what is done about it. Each step is an event of the merchant, and what
//! corrects one a journal at the position of that event. What is found, or ended by a report, has no position until it is
//! told (`told_discrepancies`). What accounts have otherwise stands in the same rows (`account_differences`).

use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use super::account_differences::account_finding;
use super::business_days::hold_positions;
use super::columns::Columns;
use super::difference_steps::{step_statements, step_where};
use super::hand_matches::{hold, line_change};
use super::journals::{NextPosition, next_position};
use crate::ledger::journal::Journal;
use crate::payment::account_finding::AccountFindingKind;
use crate::payment::difference::{Difference, DifferenceKind, InvalidLikeItem, LikeItem};
use crate::payment::discrepancy::{
    Discrepancy, DiscrepancyChange, DiscrepancyState, Found, ReportFinding, Stepped,
};
use crate::payment::event_kind::EventKind;
use crate::payment::ids::{BankAccountName, HostId, MerchantId, OperationId};
use crate::payment::moment::{BusinessDate, UnixMillis};
use crate::payment::report_line::LineChange;
use crate::payment::settlement_import::SettlementImport;
use crate::store::Store;
use crate::store::database::connection::Statement;
use crate::store::database::value::Value;
use crate::store::error::StoreError;
use crate::store::index_walk::{IndexWalk, page};
use crate::store::records::lists::{ListOrder, MAX_PAGE_SIZE, Page};
use crate::store::records::settlement::{DifferenceCount, DiscrepancyFilter};

/// Discrepancies, as [`discrepancy`] reads them.
pub(in crate::store) const SELECT_DISCREPANCIES: &str = "SELECT settlement_differences.*, (SELECT operations.rrn \
    FROM operations WHERE operations.id = settlement_differences.operation_id) AS item_rrn FROM settlement_differences";

/// Before the capture or refund, the name of a difference that is in no report: the host's answer has another date.
const DATED: &str = "DE15 ";

impl Store {
    /// The differences of a host's batches of a date, each with its name, at most `limit` (1 to [`MAX_PAGE_SIZE`]), going
    /// on after `after`: first what its report has otherwise, then what the answers of the host have.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn differences_of_day(
        &self,
        host: &HostId,
        date: BusinessDate,
        limit: usize,
        after: &str,
    ) -> Result<Vec<(String, Difference)>, StoreError> {
        let limit = limit.clamp(1, MAX_PAGE_SIZE);
        let text = "SELECT * FROM settlement_differences WHERE host_id = $1 AND business_date = $2 AND id > $3 \
            AND import_id IS NOT NULL ORDER BY id LIMIT $4";
        let dated_after = after.strip_prefix(DATED);
        let mut found = Vec::new();
        if dated_after.is_none() {
            let values = [
                host.as_str().into(),
                date.to_string().into(),
                after.into(),
                i64::try_from(limit).unwrap_or(1).into(),
            ];
            let rows = self.read(text, &values).await?;
            let read: Result<Vec<_>, StoreError> = rows.iter().map(difference).collect();
            found = read?;
        }
        let left = limit.saturating_sub(found.len());
        if left > 0 {
            let dated = self.dated_otherwise(host, date, left, dated_after.unwrap_or_default());
            found.extend(dated.await?.into_iter().map(|dated| {
                let subject = dated.subject_id.map(|subject| subject.to_string());
                (format!("{DATED}{}", subject.unwrap_or_default()), dated)
            }));
        }
        Ok(found)
    }

    /// How many differences a report shows of each kind.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn difference_counts(
        &self,
        import: &SettlementImport,
    ) -> Result<Vec<DifferenceCount>, StoreError> {
        let text = "SELECT kind, COUNT(*) AS differences FROM settlement_differences WHERE import_id = $1 \
            GROUP BY kind ORDER BY kind";
        let rows = self.read(text, &[import.id.to_string().into()]).await?;
        let count = |row: &AnyRow| {
            let columns = Columns::of(row, "settlement_differences", "kind")?;
            Ok(DifferenceCount {
                kind: kind(&columns)?,
                count: columns.integer("differences")?,
            })
        };
        rows.iter().map(count).collect()
    }

    /// Accepts the differences of a host's batches of a date that hold them back: they are funded all the same. How many
    /// there were.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn accept_differences(
        &self,
        host: &HostId,
        date: BusinessDate,
        at: UnixMillis,
    ) -> Result<u64, StoreError> {
        let accepted = step_where!(
            ends told, at "$3", by "'payswitch'",
            since "'the day is settled as it is: the audit trail says by whom'", where
            "host_id = $1 AND business_date = $2 AND import_id IS NOT NULL AND accepted_at_ms IS NULL \
             AND state <> 'PROPOSED'"
        );
        let values = vec![
            host.as_str().into(),
            date.to_string().into(),
            at.as_i64().into(),
        ];
        let accepted = step_statements(accepted, values);
        let ran = self.inner.housekeeping.run(accepted.into()).await?;
        Ok(ran.last().map_or(0, |accepted| accepted.rows_affected))
    }

    /// Whether a discrepancy about this operation is corrected, or that is proposed.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn is_corrected(&self, operation: OperationId) -> Result<bool, StoreError> {
        let text = "SELECT 1 FROM settlement_differences WHERE operation_id = $1 \
            AND state IN ('CORRECTED', 'PROPOSED') LIMIT 1";
        let found = self.read(text, &[operation.to_string().into()]).await?;
        Ok(!found.is_empty())
    }

    /// A discrepancy by its name: of a merchant, or of whomever.
    ///
    /// # Errors
    /// When the database can't be read, or the row is corrupt.
    pub async fn discrepancy(
        &self,
        id: &str,
        merchant: Option<&MerchantId>,
    ) -> Result<Option<Discrepancy>, StoreError> {
        let text =
            format!("{SELECT_DISCREPANCIES} WHERE id = $1 AND ($2 = '' OR merchant_id = $2)");
        let merchant = merchant.map_or("", |merchant| merchant.as_str());
        let values = [id.into(), merchant.into()];
        let rows = self.read(AssertSqlSafe(text), &values).await?;
        rows.first().map(discrepancy).transpose()
    }

    /// What was done about a discrepancy, oldest first.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn discrepancy_changes(
        &self,
        id: &str,
    ) -> Result<Vec<DiscrepancyChange>, StoreError> {
        let text = "SELECT * FROM difference_changes WHERE difference_id = $1 ORDER BY version";
        let rows = self.read(text, &[id.into()]).await?;
        rows.iter().map(change).collect()
    }

    /// What a discrepancy came to its version `to` by; none where nobody has done that.
    ///
    /// # Errors
    /// When the database can't be read, or the row is corrupt.
    pub(in crate::store) async fn discrepancy_change_to(
        &self,
        id: &str,
        to: i64,
    ) -> Result<Option<DiscrepancyChange>, StoreError> {
        let text = "SELECT * FROM difference_changes WHERE difference_id = $1 AND version = $2";
        let rows = self.read(text, &[id.into(), to.into()]).await?;
        rows.first().map(change).transpose()
    }

    /// Discrepancies by their names, `page_size` (1 to [`MAX_PAGE_SIZE`]) at a time, going on after `after`: of a merchant,
    /// or of all.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn list_discrepancies(
        &self,
        merchant: Option<&MerchantId>,
        filter: &DiscrepancyFilter,
        order: ListOrder,
        page_size: usize,
        after: Option<&String>,
    ) -> Result<Page<Discrepancy, String>, StoreError> {
        let page_size = page_size.clamp(1, MAX_PAGE_SIZE);
        let mut walk = IndexWalk::new(
            "settlement_differences",
            &["settlement_differences.id"],
            order,
        );
        let import = filter.import_id.map(|it| it.to_string());
        // Each has an index, of which one leads.
        let is_open = "state NOT IN ('ACCEPTED', 'CORRECTED')";
        let account = filter.account.as_ref().map(BankAccountName::as_str);
        match (merchant, &import) {
            (Some(merchant), _) => walk.only("merchant_id =", Some(merchant.as_str())),
            (None, _) if account.is_some() => walk.only("account =", account),
            (None, _) if filter.is_open => walk.only_where(is_open),
            (None, import) => walk.only("import_id =", import.as_deref()),
        }
        walk.after(after);
        let end = self.end_of_look(&mut walk).await?;
        walk.filtered("import_id", import);
        walk.filtered("account", account);
        if filter.is_open {
            walk.only_where(is_open);
        }
        walk.filtered("host_id", filter.host_id.as_ref().map(HostId::as_str));
        let date = filter.business_date.map(|it| it.to_string());
        walk.filtered("business_date", date);
        let account_kind = filter.account_kind.map(AccountFindingKind::name);
        let kinds = filter.kind.map(DifferenceKind::name).into_iter();
        walk.only_any("kind", &kinds.chain(account_kind).collect::<Vec<_>>());
        walk.only("state =", filter.state.map(DiscrepancyState::name));
        let subject = filter.subject_id.map(|it| it.to_string());
        walk.only("subject_id =", subject);
        let millis = |at: Option<UnixMillis>| at.map(UnixMillis::as_i64);
        walk.only("found_at_ms >=", millis(filter.found_from));
        walk.only("found_at_ms <", millis(filter.found_before));
        let rows = self
            .walked(&walk, SELECT_DISCREPANCIES, "", page_size + 1)
            .await?;
        let items = rows
            .iter()
            .map(discrepancy)
            .collect::<Result<Vec<_>, _>>()?;
        let name = |last: &Discrepancy| last.id.clone();
        Ok(page(items, page_size, name, end))
    }

    /// Records a step of what is in a report, and what it changes of what the discrepancy's line is about. Nothing is written where the discrepancy
    /// is not as `before` any more, or where that change can't be made. Whether it is recorded.
    ///
    /// # Errors
    /// When the database is not available, or the line has more items than one statement takes.
    pub async fn change_discrepancy(
        &self,
        before: &Discrepancy,
        after: &Stepped,
        change: &DiscrepancyChange,
        journal: Option<&Journal>,
        line: Option<&LineChange>,
    ) -> Result<bool, StoreError> {
        let engine = self.inner.housekeeping.database.engine;
        let id: Value = before.id.as_str().into();
        let proposal = after.proposal.as_ref().map(serde_json::to_string);
        let proposal = proposal.transpose().map_err(|error| StoreError::Invalid {
            expected: "a proposal that can be written as JSON",
            got: error.to_string(),
        })?;
        let correction = match (journal, after.undoes) {
            (Some(journal), false) => Some(journal.id().to_owned()),
            _ => None,
        };
        let at: Value = change.at.as_i64().into();
        let statements = [
            Statement {
                text: "UPDATE settlement_differences SET state = $3, owner = $4, proposal = $5, correction = $6, \
                    updated_at_ms = $7, accepted_at_ms = CASE WHEN CAST($8 AS BIGINT) = 1 THEN $7 END, \
                    position = (SELECT next FROM positions WHERE stream = 0), version = version + 1 \
                    WHERE id = $1 AND version = $2 AND EXISTS (SELECT 1 FROM settlement_imports \
                        WHERE settlement_imports.id = import_id AND settlement_imports.state <> 'AMENDED') \
                    AND (CAST($9 AS BIGINT) = 0 OR CAST($9 AS BIGINT) = (SELECT CASE COALESCE(rule, '') \
                        WHEN 'by-hand' THEN 1 ELSE 2 END FROM report_lines \
                        WHERE report_lines.import_id = settlement_differences.import_id \
                        AND report_lines.line = settlement_differences.line))",
                values: vec![
                    id.clone(),
                    before.version.into(),
                    Value::Static(after.state.name()),
                    after.owner.map(|owner| owner.to_string()).into(),
                    proposal.into(),
                    correction.into(),
                    at.clone(),
                    i64::from(after.state.is_final()).into(),
                    match line {
                        None => 0_i64,
                        Some(LineChange::Matched(_)) => 1,
                        Some(LineChange::Undone { .. }) => 2,
                    }
                    .into(),
                ],
                returning: false,
            },
            Statement {
                text: "INSERT INTO difference_changes (difference_id, version, at_ms, state, actor, reason) \
                    SELECT CAST($1 AS TEXT), version, CAST($3 AS BIGINT), CAST($4 AS TEXT), CAST($5 AS TEXT), \
                    CAST($6 AS TEXT) FROM settlement_differences JOIN positions ON positions.stream = 0 \
                    AND positions.next = position WHERE id = $1 AND version = $2 + 1 ON CONFLICT DO NOTHING",
                values: vec![
                    id.clone(),
                    before.version.into(),
                    at,
                    Value::Static(change.state.name()),
                    change.actor.as_str().into(),
                    change.reason.as_str().into(),
                ],
                returning: false,
            },
        ];
        let mut all = match line {
            Some(line) => line_change(engine, before, line, (&change.actor, change.at))?,
            None => vec![hold(before)],
        };
        // Who waits for a row does not hold the positions, for which payments wait.
        all.push(hold_positions());
        all.extend(statements);
        let event = (EventKind::DiscrepancyUpdated, after.state.name(), change.at);
        all.extend(AT_NEXT_POSITION.statements(&id, event, journal));
        self.inner.housekeeping.run(all).await?;
        // It may have run twice, and another one's step may be at the same version.
        let changes = self.discrepancy_changes(&before.id).await?;
        Ok(changes.contains(change))
    }
}

/// The event and the journal of a discrepancy that has just been changed. Without a merchant it has none.
const AT_NEXT_POSITION: NextPosition = next_position!(
    from: "settlement_differences JOIN positions ON positions.stream = 0 \
        AND positions.next = settlement_differences.position \
        WHERE settlement_differences.id = $1 AND settlement_differences.merchant_id IS NOT NULL",
    id: "settlement_differences.id",
    merchant: "settlement_differences.merchant_id",
    date: "settlement_differences.business_date"
);

fn change(row: &AnyRow) -> Result<DiscrepancyChange, StoreError> {
    let columns = Columns::of(row, "difference_changes", "difference_id")?;
    Ok(DiscrepancyChange {
        at: columns.moment("at_ms")?,
        state: state(&columns)?,
        actor: columns.text("actor")?.to_owned(),
        reason: columns.text("reason")?.to_owned(),
    })
}

/// Where a discrepancy stands.
fn state(columns: &Columns<'_>) -> Result<DiscrepancyState, StoreError> {
    let state = columns.text("state")?;
    DiscrepancyState::from_name(state)
        .ok_or_else(|| columns.corrupt("state", state, "expected the state of a discrepancy"))
}

/// A discrepancy from its row.
pub(in crate::store) fn discrepancy(row: &AnyRow) -> Result<Discrepancy, StoreError> {
    let columns = Columns::of(row, "settlement_differences", "id")?;
    let found = match columns.optional_parsed("account")? {
        Some(account) => Found::OnAccount(account_finding(&columns, account)?),
        None => Found::InReport(ReportFinding {
            import_id: columns.parsed("import_id")?,
            item_rrn: columns.optional_parsed("item_rrn")?,
            difference: difference(row)?.1,
        }),
    };
    Ok(Discrepancy {
        id: columns.text("id")?.to_owned(),
        found,
        found_at: columns.moment("found_at_ms")?,
        state: state(&columns)?,
        owner: columns.optional_parsed("owner")?,
        due_at: columns.optional_moment("due_at_ms")?,
        updated_at: columns.moment("updated_at_ms")?,
        version: columns.integer("version")?,
        proposal: columns.optional_json("proposal")?,
        correction: columns.optional_text("correction")?,
    })
}

fn kind(columns: &Columns<'_>) -> Result<DifferenceKind, StoreError> {
    let kind = columns.text("kind")?;
    DifferenceKind::from_name(kind)
        .ok_or_else(|| columns.corrupt("kind", kind, "expected the kind of a difference"))
}

fn candidates(columns: &Columns<'_>) -> Result<Vec<LikeItem>, StoreError> {
    let text = columns.optional_text("candidates")?.unwrap_or_default();
    let read = text.split_whitespace().map(|item| {
        let parsed = item.parse();
        parsed.map_err(|error: InvalidLikeItem| {
            columns.corrupt("candidates", item, error.to_string())
        })
    });
    read.collect()
}

fn difference(row: &AnyRow) -> Result<(String, Difference), StoreError> {
    let columns = Columns::of(row, "settlement_differences", "id")?;
    let found = Difference {
        kind: kind(&columns)?,
        host_id: columns.parsed("host_id")?,
        business_date: columns.parsed("business_date")?,
        merchant_id: columns.optional_parsed("merchant_id")?,
        currency: columns.parsed("currency")?,
        operation_id: columns.optional_parsed("operation_id")?,
        subject_id: columns.optional_parsed("subject_id")?,
        rrn: columns.optional_text("rrn")?,
        ours: columns.optional_text("ours")?,
        theirs: columns.optional_text("theirs")?,
        line: columns.optional_integer("line")?,
        accepted_at: columns.optional_moment("accepted_at_ms")?,
        rule: columns.optional_text("rule")?,
        candidates: candidates(&columns)?,
    };
    Ok((columns.text("id")?.to_owned(), found))
}
