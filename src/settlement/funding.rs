//! Once a closed day is agreed and its fees are known, its batches are funded; then the day is settled.
//!
//! Every node does so; each batch is funded by one of them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::clearing_files::ClearingFiles;
use super::host_files::HostFiles;
use super::looking::look_until;
use crate::clock::Clock;
use crate::fault_points::FaultPoint;
use crate::hosts::Hosts;
use crate::ledger::account::FeeKind;
use crate::ledger::journal::{Journal, JournalError};
use crate::ledger::template::Posting;
use crate::payment::ids::HostId;
use crate::payment::moment::UnixMillis;
use crate::payment::settlement::{BatchState, BusinessDay, ItemFees, SettlementBatch};
use crate::payment::settlement_import::ReportRule;
use crate::payment::totals::OutOfBalance;
use crate::store::Store;
use crate::store::error::StoreError;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The most batches of a day that are funded before the next look.
const BATCHES_AT_ONCE: usize = 100;

/// Funds batches.
pub struct Funding {
    store: Store,
    hosts: Arc<Hosts>,
    files: Arc<HostFiles>,
    clearing: ClearingFiles,
    clock: Arc<dyn Clock>,
}

/// Why a day could not be settled.
#[derive(Debug, thiserror::Error)]
enum FundingError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Funding {
    /// The funding of these hosts' days.
    #[must_use]
    pub const fn new(
        store: Store,
        hosts: Arc<Hosts>,
        files: Arc<HostFiles>,
        clearing: ClearingFiles,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            store,
            hosts,
            files,
            clearing,
            clock,
        }
    }

    /// Funds batches until `stop` is set. What fails is logged, and tried again.
    pub async fn look_until(self, stop: watch::Receiver<bool>) {
        look_until(stop, LOOK_EVERY, "Days could not be settled", || {
            self.settle_days()
        })
        .await;
    }

    /// Funds the batches of closed days. One day holds up no other.
    async fn settle_days(&self) -> Result<(), FundingError> {
        let mut failed = None;
        for day in self.store.days_not_settled().await? {
            failed = self.settle_day(&day).await.err().or(failed);
        }
        failed.map_or(Ok(()), Err)
    }

    async fn settle_day(&self, day: &BusinessDay) -> Result<(), FundingError> {
        let submits = self.hosts.totals(day.host_id).is_none();
        if let Err(error) = self.clearing.ensure(day, submits).await {
            if error.is_busy() {
                return Ok(());
            }
            let error = &error as &dyn std::error::Error;
            tracing::error!(
                error, host.id = %day.host_id, business_date = %day.date,
                "A clearing file could not be written; its day is not settled without it"
            );
            return Ok(());
        }
        self.fund(day).await?;
        if self.store.settle_day(day, self.clock.now()).await? {
            FaultPoint::DaySettled.pass();
            tracing::info!(host.id = %day.host_id, business_date = %day.date, "A business day is settled");
        }
        Ok(())
    }

    /// Funds the batches of a day whose time has come.
    async fn fund(&self, day: &BusinessDay) -> Result<(), FundingError> {
        let reports = report_rule(&self.hosts, &self.files, day.host_id);
        let fundable = self.store.batches_to_fund(day, BATCHES_AT_ONCE, reports);
        for (batch, state) in fundable.await? {
            let now = self.clock.now();
            let journal = settled_journal(&batch, now)?;
            if self
                .store
                .fund_batch(&batch, state, journal.as_ref(), now)
                .await?
            {
                FaultPoint::Funded.pass();
                log_funded(&batch, state);
            }
        }
        Ok(())
    }
}

/// The journal of the funding of a batch: its fees are taken of it. None where nothing moves.
pub(super) fn settled_journal(
    batch: &SettlementBatch,
    at: UnixMillis,
) -> Result<Option<Journal>, JournalError> {
    let key = &batch.key;
    let posting = Posting {
        source: batch.id.to_string(),
        merchant_id: key.merchant_id,
        host_id: key.host_id,
        at,
    };
    let fees = fee_lines(&batch.fees.unwrap_or_default());
    let (net, charged_back) = (batch.totals.net_minor(), batch.charged_back.minor);
    posting.settled(key.currency, net, charged_back, &fees)
}

/// The lines of a batch's fees.
fn fee_lines(fees: &ItemFees) -> [(FeeKind, i64); 4] {
    [
        (FeeKind::Interchange, fees.interchange),
        (FeeKind::Scheme, fees.scheme),
        (FeeKind::Markup, fees.markup),
        (FeeKind::Tax, fees.tax),
    ]
}

fn log_funded(batch: &SettlementBatch, state: BatchState) {
    tracing::info!(
        batch.id = %batch.id, merchant.id = %batch.key.merchant_id, state = state.name(),
        net_minor = batch.net_minor(), currency = %batch.key.currency,
        "A batch is funded"
    );
}

/// What differences mean at a host; none where it sends no reports. It is what its profile says of totals that differ.
#[must_use]
pub fn report_rule(hosts: &Hosts, files: &HostFiles, host_id: HostId) -> Option<ReportRule> {
    files.report(host_id)?;
    let totals = hosts.totals(host_id);
    Some(match totals.map(|totals| totals.out_of_balance) {
        Some(OutOfBalance::Fund) => ReportRule::DifferencesPass,
        Some(OutOfBalance::Upload | OutOfBalance::Stop) | None => ReportRule::DifferencesHold,
    })
}
