//! How exchanges end: in time, late, by another node, by an operator.

use std::sync::Arc;

use super::super::banks::Answer;
use super::play::Play;
use super::reached::Reached;
use super::records::Answered;
use super::steps::{Broken, FLOWS, HOLD_DAYS, MOMENT, REPEATS, node, nth, take};
use super::world::{Task, World};
use crate::hosts::exchange::Exchange;
use crate::hosts::message::definition::UnknownRule;
use crate::operations::acknowledgement::without_approval;
use crate::operations::attempt::{End, approved_in_time, ended, original_moved_alone};
use crate::operations::conclude::{Recorded, answer_of, late_answer_of};
use crate::operations::flow::{OwedDecision, OwedSubject, Subject, unfinished};
use crate::operations::hold::held_increments;
use crate::operations::increments::{undoes_increments, undoing};
use crate::operations::late_answer::{Late, OwedAgain, debts_ended, ends_an_attempt, resolution};
use crate::operations::outcome::Outcome;
use crate::operations::owed_step::{Beside, OwedStep};
use crate::operations::plan::Owes;
use crate::operations::resolution::{
    OwedResolution, by_operator, effect_of_asked_for, of_authorization, of_later_operation,
};
use crate::operations::resolve_owed::retried;
use crate::payment::adjustment::without_effect;
use crate::payment::decline::{ResponseCode, UnknownReason};
use crate::payment::event::PaymentEvent;
use crate::payment::operation::{Open, OperationEvent, OperationState};
use crate::payment::operation_kind::OperationKind;
use crate::payment::reason::Reason;
use crate::payment::record::{Operation, Payment};
use crate::payment::samples::NOW;
use crate::store::change::Verdict;
use crate::store::reads::owed::OwedEntry;

impl World {
    /// The exchange of a task has ended.
    pub(super) fn answered(
        &mut self,
        play: &Play,
        place: u8,
        exchange: &Exchange,
        reached: &mut Reached,
    ) -> Result<(), Broken> {
        match self.tasks.remove(usize::from(place)) {
            Task::Asked { .. } => panic!("nothing was sent"),
            Task::Waiting {
                request,
                payment,
                operation,
                ..
            } => self.conclude(play, request, (payment, operation), exchange, reached),
            Task::Attempt { entry, before, .. } => {
                let mut entry = OwedEntry::clone(&entry);
                if let Exchange::NotSent(_) = exchange {
                    entry.operation.attempts = before;
                }
                self.end_attempt(entry, exchange, reached)
            }
        }
    }

    fn decide(
        &self,
        play: &Play,
        (payment, operation): (Box<Payment>, Box<Operation>),
        exchange: &Exchange,
    ) -> Result<Outcome, Broken> {
        let decide = FLOWS.of(operation.kind).expect("a flow of requests");
        let subject = Subject::of((&payment, &operation), play.unknown(operation.kind), NOW);
        let mut decision = decide(exchange, &subject);
        let owes = std::mem::take(&mut decision.owes);
        let outcome = Outcome::of(payment, operation, exchange, decision, MOMENT);
        let mut outcome = outcome.map_err(|error| format!("An end does not fit: {error}"))?;
        self.undo_with(&mut outcome);
        let ahead = outcome.owes.len();
        let owed = self.owed_by(&outcome.payment, &outcome.operation, &owes, ahead);
        outcome.owes.extend(owed);
        Ok(outcome)
    }

    fn undo_with(&self, outcome: &mut Outcome) {
        let event = outcome.adjustment.as_ref().map(|it| &it.event);
        let undone = self.undone_with(event);
        outcome.owes.extend(undone);
    }

    fn undone_with(&self, event: Option<&PaymentEvent>) -> Vec<Operation> {
        if !undoes_increments(event) {
            return Vec::new();
        }
        let all = self.records.all();
        let held = held_increments(&all).enumerate();
        let owed = held.map(|(place, it)| self.numbered(it, &undoing(it), place));
        owed.collect()
    }

    fn conclude(
        &mut self,
        play: &Play,
        request: u8,
        (payment, operation): Answered,
        exchange: &Exchange,
        reached: &mut Reached,
    ) -> Result<(), Broken> {
        let id = operation.id;
        let mut records = (
            Box::new(Payment::clone(&payment)),
            Box::new(Operation::clone(&operation)),
        );
        for _ in 0..2 {
            let outcome = self.decide(play, records, exchange)?;
            if let Verdict::Committed { payment } = self.commit(&outcome.change(), reached)? {
                let payment = payment.unwrap_or(outcome.payment);
                return self.tell(request, &Arc::from(payment), &Arc::from(outcome.operation));
            }
            let (payment, standing) = self.records.told(id);
            let (payment, standing) = (Payment::clone(&payment), Operation::clone(&standing));
            match Recorded::refused(Box::new(payment), Box::new(standing)) {
                Some(Recorded::EndedBefore(payment, operation)) => {
                    if let Some((code, _)) = answer_of(&outcome.operation) {
                        let late = late_answer_of(&outcome.operation);
                        self.keep_late(id, &late, code, reached)?;
                    }
                    return self.tell(request, &Arc::from(payment), &Arc::from(operation));
                }
                Some(Recorded::Cancelled(payment, operation)) => records = (payment, operation),
                _ => return Err("The end of an operation does not fit what is recorded".into()),
            }
        }
        Err("An operation has no end".into())
    }

