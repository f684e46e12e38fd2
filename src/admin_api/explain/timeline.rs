//! What happened to a payment, an entry for each thing, in the order in which things happened.

use super::words::{Labels, amount, amounts, declined, state, variant};
use crate::flows::cancellation::Cancellation;
use crate::hosts::message::shown::ShownElement;
use crate::operations::flow::Flow as _;
use crate::payment::ids::OperationId;
use crate::payment::moment::{UnixMillis, span};
use crate::payment::operation::{Acknowledged, OperationState, ResolvedBy};
use crate::payment::operation_kind::OperationKind;
use crate::payment::record::Operation;
use crate::payment::reference::Stan;
use crate::random::HashMap;
use crate::store::reads::explain::{PaymentRecords, RecordedRequest};
use crate::store::reads::ledger::KeptJournal;
use crate::store::records::{QuarantinedResponse, RecordedEvent};

/// What kind of thing happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::admin_api) enum EntryKind {
    /// A request was taken.
    Request,
    /// An operation was recorded.
    Operation,
    /// A message was sent, or was about to be.
    Message,
    /// The bank answered.
    Answer,
    /// An operation ended, or came to a halt, without an answer that says so.
    End,
    /// The bank answered too late.
    LateResponse,
    /// The payment changed.
    Payment,
    /// Money moved.
    Journal,
    /// The answer to a request was recorded.
    Told,
    /// A message came that matched nothing.
    Quarantine,
    /// An operator did something.
    Operator,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::admin_api) struct Entry {
    pub(in crate::admin_api) at: UnixMillis,
    pub(in crate::admin_api) kind: EntryKind,
    pub(in crate::admin_api) text: String,
    pub(in crate::admin_api) operation_id: Option<OperationId>,
    /// Among all events.
    pub(in crate::admin_api) position: Option<i64>,
    /// What is known of a message; that of a payment's own messages is for others to say.
    pub(in crate::admin_api) elements: Vec<ShownElement>,
}

/// The order of what has the same time and is about the same operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Asked,
    Recorded,
    /// The payment changed with the intent.
    Begun,
    Sent,
    SentAgain,
    Ended,
    CameLate,
    /// The payment changed with the end.
    Changed,
    Told,
}

/// Where an entry has its place: by time, then by operation, whose names sort by the time they were made.
type Place = (UnixMillis, Option<OperationId>, Phase, i64);

struct Timeline<'a> {
    records: &'a PaymentRecords,
    labels: Labels,
    placed: Vec<(Place, Entry)>,
}

/// Everything that happened to a payment, oldest first.
pub(in crate::admin_api) fn timeline(records: &PaymentRecords) -> Vec<Entry> {
    let mut timeline = Timeline {
        records,
        labels: Labels::of(&records.operations),
        placed: Vec::new(),
    };
    for request in &records.requests {
        timeline.request(request);
    }
    for operation in &records.operations {
        timeline.operation(operation);
    }
    timeline.events();
    for late in &records.late {
        let label = timeline.labels.get(late.operation_id);
        let text = format!(
            "{label}: {} came late; what was told stands",
            codes(late.response_code.as_str(), late.approval_code.as_deref())
        );
        let at = late.received_at;
        timeline.add(
            at,
            EntryKind::LateResponse,
            Phase::CameLate,
            late.operation_id,
            text,
        );
    }
    for message in &records.quarantined {
        timeline.quarantined(message);
    }
    for act in &records.audit {
        let outcome = act.outcome.as_deref().unwrap_or("BEGUN");
        let text = format!(
            "{}, {}: {} ({outcome})",
            act.operator, act.action, act.reason
        );
        if let Ok(id) = act.target.parse() {
            timeline.add(act.at, EntryKind::Operator, Phase::Asked, id, text);
        }
    }
    // Whatever has the same place stays as it was added.
    timeline.placed.sort_by_key(|(place, _)| *place);
    timeline
        .placed
        .into_iter()
        .map(|(_, entry)| entry)
        .collect()
}

