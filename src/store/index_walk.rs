//! Lists go along an index, and a page looks at a bounded number of its rows: what a filter leaves out of them is passed
//! over. A page that is not full then goes on behind the last row that was looked at.

use std::fmt::Display;
use std::str::FromStr;

use sqlx::AssertSqlSafe;
use sqlx::any::AnyRow;

use crate::payment::ids::{ImportId, PayoutId};
use crate::store::Store;
use crate::store::database::value::Value;
use crate::store::error::StoreError;
use crate::store::records::lists::{Cursor, ListOrder, Page};
use crate::store::records::settlement::BatchCursor;
use crate::store::tables::columns::Columns;

/// The most rows that a page looks at.
pub(in crate::store) const LOOKED_AT: usize = 5000;

/// The key of a row: where it stands in a walk's order.
pub(in crate::store) trait WalkKey: Sized {
    /// Reads it from the columns of the key.
    fn read(row: &AnyRow, table: &'static str) -> Result<Self, StoreError>;
    /// The values of the key.
    fn values(&self) -> Vec<Value>;
}

/// By when something was made.
impl<Id: FromStr<Err: Display> + Display> WalkKey for Cursor<Id> {
    fn read(row: &AnyRow, table: &'static str) -> Result<Self, StoreError> {
        let columns = Columns::of(row, table, "id")?;
        Ok(Self {
            created_at: columns.moment("created_at_ms")?,
            id: columns.parsed("id")?,
        })
    }

    fn values(&self) -> Vec<Value> {
        vec![self.created_at.as_i64().into(), self.id.to_string().into()]
    }
}

/// By a position among the events.
impl WalkKey for i64 {
    fn read(row: &AnyRow, table: &'static str) -> Result<Self, StoreError> {
        Columns::named(row, table, String::new()).integer("position")
    }

    fn values(&self) -> Vec<Value> {
        vec![(*self).into()]
    }
}

/// By a name that sorts by when it was given.
impl WalkKey for String {
    fn read(row: &AnyRow, table: &'static str) -> Result<Self, StoreError> {
        let columns = Columns::named(row, table, Self::new());
        columns.text("id").map(Self::from)
    }

    fn values(&self) -> Vec<Value> {
        vec![self.as_str().into()]
    }
}

/// By an id that sorts by when it was given.
macro_rules! by_id {
    ($($id:ident),*) => {$(
        impl WalkKey for $id {
            fn read(row: &AnyRow, table: &'static str) -> Result<Self, StoreError> {
                Columns::of(row, table, "id")?.parsed("id")
            }

            fn values(&self) -> Vec<Value> {
                vec![self.to_string().into()]
            }
        }
    )*};
}
by_id!(PayoutId, ImportId);

/// By the date of a batch.
impl WalkKey for BatchCursor {
    fn read(row: &AnyRow, table: &'static str) -> Result<Self, StoreError> {
        let columns = Columns::of(row, table, "id")?;
        Ok(Self {
            business_date: columns.parsed("business_date")?,
            id: columns.parsed("id")?,
        })
    }

    fn values(&self) -> Vec<Value> {
        let date = self.business_date.to_string();
        vec![date.into(), self.id.to_string().into()]
    }
}

/// Rows of a table that an index has in their order.
pub(in crate::store) struct IndexWalk {
    from: &'static str,
    /// What they are ordered by. The index has it behind the columns of the conditions.
    key: &'static [&'static str],
    order: ListOrder,
    conditions: Vec<String>,
    values: Vec<Value>,
}

