//! How the commands for operators reach a gateway, and what they have in common.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use prost_types::Timestamp;
use serde::Deserialize;
use tonic::Status;
use tonic::transport::Channel;

use super::error::CommandError;
use super::moment::second;
use crate::grpc::client::{self, ClientCertificate, error_reason};
use crate::payment::moment::UnixMillis;
use crate::random::Random;

/// The largest page that the API gives.
const PAGE_SIZE: usize = 100;

/// Asks for page after page, each with its size and token, until there are `limit` items or no more.
///
/// # Errors
/// When one of the pages can't be had.
pub async fn pages<T>(
    limit: usize,
    mut page: impl AsyncFnMut(i32, String) -> Result<(Vec<T>, String), CommandError>,
) -> Result<Vec<T>, CommandError> {
    let mut items = Vec::new();
    let mut page_token = String::new();
    while items.len() < limit {
        let page_size = i32::try_from(PAGE_SIZE.min(limit - items.len()))?;
        let (more, next) = page(page_size, page_token).await?;
        items.extend(more);
        page_token = next;
        if page_token.is_empty() {
            break;
        }
    }
    Ok(items)
}

/// The file that says where a gateway is, unless another is named.
pub const READY_FILE: &str = "demo-data.ready.json";

/// Where the operators' API is, and as whom to call it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Gateway")]
pub struct OperatorsDoor {
    /// The ready file of a running `payswitch demo` or `payswitch serve`; demo-data.ready.json when none is named. What
    /// it doesn't say, or what is to be different, the options below say.
    #[arg(
        long,
        alias = "ready-file",
        value_name = "FILE",
        env = "PAYSWITCH_READY_FILE",
        global = true
    )]
    ready: Option<PathBuf>,
    /// The operators' API's address.
    #[arg(long, value_name = "IP:PORT", global = true)]
    admin_api: Option<SocketAddr>,
    /// The name in the gateway's certificate; localhost when nothing says otherwise.
    #[arg(long, value_name = "NAME", global = true)]
    server_name: Option<String>,
    /// The operators' root, PEM.
    #[arg(long, value_name = "FILE", global = true)]
    ca: Option<PathBuf>,
    /// Your certificate, PEM.
    #[arg(long, value_name = "FILE", global = true)]
    certificate: Option<PathBuf>,
    /// Your private key, PEM (PKCS #8).
    #[arg(long, value_name = "FILE", global = true)]
    key: Option<PathBuf>,
}

/// What a ready file may say; whatever else it holds is not for us.
#[derive(Default, Deserialize)]
struct Ready {
    admin_api: Option<SocketAddr>,
    server_name: Option<String>,
    admin_ca_path: Option<PathBuf>,
    operator_certificate: Option<PathBuf>,
    operator_key: Option<PathBuf>,
}

impl OperatorsDoor {
    /// Whether a gateway is named, so that it need not be the demo's.
    #[must_use]
    pub fn is_named(&self) -> bool {
        self.ready.is_some() || self.admin_api.is_some()
    }

    fn ready(&self) -> &Path {
        self.ready.as_deref().unwrap_or(Path::new(READY_FILE))
    }

    /// Connects.
    ///
    /// # Errors
    /// When a file can't be read, neither it nor an option says what must be known, or nothing answers.
    pub async fn connect(&self) -> Result<Channel, CommandError> {
        let all_said = self.admin_api.is_some()
            && self.ca.is_some()
            && self.certificate.is_some()
            && self.key.is_some();
        let ready = if all_said {
            Ready::default()
        } else {
            serde_json::from_slice(&self.read(self.ready())?)
                .map_err(|error| format!("{}: {error}", self.ready().display()))?
        };
        let missing = |option: &str| format!("expected {option}, or a --ready FILE that says it");
        let address = self.admin_api.or(ready.admin_api);
        let address = address.ok_or_else(|| missing("--admin-api"))?;
        let file = |given: &Option<PathBuf>, said: Option<PathBuf>, option| {
            let path = given.clone().or(said).ok_or_else(|| missing(option))?;
            self.read(&path)
        };
        let ca = file(&self.ca, ready.admin_ca_path, "--ca")?;
        let chain = file(
            &self.certificate,
            ready.operator_certificate,
            "--certificate",
        )?;
        let key = file(&self.key, ready.operator_key, "--key")?;
        let server_name = self.server_name.clone().or(ready.server_name);
        let server_name = server_name.as_deref().unwrap_or("localhost");
        let certificate = ClientCertificate {
            chain: &chain,
            key: &key,
        };
        Ok(client::connect(address, server_name, &ca, Some(&certificate)).await?)
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, CommandError> {
        std::fs::read(path).map_err(|error| {
            let hint = if path == self.ready() {
                "; name the ready file of a running gateway with --ready FILE"
            } else {
                ""
            };
            format!("{}: {error}{hint}", path.display()).into()
        })
    }
}

/// Why something is done, and under which name.
#[derive(Debug, Args)]
pub struct Why {
    /// Why, for the audit trail: 1 to 200 characters, at least one that can be seen.
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Your own id of this request: repeated with the same id it is done once. A new one when not given.
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

impl Why {
    /// The id of the request.
    ///
    /// # Errors
    /// When the operating system gives no randomness.
    pub fn request_id(&self) -> Result<String, CommandError> {
        Ok(match &self.request_id {
            Some(id) => id.clone(),
            None => {
                let number = u64::from_be_bytes(Random::SYSTEM.bytes()?);
                // A letter between the halves: sixteen digits may look like a card number, which is refused.
                format!("cli-{:08x}x{:08x}", number >> 32, number & 0xffff_ffff)
            }
        })
    }
}

/// The same, for a command that may do without a gateway.
#[derive(Debug, Args)]
pub struct WhyAtDoor {
    /// Why, for the audit trail: 1 to 200 characters. A gateway wants it.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Your own id of this request: repeated with the same id it is done once. A new one when not given.
    #[arg(long, value_name = "ID", requires = "reason")]
    request_id: Option<String>,
}

impl WhyAtDoor {
    /// Whether a reason is given.
    #[must_use]
    pub fn is_given(&self) -> bool {
        self.reason.is_some()
    }

    /// The reason.
    ///
    /// # Errors
    /// When none is given.
    pub fn needed(self) -> Result<Why, CommandError> {
        let reason = self
            .reason
            .ok_or("expected --reason: the audit trail keeps it")?;
        Ok(Why {
            reason,
            request_id: self.request_id,
        })
    }
}

/// An error of the gateway as a sentence, with its reason and the fields that are wrong.
#[must_use]
pub fn told(status: Status) -> CommandError {
    use tonic_types::StatusExt as _;
    let mut sentence = status.message().to_owned();
    for violation in status
        .get_details_bad_request()
        .into_iter()
        .flat_map(|bad| bad.field_violations)
    {
        sentence += &format!("; {}: {}", violation.field, violation.description);
    }
    if let Some(reason) = error_reason(&status) {
        sentence += &format!(" ({reason})");
    }
    sentence.into()
}

/// A moment for people, to the second; empty when there is none.
///
/// # Errors
/// When it lies outside the calendar.
pub fn moment(time: Option<Timestamp>) -> Result<String, CommandError> {
    match time {
        Some(time) => second(UnixMillis::new(time.seconds.saturating_mul(1000))),
        None => Ok(String::new()),
    }
}

/// The name of an enum's value without the enum's own: `SIGNED_ON` for `LINE_STATE_SIGNED_ON`.
#[must_use]
pub fn short(name: &'static str, prefix: &str) -> &'static str {
    name.strip_prefix(prefix).unwrap_or(name)
}
