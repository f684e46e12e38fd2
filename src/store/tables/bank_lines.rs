//! The lines of statements, each once, and what they are matched with (`line_matches`). Nothing is matched with two lines as
//! the same.

use std::collections::BTreeMap;

use iso8583::hex;
use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use super::columns::Columns;
use crate::payment::bank_statement::{BankLine, BankStatement, Candidate, LineMatch, MatchRule};
use crate::payment::ids::{BankAccountName, BankLineId, BankStatementId};
use crate::payment::moment::UnixMillis;
use crate::store::Store;
use crate::store::database::connection::Statement;
use crate::store::database::value::Value;
use crate::store::error::StoreError;
use crate::store::reads::by_ids::IDS;
use crate::store::records::lists::MAX_PAGE_SIZE;
use crate::store::records::statements::{LineCounts, LinePlace};

/// Lines of statements that are whole; what follows may name both tables.
const SELECT: &str = "SELECT bank_lines.* FROM bank_lines JOIN bank_statements \
    ON bank_statements.id = bank_lines.statement_id AND bank_statements.state = 'DONE'";

impl Store {
    /// Records the next lines of a statement that has come to `statement.applied_to`, of which `looked_at` were looked at.
    /// One that is there is left as it is. Whether it was this that did so.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn insert_bank_lines(
        &self,
        statement: &BankStatement,
        lines: &[BankLine],
        looked_at: i64,
    ) -> Result<bool, StoreError> {
        let id: Value = statement.id.to_string().into();
        let mut statements = vec![Statement {
            text: "UPDATE bank_statements SET applied_to = applied_to WHERE id = $1",
            values: vec![id.clone()],
            returning: false,
        }];
        statements.extend(lines.iter().map(|line| insert(statement, line)));
        statements.push(Statement {
            text: "UPDATE bank_statements SET applied_to = applied_to + $3 WHERE id = $1 AND applied_to = $2",
            values: vec![id, statement.applied_to.into(), looked_at.into()],
            returning: false,
        });
        let ran = self.inner.housekeeping.run(statements).await?;
        Ok(ran.last().is_some_and(|applied| applied.rows_affected == 1))
    }

    /// How many lines with these keys other statements of the account have, by key.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn bank_line_counts(
        &self,
        statement: &BankStatement,
        keys: &[[u8; 32]],
    ) -> Result<BTreeMap<[u8; 32], i64>, StoreError> {
        let text = format!(
            "SELECT line_key, statement_id FROM bank_lines WHERE account = $1 AND line_key {IDS}"
        );
        let account = [statement.account.as_str().into()];
        let keys: Vec<String> = keys.iter().map(|key| hex::encode_lower(key)).collect();
        let mut counts = BTreeMap::new();
        for row in &self.of_ids_among(&text, &account, keys).await? {
            let columns = Columns::of(row, "bank_lines", "line_key")?;
            if columns.text("statement_id")? != statement.id.to_string() {
                *counts.entry(columns.hash("line_key")?).or_default() += 1;
            }
        }
        Ok(counts)
    }

    /// The lines of an account, or only those that are open, as they came, at most `limit` (1 to [`MAX_PAGE_SIZE`]), going on
    /// after `after`.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn bank_lines(
        &self,
        account: BankAccountName,
        only_open: bool,
        limit: usize,
        after: Option<&LinePlace>,
    ) -> Result<Vec<BankLine>, StoreError> {
        let limit = i64::try_from(limit.clamp(1, MAX_PAGE_SIZE)).unwrap_or(1);
        let open = match only_open {
            true => "AND bank_lines.state IN ('UNMATCHED', 'AMBIGUOUS')",
            false => "",
        };
        let text = format!(
            "{SELECT} WHERE bank_lines.account = $1 {open} AND (bank_lines.ordinal, bank_lines.number) > ($2, $3) \
             ORDER BY bank_lines.ordinal, bank_lines.number LIMIT $4"
        );
        let values = [
            account.as_str().into(),
            after.map_or(0, |after| after.ordinal).into(),
            after.map_or(0, |after| after.number).into(),
            limit.into(),
        ];
        let rows = self.read(AssertSqlSafe(text), &values).await?;
        rows.iter().map(bank_line).collect()
    }

    /// The lines that came by a statement first, by where they stand.
    ///
    /// # Errors
    /// When the database can't be read.
    pub async fn bank_line_states(&self, id: BankStatementId) -> Result<LineCounts, StoreError> {
        let text = "SELECT state, COUNT(*) AS lines FROM bank_lines WHERE statement_id = $1 GROUP BY state";
        let mut counts = LineCounts::default();
        for row in &self.read(text, &[id.to_string().into()]).await? {
            let columns = Columns::of(row, "bank_lines", "state")?;
            let place = match columns.text("state")? {
                "MATCHED" => &mut counts.matched,
                "UNMATCHED" => &mut counts.unmatched,
                "AMBIGUOUS" => &mut counts.ambiguous,
                _ => &mut counts.not_counted,
            };
            *place = columns.integer("lines")?;
        }
        Ok(counts)
    }

    /// A line by its name.
    ///
    /// # Errors
    /// When the database can't be read, or the row is corrupt.
    pub async fn bank_line(&self, id: BankLineId) -> Result<Option<BankLine>, StoreError> {
        let text = format!("{SELECT} WHERE bank_lines.id = $1");
        let values = [id.to_string().into()];
        let rows = self.read(AssertSqlSafe(text), &values).await?;
        rows.first().map(bank_line).transpose()
    }

    /// The line that is matched with this as this.
    ///
    /// # Errors
    /// When the database can't be read, or the row is corrupt.
    pub async fn line_matched_with(
        &self,
        with: &Candidate,
        rule: MatchRule,
    ) -> Result<Option<BankLineId>, StoreError> {
        let text = "SELECT id FROM bank_lines WHERE matched_with = $1 AND rule = $2";
        let values = [with.to_string().into(), Value::Static(rule.name())];
        let rows = self.read(text, &values).await?;
        let id = |row: &AnyRow| Columns::of(row, "bank_lines", "id")?.parsed("id");
        rows.first().map(id).transpose()
    }
}

