//! The store of the model: it takes a [`Change`] whole or not at all, under the guards of `store/writer`.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::reached::Reached;
use crate::operations::late_answer::would_be_late;
use crate::payment::capture::Capture;
use crate::payment::ids::OperationId;
use crate::payment::moment::UnixMillis;
use crate::payment::operation::{Open, OperationState};
use crate::payment::operation_kind::OperationKind;
use crate::payment::record::{Operation, Payment};
use crate::payment::refund::refunded_of_capture;
use crate::payment::samples::NOW;
use crate::payment::state::PaymentState;
use crate::store::change::{Change, PaymentChange, Verdict};
use crate::store::reads::owed::OwedEntry;

/// The answer to a request.
pub(super) type Answered = (Arc<Payment>, Arc<Operation>);

/// A request that was taken.
#[derive(Clone)]
pub(super) struct Claim {
    pub(super) request_id: String,
    pub(super) operation: OperationId,
    /// What it is answered from then on.
    pub(super) answer: Option<Answered>,
}

/// What is recorded of one payment. An operation's number is its place.
#[derive(Clone)]
pub(super) struct Records {
    pub(super) payment: Arc<Payment>,
    pub(super) operations: Vec<Arc<Operation>>,
    pub(super) captures: Vec<Capture>,
    pub(super) claims: Vec<Claim>,
    /// By the operations' numbers, whether the bank's last late answer was an approval.
    pub(super) approved_late: u32,
}

/// A moment before which no bank will see an original any more that was due then.
const LONG_AGO: UnixMillis = NOW.plus_ms(-60_000);

impl Records {
    pub(super) fn number(&self, id: OperationId) -> usize {
        let place = self.operations.iter().position(|it| it.id == id);
        place.expect("an operation that is recorded")
    }

    pub(super) fn operation(&self, id: OperationId) -> &Arc<Operation> {
        &self.operations[self.number(id)]
    }

    /// As `Store::operations_of`.
    pub(super) fn all(&self) -> Vec<Operation> {
        let all = self.operations.iter();
        all.map(|it| Operation::clone(it)).collect()
    }

    pub(super) fn claim(&self, request_id: &str) -> Option<&Claim> {
        self.claims.iter().find(|it| it.request_id == request_id)
    }

    /// As `Store::told`.
    pub(super) fn told(&self, id: OperationId) -> Answered {
        let claim = self.claims.iter().find(|it| it.operation == id);
        let answer = claim.and_then(|claim| claim.answer.clone());
        answer.unwrap_or_else(|| self.answer_of(id))
    }

    /// As `Store::operations_about`.
    pub(super) fn about(&self, original: &Operation) -> Vec<Operation> {
        let mut all = self.all();
        all.retain(|it| it.original_id == Some(original.id));
        all
    }

    /// As `Store::owed_entry`.
    pub(super) fn entry(&self, operation: &Operation) -> Option<OwedEntry> {
        let original = self.operation(operation.original_id?);
        Some(OwedEntry {
            operation: operation.clone(),
            original: Operation::clone(original),
            payment: Payment::clone(&self.payment),
        })
    }

    /// As `Store::captures_of`.
    pub(super) fn captures(&self) -> Vec<(Capture, Operation)> {
        let with_operation = |capture: &Capture| {
            let operation = self.operation(capture.operation_id);
            (capture.clone(), Operation::clone(operation))
        };
        self.captures.iter().map(with_operation).collect()
    }

    pub(super) fn is_cancelled_approval(&self, operation: &Operation) -> bool {
        matches!(operation.state, OperationState::Approved { .. })
            && operation.kind == OperationKind::Authorization
            && self.reversals_of(operation).next().is_some()
    }

