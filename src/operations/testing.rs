//! A machine for tests, with a real store: its flows are the smallest that do anything.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::acknowledgement::without_approval;
use super::call::OperationError;
use super::card_custody;
use super::flow::{Decision, Flow, OwedDecision, OwedFlow, OwedSubject};
use super::flow::{FlowTable, Subject};
use super::machine::{Operations, OperationsParts};
use super::outcome::Outcome;
use super::owed_step::Beside;
use super::plan::{NewPayment, Owes, Plan, PlannedPayment};
use crate::card::pan::{Card, Expiry, Pan};
use crate::clock::{Clock, SystemClock};
use crate::config::store::StoreConfig;
use crate::hosts::Hosts;
use crate::hosts::exchange::Exchange;
use crate::hosts::message::definition::{Repeats, Travel};
use crate::hosts::notice::HostNotice;
use crate::hosts::profile::HostProfile;
use crate::hosts::tests::bank::Bank;
use crate::metrics::Metrics;
use crate::net::Net;
use crate::payment::amounts::Amounts;
use crate::payment::decline::UnknownReason;
use crate::payment::event::PaymentEvent;
use crate::payment::ids::PaymentId;
use crate::payment::merchant::Merchant;
use crate::payment::moment::UnixMillis;
use crate::payment::money::Money;
use crate::payment::operation::{Acknowledged, OperationEvent, OperationState, SuspendReason};
use crate::payment::operation_kind::OperationKind;
use crate::payment::record::{Operation, Payment};
use crate::payment::samples;
use crate::payment::state::PaymentState;
use crate::random::Random;
use crate::store::Store;
use crate::store::change::{Change, PaymentChange, RequestClaim, Verdict};
use crate::store::numbers::Numbers;
use crate::store::reads::owed::OwedEntry;

/// The smallest flow: it plans what it is told, and an answer means what it says.
pub(super) struct Holding;

#[derive(Debug, thiserror::Error)]
#[error("refused")]
pub(super) struct Refused;

impl Flow for Holding {
    type Command = Option<Money>;
    type Basis = ();
    type Refusal = Refused;

    const METHOD: &'static str = "AuthorizePayment";

    fn payment_id(&self, _command: &Self::Command) -> Option<PaymentId> {
        None
    }

    fn plan(
        &self,
        merchant: &Merchant,
        command: &Self::Command,
        _basis: (),
        _now: UnixMillis,
    ) -> Result<Plan, Refused> {
        let amount = command.ok_or(Refused)?;
        Ok(Plan {
            kind: OperationKind::Authorization,
            travel: Travel::Once,
            unmoved: false,
            payment: PlannedPayment::New(Box::new(NewPayment {
                merchant_reference: "order-1".into(),
                customer_reference: None,
                description: None,
                amount,
                card: records().0.card,
                state: PaymentState::Authorizing { pending: None },
                keeps_card: true,
            })),
            amount,
            accepts_partial: false,
            host_id: merchant.acquirer,
            mti: "0100".parse().unwrap(),
            terminal_id: merchant.terminal_id.clone(),
            original_id: None,
            reason: None,
            card: None,
            envelope: None,
            subject_id: None,
            resource: None,
            owes: Vec::new(),
            releases_minor: 0,
        })
    }
}

/// What an answer to it means.
fn held(exchange: &Exchange, subject: &Subject<'_>) -> Decision {
    let (operation, payment, change, owes) = match exchange {
        Exchange::Approved { approval, .. } => (
            vec![
                OperationEvent::Sent,
                OperationEvent::Approved(approval.clone()),
            ],
            PaymentEvent::Approved {
                approval: approval.clone(),
                expires_at: subject.now,
            },
            Amounts {
                authorized_minor: subject.operation.amount.amount_minor(),
                ..Amounts::ZERO
            },
            Vec::new(),
        ),
        Exchange::NotSent(reason) => (
            vec![OperationEvent::NotSent(*reason)],
            PaymentEvent::NotSent(*reason),
            Amounts::ZERO,
            Vec::new(),
        ),
        Exchange::Unknown(reason) => (
            vec![OperationEvent::OutcomeUnknown(*reason)],
            PaymentEvent::OutcomeUnknown(*reason),
            Amounts::ZERO,
            vec![Owes::reversal(subject.operation, *reason)],
        ),
        other => unreachable!("no test's bank answers so: {other:?}"),
    };
    Decision {
        operation,
        payment: Some(payment),
        change,
        owes,
    }
}

