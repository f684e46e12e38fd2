//! What accounts have otherwise than payswitch, in the rows of what reports have otherwise (`settlement_differences`). It is of
//! no merchant, so nobody is told, and no position is taken: payments do not wait for it.

use super::columns::Columns;
use super::difference_steps::{step_statements, step_where};
use super::new_differences::DUE_AFTER_MS;
use crate::payment::account_finding::{AccountFinding, OnAccount};
use crate::payment::bank_statement::Candidate;
use crate::payment::ids::BankAccountName;
use crate::payment::moment::UnixMillis;
use crate::random::HashMap;
use crate::store::Store;
use crate::store::database::many_rows::ManyRows;
use crate::store::database::value::Value;
use crate::store::error::StoreError;
use crate::store::reads::by_ids::IDS;
use crate::store::records::callers::BY_ITSELF;

/// The most findings that are recorded in one transaction.
const RECORDED_AT_ONCE: usize = 128;

/// Findings, each under one more condition, and what becomes of one that is there.
macro_rules! found_where {
    ($name:literal, $condition:literal, $there:literal) => {
        ManyRows {
            name: $name,
            before: "WITH found (id, account, kind, host_id, business_date, currency, ours, theirs, line, rule, candidates, \
                bank_line_id, statement_id, missing, found_at_ms, due_at_ms) AS (VALUES ",
            row: "(CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), \
                CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS TEXT), \
                CAST(? AS TEXT), CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS BIGINT))",
            after: concat!(
                ") INSERT INTO settlement_differences (id, account, kind, host_id, business_date, currency, ours, theirs, \
                 line, rule, candidates, bank_line_id, statement_id, missing, found_at_ms, due_at_ms, updated_at_ms, \
                 position) SELECT found.id, found.account, found.kind, found.host_id, found.business_date, \
                 found.currency, found.ours, found.theirs, found.line, found.rule, found.candidates, \
                 found.bank_line_id, found.statement_id, found.missing, found.found_at_ms, found.due_at_ms, \
                 found.found_at_ms, 0 FROM found WHERE ",
                $condition,
                " ON CONFLICT ",
                $there
            ),
            returning: "",
        }
    };
}

/// Of lines that are open, also of nobody who matches one meanwhile. One that is there says what is otherwise now, and what
/// was proposed for another finding is proposed no more.
const OF_LINES: ManyRows = found_where!(
    "findings of lines of accounts",
    "EXISTS (SELECT 1 FROM bank_lines WHERE bank_lines.id = found.bank_line_id \
     AND bank_lines.state IN ('UNMATCHED', 'AMBIGUOUS') /*POSTGRES FOR SHARE */)",
    "(id) DO UPDATE SET kind = excluded.kind, host_id = excluded.host_id, business_date = excluded.business_date, \
     ours = excluded.ours, rule = excluded.rule, candidates = excluded.candidates, \
     updated_at_ms = excluded.updated_at_ms, version = settlement_differences.version + 1, proposal = NULL, \
     state = CASE settlement_differences.state WHEN 'PROPOSED' THEN 'OPEN' ELSE settlement_differences.state END \
     WHERE settlement_differences.state NOT IN ('ACCEPTED', 'CORRECTED') \
     AND (settlement_differences.kind <> excluded.kind \
     OR COALESCE(settlement_differences.ours, '') <> COALESCE(excluded.ours, '') \
     OR COALESCE(settlement_differences.candidates, '') <> COALESCE(excluded.candidates, ''))"
);
/// Of statements: what the one before it closed with may have changed, as long as they differ.
const OF_STATEMENTS: ManyRows = found_where!(
    "findings of statements of accounts",
    "EXISTS (SELECT 1 FROM bank_statements WHERE bank_statements.id = found.statement_id \
     AND bank_statements.before_minor <> bank_statements.opening_minor)",
    "(id) DO UPDATE SET ours = excluded.ours, updated_at_ms = excluded.updated_at_ms, \
     version = settlement_differences.version + 1 WHERE settlement_differences.state NOT IN ('ACCEPTED', 'CORRECTED') \
     AND COALESCE(settlement_differences.ours, '') <> COALESCE(excluded.ours, '')"
);
/// Of what is missing: once, whatever became of it.
const OF_WHAT_IS_MISSING: ManyRows = found_where!(
    "findings of what accounts miss",
    "NOT EXISTS (SELECT 1 FROM bank_lines WHERE bank_lines.matched_with = found.missing AND bank_lines.rule = found.rule)",
    "DO NOTHING"
);
/// Of what the bank has notified: once, whatever became of it, and not where a line of a statement says the same.
const OF_NOTICES: ManyRows = found_where!(
    "findings of what banks notify",
    "NOT EXISTS (SELECT 1 FROM settlement_differences AS said WHERE said.account = found.account \
     AND said.bank_line_id IS NOT NULL AND said.candidates = found.candidates AND said.theirs = found.theirs \
     AND said.currency = found.currency)",
    "(id) DO NOTHING"
);
/// Holds those that are there: who decides on one, or matches its line, waits.
const HELD: ManyRows = ManyRows {
    name: "held findings of accounts",
    before: "WITH found (id) AS (VALUES ",
    row: "(CAST(? AS TEXT))",
    after: ") UPDATE settlement_differences SET version = version WHERE id IN (SELECT id FROM found)",
    returning: "",
};