/// The statement that says where an open line stands. Nothing is written where it is matched, or what it is matched with has
/// another line, or where the discrepancy that is named has another version.
pub(super) fn line_match(
    id: BankLineId,
    matching: &LineMatch,
    at: UnixMillis,
    discrepancy: Option<(&str, i64)>,
) -> Statement {
    let mut values: Vec<Value> = vec![id.to_string().into()];
    values.extend(match_values(matching));
    values.push(at.as_i64().into());
    values.push(discrepancy.map(|(id, _)| id.to_owned()).into());
    values.push(discrepancy.map(|(_, version)| version).into());
    Statement {
        text: "UPDATE bank_lines SET state = $2, matched_with = $3, rule = $4, candidates = $5, finding = $6, \
            ours = $7, matched_by = $8, matched_at_ms = CASE WHEN CAST($3 AS TEXT) IS NULL THEN NULL \
            ELSE CAST($9 AS BIGINT) END WHERE id = $1 AND state IN ('UNMATCHED', 'AMBIGUOUS') \
            AND (CAST($3 AS TEXT) IS NULL OR NOT EXISTS (SELECT 1 FROM bank_lines AS other \
                WHERE other.matched_with = $3 AND other.rule = $4)) \
            AND (CAST($10 AS TEXT) IS NULL OR EXISTS (SELECT 1 FROM settlement_differences AS found \
                WHERE found.id = $10 AND found.version = CAST($11 AS BIGINT)))",
        values,
        returning: false,
    }
}

