//! Reads host profiles from TOML and checks them: an error names the file, the key, what was
//! expected and what was there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use iso8583::{DialectError, Framing};
use serde::Deserialize;

use crate::payment::decline::{DeclineAdvice, DeclineReason};

use super::messages::MessageError;
use super::profile::HostProfile;
use super::profile_values::Reading;

/// The most profiles in a folder.
pub const MAX_PROFILES: usize = 256;

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
        /// What was expected and what was there, with line and key.
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
        /// What it should be.
        expected: String,
        /// What it is.
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
        message: &'static str,
        /// Why.
        #[source]
        source: MessageError,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProfileFile {
    pub(super) address: String,
    pub(super) server_name: String,
    pub(super) ca: PathBuf,
    pub(super) client_certificate: PathBuf,
    pub(super) client_key: PathBuf,
    #[serde(default)]
    pub(super) pins: Vec<String>,
    #[serde(default)]
    pub(super) allow_tls12: bool,
    #[serde(default = "yes")]
    pub(super) required: bool,
    #[serde(default = "one")]
    pub(super) lines: usize,
    #[serde(default = "default_in_flight_limit")]
    pub(super) in_flight_limit: usize,
    #[serde(default = "default_connect_timeout_ms")]
    pub(super) connect_timeout_ms: u64,
    #[serde(default = "default_reply_timeout_ms")]
    pub(super) reply_timeout_ms: u64,
    #[serde(default = "default_back_off_first_ms")]
    pub(super) back_off_first_ms: u64,
    #[serde(default = "default_back_off_longest_ms")]
    pub(super) back_off_longest_ms: u64,
    #[serde(default = "yes")]
    pub(super) sign_on: bool,
    #[serde(default = "default_echo_interval_ms")]
    pub(super) echo_interval_ms: u64,
    #[serde(default = "default_echo_timeout_ms")]
    pub(super) echo_timeout_ms: u64,
    pub(super) hold_days: u16,
    pub(super) dialect: toml::Value,
    pub(super) framing: Framing,
    #[serde(default)]
    pub(super) header: String,
    #[serde(default)]
    pub(super) utc_offset_minutes: i16,
    pub(super) match_key: Option<Vec<u8>>,
    pub(super) match_where_echoed: Option<Vec<u8>>,
    #[serde(default)]
    pub(super) response_codes: BTreeMap<String, toml::Value>,
    pub(super) messages: MessagesFile,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MessagesFile {
    pub(super) authorization: MessageFile,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MessageFile {
    pub(super) mti: String,
    pub(super) fields: BTreeMap<String, toml::Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeclineFile {
    pub(super) reason: DeclineReason,
    pub(super) advice: Option<DeclineAdvice>,
}

const fn yes() -> bool {
    true
}
const fn one() -> usize {
    1
}
const fn default_in_flight_limit() -> usize {
    1000
}
const fn default_connect_timeout_ms() -> u64 {
    3000
}
const fn default_reply_timeout_ms() -> u64 {
    4000
}
const fn default_back_off_first_ms() -> u64 {
    100
}
const fn default_back_off_longest_ms() -> u64 {
    10_000
}
const fn default_echo_interval_ms() -> u64 {
    30_000
}
const fn default_echo_timeout_ms() -> u64 {
    5000
}

/// Reads every `NAME.toml` of `dir`, in the order of their names.
///
/// # Errors
/// What is wrong with the first file that is.
pub fn load(dir: &Path, base: &Path) -> Result<Vec<HostProfile>, ProfileError> {
    let unread = |path: &Path| {
        let path = path.to_owned();
        move |source| ProfileError::Read { path, source }
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(unread(dir))? {
        let path = entry.map_err(unread(dir))?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() || files.len() > MAX_PROFILES {
        return Err(ProfileError::Value {
            file: dir.to_owned(),
            key: "*.toml".into(),
            expected: format!("1 to {MAX_PROFILES} host profiles"),
            got: files.len().to_string(),
        });
    }
    files
        .iter()
        .map(|file| {
            let text = std::fs::read_to_string(file).map_err(unread(file))?;
            parse(&text, file, base)
        })
        .collect()
}

/// Reads one profile. Its name is that of `file`; relative paths in it count from `base`.
///
/// # Errors
/// What is wrong with it.
pub fn parse(text: &str, file: &Path, base: &Path) -> Result<HostProfile, ProfileError> {
    let reading = Reading { file, base };
    let raw: ProfileFile = toml::from_str(text).map_err(|source| reading.toml(source))?;
    let profile = reading.profile(raw)?;
    profile
        .check_messages()
        .map_err(|source| ProfileError::Message {
            file: file.to_owned(),
            message: "authorization",
            source,
        })?;
    Ok(profile)
}

#[cfg(test)]
#[path = "profile_file_tests.rs"]
mod tests;
