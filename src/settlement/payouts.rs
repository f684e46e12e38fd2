//! Payouts: what is available is ordered to be paid by the bank, and what the bank says becomes of it.
//!
//! Every node does so. A payout is made of what its merchant had up to a position, and only if nothing moved since; it is
//! in one order, whose file is the same bytes however often it is written.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use iso8583::hex;
use tokio::sync::watch;

use super::durable_file::{DurableFileError, write_durably};
use super::looking::look_until;
use super::pain001::{
    MOST_TRANSFERS, PaymentOrder, PaymentOrderError, Transfer, end_to_end_id, to_pain001,
};
use super::payout::{NoBusinessDay, PayoutBalance, PayoutDecision, arrival_date, plan_payout};
use super::payout_account::{PayoutAccount, PayoutAccountError};
use super::payout_plan::{PayoutPlan, PayoutTerms, Schedule};
use crate::clock::Clock;
use crate::fault_points::FaultPoint;
use crate::hosts::Hosts;
use crate::hosts::calendar::Calendar;
use crate::ledger::journal::JournalError;
use crate::ledger::template::Posting;
use crate::payment::ids::{BatchId, HostId, MerchantId, OrderId, PayoutId};
use crate::payment::moment::BusinessDate;
use crate::payment::money::{Currency, MAX_AMOUNT_MINOR, Money};
use crate::payment::payout::PayoutState;
use crate::random::{NoEntropy, Random};
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::merchant_money::{PayableBalance, PaymentOrderRecord, Payout, TermsRecord};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// The most merchants that are read at once.
const MERCHANTS_AT_ONCE: usize = 100;

/// What payouts need of the other parts.
pub struct PayoutParts {
    /// What is available, and what is recorded.
    pub store: Store,
    /// The calendars.
    pub hosts: Arc<Hosts>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Names payouts and orders.
    pub random: Random,
    /// Where orders are written.
    pub folder: PathBuf,
    /// The account that pays; without it nothing is paid out.
    pub debtor: Option<PayoutAccount>,
}

/// Makes payouts, and orders them.
pub struct Payouts {
    parts: PayoutParts,
}

/// When payouts are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// On the days of each merchant's plan, one a day.
    AsPlanned,
    /// Now, whatever day it is.
    Now,
}

/// What was done for a merchant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// The merchant.
    pub merchant_id: MerchantId,
    /// In which currency.
    pub currency: Currency,
    /// What its plan says.
    pub decision: PayoutDecision,
    /// The payout that was made.
    pub payout_id: Option<PayoutId>,
    /// The batches that it pays.
    pub batch_ids: Vec<BatchId>,
}

