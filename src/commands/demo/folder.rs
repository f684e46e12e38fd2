//! What the demo keeps in its folder from one run to the next: the master key beside it, the
//! certificates, and the API key of its merchant.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::app;
use crate::card::custody::{self, MasterKey};
use crate::card::key_files::Existing;
use crate::certs::DevelopmentPki;
use crate::clock::{Clock as _, SystemClock};
use crate::commands::error::CommandError;
use crate::config::environment::Environment;
use crate::payment::ids::MerchantId;
use crate::payment::merchant::Merchant;
use crate::random::Random;
use crate::store::Store;

/// The demo's merchant.
pub(super) const MERCHANT: &str = "demo-shop";

/// `demo-data` has its master key beside it, in `demo-data.key`: a copy of the folder opens nothing.
#[must_use]
pub fn master_key_path(data: &Path) -> PathBuf {
    let mut path = data.as_os_str().to_owned();
    path.push(".key");
    path.into()
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
    if folder.exists() {
        return Ok(DevelopmentPki::read_from(folder, master_key)?);
    }
    let pki = DevelopmentPki::generate(&MERCHANT.parse()?, SystemClock.now())?;
    pki.write_wrapped_to(folder, master_key)?;
    Ok(pki)
}

/// The API key of an earlier run, or a new one, together with its merchant.
pub(super) async fn merchant_key(
    store: &Store,
    master_key: &MasterKey,
    merchant_id: &MerchantId,
    data: &Path,
) -> Result<Zeroizing<String>, CommandError> {
    let path = data.join("api-key.pem");
    if store.merchant(merchant_id).await?.is_none() {
        store.insert_merchant(&merchant(merchant_id)?).await?;
    }
    if path.exists() {
        let key = String::from_utf8(custody::read_private_key(&path, master_key)?.to_vec())?;
        let known = key.split('.').next().unwrap_or_default();
        if store.api_key(known).await?.is_some() {
            return Ok(Zeroizing::new(key));
        }
    }
    let key = app::issue_api_key(store, master_key, Environment::Test, merchant_id, "demo").await?;
    custody::write_wrapped(&path, key.as_bytes(), master_key, Existing::Replace)?;
    Ok(key)
}

fn merchant(id: &MerchantId) -> Result<Merchant, CommandError> {
    Ok(Merchant {
        id: *id,
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