impl Store {
    /// Records what an account has otherwise. What is there already of a line or a statement is said anew, unless it has
    /// ended.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn record_account_findings(
        &self,
        found: &[AccountFinding],
        at: UnixMillis,
    ) -> Result<(), StoreError> {
        let engine = self.inner.housekeeping.database.engine;
        let found = self.not_known(found, at).await?;
        for found in found.chunks(RECORDED_AT_ONCE) {
            let (mut lines, mut statements) = (vec![], vec![]);
            let (mut missing, mut notices) = (vec![], vec![]);
            for one in found {
                let rows = match one.of {
                    OnAccount::Line { .. } => &mut lines,
                    OnAccount::Statement(_) => &mut statements,
                    OnAccount::Missing(_) => &mut missing,
                    OnAccount::Notified { .. } => &mut notices,
                };
                rows.push(row(one, at));
            }
            let mut ids: Vec<String> = found.iter().map(|one| one.id(at)).collect();
            ids.sort_unstable();
            let ids = ids.into_iter().map(|id| vec![id.into()]);
            let mut all = HELD.statements(engine, ids.collect());
            all.extend(OF_LINES.statements(engine, lines));
            all.extend(OF_STATEMENTS.statements(engine, statements));
            all.extend(OF_WHAT_IS_MISSING.statements(engine, missing));
            all.extend(OF_NOTICES.statements(engine, notices));
            self.inner.housekeeping.run(all).await?;
        }
        Ok(())
    }

    /// Those of these that are not there, or are otherwise there: an account may have many lines that nobody knows.
    async fn not_known<'f>(
        &self,
        found: &'f [AccountFinding],
        at: UnixMillis,
    ) -> Result<Vec<&'f AccountFinding>, StoreError> {
        let ids = found.iter().map(|one| one.id(at)).collect();
        let text = format!(
            "SELECT id, kind, ours, candidates, state FROM settlement_differences WHERE id {IDS}"
        );
        let mut known = HashMap::default();
        for row in &self.of_ids(&text, ids).await? {
            let columns = Columns::of(row, "settlement_differences", "id")?;
            let said = [
                columns.text("kind")?.to_owned(),
                columns.optional_text("ours")?.unwrap_or_default(),
                columns.optional_text("candidates")?.unwrap_or_default(),
            ];
            let is_final = matches!(columns.text("state")?, "ACCEPTED" | "CORRECTED");
            known.insert(columns.text("id")?.to_owned(), (said, is_final));
        }
        let is_known = |one: &&AccountFinding| {
            let said = [
                one.kind.name().to_owned(),
                one.ours.clone().unwrap_or_default(),
                candidates(one).unwrap_or_default(),
            ];
            let there = known.get(&one.id(at));
            there.is_some_and(|(there, is_final)| *is_final || *there == said)
        };
        Ok(found.iter().filter(|one| !is_known(one)).collect())
    }

    /// Ends a discrepancy of an account by itself, unless somebody has taken a step meanwhile. Whether it has ended so.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn end_account_discrepancy(
        &self,
        (id, version): (&str, i64),
        reason: &str,
        at: UnixMillis,
    ) -> Result<bool, StoreError> {
        let ended = step_where!(
            ends untold, at "$3", by "$4", since "$5", where
            "id = $1 AND version = $2 AND state NOT IN ('ACCEPTED', 'CORRECTED')"
        );
        let values = vec![
            id.into(),
            version.into(),
            at.as_i64().into(),
            BY_ITSELF.into(),
            reason.into(),
        ];
        let held = HELD.statements(
            self.inner.housekeeping.database.engine,
            vec![vec![id.into()]],
        );
        let ended = step_statements(ended, values);
        let all = held.into_iter().chain(ended).collect();
        let ran = self.inner.housekeeping.run(all).await?;
        Ok(ran.last().is_some_and(|ended| ended.rows_affected == 1))
    }
}

