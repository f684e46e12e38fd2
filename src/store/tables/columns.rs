//! Reads the columns of a row. A value that no version of this program wrote is an error that names table,
//! column and row.

use std::fmt::Display;
use std::str::FromStr;

use iso8583::hex;
use serde::de::DeserializeOwned;
use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::payment::moment::UnixMillis;
use crate::payment::money::{Currency, Money};
use crate::payment::reference::{Rrn, Stan};
use crate::store::error::StoreError;

/// A row of a table. A column that another table's in the same row would hide is named after its table: `payments_id`.
pub(in crate::store) struct Columns<'r> {
    row: &'r AnyRow,
    table: &'static str,
    key: String,
}

impl<'r> Columns<'r> {
    /// A row of `table`. Errors name the row by its column `key`.
    pub(in crate::store) fn of(
        row: &'r AnyRow,
        table: &'static str,
        key: &'static str,
    ) -> Result<Self, StoreError> {
        let mut columns = Self::named(row, table, String::new());
        columns.key = columns.text(key)?.to_owned();
        Ok(columns)
    }

    /// A row of `table` that errors name `key`.
    pub(in crate::store) fn named(row: &'r AnyRow, table: &'static str, key: String) -> Self {
        Self { row, table, key }
    }

    pub(in crate::store) fn corrupt(
        &self,
        column: &'static str,
        got: &str,
        reason: impl Display,
    ) -> StoreError {
        let own = column.strip_prefix(self.table);
        let own = own.and_then(|own| own.strip_prefix('_'));
        StoreError::Corrupt {
            table: self.table,
            column: own.unwrap_or(column),
            row: self.key.clone(),
            got: got.chars().take(60).collect(),
            reason: reason.to_string(),
        }
    }

    fn get<T>(&self, column: &'static str) -> Result<T, StoreError>
    where
        T: sqlx::Decode<'r, sqlx::Any> + sqlx::Type<sqlx::Any>,
    {
        self.row
            .try_get(column)
            .map_err(|error| self.corrupt(column, "", error))
    }

    pub(in crate::store) fn text(&self, column: &'static str) -> Result<&'r str, StoreError> {
        self.get(column)
    }

    pub(in crate::store) fn optional_text(
        &self,
        column: &'static str,
    ) -> Result<Option<String>, StoreError> {
        self.get(column)
    }

    pub(in crate::store) fn integer(&self, column: &'static str) -> Result<i64, StoreError> {
        self.get(column)
    }

    pub(in crate::store) fn optional_integer(
        &self,
        column: &'static str,
    ) -> Result<Option<i64>, StoreError> {
        self.get(column)
    }

    pub(in crate::store) fn moment(&self, column: &'static str) -> Result<UnixMillis, StoreError> {
        self.integer(column).map(UnixMillis::new)
    }

    pub(in crate::store) fn optional_moment(
        &self,
        column: &'static str,
    ) -> Result<Option<UnixMillis>, StoreError> {
        let millis = self.optional_integer(column)?;
        Ok(millis.map(UnixMillis::new))
    }

    /// 0 or 1.
    pub(in crate::store) fn flag(&self, column: &'static str) -> Result<bool, StoreError> {
        match self.integer(column)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.corrupt(column, &other.to_string(), "expected 0 or 1")),
        }
    }

