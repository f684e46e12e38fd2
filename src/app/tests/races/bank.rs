//! The bank of the model: what it has done, message by message. It repeats its answer to a repeated message, and does
//! nothing twice.

use super::super::banks::Answer;
use super::records::Records;
use crate::payment::operation::OperationState;
use crate::payment::operation_kind::OperationKind;
use crate::payment::record::Operation;

/// What came of one message at the bank.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Done {
    /// What it answered first; none of what it has not seen.
    pub(super) answer: Option<Answer>,
    /// Whether it has undone that.
    pub(super) undone: bool,
}

/// The bank's book, by the numbers of the operations.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Bank {
    done: Vec<Done>,
    /// Whether it holds nothing any more, because the time for that is over.
    pub(super) hold_ended: bool,
}

/// What a bank has to do with money.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Book {
    pub(super) held: i64,
    pub(super) captured: i64,
    pub(super) refunded: i64,
    pub(super) released: i64,
}

impl Bank {
    pub(super) fn of(&self, number: usize) -> Done {
        self.done.get(number).copied().unwrap_or_default()
    }

    /// Whether it has done what the message says, and not undone it.
    pub(super) fn stands(&self, number: usize) -> bool {
        let done = self.of(number);
        done.answer == Some(Answer::Approved) && !done.undone
    }

    /// By the number of each message that it holds, how much of that it has released.
    fn released(&self, records: &Records) -> Vec<i64> {
        let mut released = vec![0; records.operations.len()];
        for (number, operation) in records.operations.iter().enumerate() {
            let is_done = self.stands(number) || operation.state == OperationState::Recorded;
            let Some(original) = operation.original_id.map(|id| records.number(id)) else {
                continue;
            };
            if operation.kind == OperationKind::Release && is_done && self.stands(original) {
                released[original] = operation.releases_minor.max(released[original]);
            }
        }
        released
    }

    pub(super) fn book(&self, records: &Records) -> Book {
        let mut book = Book::default();
        let mut voided = None;
        let mut released = self.released(records);
        for (number, operation) in records.operations.iter().enumerate() {
            // A file reaches it some day.
            if !self.stands(number) && operation.state != OperationState::Recorded {
                continue;
            }
            let minor = operation.amount.amount_minor();
            match operation.kind {
                OperationKind::Authorization | OperationKind::Increment => book.held += minor,
                OperationKind::Sale => {
                    book.held += minor;
                    book.captured += minor;
                }
                OperationKind::Capture => book.captured += minor,
                OperationKind::Refund => book.refunded += minor,
                OperationKind::Void => voided = Some(operation),
                _ => {}
            }
        }
        if let Some(void) = voided {
            released[records.number(void.original_id.expect("an original"))] = 0;
            book.held -= void.amount.amount_minor();
            book.captured -= void.subject_id.map_or(0, |_| void.amount.amount_minor());
        }
        book.released = released.iter().sum();
        book
    }

    /// What it can answer to a message of `operation`.
    pub(super) fn answers(
        &self,
        records: &Records,
        operation: &Operation,
        doubts: bool,
    ) -> Vec<Answer> {
        use Answer as A;
        let number = records.number(operation.id);
        match self.of(number).answer {
            // An advice that it has seen before is taken.
            Some(A::Approved) if doubts && operation.attempts.count > 1 => {
                return vec![A::Approved, A::Taken];
            }
            Some(answer) if answer != A::OriginalUnknown => return vec![answer],
            _ => {}
        }
        let minor = operation.amount.amount_minor();
        let book = self.book(records);
        let original = operation.original_id.map(|id| records.number(id));
        let free = book.held - book.captured - book.released;
        let is_able = match operation.kind {
            OperationKind::Authorization | OperationKind::Sale => true,
            OperationKind::Increment => book.held > 0 && !self.hold_ended,
            OperationKind::Capture => free >= minor,
            OperationKind::Release => {
                let original = original.expect("an original");
                let before = self.released(records)[original];
                let most = records.operations[original].amount.amount_minor();
                operation.releases_minor <= most && free >= operation.releases_minor - before
            }
            OperationKind::Refund => book.captured - book.refunded >= minor,
            OperationKind::Void => book.refunded == 0 && book.held >= minor,
            OperationKind::Reversal => {
                let done = self.of(original.unwrap_or(0));
                return match (done.answer, done.undone) {
                    (Some(A::Approved), true) if doubts => vec![A::Approved, A::Taken],
                    (Some(A::Approved), _) => vec![A::Approved],
                    _ => vec![A::OriginalUnknown],
                };
            }
            _ => false,
        };
        match is_able {
            // It can't refuse to give back what it holds.
            true if operation.kind == OperationKind::Release => vec![A::Approved],
            true => vec![A::Approved, A::Declined],
            false => vec![A::Declined],
        }
    }

    /// It does what it answers.
    pub(super) fn does(&mut self, records: &Records, operation: &Operation, answer: Answer) {
        let number = records.number(operation.id);
        self.done.resize(records.operations.len(), Done::default());
        if answer != Answer::Taken {
            self.done[number].answer = Some(answer);
        }
        if operation.kind == OperationKind::Reversal
            && answer == Answer::Approved
            && let Some(original) = operation.original_id
        {
            self.done[records.number(original)].undone = true;
        }
    }
}
