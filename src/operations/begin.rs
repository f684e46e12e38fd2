//! Records what is intended, sends it, and waits for the bank.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tracing::Instrument as _;

use crate::fault_points::FaultPoint;
use crate::hosts::exchange::Exchange;
use crate::hosts::message::contents::{CardFields, Original, Outgoing};
use crate::payment::capture::MOST_CAPTURES;
use crate::payment::decline::{Decline, DeclineSource, FailureReason};
use crate::payment::ids::{OperationId, PaymentId};
use crate::payment::merchant::Merchant;
use crate::payment::moment::UnixMillis;
use crate::payment::operation_kind::OperationKind;
use crate::payment::record::Payment;
use crate::risk::limits::{Attempt, Reached, Tried};
use crate::store::change::Verdict;
use crate::store::error::StoreError;
use crate::store::reads::owed::OwedEntry;
use crate::store::reads::payments::PaymentForLater;
use crate::store::records::lists::MAX_PAGE_SIZE;
use crate::traces;

use super::basis::{Basis as _, Found, Way, Ways};
use super::call::{BANK_WITHIN, Call, Concluded, OperationError, not_recorded, random};
use super::conclude::log_recorded;
use super::flow::Flow;
use super::intent::{Intent, Known};
use super::kept_card::{NoCard, fields_of};
use super::machine::{Closed, Operations};
use super::outcome::Told;
use super::plan::Plan;

/// After this the caller is answered, whatever became of the operation: every call ends within five
/// seconds.
const ANSWER_WITHIN: Duration = Duration::from_millis(4_800);
/// All captures of a payment are read at once.
const _: () = assert!(MOST_CAPTURES <= MAX_PAGE_SIZE);
/// How often an intent is planned again when what it rests on changed while it was recorded.
const INTENT_ATTEMPTS: u32 = 5;
/// How often an outcome is decided: once more where the merchant has cancelled the payment meanwhile.
const OUTCOME_ATTEMPTS: u32 = 2;

