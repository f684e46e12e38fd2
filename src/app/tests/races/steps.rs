//! What an act makes of a world. What a node does follows from the product's own functions; here stands in which order
//! it calls them.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use super::super::stage::Answer;
use super::play::{Ask, Play};
use super::promises;
use super::reached::Reached;
use super::records::Records;
use super::world::{Act, Task, World, request_id};
use crate::flows::authorization;
use crate::flows::cancellation::{CancelPayment, Cancellation};
use crate::flows::capture::{Capture, CapturePayment};
use crate::flows::increment::{Increment, IncrementAuthorization};
use crate::flows::refund::Refund;
use crate::flows::release::Release;
use crate::flows::reversal::Reversal;
use crate::flows::reverse::{Reverse, ReversePayment};
use crate::flows::void::{Void, VoidPayment};
use crate::hosts::exchange::Exchange;
use crate::hosts::message::definition::{Repeats, Travel};
use crate::operations::attempt::{begun, overtakes_a_capture, used_up};
use crate::operations::cancel::{Cancelling, mark};
use crate::operations::expiry::end_of_hold;
use crate::operations::flow::{
    Decides, Decision, Flow, FlowTable, Found, Plan, PlannedPayment, Subject,
};
use crate::operations::giving_back::CreateRefund;
use crate::operations::intent::{Intent, Resource, planned_operation};
use crate::operations::later::LaterRefusal;
use crate::operations::owe::owed_record;
use crate::operations::owed_step::OwedStep;
use crate::payment::custody::CustodyTimes;
use crate::payment::ids::{NodeId, OperationId};
use crate::payment::merchant::Merchant;
use crate::payment::moment::{NumberDate, UnixMillis};
use crate::payment::money::Money;
use crate::payment::operation::{OperationEvent, OperationKind, SuspendReason};
use crate::payment::record::{Operation, Payment};
use crate::payment::reference::SequenceNumber;
use crate::payment::samples::{self, NOW};
use crate::store::change::{Change, PaymentChange, RequestClaim, Verdict};

/// Now, for everybody: it is the moments of the records that move into the past.
pub(super) const MOMENT: (UnixMillis, CustodyTimes) = (
    NOW,
    CustodyTimes {
        late_days: 3,
        refund_days: 180,
    },
);
pub(super) const HOLD_DAYS: u16 = 7;
const REPLY: Duration = Duration::from_secs(5);

static MERCHANT: LazyLock<Merchant> = LazyLock::new(samples::merchant);
pub(super) static REPEATS: LazyLock<Repeats> = LazyLock::new(|| Repeats {
    cap: Some(2),
    ..Repeats::sample()
});
pub(super) static FLOWS: LazyLock<FlowTable> = LazyLock::new(|| {
    let (capture, void, refund) = (Arc::new(Capture), Arc::new(Void), Arc::new(Refund));
    FlowTable::default()
        .with(OperationKind::Authorization, Arc::new(Authorizes))
        .with(OperationKind::Sale, Arc::new(Authorizes))
        .with(OperationKind::Increment, Arc::new(Increment))
        .with(OperationKind::Capture, capture.clone())
        .with_owed(OperationKind::Capture, capture)
        .with(OperationKind::Void, void.clone())
        .with_owed(OperationKind::Void, void)
        .with(OperationKind::Refund, refund.clone())
        .with_owed(OperationKind::Refund, refund)
        .with_owed(OperationKind::Release, Arc::new(Release))
        .with_owed(OperationKind::Reversal, Arc::new(Reversal))
});

/// The flow of authorizations, without what opens their cards.
struct Authorizes;

impl Decides for Authorizes {
    fn decide(&self, exchange: &Exchange, subject: &Subject<'_>) -> Decision {
        authorization::decide(exchange, subject)
    }
}

/// A promise that is broken, in words.
pub(super) type Broken = String;

