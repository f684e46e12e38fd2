//! What the parts of the gateway are made of: keys, certificates and host profiles, from the files that the
//! configuration names.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::card::keys::{SealingKeys, SealingKeysError};
use crate::card::master_key::{self, MasterKey, MasterKeyError};
use crate::config::Config;
use crate::config::admin_api::AdminApiConfig;
use crate::config::merchant_api::MerchantApiConfig;
use crate::grpc::server::ServeError;
use crate::grpc::tls::{self, ClientCertificates, TlsError};
use crate::hosts::line::tls::KeyLoader;
use crate::hosts::profile::reading::ProfileError;
use crate::hosts::profile::{HostProfile, PemSource};
use crate::hosts::{Hosts, HostsError};
use crate::ledger_seals::restoring::OlderDatabase;
use crate::ledger_seals::sealer::SealingError;
use crate::operations::card_custody::CardCustodyError;
use crate::random::{NoEntropy, Random};
use crate::reconciliation::accounts::InvalidAccountSetting;
use crate::settlement::host_files::HostFilesError;
use crate::settlement::payout_account::PayoutAccountError;
use crate::store::error::StoreError;

/// The gateway could not be started; nothing of it runs.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A key or certificate file.
    #[error("failed to read `{}`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The master key, or a key that it wraps.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// The keys that cards are sealed to.
    #[error(transparent)]
    SealingKeys(#[from] SealingKeysError),
    /// The data keys of cards in custody.
    #[error(transparent)]
    CardCustody(#[from] CardCustodyError),
    /// A host profile.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The formats of a host's files.
    #[error(transparent)]
    Files(#[from] HostFilesError),
    /// The lines to the banks.
    #[error(transparent)]
    Hosts(#[from] HostsError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The seals outside the database can't be read.
    #[error(transparent)]
    Seals(#[from] SealingError),
    /// The database is older than they are.
    #[error(transparent)]
    Older(Box<OlderDatabase>),
    /// The merchant API's certificate or key.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The merchant API's listener.
    #[error("the merchant API can't be opened")]
    MerchantApi(#[source] ServeError),
    /// The operators' API's listener.
    #[error("the operators' API can't be opened")]
    AdminApi(#[source] ServeError),
    /// The account that payouts are paid from.
    #[error("settlement.payouts can't be used")]
    PayingAccount(#[source] PayoutAccountError),
    /// The bank accounts whose statements are taken in.
    #[error(transparent)]
    StatementAccounts(#[from] InvalidAccountSetting),
    /// The operating system gave no randomness.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
}

/// What is read from files, or made in memory by the demo and the tests.
pub struct Parts {
    /// What wraps everything secret at rest.
    pub master_key: Arc<MasterKey>,
    /// The keys that cards are sealed to.
    pub sealing_keys: SealingKeys,
    /// The bank hosts.
    pub profiles: Vec<HostProfile>,
    /// How the private keys to the bank hosts are read; without it they are plain files.
    pub host_key_loader: Option<Arc<KeyLoader>>,
    /// The merchant API's TLS.
    pub merchant_api_tls: rustls::ServerConfig,
    /// The operators' API's TLS, where there is such a door.
    pub admin_api_tls: Option<rustls::ServerConfig>,
    /// The certificates that the doors show, and when each ends, in seconds of Unix time.
    pub certificate_ends: Vec<(String, u64)>,
}

impl Parts {
    /// Reads everything that the configuration names.
    ///
    /// # Errors
    /// When a file can't be read or holds something else; each says which file.
    pub fn from_config(config: &Config) -> Result<Self, StartError> {
        let master_key = Arc::new(MasterKey::load(
            config.card.master_key_file.as_deref(),
            &Random::SYSTEM,
        )?);
        tracing::info!(tier = %master_key.tier(), "The master key is loaded");
        let sealing_keys = SealingKeys::load_or_generate(
            &config.card.sealing_keys,
            config.card.rsa_sealing_key,
            &master_key,
        )?;
        let profiles = Hosts::load_profiles(&config.hosts.profiles, Path::new("."))?;
        let merchant_api_tls = merchant_api_tls(&config.merchant_api, &master_key)?;
        let admin_api = config.admin_api.as_ref();
        let admin_api_tls = admin_api
            .map(|admin_api| admin_api_tls(admin_api, &master_key))
            .transpose()?;
        let loader_key = Arc::clone(&master_key);
        let host_key_loader = Arc::new(move |path: &Path| {
            master_key::read_private_key_pem(path, &loader_key).map_err(io::Error::other)
        });
        Ok(Self {
            master_key,
            sealing_keys,
            profiles,
            host_key_loader: Some(host_key_loader),
            merchant_api_tls,
            admin_api_tls,
            certificate_ends: door_certificate_ends(config)?,
        })
    }
}

fn merchant_api_tls(
    config: &MerchantApiConfig,
    master_key: &MasterKey,
) -> Result<rustls::ServerConfig, StartError> {
    let certificate = read(&config.certificate)?;
    let private_key = master_key::read_private_key_pem(&config.private_key, master_key)?;
    let client_ca = config.client_ca.as_deref().map(read).transpose()?;
    let clients = client_ca
        .as_deref()
        .map_or(ClientCertificates::None, ClientCertificates::Optional);
    Ok(tls::server_config(&certificate, &private_key, clients)?)
}

fn admin_api_tls(
    config: &AdminApiConfig,
    master_key: &MasterKey,
) -> Result<rustls::ServerConfig, StartError> {
    let certificate = read(&config.certificate)?;
    let private_key = master_key::read_private_key_pem(&config.private_key, master_key)?;
    let client_ca = read(&config.client_ca)?;
    let clients = ClientCertificates::Mandatory(&client_ca);
    Ok(tls::server_config(&certificate, &private_key, clients)?)
}

/// When the certificates end that the doors show, in seconds of Unix time.
fn door_certificate_ends(config: &Config) -> Result<Vec<(String, u64)>, StartError> {
    let merchant_api = &config.merchant_api.certificate;
    let admin_api = config.admin_api.as_ref().map(|it| &it.certificate);
    let mut ends = Vec::new();
    for (door, path) in [
        ("merchant_api", Some(merchant_api)),
        ("admin_api", admin_api),
    ] {
        if let Some(path) = path {
            let end = tls::certificate_end(&read(path)?);
            ends.extend(end.map(|end| (door.to_owned(), end)));
        }
    }
    Ok(ends)
}

/// When the certificates end that are shown to banks. One that can't be read ends the start later.
pub(super) fn host_certificate_ends(profiles: &[HostProfile]) -> Vec<(String, u64)> {
    let to_banks = profiles.iter().filter_map(|profile| {
        let pem = match &profile.tls.client_certificate {
            PemSource::File(path) => std::fs::read(path).ok()?,
            PemSource::Memory(pem) => pem.to_vec(),
        };
        Some((format!("host {}", profile.host_id), pem))
    });
    let end = |(name, pem): (String, Vec<u8>)| Some((name, tls::certificate_end(&pem)?));
    to_banks.filter_map(end).collect()
}

fn read(path: &Path) -> Result<Vec<u8>, StartError> {
    std::fs::read(path).map_err(|source| StartError::Unreadable {
        path: path.to_path_buf(),
        source,
    })
}