/// A payment that is about to be sent, and its operation.
pub(super) fn records() -> (Box<Payment>, Box<Operation>) {
    let operation = samples::operation();
    (
        Box::new(samples::payment_of(&operation)),
        Box::new(operation),
    )
}

/// The smallest flow of what is owed: any answer acknowledges.
struct Undoing;

impl OwedFlow for Undoing {
    fn begun(&self, payment: &Payment) -> Option<PaymentEvent> {
        let is_pending = matches!(payment.state, PaymentState::Authorizing { .. });
        is_pending.then_some(PaymentEvent::ReversalStarted)
    }

    fn decide(&self, exchange: &Exchange, subject: &OwedSubject<'_>) -> OwedDecision {
        let is_unknown = matches!(subject.original.state, OperationState::Unknown { .. });
        let (approval, acknowledged) = match exchange {
            Exchange::Approved { approval, .. } => (approval.clone(), Acknowledged::Done),
            Exchange::Taken { response_code, .. } => {
                (without_approval(*response_code), Acknowledged::Taken)
            }
            Exchange::OriginalUnknown { response_code, .. } if subject.approved => {
                return OwedDecision::Suspend {
                    reason: SuspendReason::Contradicted,
                    response_code: Some(*response_code),
                };
            }
            Exchange::OriginalUnknown { response_code, .. } => (
                without_approval(*response_code),
                Acknowledged::OriginalUnknown,
            ),
            Exchange::NotSent(_) => return OwedDecision::NotSent,
            _ => return OwedDecision::Again,
        };
        OwedDecision::Done {
            approval,
            acknowledged,
            original: is_unknown.then_some(OperationEvent::ReversalConfirmed),
            payment: match subject.payment.state {
                // It was told late, and stands.
                PaymentState::Declined { .. } => None,
                _ => Some((PaymentEvent::ReversalConfirmed, Amounts::ZERO)),
            },
        }
    }
}