/// What came of recording an intent.
enum Begun {
    /// It is durable: its message may be sent. The attempt counts, where it is limited.
    Recorded(Box<Intent>, Option<Attempt>),
    /// The same request was answered before.
    Answered(Concluded),
    /// Its COMMIT was not confirmed, so its message is not sent.
    CommitUnknown(Box<Intent>, String),
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
        let span = traces::operation(F::METHOD, call.merchant.id, payment_id);
        let running = async move {
            let _place = place;
            machine.run(&*flow, payment_id, call, command).await
        };
        let running = tokio::spawn(Box::pin(running.instrument(span)));
        match tokio::time::timeout_at(answer_by, running).await {
            Ok(Ok(answer)) => answer,
            // A panic in the task, or no time left: the intent may be recorded, so the task itself or
            // recovery gives the operation its end.
            Ok(Err(_)) | Err(_) => Err(OperationError::OutcomeNotRecorded { payment_id }),
        }
    }

    async fn run<F: Flow>(
        self: &Arc<Self>,
        flow: &F,
        payment_id: PaymentId,
        call: Call,
        command: F::Command,
    ) -> Result<Concluded, OperationError<F::Refusal>> {
        let operation_id = OperationId::from_parts(self.clock.now(), random(&self.random)?);
        traces::named(operation_id);
        // Before the intent can be read, so that no recovery takes the operation for left behind.
        let _mark = self.in_progress.mark(operation_id);
        let begun = self
            .begin(flow, payment_id, operation_id, &call, &command)
            .await?;
        let (mut intent, attempt) = match begun {
            Begun::Recorded(intent, attempt) if intent.is_open() => (intent, attempt),
            // The intent is the promise, or the answer.
            Begun::Recorded(intent, _) => return Ok(self.promised(*intent, &call.merchant)),
            Begun::Answered(answer) => return Ok(answer),
            // Where it is recorded, it counts.
            Begun::CommitUnknown(intent, _) if !intent.is_open() => {
                return Err(OperationError::OutcomeNotRecorded { payment_id });
            }
            Begun::CommitUnknown(intent, reason) => {
                let records = (intent.payment, intent.operation);
                return Box::pin(self.not_sent_for_sure(records, &reason)).await;
            }
        };
        let asked_at = Instant::now();
        let exchange = self.exchange(&call, &mut intent).await;
        let waited = asked_at.elapsed();
        if let Some(attempt) = attempt {
            self.count(&attempt, &exchange);
        }
        let Intent {
            payment,
            operation,
            resource: mut made,
            ..
        } = *intent;
        let merchant = Some(&*call.merchant);
        let mut records = (payment, operation);
        for _ in 0..OUTCOME_ATTEMPTS {
            let outcome = self.decide(records, merchant, &exchange).await?;
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
                        made: made.take(),
                        bank_us,
                    });
                }
                // It was cancelled at that moment, maybe by another node.
                Told::Cancelled(payment, operation) => records = (payment, operation),
            }
        }
        Err(OperationError::OutcomeNotRecorded { payment_id })
    }

    /// Tells what is promised, and has its message sent.
    fn promised(self: &Arc<Self>, intent: Intent, merchant: &Arc<Merchant>) -> Concluded {
        let Intent {
            payment,
            operation,
            original,
            kept_card,
            resource,
            ..
        } = intent;
        log_recorded(&payment, &operation);
        let original = original.filter(|it| Some(it.id) == operation.original_id);
        if let Some(original) = original {
            let entry = OwedEntry {
                operation: (*operation).clone(),
                original: *original,
                payment: (*payment).clone(),
            };
            self.send_at_once(entry, kept_card, merchant);
        }
        Concluded {
            payment,
            operation,
            made: resource,
            bank_us: 0,
        }
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
            let (basis, known) = self.basis(flow, payment_id, call, command).await?;
            let plan = match flow.plan(&call.merchant, command, basis, now) {
                Ok(plan) => plan,
                // A repetition is answered as before, whatever its envelope, its payment or the
                // operator's settings have become since.
                Err(refusal) => {
                    let before = Box::pin(self.answered_before::<F>(call)).await?;
                    return before
                        .map(Begun::Answered)
                        .ok_or(OperationError::Refused(refusal));
                }
            };
            let (attempt, declined) = match self.take_attempt(&plan, call, now) {
                Ok(attempt) => (attempt, None),
                // A repetition is answered as before, whatever was tried since.
                Err(reached) => {
                    if let Some(before) = Box::pin(self.answered_before::<F>(call)).await? {
                        return Ok(Begun::Answered(before));
                    }
                    reached.count();
                    tracing::info!(
                        payment.id = %payment_id,
                        merchant.id = %call.merchant.id,
                        limit = reached.limit,
                        "A limit is reached; nothing is sent to a bank"
                    );
                    (None, Some(Decline::RISK_LIMIT))
                }
            };
            // What is owed takes numbers of its own, which a repetition must not use up.
            if !plan.owes.is_empty()
                && let Some(before) = Box::pin(self.answered_before::<F>(call)).await?
            {
                return Ok(Begun::Answered(before));
            }
            let ids = (payment_id, operation_id);
            let mut intent = match self
                .intent::<F>(call, ids, (plan, known, declined), now)
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
            if let Some(number) = &mut intent.number {
                number.may_be_used();
            }
            let committed = self.store.commit(&intent.change()).await;
            // What is refused uses no number: the next operation gets it.
            let is_refused = !matches!(committed, Ok(Verdict::Committed { .. }) | Err(_));
            if let Some(number) = intent.number.take()
                && is_refused
            {
                number.give_back();
            }
            match committed {
                Ok(Verdict::Committed { payment }) => {
                    if let Some(payment) = payment {
                        intent.payment = payment;
                    }
                    FaultPoint::Intent.pass();
                    let attempt = attempt.map(Attempt::recorded);
                    return Ok(Begun::Recorded(intent, attempt));
                }
                Err(StoreError::OutcomeUnknown { reason }) => {
                    return Ok(Begun::CommitUnknown(intent, reason));
                }
                Err(error) => return Err(not_recorded(error)),
                Ok(Verdict::EnvelopeUsed) => return Err(OperationError::SealedCardUsed),
                Ok(Verdict::RequestTaken) => {
                    if let Some(answer) = Box::pin(self.answered_before::<F>(call)).await? {
                        return Ok(Begun::Answered(answer));
                    }
                    // What stood in the way was refused itself, in the same batch. The way is free.
                }
                Ok(Verdict::PaymentRefused | Verdict::OperationMoved | Verdict::DayClosed) => {}
            }
        }
        Err(OperationError::PaymentBusy { payment_id })
    }

    /// Counts an attempt with the card of a plan, where it is limited.
    ///
    /// # Errors
    /// The limit that is reached.
    fn take_attempt(
        &self,
        plan: &Plan,
        call: &Call,
        now: UnixMillis,
    ) -> Result<Option<Attempt>, Reached<'_>> {
        let (Some(limits), Some(card)) = (&self.limits, &plan.card) else {
            return Ok(None);
        };
        let tried = Tried {
            pan: &card.pan,
            merchant_id: call.merchant.id,
            address: call.address,
            kind: plan.kind,
        };
        limits.take(tried, now)
    }

    /// What the end of an attempt counts.
    fn count(&self, attempt: &Attempt, exchange: &Exchange) {
        match exchange {
            Exchange::NotSent(_) => attempt.not_sent(),
            Exchange::Declined { decline, .. }
                if decline.reason.source() == DeclineSource::Issuer =>
            {
                attempt.declined(self.clock.now());
            }
            _ => {}
        }
    }

    async fn basis<F: Flow>(
        &self,
        flow: &F,
        payment_id: PaymentId,
        call: &Call,
        command: &F::Command,
    ) -> Result<(F::Basis, Known), OperationError<F::Refusal>> {
        let found = match flow.payment_id(command) {
            None => None,
            Some(id) => {
                // Boxed, as all that is rare for an authorization: each would have room for it.
                let found = Box::pin(self.store.payment_for_later(&call.merchant.id, id)).await;
                found.map_err(not_recorded)?
            }
        };
        let mut known = Known::default();
        let found = match found {
            None => None,
            Some(PaymentForLater {
                payment,
                authorization,
                card,
            }) => {
                let captures = self.store.captures_of(payment.id, MOST_CAPTURES, None);
                let captures = match flow.reads_captures(&payment) {
                    true => Box::pin(captures).await.map_err(not_recorded)?,
                    false => Vec::new(),
                };
                let ways = self.ways(&payment);
                let earlier = match flow.reads_operations(&payment, &ways) {
                    true => {
                        let earlier = Box::pin(self.store.operations_of(payment.id)).await;
                        earlier.map_err(not_recorded)?
                    }
                    false => Vec::new(),
                };
                let in_clearing = match flow.reads_settlement(&payment) {
                    true => {
                        let sale = payment.authorization.operation_id;
                        let settlement = self.store.settlement_of(&[sale]).await;
                        let settlement = settlement.map_err(not_recorded)?;
                        settlement.get(&sale).is_some_and(|it| it.is_closed())
                    }
                    false => false,
                };
                known.card = card;
                known.operations.push(authorization);
                let capturing = captures.iter().map(|(_, operation)| operation.clone());
                known.operations.extend(capturing);
                Some(Found {
                    in_clearing,
                    ways,
                    payment: Box::new(payment),
                    captures,
                    earlier,
                })
            }
        };
        let basis = F::Basis::of(found);
        let basis = basis.ok_or(OperationError::PaymentNotFound { payment_id })?;
        Ok((basis, known))
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
        Some(Way {
            only_one: message.only_one(),
            travel: message.travel(),
            mti: message.mapping.as_ref().map(|mapping| mapping.recorded_mti),
        })
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
            None => {
                let known = intent.kept_card.take();
                let kept = self.kept_card(&intent.payment, &intent.operation, known);
                match Box::pin(kept).await {
                    Ok(kept) => kept,
                    Err(NoCard::Gone) => {
                        return Exchange::NotSent(FailureReason::MessageNotBuildable);
                    }
                    Err(NoCard::NotNow) => {
                        return Exchange::NotSent(FailureReason::DeadlineBeforeSend);
                    }
                }
            }
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
        let (merchant, request_id) = (&call.merchant.id, call.request_id.clone());
        let recorded = self.store.find_answer(merchant, F::METHOD, &request_id);
        let Some(recorded) = recorded.await.map_err(not_recorded)? else {
            let taken = self
                .store
                .without_operation(merchant, F::METHOD, &request_id);
            return match taken.await.map_err(not_recorded)? {
                None => Ok(None),
                Some(_) => Err(OperationError::RequestCancelled { request_id }),
            };
        };
        if recorded.body_hash != call.body_hash {
            return Err(OperationError::RequestIdReused { request_id });
        }
        let Some((payment, operation)) = recorded.answer else {
            return Err(OperationError::RequestInProgress { request_id });
        };
        Ok(Some(Concluded {
            payment,
            operation,
            made: None,
            bank_us: 0,
        }))
    }
}
