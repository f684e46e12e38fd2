//! Statements of bank accounts. Those of an account are numbered as they come, so that of two nodes one is first.

use iso8583::hex;
use sqlx::any::AnyRow;

use super::columns::Columns;
use crate::payment::bank_statement::{Balance, BankStatement};
use crate::payment::ids::{BankAccountName, BankStatementId};
use crate::payment::moment::BusinessDate;
use crate::store::Store;
use crate::store::database::connection::Statement;
use crate::store::error::StoreError;

impl Store {
    /// Records a statement, unless another one of the account has its number, or the one before it is not whole. Whether it
    /// is recorded.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn insert_bank_statement(
        &self,
        statement: &BankStatement,
    ) -> Result<bool, StoreError> {
        let date = |balance: Option<Balance>| {
            let date = balance.and_then(|balance| balance.date);
            date.map(|date| date.to_string())
        };
        let minor = |balance: Option<Balance>| balance.map(|balance| balance.amount_minor);
        let insert = Statement {
            text: "INSERT INTO bank_statements (id, account, ordinal, file_name, sha256, number_in_file, reference, \
                sequence, page, currency, kind, opening_minor, opening_date, closing_minor, closing_date, place, \
                before_minor, continues, lines, applied_to, state, operator, at_ms) \
                SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), CAST($3 AS BIGINT), CAST($4 AS TEXT), CAST($5 AS TEXT), \
                CAST($6 AS BIGINT), CAST($7 AS TEXT), CAST($8 AS BIGINT), CAST($9 AS BIGINT), CAST($10 AS TEXT), \
                CAST($11 AS TEXT), CAST($12 AS BIGINT), CAST($13 AS TEXT), CAST($14 AS BIGINT), CAST($15 AS TEXT), \
                CAST($16 AS TEXT), CAST($17 AS BIGINT), CAST($18 AS BIGINT), CAST($19 AS BIGINT), 0, 'RECEIVED', \
                CAST($20 AS TEXT), CAST($21 AS BIGINT) WHERE NOT EXISTS (SELECT 1 FROM bank_statements \
                    WHERE bank_statements.account = $2 AND bank_statements.state <> 'DONE') ON CONFLICT DO NOTHING",
            values: vec![
                statement.id.to_string().into(),
                statement.account.as_str().into(),
                statement.ordinal.into(),
                statement.file_name.as_str().into(),
                hex::encode_lower(&statement.sha256).into(),
                statement.number_in_file.into(),
                statement.reference.as_str().into(),
                statement.sequence.into(),
                statement.page.into(),
                statement.currency.code().into(),
                statement.kind.name().into(),
                minor(statement.opening).into(),
                date(statement.opening).into(),
                minor(statement.closing).into(),
                date(statement.closing).into(),
                statement.place.clone().into(),
                statement.before_minor.into(),
                i64::from(statement.continues).into(),
                statement.lines.into(),
                statement.operator.as_str().into(),
                statement.at.as_i64().into(),
            ],
            returning: false,
        };
        self.inner.housekeeping.run(vec![insert]).await?;
        // It may have run twice.
        let text = "SELECT * FROM bank_statements WHERE id = $1";
        let rows = self.read(text, &[statement.id.to_string().into()]).await?;
        Ok(!rows.is_empty())
    }

    /// Records that all lines of a statement were looked at, and tells the one after it what it closed with. Whether they
    /// were.
    ///
    /// # Errors
    /// When the database is not available.
    pub async fn finish_bank_statement(
        &self,
        statement: &BankStatement,
        after: Option<BankStatementId>,
    ) -> Result<bool, StoreError> {
        let closing = statement.closing.map(|closing| closing.amount_minor);
        let mut statements = Vec::with_capacity(2);
        if let (Some(after), Some(closing)) = (after, closing) {
            statements.push(Statement {
                text: "UPDATE bank_statements SET before_minor = $2 WHERE id = $1",
                values: vec![after.to_string().into(), closing.into()],
                returning: false,
            });
        }
        statements.push(Statement {
            text: "UPDATE bank_statements SET state = 'DONE' WHERE id = $1 AND applied_to = lines",
            values: vec![statement.id.to_string().into()],
            returning: false,
        });
        let ran = self.inner.housekeeping.run(statements).await?;
        Ok(ran.last().is_some_and(|done| done.rows_affected == 1))
    }

    /// A statement of an account by its file.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn bank_statement_of_file(
        &self,
        account: BankAccountName,
        sha256: &[u8; 32],
        number_in_file: i64,
    ) -> Result<Option<BankStatement>, StoreError> {
        let text = "SELECT * FROM bank_statements WHERE account = $1 AND sha256 = $2 AND number_in_file = $3";
        let values = [
            account.as_str().into(),
            hex::encode_lower(sha256).into(),
            number_in_file.into(),
        ];
        let rows = self.read(text, &values).await?;
        rows.first().map(bank_statement).transpose()
    }

    /// The statement of an account that came last.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn last_bank_statement(
        &self,
        account: BankAccountName,
    ) -> Result<Option<BankStatement>, StoreError> {
        let text = "SELECT * FROM bank_statements WHERE account = $1 ORDER BY ordinal DESC LIMIT 1";
        let rows = self.read(text, &[account.as_str().into()]).await?;
        rows.first().map(bank_statement).transpose()
    }

    /// The statements of an account before and after a place.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn bank_statements_around(
        &self,
        account: BankAccountName,
        place: &str,
    ) -> Result<[Option<BankStatement>; 2], StoreError> {
        let before = "SELECT * FROM bank_statements WHERE account = $1 AND place < $2 ORDER BY place DESC LIMIT 1";
        let after = "SELECT * FROM bank_statements WHERE account = $1 AND place > $2 ORDER BY place LIMIT 1";
        let values = [account.as_str().into(), place.into()];
        let before = self.read(before, &values).await?;
        let after = self.read(after, &values).await?;
        let read = |rows: &[AnyRow]| rows.first().map(bank_statement).transpose();
        Ok([read(&before)?, read(&after)?])
    }

    /// The statement of an account that has the bank's name, number, page, closing date and balances of this one, and came in
    /// another file or place of it. One with other balances contradicts it.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn same_bank_statement(
        &self,
        statement: &BankStatement,
    ) -> Result<Option<BankStatement>, StoreError> {
        let text = "SELECT * FROM bank_statements WHERE account = $1 AND reference = $2 AND kind = $3 \
            AND COALESCE(sequence, -1) = $4 AND COALESCE(page, -1) = $5 AND COALESCE(closing_date, '') = $6 \
            AND COALESCE(CAST(opening_minor AS TEXT), '') = $8 AND COALESCE(CAST(closing_minor AS TEXT), '') = $9 \
            AND ordinal < $7 ORDER BY ordinal LIMIT 1";
        let date = statement.closing.and_then(|closing| closing.date);
        let minor = |balance: Option<Balance>| {
            balance.map_or_else(String::new, |balance| balance.amount_minor.to_string())
        };
        let values = [
            statement.account.as_str().into(),
            statement.reference.as_str().into(),
            statement.kind.name().into(),
            statement.sequence.unwrap_or(-1).into(),
            statement.page.unwrap_or(-1).into(),
            date.map_or_else(String::new, |date| date.to_string())
                .into(),
            statement.ordinal.into(),
            minor(statement.opening).into(),
            minor(statement.closing).into(),
        ];
        let rows = self.read(text, &values).await?;
        rows.first().map(bank_statement).transpose()
    }

    /// A statement by its name.
    ///
    /// # Errors
    /// When the database can't be read, or the row is corrupt.
    pub async fn bank_statement(
        &self,
        id: BankStatementId,
    ) -> Result<Option<BankStatement>, StoreError> {
        let text = "SELECT * FROM bank_statements WHERE id = $1";
        let rows = self.read(text, &[id.to_string().into()]).await?;
        rows.first().map(bank_statement).transpose()
    }

    /// The statements of an account that do not begin with what the one before them closed with, at most `limit`, going on
    /// after `after`.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn broken_bank_statements(
        &self,
        account: BankAccountName,
        limit: usize,
        after: Option<BankStatementId>,
    ) -> Result<Vec<BankStatement>, StoreError> {
        let text = "SELECT * FROM bank_statements WHERE account = $1 AND before_minor <> opening_minor AND id > $2 \
            AND state = 'DONE' ORDER BY id LIMIT $3";
        let values = [
            account.as_str().into(),
            after
                .map_or_else(String::new, |after| after.to_string())
                .into(),
            i64::try_from(limit).unwrap_or(i64::MAX).into(),
        ];
        let rows = self.read(text, &values).await?;
        rows.iter().map(bank_statement).collect()
    }

    /// From which date to which one the statements of an account that are in its chain are: the first and the last on which
    /// one of them closed, no later than `latest`. None where there is none.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn statement_dates(
        &self,
        account: BankAccountName,
        latest: BusinessDate,
    ) -> Result<Option<[BusinessDate; 2]>, StoreError> {
        let first = "SELECT id, closing_date FROM bank_statements WHERE account = $1 AND place IS NOT NULL \
            AND state = 'DONE' AND closing_date <= $2 ORDER BY place LIMIT 1";
        let last = "SELECT id, closing_date FROM bank_statements WHERE account = $1 AND place IS NOT NULL \
            AND state = 'DONE' AND closing_date <= $2 ORDER BY place DESC LIMIT 1";
        let values = [account.as_str().into(), latest.to_string().into()];
        let first = self.read(first, &values).await?;
        let last = self.read(last, &values).await?;
        let date = |rows: &[AnyRow]| {
            let date = |row| Columns::of(row, "bank_statements", "id")?.parsed("closing_date");
            rows.first().map(date).transpose()
        };
        Ok(date(&first)?
            .zip(date(&last)?)
            .map(|(first, last)| [first, last]))
    }

    /// The statements of a file, as they are recorded.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn bank_statements_of_file(
        &self,
        account: BankAccountName,
        sha256: &[u8; 32],
    ) -> Result<Vec<BankStatement>, StoreError> {
        let text = "SELECT * FROM bank_statements WHERE account = $1 AND sha256 = $2 ORDER BY number_in_file";
        let values = [account.as_str().into(), hex::encode_lower(sha256).into()];
        let rows = self.read(text, &values).await?;
        rows.iter().map(bank_statement).collect()
    }
}

