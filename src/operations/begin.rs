//! Records what is intended, sends it, and waits for the bank.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::card::pan::Card;
use crate::fault_points::FaultPoint;
use crate::hosts::exchange::Exchange;
use crate::hosts::message::contents::{CardFields, Original, Outgoing};
use crate::hosts::message::definition::Travel;
use crate::payment::adjustment::Adjustment;
use crate::payment::amounts::Amounts;
use crate::payment::capture::{Capture, MOST_CAPTURES};
use crate::payment::decline::FailureReason;
use crate::payment::ids::{CaptureId, OperationId, PaymentId, RefundId, SubjectId};
use crate::payment::merchant::Merchant;
use crate::payment::moment::{NumberDate, UnixMillis};
use crate::payment::operation::{OperationKind, OperationState};
use crate::payment::record::{Attempts, Operation, Payment};
use crate::payment::refund::Refund;
use crate::random::Random;
use crate::store::change::{Change, EnvelopeUse, NewCard, PaymentChange, RequestClaim, Verdict};
use crate::store::error::StoreError;
use crate::store::records::{MAX_PAGE_SIZE, RecordedAnswer};

use super::call::{Call, Concluded, OperationError};
use super::card_custody::CardCustodyError;
use super::flow::{
    Basis as _, Flow, Found, NewPayment, NewResource, Plan, PlannedPayment, Way, Ways,
};
use super::kept_card::{NoCard, fields_of};
use super::machine::{Closed, Operations};
use super::outcome::Told;

/// After this, counted from the call's arrival, no byte of its message is sent, and the bank's answer is
/// late.
pub(super) const BANK_WITHIN: Duration = Duration::from_millis(4_300);
/// After this the caller is answered, whatever became of the operation: every call ends within five
/// seconds.
const ANSWER_WITHIN: Duration = Duration::from_millis(4_800);
/// All captures of a payment are read at once.
const _: () = assert!(MOST_CAPTURES <= MAX_PAGE_SIZE);
/// How often an intent is planned again when what it rests on changed while it was recorded.
const INTENT_ATTEMPTS: u32 = 5;

/// How often an outcome is decided: once more where the merchant has cancelled the payment meanwhile.
const OUTCOME_ATTEMPTS: u32 = 2;

/// What is recorded before a byte is sent.
struct Intent {
    claim: RequestClaim,
    envelope: Option<EnvelopeUse>,
    payment: Box<Payment>,
    /// What is kept of the card of a new payment.
    new_card: Option<NewCard>,
    /// None where the payment is new.
    adjustment: Option<Adjustment>,
    unmoved: bool,
    operation: Box<Operation>,
    /// The operation that it completes or undoes.
    original: Option<Box<Operation>>,
    card: Option<Card>,
    travel: Travel,
    resource: Option<Resource>,
    owes: Vec<Operation>,
}

/// What the operation makes beside itself.
enum Resource {
    Capture(Capture),
    Refund(Refund),
}

impl Resource {
    fn subject_id(&self) -> SubjectId {
        match self {
            Self::Capture(capture) => SubjectId::Capture(capture.id),
            Self::Refund(refund) => SubjectId::Refund(refund.id),
        }
    }
}

/// What came of recording an intent.
enum Begun {
    /// It is durable: its message may be sent.
    Recorded(Box<Intent>),
    /// The same request was answered before.
    Answered(Concluded),
    /// Its COMMIT was not confirmed, so its message is not sent.
    CommitUnknown(Box<Intent>, String),
}

impl Intent {
    fn change(&self) -> Change<'_> {
        Change {
            claim: Some(&self.claim),
            envelope: self.envelope.as_ref(),
            payment: Some(match &self.adjustment {
                None => PaymentChange::New {
                    payment: &self.payment,
                    card: self.new_card.as_ref(),
                },
                Some(adjustment) => PaymentChange::Adjusted {
                    expected: &self.payment,
                    adjustment,
                },
            }),
            unmoved: self.unmoved,
            new_operation: Some(&self.operation),
            owes: &self.owes,
            answered: self.travel != Travel::Once,
            new_capture: match &self.resource {
                Some(Resource::Capture(capture)) => Some(capture),
                _ => None,
            },
            new_refund: match &self.resource {
                Some(Resource::Refund(refund)) => Some(refund),
                _ => None,
            },
            ..Change::default()
        }
    }
}