    /// Another node ends an operation, past its time.
    pub(super) fn recover(
        &mut self,
        play: &Play,
        number: u8,
        reached: &mut Reached,
    ) -> Result<(), Broken> {
        let operation = Arc::clone(&self.records.operations[usize::from(number)]);
        if self.in_hand(&operation) {
            self.left.mistaken -= 1;
        }
        for task in &mut self.tasks {
            if let Task::Waiting {
                operation: it,
                is_late,
                ..
            } = task
                && it.id == operation.id
            {
                *is_late = true;
            }
        }
        let exchange = unfinished();
        let records = (
            Box::new(Payment::clone(&self.records.payment)),
            Box::new(Operation::clone(&operation)),
        );
        let outcome = self.decide(play, records, &exchange)?;
        self.commit_now(&outcome.change(), reached)
    }

    /// An answer comes: to the task that waits for it, or late.
    pub(super) fn hear(
        &mut self,
        play: &Play,
        number: u8,
        answer: Answer,
        reached: &mut Reached,
    ) -> Result<(), Broken> {
        take(&mut self.to_us, &(number, answer));
        let id = self.records.operations[usize::from(number)].id;
        let waits = |task: &Task| match task {
            Task::Asked { .. } => false,
            Task::Waiting {
                operation, is_sent, ..
            } => *is_sent && operation.id == id,
            Task::Attempt { entry, is_sent, .. } => *is_sent && entry.operation.id == id,
        };
        if let Some(place) = self.tasks.iter().position(waits) {
            return self.answered(play, nth(place), &answer.exchange(), reached);
        }
        let exchange = answer.exchange();
        if self.orphans & 1 << number == 0 {
            return self.keep_late(id, &exchange, answer.response_code(), reached);
        }
        // It matches nothing in the memory of a node. Of its meaning only a decline is left.
        if !self.records.would_be_late(usize::from(number)) {
            return Ok(());
        }
        let exchange = match exchange {
            Exchange::Declined { .. } => exchange,
            _ => Exchange::Unknown(UnknownReason::AnswerNotUnderstood),
        };
        self.keep_late(id, &exchange, answer.response_code(), reached)
    }

    fn keep_late(
        &mut self,
        id: crate::payment::ids::OperationId,
        exchange: &Exchange,
        code: ResponseCode,
        reached: &mut Reached,
    ) -> Result<(), Broken> {
        let operation = Operation::clone(self.records.operation(id));
        if operation.state.open() == Open::Owed {
            let entry = self.records.entry(&operation);
            return match entry.filter(|_| ends_an_attempt(exchange)) {
                Some(entry) => self.end_attempt(entry, exchange, reached),
                None => Ok(()),
            };
        }
        let number = self.records.number(id);
        Arc::make_mut(&mut self.records).heard_late(number, code == ResponseCode::APPROVED);
        let about = match operation.state {
            OperationState::Unknown { .. } => self.records.about(&operation),
            _ => Vec::new(),
        };
        match Late::of(&operation, &about, exchange) {
            Late::Resolves => self.resolve_late(operation, exchange, code, reached),
            Late::EndsDebt(decline) => {
                for reversal in debts_ended(&operation, &about) {
                    let entry = self.records.entry(reversal).expect("it is owed");
                    let beside = Beside::declined_late(&entry.original, decline);
                    let event = OperationEvent::Cancelled;
                    let step = OwedStep::of(&entry, event, beside, MOMENT, |_| {});
                    let step = step.map_err(|error| format!("A late decline: {error}"))?;
                    self.commit_now(&step.change(), reached)?;
                }
                Ok(())
            }
            Late::MayOwe => self.owe_again(&operation, reached),
            Late::OnlyKept => Ok(()),
        }
    }

    fn resolve_late(
        &mut self,
        operation: Operation,
        exchange: &Exchange,
        code: ResponseCode,
        reached: &mut Reached,
    ) -> Result<(), Broken> {
        let decide = FLOWS.of(operation.kind).expect("a flow of requests");
        let payment = Box::new(Payment::clone(&self.records.payment));
        let subject = Subject::of((&payment, &operation), UnknownRule::Wait, NOW);
        let Some(mut decision) = resolution(decide, exchange, &subject, code) else {
            return Ok(());
        };
        let owes = std::mem::take(&mut decision.owes);
        let owed = self.owed_by(&payment, &operation, &owes, 0);
        let outcome = Outcome::of(payment, Box::new(operation), exchange, decision, MOMENT);
        let outcome = outcome.map_err(|error| format!("A late answer does not fit: {error}"))?;
        let mut outcome = Outcome {
            owes: owed,
            answers: false,
            ..outcome
        };
        self.undo_with(&mut outcome);
        self.commit_now(&outcome.change(), reached)
    }

