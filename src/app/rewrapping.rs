//! What is wrapped under the master key, and wrapping all of it anew when the master key is rotated.

use std::path::{Path, PathBuf};

use crate::card::custody::{CustodyError, DataKeys};
use crate::card::keys::{SealingKeysError, rewrap_keys};
use crate::card::master_key::{self, MasterKey};
use crate::card::masters::MasterKeyError;
use crate::config::Config;
use crate::fault_points::FaultPoint;
use crate::hosts::Hosts;
use crate::hosts::profile::PemSource;
use crate::hosts::profile::reading::ProfileError;
use crate::random::Random;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::records::lists::MAX_PAGE_SIZE;

/// Why something could not be wrapped anew.
#[derive(Debug, thiserror::Error)]
pub enum RewrapError {
    /// A key file, or the master key.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// The folder of sealing keys.
    #[error(transparent)]
    SealingKeys(#[from] SealingKeysError),
    /// A host profile, which names a key file.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// A data key.
    #[error(transparent)]
    DataKey(#[from] CustodyError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How much was wrapped anew.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rewrapped {
    /// Files of private keys.
    pub files: usize,
    /// Data keys of cards in custody.
    pub data_keys: usize,
}

/// Wraps everything under the current master key that is wrapped under another one: the sealing keys, the key files
/// that the configuration and the host profiles name, those that are named `also`, and the data keys in the database.
/// What is in clear is left so. Cut short, it is done again.
///
/// # Errors
/// When something can't be read or written, or opens under no master key.
pub async fn rewrap(
    config: &Config,
    also: &[PathBuf],
    store: &Store,
    master_key: &MasterKey,
) -> Result<Rewrapped, RewrapError> {
    let mut done = Rewrapped::default();
    let mut key_files = vec![config.merchant_api.private_key.clone()];
    key_files.extend(config.admin_api.as_ref().map(|it| it.private_key.clone()));
    for profile in Hosts::load_profiles(&config.hosts.profiles, Path::new("."))? {
        if let PemSource::File(path) = profile.tls.client_key {
            key_files.push(path);
        }
    }
    key_files.extend_from_slice(also);
    done.files += rewrap_keys(&config.card.sealing_keys, master_key)?;
    for path in key_files {
        if master_key::rewrap_file(&path, master_key)? {
            done.files += 1;
            FaultPoint::MasterRotation.pass();
        }
    }
    let data_keys = DataKeys::new(master_key, &Random::SYSTEM);
    for key in store.custody_keys(MAX_PAGE_SIZE, None).await? {
        if let Some(wrapped) = data_keys.rewrap(key.key_version, &key.wrapped)? {
            // Where it was destroyed meanwhile, or another process has wrapped it anew, nothing is to be done.
            done.data_keys += usize::from(store.rewrap_custody_key(&key, &wrapped).await?);
            FaultPoint::MasterRotation.pass();
        }
    }
    Ok(done)
}
