//! Simulated banks and a gateway, started together on loopback: what the demo shows and the tests test.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tonic::transport::Channel;
use zeroize::Zeroizing;

use super::banks::Banks;
use super::folder::{
    OperatorFiles, add_operator, file_merchant, master_key, master_key_path, merchant,
    merchant_key, operator_files, pki,
};
use super::tour::Connection;
use crate::app;
use crate::app::parts::Parts;
use crate::card::keys::SealingKeys;
use crate::certs::{DevelopmentPki, HostPki, Identity, Root};
use crate::clock::SystemClock;
use crate::commands::error::CommandError;
use crate::config::Config;
use crate::config::admin_api::AdminApiConfig;
use crate::config::environment::Environment;
use crate::config::reconciliation::{CorrectionRule, ReconciliationConfig, StatementAccountConfig};
use crate::config::risk::{LimitConfig, RiskConfig};
use crate::config::settlement::{PayoutsConfig, SettlementConfig};
use crate::config::store::shown_url;
use crate::grpc::client::{self, ClientCertificate};
use crate::grpc::tls::{ClientCertificates, ClientRoot, CurrentTls, DoorTexts, DoorTls};
use crate::hosts::profile::load;
use crate::hosts::profile::{HostProfile, PemSource};
use crate::merchant_api::client::ApiKey;
use crate::payment::ids::MerchantId;
use crate::store::Store;

