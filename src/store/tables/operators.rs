//! Who may use the operators' door. A change of an operator and its audit row are one transaction.

use sqlx::any::AnyRow;

use super::audit::insert_audit;
use super::columns::Columns;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::records::{AuditRecord, OperatorRecord, OperatorRole};
use crate::store::writer::rows::Statement;

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

    /// Changes an operator's role and whether it may call.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is none of this name, [`StoreError::Conflict`] when the audit
    /// row's request was made before.
    pub async fn update_operator(
        &self,
        name: &str,
        role: OperatorRole,
        active: bool,
        audit: &AuditRecord,
    ) -> Result<(), StoreError> {
        if self.operator(name).await?.is_none() {
            return Err(StoreError::NotFound {
                what: "operator",
                id: name.to_owned(),
            });
        }
        // Operators are never deleted, so that this one is still there.
        let update = Statement {
            text: "UPDATE operators SET role = $2, active = $3 WHERE name = $1",
            values: vec![name.into(), role.name().into(), i64::from(active).into()],
            returning: false,
        };
        let statements = vec![update, insert_audit(audit)];
        self.inner.writer.run(statements, false).await.map(drop)
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
