//! The first rows of an installation, which a command writes without a running gateway: API keys, and the first
//! operator.

use zeroize::Zeroizing;

use crate::admin_api::records::{AuditOutcome, COMMAND_LINE};
use crate::card::master_key::{MasterKey, MasterKeyError, Purpose};
use crate::clock::{Clock, SystemClock};
use crate::config::environment::Environment;
use crate::merchant_api::transport::api_key::{NewApiKey, Pepper};
use crate::payment::ids::{AuditId, MerchantId, OperatorName};
use crate::random::{NoEntropy, Random};
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::records::{AuditRecord, OperatorRecord, OperatorRole};

/// What API keys are hashed under.
pub(super) fn pepper(master_key: &MasterKey) -> Result<Pepper, MasterKeyError> {
    Ok(Pepper::new(
        master_key.derive(Purpose::ApiKeyPepper)?.as_bytes(),
    ))
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
    let row = AuditRecord {
        id: AuditId::from_parts(now, Random::SYSTEM.bytes()?),
        at: now,
        operator: COMMAND_LINE.to_owned(),
        action: "first operator".to_owned(),
        target: format!("{name} as {}", operator.role.name()),
        reason: reason.to_owned(),
        // Two at once can't both have it.
        request_id: "first-operator".to_owned(),
        body_hash: [0; 32],
        outcome: Some(AuditOutcome::Done.to_string()),
        answer: Vec::new(),
    };
    Ok(store.insert_first_operator(&operator, &row).await?)
}