impl IndexWalk {
    /// All rows, by this key.
    pub(in crate::store) const fn new(
        from: &'static str,
        key: &'static [&'static str],
        order: ListOrder,
    ) -> Self {
        Self {
            from,
            key,
            order,
            conditions: Vec::new(),
            values: Vec::new(),
        }
    }

    /// Of these rows only those that a condition holds for: `condition` ends with an operator, such as `currency =`.
    pub(in crate::store) fn only(&mut self, condition: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.values.push(value.into());
            let condition = format!("{condition} ${}", self.values.len());
            self.conditions.push(condition);
        }
    }

    /// Only rows whose column has this text, where no index of that column is to be used: it would lead through other
    /// rows than those that are bounded.
    pub(in crate::store) fn filtered(&mut self, column: &str, text: Option<impl Into<Value>>) {
        self.only(&format!("{column} || '' ="), text);
    }

    /// Only rows whose column has one of these names; all of them where no name is given.
    pub(in crate::store) fn only_any(&mut self, column: &str, names: &[&'static str]) {
        if names.is_empty() {
            return;
        }
        let mut places = Vec::with_capacity(names.len());
        for name in names {
            self.values.push(Value::Static(name));
            places.push(format!("${}", self.values.len()));
        }
        let condition = format!("{column} IN ({})", places.join(", "));
        self.conditions.push(condition);
    }

    /// Only rows whose column is like one of these patterns; all of them where no pattern is given.
    pub(in crate::store) fn only_like(
        &mut self,
        column: &str,
        patterns: impl Iterator<Item = String>,
    ) {
        let mut likes = Vec::new();
        for pattern in patterns {
            self.values.push(pattern.into());
            likes.push(format!("{column} LIKE ${}", self.values.len()));
        }
        if !likes.is_empty() {
            self.conditions.push(format!("({})", likes.join(" OR ")));
        }
    }

    /// The place of a value that is in no condition, for the text of what is selected.
    pub(in crate::store) fn place_of(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
    }

    /// The columns of the key.
    pub(in crate::store) fn key(&self) -> String {
        self.key.join(", ")
    }

    /// Only rows that a condition without a value holds for.
    pub(in crate::store) fn only_where(&mut self, condition: impl Into<String>) {
        self.conditions.push(condition.into());
    }

    /// Only what comes after a place.
    pub(in crate::store) fn after(&mut self, place: Option<&impl WalkKey>) {
        let operator = match self.order {
            ListOrder::NewestFirst => "<",
            ListOrder::OldestFirst => ">",
        };
        if let Some(place) = place {
            self.compared(operator, place);
        }
    }

    /// Only what comes up to a place, that one included.
    fn up_to(&mut self, place: &impl WalkKey) {
        let operator = match self.order {
            ListOrder::NewestFirst => ">=",
            ListOrder::OldestFirst => "<=",
        };
        self.compared(operator, place);
    }

    fn compared(&mut self, operator: &str, place: &impl WalkKey) {
        let first = self.values.len() + 1;
        self.values.extend(place.values());
        let place: Vec<String> = (first..=self.values.len())
            .map(|number| format!("${number}"))
            .collect();
        // PostgreSQL has no idea how few rows are between two places, unless a single column says so.
        if let [column, _, ..] = self.key {
            let or_equal = operator.trim_end_matches('=');
            let condition = format!("{column} {or_equal}= ${first}");
            self.conditions.push(condition);
        }
        let (key, place) = (self.key(), place.join(", "));
        self.conditions
            .push(format!("({key}) {operator} ({place})"));
    }

    fn where_clause(&self) -> String {
        match self.conditions.as_slice() {
            [] => String::new(),
            conditions => format!(" WHERE {}", conditions.join(" AND ")),
        }
    }

    fn order_by(&self) -> String {
        let direction = match self.order {
            ListOrder::NewestFirst => "DESC",
            ListOrder::OldestFirst => "ASC",
        };
        let columns = self
            .key
            .iter()
            .map(|column| format!("{column} {direction}"));
        format!(" ORDER BY {}", columns.collect::<Vec<_>>().join(", "))
    }
}

impl Store {
    /// Where a page of these rows ends at the latest; None where there are not so many. From now on the walk goes no
    /// further.
    pub(in crate::store) async fn end_of_look<P: WalkKey>(
        &self,
        walk: &mut IndexWalk,
    ) -> Result<Option<P>, StoreError> {
        let text = format!(
            "SELECT {} FROM {}{}{} LIMIT 1 OFFSET {}",
            walk.key(),
            walk.from,
            walk.where_clause(),
            walk.order_by(),
            LOOKED_AT - 1
        );
        let rows = self.read(AssertSqlSafe(text), &walk.values).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let end = P::read(row, walk.from)?;
        walk.up_to(&end);
        Ok(Some(end))
    }

    /// What `select` gives of these rows, at most `limit`; `group` may group them.
    pub(in crate::store) async fn walked(
        &self,
        walk: &IndexWalk,
        select: &str,
        group: &str,
        limit: usize,
    ) -> Result<Vec<AnyRow>, StoreError> {
        let text = format!(
            "{select}{}{group}{} LIMIT {limit}",
            walk.where_clause(),
            walk.order_by()
        );
        self.read(AssertSqlSafe(text), &walk.values).await
    }
}

/// A page of what was found: one more than `size` was asked for, to know whether there is more. `looked_at` is where the
/// look ended, if it did before the list.
pub(in crate::store) fn page<T, C>(
    mut items: Vec<T>,
    size: usize,
    place: impl FnOnce(&T) -> C,
    looked_at: Option<C>,
) -> Page<T, C> {
    let more = items.len() > size;
    items.truncate(size);
    let next = if more {
        items.last().map(place)
    } else {
        looked_at
    };
    Page { items, next }
}