impl Timeline<'_> {
    fn add(
        &mut self,
        at: UnixMillis,
        kind: EntryKind,
        phase: Phase,
        id: OperationId,
        text: String,
    ) {
        let entry = Entry {
            at,
            kind,
            text,
            operation_id: Some(id),
            position: None,
            elements: Vec::new(),
        };
        self.placed.push(((at, Some(id), phase, 0), entry));
    }

    fn operation_of(&self, id: OperationId) -> Option<&Operation> {
        self.records.operations.iter().find(|it| it.id == id)
    }

    fn request(&mut self, request: &RecordedRequest) {
        let RecordedRequest {
            method,
            request_id,
            operation_id: id,
            told,
        } = request;
        let Some(began_at) = self.operation_of(*id).map(|it| it.created_at) else {
            return;
        };
        let asked = format!("{method}, request_id {request_id}");
        if method == Cancellation::METHOD {
            let mut events = self.records.events.iter();
            let marked =
                events.find(|event| event.operation_id == *id && event.state.is_cancelled());
            let (at, when) = match marked {
                Some(event) => (event.at, ""),
                None => (began_at, "; when it came is not recorded"),
            };
            return self.add(at, EntryKind::Request, Phase::Asked, *id, asked + when);
        }
        if let Some(told) = told {
            let text = format!(
                "{method} answered: {} {}, payment {}",
                self.labels.get(*id),
                told.operation.name(),
                state(&told.payment)
            );
            self.add(told.at, EntryKind::Told, Phase::Told, *id, text);
        }
        self.add(began_at, EntryKind::Request, Phase::Asked, *id, asked);
    }

    fn operation(&mut self, operation: &Operation) {
        let id = operation.id;
        let text = self.recorded(operation);
        self.add(
            operation.created_at,
            EntryKind::Operation,
            Phase::Recorded,
            id,
            text,
        );
        let label = self.labels.get(id).to_owned();
        let Operation {
            mti,
            host_id,
            node_id,
            attempts,
            ..
        } = operation;
        if operation.was_written_once() {
            let text = format!("{label}: {mti} sent to {host_id}, once, by {node_id}");
            self.add(
                operation.created_at,
                EntryKind::Message,
                Phase::Sent,
                id,
                text,
            );
        }
        if let Some(at) = attempts.first_at {
            let text = format!("{label}: {mti} sent to {host_id} by {node_id}");
            self.add(at, EntryKind::Message, Phase::Sent, id, text);
        }
        if let (Some(at), 2..) = (attempts.last_at, attempts.count) {
            let text = format!("{label}: sent again, {} times by now", attempts.count);
            self.add(at, EntryKind::Message, Phase::SentAgain, id, text);
        }
        let Some((kind, text)) = ended(operation, &label) else {
            return;
        };
        self.add(operation.updated_at, kind, Phase::Ended, id, text);
        // That an operation is undone follows on the end of its reversal.
        let mut others = self.records.operations.iter();
        let undoes =
            |it: &&Operation| it.original_id == Some(id) && it.kind == OperationKind::Reversal;
        if operation.state == OperationState::Reversed
            && let Some(reversal) = others.find(undoes)
            && let Some((place, _)) = self.placed.last_mut()
        {
            (place.1, place.2) = (Some(reversal.id), Phase::Changed);
        }
    }

    fn recorded(&self, operation: &Operation) -> String {
        let Operation {
            amount: whole,
            host_id,
            mti,
            stan,
            rrn,
            ..
        } = operation;
        let mut text = format!("{} of {whole} to {host_id}", self.labels.get(operation.id));
        if operation.state == OperationState::Recorded {
            text += ": no message, the bank knows by itself, or by a file";
        } else if *stan == Stan::NONE {
            text += ": no message, a limit of payswitch was reached";
        } else {
            text += &format!(": {mti}, STAN {stan}, RRN {rrn}");
        }
        let deadline = operation.deadline.as_i64() - operation.created_at.as_i64();
        if operation.original_id.is_none() && deadline > 0 && *stan != Stan::NONE {
            text += &format!(", to be answered within {}", span(deadline));
        }
        if let Some(original) = operation.original_id {
            text += &format!(", of {}", self.labels.get(original));
        }
        if let Some(reason) = operation.reason {
            text += &format!(", because {reason}");
        }
        if operation.kind == OperationKind::Capture && operation.releases_minor > 0 {
            let rest = amount(operation.releases_minor, whole.currency().code());
            text += &format!(", leaves {rest} of the hold to give back");
        }
        if let Some(subject) = operation.subject_id {
            text += &format!("; {subject}");
        }
        text + &format!("; {}", operation.id)
    }

    /// In the order of their positions, also where the clock of one node was behind that of another.
    fn events(&mut self) {
        let mut journals: HashMap<i64, &KeptJournal> = self
            .records
            .journals
            .iter()
            .map(|it| (it.position, it))
            .collect();
        let mut latest = UnixMillis::new(i64::MIN);
        for event in &self.records.events {
            latest = latest.max(event.at);
            let place = (
                latest,
                Some(event.operation_id),
                self.phase_of(event),
                event.position,
            );
            let currency = self.records.payment.amount.currency();
            let text = format!(
                "{}: {}, {}",
                event.kind.name().to_lowercase().replace('_', " "),
                state(&event.state),
                amounts(&event.amounts, currency)
            );
            let entry = |kind, at, text| Entry {
                at,
                kind,
                text,
                operation_id: Some(event.operation_id),
                position: Some(event.position),
                elements: Vec::new(),
            };
            self.placed
                .push((place, entry(EntryKind::Payment, event.at, text)));
            if let Some(journal) = journals.remove(&event.position) {
                let text = booked(journal);
                self.placed
                    .push((place, entry(EntryKind::Journal, journal.at, text)));
            }
        }
    }

    fn phase_of(&self, event: &RecordedEvent) -> Phase {
        match self.operation_of(event.operation_id) {
            Some(operation) if operation.created_at == event.at => Phase::Begun,
            _ => Phase::Changed,
        }
    }

    fn quarantined(&mut self, message: &QuarantinedResponse) {
        let operations = self.records.operations.iter().filter(|operation| {
            Some(operation.rrn) == message.rrn && operation.created_at <= message.received_at
        });
        // A reversal may have the RRN of what it undoes, and its STAN too; then the message type tells them apart. Of what is
        // like in all of them the last is meant.
        let named = operations.max_by_key(|operation| {
            let is_of_class = operation.mti.as_str().get(..2) == message.mti.get(..2);
            (Some(operation.stan) == message.stan, is_of_class)
        });
        let id = named.map(|operation| operation.id);
        let code = message
            .response_code
            .map_or_else(String::new, |code| format!(", DE 39 {code}"));
        let text = format!(
            "{} from {} with the RRN of {}{code}: {}",
            message.mti,
            message.host_id,
            id.map_or("no operation", |id| self.labels.get(id)),
            message.reason
        );
        let entry = Entry {
            at: message.received_at,
            kind: EntryKind::Quarantine,
            text,
            operation_id: id,
            position: None,
            elements: vec![ShownElement {
                number: String::new(),
                name: "The whole message".into(),
                value_masked: message.message.clone(),
            }],
        };
        self.placed
            .push(((entry.at, id, Phase::CameLate, 0), entry));
    }
}