impl World {
    /// The world after an act; or the promise that the act broke.
    pub(super) fn after(
        &self,
        play: &Play,
        act: Act,
        reached: &mut Reached,
    ) -> Result<Self, Broken> {
        let mut world = self.clone();
        world.act(play, act, reached)?;
        Ok(world)
    }

    fn act(&mut self, play: &Play, act: Act, reached: &mut Reached) -> Result<(), Broken> {
        match act {
            Act::Asks(request) => {
                self.asked |= 1 << request;
                self.reads(request);
            }
            Act::Repeats(request) => {
                self.left.repeats -= 1;
                if request == 0 {
                    // Its payment is there, so that its intent is refused whatever is planned.
                    self.tell_as_before(request)?;
                } else {
                    self.reads(request);
                }
            }
            Act::Marks(request) => {
                self.asked |= 1 << request;
                self.mark_cancelled(request, reached)?;
            }
            Act::Records(place) => self.record_intent(play, place, reached)?,
            Act::Sends(place) => self.send(usize::from(place))?,
            Act::FailsToSend(place) => {
                self.answered(play, place, &Answer::NotSent.exchange(), reached)?;
            }
            Act::TimesOut(place) => {
                self.answered(play, place, &Answer::Lost.exchange(), reached)?;
            }
            Act::Dies(place) => self.die(place),
            Act::Reaches(number, answer, again) => self.reach(number, answer, again),
            Act::NeverReaches(number) => take(&mut self.to_bank, &number),
            Act::Hears(number, answer) => self.hear(play, number, answer, reached)?,
            Act::NeverHears(number, answer) => take(&mut self.to_us, &(number, answer)),
            Act::Recovers(number) => self.recover(play, number, reached)?,
            Act::SendsOwed(number) => self.begin_attempt(number, reached)?,
            Act::Resolves(number) => self.resolve(number, reached)?,
            Act::Retries(number) => self.retry(number, reached)?,
            Act::AgePasses => {
                self.left.ages -= 1;
                self.to_bank.clear();
                self.change_all(|records| records.passes(REPEATS.original_gone));
            }
            Act::HoldEnds => {
                self.left.hold_ends -= 1;
                self.bank.hold_ended = true;
                self.change_all(Records::hold_ends);
            }
            Act::Expires => self.expire(reached)?,
        }
        self.tasks.sort_by_key(Task::order);
        Ok(())
    }

    /// Writes a change; no promise that is kept may be broken by it.
    pub(super) fn commit(
        &mut self,
        change: &Change<'_>,
        reached: &mut Reached,
    ) -> Result<Verdict, Broken> {
        let mut records = Records::clone(&self.records);
        let verdict = records.commit(change, reached);
        if let Verdict::Committed { .. } = verdict {
            promises::of_change(&self.records, &records)?;
            self.records = Arc::new(records);
        }
        Ok(verdict)
    }

    /// A step of what is owed that nothing can be in the way of.
    pub(super) fn commit_now(
        &mut self,
        change: &Change<'_>,
        reached: &mut Reached,
    ) -> Result<(), Broken> {
        match self.commit(change, reached)? {
            Verdict::Committed { .. } => Ok(()),
            verdict => Err(format!("What follows can't be recorded: {verdict:?}")),
        }
    }

    fn change_all(&mut self, change: impl Fn(&mut Records)) {
        let changed = |records: &Arc<Records>| {
            let mut records = Records::clone(records);
            change(&mut records);
            Arc::new(records)
        };
        for task in &mut self.tasks {
            if let Task::Asked { basis, .. } = task {
                *basis = changed(basis);
            }
        }
        self.records = changed(&self.records);
    }

    fn reads(&mut self, request: u8) {
        let basis = Arc::clone(&self.records);
        self.tasks.push(Task::Asked { request, basis });
    }

