//! What a command does to the database without a running gateway: API keys, the first operator, and a new epoch after
//! a restore.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::admin_api::records::{AuditOutcome, COMMAND_LINE};
use crate::card::derived_key::Purpose;
use crate::card::master_key::MasterKey;
use crate::card::masters::MasterKeyError;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::config::environment::Environment;
use crate::ledger::seal::SealKey;
use crate::ledger_seals::restoring::Restoration;
use crate::ledger_seals::seal_file::SealFile;
use crate::ledger_seals::sealer::{LedgerSealer, SealingError};
use crate::merchant_api::transport::api_key::{NewApiKey, Pepper};
use crate::payment::ids::{AuditId, MerchantId, OperatorName};
use crate::payment::moment::UnixMillis;
use crate::random::{NoEntropy, Random};
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::records::callers::{AuditRecord, OperatorRecord, OperatorRole};

/// What API keys are hashed under.
pub(super) fn pepper(master_key: &MasterKey) -> Result<Pepper, MasterKeyError> {
    Ok(Pepper::new(
        master_key.derive(Purpose::ApiKeyPepper)?.as_bytes(),
    ))
}

/// What seals the ledger.
///
/// # Errors
/// When the cryptographic library takes no key.
pub fn sealer(
    config: &Config,
    store: &Store,
    master_key: &MasterKey,
    clock: &Arc<dyn Clock>,
) -> Result<LedgerSealer, MasterKeyError> {
    let seed = master_key.derive(Purpose::LedgerSeals)?;
    let key = SealKey::from_seed(seed.as_bytes())
        .ok_or(MasterKeyError::Refused("make the key of the seals"))?;
    let file = config.ledger.seal_file.clone().map(SealFile::at);
    Ok(LedgerSealer::new(
        store.clone(),
        key,
        file,
        Arc::clone(clock),
    ))
}

/// The row of the audit trail for what a command does to the database itself. Of two with one `request_id` only one is
/// written.
pub(super) fn command_row(
    at: UnixMillis,
    action: &str,
    target: String,
    reason: &str,
    request_id: String,
) -> Result<AuditRecord, NoEntropy> {
    Ok(AuditRecord {
        id: AuditId::from_parts(at, Random::SYSTEM.bytes()?),
        at,
        operator: COMMAND_LINE.to_owned(),
        action: action.to_owned(),
        target,
        reason: reason.to_owned(),
        request_id,
        body_hash: [0; 32],
        outcome: Some(AuditOutcome::Done.to_string()),
        answer: Vec::new(),
    })
}

/// Why an API key could not be issued, or the first operator not be added.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// The master key.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The seals.
    #[error(transparent)]
    Seals(#[from] SealingError),
    /// The operating system gave no randomness.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
}

/// Makes an API key for a merchant. Its text is returned and kept nowhere.
///
/// # Errors
/// When the merchant is unknown, or the store or the master key can't be used.
pub async fn issue_api_key(
    store: &Store,
    master_key: &MasterKey,
    environment: Environment,
    merchant_id: &MerchantId,
    label: &str,
) -> Result<Zeroizing<String>, IssueError> {
    let key = NewApiKey::generate(&pepper(master_key)?, environment, &Random::SYSTEM)?;
    let record = key.record(*merchant_id, label, SystemClock.now());
    store.insert_api_key(&record).await?;
    Ok(key.text)
}

/// Adds the first operator, an approver, with its audit row.
///
/// # Errors
/// When there is an operator already, or the store can't be used.
pub async fn add_first_operator(
    store: &Store,
    name: &OperatorName,
    reason: &str,
) -> Result<(), IssueError> {
    let now = SystemClock.now();
    let operator = OperatorRecord {
        name: name.to_string(),
        role: OperatorRole::Approver,
        active: true,
        created_at: now,
        created_by: COMMAND_LINE.to_owned(),
    };
    let target = format!("{name} as {}", operator.role.name());
    let request_id = "first-operator".to_owned();
    let row = command_row(now, "first operator", target, reason, request_id)?;
    Ok(store.insert_first_operator(&operator, &row).await?)
}

/// Records in the audit trail that the master key was rotated, the one that took its place at `replaced_at`. Done again, it
/// is recorded once.
///
/// # Errors
/// When the store can't be used.
pub async fn record_master_rotation(
    store: &Store,
    replaced_at: UnixMillis,
    reason: &str,
) -> Result<(), IssueError> {
    let request_id = format!("master-rotated-{}", replaced_at.as_i64());
    let target = "master key".to_owned();
    let now = SystemClock.now();
    let row = command_row(now, "master rotated", target, reason, request_id)?;
    match store.insert_audit(&row).await {
        Ok(()) | Err(StoreError::Conflict { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Begins a new epoch after a restore, with its audit row.
///
/// # Errors
/// When the store or the file of the seals can't be used.
pub async fn begin_epoch(
    sealer: &LedgerSealer,
    restoration: &Restoration,
    reason: &str,
) -> Result<(), IssueError> {
    let after = &restoration.after;
    let target = format!("store {}, epoch {}", after.id, after.epoch);
    let request_id = format!("restored-{}", after.epoch);
    let row = command_row(after.restored_at, "restored", target, reason, request_id)?;
    Ok(sealer.begin_epoch(restoration, &row).await?)
}
