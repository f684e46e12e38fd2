//! After a day is closed, its totals are agreed with the host.
//!
//! Every node does so. What is sent is recorded before, under numbers that stay the same; of two nodes that take the same
//! turn one is first. A host that does not answer is sent the same totals as an advice, until it does.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;

use super::looking::look_until;
use crate::clock::Clock;
use crate::fault_points::FaultPoint;
use crate::hosts::Hosts;
use crate::hosts::message::totals::{
    self as wire, Said, TotalsAnswer, TotalsMessage, TotalsProfile,
};
use crate::hosts::totals::TotalsExchange;
use crate::payment::difference::Difference;
use crate::payment::ids::HostId;
use crate::payment::moment::{BusinessDate, NumberDate, UnixMillis};
use crate::payment::reference::Stan;
use crate::payment::settlement::BusinessDay;
use crate::payment::settlement_import::{SettlementImport, missing_cycles};
use crate::payment::totals::{OutOfBalance, Totals, TotalsState, TotalsStep, UploadNumbers};
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::numbers::Numbers;
use crate::store::records::settlement::{
    DifferenceCount, ReportedFees, TotalsCursor, UploadedItem,
};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The most totals that are sent at once.
const TOTALS_AT_ONCE: usize = 16;
/// The most items that are uploaded between two records of how far it has come.
const ITEMS_AT_ONCE: usize = 16;

/// Agrees totals.
pub struct Agreement {
    store: Store,
    hosts: Arc<Hosts>,
    numbers: Numbers,
    clock: Arc<dyn Clock>,
}

/// What went on of what was stopped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resubmitted {
    /// How many totals.
    pub totals: u64,
    /// How many differences of the day's report were accepted.
    pub differences: u64,
    /// How many clearing files of the day count as they are.
    pub files: u64,
}

/// What the report of a day has said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DayReport {
    /// The reports of the day, by their cycles, each with what it has otherwise: one, unless the bank sends several.
    pub reports: Vec<(SettlementImport, Vec<DifferenceCount>)>,
    /// The cycles that have not come, and of which a later one has.
    pub missing_cycles: Vec<i64>,
    /// What all of them say of items, by currency.
    pub fees: Vec<ReportedFees>,
}

/// What an operator wants of totals that are stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resubmit {
    /// They are sent once more.
    Again,
    /// The batches are settled with our totals, whatever the host says.
    Accept,
}

