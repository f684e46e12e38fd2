//! What can be wrong with the formats of a host's files in its profile, and the checks that both formats share.

use serde::de::DeserializeOwned;

/// Why a format can't be used.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// A key is missing or unknown, or its value is of another type.
    #[error("{table}: {source}")]
    Toml {
        /// The table.
        table: &'static str,
        /// The expected value and the one that is there, with its key.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A value is not one that the key can have.
    #[error("{key}: expected {expected}, got {got}")]
    Value {
        /// The key, with the tables it is in.
        key: String,
        /// The values that it may have.
        expected: String,
        /// The value that it has.
        got: String,
    },
}

/// How a file writes dates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateForm {
    /// `2026-11-29`.
    Dashed,
    /// `20261129`.
    Compact,
}

impl DateForm {
    /// The words of a profile.
    pub const WORDS: [(&'static str, Self); 2] =
        [("YYYY-MM-DD", Self::Dashed), ("YYYYMMDD", Self::Compact)];
}

/// The table that is being read, by its full name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading(pub(super) &'static str);

impl Reading {
    /// Reads the whole table.
    pub(super) fn table<T: DeserializeOwned>(self, table: toml::Table) -> Result<T, FormatError> {
        let read = T::deserialize(table);
        read.map_err(|source| FormatError::Toml {
            table: self.0,
            source: Box::new(source),
        })
    }

    pub(super) fn fault(
        self,
        key: impl std::fmt::Display,
        expected: impl Into<String>,
        got: impl Into<String>,
    ) -> FormatError {
        FormatError::Value {
            key: format!("{}.{key}", self.0),
            expected: expected.into(),
            got: got.into(),
        }
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(
        self,
        key: impl std::fmt::Display,
        got: &str,
        words: &[(&str, T)],
    ) -> Result<T, FormatError> {
        let found = words.iter().find(|(word, _)| *word == got);
        found.map(|(_, value)| *value).ok_or_else(|| {
            let words: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
            self.fault(
                key,
                format!("one of {}", words.join(", ")),
                format!("{got:?}"),
            )
        })
    }

    /// A separator of fields: one character that stands in no number, date or word.
    pub(super) fn separator(self, got: &str) -> Result<u8, FormatError> {
        let expected = "one punctuation mark or a tab, and no quote, dot or dash";
        match *got.as_bytes() {
            [byte] if byte == b'\t' => Ok(byte),
            [byte] if byte.is_ascii_punctuation() && !b"\"'.-_".contains(&byte) => Ok(byte),
            _ => Err(self.fault("separator", expected, format!("{got:?}"))),
        }
    }

    /// A text of 1 to `most` printable ASCII characters.
    pub(super) fn text(
        self,
        key: impl std::fmt::Display,
        got: String,
        most: usize,
    ) -> Result<String, FormatError> {
        let is_printable = got.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if is_printable && (1..=most).contains(&got.len()) {
            return Ok(got);
        }
        let expected = format!("1 to {most} printable ASCII characters");
        Err(self.fault(key, expected, format!("{got:?}")))
    }
}
