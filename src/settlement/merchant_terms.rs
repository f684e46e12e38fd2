//! The terms of merchants: what they pay, when they are paid, and where to. Another account needs two operators and a while.

use std::sync::Arc;
use std::time::Duration;

use super::fee_plan::FeePlan;
use super::merchant_details::MerchantDetails;
use super::payout_account::PayoutAccount;
use super::payout_plan::PayoutPlan;
use crate::clock::Clock;
use crate::payment::ids::{AccountChangeId, MerchantId};
use crate::payment::merchant::Merchant;
use crate::random::{NoEntropy, Random};
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::merchant_money::{AccountChange, AccountChangeState, Plan, TermsRecord};

/// The terms of merchants.
pub struct MerchantTerms {
    store: Store,
    clock: Arc<dyn Clock>,
    random: Random,
    /// How long after its confirmation an account is used.
    account_wait: Duration,
}

/// The terms of a merchant, as they are now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// Whose they are.
    pub merchant: Merchant,
    /// What was agreed; none where nobody has set anything.
    pub agreed: Option<TermsRecord>,
}

/// Why terms are not as they were asked for.
#[derive(Debug, thiserror::Error)]
pub enum TermsError {
    /// There is no such merchant.
    #[error("there is no merchant {0}")]
    NoMerchant(MerchantId),
    /// Another change of the merchant's account has not ended.
    #[error("the account of {0} is being changed already")]
    ChangeOpen(MerchantId),
    /// The merchant has no such change.
    #[error("there is no change {0} of the merchant's account")]
    NoChange(AccountChangeId),
    /// The change is not in a state in which this can be.
    #[error("the change {id} is {}", state.name())]
    ChangeEnded {
        /// The change.
        id: AccountChangeId,
        /// Where it stands.
        state: AccountChangeState,
    },
    /// The operator who confirms is the one who asked.
    #[error("expected another operator than the one who asked")]
    FourEyes,
    /// The operating system gives no randomness.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl MerchantTerms {
    /// The terms in this store. An account is used `account_wait` after its confirmation.
    #[must_use]
    pub fn new(
        store: Store,
        clock: Arc<dyn Clock>,
        random: Random,
        account_wait: Duration,
    ) -> Self {
        Self {
            store,
            clock,
            random,
            account_wait,
        }
    }

    /// The terms of a merchant.
    ///
    /// # Errors
    /// When there is no such merchant, or the store can't be read.
    pub async fn terms(&self, merchant: &MerchantId) -> Result<Terms, TermsError> {
        self.store.apply_account_changes(self.clock.now()).await?;
        self.found(merchant).await
    }

    async fn found(&self, merchant: &MerchantId) -> Result<Terms, TermsError> {
        Ok(Terms {
            merchant: self.expect_merchant(merchant).await?,
            agreed: self.store.merchant_terms(merchant).await?,
        })
    }

    /// Sets a merchant's legal name, its time zone, or both.
    ///
    /// # Errors
    /// When banks don't take the name, there is no such zone or no such merchant, or the store can't be written.
    pub async fn set_details(
        &self,
        merchant: &MerchantId,
        details: &MerchantDetails,
    ) -> Result<Terms, TermsError> {
        self.expect_merchant(merchant).await?;
        let (legal_name, zone) = (details.legal_name(), details.time_zone());
        let set = (legal_name, zone);
        self.store
            .set_merchant_details(merchant, set, self.clock.now())
            .await?;
        self.found(merchant).await
    }

    /// Sets what a merchant pays, of batches whose fees are computed from now on.
    ///
    /// # Errors
    /// When there is no such merchant, or the store can't be written.
    pub async fn set_fee_plan(
        &self,
        merchant: &MerchantId,
        plan: &FeePlan,
    ) -> Result<Terms, TermsError> {
        let plan = serde_json::to_string(plan).unwrap_or_default();
        self.set(merchant, Plan::Fees(&plan)).await
    }

    /// Sets when a merchant is paid.
    ///
    /// # Errors
    /// When there is no such merchant, or the store can't be written.
    pub async fn set_payout_plan(
        &self,
        merchant: &MerchantId,
        plan: &PayoutPlan,
    ) -> Result<Terms, TermsError> {
        let plan = serde_json::to_string(plan).unwrap_or_default();
        self.set(merchant, Plan::Payouts(&plan)).await
    }