    fn record_intent(
        &mut self,
        play: &Play,
        place: u8,
        reached: &mut Reached,
    ) -> Result<(), Broken> {
        let Task::Asked { request, basis } = self.tasks.remove(usize::from(place)) else {
            panic!("it is another task");
        };
        let Ok(plan) = plan(play, request, &basis) else {
            return self.tell_as_before(request);
        };
        let travel = plan.travel;
        let intent = match self.intent(request, plan) {
            Some(intent) => intent,
            None => return Ok(self.reads(request)),
        };
        match self.commit(&intent.change(), reached)? {
            Verdict::Committed { payment } => {
                let payment = Arc::from(payment.unwrap_or(intent.payment));
                let operation = Arc::from(intent.operation);
                if travel != Travel::Once {
                    return self.tell(request, &payment, &operation);
                }
                self.tasks.push(Task::Waiting {
                    request,
                    payment,
                    operation,
                    is_sent: false,
                    is_late: false,
                });
                Ok(())
            }
            Verdict::RequestTaken => self.tell_as_before(request),
            _ => Ok(self.reads(request)),
        }
    }

    /// The intent of a plan; none when the payment can't take its adjustment.
    fn intent(&self, request: u8, plan: Plan) -> Option<Intent> {
        let records = &self.records;
        let (payment_id, merchant_id) = (records.payment.id, records.payment.merchant_id);
        let (id, numbers) = self.next_numbers(0);
        let resource = plan.resource.as_ref().map(|new| {
            let of = (payment_id, id, merchant_id);
            Resource::new(new, of, plan.amount, (NOW, [nth(records.operations.len()); 10]))
        });
        let original = plan.original_id.map(|id| &**records.operation(id));
        let operation = planned_operation(
            &plan,
            (payment_id, id, node()),
            numbers,
            (original, resource.as_ref()),
            NOW,
        );
        let PlannedPayment::Adjusted {
            payment,
            adjustment,
        } = plan.payment
        else {
            panic!("it makes a payment");
        };
        let payment = adjustment.apply(payment).ok()?;
        let owes = self.owed_by(&operation, &plan.owes, 1);
        Some(Intent {
            claim: claim(request),
            envelope: None,
            payment,
            new_card: None,
            adjustment: Some(adjustment),
            unmoved: plan.unmoved,
            operation: Box::new(operation),
            original: None,
            card: None,
            travel: plan.travel,
            resource,
            owes,
        })
    }

    fn mark_cancelled(&mut self, request: u8, reached: &mut Reached) -> Result<(), Broken> {
        let adjustment = mark(NOW);
        let before = Box::new(Payment::clone(&self.records.payment));
        let after = match Cancelling::of(&before.state) {
            Cancelling::Marks => Some(adjustment.apply(before).map_err(|it| it.to_string())?),
            Cancelling::Nothing => None,
            // It is told that the payment is busy, or planned anew.
            Cancelling::Busy | Cancelling::TookEffect => return Ok(()),
        };
        let claim = claim(request);
        let first = Arc::clone(&self.records.operations[0]);
        let change = Change {
            claim: Some(&claim),
            payment: after.as_deref().map(|expected| PaymentChange::Adjusted {
                expected,
                adjustment: &adjustment,
            }),
            about: Some(&first),
            ..Change::default()
        };
        self.commit_now(&change, reached)
    }

    pub(super) fn cancels_by_a_void(&self) -> bool {
        Cancelling::of(&self.records.payment.state) == Cancelling::TookEffect
    }

    fn expire(&mut self, reached: &mut Reached) -> Result<(), Broken> {
        let payment = Payment::clone(&self.records.payment);
        let adjustment = end_of_hold(&payment, MOMENT);
        let Ok(expected) = adjustment.apply(Box::new(payment)) else {
            return Ok(());
        };
        let first = Arc::clone(&self.records.operations[0]);
        let change = Change {
            payment: Some(PaymentChange::Adjusted {
                expected: &expected,
                adjustment: &adjustment,
            }),
            about: Some(&first),
            ..Change::default()
        };
        self.commit_now(&change, reached)
    }