/// What a line may be about, as one text; none where that is nothing.
fn candidates(found: &AccountFinding) -> Option<String> {
    let names: Vec<String> = found.candidates.iter().map(ToString::to_string).collect();
    (!names.is_empty()).then(|| names.join(" "))
}

fn row(found: &AccountFinding, at: UnixMillis) -> Vec<Value> {
    let text = |value: Option<String>| Value::from(value);
    let (line, statement, missing, number) = match found.of {
        OnAccount::Line {
            id,
            statement_id,
            number,
        } => (
            Some(id.to_string()),
            Some(statement_id.to_string()),
            None,
            Some(number),
        ),
        OnAccount::Statement(id) => (None, Some(id.to_string()), None, None),
        OnAccount::Missing(what) => (None, None, Some(what.to_string()), None),
        // The payout is what it may be about.
        OnAccount::Notified { number, .. } => (None, None, None, Some(number)),
    };
    vec![
        found.id(at).into(),
        found.account.as_str().into(),
        Value::Static(found.kind.name()),
        text(found.host_id.map(|host| host.to_string())),
        found.date.to_string().into(),
        found.currency.code().into(),
        found.ours.clone().into(),
        found.theirs.clone().into(),
        number.into(),
        text(found.rule().map(|rule| rule.name().to_owned())),
        text(candidates(found)),
        text(line),
        text(statement),
        text(missing),
        at.as_i64().into(),
        at.plus_ms(DUE_AFTER_MS).as_i64().into(),
    ]
}

/// What an account has otherwise, from the row of its discrepancy.
pub(super) fn account_finding(
    columns: &Columns<'_>,
    account: BankAccountName,
) -> Result<AccountFinding, StoreError> {
    let candidates = columns.optional_text("candidates")?.unwrap_or_default();
    let candidates = candidates.split_whitespace().map(|name| {
        let read = name.parse::<Candidate>();
        read.map_err(|error| columns.corrupt("candidates", name, error))
    });
    let candidates = candidates.collect::<Result<Vec<_>, _>>()?;
    let statement_id = columns.optional_parsed("statement_id")?;
    let missing = columns.optional_parsed("missing")?;
    let line_id = columns.optional_parsed("bank_line_id")?;
    let of = match (line_id, statement_id, missing, candidates.as_slice()) {
        (Some(id), Some(statement_id), ..) => OnAccount::Line {
            id,
            statement_id,
            number: columns.integer("line")?,
        },
        (None, Some(id), ..) => OnAccount::Statement(id),
        (_, None, Some(what), _) => OnAccount::Missing(what),
        (_, None, None, [Candidate::Payout(payout)]) => OnAccount::Notified {
            payout: *payout,
            number: columns.integer("line")?,
        },
        _ => return Err(columns.corrupt("missing", "NULL", "expected what it is of")),
    };
    Ok(AccountFinding {
        kind: columns.variant("kind")?,
        account,
        host_id: columns.optional_parsed("host_id")?,
        date: columns.parsed("business_date")?,
        currency: columns.parsed("currency")?,
        of,
        ours: columns.optional_text("ours")?,
        theirs: columns.optional_text("theirs")?,
        candidates,
    })
}
