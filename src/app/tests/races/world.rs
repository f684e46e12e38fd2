//! The world of the model: what is recorded, what the bank has done, what is on its way, and what nodes have in hand.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use foldhash::fast::FixedState;
use std::hash::BuildHasher;

use super::super::banks::Answer;
use super::bank::Bank;
use super::play::{Ask, Budget, Play};
use super::records::{Answered, Claim, Records, hash_payment, is_sent_again};
use crate::payment::money::Money;
use crate::payment::operation::OperationState;
use crate::payment::operation_kind::OperationKind;
use crate::payment::record::{Attempts, Operation, Payment};
use crate::payment::samples;
use crate::store::reads::owed::OwedEntry;

/// What a node has in hand.
#[derive(Clone)]
pub(super) enum Task {
    /// A request was read, with what was recorded then. Its intent is recorded next.
    Asked { request: u8, basis: Arc<Records> },
    /// An intent is recorded, and its answer waited for.
    Waiting {
        request: u8,
        payment: Arc<Payment>,
        operation: Arc<Operation>,
        is_sent: bool,
        /// Its time is over: no byte of it leaves any more.
        is_late: bool,
    },
    /// An attempt to send what is owed is recorded.
    Attempt {
        number: u8,
        entry: Arc<OwedEntry>,
        before: Attempts,
        is_sent: bool,
    },
}

impl Task {
    /// Where it stands among others: the order in which they were begun makes no difference.
    pub(super) fn order(&self) -> (u8, u8, bool) {
        match self {
            Self::Asked { request, .. } => (0, *request, false),
            Self::Waiting { request, .. } => (1, *request, false),
            Self::Attempt {
                number, is_sent, ..
            } => (2, *number, *is_sent),
        }
    }
}

/// What can happen next. Tasks are named by their place, operations by their number, requests by theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    Asks(u8),
    Repeats(u8),
    /// The merchant cancels the payment by the name of its request, and nothing is to be sent for that.
    Marks(u8),
    Records(u8),
    /// Its COMMIT is not confirmed.
    RecordsUnsure(u8),
    Sends(u8),
    FailsToSend(u8),
    TimesOut(u8),
    Dies(u8),
    /// A message comes to the bank, which answers; and whether another copy of the message is on its way still.
    Reaches(u8, Answer, bool),
    NeverReaches(u8),
    Hears(u8, Answer),
    NeverHears(u8, Answer),
    Recovers(u8),
    SendsOwed(u8),
    Resolves(u8),
    Retries(u8),
    AgePasses,
    /// It passes, and the messages on their way are not lost by it.
    SlowAgePasses,
    HoldEnds,
    Expires,
}

#[derive(Clone)]
pub(super) struct World {
    pub(super) records: Arc<Records>,
    pub(super) bank: Bank,
    /// By the operation's number, in order.
    pub(super) to_bank: Vec<u8>,
    pub(super) to_us: Vec<(u8, Answer)>,
    pub(super) tasks: Vec<Task>,
    /// The requests that were made, a bit each.
    pub(super) asked: u16,
    /// What the merchant was told first, by request.
    pub(super) told: Vec<Option<Answered>>,
    /// How often each operation was handed to a socket.
    pub(super) written: Vec<u8>,
    /// The operations whose sender has died, a bit each.
    pub(super) orphans: u32,
    pub(super) left: Budget,
}

impl World {
    /// The merchant has asked for an authorization, or a sale, whose intent is recorded.
    pub(super) fn first(play: &Play) -> Self {
        let mut operation = samples::operation();
        operation.amount = Money::new(play.amount, operation.amount.currency()).unwrap();
        if play.is_sale {
            operation.kind = OperationKind::Sale;
        }
        let mut captures = Vec::new();
        if play.is_sale {
            captures.push(samples::capture_of(&operation));
        }
        let payment = Arc::new(samples::payment_of(&operation));
        let operation = Arc::new(operation);
        Self {
            records: Arc::new(Records {
                payment: Arc::clone(&payment),
                captures,
                claims: vec![Claim {
                    request_id: request_id(0),
                    operation: operation.id,
                    answer: None,
                }],
                operations: vec![Arc::clone(&operation)],
                approved_late: 0,
            }),
            bank: Bank::default(),
            to_bank: Vec::new(),
            to_us: Vec::new(),
            tasks: vec![Task::Waiting {
                request: 0,
                payment,
                operation,
                is_sent: false,
                is_late: false,
            }],
            asked: 1,
            told: vec![None; play.asks.len() + 1],
            written: Vec::new(),
            orphans: 0,
            left: play.budget,
        }
    }