    fn begin_attempt(&mut self, number: u8, reached: &mut Reached) -> Result<(), Broken> {
        let operation = Arc::clone(&self.records.operations[usize::from(number)]);
        if self.in_hand(&operation) {
            self.left.mistaken -= 1;
        }
        let entry = self.records.entry(&operation).expect("it is owed");
        let suspended = |reason| {
            let event = OperationEvent::Suspended {
                reason,
                response_code: None,
            };
            OwedStep::of(&entry, event, Default::default(), MOMENT, |_| {})
        };
        if used_up(&operation, &REPEATS) {
            let step = suspended(SuspendReason::AttemptsUsedUp).map_err(|it| it.to_string())?;
            return self.commit_now(&step.change(), reached);
        }
        let all: Vec<_> = self.records.operations.iter().map(|it| Operation::clone(it)).collect();
        if overtakes_a_capture(&operation, &all) {
            return Ok(());
        }
        let flow = FLOWS.owed(operation.kind).expect("a flow of what is owed");
        let before = operation.attempts;
        let step = begun(&entry, flow, (&REPEATS, REPLY), node(), MOMENT);
        let step = step.map_err(|error| format!("What is owed can't be sent: {error}"))?;
        let Verdict::Committed { payment } = self.commit(&step.change(), reached)? else {
            return Err("What is owed can't be sent".into());
        };
        self.tasks.push(Task::Attempt {
            entry: Arc::new(step.entry(entry, payment)),
            before,
            is_sent: false,
        });
        Ok(())
    }

    fn send(&mut self, place: usize) -> Result<(), Broken> {
        let operation = match &mut self.tasks[place] {
            Task::Waiting {
                operation, is_sent, ..
            } => {
                *is_sent = true;
                Arc::clone(operation)
            }
            Task::Attempt { entry, is_sent, .. } => {
                *is_sent = true;
                Arc::new(entry.operation.clone())
            }
            Task::Asked { .. } => panic!("nothing is recorded"),
        };
        let number = self.records.number(operation.id);
        self.written.resize(self.records.operations.len(), 0);
        self.written[number] += 1;
        self.to_bank.push(nth(number));
        self.to_bank.sort_unstable();
        promises::of_sending(self, &operation)
    }

    fn die(&mut self, place: u8) {
        self.left.deaths -= 1;
        let operation = match self.tasks.remove(usize::from(place)) {
            Task::Asked { .. } => return,
            Task::Waiting { operation, .. } => operation.id,
            Task::Attempt { entry, .. } => entry.operation.id,
        };
        self.orphans |= 1 << self.records.number(operation);
    }

    fn reach(&mut self, number: u8, answer: Answer, again: bool) {
        if again {
            self.left.twice -= 1;
        } else {
            take(&mut self.to_bank, &number);
        }
        let operation = Arc::clone(&self.records.operations[usize::from(number)]);
        self.bank.does(&self.records, &operation, answer);
        self.to_us.push((number, answer));
        self.to_us.sort_unstable();
    }

    /// What the merchant is told, now or again.
    pub(super) fn tell(
        &mut self,
        request: u8,
        payment: &Arc<Payment>,
        operation: &Arc<Operation>,
    ) -> Result<(), Broken> {
        let told = &mut self.told[usize::from(request)];
        match told {
            None => *told = Some((Arc::clone(payment), Arc::clone(operation))),
            Some(before) => promises::of_telling(before, (payment, operation))?,
        }
        Ok(())
    }

    /// As a request is answered that is there already.
    fn tell_as_before(&mut self, request: u8) -> Result<(), Broken> {
        let claim = self.records.claim(&request_id(request));
        match claim.and_then(|claim| claim.answer.clone()) {
            Some((payment, operation)) => self.tell(request, &payment, &operation),
            // It is in progress, or refused.
            None => Ok(()),
        }
    }

