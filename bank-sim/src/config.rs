//! The configuration of a simulator: read from TOML, or made in code.

mod check;
pub mod standard;

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use iso8583::{Framing, Prefix};
use serde::Deserialize;
use thiserror::Error;
use zeroize::Zeroizing;

/// The name of the acquirer in the standard layout.
pub const ACQUIRER: &str = "acquirer";

/// A configuration that cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("failed to read `{path}`")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The text is no TOML, or has a key or a value that the simulator does not know.
    #[error("`{path}` is not a bank-sim configuration: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why, in the parser's words.
        reason: String,
    },
    /// A value is of the right kind and still impossible.
    #[error("host `{host}`: `{setting}` must be {expected}, got `{got}`")]
    Invalid {
        /// The host whose setting it is.
        host: String,
        /// The setting.
        setting: &'static str,
        /// The values that are allowed.
        expected: &'static str,
        /// The value found; never a secret.
        got: String,
    },
}

/// A certificate or a private key in PEM: a file's name, or the text itself.
///
/// In TOML it is always a file's name. Its `Debug` never shows the text, which may be a private key.
#[derive(Clone, PartialEq, Eq)]
pub enum Pem {
    /// A file with the PEM text.
    File(PathBuf),
    /// The PEM text itself.
    Text(Zeroizing<String>),
}

impl Pem {
    /// The PEM text itself.
    #[must_use]
    pub fn text(pem: impl Into<String>) -> Self {
        Self::Text(Zeroizing::new(pem.into()))
    }

    /// A file with the PEM text.
    #[must_use]
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::File(path.into())
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Text(_) => f.write_str("Text(..)"),
        }
    }
}

impl<'de> Deserialize<'de> for Pem {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        PathBuf::deserialize(deserializer).map(Self::File)
    }
}

/// Everything that one simulator runs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SimConfig {
    /// The acquirer, if there is one.
    pub acquirer: Option<AcquirerConfig>,
    /// The issuers; `[[issuer]]` in TOML.
    #[serde(default, rename = "issuer")]
    pub issuers: Vec<IssuerConfig>,
    /// The control API, which shows the books and adds faults; `None` for none.
    pub control: Option<ControlConfig>,
    /// How many exchanges a host remembers, and never forgets: those that hold or moved money at an issuer,
    /// those that were forwarded at the acquirer. Every further request is answered with 96.
    #[serde(default = "max_exchanges")]
    pub max_exchanges: usize,
    /// The program whose child process speaks `iso8583_rs`: one whose `main` begins with
    /// [`crate::run_codec_child_if_asked`]. Without it, the running program.
    pub codec_program: Option<PathBuf>,
}

/// The control API of a simulator. It has no TLS and asks nobody who they are.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ControlConfig {
    /// Where to listen, on loopback; port 0 takes a free one.
    pub listen: SocketAddr,
}

/// How a host proves itself to those who connect to it, and whom it lets in. TLS 1.3, mutual.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerTls {
    /// The host's certificate, followed by any intermediate ones.
    pub certificate: Pem,
    /// The private key of the certificate.
    pub key: Pem,
    /// The private root of this host: only clients with a certificate under it are let in.
    pub client_ca: Pem,
}

/// How the acquirer proves itself to an issuer, and how it knows the issuer. TLS 1.3, mutual.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientTls {
    /// The name that the issuer's certificate must carry.
    pub server_name: String,
    /// The root under which the issuer's certificate must be.
    pub ca: Pem,
    /// The acquirer's client certificate at this issuer.
    pub certificate: Pem,
    /// The private key of the client certificate.
    pub key: Pem,
}