    /// What identifies it, as far as its future depends on it. Two worlds with one name would be taken for one: of ten
    /// million that happens once in several hundred thousand runs.
    pub(super) fn name(&self) -> u64 {
        let mut state = FixedState::default().build_hasher();
        self.records.hash(&mut state);
        self.bank.hash(&mut state);
        self.to_bank.hash(&mut state);
        self.to_us.hash(&mut state);
        for task in &self.tasks {
            self.hash_task(task, &mut state);
        }
        self.asked.hash(&mut state);
        for told in &self.told {
            told.is_some().hash(&mut state);
            if let Some((payment, operation)) = told {
                hash_payment(payment, &mut state);
                operation.state.hash(&mut state);
            }
        }
        self.written.hash(&mut state);
        self.orphans.hash(&mut state);
        self.left.hash(&mut state);
        state.finish()
    }

    fn hash_task<H: Hasher>(&self, task: &Task, state: &mut H) {
        match task {
            Task::Asked { request, basis } => {
                (0_u8, request).hash(state);
                let is_same = basis.payment.version == self.records.payment.version;
                is_same.hash(state);
                if !Arc::ptr_eq(basis, &self.records) {
                    basis.hash(state);
                } else {
                    self.records.hash(state);
                }
            }
            Task::Waiting {
                request,
                payment,
                operation,
                is_sent,
                is_late,
            } => {
                (1_u8, request, is_sent, is_late).hash(state);
                hash_payment(payment, state);
                let recorded = self.records.operation(operation.id);
                (operation.version == recorded.version).hash(state);
            }
            Task::Attempt { entry, is_sent, .. } => {
                (2_u8, is_sent).hash(state);
                hash_payment(&entry.payment, state);
                for operation in [&entry.operation, &entry.original] {
                    self.records.hash_operation(operation, state);
                    let recorded = self.records.operation(operation.id);
                    (operation.version == recorded.version).hash(state);
                }
            }
        }
    }

    /// Everything that can happen next.
    pub(super) fn acts(&self, play: &Play) -> Vec<Act> {
        let mut acts = Vec::new();
        self.acts_of_merchant(play, &mut acts);
        self.acts_of_tasks(&mut acts);
        for (place, &number) in self.to_bank.iter().enumerate() {
            if self.to_bank[..place].contains(&number) {
                continue;
            }
            let operation = &self.records.operations[usize::from(number)];
            for answer in self.bank.answers(&self.records, operation, play.doubts) {
                acts.push(Act::Reaches(number, answer, false));
                if self.left.twice > 0 {
                    acts.push(Act::Reaches(number, answer, true));
                }
            }
            acts.push(Act::NeverReaches(number));
        }
        for (place, &(number, answer)) in self.to_us.iter().enumerate() {
            if self.to_us[..place].contains(&(number, answer)) {
                continue;
            }
            acts.push(Act::Hears(number, answer));
            if self.left.slow == play.budget.slow {
                acts.push(Act::NeverHears(number, answer));
            }
        }
        for (number, operation) in self.records.operations.iter().enumerate() {
            self.acts_on(u8::try_from(number).unwrap(), operation, &mut acts);
        }
        let is_idle = !self
            .tasks
            .iter()
            .any(|it| !matches!(it, Task::Asked { .. }));
        if is_idle && self.left.ages > 0 {
            acts.push(Act::AgePasses);
            if self.left.slow > 0 && !self.to_bank.is_empty() {
                acts.push(Act::SlowAgePasses);
            }
        }
        let payment = &self.records.payment;
        if self.left.hold_ends > 0 && payment.state.expires_at().is_some() {
            acts.push(Act::HoldEnds);
        }
        if self.bank.hold_ended && payment.state.hold_ends_at().is_some() {
            acts.push(Act::Expires);
        }
        acts
    }

    fn acts_of_merchant(&self, play: &Play, acts: &mut Vec<Act>) {
        for request in 0..=u8::try_from(play.asks.len()).unwrap() {
            let was_asked = self.asked & 1 << request != 0;
            if was_asked && self.left.repeats > 0 {
                acts.push(Act::Repeats(request));
            }
            if !was_asked {
                let ask = play.asks[usize::from(request) - 1];
                acts.push(match ask {
                    Ask::Cancel if !self.cancels_by_a_void() => Act::Marks(request),
                    _ => Act::Asks(request),
                });
            }
        }
    }

    fn acts_of_tasks(&self, acts: &mut Vec<Act>) {
        for (place, task) in (0_u8..).zip(&self.tasks) {
            match task {
                Task::Asked { .. } => {
                    acts.push(Act::Records(place));
                    if self.left.unsure > 0 {
                        acts.push(Act::RecordsUnsure(place));
                    }
                }
                Task::Waiting { is_sent: true, .. } | Task::Attempt { is_sent: true, .. } => {
                    acts.push(Act::TimesOut(place));
                }
                Task::Waiting { is_late, .. } => {
                    if !is_late {
                        acts.push(Act::Sends(place));
                    }
                    acts.push(Act::FailsToSend(place));
                }
                Task::Attempt { .. } => acts.extend([Act::Sends(place), Act::FailsToSend(place)]),
            }
            if self.left.deaths > 0 {
                acts.push(Act::Dies(place));
            }
        }
    }

