//! Which gateway to load, and as whom.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::Args;
use serde::Deserialize;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use zeroize::Zeroizing;

use crate::commands::error::CommandError;
use crate::grpc::client;
use crate::merchant_api::client::ApiKey;
use crate::payment::ids::MerchantId;

/// A connection that carries the merchant's API key.
pub(super) type Connection = InterceptedService<Channel, ApiKey>;

/// Where the gateway is, and as whom to call it.
#[derive(Debug, Args)]
#[command(next_help_heading = "Gateway")]
pub(super) struct TargetArgs {
    /// The ready file of a running `payswitch demo` or `payswitch serve`. What it doesn't say, or what
    /// is to be different, the options below say.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// The merchant API's address.
    #[arg(long, value_name = "IP:PORT")]
    address: Option<SocketAddr>,
    /// The name in the gateway's certificate; localhost when nothing says otherwise.
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
    /// The root that the gateway's certificate comes from, PEM.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The merchant's API key. Other users may see arguments: prefer the environment.
    #[arg(
        long,
        value_name = "KEY",
        env = "PAYSWITCH_API_KEY",
        hide_env_values = true
    )]
    api_key: Option<Secret>,
    /// The merchant that the API key belongs to.
    #[arg(long, value_name = "ID")]
    merchant: Option<MerchantId>,
    /// The public keys to seal to (RFC 7517). The gateway is asked for them when nothing names a file.
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
}

/// A text that `Debug` shows nothing of.
#[derive(Clone, Deserialize)]
#[serde(from = "String")]
struct Secret(Zeroizing<String>);

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl FromStr for Secret {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(text.to_owned().into())
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(masked)")
    }
}

/// What a ready file may say; whatever else it holds is not for us.
#[derive(Default, Deserialize)]
struct Ready {
    merchant_api: Option<SocketAddr>,
    server_name: Option<String>,
    ca_path: Option<PathBuf>,
    api_key: Option<Secret>,
    merchant_id: Option<MerchantId>,
    jwks_path: Option<PathBuf>,
}

/// A gateway, and who calls it.
pub(super) struct Target {
    pub(super) address: SocketAddr,
    pub(super) merchant: MerchantId,
    /// A JWK Set; without one the gateway is asked.
    pub(super) jwks: Option<String>,
    server_name: String,
    ca: Vec<u8>,
    api_key: ApiKey,
}

impl TargetArgs {
    /// Reads the files.
    ///
    /// # Errors
    /// When one can't be read, or neither it nor an option says what must be known.
    pub(super) fn read(&self) -> Result<Target, CommandError> {
        let ready = match &self.ready_file {
            None => Ready::default(),
            Some(path) => serde_json::from_slice(&read(path)?)
                .map_err(|error| format!("{}: {error}", path.display()))?,
        };
        let missing = |option: &str| format!("expected {option}, or a --ready-file that says it");
        let api_key = self.api_key.clone().or(ready.api_key);
        let api_key = api_key.ok_or_else(|| missing("--api-key"))?;
        let ca = self.ca.clone().or(ready.ca_path);
        let merchant = self.merchant.or(ready.merchant_id);
        let jwks = self.jwks.clone().or(ready.jwks_path);
        Ok(Target {
            address: self
                .address
                .or(ready.merchant_api)
                .ok_or_else(|| missing("--address"))?,
            merchant: merchant.ok_or_else(|| missing("--merchant"))?,
            jwks: match jwks {
                None => None,
                Some(path) => Some(String::from_utf8(read(&path)?)?),
            },
            server_name: self
                .server_name
                .clone()
                .or(ready.server_name)
                .unwrap_or_else(|| "localhost".to_owned()),
            ca: read(&ca.ok_or_else(|| missing("--ca"))?)?,
            api_key: ApiKey::new(&api_key.0)?,
        })
    }
}

impl Target {
    /// Opens so many connections.
    ///
    /// # Errors
    /// When the gateway can't be reached.
    pub(super) async fn connect(
        &self,
        connections: usize,
    ) -> Result<Vec<Connection>, CommandError> {
        let mut opened = Vec::with_capacity(connections);
        for _ in 0..connections {
            let channel = client::connect(self.address, &self.server_name, &self.ca, None).await?;
            opened.push(self.api_key.clone().on(channel));
        }
        Ok(opened)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CommandError> {
    std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        target: TargetArgs,
    }

    fn parse(arguments: &[&str]) -> TargetArgs {
        Line::parse_from(std::iter::once("load").chain(arguments.iter().copied())).target
    }

    #[test]
    fn options_win_over_the_ready_file() {
        let folder = std::env::temp_dir().join(format!("payswitch-target-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (ready, ca) = (folder.join("ready.json"), folder.join("ca.pem"));
        std::fs::write(&ca, "root").unwrap();
        let text = serde_json::json!({
            "merchant_api": "127.0.0.1:1", "server_name": "pay.test", "ca_path": ca,
            "api_key": "pk_a.b", "merchant_id": "shop", "pid": 7,
        });
        std::fs::write(&ready, text.to_string()).unwrap();
        let ready = ready.to_str().unwrap();
        let target = parse(&["--ready-file", ready]).read().unwrap();
        assert_eq!(target.address.to_string(), "127.0.0.1:1");
        assert_eq!(target.server_name, "pay.test");
        assert!(target.jwks.is_none());
        let target = parse(&["--ready-file", ready, "--address", "127.0.0.1:2"]);
        assert_eq!(target.read().unwrap().address.to_string(), "127.0.0.1:2");
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_is_missing_is_named() {
        for (arguments, named) in [
            (&[][..], "--api-key"),
            (&["--api-key", "pk_a.b"], "--address"),
            (
                &["--api-key", "pk_a.b", "--address", "127.0.0.1:1"],
                "--merchant",
            ),
            (&["--ready-file", "/nowhere.json"], "/nowhere.json"),
        ] {
            let error = parse(arguments).read().err().unwrap().to_string();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn the_api_key_is_not_shown() {
        let shown = format!("{:?}", parse(&["--api-key", "pk_a.secret"]));
        assert!(!shown.contains("secret"), "{shown}");
    }
}