/// The acquirer: the host that a switch talks to.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcquirerConfig {
    /// The name of the host in handles and logs.
    pub name: String,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The dialect that the switch speaks to it: a name that [`iso8583::Dialect::builtin`] knows.
    #[serde(default = "acquirer_dialect")]
    pub dialect: String,
    /// How messages are framed on its lines.
    #[serde(default = "binary_2")]
    pub framing: Framing,
    /// DE 32 and DE 33 on the links to the issuers: up to 11 digits.
    #[serde(default = "institution_id")]
    pub institution_id: String,
    /// How long an issuer may take before the acquirer answers 91, in milliseconds. Longer than a
    /// switch waits, so that the switch's own time-out is what a silent issuer meets.
    #[serde(default = "issuer_timeout_ms")]
    pub issuer_timeout_ms: u64,
    /// After how many milliseconds without traffic an echo is sent, on the issuer links and to the
    /// switch; `None` for never.
    pub echo_idle_ms: Option<u64>,
    /// Whether its answers carry back DE 2, as those of many hosts do.
    #[serde(default)]
    pub echo_card_number: bool,
    /// Whether its approvals tell the date that they are booked under, in DE 15.
    #[serde(default)]
    pub settlement_date: bool,
    /// What it wants of messages. [`HostRules::Nps`] only with a dialect of 1987, and before issuers with the
    /// standard rules: it forwards to them in their terms.
    #[serde(default)]
    pub rules: HostRules,
    /// How it proves itself to the switch.
    pub tls: ListenerTls,
    /// Its links to the issuers; `[[acquirer.link]]` in TOML.
    #[serde(rename = "link", default)]
    pub links: Vec<LinkConfig>,
}

impl AcquirerConfig {
    /// [`AcquirerConfig::issuer_timeout_ms`] as a duration.
    #[must_use]
    pub fn issuer_timeout(&self) -> Duration {
        Duration::from_millis(self.issuer_timeout_ms)
    }
}

/// A link from the acquirer to an issuer.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkConfig {
    /// The issuer's name. If it is one of this simulator's, address, dialect and framing are its own
    /// unless they are given here.
    pub issuer: String,
    /// The leading digits of the card numbers that go this way; the longest match wins.
    pub bins: Vec<String>,
    /// The issuer's address, when another process runs it. A link with neither an address nor an
    /// issuer of that name in this simulator is down for good: the acquirer answers 91.
    pub address: Option<SocketAddr>,
    /// The dialect on this link.
    pub dialect: Option<String>,
    /// The framing on this link.
    pub framing: Option<Framing>,
    /// How the two know each other. Needed unless the link is down for good.
    pub tls: Option<ClientTls>,
}

/// Whose codec an issuer speaks through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IssuerCodec {
    /// This project's `iso8583`.
    #[default]
    Own,
    /// The crate `iso8583_rs`, in a child process. Its dialect is fixed: the wire of
    /// `iso1987-ascii-binary`.
    Iso8583Rs,
}

/// An issuer: the host that holds accounts and decides.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IssuerConfig {
    /// The name of the host; the test cards of that name are its cards.
    pub name: String,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Whose codec it speaks through.
    #[serde(default)]
    pub codec: IssuerCodec,
    /// Its dialect: a name that [`iso8583::Dialect::builtin`] knows. With
    /// [`IssuerCodec::Iso8583Rs`] it must be `iso1987-ascii-binary`.
    pub dialect: String,
    /// How messages are framed on its lines.
    #[serde(default = "binary_2")]
    pub framing: Framing,
    /// How long the card that answers late takes, in milliseconds.
    #[serde(default = "late_answer_ms")]
    pub late_answer_ms: u64,
    /// The TDES key under which PIN blocks arrive: 32 or 48 hex digits. Development only, which is
    /// why it has a default.
    #[serde(default)]
    pub zone_pin_key_hex: ZonePinKeyHex,
    /// After how many milliseconds without traffic it sends an echo; `None` for never.
    pub echo_idle_ms: Option<u64>,
    /// How it proves itself to the acquirer.
    pub tls: ListenerTls,
    /// What it wants of messages.
    #[serde(default)]
    pub rules: HostRules,
    /// Its own cards, beside the test cards of its name; `[[issuer.card]]` in TOML.
    #[serde(default, rename = "card")]
    pub cards: Vec<CardConfig>,
}

