//! Lines of statements are matched, or opened again, together with the discrepancies that this ends or opens, or not at all.

use super::bank_lines::line_match;
use super::columns::Columns;
use super::difference_steps::{step_statements, step_where};
use crate::payment::account_finding::{AccountLineChange, discrepancy_of, found_in};
use crate::payment::bank_statement::{Candidate, LineMatch, MatchRule};
use crate::payment::discrepancy::{Discrepancy, DiscrepancyChange, Stepped};
use crate::payment::ids::BankLineId;
use crate::payment::moment::UnixMillis;
use crate::random::HashSet;
use crate::store::Store;
use crate::store::database::connection::Statement;
use crate::store::database::value::Value;
use crate::store::error::StoreError;
use crate::store::reads::by_ids::IDS;

/// Ends the discrepancies whose column is $1, where the line $5 is matched with $6.
macro_rules! ended_by_line {
    ($column:literal) => {
        step_where!(
            ends untold, at "$2", by "$3", since "$4", where
            $column,
            " = $1 AND state NOT IN ('ACCEPTED', 'CORRECTED') AND EXISTS (SELECT 1 FROM bank_lines \
             WHERE bank_lines.id = $5 AND bank_lines.matched_with = $6)"
        )
    };
}

/// What was missing until the line $3 was matched with it, for the reason $4, as long as nobody has decided on it since, and
/// once that line is matched with nothing.
macro_rules! missing_again {
    () => {
        "missing = $1 AND state = 'ACCEPTED' AND EXISTS (SELECT 1 FROM difference_changes AS changes \
         WHERE changes.difference_id = settlement_differences.id AND changes.version = settlement_differences.version \
         AND changes.reason = $4) AND EXISTS (SELECT 1 FROM bank_lines WHERE bank_lines.id = $3 \
         AND bank_lines.matched_with IS NULL)"
    };
}

/// Where a step is taken: the discrepancy has the version $2, and its line $3, if any, is matched with $4.
macro_rules! may_step {
    () => {
        "id = $1 AND version = $2 AND (CAST($3 AS TEXT) IS NULL OR EXISTS (SELECT 1 FROM bank_lines \
         WHERE bank_lines.id = $3 AND COALESCE(bank_lines.matched_with, '') = CAST($4 AS TEXT)))"
    };
}

impl Store {
    /// Records where an open line stands. Nothing is written where it is matched, or what it is matched with has another
    /// line. Where it is matched, its discrepancy ends, and so does what was missing until now. Whether it stands there now.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn set_line_match(
        &self,
        id: BankLineId,
        matching: &LineMatch,
        (by, reason): (&str, &str),
        at: UnixMillis,
    ) -> Result<bool, StoreError> {
        let mut all = Vec::new();
        if let LineMatch::Matched { with, rule, .. } = matching {
            let own = discrepancy_of(&id.to_string());
            all.push(held_by_id(&own));
            all.extend(ends_missing(*rule).then(|| held_missing(with)));
            all.push(line_match(id, matching, at, None));
            let why = (by, reason, at);
            all.extend(ended(ended_by_line!("id"), &own, (id, with), why));
            all.extend(found(id, (with, *rule), (by, at)));
        } else {
            all.push(line_match(id, matching, at, None));
        }
        self.inner.housekeeping.run(all).await?;
        // It may have run twice.
        let now = self.bank_line(id).await?;
        Ok(now.is_some_and(|now| now.matching == *matching))
    }

    /// Those of these lines that somebody else than `by_itself` has opened again.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn lines_opened_again(
        &self,
        lines: Vec<BankLineId>,
        by_itself: &str,
    ) -> Result<HashSet<BankLineId>, StoreError> {
        let text = format!(
            "SELECT found.bank_line_id, changes.actor FROM settlement_differences AS found \
             JOIN difference_changes AS changes ON changes.difference_id = found.id \
             WHERE changes.state = 'OPEN' AND found.id {IDS}"
        );
        let ids = lines.iter().map(|line| discrepancy_of(&line.to_string()));
        let mut opened = HashSet::default();
        for row in &self.of_ids(&text, ids.collect()).await? {
            let columns = Columns::of(row, "settlement_differences", "bank_line_id")?;
            if columns.text("actor")? != by_itself {
                opened.insert(columns.parsed("bank_line_id")?);
            }
        }
        Ok(opened)
    }

    /// Records a step of what is on an account, and what it changes of its line. Nothing is written where the discrepancy is
    /// not as `before` any more, or where that change can't be made. Whether it is recorded.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn change_account_discrepancy(
        &self,
        before: &Discrepancy,
        after: &Stepped,
        change: &DiscrepancyChange,
        line: Option<&AccountLineChange>,
    ) -> Result<bool, StoreError> {
        let own = (before.id.as_str(), before.version);
        let mut all = vec![held_by_id(own.0)];
        if let Some(line) = line {
            all.extend(ends_missing(line.rule).then(|| held_missing(&line.with)));
            if line.is_matched {
                let matching = LineMatch::Matched {
                    with: line.with,
                    rule: line.rule,
                    by: Some(change.actor.clone()),
                };
                all.push(line_match(line.line, &matching, change.at, Some(own)));
            } else {
                all.extend(opened_again(own, line, change));
            }
        }
        all.extend(step(own, after, change, line)?);
        if let Some(line) = line.filter(|line| line.is_matched) {
            let with = (&line.with, line.rule);
            all.extend(found(line.line, with, (&change.actor, change.at)));
        }
        self.inner.housekeeping.run(all).await?;
        // It may have run twice, and another one's step may be at the same version.
        let to = before.version.saturating_add(1);
        let taken = self.discrepancy_change_to(&before.id, to).await?;
        Ok(taken.as_ref() == Some(change))
    }
}