    /// What `owing` makes owed: records for the numbers from `ahead` on.
    pub(super) fn owed_by(
        &self,
        owing: &Operation,
        owes: &[crate::operations::flow::Owes],
        ahead: usize,
    ) -> Vec<Operation> {
        let record = |(place, owes): (usize, &crate::operations::flow::Owes)| {
            let other = owes.original_id.filter(|id| *id != owing.id);
            let completed = other.map_or(owing, |id| self.records.operation(id));
            self.numbered(completed, owes, ahead + place)
        };
        owes.iter().enumerate().map(record).collect()
    }

    pub(super) fn numbered(
        &self,
        completed: &Operation,
        owes: &crate::operations::flow::Owes,
        ahead: usize,
    ) -> Operation {
        let (id, (stan, rrn)) = self.next_numbers(ahead);
        let owed = owed_record(completed, owes, (id, node()), NOW);
        Operation { stan, rrn, ..owed }
    }

    fn next_numbers(
        &self,
        ahead: usize,
    ) -> (
        OperationId,
        (crate::payment::reference::Stan, crate::payment::reference::Rrn),
    ) {
        let number = nth(self.records.operations.len() + ahead);
        let sequence = SequenceNumber::new(u64::from(number)).unwrap();
        let rrn = sequence.rrn(NumberDate::of(NOW));
        let id = OperationId::from_parts(NOW.plus_ms(1), [number; 10]);
        (id, (sequence.stan(), rrn))
    }
}

pub(super) fn nth(number: usize) -> u8 {
    u8::try_from(number).unwrap()
}

pub(super) fn node() -> NodeId {
    NodeId::from_parts(NOW, [3; 10])
}

fn claim(request: u8) -> RequestClaim {
    RequestClaim {
        merchant_id: MERCHANT.id,
        method: "Any",
        request_id: request_id(request),
        body_hash: [7; 32],
    }
}

pub(super) fn take<T: PartialEq>(all: &mut Vec<T>, one: &T) {
    let place = all.iter().position(|it| it == one);
    all.remove(place.expect("it is there"));
}

/// What a request comes to, by what was recorded when it was read.
fn plan(play: &Play, request: u8, basis: &Records) -> Result<Plan, LaterRefusal> {
    let payment = Payment::clone(&basis.payment);
    let (payment_id, currency) = (payment.id, payment.amount.currency());
    let money = |minor| Money::new(minor, currency).unwrap();
    match play.asks[usize::from(request) - 1] {
        Ask::Capture(minor, is_final) => {
            let command = CapturePayment {
                payment_id,
                amount: minor.map(money),
                is_final,
                merchant_reference: None,
            };
            planned(&Capture, &command, play, basis)
        }
        Ask::Refund(minor) => {
            let command = CreateRefund {
                payment_id,
                amount: minor.map(money),
                capture_id: None,
                merchant_reference: None,
            };
            planned(&Refund, &command, play, basis)
        }
        Ask::Increment(minor) => {
            let amount = money(minor);
            let command = IncrementAuthorization { payment_id, amount };
            planned(&Increment, &command, play, basis)
        }
        Ask::Void => planned(&Void, &VoidPayment { payment_id }, play, basis),
        Ask::Reverse => planned(&Reverse, &ReversePayment { payment_id }, play, basis),
        Ask::Cancel => planned(&Cancellation, &CancelPayment { payment_id }, play, basis),
    }
}

fn planned<F: Flow<Basis = Found, Refusal = LaterRefusal>>(
    flow: &F,
    command: &F::Command,
    play: &Play,
    basis: &Records,
) -> Result<Plan, LaterRefusal> {
    let payment = Box::new(Payment::clone(&basis.payment));
    let captures = match flow.reads_captures(&payment) {
        true => basis.captures(),
        false => Vec::new(),
    };
    let found = Found {
        payment,
        ways: play.ways(),
        captures,
        earlier: Vec::new(),
    };
    flow.plan(&MERCHANT, command, found, NOW)
}