impl Operations {
    /// Performs an operation in a task of its own, and waits for it: a caller who hangs up, or whose
    /// deadline passes, never cuts an operation in half.
    ///
    /// # Errors
    /// When there is nothing to tell of; each variant says whether something may have been sent.
    pub async fn perform<F: Flow>(
        self: &Arc<Self>,
        flow: &Arc<F>,
        call: Call,
        command: F::Command,
    ) -> Result<Concluded, OperationError<F::Refusal>> {
        let place = self.place(&call.merchant).map_err(|closed| match closed {
            Closed::Full => OperationError::Overloaded,
            Closed::Draining => OperationError::Draining,
        })?;
        let payment_id = match flow.payment_id(&command) {
            Some(payment_id) => payment_id,
            None => PaymentId::from_parts(self.clock.now(), random(&self.random)?),
        };
        let answer_by = call.received_at + ANSWER_WITHIN;
        let (machine, flow) = (Arc::clone(self), Arc::clone(flow));
        // Boxed, because starting a task moves it several times, and this one is large.
        let running = tokio::spawn(Box::pin(async move {
            let _place = place;
            machine.run(&*flow, payment_id, call, command).await
        }));
        match tokio::time::timeout_at(answer_by, running).await {
            Ok(Ok(answer)) => answer,
            // A panic in the task, or no time left: the intent may be recorded, so the task itself or
            // recovery gives the operation its end.
            Ok(Err(_)) | Err(_) => Err(OperationError::OutcomeNotRecorded { payment_id }),
        }
    }

    async fn run<F: Flow>(
        &self,
        flow: &F,
        payment_id: PaymentId,
        call: Call,
        command: F::Command,
    ) -> Result<Concluded, OperationError<F::Refusal>> {
        let operation_id = OperationId::from_parts(self.clock.now(), random(&self.random)?);
        // Before the intent can be read, so that no recovery takes the operation for left behind.
        let _mark = self.in_progress.mark(operation_id);
        let begun = self
            .begin(flow, payment_id, operation_id, &call, &command)
            .await?;
        let mut intent = match begun {
            Begun::Recorded(intent) if intent.travel == Travel::Once => intent,
            // The intent is the promise: what is owed is sent by `owed`.
            Begun::Recorded(intent) => {
                return Ok(Concluded {
                    payment: intent.payment,
                    operation: intent.operation,
                    bank_us: 0,
                });
            }
            Begun::Answered(answer) => return Ok(answer),
            // Where it is recorded, it counts.
            Begun::CommitUnknown(intent, _) if intent.travel != Travel::Once => {
                return Err(OperationError::OutcomeNotRecorded { payment_id });
            }
            Begun::CommitUnknown(intent, reason) => {
                let records = (intent.payment, intent.operation);
                let Some(flow) = self.flows.of(records.1.kind) else {
                    return Err(OperationError::OutcomeNotRecorded { payment_id });
                };
                return self.not_sent_for_sure(flow, records, &reason).await;
            }
        };
        let asked_at = Instant::now();
        let exchange = self.exchange(&call, &mut intent).await;
        let waited = asked_at.elapsed();
        let Intent {
            payment, operation, ..
        } = *intent;
        let Some(flow) = self.flows.of(operation.kind) else {
            return Err(OperationError::OutcomeNotRecorded { payment_id });
        };
        let merchant = Some(&*call.merchant);
        let mut records = (payment, operation);
        for _ in 0..OUTCOME_ATTEMPTS {
            let outcome = self.decide(flow, records, merchant, &exchange).await?;
            let bank_us = match outcome.operation.bank_us {
                Some(bank_us) => u64::try_from(bank_us).unwrap_or(0),
                // Its answer was waited for.
                None if !outcome.owes.is_empty() => {
                    u64::try_from(waited.as_micros()).unwrap_or(u64::MAX)
                }
                None => 0,
            };
            match self.conclude(outcome).await? {
                Told::Ended(payment, operation) => {
                    return Ok(Concluded {
                        payment,
                        operation,
                        bank_us,
                    });
                }
                // It was cancelled at that moment, maybe by another node.
                Told::Cancelled(payment, operation) => records = (payment, operation),
            }
        }
        Err(OperationError::OutcomeNotRecorded { payment_id })
    }

