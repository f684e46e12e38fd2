//! What an act makes of a world. What a node does follows from the product's own functions; here stands in which order
//! it calls them.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use super::super::banks::Answer;
use super::play::Play;
use super::promises;
use super::reached::Reached;
use super::records::Records;
use super::world::{Act, Task, World, request_id};
use crate::app::flow_table::flow_table;
use crate::hosts::message::definition::Repeats;
use crate::operations::attempt::{begun, overtakes_a_capture, used_up};
use crate::operations::cancel::Cancelling;
use crate::operations::expiry::end_of_hold;
use crate::operations::flow::FlowTable;
use crate::operations::hold::by_message;
use crate::operations::owe::owed_record;
use crate::operations::owed_step::OwedStep;
use crate::operations::plan::Owes;
use crate::payment::custody::CustodyTimes;
use crate::payment::ids::{NodeId, OperationId};
use crate::payment::moment::{NumberDate, UnixMillis};
use crate::payment::operation::{OperationEvent, SuspendReason};
use crate::payment::record::{Operation, Payment};
use crate::payment::reference::{Rrn, SequenceNumber, Stan};
use crate::payment::samples::NOW;
use crate::store::change::{Change, PaymentChange, Verdict};

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

pub(super) static REPEATS: LazyLock<Repeats> = LazyLock::new(|| Repeats {
    cap: Some(2),
    ..Repeats::sample()
});
pub(super) static FLOWS: LazyLock<FlowTable> = LazyLock::new(flow_table);

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
            Act::Records(place) => self.record_intent(play, place, true, reached)?,
            Act::RecordsUnsure(place) => {
                self.left.unsure -= 1;
                self.record_intent(play, place, false, reached)?;
            }
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
                self.age();
            }
            Act::SlowAgePasses => {
                self.left.ages -= 1;
                self.left.slow -= 1;
                self.age();
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

    /// No bank sees an original any more. Nor is there an answer any more that says that an original was not known by
    /// then: a node could not tell it from the answer to a later message, and would believe it.
    fn age(&mut self) {
        self.to_us
            .retain(|(_, answer)| *answer != Answer::OriginalUnknown);
        self.change_all(|records| records.passes(REPEATS.original_gone));
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

    pub(super) fn reads(&mut self, request: u8) {
        let basis = Arc::clone(&self.records);
        self.tasks.push(Task::Asked { request, basis });
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
        if overtakes_a_capture(&operation, &self.records.all()) {
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
            number,
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
    pub(super) fn tell_as_before(&mut self, request: u8) -> Result<(), Broken> {
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
        payment: &Payment,
        owing: &Operation,
        owes: &[Owes],
        ahead: usize,
    ) -> Vec<Operation> {
        let all = self.records.all();
        let record = |(place, owes): (usize, &Owes)| {
            let other = owes.original_id.filter(|id| *id != owing.id);
            let completed = other.map_or(owing, |id| self.records.operation(id));
            self.numbered(completed, owes, ahead + place)
        };
        let named = by_message(payment, &all, owes);
        named.iter().enumerate().map(record).collect()
    }

    pub(super) fn numbered(&self, completed: &Operation, owes: &Owes, ahead: usize) -> Operation {
        let (id, (stan, rrn)) = self.next_numbers(ahead);
        let owed = owed_record(completed, owes, (id, node()), NOW);
        Operation { stan, rrn, ..owed }
    }

    pub(super) fn next_numbers(&self, ahead: usize) -> (OperationId, (Stan, Rrn)) {
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

pub(super) fn take<T: PartialEq>(all: &mut Vec<T>, one: &T) {
    let place = all.iter().position(|it| it == one);
    all.remove(place.expect("it is there"));
}