    async fn set(&self, merchant: &MerchantId, plan: Plan<'_>) -> Result<Terms, TermsError> {
        self.expect_merchant(merchant).await?;
        self.store
            .set_plan(merchant, plan, self.clock.now())
            .await?;
        self.found(merchant).await
    }

    /// Asks for another account of a merchant.
    ///
    /// # Errors
    /// When there is no such merchant, or its account is being changed already, or the store can't be written.
    pub async fn propose_account(
        &self,
        merchant: &MerchantId,
        account: &PayoutAccount,
        by: &str,
    ) -> Result<AccountChange, TermsError> {
        self.expect_merchant(merchant).await?;
        let now = self.clock.now();
        self.store.apply_account_changes(now).await?;
        let change = AccountChange {
            id: AccountChangeId::from_parts(now, self.random.bytes_for_name()?),
            merchant_id: *merchant,
            account: account.to_text(),
            state: AccountChangeState::Pending,
            asked_by: by.to_owned(),
            asked_at: now,
            confirmed_by: None,
            confirmed_at: None,
            effective_at: None,
        };
        match self.store.insert_account_change(&change).await? {
            true => Ok(change),
            false => Err(TermsError::ChangeOpen(*merchant)),
        }
    }

    /// Confirms a change of a merchant's account. Payouts go there a while later.
    ///
    /// # Errors
    /// When the operator is the one who asked, or there is no such change, or it is not pending.
    pub async fn confirm_account(
        &self,
        merchant: &MerchantId,
        id: AccountChangeId,
        by: &str,
    ) -> Result<AccountChange, TermsError> {
        let change = self.change(merchant, id).await?;
        if change.asked_by == by {
            return Err(TermsError::FourEyes);
        }
        let now = self.clock.now();
        let effective_at = now.plus(self.account_wait);
        self.store
            .confirm_account_change(id, by, now, effective_at)
            .await?;
        self.store.apply_account_changes(now).await?;
        let change = self.change(merchant, id).await?;
        match change.state {
            AccountChangeState::Confirmed | AccountChangeState::Effective
                if change.confirmed_by.as_deref() == Some(by) =>
            {
                Ok(change)
            }
            state => Err(TermsError::ChangeEnded { id, state }),
        }
    }

    /// Cancels a change of a merchant's account whose time has not come.
    ///
    /// # Errors
    /// When there is no such change, or its time has come.
    pub async fn cancel_account(
        &self,
        merchant: &MerchantId,
        id: AccountChangeId,
    ) -> Result<AccountChange, TermsError> {
        self.change(merchant, id).await?;
        self.store.apply_account_changes(self.clock.now()).await?;
        self.store.cancel_account_change(id).await?;
        let change = self.change(merchant, id).await?;
        match change.state {
            AccountChangeState::Cancelled => Ok(change),
            state => Err(TermsError::ChangeEnded { id, state }),
        }
    }

    /// The changes of a merchant's account, newest first, going on before `before`.
    ///
    /// # Errors
    /// When there is no such merchant, or the store can't be read.
    pub async fn account_changes(
        &self,
        merchant: &MerchantId,
        limit: usize,
        before: Option<AccountChangeId>,
    ) -> Result<Vec<AccountChange>, TermsError> {
        self.expect_merchant(merchant).await?;
        self.store.apply_account_changes(self.clock.now()).await?;
        let changes = self.store.account_changes(merchant, limit, before);
        Ok(changes.await?)
    }

    async fn change(
        &self,
        merchant: &MerchantId,
        id: AccountChangeId,
    ) -> Result<AccountChange, TermsError> {
        let found = self.store.account_change(id).await?;
        found
            .filter(|change| change.merchant_id == *merchant)
            .ok_or(TermsError::NoChange(id))
    }

    async fn expect_merchant(&self, merchant: &MerchantId) -> Result<Merchant, TermsError> {
        let found = self.store.merchant(merchant).await?;
        found.ok_or(TermsError::NoMerchant(*merchant))
    }
}