/// What a host wants of messages, where hosts differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostRules {
    /// DE 90 names the original by its DE 7; the CVV2 is sub-element 92 of DE 48, two digits of tag and length.
    #[default]
    Standard,
    /// As NPS: DE 90 names the original by its local time and date; a reversal has the original's STAN and RRN and a
    /// reason in DE 39, and is repeated under the same message type; the CVV2 is sub-element 051, three digits each.
    Nps,
}

/// A card of an issuer, and the accounts behind it.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CardConfig {
    /// Its number, 12 to 19 digits. A test number: nothing here keeps it secret.
    pub pan: String,
    /// Its expiry date, `YYMM`.
    #[serde(default = "test_expiry_yymm")]
    pub expiry_yymm: String,
    /// Its CVV2.
    #[serde(default = "cvv2")]
    pub cvv2: String,
    /// Its PIN, 4 to 12 digits.
    #[serde(default = "pin")]
    pub pin: String,
    /// The highest amount of one payment, in whole units of its currency; `None` for no limit.
    pub limit_whole_units: Option<i64>,
    /// The accounts, one for each currency; `[[issuer.card.account]]` in TOML.
    #[serde(rename = "account")]
    pub accounts: Vec<AccountConfig>,
}

impl fmt::Debug for CardConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CardConfig")
            .field("accounts", &self.accounts)
            .finish_non_exhaustive()
    }
}

/// An account, in minor units of its currency.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountConfig {
    /// The ISO 4217 alphabetic code.
    pub currency: String,
    /// What is on it at first, 0 or more.
    pub balance_minor: i64,
    /// How far it may go below zero, 0 or more.
    #[serde(default)]
    pub credit_line_minor: i64,
}

impl IssuerConfig {
    /// [`IssuerConfig::late_answer_ms`] as a duration.
    #[must_use]
    pub fn late_answer(&self) -> Duration {
        Duration::from_millis(self.late_answer_ms)
    }
}

/// A PIN key in hex; its `Debug` does not show it.
#[derive(Clone, Deserialize, PartialEq, Eq)]
#[serde(transparent)]
pub struct ZonePinKeyHex(
    /// The hex digits.
    pub String,
);

impl Default for ZonePinKeyHex {
    fn default() -> Self {
        Self(DEVELOPMENT_ZONE_PIN_KEY_HEX.to_owned())
    }
}

impl fmt::Debug for ZonePinKeyHex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ZonePinKeyHex(..)")
    }
}

/// The key of PIN blocks unless a configuration names another: a test key that everybody knows.
pub const DEVELOPMENT_ZONE_PIN_KEY_HEX: &str = "0123456789ABCDEFFEDCBA9876543210";

fn acquirer_dialect() -> String {
    "iso1987-bcd".to_owned()
}
const fn binary_2() -> Framing {
    Framing::new(Prefix::Binary2)
}
fn institution_id() -> String {
    "400001".to_owned()
}
/// The default of [`SimConfig::max_exchanges`].
pub const DEFAULT_MAX_EXCHANGES: usize = 2_000_000;

const fn max_exchanges() -> usize {
    DEFAULT_MAX_EXCHANGES
}
fn test_expiry_yymm() -> String {
    crate::test_cards::TEST_EXPIRY_YYMM.to_owned()
}
fn cvv2() -> String {
    "123".to_owned()
}
fn pin() -> String {
    "1234".to_owned()
}
const fn issuer_timeout_ms() -> u64 {
    10_000
}
const fn late_answer_ms() -> u64 {
    6_000
}

impl SimConfig {
    /// Reads a configuration file. Paths in it are relative to the working directory.
    ///
    /// # Errors
    /// [`ConfigError::Unreadable`] and [`ConfigError::Malformed`].
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        toml::from_str(&text).map_err(|error| ConfigError::Malformed {
            path: path.to_owned(),
            reason: error.to_string(),
        })
    }
}