/// How an operation ended, or why it is not sent any more.
fn ended(operation: &Operation, label: &str) -> Option<(EntryKind, String)> {
    use OperationState as S;
    let after = operation.bank_us.filter(|us| *us > 0);
    let after = after.map_or_else(String::new, |us| {
        format!(", after {}.{} ms", us / 1000, us % 1000 / 100)
    });
    Some(match &operation.state {
        S::Created | S::Queued | S::Recorded | S::Sent => return None,
        S::Approved {
            approval,
            acknowledged,
        } => {
            let said = match acknowledged {
                None => "approved",
                Some(Acknowledged::Done) => "acknowledged: the bank has done it",
                Some(Acknowledged::Taken) => {
                    "acknowledged: the bank has taken it, and did not say what it did"
                }
                Some(Acknowledged::OriginalUnknown) => {
                    "acknowledged: the bank does not know the original"
                }
            };
            let codes = codes(
                approval.response_code.as_str(),
                Some(&approval.approval_code),
            );
            let partial = approval.partial_minor.map_or_else(String::new, |minor| {
                format!(
                    ", {} only",
                    amount(minor, operation.amount.currency().code())
                )
            });
            (
                EntryKind::Answer,
                format!("{label} {said}, {codes}{partial}{after}"),
            )
        }
        S::Declined { decline } => {
            let kind = match decline.is_own() {
                true => EntryKind::End,
                false => EntryKind::Answer,
            };
            (
                kind,
                format!("{label} declined: {}{after}", declined(decline)),
            )
        }
        S::Rejected { reason } => {
            let reason = variant(reason);
            (
                EntryKind::End,
                format!("{label} failed: {reason}; no byte of it was sent"),
            )
        }
        S::Unknown { reason } => (
            EntryKind::End,
            format!("{label}: the outcome is not known: {reason}"),
        ),
        S::Suspended {
            reason,
            response_code: Some(code),
        } => (
            EntryKind::Answer,
            format!("{label} suspended: {reason}, DE 39 {code}{after}"),
        ),
        S::Suspended {
            reason,
            response_code: None,
        } => (EntryKind::End, format!("{label} suspended: {reason}")),
        S::Cancelled => (
            EntryKind::End,
            format!("{label} cancelled: it was never sent"),
        ),
        S::Reversed => (
            EntryKind::End,
            format!("{label} is undone: the bank confirmed its reversal"),
        ),
        S::Resolved {
            by,
            response_code,
            took_effect,
            ..
        } => {
            let by = match by {
                ResolvedBy::LateResponse => "by a late answer",
                ResolvedBy::Operator => "by an operator",
                ResolvedBy::Report => "by the bank's report",
            };
            let code = response_code.map_or_else(String::new, |code| format!(", DE 39 {code}"));
            let effect = if *took_effect {
                "the bank has done it"
            } else {
                "it has no effect"
            };
            (
                EntryKind::End,
                format!("{label} resolved {by}{code}: {effect}"),
            )
        }
    })
}

fn codes(response_code: &str, approval_code: Option<&str>) -> String {
    match approval_code.unwrap_or_default() {
        "" => format!("DE 39 {response_code}"),
        approval_code => format!("DE 39 {response_code}, DE 38 {approval_code}"),
    }
}

fn booked(journal: &KeptJournal) -> String {
    let lines = journal.lines.iter();
    let lines: Vec<String> = lines
        .map(|line| {
            format!(
                "{} {}",
                line.account,
                amount(line.amount_minor, &line.currency)
            )
        })
        .collect();
    let template = journal
        .id
        .split_once(':')
        .map_or("", |(_, template)| template);
    format!("{template}: {}", lines.join(", "))
}