fn bank_statement(row: &AnyRow) -> Result<BankStatement, StoreError> {
    let columns = Columns::of(row, "bank_statements", "id")?;
    let state = columns.text("state")?;
    let is_done = match state {
        "DONE" => true,
        "RECEIVED" => false,
        _ => return Err(columns.corrupt("state", state, "expected RECEIVED or DONE")),
    };
    let balance = |minor: &'static str, date: &'static str| -> Result<_, StoreError> {
        let minor = columns.optional_integer(minor)?;
        let date = columns.optional_parsed(date)?;
        Ok(minor.map(|amount_minor| Balance { amount_minor, date }))
    };
    Ok(BankStatement {
        id: columns.parsed("id")?,
        account: columns.parsed("account")?,
        ordinal: columns.integer("ordinal")?,
        file_name: columns.text("file_name")?.to_owned(),
        sha256: columns.hash("sha256")?,
        number_in_file: columns.integer("number_in_file")?,
        reference: columns.text("reference")?.to_owned(),
        sequence: columns.optional_integer("sequence")?,
        page: columns.optional_integer("page")?,
        currency: columns.parsed("currency")?,
        kind: columns.variant("kind")?,
        opening: balance("opening_minor", "opening_date")?,
        closing: balance("closing_minor", "closing_date")?,
        place: columns.optional_text("place")?,
        before_minor: columns.optional_integer("before_minor")?,
        continues: columns.flag("continues")?,
        lines: columns.integer("lines")?,
        applied_to: columns.integer("applied_to")?,
        is_done,
        operator: columns.text("operator")?.to_owned(),
        at: columns.moment("at_ms")?,
    })
}
