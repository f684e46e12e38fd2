//! What the parts of the gateway are made of: keys, certificates and host profiles, from the files that the
//! configuration names.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::card::keys::{SealingKeys, SealingKeysError};
use crate::card::master_key::{self, MasterKey, MasterKeyTier};
use crate::card::masters::MasterKeyError;
use crate::config::Config;
use crate::config::admin_api::AdminApiConfig;
use crate::config::merchant_api::MerchantApiConfig;
use crate::grpc::server::ServeError;
use crate::grpc::tls::{ClientCertificates, ClientRoot, CurrentTls, DoorTexts, DoorTls, TlsError};
use crate::hosts::line::tls::KeyLoader;
use crate::hosts::profile::HostProfile;
use crate::hosts::profile::reading::ProfileError;
use crate::hosts::{Hosts, HostsError};
use crate::ledger_seals::restoring::OlderDatabase;
use crate::ledger_seals::sealer::SealingError;
use crate::operations::card_custody::CardCustodyError;
use crate::payment::ids::BankAccountName;
use crate::random::{NoEntropy, Random};
use crate::reconciliation::accounts::{InvalidAccountSetting, StatementAccount, read_accounts};
use crate::risk::limit::InvalidLimit;
use crate::settlement::host_files::{HostFiles, HostFilesError};
use crate::settlement::payout_account::{PayoutAccount, PayoutAccountError};
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
    /// The certificate of a door, its key, or what its clients are checked by.
    #[error("the door with the certificate `{}` can't have TLS", certificate.display())]
    Door {
        /// The certificate's file.
        certificate: PathBuf,
        /// Why not.
        #[source]
        source: TlsError,
    },
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
    /// A limit on how often something is tried.
    #[error(transparent)]
    Limit(#[from] InvalidLimit),
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
    pub merchant_api_tls: CurrentTls,
    /// The operators' API's TLS, where there is such a door.
    pub admin_api_tls: Option<CurrentTls>,
    /// Whether certificates, revocation lists and profiles come from the files that the configuration names, so that
    /// they can be read again.
    pub from_files: bool,
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
        let merchant_api_tls = DoorFiles::of_merchant_api(&config.merchant_api).tls(&master_key)?;
        let admin_api = config.admin_api.as_ref().map(DoorFiles::of_admin_api);
        let admin_api_tls = admin_api
            .map(|files| files.tls(&master_key).map(CurrentTls::new))
            .transpose()?;
        Ok(Self {
            host_key_loader: Some(host_key_loader(&master_key)),
            master_key,
            sealing_keys,
            profiles,
            merchant_api_tls: CurrentTls::new(merchant_api_tls),
            admin_api_tls,
            from_files: true,
        })
    }
}

/// Reads the private keys to the bank hosts: plain, or wrapped under the master key.
pub fn host_key_loader(master_key: &Arc<MasterKey>) -> Arc<KeyLoader> {
    let master_key = Arc::clone(master_key);
    Arc::new(move |path: &Path| {
        master_key::read_private_key_pem(path, &master_key).map_err(io::Error::other)
    })
}

/// The file of the master key, where it lies in one.
#[must_use]
pub fn master_key_file(config: &Config, master_key: &MasterKey) -> Option<PathBuf> {
    let file = config.card.master_key_file.clone();
    file.filter(|_| master_key.tier() == MasterKeyTier::File)
}

/// The formats of the hosts' files.
///
/// # Errors
/// The first fault of the first host that has one.
pub fn host_files(profiles: &[HostProfile]) -> Result<HostFiles, HostFilesError> {
    let tables = profiles.iter().map(|it| (it.host_id, &it.files));
    HostFiles::read(tables)
}

/// The account that payouts are paid from, where there is one.
///
/// # Errors
/// When the configuration names none that can be used.
pub fn paying_account(config: &Config) -> Result<Option<PayoutAccount>, StartError> {
    let account = config.settlement.payouts.as_ref();
    account
        .map(|it| PayoutAccount::new(&it.name, &it.iban, &it.other, &it.bic))
        .transpose()
        .map_err(StartError::PayingAccount)
}

/// The bank accounts whose statements are taken in.
///
/// # Errors
/// When a setting can't be used.
pub fn statement_accounts(
    config: &Config,
    profiles: &[HostProfile],
) -> Result<BTreeMap<BankAccountName, StatementAccount>, StartError> {
    let known: Vec<_> = profiles.iter().map(|profile| profile.host_id).collect();
    Ok(read_accounts(&config.reconciliation, &known)?)
}

/// The files that the TLS of a door is made of.
pub struct DoorFiles {
    certificate: PathBuf,
    private_key: PathBuf,
    client_ca: Option<PathBuf>,
    client_crl: Option<PathBuf>,
    /// Whether clients have to show a certificate.
    is_mandatory: bool,
}

impl DoorFiles {
    /// Those of the merchant API.
    #[must_use]
    pub fn of_merchant_api(config: &MerchantApiConfig) -> Self {
        Self {
            certificate: config.certificate.clone(),
            private_key: config.private_key.clone(),
            client_ca: config.client_ca.clone(),
            client_crl: config.client_crl.clone(),
            is_mandatory: false,
        }
    }

    /// Those of the operators' API.
    #[must_use]
    pub fn of_admin_api(config: &AdminApiConfig) -> Self {
        Self {
            certificate: config.certificate.clone(),
            private_key: config.private_key.clone(),
            client_ca: Some(config.client_ca.clone()),
            client_crl: config.client_crl.clone(),
            is_mandatory: true,
        }
    }

    /// Where the certificate is that the door shows.
    pub(super) fn certificate(&self) -> &Path {
        &self.certificate
    }

    /// Reads them.
    ///
    /// # Errors
    /// When a file can't be read or does not hold what it should.
    pub fn tls(&self, master_key: &MasterKey) -> Result<DoorTls, StartError> {
        self.with_texts(master_key, DoorTls::new)
    }

    /// Reads them again; none where `before` was made of the same texts.
    ///
    /// # Errors
    /// When a file can't be read or does not hold what it should.
    pub(super) fn tls_again(
        &self,
        master_key: &MasterKey,
        before: &DoorTls,
    ) -> Result<Option<DoorTls>, StartError> {
        self.with_texts(master_key, |texts| {
            let is_new = texts.fingerprint() != before.fingerprint();
            is_new.then(|| DoorTls::new(texts)).transpose()
        })
    }

    fn with_texts<T>(
        &self,
        master_key: &MasterKey,
        make: impl FnOnce(&DoorTexts<'_>) -> Result<T, TlsError>,
    ) -> Result<T, StartError> {
        let certificate = read(&self.certificate)?;
        let private_key = master_key::read_private_key_pem(&self.private_key, master_key)?;
        let ca = self.client_ca.as_deref().map(read).transpose()?;
        let crl = self.client_crl.as_deref().map(read).transpose()?;
        let root = ca.as_deref().map(|ca| ClientRoot {
            ca,
            crl: crl.as_deref(),
        });
        let clients = match root {
            None => ClientCertificates::None,
            Some(root) if self.is_mandatory => ClientCertificates::Mandatory(root),
            Some(root) => ClientCertificates::Optional(root),
        };
        let made = make(&DoorTexts {
            certificate: &certificate,
            private_key: &private_key,
            clients,
        });
        made.map_err(|source| StartError::Door {
            certificate: self.certificate.clone(),
            source,
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, StartError> {
    std::fs::read(path).map_err(|source| StartError::Unreadable {
        path: path.to_path_buf(),
        source,
    })
}
