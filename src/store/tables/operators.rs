//! Who may use the operators' door. A change of an operator and its audit row are one transaction.

use sqlx::any::AnyRow;

use super::audit::{audit_values, insert_audit, insert_audit_where};
use super::columns::Columns;
use crate::store::Store;
use crate::store::database::connection::Statement;
use crate::store::error::StoreError;
use crate::store::records::callers::{AuditRecord, OperatorRecord, OperatorRole};

impl Store {
    /// Adds the first operator.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when there is an operator already, or the audit row's request was made
    /// before.
    pub async fn insert_first_operator(
        &self,
        operator: &OperatorRecord,
        audit: &AuditRecord,
    ) -> Result<(), StoreError> {
        if !self.list_operators().await?.is_empty() {
            return Err(StoreError::Conflict {
                what: "an operator",
                reason: "only the first one is added on the database".into(),
            });
        }
        self.insert_operator(operator, audit).await
    }

    /// Adds an operator.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when there is one of this name, or the audit row's request was made before.
    pub async fn insert_operator(
        &self,
        operator: &OperatorRecord,
        audit: &AuditRecord,
    ) -> Result<(), StoreError> {
        let insert = Statement {
            text: "INSERT INTO operators (name, role, active, created_at_ms, created_by) \
                VALUES ($1, $2, $3, $4, $5)",
            values: vec![
                operator.name.as_str().into(),
                operator.role.name().into(),
                i64::from(operator.active).into(),
                operator.created_at.as_i64().into(),
                operator.created_by.as_str().into(),
            ],
            returning: false,
        };
        let statements = vec![insert, insert_audit(audit)];
        self.inner.writer.run(statements, false).await.map(drop)
    }

    /// Changes an operator's role and whether it may call, if it still is as it was `before` and at least
    /// one active approver stays. Whether it was changed; the audit row is written only then.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the audit row's request was made before.
    pub async fn update_operator(
        &self,
        before: &OperatorRecord,
        after: &OperatorRecord,
        audit: &AuditRecord,
    ) -> Result<bool, StoreError> {
        // One change after the other: each sees what the one before has left.
        let take_turns = Statement {
            text: "UPDATE operators SET active = active",
            values: Vec::new(),
            returning: false,
        };
        let approver = OperatorRole::Approver;
        let approves = |operator: &OperatorRecord| operator.active && operator.role == approver;
        let leaves_as_many = approves(after) || !approves(before);
        let mut values = audit_values(audit);
        values.extend([
            before.name.as_str().into(),
            before.role.name().into(),
            i64::from(before.active).into(),
            i64::from(leaves_as_many).into(),
            approver.name().into(),
        ]);
        let record = Statement {
            text: insert_audit_where!(
                "EXISTS (SELECT 1 FROM operators \
                    WHERE name = $11 AND role = $12 AND active = $13) \
                AND ($14 = 1 OR EXISTS (SELECT 1 FROM operators \
                    WHERE name <> $11 AND role = $15 AND active = 1))"
            ),
            values,
            returning: false,
        };
        let change = Statement {
            text: "UPDATE operators SET role = $2, active = $3 \
                WHERE name = $1 AND EXISTS (SELECT 1 FROM audit WHERE id = $4)",
            values: vec![
                after.name.as_str().into(),
                after.role.name().into(),
                i64::from(after.active).into(),
                audit.id.to_string().into(),
            ],
            returning: false,
        };
        let statements = vec![take_turns, record, change];
        let done = self.inner.writer.run(statements, false).await?;
        Ok(done.last().is_some_and(|change| change.rows_affected == 1))
    }

    /// An operator, active or not.
    ///
    /// # Errors
    /// When the database can't be read, or the row is corrupt.
    pub async fn operator(&self, name: &str) -> Result<Option<OperatorRecord>, StoreError> {
        let rows = self
            .read("SELECT * FROM operators WHERE name = $1", &[name.into()])
            .await?;
        rows.first().map(operator).transpose()
    }

    /// All operators, by name.
    ///
    /// # Errors
    /// When the database can't be read, or a row is corrupt.
    pub async fn list_operators(&self) -> Result<Vec<OperatorRecord>, StoreError> {
        let rows = self
            .read("SELECT * FROM operators ORDER BY name", &[])
            .await?;
        rows.iter().map(operator).collect()
    }
}

fn operator(row: &AnyRow) -> Result<OperatorRecord, StoreError> {
    let columns = Columns::of(row, "operators", "name")?;
    Ok(OperatorRecord {
        name: columns.text("name")?.to_owned(),
        role: columns.parsed("role")?,
        active: columns.flag("active")?,
        created_at: columns.moment("created_at_ms")?,
        created_by: columns.text("created_by")?.to_owned(),
    })
}