/// A folder with a database in it, removed again.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) async fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("payswitch-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        let folder = Self(path);
        Store::migrate(&folder.store(), &SystemClock).await.unwrap();
        folder
    }

    pub(super) fn store(&self) -> StoreConfig {
        StoreConfig {
            url: format!("sqlite://{}", self.0.join("test.db").display()),
            ..StoreConfig::default()
        }
    }

    /// The machine of a gateway that has no bank.
    pub(super) async fn machine(&self) -> Operations {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (notices, _) = mpsc::channel(1);
        let hosts = Hosts::start(
            Vec::new(),
            None,
            Net::SYSTEM,
            clock,
            Random::SYSTEM,
            notices,
        )
        .unwrap();
        self.machine_of(hosts).await
    }

    pub(super) async fn machine_of(&self, hosts: Hosts) -> Operations {
        let store = Store::open(&self.store(), Arc::new(SystemClock), &Random::SYSTEM)
            .await
            .unwrap();
        let numbers = Numbers::new(store.clone(), 100);
        let flows = FlowTable::default()
            .with(OperationKind::Authorization, held)
            .with_owed(OperationKind::Reversal, Arc::new(Undoing));
        let custody = card_custody::tests::open(&store, Arc::new(SystemClock)).await;
        Operations::new(OperationsParts {
            store,
            numbers,
            hosts: Arc::new(hosts),
            custody: Arc::new(custody),
            flows,
            limits: None,
            clock: Arc::new(SystemClock),
            random: Random::SYSTEM,
            limit: 1,
            metrics: Arc::new(Metrics::new([])),
        })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // It may be gone with the machine's temporary folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The lines to a bank, and what they report.
pub(super) fn hosts_of(bank: &Bank) -> (Hosts, mpsc::Receiver<HostNotice>) {
    hosts_of_profile(bank.profile())
}

fn hosts_of_profile(profile: HostProfile) -> (Hosts, mpsc::Receiver<HostNotice>) {
    let (notices, noticed) = mpsc::channel(8);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let hosts = Hosts::start(
        vec![profile],
        None,
        Net::SYSTEM,
        clock,
        Random::SYSTEM,
        notices,
    );
    (hosts.unwrap(), noticed)
}

/// The lines to a bank that is not there, whose messages are repeated as `change` says.
pub(super) fn hosts_where(bank: &Bank, change: impl Fn(&mut Repeats)) -> Hosts {
    let mut profile = bank.profile();
    for message in profile.messages.iter_mut() {
        change(&mut message.repeats);
    }
    hosts_of_profile(profile).0
}

/// The lines to a bank that is not there.
pub(super) fn only_hosts_of(bank: &Bank) -> Hosts {
    hosts_of(bank).0
}

/// A payment whose intent is recorded, with its card.
pub(super) async fn intended(machine: &Operations) -> (Box<Payment>, Box<Operation>) {
    let (payment, operation) = records();
    let card = Card {
        pan: Pan::from_digits("4242424242424242").unwrap(),
        expiry: Expiry::from_yymm("3012").unwrap(),
        cvv: None,
        holder: None,
    };
    let sealed = machine
        .custody
        .seal(&card, &payment.merchant_id, payment.id);
    let (card, _fingerprint) = sealed.await.unwrap();
    let claim = RequestClaim {
        merchant_id: payment.merchant_id,
        method: Holding::METHOD,
        request_id: "r-1".into(),
        body_hash: [7; 32],
    };
    let intent = Change {
        claim: Some(&claim),
        payment: Some(PaymentChange::New {
            payment: &payment,
            card: Some(&card),
        }),
        new_operation: Some(&operation),
        ..Change::default()
    };
    let verdict = machine.store.commit(&intent).await.unwrap();
    assert_eq!(verdict, Verdict::Committed { payment: None });
    (payment, operation)
}

pub(super) fn approved() -> Exchange {
    Exchange::approved(samples::approval())
}

pub(super) async fn decide(
    machine: &Operations,
    records: (Box<Payment>, Box<Operation>),
    exchange: &Exchange,
) -> Outcome {
    let decided: Result<Outcome, OperationError<Refused>> =
        machine.decide(records, None, exchange).await;
    decided.unwrap()
}

/// A machine with a payment whose outcome is not known, and the reversal that is owed.
pub(super) async fn owing(name: &str) -> (Folder, Operations, OwedEntry) {
    owing_for(name, UnknownReason::NoAnswerInTime).await
}

pub(super) async fn owing_for(
    name: &str,
    reason: UnknownReason,
) -> (Folder, Operations, OwedEntry) {
    let bank = Bank::start().await;
    owing_at(name, only_hosts_of(&bank), reason).await
}

pub(super) async fn owing_at(
    name: &str,
    hosts: Hosts,
    reason: UnknownReason,
) -> (Folder, Operations, OwedEntry) {
    let folder = Folder::new(name).await;
    let machine = folder.machine_of(hosts).await;
    machine
        .store
        .insert_merchant(&samples::merchant())
        .await
        .unwrap();
    let (payment, original) = intended(&machine).await;
    let unknown = Exchange::Unknown(reason);
    let outcome = decide(&machine, (payment, original.clone()), &unknown).await;
    machine.record(&outcome).await.unwrap();
    let owed = machine.store.operations_about(&original).await.unwrap();
    let entry = machine.store.owed_entry(owed[0].id).await.unwrap().unwrap();
    (folder, machine, entry)
}

/// The entry after an attempt, which began `after_ms` after the original's deadline.
pub(super) async fn sent(machine: &Operations, entry: OwedEntry, after_ms: i64) -> OwedEntry {
    let flow = machine.flows.owed(entry.operation.kind).unwrap();
    let beside = Beside {
        payment: flow.begun(&entry.payment),
        ..Beside::default()
    };
    let asked_at = entry.operation.deadline.plus_ms(after_ms);
    let step = machine.step(&entry, OperationEvent::Sent, beside, |operation| {
        operation.attempts.count = 1;
        operation.attempts.last_at = Some(asked_at);
    });
    machine.record_step(entry, step).await.unwrap()
}

impl Operations {
    /// Sends all that is owed of a payment once more, at once; what is suspended is not sent.
    pub(crate) async fn send_owed_of(&self, payment_id: PaymentId, merchant: &Merchant) {
        let window = tokio::sync::Semaphore::new(2);
        let operations = self.store.operations_of(payment_id).await.unwrap();
        let is_sent = |state: &_| matches!(state, OperationState::Queued | OperationState::Sent);
        let due = operations.iter().filter(|it| is_sent(&it.state));
        futures_util::future::join_all(due.map(async |owed| {
            let entry = self.store.owed_entry(owed.id).await.unwrap();
            self.attempt(entry.unwrap(), None, merchant, &window).await;
        }))
        .await;
    }

    /// A payment's hold ends by itself, where it lasts. Whether it did.
    pub(crate) async fn hold_ends(&self, payment: Payment) -> bool {
        let Some(ends_at) = payment.state.hold_ends_at() else {
            return false;
        };
        let authorization = self.store.operation(payment.authorization.operation_id);
        let authorization = authorization.await.unwrap().unwrap();
        let ended = self.end_hold(
            payment,
            &authorization,
            ends_at.plus(super::expiry::HOLD_GRACE),
        );
        ended.await.unwrap()
    }
}