    /// Plans and records the intent. When the payment was changed meanwhile, it is planned again: the flow
    /// refuses then, or the change fits.
    async fn begin<F: Flow>(
        &self,
        flow: &F,
        payment_id: PaymentId,
        operation_id: OperationId,
        call: &Call,
        command: &F::Command,
    ) -> Result<Begun, OperationError<F::Refusal>> {
        for _ in 0..INTENT_ATTEMPTS {
            let now = self.clock.now();
            let basis = self.basis(flow, payment_id, call, command).await?;
            let plan = match flow.plan(&call.merchant, command, basis, now) {
                Ok(plan) => plan,
                // A repetition is answered as before, whatever its envelope, its payment or the
                // operator's settings have become since.
                Err(refusal) => {
                    let before = self.answered_before::<F>(call).await?;
                    return before
                        .map(Begun::Answered)
                        .ok_or(OperationError::Refused(refusal));
                }
            };
            let mut intent = match self
                .intent::<F>(call, (payment_id, operation_id), plan, now)
                .await?
            {
                Some(intent) => intent,
                None => continue,
            };
            // Where numbers had to be waited for, the caller has been answered by now.
            if Instant::now() >= call.received_at + BANK_WITHIN {
                let reason = "numbers for the message came too late".to_owned();
                return Err(not_recorded(StoreError::Unavailable { reason }));
            }
            match self.store.commit(&intent.change()).await {
                Ok(Verdict::Committed { payment }) => {
                    if let Some(payment) = payment {
                        intent.payment = payment;
                    }
                    FaultPoint::Intent.pass();
                    return Ok(Begun::Recorded(intent));
                }
                Err(StoreError::OutcomeUnknown { reason }) => {
                    return Ok(Begun::CommitUnknown(intent, reason));
                }
                Err(error) => return Err(not_recorded(error)),
                Ok(Verdict::EnvelopeUsed) => return Err(OperationError::SealedCardUsed),
                Ok(Verdict::RequestTaken) => {
                    if let Some(answer) = self.answered_before::<F>(call).await? {
                        return Ok(Begun::Answered(answer));
                    }
                    // What stood in the way was refused itself, in the same batch. The way is free.
                }
                Ok(Verdict::PaymentRefused | Verdict::OperationMoved) => {}
            }
        }
        Err(OperationError::PaymentBusy { payment_id })
    }

    async fn basis<F: Flow>(
        &self,
        flow: &F,
        payment_id: PaymentId,
        call: &Call,
        command: &F::Command,
    ) -> Result<F::Basis, OperationError<F::Refusal>> {
        let found = match flow.payment_id(command) {
            None => None,
            Some(id) => {
                let payment = self.store.payment(&call.merchant.id, id).await;
                payment.map_err(not_recorded)?
            }
        };
        let found = match found {
            None => None,
            Some(payment) => {
                let captures = self.store.captures_of(payment.id, MOST_CAPTURES, None);
                let captures = match flow.reads_captures(&payment) {
                    true => captures.await.map_err(not_recorded)?,
                    false => Vec::new(),
                };
                let increments = match F::READS_INCREMENTS {
                    true => self.standing_increments(payment.id).await,
                    false => Ok(Vec::new()),
                };
                let increments = increments.map_err(not_recorded)?;
                let amounts = increments.iter().map(|it| it.amount.amount_minor());
                let ways = self.ways(&payment);
                let earlier = match ways.0.iter().any(|(_, way)| way.only_one) {
                    true => {
                        let earlier = self.store.operations_of(payment.id).await;
                        earlier.map_err(not_recorded)?
                    }
                    false => Vec::new(),
                };
                Some(Found {
                    ways,
                    payment: Box::new(payment),
                    captures,
                    incremented_minor: amounts.sum(),
                    earlier,
                })
            }
        };
        F::Basis::of(found).ok_or(OperationError::PaymentNotFound { payment_id })
    }

