//! Rows by their names.

use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use crate::store::Store;
use crate::store::database::engine::Engine;
use crate::store::database::value::Value;
use crate::store::error::StoreError;
use crate::store::records::lists::MAX_PAGE_SIZE;

/// Stands in a text for the names of the rows that are read.
pub(in crate::store) const IDS: &str = "IN (ids)";

impl Store {
    /// The rows that `text` selects, where [`IDS`] follows on the column of their names.
    pub(in crate::store) async fn of_ids<T: Into<Value>>(
        &self,
        text: &str,
        ids: Vec<T>,
    ) -> Result<Vec<AnyRow>, StoreError> {
        self.of_ids_among(text, &[], ids).await
    }

    /// The same, where `text` has also places for other values: $1 and so on.
    pub(in crate::store) async fn of_ids_among<T: Into<Value>>(
        &self,
        text: &str,
        others: &[Value],
        ids: Vec<T>,
    ) -> Result<Vec<AnyRow>, StoreError> {
        if !text.contains(IDS) {
            return Err(StoreError::Invalid {
                expected: "a statement with a place for names",
                got: text.to_owned(),
            });
        }
        // A number is a name to SQLite's driver, whose search for names takes the square of their count.
        let is_plain = others.is_empty() && text.matches(IDS).count() == 1;
        let has_numbers = self.inner.engine == Engine::Postgres || !is_plain;
        let values: Vec<Value> = ids.into_iter().map(Into::into).collect();
        let mut found = Vec::new();
        for values in values.chunks(MAX_PAGE_SIZE) {
            // One text for each number of names in a power of two, so that few statements are prepared.
            let places = values.len().next_power_of_two();
            let last = values.last().into_iter().cycle();
            let named = values.iter().chain(last).take(places);
            let values: Vec<Value> = others.iter().chain(named).cloned().collect();
            let numbered = (others.len() + 1..=values.len()).map(|place| match has_numbers {
                true => format!("${place}"),
                false => "?".to_owned(),
            });
            let numbered: Vec<String> = numbered.collect();
            let text = text.replace(IDS, &format!("IN ({})", numbered.join(", ")));
            found.extend(self.read(AssertSqlSafe(text), &values).await?);
        }
        Ok(found)
    }
}
