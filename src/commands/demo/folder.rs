//! What the demo keeps in its folder from one run to the next: the master key beside it, the
//! certificates, and the API key of its merchant.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::app::issue;
use crate::card::key_files::{Existing, write_private_file, write_public_file};
use crate::card::master_key::{self, MasterKey};
use crate::certs::DevelopmentPki;
use crate::clock::{Clock as _, SystemClock};
use crate::commands::error::CommandError;
use crate::config::environment::Environment;
use crate::payment::ids::HostId;
use crate::payment::merchant::Merchant;
use crate::random::Random;
use crate::store::Store;

const MERCHANT: &str = "demo-shop";
const FILE_MERCHANT: &str = "demo-file-shop";
/// Where the API keys of the two merchants are kept.
const KEY: &str = "api-key.pem";
const FILE_KEY: &str = "file-api-key.pem";

/// The demo's operator.
pub(super) const OPERATOR: &str = "demo-operator";

/// `demo-data` has its master key beside it, in `demo-data.key`: a copy of the folder opens nothing.
#[must_use]
pub fn master_key_path(data: &Path) -> PathBuf {
    beside(data, ".key")
}

fn beside(data: &Path, ending: &str) -> PathBuf {
    let mut path = data.as_os_str().to_owned();
    path.push(ending);
    path.into()
}

/// Where the demo's operator finds its certificate and its key, in clear: beside the folder, because no other
/// program can unwrap a key.
#[derive(Debug, Clone)]
pub struct OperatorFiles {
    /// The certificate, PEM.
    pub certificate: PathBuf,
    /// The private key, PEM (PKCS #8).
    pub key: PathBuf,
}

impl OperatorFiles {
    /// `demo-data.operator.pem` and `demo-data.operator.key` for `demo-data`.
    #[must_use]
    pub fn beside(data: &Path) -> Self {
        Self {
            certificate: beside(data, ".operator.pem"),
            key: beside(data, ".operator.key"),
        }
    }
}

/// Where the demo says that it is ready, unless it is told another place: `demo-data.ready.json` for `demo-data`.
#[must_use]
pub fn ready_file_path(data: &Path) -> PathBuf {
    beside(data, ".ready.json")
}

/// Writes the operator's certificate and key.
pub(super) fn operator_files(
    data: &Path,
    pki: &DevelopmentPki,
) -> Result<OperatorFiles, CommandError> {
    let files = OperatorFiles::beside(data);
    let certificate = pki.operator.certificate_pem().as_bytes();
    write_public_file(&files.certificate, certificate, Existing::Replace)?;
    write_private_file(&files.key, &pki.operator.key_pem(), Existing::Replace)?;
    Ok(files)
}

/// Adds the demo's operator, unless an earlier run has.
pub(super) async fn add_operator(store: &Store) -> Result<(), CommandError> {
    if store.list_operators().await?.is_empty() {
        issue::add_first_operator(store, &OPERATOR.parse()?, "the demo's operator").await?;
    }
    Ok(())
}

/// The master key of an earlier run, or a new one.
pub(super) fn master_key(path: &Path) -> Result<MasterKey, CommandError> {
    Ok(if path.exists() {
        MasterKey::read_file(path, &Random::SYSTEM)?
    } else {
        MasterKey::create_file(path, &Random::SYSTEM)?
    })
}

/// The PKI of an earlier run, or a new one: clients that know the root go on working.
pub(super) fn pki(folder: &Path, master_key: &MasterKey) -> Result<DevelopmentPki, CommandError> {
    // A folder of a version that knew no operators is made anew.
    if folder.join("operators-ca.pem").exists() {
        return Ok(DevelopmentPki::read_from(folder, master_key)?);
    }
    let (merchant, operator) = (MERCHANT.parse()?, OPERATOR.parse()?);
    let pki = DevelopmentPki::generate(&merchant, &operator, SystemClock.now())?;
    pki.write_wrapped_to(folder, master_key)?;
    Ok(pki)
}

/// The API key of an earlier run, or a new one, together with its merchant.
pub(super) async fn merchant_key(
    store: &Store,
    master_key: &MasterKey,
    merchant: &Merchant,
    data: &Path,
) -> Result<Zeroizing<String>, CommandError> {
    let merchant_id = &merchant.id;
    let path = data.join(match merchant_id.as_str() {
        FILE_MERCHANT => FILE_KEY,
        _ => KEY,
    });
    if store.merchant(merchant_id).await?.is_none() {
        store.insert_merchant(merchant).await?;
    }
    if path.exists() {
        let key = String::from_utf8(master_key::read_private_key(&path, master_key)?.to_vec())?;
        let known = key.split('.').next().unwrap_or_default();
        if store.api_key(known).await?.is_some() {
            return Ok(Zeroizing::new(key));
        }
    }
    let key =
        issue::issue_api_key(store, master_key, Environment::Test, merchant_id, "demo").await?;
    master_key::write_wrapped(&path, key.as_bytes(), master_key, Existing::Replace)?;
    Ok(key)
}

/// The demo's merchant.
pub(super) fn merchant() -> Result<Merchant, CommandError> {
    Ok(Merchant {
        id: MERCHANT.parse()?,
        name: "Demo Shop".into(),
        city: "Berlin".into(),
        country: "DE".into(),
        country_numeric: 276,
        mcc: "5732".into(),
        terminal_id: "WEB00001".into(),
        acceptor_id: "DEMOSHOP0000001".into(),
        acquirer: "acquirer".parse()?,
        time_zone: "UTC".into(),
        active: true,
    })
}

/// The merchant of the demo's second host. Its terminal is another one, because both hosts are one simulated bank, which
/// knows a message by its numbers and its terminal.
pub(super) fn file_merchant(acquirer: HostId) -> Result<Merchant, CommandError> {
    Ok(Merchant {
        id: FILE_MERCHANT.parse()?,
        name: "Demo File Shop".into(),
        terminal_id: "WEB00002".into(),
        acceptor_id: "DEMOSHOP0000002".into(),
        acquirer,
        ..merchant()?
    })
}