    fn ways(&self, payment: &Payment) -> Ways {
        use OperationKind::{Capture, Increment, Refund, Release, Void};
        let way = |kind| Some((kind, self.way(payment, kind)?));
        let later = [Capture, Increment, Refund, Release, Void];
        Ways(later.into_iter().filter_map(way).collect())
    }

    fn way(&self, payment: &Payment, kind: OperationKind) -> Option<Way> {
        let first = &payment.authorization;
        let message = self.hosts.message_after(first.host_id, kind, first.kind)?;
        let mapping = message.mapping.as_ref();
        Some(Way {
            only_one: message.only_one(),
            travel: message.travel(),
            mti: mapping.and_then(|mapping| mapping.mti.to_string().parse().ok()),
        })
    }

    /// The records of a plan; none when the payment can't take its adjustment, so that it is read again.
    async fn intent<F: Flow>(
        &self,
        call: &Call,
        (payment_id, operation_id): (PaymentId, OperationId),
        plan: Plan,
        now: UnixMillis,
    ) -> Result<Option<Box<Intent>>, OperationError<F::Refusal>> {
        let original = self.original(plan.original_id).await;
        let original = original.map_err(not_recorded)?;
        let number_date = NumberDate::of(now);
        let number = self
            .numbers
            .next(&plan.host_id, number_date)
            .await
            .map_err(not_recorded)?;
        let rrn = self
            .hosts
            .rrn(plan.host_id, &call.merchant, number, number_date, now);
        let state = match plan.travel {
            Travel::Once => OperationState::Created,
            Travel::Repeated => OperationState::Queued,
            Travel::Recorded => OperationState::Recorded,
        };
        let deadline = match (plan.travel, &original) {
            (Travel::Repeated, Some(original)) => original.deadline,
            _ => now.plus(BANK_WITHIN),
        };
        let resource = match plan.resource {
            None => None,
            Some(new) => {
                let random = random(&self.random)?;
                let made = |new| match new {
                    NewResource::Capture {
                        is_final,
                        merchant_reference,
                    } => Resource::Capture(Capture {
                        id: CaptureId::from_parts(now, random),
                        payment_id,
                        operation_id,
                        amount: plan.amount,
                        refunded_minor: 0,
                        is_final,
                        is_voided: false,
                        merchant_reference,
                        created_at: now,
                    }),
                    NewResource::Refund {
                        capture_id,
                        merchant_reference,
                    } => Resource::Refund(Refund {
                        id: RefundId::from_parts(now, random),
                        merchant_id: call.merchant.id,
                        payment_id,
                        operation_id,
                        capture_id,
                        amount: plan.amount,
                        merchant_reference,
                        created_at: now,
                    }),
                };
                Some(made(new))
            }
        };
        let mut operation = Box::new(Operation {
            id: operation_id,
            payment_id,
            kind: plan.kind,
            state,
            original_id: plan.original_id,
            reason: plan.reason,
            subject_id: resource
                .as_ref()
                .map(Resource::subject_id)
                .or(plan.subject_id),
            host_id: plan.host_id,
            amount: plan.amount,
            accepts_partial: plan.accepts_partial,
            releases_minor: plan.releases_minor,
            mti: plan.mti,
            stan: number.stan(),
            rrn,
            transmitted_at: now,
            number_date,
            business_date: None,
            terminal_id: plan.terminal_id,
            deadline,
            node_id: self.node_id,
            bank_us: None,
            attempts: Attempts {
                next_at: (plan.travel == Travel::Repeated).then_some(now),
                ..Attempts::default()
            },
            sent: Vec::new(),
            kept: Vec::new(),
            created_at: now,
            updated_at: now,
            version: 1,
        });
        // A host may want an operation to go under the numbers of its original.
        let message = self.hosts.message(operation.host_id, operation.kind);
        if let (Some(message), Some(original)) = (message, &original) {
            if message.numbers.stan {
                operation.stan = original.stan;
            }
            if message.numbers.rrn {
                operation.rrn = original.rrn;
            }
            if message.numbers.transmission_date_time {
                operation.transmitted_at = original.transmitted_at;
                operation.number_date = original.number_date;
            }
        }
        let of_payment = match &plan.payment {
            PlannedPayment::Adjusted { payment, .. } => Some(&**payment),
            PlannedPayment::New(_) => None,
        };
        let original_of = original.as_deref().zip(of_payment);
        let message = Outgoing {
            original: original_of
                .map(|(original, payment)| Original::in_payment(original, payment)),
            ..Outgoing::first(&operation, &call.merchant, None)
        };
        operation.sent = match self.hosts.sent_elements(message) {
            Ok(elements) => elements,
            // It would count from now on, and its bank could never be told.
            Err(error) if plan.travel == Travel::Repeated => {
                tracing::warn!(
                    payment.id = %payment_id, host.id = %operation.host_id, %error,
                    "A message that would be owed can't be built; nothing is recorded"
                );
                return Err(OperationError::NotBuildable { payment_id });
            }
            // It has no elements, and is not sent.
            Err(_) => Vec::new(),
        };
        let mut new_card = None;
        let (payment, adjustment) = match plan.payment {
            PlannedPayment::New(new) => {
                let keeps_card = new.keeps_card;
                let mut payment = new_payment(*new, &call.merchant, &operation);
                if let Some(card) = plan.card.as_ref().filter(|_| keeps_card) {
                    let sealed = self.custody.seal(card, &call.merchant.id, payment_id).await;
                    let (kept, fingerprint) = sealed.map_err(card_not_kept)?;
                    new_card = Some(kept);
                    payment.fingerprint = Some(fingerprint);
                }
                (payment, None)
            }
            PlannedPayment::Adjusted {
                payment,
                mut adjustment,
            } => {
                let times = self.custody.times();
                adjustment.custody = times.end_after(&adjustment.event, adjustment.at);
                match adjustment.apply(payment) {
                    Ok(payment) => (payment, Some(adjustment)),
                    Err(_) => return Ok(None),
                }
            }
        };
        let owes = match plan.owes.as_slice() {
            [] => Vec::new(),
            owes => {
                let merchant = Some(&*call.merchant);
                let owed = self.owed_by(&payment, &operation, merchant, owes, now);
                let owed = owed.await.map_err(not_recorded)?;
                let is_built =
                    |owed: &Operation| !matches!(owed.state, OperationState::Suspended { .. });
                if !owed.iter().all(is_built) {
                    return Err(OperationError::NotBuildable { payment_id });
                }
                owed
            }
        };
        Ok(Some(Box::new(Intent {
            claim: RequestClaim {
                merchant_id: call.merchant.id,
                method: F::METHOD,
                request_id: call.request_id.clone(),
                body_hash: call.body_hash,
            },
            envelope: plan.envelope,
            payment,
            new_card,
            adjustment,
            unmoved: plan.unmoved,
            operation,
            original,
            card: plan.card,
            travel: plan.travel,
            resource,
            owes,
        })))
    }