    pub(super) fn reversals_of<'a>(
        &'a self,
        operation: &'a Operation,
    ) -> impl Iterator<Item = &'a Arc<Operation>> {
        let of_it = |it: &&Arc<Operation>| {
            it.original_id == Some(operation.id) && it.kind == OperationKind::Reversal
        };
        self.operations.iter().filter(of_it)
    }

    pub(super) fn heard_late(&mut self, number: usize, approves: bool) {
        let bit = 1 << number;
        self.approved_late = self.approved_late & !bit | if approves { bit } else { 0 };
    }

    pub(super) fn would_be_late(&self, number: usize) -> bool {
        would_be_late(&self.operations[number], NOW, false)
    }

    /// Writes a change, or says why not.
    pub(super) fn commit(&mut self, change: &Change<'_>, reached: &mut Reached) -> Verdict {
        if let Some(claim) = change.claim
            && self.claim(&claim.request_id).is_some()
        {
            return Verdict::RequestTaken;
        }
        let step = change.step.map(|step| step.operation);
        let steps = [step, change.owed_step];
        for step in steps.into_iter().flatten() {
            if self.operation(step.id).version + 1 != step.version {
                return Verdict::OperationMoved;
            }
        }
        let operation = change.owed_step.or(step).or(change.new_operation);
        let mut after = None;
        if let Some(PaymentChange::Adjusted {
            expected,
            adjustment,
        }) = change.payment
        {
            let before = &self.payment;
            let allowed = adjustment.allowed_states().contains(&before.state.name());
            let moved = change.unmoved && expected.version != before.version + 1;
            let adjusted = adjustment.apply(Box::new(Payment::clone(before)));
            let adjusted = adjusted.ok().filter(|_| allowed && !moved);
            reached.event(&before.state, &adjustment.event, adjusted.is_some());
            let Some(adjusted) = adjusted else {
                return Verdict::PaymentRefused;
            };
            let of_capture = operation.and_then(|it| refunded_of_capture(it, &adjustment.change));
            if let Some((id, minor)) = of_capture {
                let mut captures = self.captures.iter_mut();
                let Some(capture) = captures.find(|it| it.operation_id == id) else {
                    return Verdict::PaymentRefused;
                };
                let refunded = capture.refunded_minor + minor;
                if refunded < 0 || refunded > capture.amount.amount_minor() {
                    return Verdict::PaymentRefused;
                }
                capture.refunded_minor = refunded;
            }
            after = Some(Arc::from(adjusted));
        }
        let moved = match (&after, change.payment) {
            (Some(after), Some(PaymentChange::Adjusted { expected, .. })) => {
                Some(after).filter(|after| ***after != *expected)
            }
            _ => None,
        };
        let moved = moved.map(|after| Box::new(Payment::clone(after)));
        if let Some(after) = after {
            self.payment = after;
        }
        for step in steps.into_iter().flatten() {
            let number = self.number(step.id);
            self.operations[number] = Arc::new(step.clone());
        }
        for new in change.new_operation.into_iter().chain(change.owes) {
            self.operations.push(Arc::new(new.clone()));
        }
        self.captures.extend(change.new_capture.cloned());
        if let Some(claim) = change.claim {
            let about = change.new_operation.or(change.about);
            let about = about.expect("a request is about an operation").id;
            let answer = change.answered.then(|| self.answer_of(about));
            self.claims.push(Claim {
                request_id: claim.request_id.clone(),
                operation: about,
                answer,
            });
        }
        if let Some(step) = change.step.filter(|step| step.answers) {
            let id = step.operation.id;
            let answer = self.answer_of(id);
            let mut claims = self.claims.iter_mut();
            if let Some(claim) = claims.find(|it| it.operation == id) {
                claim.answer = Some(answer);
            }
        }
        Verdict::Committed { payment: moved }
    }

    fn answer_of(&self, id: OperationId) -> Answered {
        (Arc::clone(&self.payment), Arc::clone(self.operation(id)))
    }

    /// So much time passes that no bank will see an original any more. All moments move into the past.
    pub(super) fn passes(&mut self, original_gone: core::time::Duration) {
        for operation in &mut self.operations {
            let mut moved = Operation::clone(operation);
            let gone = moved.deadline.plus(original_gone);
            let attempts = &mut moved.attempts;
            attempts.last_at = attempts.last_at.map(|last_at| match last_at >= gone {
                true => NOW.plus_ms(-1),
                false => LONG_AGO,
            });
            moved.deadline = LONG_AGO;
            *operation = Arc::new(moved);
        }
    }

    /// The hold ends by the clock.
    pub(super) fn hold_ends(&mut self) {
        let ended = NOW.plus_ms(-1);
        let mut payment = Payment::clone(&self.payment);
        match &mut payment.state {
            PaymentState::Authorized { expires_at, .. }
            | PaymentState::PartiallyCaptured { expires_at, .. } => *expires_at = ended,
            PaymentState::Captured { expires_at, .. }
            | PaymentState::Voiding { expires_at, .. } => {
                *expires_at = expires_at.map(|_| ended);
            }
            _ => {}
        }
        self.payment = Arc::new(payment);
    }

    /// Everything that what follows can depend on. Versions are compared and never read, so a snapshot hashes which of
    /// its own are still recorded, and nothing hashes their number.
    pub(super) fn hash<H: Hasher>(&self, state: &mut H) {
        hash_payment(&self.payment, state);
        for operation in &self.operations {
            self.hash_operation(operation, state);
        }
        for capture in &self.captures {
            capture.refunded_minor.hash(state);
        }
        for claim in &self.claims {
            claim.request_id.hash(state);
            claim.answer.is_some().hash(state);
        }
        self.approved_late.hash(state);
    }

    pub(super) fn hash_operation<H: Hasher>(&self, operation: &Operation, state: &mut H) {
        operation.kind.hash(state);
        operation.state.hash(state);
        operation.amount.amount_minor().hash(state);
        operation.original_id.map(|id| self.number(id)).hash(state);
        operation.releases_minor.hash(state);
        operation.attempts.count.hash(state);
        operation.attempts.last_at.hash(state);
        operation.deadline.hash(state);
    }
}

pub(super) fn hash_payment<H: Hasher>(payment: &Payment, state: &mut H) {
    payment.state.hash(state);
    payment.amounts.hash(state);
}

/// Whether the sender of what is owed has to look at it.
pub(super) fn is_sent_again(operation: &Operation) -> bool {
    operation.state.open() == Open::Owed
        && !matches!(operation.state, OperationState::Suspended { .. })
}
