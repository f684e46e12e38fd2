//! Decides an authorization: record, send, record.
//!
//! The flow runs in a task of its own, so that a caller who hangs up, or whose deadline passes, never
//! cuts a payment in half: the call only waits for it.
//!
//! - [`command`]: what it is asked, what it answers.
//! - [`decision`]: what the bank's answer means for the records.
//! - [`aftermath`]: late responses, and messages that match nothing.
//! - [`recording`]: records what came of it, and only then lets it be told.
//! - [`under_way`]: what this process is working on; [`recovery`]: what a stopped one left.

pub mod aftermath;
pub mod command;
pub mod decision;
pub mod recording;
pub mod recovery;
pub mod under_way;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::card::envelope::{Binding, Opener};
use crate::card::pan::Card;
use crate::card::test_methods::TestPaymentMethods;
use crate::clock::{self, Clock};
use crate::hosts::Hosts;
use crate::hosts::exchange::Exchange;
use crate::hosts::message::contents::CardFields;
use crate::hosts::routing::Route;
use crate::payment::decline::FailureReason;
use crate::payment::ids::{NodeId, OperationId, PaymentId};
use crate::payment::merchant::Merchant;
use crate::payment::moment::{BusinessDate, UnixMillis};
use crate::payment::operation::{OperationKind, OperationState};
use crate::payment::record::{Operation, Payment};
use crate::payment::state::PaymentState;
use crate::store::Store;
use crate::store::error::StoreError;
use crate::store::numbers::Numbers;
use crate::store::records::{
    AuthorizationIntent, EnvelopeUse, IdempotencyKey, IntentOutcome, RecordedAnswer,
};

use command::{AuthorizeCommand, AuthorizeError, Authorized, PaymentMethod};
use under_way::UnderWay;

/// The name under which request identifiers of this flow are kept.
pub const METHOD: &str = "AuthorizePayment";

/// After this, counted from the call's arrival, no byte of it is sent, and the bank's answer is late.
const BANK_WITHIN: Duration = Duration::from_millis(4_300);
/// After this the caller is answered, whatever became of the payment: every call ends within five
/// seconds.
const ANSWER_WITHIN: Duration = Duration::from_millis(4_800);
/// Everything that authorizations need, wired once.
pub struct Authorizations {
    /// Where intents and outcomes are kept.
    pub store: Store,
    /// Where STANs and RRNs come from.
    pub numbers: Numbers,
    /// The bank links.
    pub hosts: Arc<Hosts>,
    /// Opens sealed cards.
    pub opener: Arc<Opener>,
    /// The test payment methods, if this is a test environment.
    pub test_payment_methods: TestPaymentMethods,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// The name of this process, in the operations it records.
    pub node_id: NodeId,
    /// The payments under way.
    pub under_way: TaskTracker,
    /// The most of them. A caller who gave up makes no room: its payment goes on.
    pub most_under_way: usize,
    /// Set once the gateway stops taking new payments.
    pub draining: AtomicBool,
    /// The operations of the payments under way: no recovery touches them.
    pub operations_under_way: UnderWay,
}

/// A card that may be used for this payment, and what keeps a sealed one from being used twice.
struct UsableCard {
    card: Card,
    envelope: Option<EnvelopeUse>,
}

impl Authorizations {
    /// Authorizes, in a task of its own, and waits for it.
    ///
    /// # Errors
    /// When there is no payment to tell of; each variant says whether something may have been sent.
    pub async fn authorize(
        self: &Arc<Self>,
        command: AuthorizeCommand,
    ) -> Result<Authorized, AuthorizeError> {
        // The token comes first, so that a drain either refuses this payment or waits for its task.
        let under_way = self.under_way.token();
        // Neither may be seen before the other: `drain` does the same the other way round.
        fence(Ordering::SeqCst);
        if self.draining.load(Ordering::Relaxed) {
            return Err(AuthorizeError::Draining);
        }
        if self.under_way.len() > self.most_under_way {
            return Err(AuthorizeError::Overloaded);
        }
        let payment_id = PaymentId::from_parts(self.clock.now(), self.random()?);
        let answer_by = command.received_at + ANSWER_WITHIN;
        let flow = Arc::clone(self);
        // Boxed, because starting a task moves it several times, and this one is large.
        let running = tokio::spawn(Box::pin(async move {
            let _under_way = under_way;
            flow.run(payment_id, command).await
        }));
        match tokio::time::timeout_at(answer_by, running).await {
            Ok(Ok(answer)) => answer,
            // A panic in the flow, or no time left: the intent may be recorded, so recovery or the
            // flow itself gives the payment its outcome.
            Ok(Err(_)) | Err(_) => Err(AuthorizeError::OutcomeNotRecorded { payment_id }),
        }
    }