    fn owe_again(&mut self, original: &Operation, reached: &mut Reached) -> Result<(), Broken> {
        let (about, payment) = (self.records.about(original), &self.records.payment);
        let again = OwedAgain::of(original, &about, payment, MOMENT);
        let Some(mut again) = again.map_err(|error| format!("A late approval: {error}"))? else {
            return Ok(());
        };
        if again.owes {
            let owes = Owes::reversal(original, Reason::LateApproval);
            again.reversal = Some(self.numbered(original, &owes, 0));
        }
        self.commit_now(&again.change(), reached)
    }

    fn end_attempt(
        &mut self,
        mut entry: OwedEntry,
        exchange: &Exchange,
        reached: &mut Reached,
    ) -> Result<(), Broken> {
        loop {
            let operation = &entry.operation;
            let flow = FLOWS.owed(operation.kind).expect("a flow of what is owed");
            let number = self.records.number(entry.original.id);
            let approved_late = self.records.approved_late & 1 << number != 0;
            let approved = matches!(exchange, Exchange::OriginalUnknown { .. })
                && (approved_in_time(&entry.original) || approved_late);
            let decision = flow.decide(
                exchange,
                &OwedSubject {
                    operation,
                    original: &entry.original,
                    payment: &entry.payment,
                    repeats: &REPEATS,
                    approved,
                },
            );
            let owes = match &decision {
                OwedDecision::Done { payment, .. } => {
                    self.undone_with(payment.as_ref().map(|(event, _)| event))
                }
                _ => Vec::new(),
            };
            let end = End {
                exchange,
                decision,
                owes,
            };
            let Some(step) = ended(&entry, end, (node(), &REPEATS), MOMENT) else {
                return Ok(());
            };
            let step = step.map_err(|error| format!("An acknowledgement: {error}"))?;
            if let Verdict::Committed { .. } = self.commit(&step.change(), reached)? {
                return Ok(());
            }
            let current = Operation::clone(self.records.operation(operation.id));
            let moved = self.records.entry(&current).expect("it is owed");
            let versions = (operation.version, entry.original.version);
            if !original_moved_alone(versions, &moved) {
                return Ok(());
            }
            entry = moved;
        }
    }

    /// An operator asks the bank, and says what it says.
    pub(super) fn resolve(&mut self, number: u8, reached: &mut Reached) -> Result<(), Broken> {
        self.left.operator -= 1;
        let operation = Operation::clone(&self.records.operations[usize::from(number)]);
        let entry = self.records.entry(&operation).expect("it has an original");
        let asked = match operation.kind {
            OperationKind::Reversal => self.records.number(entry.original.id),
            _ => usize::from(number),
        };
        let done = self.bank.of(asked);
        let resolution = match (done.answer == Some(Answer::Approved), done.undone) {
            (true, true) => OwedResolution::Undone,
            (true, false) => OwedResolution::Stands,
            (false, _) => OwedResolution::NeverHappened,
        };
        let stands = resolution == OwedResolution::Stands;
        let released = |operation: &Operation| {
            let releases = Owes::release(&entry.payment, operation.releases_minor);
            let unknown = matches!(operation.state, OperationState::Unknown { .. }) && stands;
            match unknown {
                true => self.owed_by(&entry.payment, operation, &releases, 0),
                false => Vec::new(),
            }
        };
        let (event, beside) = match operation.kind {
            OperationKind::Reversal if without_effect(&entry.original).is_some() => {
                let beside = of_later_operation(&entry.original, resolution);
                let owes = released(&entry.original);
                let event = by_operator(resolution == OwedResolution::Undone);
                (event, Beside { owes, ..beside })
            }
            OperationKind::Reversal => {
                let approval = without_approval(ResponseCode::APPROVED);
                let event = by_operator(resolution == OwedResolution::Undone);
                let beside =
                    of_authorization(&entry, resolution, stands.then_some(approval), HOLD_DAYS);
                (event, beside)
            }
            _ => {
                let (payment, change) = effect_of_asked_for(&operation, stands).unzip();
                let mut owes = self.undone_with(payment.as_ref());
                owes.extend(released(&operation));
                let beside = Beside {
                    payment,
                    change: change.unwrap_or_default(),
                    owes,
                    ..Beside::default()
                };
                (by_operator(stands), beside)
            }
        };
        let step = OwedStep::of(&entry, event, beside, MOMENT, |_| {});
        let step = step.map_err(|error| format!("An operator's word does not fit: {error}"))?;
        self.commit_now(&step.change(), reached)
    }

    /// An operator has a suspended message sent again.
    pub(super) fn retry(&mut self, number: u8, reached: &mut Reached) -> Result<(), Broken> {
        self.left.operator -= 1;
        let operation = Operation::clone(&self.records.operations[usize::from(number)]);
        let entry = self.records.entry(&operation).expect("it has an original");
        let step = retried(&entry, node(), MOMENT).map_err(|error| error.to_string())?;
        self.commit_now(&step.change(), reached)
    }
}