/// Why payouts are not made, or not ordered.
#[derive(Debug, thiserror::Error)]
pub enum PayoutsError {
    /// The gateway has no profile of the host.
    #[error("there is no host {0}")]
    NoHost(HostId),
    /// The configuration names no account that pays.
    #[error("the configuration has no section settlement.payouts")]
    NoDebtor,
    /// The calendar of the host has no business day.
    #[error(transparent)]
    NoBusinessDay(#[from] NoBusinessDay),
    /// A plan that is kept does not read.
    #[error("the payout plan of {merchant_id} does not read: {fault}")]
    Plan {
        /// Whose it is.
        merchant_id: MerchantId,
        /// Why not.
        fault: serde_json::Error,
    },
    /// An account that is kept does not read.
    #[error(transparent)]
    Account(#[from] PayoutAccountError),
    /// An order can't be sent.
    #[error(transparent)]
    Order(#[from] PaymentOrderError),
    /// The file of an order.
    #[error(transparent)]
    File(#[from] DurableFileError<std::io::Error>),
    /// A journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The operating system gives no randomness.
    #[error(transparent)]
    Entropy(#[from] NoEntropy),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The program stops.
    #[error("the file of an order was not written, because the program stops")]
    Stopping,
}

impl Payouts {
    /// The payouts of these hosts.
    #[must_use]
    pub fn new(parts: PayoutParts) -> Self {
        Self { parts }
    }

    /// Makes and orders payouts as planned until `stop` is set. What fails is logged, and tried again.
    pub async fn look_until(self: Arc<Self>, stop: watch::Receiver<bool>) {
        look_until(stop, LOOK_EVERY, "Payouts could not be made", || {
            self.look()
        })
        .await;
    }

    async fn look(&self) -> Result<(), PayoutsError> {
        if self.parts.debtor.is_none() {
            return Ok(());
        }
        // An order that can't be written holds up no payout.
        let mut failed = self.send_orders().await.err();
        let hosts: Vec<HostId> = self.parts.hosts.ids().collect();
        for host_id in hosts {
            // One host holds up no other.
            failed = self.pay(host_id, When::AsPlanned).await.err().or(failed);
        }
        failed.map_or(Ok(()), Err)
    }

    /// Makes the payouts of a host, and orders them. What was done for each merchant and currency.
    ///
    /// # Errors
    /// [`PayoutsError`]; payouts that were made before it stand, and are ordered later.
    pub async fn pay(&self, host_id: HostId, when: When) -> Result<Vec<Decided>, PayoutsError> {
        let PayoutParts { store, hosts, .. } = &self.parts;
        let debtor = self.parts.debtor.as_ref().ok_or(PayoutsError::NoDebtor)?;
        let calendar = hosts.calendars().find(|(known, _)| *known == host_id);
        let (_, calendar) = calendar.ok_or(PayoutsError::NoHost(host_id))?;
        let now = self.parts.clock.now();
        store.apply_account_changes(now).await?;
        let today = calendar.today(now);
        let (mut decided, mut after) = (Vec::new(), None);
        loop {
            let merchants = store.merchants_to_pay(MERCHANTS_AT_ONCE, after).await?;
            let Some(last) = merchants.last() else {
                break;
            };
            after = Some(*last);
            for merchant in merchants {
                let on = |host| (host == host_id).then_some(today);
                for (_, currency, balance) in store.payable_balances(&merchant, on).await? {
                    let of = (merchant, host_id, currency);
                    let done = self.decide(of, &balance, (calendar, today), when);
                    // One merchant holds up no other.
                    match Box::pin(done).await {
                        Ok(done) => decided.extend(done),
                        Err(error @ PayoutsError::Store(_)) => return Err(error),
                        Err(error) => {
                            let error = &error as &dyn std::error::Error;
                            tracing::error!(error, merchant.id = %merchant, "A merchant can't be paid out");
                        }
                    }
                }
            }
        }
        self.order(host_id, debtor).await?;
        self.send_orders().await?;
        Ok(decided)
    }

    /// Decides whether a merchant is paid, and makes the payout. None where it was paid today already.
    async fn decide(
        &self,
        (merchant_id, host_id, currency): (MerchantId, HostId, Currency),
        balance: &PayableBalance,
        (calendar, today): (&Calendar, BusinessDate),
        when: When,
    ) -> Result<Option<Decided>, PayoutsError> {
        if when == When::AsPlanned && balance.is_paid_out {
            return Ok(None);
        }
        let store = &self.parts.store;
        let Some(terms) = store.merchant_terms(&merchant_id).await? else {
            return Ok(None);
        };
        let Some((plan, account)) = plan_and_account(&terms)? else {
            return Ok(None);
        };
        let owed = PayoutBalance {
            available_minor: balance.available_minor,
            reserved_before_minor: balance.came_back_minor,
            reserve_release_minor: balance.reserve_due_minor,
        };
        let decision = match when {
            When::AsPlanned => {
                plan_payout(&owed, &plan, today, |day| calendar.is_business_day(day))
            }
            When::Now => plan_payout(&owed, &every_day(&plan), today, |_| true),
        };
        let mut decided = Decided {
            merchant_id,
            currency,
            decision,
            payout_id: None,
            batch_ids: Vec::new(),
        };
        let PayoutDecision::Pay {
            amount_minor,
            reserve_minor,
        } = decision
        else {
            return Ok(Some(decided));
        };
        // What is more than an amount can be is paid with the next payout.
        let paid_minor = amount_minor.min(MAX_AMOUNT_MINOR);
        let Ok(amount) = Money::new(paid_minor, currency) else {
            return Ok(Some(decided));
        };
        let now = self.parts.clock.now();
        let id = PayoutId::from_parts(now, self.parts.random.bytes_for_name()?);
        let delay = plan.terms().delay_days;
        let payout = Payout {
            id,
            merchant_id,
            host_id,
            amount,
            reserve_minor,
            reserve_until: (reserve_minor > 0).then(|| today.days_after(plan.terms().reserve_days)),
            reserve_released_minor: balance.reserve_due_minor,
            state: PayoutState::Created,
            made_on: today,
            arrival_date: arrival_date(today, delay, |day| calendar.is_business_day(day))?,
            account: account.to_text(),
            destination: account.masked(),
            order_id: None,
            bank_reference: None,
            return_reason: None,
            created_at: now,
            sent_at: None,
            ended_at: None,
        };
        let posting = Posting {
            source: id.to_string(),
            merchant_id,
            host_id,
            at: now,
        };
        let released_minor = balance.reserve_due_minor;
        let journal = posting.payout(currency, paid_minor, reserve_minor, released_minor)?;
        // Where something has moved meanwhile, the next look decides again.
        if store
            .make_payout(&payout, &journal, balance.position)
            .await?
        {
            FaultPoint::PayoutMade.pass();
            tracing::info!(
                payout.id = %id, merchant.id = %merchant_id, host.id = %host_id, amount_minor = paid_minor,
                %currency, reserve_minor, "A payout is made"
            );
            decided.payout_id = Some(id);
            let paid = store.batches_paid_by(&[id]).await?.remove(&id);
            decided.batch_ids = paid.unwrap_or_default();
        }
        Ok(Some(decided))
    }

    /// Puts the payouts of a host into an order.
    async fn order(&self, host_id: HostId, debtor: &PayoutAccount) -> Result<(), PayoutsError> {
        let now = self.parts.clock.now();
        let id = OrderId::from_parts(now, self.parts.random.bytes_for_name()?);
        let order = PaymentOrderRecord {
            id,
            host_id,
            debtor: debtor.to_text(),
            file_name: format!("{host_id}-{}.pain.001.xml", end_to_end_id(&id.to_string())),
            created_at: now,
        };
        Ok(self.parts.store.make_order(&order, MOST_TRANSFERS).await?)
    }

    /// Writes the files of the orders that are not known to be there: these payouts are sent.
    ///
    /// # Errors
    /// [`PayoutsError`]; one order holds up no other.
    pub async fn send_orders(&self) -> Result<(), PayoutsError> {
        let mut failed = None;
        for order in self.parts.store.unsent_orders().await? {
            failed = self.send(&order).await.err().or(failed);
        }
        failed.map_or(Ok(()), Err)
    }

    pub(super) async fn send(&self, order: &PaymentOrderRecord) -> Result<(), PayoutsError> {
        FaultPoint::OrderMade.pass();
        let PayoutParts { store, folder, .. } = &self.parts;
        let payouts = store.payouts_of_order(order.id).await?;
        let message = payment_order(order, &payouts)?;
        let (folder, name) = (folder.clone(), order.file_name.clone());
        let write = move || -> Result<String, PayoutsError> {
            let bytes = to_pain001(&message)?;
            let written = write_durably(&folder, &name, |out| out.write_all(&bytes))?;
            Ok(hex::encode_lower(&written.sha256))
        };
        let written = tokio::task::spawn_blocking(write).await;
        let sha256 = match written.map_err(|_| PayoutsError::Stopping)? {
            // Another gateway writes the same file at this moment, and records it.
            Err(PayoutsError::File(DurableFileError::Busy { .. })) => return Ok(()),
            written => written?,
        };
        let now = self.parts.clock.now();
        store.send_order(order.id, &sha256, now).await?;
        FaultPoint::FileRecorded.pass();
        tracing::info!(
            host.id = %order.host_id, file = order.file_name, payouts = payouts.len(), sha256,
            "A payment order is written"
        );
        Ok(())
    }
}

/// The order of these payouts: the same however often it is made.
fn payment_order(
    order: &PaymentOrderRecord,
    payouts: &[Payout],
) -> Result<PaymentOrder, PayoutsError> {
    let debtor = PayoutAccount::from_text(&order.debtor)?;
    let transfer = |payout: &Payout| -> Result<Transfer, PayoutsError> {
        Ok(Transfer {
            payout_id: payout.id.to_string(),
            amount: payout.amount,
            execution_date: payout.arrival_date,
            creditor: PayoutAccount::from_text(&payout.account)?.party(),
            remittance: Some(format!("Payout of {}", payout.made_on)),
        })
    };
    Ok(PaymentOrder {
        message_id: end_to_end_id(&order.id.to_string()),
        created_at: order.created_at,
        initiating_party: debtor.name().to_owned(),
        debtor: debtor.party(),
        transfers: payouts.iter().map(transfer).collect::<Result<_, _>>()?,
    })
}

fn plan_and_account(
    terms: &TermsRecord,
) -> Result<Option<(PayoutPlan, PayoutAccount)>, PayoutsError> {
    let (Some(plan), Some(account)) = (&terms.payout_plan, &terms.account) else {
        return Ok(None);
    };
    let plan = serde_json::from_str(plan).map_err(|fault| PayoutsError::Plan {
        merchant_id: terms.merchant_id,
        fault,
    })?;
    let account = PayoutAccount::from_text(account)?.made_out_to(&terms.legal_name)?;
    Ok(Some((plan, account)))
}

/// The same plan with a payout every day.
fn every_day(plan: &PayoutPlan) -> PayoutPlan {
    let terms = PayoutTerms {
        schedule: Schedule::Daily,
        ..*plan.terms()
    };
    PayoutPlan::new(terms).unwrap_or(*plan)
}