fn insert(statement: &BankStatement, line: &BankLine) -> Statement {
    let mut values: Vec<Value> = vec![
        statement.id.to_string().into(),
        statement.applied_to.into(),
        line.id.to_string().into(),
        line.account.as_str().into(),
        line.ordinal.into(),
        line.number.into(),
        hex::encode_lower(&line.key).into(),
        line.occurrence.into(),
        Value::Static(line.bank_state.name()),
        line.booking_date.map(|date| date.to_string()).into(),
        line.value_date.map(|date| date.to_string()).into(),
        line.amount_minor.into(),
        line.currency.code().into(),
        line.bank_reference.clone().into(),
        line.own_reference.clone().into(),
        line.text.clone().into(),
        i64::from(line.reverses).into(),
    ];
    values.extend(match_values(&line.matching));
    Statement {
        text: "INSERT INTO bank_lines (id, account, statement_id, ordinal, number, line_key, occurrence, bank_state, booking_date, \
            value_date, amount_minor, currency, bank_reference, own_reference, text, reverses, state, matched_with, \
            rule, candidates, finding, ours, matched_by) SELECT CAST($3 AS TEXT), CAST($4 AS TEXT), CAST($1 AS TEXT), CAST($5 AS BIGINT), \
            CAST($6 AS BIGINT), CAST($7 AS TEXT), CAST($8 AS BIGINT), CAST($9 AS TEXT), CAST($10 AS TEXT), \
            CAST($11 AS TEXT), CAST($12 AS BIGINT), CAST($13 AS TEXT), CAST($14 AS TEXT), \
            CAST($15 AS TEXT), CAST($16 AS TEXT), CAST($17 AS BIGINT), CAST($18 AS TEXT), \
            CAST($19 AS TEXT), CAST($20 AS TEXT), CAST($21 AS TEXT), CAST($22 AS TEXT), CAST($23 AS TEXT), \
            CAST($24 AS TEXT) \
            WHERE EXISTS (SELECT 1 FROM bank_statements WHERE bank_statements.id = $1 AND applied_to = $2) \
            ON CONFLICT DO NOTHING",
        values,
        returning: false,
    }
}

/// State, what it is matched with, rule, candidates, finding, ours and who said so.
fn match_values(matching: &LineMatch) -> [Value; 7] {
    let text = |text: Option<String>| Value::from(text);
    let state = Value::Static(matching.state());
    match matching {
        LineMatch::NotCounted => [
            state,
            text(None),
            text(None),
            "[]".into(),
            text(None),
            text(None),
            text(None),
        ],
        LineMatch::Matched { with, rule, by } => [
            state,
            text(Some(with.to_string())),
            text(Some(rule.name().to_owned())),
            "[]".into(),
            text(None),
            text(None),
            text(by.clone()),
        ],
        LineMatch::Open {
            finding,
            candidates,
            ours,
        } => {
            let names: Vec<String> = candidates.iter().map(ToString::to_string).collect();
            [
                state,
                text(None),
                text(None),
                serde_json::Value::from(names).to_string().into(),
                text(Some(finding.name().to_owned())),
                text(ours.clone()),
                text(None),
            ]
        }
    }
}

fn bank_line(row: &AnyRow) -> Result<BankLine, StoreError> {
    let columns = Columns::of(row, "bank_lines", "id")?;
    let state = columns.text("state")?;
    let matching = match state {
        "NOT_COUNTED" => LineMatch::NotCounted,
        "MATCHED" => LineMatch::Matched {
            with: columns.parsed("matched_with")?,
            rule: columns.variant("rule")?,
            by: columns.optional_text("matched_by")?,
        },
        _ => {
            let names: Vec<String> = columns.json("candidates")?;
            let candidates = names.iter().map(|name| {
                let read = name.parse::<Candidate>();
                read.map_err(|error| columns.corrupt("candidates", name, error))
            });
            LineMatch::Open {
                finding: columns.variant("finding")?,
                candidates: candidates.collect::<Result<_, _>>()?,
                ours: columns.optional_text("ours")?,
            }
        }
    };
    columns.same_state("state", matching.state())?;
    Ok(BankLine {
        id: columns.parsed("id")?,
        account: columns.parsed("account")?,
        statement_id: columns.parsed("statement_id")?,
        ordinal: columns.integer("ordinal")?,
        number: columns.integer("number")?,
        key: columns.hash("line_key")?,
        occurrence: columns.integer("occurrence")?,
        bank_state: columns.variant("bank_state")?,
        booking_date: columns.optional_parsed("booking_date")?,
        value_date: columns.optional_parsed("value_date")?,
        amount_minor: columns.integer("amount_minor")?,
        currency: columns.parsed("currency")?,
        bank_reference: columns.optional_text("bank_reference")?,
        own_reference: columns.optional_text("own_reference")?,
        text: columns.optional_text("text")?,
        reverses: columns.flag("reverses")?,
        matching,
    })
}
