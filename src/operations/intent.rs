//! What is recorded before a byte is sent: the records that a plan makes.

use crate::card::pan::Card;
use crate::hosts::message::contents::{Original, Outgoing};
use crate::hosts::message::definition::Travel;
use crate::payment::adjustment::Adjustment;
use crate::payment::amounts::Amounts;
use crate::payment::custody::CustodyEntry;
use crate::payment::decline::Decline;
use crate::payment::ids::{NodeId, OperationId, PaymentId};
use crate::payment::merchant::Merchant;
use crate::payment::moment::{NumberDate, UnixMillis};
use crate::payment::operation::OperationState;
use crate::payment::record::{Attempts, Operation, Payment};
use crate::payment::reference::{Rrn, Stan};
use crate::payment::state::PaymentState;
use crate::store::change::{Change, EnvelopeUse, NewCard, PaymentChange, RequestClaim};
use crate::store::error::StoreError;
use crate::store::numbers::TakenNumber;

use super::call::{BANK_WITHIN, Call, OperationError, not_recorded, random};
use super::card_custody::CardCustodyError;
use super::flow::Flow;
use super::machine::Operations;
use super::plan::{NewPayment, Plan, PlannedPayment};
use super::resource::Resource;

/// What is recorded before a byte is sent.
pub(crate) struct Intent {
    pub(crate) claim: RequestClaim,
    pub(crate) envelope: Option<EnvelopeUse>,
    pub(crate) payment: Box<Payment>,
    /// What is kept of the card of a new payment.
    pub(crate) new_card: Option<NewCard>,
    /// None where the payment is new.
    pub(crate) adjustment: Option<Adjustment>,
    pub(crate) unmoved: bool,
    pub(crate) operation: Box<Operation>,
    /// That of the operation, until it is used.
    pub(crate) number: Option<TakenNumber>,
    /// The operation that it completes or undoes.
    pub(crate) original: Option<Box<Operation>>,
    pub(crate) card: Option<Card>,
    /// The card of a recorded payment, as it was read with the payment.
    pub(crate) kept_card: Option<CustodyEntry>,
    pub(crate) resource: Option<Resource>,
    pub(crate) owes: Vec<Operation>,
}

/// What was read of a payment together with it, so that it need not be read again.
#[derive(Default)]
pub(super) struct Known {
    /// Operations of the payment that messages may name.
    pub(super) operations: Vec<Operation>,
    /// The payment's card.
    pub(super) card: Option<CustodyEntry>,
}

impl Intent {
    /// Whether a bank's answer is waited for. Otherwise what is recorded is the answer to the request.
    pub(crate) fn is_open(&self) -> bool {
        self.operation.state.is_open()
    }