    /// Takes no new payments, and waits until those under way are recorded.
    pub async fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        self.under_way.close();
        self.under_way.wait().await;
    }

    fn random(&self) -> Result<[u8; 10], AuthorizeError> {
        clock::random_bytes_for_name().map_err(|source| AuthorizeError::NotRecorded {
            source: Box::new(source),
        })
    }

    async fn run(
        &self,
        payment_id: PaymentId,
        command: AuthorizeCommand,
    ) -> Result<Authorized, AuthorizeError> {
        let now = self.clock.now();
        let usable = match self.usable_card(&command, now) {
            Ok(usable) => usable,
            // A repetition is answered as before, even when its envelope has expired since.
            Err(refused) => return self.answered_before(&command).await?.ok_or(refused),
        };
        let route = match self.route(&command.merchant) {
            Ok(route) => route,
            // What was answered before does not depend on what the operator has changed since.
            Err(refused) => return self.answered_before(&command).await?.ok_or(refused),
        };
        let (payment, operation) = self
            .intend(payment_id, &command, &usable.card, &route, now)
            .await?;
        // Where numbers had to be waited for, whoever asked has been answered by now.
        if Instant::now() >= command.received_at + BANK_WITHIN {
            let reason = "numbers for the payment came too late".to_owned();
            return Err(not_recorded(StoreError::Unavailable { reason }));
        }
        let intent = AuthorizationIntent {
            payment,
            operation,
            idempotency: idempotency_key(&command),
            envelope: usable.envelope,
        };
        let _mark = self.operations_under_way.mark(intent.operation.id);
        let recorded = self.store.record_intent(&intent).await;
        let AuthorizationIntent {
            payment, operation, ..
        } = intent;
        match recorded {
            Ok(IntentOutcome::Recorded) => {}
            Ok(IntentOutcome::Existing(recorded)) => return repeated(&command, *recorded),
            Ok(IntentOutcome::EnvelopeReplayed) => return Err(AuthorizeError::SealedCardRefused),
            Err(StoreError::OutcomeUnknown { reason }) => {
                return self.not_sent_for_sure((payment, operation), &reason).await;
            }
            Err(error) => return Err(not_recorded(error)),
        }
        let asked_at = Instant::now();
        // The wall clock too, by which another node takes this payment for left: the other clock stands
        // still while a machine sleeps.
        let exchange = if self.clock.now() < operation.deadline {
            self.exchange(&command, &operation, usable.card).await
        } else {
            Exchange::NotSent(FailureReason::DeadlineBeforeSend)
        };
        let waited = asked_at.elapsed();
        let decided = self.decided((payment, operation), exchange, route.hold_days)?;
        let bank_us = match (decided.operation.bank_us, &decided.reversal) {
            (Some(bank_us), _) => u64::try_from(bank_us).unwrap_or(0),
            (None, Some(_)) => micros(waited),
            (None, None) => 0,
        };
        let payment = self.conclude(decided).await?;
        Ok(Authorized { payment, bank_us })
    }

    fn usable_card(
        &self,
        command: &AuthorizeCommand,
        now: UnixMillis,
    ) -> Result<UsableCard, AuthorizeError> {
        match &command.payment_method {
            PaymentMethod::SealedCard(sealed) => {
                let binding = Binding {
                    merchant_id: &command.merchant.id,
                    merchant_reference: &command.merchant_reference,
                    amount: command.amount,
                };
                let opened = self
                    .opener
                    .open(sealed, &binding, now)
                    .map_err(|_| AuthorizeError::SealedCardRefused)?;
                let envelope = EnvelopeUse {
                    jti: opened.jti,
                    expires_at: opened.expires_at,
                };
                Ok(UsableCard {
                    card: opened.card,
                    envelope: Some(envelope),
                })
            }
            PaymentMethod::TestToken(token) => self
                .test_payment_methods
                .card(token)
                .map(|card| UsableCard {
                    card,
                    envelope: None,
                })
                .ok_or_else(|| AuthorizeError::UnknownPaymentMethod {
                    token: token.clone(),
                }),
        }
    }

    fn route(&self, merchant: &Merchant) -> Result<Route, AuthorizeError> {
        if !merchant.active {
            let merchant_id = merchant.id.to_string();
            return Err(AuthorizeError::MerchantInactive { merchant_id });
        }
        let no_route = |_| AuthorizeError::NoRoute {
            merchant_id: merchant.id,
            host_id: merchant.acquirer,
        };
        self.hosts.route(merchant).map_err(no_route)
    }

    /// The records of a payment that is about to be sent.
    async fn intend(
        &self,
        payment_id: PaymentId,
        command: &AuthorizeCommand,
        card: &Card,
        route: &Route,
        now: UnixMillis,
    ) -> Result<(Box<Payment>, Box<Operation>), AuthorizeError> {
        let business_date = BusinessDate::of(now);
        let number = self
            .numbers
            .next(&route.host_id, business_date)
            .await
            .map_err(not_recorded)?;
        let merchant = &command.merchant;
        let payment = Box::new(Payment {
            id: payment_id,
            merchant_id: merchant.id,
            merchant_reference: command.merchant_reference.clone(),
            customer_reference: command.customer_reference.clone(),
            description: command.description.clone(),
            terminal_id: command
                .terminal_id
                .clone()
                .unwrap_or_else(|| merchant.terminal_id.clone()),
            amount: command.amount,
            authorized_minor: 0,
            captured_minor: 0,
            refunded_minor: 0,
            disputed_minor: 0,
            state: PaymentState::Authorizing { pending: None },
            card: card.summary(),
            host_id: route.host_id,
            stan: number.stan(),
            rrn: number.rrn(business_date),
            business_date,
            created_at: now,
            updated_at: now,
            version: 1,
        });
        let operation = Box::new(Operation {
            id: OperationId::from_parts(now, self.random()?),
            payment_id,
            kind: OperationKind::Authorization,
            state: OperationState::Created,
            host_id: payment.host_id,
            amount: payment.amount,
            stan: payment.stan,
            rrn: payment.rrn,
            transmitted_at: now,
            business_date,
            deadline: now.plus_ms(i64::try_from(BANK_WITHIN.as_millis()).unwrap_or(i64::MAX)),
            node_id: self.node_id,
            bank_us: None,
            created_at: now,
            updated_at: now,
            version: 1,
        });
        Ok((payment, operation))
    }

    /// Sends it, once its intent is recorded. The card is wiped as soon as the bank answered.
    async fn exchange(
        &self,
        command: &AuthorizeCommand,
        operation: &Operation,
        card: Card,
    ) -> Exchange {
        let fields = CardFields {
            pan: card.pan.digits(),
            expiry_yymm: card.expiry.yymm(),
            cvv: card.cvv.as_ref().map(|cvv| cvv.digits()),
        };
        let deadline = command.received_at + BANK_WITHIN;
        match &command.terminal_id {
            None => {
                self.hosts
                    .authorize(operation, &command.merchant, fields, deadline)
                    .await
            }
            Some(terminal_id) => {
                let mut merchant = (*command.merchant).clone();
                merchant.terminal_id.clone_from(terminal_id);
                self.hosts
                    .authorize(operation, &merchant, fields, deadline)
                    .await
            }
        }
    }

    /// What this very request was answered before, if it was.
    async fn answered_before(
        &self,
        command: &AuthorizeCommand,
    ) -> Result<Option<Authorized>, AuthorizeError> {
        let recorded = self
            .store
            .find_answer(&command.merchant.id, METHOD, &command.request_id)
            .await
            .map_err(not_recorded)?;
        recorded
            .map(|recorded| repeated(command, recorded))
            .transpose()
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn idempotency_key(command: &AuthorizeCommand) -> IdempotencyKey {
    IdempotencyKey {
        merchant_id: command.merchant.id,
        method: METHOD,
        request_id: command.request_id.clone(),
        body_hash: command.body_hash,
    }
}

/// The answer to a request whose id was seen before.
fn repeated(
    command: &AuthorizeCommand,
    recorded: RecordedAnswer,
) -> Result<Authorized, AuthorizeError> {
    let request_id = command.request_id.clone();
    if recorded.body_hash != command.body_hash {
        return Err(AuthorizeError::RequestIdReused { request_id });
    }
    let payment = recorded
        .answer
        .ok_or(AuthorizeError::StillRunning { request_id })?;
    Ok(Authorized {
        payment: Box::new(payment),
        bank_us: 0,
    })
}

/// Before anything was sent, a store that can't record means that nothing will be sent.
fn not_recorded(error: StoreError) -> AuthorizeError {
    match error {
        StoreError::Busy { .. } => AuthorizeError::Overloaded,
        error => AuthorizeError::NotRecorded {
            source: Box::new(error),
        },
    }
}