/// Whether what is matched so may have been missing: what comes back may stay away.
const fn ends_missing(rule: MatchRule) -> bool {
    matches!(rule, MatchRule::Payout | MatchRule::Settlement)
}

fn held_by_id(id: &str) -> Statement {
    Statement {
        text: "UPDATE settlement_differences SET version = version WHERE id = $1",
        values: vec![id.into()],
        returning: false,
    }
}

fn held_missing(with: &Candidate) -> Statement {
    Statement {
        text: "UPDATE settlement_differences SET version = version WHERE missing = $1",
        values: vec![with.to_string().into()],
        returning: false,
    }
}

/// Ends what was missing and is this line.
fn found(
    line: BankLineId,
    (with, rule): (&Candidate, MatchRule),
    (by, at): (&str, UnixMillis),
) -> Vec<Statement> {
    if !ends_missing(rule) {
        return Vec::new();
    }
    let reason = found_in(line);
    let missing = with.to_string();
    let why = (by, reason.as_str(), at);
    ended(ended_by_line!("missing"), &missing, (line, with), why).into()
}

fn ended(
    texts: [&'static str; 2],
    of: &str,
    (line, with): (BankLineId, &Candidate),
    (by, reason, at): (&str, &str, UnixMillis),
) -> [Statement; 2] {
    let values = vec![
        of.into(),
        at.as_i64().into(),
        by.into(),
        reason.into(),
        line.to_string().into(),
        with.to_string().into(),
    ];
    step_statements(texts, values)
}

/// Opens a line again, and what was missing before it was matched.
fn opened_again(
    (id, version): (&str, i64),
    line: &AccountLineChange,
    change: &DiscrepancyChange,
) -> Vec<Statement> {
    let (own, with): (Value, Value) = (line.line.to_string().into(), line.with.to_string().into());
    let unmatched = Statement {
        text: "UPDATE bank_lines SET state = 'UNMATCHED', matched_with = NULL, rule = NULL, candidates = '[]', \
            finding = 'LINE_UNMATCHED', ours = NULL, matched_by = NULL, matched_at_ms = NULL \
            WHERE id = $1 AND matched_with = $2 AND EXISTS (SELECT 1 FROM settlement_differences AS found \
                WHERE found.id = $3 AND found.version = $4)",
        values: vec![own.clone(), with.clone(), id.into(), version.into()],
        returning: false,
    };
    let missing = step_where!(
        opens untold, at "$2", by "$5", since "'the match was undone: ' || $4", where missing_again!()
    );
    let values = vec![
        with,
        change.at.as_i64().into(),
        own,
        found_in(line.line).into(),
        change.actor.as_str().into(),
    ];
    let missing = step_statements(missing, values);
    std::iter::once(unmatched).chain(missing).collect()
}

fn step(
    (id, version): (&str, i64),
    after: &Stepped,
    change: &DiscrepancyChange,
    line: Option<&AccountLineChange>,
) -> Result<[Statement; 2], StoreError> {
    let proposal = after.proposal.as_ref().map(serde_json::to_string);
    let proposal = proposal.transpose().map_err(|error| StoreError::Invalid {
        expected: "a proposal that can be written as JSON",
        got: error.to_string(),
    })?;
    let of_line = line.map(|line| line.line.to_string());
    let with = line.filter(|line| line.is_matched).map(|line| line.with);
    let may: Vec<Value> = vec![
        id.into(),
        version.into(),
        of_line.into(),
        with.map_or_else(String::new, |with| with.to_string())
            .into(),
    ];
    let statement = |text, values: Vec<Value>| Statement {
        text,
        values: [may.clone(), values].concat(),
        returning: false,
    };
    let told = statement(
        concat!(
            "INSERT INTO difference_changes (difference_id, version, at_ms, state, actor, reason) \
             SELECT id, version + 1, CAST($5 AS BIGINT), CAST($6 AS TEXT), CAST($7 AS TEXT), CAST($8 AS TEXT) \
             FROM settlement_differences WHERE ",
            may_step!(),
            " ON CONFLICT DO NOTHING"
        ),
        vec![
            change.at.as_i64().into(),
            Value::Static(change.state.name()),
            change.actor.as_str().into(),
            change.reason.as_str().into(),
        ],
    );
    let stepped = statement(
        concat!(
            "UPDATE settlement_differences SET state = $5, owner = $6, proposal = $7, updated_at_ms = $8, \
             accepted_at_ms = CASE WHEN CAST($9 AS BIGINT) = 1 THEN $8 END, version = version + 1 WHERE ",
            may_step!()
        ),
        vec![
            Value::Static(after.state.name()),
            after.owner.map(|owner| owner.to_string()).into(),
            proposal.into(),
            change.at.as_i64().into(),
            i64::from(after.state.is_final()).into(),
        ],
    );
    Ok([told, stepped])
}