/// Why there are no such totals.
#[derive(Debug, thiserror::Error)]
pub enum TotalsError {
    /// The gateway has no profile of the host.
    #[error("there is no host {0}")]
    NoHost(HostId),
    /// There is no such day, or it is open.
    #[error("the day {date} of host {host_id} is not closed")]
    NotClosed {
        /// The host.
        host_id: HostId,
        /// The date.
        date: BusinessDate,
    },
    /// The day has ended just now, and its batches are being made.
    #[error("the day {date} of host {host_id} is closing")]
    Closing {
        /// The host.
        host_id: HostId,
        /// The date.
        date: BusinessDate,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Agreement {
    /// The agreement of these hosts' days.
    #[must_use]
    pub fn new(store: Store, hosts: Arc<Hosts>, numbers: Numbers, clock: Arc<dyn Clock>) -> Self {
        Self {
            store,
            hosts,
            numbers,
            clock,
        }
    }

    /// Sends totals until `stop` is set. What fails is logged, and tried again.
    pub async fn look_until(self: Arc<Self>, stop: watch::Receiver<bool>) {
        look_until(stop, LOOK_EVERY, "Totals could not be sent", || {
            self.send_due()
        })
        .await;
    }

    /// Sends the totals of each host whose turn it is. One host holds up no other.
    async fn send_due(&self) -> Result<(), StoreError> {
        // Without a profile, or a line, the turn stays.
        let up = self.hosts.ids().filter(|host| self.hosts.is_up(*host));
        let told = up.filter_map(|host| Some((host, self.hosts.totals(host)?)));
        let sending = told.map(|(host, profile)| async move {
            let now = self.clock.now();
            let due = self.store.due_totals(&host, now, TOTALS_AT_ONCE).await?;
            let sent = due.into_iter().map(|totals| self.go_on(totals, profile));
            let sent = join_all(sent).await;
            sent.into_iter().collect::<Result<(), StoreError>>()
        });
        join_all(sending).await.into_iter().collect()
    }

    /// The totals of a closed day, by merchant, currency and terminal, going on after `after`.
    ///
    /// # Errors
    /// [`TotalsError`].
    pub async fn totals(
        &self,
        host_id: HostId,
        date: BusinessDate,
        limit: usize,
        after: Option<TotalsCursor>,
    ) -> Result<Vec<Totals>, TotalsError> {
        let day = self.closed_day(host_id, date).await?;
        Ok(self.store.totals_of_day(&day, limit, after).await?)
    }

    /// What the report of a closed day and the answers of its host have otherwise, each with its name, going on after
    /// `after`.
    ///
    /// # Errors
    /// [`TotalsError`].
    pub async fn differences(
        &self,
        host_id: HostId,
        date: BusinessDate,
        limit: usize,
        after: &str,
    ) -> Result<Vec<(String, Difference)>, TotalsError> {
        self.closed_day(host_id, date).await?;
        let found = self.store.differences_of_day(&host_id, date, limit, after);
        Ok(found.await?)
    }

    /// What the report of a closed day has said; none where none was taken in.
    ///
    /// # Errors
    /// [`TotalsError`].
    pub async fn report(
        &self,
        host_id: HostId,
        date: BusinessDate,
    ) -> Result<Option<DayReport>, TotalsError> {
        self.closed_day(host_id, date).await?;
        let imports = self.store.reports_of_day(&host_id, date).await?;
        if imports.is_empty() {
            return Ok(None);
        }
        let missing_cycles = missing_cycles(&imports);
        let (mut reports, mut fees) = (Vec::with_capacity(imports.len()), Vec::new());
        for import in imports {
            for its in self.store.reported_fees(import.id).await? {
                add_fees(&mut fees, its);
            }
            reports.push((import.clone(), self.store.difference_counts(&import).await?));
        }
        Ok(Some(DayReport {
            reports,
            missing_cycles,
            fees,
        }))
    }

    /// Goes on with the totals of a closed day that are stopped, or whose items are being uploaded. To accept them is to
    /// accept what the day's report has otherwise, too, and to let its clearing file count as it is; and it takes those
    /// that the host has not answered twice.
    ///
    /// # Errors
    /// [`TotalsError`].
    pub async fn resubmit(
        &self,
        host_id: HostId,
        date: BusinessDate,
        how: Resubmit,
    ) -> Result<Resubmitted, TotalsError> {
        let day = self.closed_day(host_id, date).await?;
        let step = match how {
            Resubmit::Again => TotalsStep::Again,
            Resubmit::Accept => TotalsStep::Accepted,
        };
        let mut taken = Resubmitted::default();
        for totals in self.store.open_totals(&day).await? {
            let now = self.clock.now();
            let taken_step = self.store.step_totals(&totals, &step, now).await?;
            taken.totals += u64::from(taken_step.is_some());
        }
        if how == Resubmit::Accept {
            let now = self.clock.now();
            let accepted = self.store.accept_differences(&host_id, date, now);
            taken.differences = accepted.await?;
            self.store.tell_discrepancies().await;
            // Who accepts totals or differences has not said that a file needs no answer.
            let nothing_else = taken.totals == 0 && taken.differences == 0;
            let files = self.store.accept_files(&host_id, date, nothing_else, now);
            taken.files = files.await?;
        }
        Ok(taken)
    }

    async fn closed_day(
        &self,
        host_id: HostId,
        date: BusinessDate,
    ) -> Result<BusinessDay, TotalsError> {
        let day = self.store.business_day(&host_id, date).await?;
        match day.filter(|day| day.cut_at.is_some()) {
            Some(day) if day.is_closing() => Err(TotalsError::Closing { host_id, date }),
            Some(day) => Ok(day),
            None if self.hosts.ids().any(|known| known == host_id) => {
                Err(TotalsError::NotClosed { host_id, date })
            }
            None => Err(TotalsError::NoHost(host_id)),
        }
    }

    /// Sends totals, or the items behind them, and records what comes of it.
    async fn go_on(&self, totals: Totals, profile: &TotalsProfile) -> Result<(), StoreError> {
        match totals.state {
            TotalsState::Uploading => self.upload(totals, profile).await,
            _ => self.send(totals, profile).await,
        }
    }

    async fn number(&self, host_id: HostId, now: UnixMillis) -> Result<Stan, StoreError> {
        let number = self.numbers.next(&host_id, NumberDate::of(now)).await?;
        Ok(number.stan())
    }

    /// After this, unless the host answers, it is the totals' turn again.
    fn next_turn(&self, totals: &Totals, profile: &TotalsProfile, now: UnixMillis) -> UnixMillis {
        let doubled = 2_u32.saturating_pow(totals.sent.min(16));
        let wait = profile.first.saturating_mul(doubled).min(profile.longest);
        now.plus(wait.saturating_add(self.hosts.reply_timeout(totals.key.host_id)))
    }

    async fn send(&self, totals: Totals, profile: &TotalsProfile) -> Result<(), StoreError> {
        let now = self.clock.now();
        let stan = match totals.stan {
            Some(stan) => stan,
            None => self.number(totals.key.host_id, now).await?,
        };
        let next_at = self.next_turn(&totals, profile, now);
        let step = TotalsStep::Sent { stan, next_at };
        let sent_before = totals.sent;
        let Some(totals) = self.store.step_totals(&totals, &step, now).await? else {
            return Ok(());
        };
        FaultPoint::TotalsIntent.pass();
        let message = TotalsMessage {
            says: Said::Totals(totals.ours),
            ..message(&totals, stan, sent_before)
        };
        let exchange = self.hosts.send_totals(totals.key.host_id, &message).await;
        FaultPoint::Totals.pass();
        let answer = match exchange {
            Ok(TotalsExchange::Answered(answer)) => answer,
            // It is sent again.
            Ok(TotalsExchange::NotAnswered | TotalsExchange::NotSent) => return Ok(()),
            Err(error) => {
                log_not_buildable(&totals, &error);
                TotalsAnswer::Refused {
                    response_code: None,
                }
            }
        };
        let Some(step) = step_of(&answer, profile.out_of_balance, totals.uploaded) else {
            return Ok(());
        };
        if self
            .store
            .step_totals(&totals, &step, self.clock.now())
            .await?
            .is_some()
        {
            FaultPoint::TotalsRecorded.pass();
            log_answer(&totals, &answer, &step);
        }
        Ok(())
    }

    /// Uploads the next items of totals that are out of balance.
    async fn upload(&self, totals: Totals, profile: &TotalsProfile) -> Result<(), StoreError> {
        let now = self.clock.now();
        let items = self
            .store
            .items_to_upload(&totals.key, ITEMS_AT_ONCE, totals.uploaded_to);
        let items = items.await?;
        let Some(last) = items.last().map(|item| item.subject_id) else {
            return self
                .store
                .step_totals(&totals, &TotalsStep::Uploaded, now)
                .await
                .map(drop);
        };
        // Nobody else uploads them meanwhile; and what is sent again is the same to the host.
        let numbers = match &totals.upload {
            Some(numbers) => numbers.clone(),
            None => self.upload_numbers(totals.key.host_id, now).await?,
        };
        let step = TotalsStep::Uploading {
            next_at: self.next_turn(&totals, profile, now),
            numbers: numbers.clone(),
        };
        let sent_before = u32::from(totals.upload.is_some());
        let Some(totals) = self.store.step_totals(&totals, &step, now).await? else {
            return Ok(());
        };
        FaultPoint::UploadIntent.pass();
        let at = numbers.transmitted_at;
        let sent = items.iter().zip(&numbers.stans).map(|(item, stan)| {
            let stan = Stan::try_from(*stan).ok();
            self.upload_item(&totals, item, (stan, at), sent_before)
        });
        let all = join_all(sent).await.into_iter().all(|taken| taken);
        FaultPoint::Upload.pass();
        if all {
            let now = self.clock.now();
            let step = TotalsStep::UploadedTo { subject: last };
            self.store.step_totals(&totals, &step, now).await?;
            FaultPoint::UploadRecorded.pass();
        }
        Ok(())
    }

    async fn upload_numbers(
        &self,
        host_id: HostId,
        now: UnixMillis,
    ) -> Result<UploadNumbers, StoreError> {
        let mut stans = Vec::with_capacity(ITEMS_AT_ONCE);
        for _ in 0..ITEMS_AT_ONCE {
            stans.push(u32::from(self.number(host_id, now).await?));
        }
        Ok(UploadNumbers {
            transmitted_at: now,
            stans,
        })
    }

    /// Uploads an item. Whether the host has taken it.
    async fn upload_item(
        &self,
        totals: &Totals,
        item: &UploadedItem,
        (stan, transmitted_at): (Option<Stan>, UnixMillis),
        sent_before: u32,
    ) -> bool {
        let (host_id, Some(stan)) = (totals.key.host_id, stan) else {
            return false;
        };
        let message = TotalsMessage {
            says: Said::Item {
                kind: item.kind,
                amount_minor: item.amount_minor,
                rrn: &item.rrn,
                approval_code: &item.approval_code,
            },
            acceptor_id: Some(&item.acceptor_id),
            terminal_id: Some(&item.terminal_id),
            transmitted_at,
            ..message(totals, stan, sent_before)
        };
        match self.hosts.send_totals(host_id, &message).await {
            Ok(TotalsExchange::Answered(TotalsAnswer::InBalance)) => return true,
            Ok(exchange) => tracing::warn!(
                host.id = %host_id, business_date = %totals.key.business_date, rrn = %item.rrn, ?exchange,
                "An item could not be uploaded; it is sent again"
            ),
            Err(error) => log_not_buildable(totals, &error),
        }
        false
    }
}

/// What a message of these totals has, whatever it says.
fn message(totals: &Totals, stan: Stan, sent_before: u32) -> TotalsMessage<'_> {
    fn some(text: &str) -> Option<&str> {
        Some(text).filter(|text| !text.is_empty())
    }
    TotalsMessage {
        business_date: totals.key.business_date,
        currency: totals.key.currency,
        acceptor_id: some(&totals.acceptor_id),
        terminal_id: some(&totals.key.terminal_id),
        stan,
        transmitted_at: totals.transmitted_at.unwrap_or(UnixMillis::new(0)),
        sent_before,
        says: Said::Totals(totals.ours),
    }
}

/// What an answer means; none where the totals are sent again.
fn step_of(answer: &TotalsAnswer, policy: OutOfBalance, uploaded: bool) -> Option<TotalsStep> {
    let step = |state| TotalsStep::Answered {
        state,
        theirs: None,
        response_code: None,
    };
    Some(match *answer {
        TotalsAnswer::Again => return None,
        TotalsAnswer::InBalance => step(TotalsState::InBalance),
        TotalsAnswer::OutOfBalance { theirs } => TotalsStep::Answered {
            state: match policy {
                OutOfBalance::Fund => TotalsState::OutOfBalance,
                OutOfBalance::Upload if !uploaded => TotalsState::Uploading,
                OutOfBalance::Upload | OutOfBalance::Stop => TotalsState::Stopped,
            },
            theirs,
            response_code: None,
        },
        TotalsAnswer::Refused { response_code } => TotalsStep::Answered {
            state: TotalsState::Stopped,
            theirs: None,
            response_code,
        },
    })
}

fn log_not_buildable(totals: &Totals, error: &wire::TotalsError) {
    let key = &totals.key;
    tracing::error!(
        host.id = %key.host_id, business_date = %key.business_date, %error,
        "A message of settlement can't be built"
    );
}

/// An alarm, where they differ or can't be compared.
fn log_answer(totals: &Totals, answer: &TotalsAnswer, step: &TotalsStep) {
    let key = &totals.key;
    match answer {
        TotalsAnswer::InBalance => tracing::info!(
            host.id = %key.host_id, business_date = %key.business_date, currency = %key.currency,
            merchant.id = key.merchant_id.map(tracing::field::display),
            "Totals are agreed"
        ),
        _ => tracing::error!(
            host.id = %key.host_id, business_date = %key.business_date, currency = %key.currency,
            merchant.id = key.merchant_id.map(tracing::field::display),
            ours = ?totals.ours, ?answer, ?step,
            "Totals are not agreed"
        ),
    }
}

/// Adds what one report says of items of a currency to what others say of it.
fn add_fees(fees: &mut Vec<ReportedFees>, its: ReportedFees) {
    let Some(all) = fees.iter_mut().find(|all| all.currency == its.currency) else {
        fees.push(its);
        return;
    };
    for (sum, part) in [
        (&mut all.items, its.items),
        (&mut all.rejected, its.rejected),
        (&mut all.interchange_minor, its.interchange_minor),
        (&mut all.scheme_fee_minor, its.scheme_fee_minor),
        (&mut all.commission_minor, its.commission_minor),
    ] {
        *sum = sum.saturating_add(part);
    }
}