    /// What others do about an operation.
    fn acts_on(&self, number: u8, operation: &Operation, acts: &mut Vec<Act>) {
        let in_hand = self.in_hand(operation);
        let may_be_taken = !in_hand || self.left.mistaken > 0;
        if operation.state == OperationState::Created && may_be_taken {
            acts.push(Act::Recovers(number));
        }
        if is_sent_again(operation) && may_be_taken {
            acts.push(Act::SendsOwed(number));
        }
        let about = self.records.about(operation);
        let is_before_an_operator = match operation.state {
            OperationState::Suspended { .. } => true,
            OperationState::Unknown { .. } => {
                about.is_empty() && operation.kind != OperationKind::Authorization
            }
            _ => false,
        };
        // Nobody can say what a bank has done as long as messages are on their way to it.
        if is_before_an_operator && self.left.operator > 0 && !in_hand && self.to_bank.is_empty() {
            acts.push(Act::Resolves(number));
            if matches!(operation.state, OperationState::Suspended { .. }) {
                acts.push(Act::Retries(number));
            }
        }
    }

    /// Whether a task works on an operation.
    pub(super) fn in_hand(&self, operation: &Operation) -> bool {
        self.tasks.iter().any(|task| match task {
            Task::Asked { .. } => false,
            Task::Waiting { operation: it, .. } => it.id == operation.id,
            Task::Attempt { entry, .. } => entry.operation.id == operation.id,
        })
    }
}

pub(super) fn request_id(request: u8) -> String {
    request.to_string()
}

/// An operation by its number and its kind.
struct Shown<'a>(&'a World, u8);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operation = &self.0.records.operations[usize::from(self.1)];
        let (kind, minor) = (operation.kind.name(), operation.amount.amount_minor());
        write!(f, "{} of {minor} (no. {})", kind.to_lowercase(), self.1)
    }
}

impl World {
    /// An act in words.
    pub(super) fn tells(&self, play: &Play, act: Act) -> String {
        let of_task = |place: u8| match &self.tasks[usize::from(place)] {
            Task::Asked { request, .. } => asked(play, *request),
            Task::Waiting { operation, .. } => self.shown(operation),
            Task::Attempt { entry, .. } => self.shown(&entry.operation),
        };
        let of = |number| Shown(self, number);
        match act {
            Act::Asks(request) => format!("The merchant asks for {}.", asked(play, request)),
            Act::Repeats(request) => format!("The merchant repeats {}.", asked(play, request)),
            Act::Marks(_) => "The merchant cancels the payment by its request's name.".into(),
            Act::Records(place) => format!("A node records {}.", of_task(place)),
            Act::RecordsUnsure(place) => {
                format!("A node records {}, and is not told.", of_task(place))
            }
            Act::Sends(place) => format!("The message of {} leaves.", of_task(place)),
            Act::FailsToSend(place) => format!("No line takes the {}.", of_task(place)),
            Act::TimesOut(place) => format!("No answer to the {} came in time.", of_task(place)),
            Act::Dies(place) => format!("The node that works on {} dies.", of_task(place)),
            Act::Reaches(number, answer, again) => {
                let again = if again {
                    "; the network has another copy"
                } else {
                    ""
                };
                format!(
                    "The {} reaches the bank, which says {answer:?}{again}.",
                    of(number)
                )
            }
            Act::NeverReaches(number) => format!("The {} is lost on its way.", of(number)),
            Act::Hears(number, answer) => format!("{answer:?} comes for the {}.", of(number)),
            Act::NeverHears(number, answer) => {
                format!("{answer:?} for the {} is lost.", of(number))
            }
            Act::Recovers(number) => format!("Another node ends the {}.", of(number)),
            Act::SendsOwed(number) => format!("A node takes the {} to send it.", of(number)),
            Act::Resolves(number) => format!("An operator says what became of {}.", of(number)),
            Act::Retries(number) => format!("An operator has the {} sent again.", of(number)),
            Act::AgePasses => "Time passes: no bank sees an original any more.".into(),
            Act::SlowAgePasses => "Time passes, and what is on its way stays so.".into(),
            Act::HoldEnds => "The time of the hold is over.".into(),
            Act::Expires => "A node looks for holds that have ended.".into(),
        }
    }

    fn shown(&self, operation: &Operation) -> String {
        let number = self.records.number(operation.id);
        Shown(self, u8::try_from(number).unwrap()).to_string()
    }
}

fn asked(play: &Play, request: u8) -> String {
    match usize::from(request).checked_sub(1) {
        None => "the payment".into(),
        Some(place) => format!("{:?}", play.asks[place]).to_lowercase(),
    }
}