    /// A text that the domain parses.
    pub(in crate::store) fn parsed<T>(&self, column: &'static str) -> Result<T, StoreError>
    where
        T: FromStr,
        T::Err: Display,
    {
        let text = self.text(column)?;
        text.parse()
            .map_err(|error| self.corrupt(column, text, error))
    }

    /// A text that the domain parses, or NULL.
    pub(in crate::store) fn optional_parsed<T>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, StoreError>
    where
        T: FromStr,
        T::Err: Display,
    {
        match self.optional_text(column)? {
            Some(_) => self.parsed(column).map(Some),
            None => Ok(None),
        }
    }

    /// A number that the domain checks.
    pub(in crate::store) fn number<T>(&self, column: &'static str) -> Result<T, StoreError>
    where
        T: TryFrom<i64>,
        T::Error: Display,
    {
        let number = self.integer(column)?;
        T::try_from(number).map_err(|error| self.corrupt(column, &number.to_string(), error))
    }

    pub(in crate::store) fn stan(&self, column: &'static str) -> Result<Stan, StoreError> {
        let number: u32 = self.number(column)?;
        Stan::try_from(number).map_err(|error| self.corrupt(column, &number.to_string(), error))
    }

    /// DE 11 and DE 37 of the message of an operation, or none of both: then 0 stands there, and its own name, which is in
    /// the column `id`.
    pub(in crate::store) fn numbers(&self, id: &'static str) -> Result<(Stan, Rrn), StoreError> {
        if self.integer("stan")? == 0 && self.text("rrn")? == self.text(id)? {
            return Ok((Stan::NONE, Rrn::NONE));
        }
        Ok((self.stan("stan")?, self.parsed("rrn")?))
    }

    /// A hash as 64 hexadecimal digits.
    pub(in crate::store) fn hash(&self, column: &'static str) -> Result<[u8; 32], StoreError> {
        let text = self.text(column)?;
        hex::decode_lower(text).ok_or_else(|| self.corrupt(column, text, "expected 64 hex digits"))
    }

    /// Bytes as hexadecimal digits.
    pub(in crate::store) fn bytes(&self, column: &'static str) -> Result<Vec<u8>, StoreError> {
        let text = self.text(column)?;
        hex::decode(text).ok_or_else(|| self.corrupt(column, text, "expected hex digits"))
    }

    /// A text of JSON.
    pub(in crate::store) fn json<T: DeserializeOwned>(
        &self,
        column: &'static str,
    ) -> Result<T, StoreError> {
        let text = self.text(column)?;
        serde_json::from_str(text).map_err(|error| self.corrupt(column, text, error))
    }

    /// A text of JSON, or NULL.
    pub(in crate::store) fn optional_json<T: DeserializeOwned>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, StoreError> {
        match self.optional_text(column)? {
            Some(_) => self.json(column).map(Some),
            None => Ok(None),
        }
    }

    /// The name of a variant without data.
    pub(in crate::store) fn variant<T: DeserializeOwned>(
        &self,
        column: &'static str,
    ) -> Result<T, StoreError> {
        let text = self.text(column)?;
        serde_json::from_value(serde_json::Value::String(text.to_owned()))
            .map_err(|error| self.corrupt(column, text, error))
    }

    /// A variant of an enum by its name, or NULL.
    pub(in crate::store) fn optional_variant<T: DeserializeOwned>(
        &self,
        column: &'static str,
    ) -> Result<Option<T>, StoreError> {
        match self.optional_text(column)? {
            Some(_) => self.variant(column).map(Some),
            None => Ok(None),
        }
    }

    /// Checks that the column `state`, which is searched, names the state of the column `state_detail`.
    pub(in crate::store) fn same_state(
        &self,
        column: &'static str,
        detailed: &str,
    ) -> Result<(), StoreError> {
        let named = self.text(column)?;
        if named == detailed {
            return Ok(());
        }
        let reason = format!("the column state_detail says {detailed}");
        Err(self.corrupt(column, named, reason))
    }

    pub(in crate::store) fn money(&self) -> Result<Money, StoreError> {
        self.minor("amount_minor", self.parsed("currency")?)
    }

    /// An amount of this currency.
    pub(in crate::store) fn minor(
        &self,
        column: &'static str,
        currency: Currency,
    ) -> Result<Money, StoreError> {
        let minor = self.integer(column)?;
        Money::new(minor, currency).map_err(|error| self.corrupt(column, &minor.to_string(), error))
    }
}

/// The first column of a row, as a number.
pub(in crate::store) fn first_integer(
    row: &AnyRow,
    table: &'static str,
    column: &'static str,
    key: &str,
) -> Result<i64, StoreError> {
    row.try_get(0).map_err(|error| StoreError::Corrupt {
        table,
        column,
        row: key.to_owned(),
        got: String::new(),
        reason: error.to_string(),
    })
}
