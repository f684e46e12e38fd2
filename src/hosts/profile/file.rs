//! A profile as it stands in its file: every key there is, and its default.

use std::collections::BTreeMap;
use std::path::PathBuf;

use iso8583::Framing;
use serde::Deserialize;

use crate::payment::decline::{DeclineAdvice, DeclineReason};

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
