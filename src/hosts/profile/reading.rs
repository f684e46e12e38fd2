//! The profile that is being read, and what can be wrong with it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use iso8583::DialectError;

use crate::hosts::message::error::MessageError;

/// Why a profile can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The folder or a file can't be read.
    #[error("failed to read `{path}`")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML, lacks a key, has an unknown one, or one of another type.
    #[error("{file}: {source}")]
    Toml {
        /// The file.
        file: PathBuf,
        /// The expected value and the one that is there, with line and key.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A value is not one that the key can have.
    #[error("{file}: {key}: expected {expected}, got {got}")]
    Value {
        /// The file.
        file: PathBuf,
        /// The key, with the tables it is in.
        key: String,
        /// The values that it may have.
        expected: String,
        /// The value that it has.
        got: String,
    },
    /// The inline dialect is none.
    #[error("{file}: [dialect]: {source}")]
    Dialect {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: Box<DialectError>,
    },
    /// A message can't be written as the mapping says.
    #[error("{file}: messages.{message}: {source}")]
    Message {
        /// The file.
        file: PathBuf,
        /// Which message.
        message: String,
        /// Why.
        #[source]
        source: Box<MessageError>,
    },
}

/// The longest time of a profile but for the time-out of an answer: an hour.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// The file that is being read.
pub(super) struct Reading<'a> {
    pub(super) file: &'a Path,
    pub(super) base: &'a Path,
}

impl Reading<'_> {
    pub(super) fn toml(&self, source: toml::de::Error) -> ProfileError {
        ProfileError::Toml {
            file: self.file.to_owned(),
            source: Box::new(source),
        }
    }

    pub(super) fn fault(
        &self,
        key: impl Into<String>,
        expected: impl Into<String>,
        got: impl ToString,
    ) -> ProfileError {
        ProfileError::Value {
            file: self.file.to_owned(),
            key: key.into(),
            expected: expected.into(),
            got: got.to_string(),
        }
    }

    /// A number of 1 to `most`.
    pub(super) fn within(
        &self,
        key: impl Into<String>,
        got: usize,
        most: usize,
    ) -> Result<usize, ProfileError> {
        if (1..=most).contains(&got) {
            Ok(got)
        } else {
            Err(self.fault(key, format!("1 to {most}"), got))
        }
    }

    /// A time of 1 millisecond to `most`.
    pub(super) fn millis(
        &self,
        key: impl Into<String>,
        got: u64,
        most: Duration,
    ) -> Result<Duration, ProfileError> {
        let duration = Duration::from_millis(got);
        if duration.is_zero() || duration > most {
            let expected = format!("1 to {} milliseconds", most.as_millis());
            return Err(self.fault(key, expected, got));
        }
        Ok(duration)
    }
}