    /// The change that records it.
    pub(crate) fn change(&self) -> Change<'_> {
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
            answered: !self.is_open(),
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
    /// The records of a plan, which is declined here or goes to its host; none when the payment can't take its adjustment,
    /// so that it is read again.
    pub(super) async fn intent<F: Flow>(
        &self,
        call: &Call,
        (payment_id, operation_id): (PaymentId, OperationId),
        (plan, known, declined): (Plan, Known, Option<Decline>),
        now: UnixMillis,
    ) -> Result<Option<Box<Intent>>, OperationError<F::Refusal>> {
        let original = self.original(plan.original_id, &known.operations).await;
        let original = original.map_err(not_recorded)?;
        let date = NumberDate::of(now);
        let mut number = match declined {
            Some(_) => None,
            None => {
                let taken = self.numbers.take(&plan.host_id, date).await;
                Some(taken.map_err(not_recorded)?)
            }
        };
        let numbers = match number.as_ref().map(TakenNumber::number) {
            None => (Stan::NONE, Rrn::NONE),
            Some(number) => {
                let rrn = self
                    .hosts
                    .rrn(plan.host_id, &call.merchant, number, date, now);
                (number.stan(), rrn)
            }
        };
        let resource = match plan.resource.as_ref().filter(|_| declined.is_none()) {
            None => None,
            Some(new) => {
                let random = random(&self.random)?;
                let of = (payment_id, operation_id, call.merchant.id);
                Some(Resource::new(new, of, plan.amount, (now, random)))
            }
        };
        let mut operation = Box::new(planned_operation(
            &plan,
            (payment_id, operation_id, self.node_id),
            numbers,
            (original.as_deref(), resource.as_ref()),
            now,
        ));
        if let Some(decline) = declined {
            operation.state = OperationState::Declined { decline };
        }
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
            if message.numbers.stan && message.numbers.rrn {
                number = None;
            }
        }
        let mut new_card = None;
        let (payment, adjustment) = match plan.payment {
            PlannedPayment::New(new) => {
                let keeps_card = new.keeps_card;
                let mut payment = new_payment(*new, &call.merchant, &operation);
                if let (Some(decline), PaymentState::Authorizing { .. }) =
                    (declined, &payment.state)
                {
                    payment.state = PaymentState::Declined { decline };
                }
                if let Some(card) = plan.card.as_ref().filter(|_| keeps_card) {
                    let sealed = self.custody.seal(card, &call.merchant.id, payment_id).await;
                    let (mut kept, fingerprint) = sealed.map_err(card_not_kept)?;
                    // No message follows that needs it.
                    kept.entry = kept.entry.filter(|_| declined.is_none());
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
                adjustment.custody =
                    times.end_after(&adjustment.event, &payment.amounts, adjustment.at);
                match adjustment.apply(payment) {
                    Ok(payment) => (payment, Some(adjustment)),
                    Err(_) => return Ok(None),
                }
            }
        };
        let message = Outgoing {
            original: original
                .as_deref()
                .map(|original| Original::in_payment(original, &payment)),
            ..Outgoing::first(&operation, &call.merchant, None)
        };
        operation.sent = match self.hosts.sent_elements(message) {
            _ if declined.is_some() => Vec::new(),
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
        let owes = match plan.owes.as_slice() {
            [] => Vec::new(),
            owes => {
                let merchant = Some(&*call.merchant);
                let owed = self.owed_by(&payment, &operation, merchant, owes, now);
                let owed = Box::pin(owed).await.map_err(not_recorded)?;
                let is_built =
                    |owed: &Operation| !matches!(owed.state, OperationState::Suspended { .. });
                if !owed.iter().all(is_built) {
                    // The payment was read before its captures. Where it has changed in between, they don't fit, and it
                    // is planned again.
                    let now_there = self.store.payment(&call.merchant.id, payment_id).await;
                    let now_there = now_there.map_err(not_recorded)?;
                    let read_at = payment.version - 1;
                    return match now_there.filter(|it| it.version == read_at) {
                        Some(_) => Err(OperationError::NotBuildable { payment_id }),
                        None => Ok(None),
                    };
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
            number,
            original,
            card: plan.card,
            kept_card: known.card,
            resource,
            owes,
        })))
    }

    /// The operation that a message names as its original, from those that are `known` or from the store. One that had
    /// no message itself completed another, which the host knows.
    pub(super) async fn original(
        &self,
        id: Option<OperationId>,
        known: &[Operation],
    ) -> Result<Option<Box<Operation>>, StoreError> {
        let find = async |id| match known.iter().find(|it| it.id == id) {
            Some(known) => Ok(Some(known.clone())),
            None => self.store.operation(id).await,
        };
        let Some(id) = id else {
            return Ok(None);
        };
        let found = find(id).await?;
        let named = match found {
            Some(Operation {
                state: OperationState::Recorded,
                original_id: Some(before),
                ..
            }) => find(before).await?,
            found => found,
        };
        Ok(named.map(Box::new))
    }
}

/// The operation of a plan, as it is recorded first.
pub(crate) fn planned_operation(
    plan: &Plan,
    (payment_id, id, node_id): (PaymentId, OperationId, NodeId),
    (stan, rrn): (Stan, Rrn),
    (original, resource): (Option<&Operation>, Option<&Resource>),
    now: UnixMillis,
) -> Operation {
    Operation {
        id,
        payment_id,
        kind: plan.kind,
        state: match plan.travel {
            Travel::Once => OperationState::Created,
            Travel::Repeated => OperationState::Queued,
            Travel::Recorded => OperationState::Recorded,
        },
        original_id: plan.original_id,
        reason: plan.reason,
        subject_id: resource.map(Resource::subject_id).or(plan.subject_id),
        host_id: plan.host_id,
        amount: plan.amount,
        accepts_partial: plan.accepts_partial,
        releases_minor: plan.releases_minor,
        mti: plan.mti,
        stan,
        rrn,
        transmitted_at: now,
        number_date: NumberDate::of(now),
        terminal_id: plan.terminal_id.clone(),
        deadline: match (plan.travel, original) {
            (Travel::Repeated, Some(original)) => original.deadline,
            _ => now.plus(BANK_WITHIN),
        },
        node_id,
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

/// A card that can't be kept for a reversal is not sent at all.
fn card_not_kept<R>(error: CardCustodyError) -> OperationError<R> {
    match error {
        CardCustodyError::Store(error) => not_recorded(error),
        error => OperationError::NotRecorded {
            source: Box::new(error),
        },
    }
}