    /// The operation that a message names as its original. One that had no message itself completed another, which the
    /// host knows.
    pub(super) async fn original(
        &self,
        id: Option<OperationId>,
    ) -> Result<Option<Box<Operation>>, StoreError> {
        let Some(id) = id else {
            return Ok(None);
        };
        let found = self.store.operation(id).await?;
        let named = match found {
            Some(Operation {
                state: OperationState::Recorded,
                original_id: Some(before),
                ..
            }) => self.store.operation(before).await?,
            found => found,
        };
        Ok(named.map(Box::new))
    }

    /// Sends the message of a recorded operation. The card is wiped as soon as the bank has answered.
    async fn exchange(&self, call: &Call, intent: &mut Intent) -> Exchange {
        let card = intent.card.take();
        // The wall clock too, by which another node takes this operation for left behind: the other clock
        // stands still while a machine sleeps.
        if self.clock.now() >= intent.operation.deadline {
            return Exchange::NotSent(FailureReason::DeadlineBeforeSend);
        }
        let kept = match &card {
            Some(_) => None,
            None => match self.kept_card(&intent.payment, &intent.operation).await {
                Ok(kept) => kept,
                Err(NoCard::Gone) => {
                    return Exchange::NotSent(FailureReason::MessageNotBuildable);
                }
                Err(NoCard::NotNow) => {
                    return Exchange::NotSent(FailureReason::DeadlineBeforeSend);
                }
            },
        };
        let card = card.as_ref().map(|card| CardFields {
            pan: card.pan.digits(),
            expiry_yymm: card.expiry.yymm(),
            cvv: card.cvv.as_ref().map(|cvv| cvv.digits()),
        });
        let card = card.or_else(|| kept.as_ref().map(fields_of));
        let message = Outgoing {
            original: intent
                .original
                .as_deref()
                .map(|original| Original::in_payment(original, &intent.payment)),
            ..Outgoing::first(&intent.operation, &call.merchant, card)
        };
        let deadline = call.received_at + BANK_WITHIN;
        let exchange = self.hosts.send(message, deadline).await;
        FaultPoint::Answer.pass();
        exchange
    }