/// The profile that the demo's second host starts from: a bank that learns of captures and refunds by file.
const FILE_PROFILE: &str = include_str!("../../../hosts/examples/dual-message.toml");
/// The demo's second host: the simulated acquirer again, under a name and a profile of its own.
pub(super) const FILE_HOST: &str = "file-acquirer";
/// The profile that the demo's acquirer link starts from: the one that `serve` reads too.
const ACQUIRER_PROFILE: &str = include_str!("../../../hosts/acquirer.toml");
/// The same with its `[settlement.report]`, which is commented out there.
#[must_use]
pub fn reporting_profile() -> String {
    let mut is_report = false;
    let lines = ACQUIRER_PROFILE.lines().map(|line| {
        is_report = match line {
            "# [settlement.report]" => true,
            "" => false,
            _ => is_report,
        };
        let uncommented = line.strip_prefix("# ").filter(|_| is_report);
        uncommented.unwrap_or(line)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The name in the simulated acquirer's certificate.
const BANK_NAME: &str = "acquirer.bank.test";
/// The account that pays merchants, and that banks pay on.
const PAYING_IBAN: &str = "DE75512108001245126199";

/// The name in the gateway's certificate that clients check.
pub const SERVER_NAME: &str = "localhost";

/// What a stand is made of.
#[derive(Debug, Clone)]
pub struct StandOptions {
    /// Where keys, certificates and the database are kept.
    pub data: PathBuf,
    /// The merchant API's port on loopback; 0 takes a free one.
    pub port: u16,
    /// The operators' API's port on loopback; 0 takes a free one.
    pub admin_port: u16,
    /// The database, instead of a SQLite file in the folder.
    pub database_url: Option<String>,
    /// The program whose child process speaks `iso8583_rs`; this one when not named.
    pub codec_program: Option<PathBuf>,
    /// The profile of the acquirer, TOML; hosts/acquirer.toml where it is none.
    pub acquirer_profile: Option<String>,
    /// Whether there is a second host, which learns of captures and refunds by file, and a merchant whose host it is.
    pub with_file_host: bool,
    /// What the gateway corrects by itself of what banks have otherwise.
    pub corrections: Vec<CorrectionRule>,
    /// How often a card, a merchant or an address may be tried.
    pub limits: Vec<LimitConfig>,
}

/// Simulated banks and a gateway, all running.
pub struct Stand {
    /// The banks.
    pub banks: Banks,
    /// The gateway.
    pub gateway: app::running::Running,
    /// The API key of the demo's merchant.
    pub api_key: Zeroizing<String>,
    /// The demo's merchant.
    pub merchant_id: MerchantId,
    /// The API key of the merchant of the second host, where there is one.
    pub file_merchant_key: Option<Zeroizing<String>>,
    /// The keys and certificates.
    pub pki: DevelopmentPki,
    /// Where the gateway's root certificate is.
    pub ca_path: PathBuf,
    /// Where the operators' root certificate is.
    pub admin_ca_path: PathBuf,
    /// Where the demo's operator's certificate and key are, in clear.
    pub operator_files: OperatorFiles,
    /// Where the keys to seal to are.
    pub jwks_path: PathBuf,
    /// The database.
    pub database_url: String,
}

impl Stand {
    /// Starts the banks, then the gateway, and waits until they have signed on to each other.
    ///
    /// # Errors
    /// When a part can't be started or does not sign on in time.
    pub async fn start(options: &StandOptions) -> Result<Self, CommandError> {
        std::fs::create_dir_all(&options.data)?;
        let data = std::path::absolute(&options.data)?;
        let master_key = master_key(&master_key_path(&data))?;
        let certs = data.join("certs");
        let pki = pki(&certs, &master_key)?;
        let banks = Banks::start(&pki, options.codec_program.clone()).await?;
        let gateway = start_gateway(options, &banks, &pki).await?;
        let merchant = merchant()?;
        let api_key = merchant_key(&gateway.store, &master_key, &merchant, &data).await?;
        let file_merchant_key = match options.with_file_host {
            true => {
                let merchant = file_merchant(FILE_HOST.parse()?)?;
                Some(merchant_key(&gateway.store, &master_key, &merchant, &data).await?)
            }
            false => None,
        };
        let operator_files = operator_files(&data, &pki)?;
        add_operator(&gateway.store).await?;
        let config = config(&data, options);
        Ok(Self {
            banks,
            gateway,
            api_key,
            merchant_id: merchant.id,
            file_merchant_key,
            pki,
            ca_path: certs.join("gateway-ca.pem"),
            admin_ca_path: certs.join("operators-ca.pem"),
            operator_files,
            jwks_path: config.card.jwks_path,
            database_url: config.store.url,
        })
    }

    /// A connection to the merchant API, with the merchant's API key.
    ///
    /// # Errors
    /// When the gateway can't be reached.
    pub async fn connect(&self) -> Result<Connection, CommandError> {
        self.connect_with(&self.api_key).await
    }

    /// The same with another merchant's API key.
    ///
    /// # Errors
    /// When the gateway can't be reached.
    pub async fn connect_with(&self, api_key: &str) -> Result<Connection, CommandError> {
        let ca = self.pki.gateway_root.certificate_pem().as_bytes();
        let channel = client::connect(self.gateway.merchant_api, SERVER_NAME, ca, None).await?;
        Ok(ApiKey::new(api_key)?.on(channel))
    }

    /// A connection to the operators' API, as the demo's operator.
    ///
    /// # Errors
    /// When the gateway can't be reached.
    pub async fn connect_operator(&self) -> Result<Channel, CommandError> {
        let address = self.gateway.admin_api.ok_or("there is no operators' API")?;
        let ca = self.pki.operators_root.certificate_pem().as_bytes();
        let key = self.pki.operator.key_pem();
        let certificate = ClientCertificate {
            chain: self.pki.operator.certificate_pem().as_bytes(),
            key: &key,
        };
        Ok(client::connect(address, SERVER_NAME, ca, Some(&certificate)).await?)
    }

    /// What the ready file says.
    #[must_use]
    pub fn ready(&self) -> serde_json::Value {
        serde_json::json!({
            "merchant_api": self.gateway.merchant_api.to_string(),
            "server_name": SERVER_NAME,
            "ca_path": self.ca_path,
            "api_key": self.api_key.as_str(),
            "merchant_id": self.merchant_id,
            "jwks_path": self.jwks_path,
            "admin_api": self.gateway.admin_api.map(|address| address.to_string()),
            "admin_ca_path": self.admin_ca_path,
            "operator_certificate": self.operator_files.certificate,
            "operator_key": self.operator_files.key,
            "database_url": shown_url(&self.database_url),
            "bank_sim": self.banks.control_address().map(|address| address.to_string()),
            "acquirer": self.banks.address("acquirer").map(|address| address.to_string()),
            "pid": std::process::id(),
        })
    }

    /// Stops the gateway, then the banks. Whether the gateway drained in time.
    pub async fn stop(self) -> bool {
        let drained = self.gateway.stop().await;
        self.banks.shutdown().await;
        drained
    }
}

/// Starts a gateway before banks that run already, and waits until it has signed on: the stand's own
/// gateway, the same one again after it was stopped, or a second one on the same PostgreSQL.
///
/// # Errors
/// When a part can't be started or does not sign on in time.
pub async fn start_gateway(
    options: &StandOptions,
    banks: &Banks,
    pki: &DevelopmentPki,
) -> Result<app::running::Running, CommandError> {
    let acquirer = banks
        .address("acquirer")
        .ok_or("the simulated acquirer has no address")?;
    let data = std::path::absolute(&options.data)?;
    let master_key = Arc::new(master_key(&master_key_path(&data))?);
    let config = config(&data, options);
    let sealing_keys = SealingKeys::load_or_generate(
        &config.card.sealing_keys,
        config.card.rsa_sealing_key,
        &master_key,
    )?;
    Store::migrate(&config.store, &SystemClock).await?;
    let parts = Parts {
        master_key,
        sealing_keys,
        profiles: profiles(options, acquirer, &pki.acquirer)?,
        host_key_loader: None,
        merchant_api_tls: door_tls(
            &pki.gateway,
            ClientCertificates::Optional(client_root(&pki.gateway_root)),
        )?,
        admin_api_tls: Some(door_tls(
            &pki.admin,
            ClientCertificates::Mandatory(client_root(&pki.operators_root)),
        )?),
        from_files: false,
    };
    let gateway = app::start(&config, parts).await?;
    if !gateway.wait_for_hosts().await {
        return Err("the gateway could not sign on to the simulated acquirer".into());
    }
    Ok(gateway)
}

fn client_root(root: &Root) -> ClientRoot<'_> {
    ClientRoot {
        ca: root.certificate_pem().as_bytes(),
        crl: None,
    }
}

fn door_tls(shown: &Identity, clients: ClientCertificates<'_>) -> Result<CurrentTls, CommandError> {
    let tls = DoorTls::new(&DoorTexts {
        certificate: shown.certificate_pem().as_bytes(),
        private_key: &shown.key_pem(),
        clients,
    })?;
    Ok(CurrentTls::new(tls))
}

fn config(data: &Path, options: &StandOptions) -> Config {
    let mut config = Config::default();
    let file = format!("sqlite://{}", data.join("payswitch.db").display());
    config.store.url = options.database_url.clone().unwrap_or(file);
    config.card.sealing_keys = data.join("keys");
    config.card.jwks_path = data.join("jwks.json");
    config.card.master_key_file = Some(master_key_path(data));
    config.environment = Environment::Test;
    config.merchant_api.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
    config.admin_api = Some(AdminApiConfig {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, options.admin_port)),
        ..AdminApiConfig::default()
    });
    config.reconciliation = ReconciliationConfig {
        accounts: BTreeMap::from([(
            "main".to_owned(),
            StatementAccountConfig {
                number: PAYING_IBAN.into(),
                format: "camt".into(),
                currency: "EUR".into(),
                hosts: vec!["acquirer".into()],
                window_days: 7,
            },
        )]),
        corrections: options.corrections.clone(),
        ..ReconciliationConfig::default()
    };
    config.risk = RiskConfig {
        limits: Some(options.limits.clone()),
    };
    config.settlement = SettlementConfig {
        folder: Some(data.join("settlement")),
        // Nobody waits a day for a demo.
        account_change_hours: 0,
        payouts: Some(PayoutsConfig {
            name: "Demo Acquirer".into(),
            iban: PAYING_IBAN.into(),
            bic: "SOLADEST600".into(),
            ..PayoutsConfig::default()
        }),
    };
    config
}

fn profiles(
    options: &StandOptions,
    address: SocketAddr,
    pki: &HostPki,
) -> Result<Vec<HostProfile>, CommandError> {
    let text = options.acquirer_profile.as_deref();
    let mut profiles = vec![profile(
        "acquirer",
        text.unwrap_or(ACQUIRER_PROFILE),
        address,
        pki,
    )?];
    if options.with_file_host {
        profiles.push(profile(FILE_HOST, FILE_PROFILE, address, pki)?);
    }
    Ok(profiles)
}

fn profile(
    host: &str,
    text: &str,
    address: SocketAddr,
    pki: &HostPki,
) -> Result<HostProfile, CommandError> {
    let file = PathBuf::from(format!("{host}.toml"));
    let mut profile = load::parse(text, &file, Path::new("."))?;
    let memory = |text: &[u8]| PemSource::Memory(Zeroizing::new(text.to_vec()));
    profile.address = address.to_string();
    profile.tls.server_name = BANK_NAME.to_owned();
    profile.tls.ca = memory(pki.root.certificate_pem().as_bytes());
    profile.tls.client_certificate = memory(pki.client.certificate_pem().as_bytes());
    profile.tls.client_key = memory(&pki.client.key_pem());
    Ok(profile)
}