    /// What this very request was answered before, if it was.
    async fn answered_before<F: Flow>(
        &self,
        call: &Call,
    ) -> Result<Option<Concluded>, OperationError<F::Refusal>> {
        let request_id = || call.request_id.clone();
        let recorded = self
            .store
            .find_answer(&call.merchant.id, F::METHOD, &call.request_id)
            .await
            .map_err(not_recorded)?;
        match recorded {
            None => {
                let taken = self
                    .store
                    .without_operation(&call.merchant.id, F::METHOD, &call.request_id)
                    .await
                    .map_err(not_recorded)?;
                match taken {
                    None => Ok(None),
                    Some(_) => Err(OperationError::RequestCancelled {
                        request_id: request_id(),
                    }),
                }
            }
            Some(recorded) if recorded.body_hash != call.body_hash => {
                let request_id = request_id();
                Err(OperationError::RequestIdReused { request_id })
            }
            Some(RecordedAnswer { answer: None, .. }) => {
                let request_id = request_id();
                Err(OperationError::RequestInProgress { request_id })
            }
            Some(RecordedAnswer {
                answer: Some((payment, operation)),
                ..
            }) => Ok(Some(Concluded {
                payment,
                operation,
                bank_us: 0,
            })),
        }
    }
}

fn new_payment(new: NewPayment, merchant: &Merchant, operation: &Operation) -> Box<Payment> {
    Box::new(Payment {
        id: operation.payment_id,
        merchant_id: merchant.id,
        merchant_reference: new.merchant_reference,
        customer_reference: new.customer_reference,
        description: new.description,
        amount: new.amount,
        amounts: Amounts::ZERO,
        state: new.state,
        card: new.card,
        fingerprint: None,
        authorization: operation.as_authorization(),
        created_at: operation.created_at,
        updated_at: operation.created_at,
        version: 1,
    })
}

fn random<R>(source: &Random) -> Result<[u8; 10], OperationError<R>> {
    source
        .bytes_for_name()
        .map_err(|source| OperationError::NotRecorded {
            source: Box::new(source),
        })
}

/// A card that can't be kept for a reversal is not sent at all.
fn card_not_kept<R>(error: CardCustodyError) -> OperationError<R> {
    match error {
        CardCustodyError::Store(error) => not_recorded(error),
        error => OperationError::NotRecorded {
            source: Box::new(error),
        },
    }
}

/// Before anything was sent, a store that can't record means that nothing will be sent.
pub(super) fn not_recorded<R>(error: StoreError) -> OperationError<R> {
    match error {
        StoreError::Busy { .. } => OperationError::Overloaded,
        error => OperationError::NotRecorded {
            source: Box::new(error),
        },
    }
}
