//! Random lives of payments, several operations of one payment at once, on two nodes where the engine takes two:
//! everything that was ever committed keeps the limits, and is what the model says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use futures_util::future::join_all;
use proptest::collection::vec;
use proptest::test_runner::{Config, TestRunner};

use super::banks::{Answer, host};
use super::life::{Act, Life, lives};
use super::model::{Heard, Model, Standing, standing};
use super::stage::{Request, Shop, Stage, Told, no_payment};
use crate::operations::call::Concluded;
use crate::operations::later::Why;
use crate::operations::machine::Operations;
use crate::payment::capture::Capture;
use crate::payment::ids::{OperationId, PaymentId};
use crate::payment::operation::{Open, OperationState};
use crate::payment::operation_kind::OperationKind;
use crate::payment::record::{Operation, Payment};
use crate::store::testing::{Event, TestDatabase, events_after};

/// Lives on each engine, unless `LIVES` says otherwise, and how many of them at once.
const LIVES: u32 = 500;
const AT_ONCE: u32 = 10;

/// A request that was taken, and what its merchant was told.
type Taken = (Request, String, Concluded);

/// A payment in the middle of its life.
struct Living<'a> {
    shop: Shop<'a>,
    payment_id: PaymentId,
    taken: Vec<Taken>,
    /// Beside the answers that came in time.
    heard: Mutex<Vec<(OperationId, Heard)>>,
    has_expired: bool,
}

/// What an act has left to check.
enum Done {
    Asked(Request, String, Vec<Told>),
    Expired(bool),
    Nothing,
}

impl<'a> Living<'a> {
    async fn begin(stage: &'a Stage, life: &Life) -> Self {
        let shop = stage.merchant(host(life.styles), &[life.first]).await;
        let request = Request::Pay {
            is_sale: life.is_sale,
        };
        let told = shop.ask(0, no_payment(), "pay", request).await.unwrap();
        shop.answers(&life.answers);
        Self {
            payment_id: told.payment.id,
            shop,
            taken: vec![(request, "pay".into(), told)],
            heard: Mutex::default(),
            has_expired: false,
        }
    }

    fn machine(&self, node: usize) -> &Operations {
        &self.shop.machines[node % self.shop.machines.len()]
    }

    async fn operations(&self) -> Vec<Operation> {
        self.shop
            .store()
            .operations_of(self.payment_id)
            .await
            .unwrap()
    }

    async fn act(
        &self,
        name: String,
        act: &Act,
        payment: &Payment,
        operations: &[Operation],
    ) -> Done {
        let machine = self.machine(0);
        let hear = |id, heard| self.heard.lock().unwrap().push((id, heard));
        match act {
            Act::Ask(request, copies) => {
                let ask = |node| self.shop.ask(node, self.payment_id, &name, *request);
                let told = join_all((0..*copies).map(ask)).await;
                return Done::Asked(*request, name, told);
            }
            Act::Again(which) => {
                let (request, name, told) = which.get(&self.taken);
                let again = self.shop.ask(1, self.payment_id, name, *request).await;
                assert_same(&again.unwrap(), told);
            }
            Act::Send(node) => {
                let sent = self
                    .machine(*node)
                    .send_owed_of(self.payment_id, &self.shop.merchant);
                sent.await;
            }
            Act::Late(which, answer) => {
                let unanswered = |it: &&Operation| self.shop.given(it.id).contains(&Answer::Lost);
                let unanswered: Vec<_> = operations.iter().filter(unanswered).collect();
                if unanswered.is_empty() {
                    return Done::Nothing;
                }
                let operation = *which.get(&unanswered);
                hear(operation.id, Heard::Late(*answer));
                self.shop.hears_late(operation, *answer).await;
            }
            Act::Operator(which, resolution) => {
                let owed = |it: &&Operation| it.state.open() == Open::Owed;
                let unknown = |it: &&Operation| matches!(it.state, OperationState::Unknown { .. });
                let open: Vec<_> = operations
                    .iter()
                    .filter(|it| owed(it) || unknown(it))
                    .collect();
                if open.is_empty() {
                    return Done::Nothing;
                }
                let id = which.get(&open).id;
                match resolution {
                    None => {
                        if machine.retry_owed(id).await.is_ok() {
                            hear(id, Heard::Retried);
                        }
                    }
                    Some(said) => {
                        if machine.resolve_owed(id, *said).await.is_ok() {
                            hear(id, Heard::Operator(*said));
                        }
                    }
                }
            }
            Act::Expire => return Done::Expired(machine.hold_ends(payment.clone()).await),
        }
        Done::Nothing
    }

    async fn step(&mut self, number: usize, acts: &[Act]) {
        let (before, operations) = (
            self.shop.payment(self.payment_id).await,
            self.operations().await,
        );
        let captures = self.captures().await;
        let is_alone = matches!(acts, [Act::Ask(_, 1)]);
        // No node sends an entry twice at once.
        let mut senders = BTreeSet::new();
        let acts = acts.iter().filter(|act| match act {
            Act::Send(node) => senders.insert(node % self.shop.machines.len()),
            _ => true,
        });
        let acts: Vec<_> = acts.enumerate().collect();
        let done = join_all(acts.into_iter().map(|(act_number, act)| {
            let name = format!("request-{number}-{act_number}");
            self.act(name, act, &before, &operations)
        }))
        .await;
        let mut refused = Vec::new();
        for done in done {
            match done {
                Done::Asked(request, name, told) => {
                    let mut taken: Option<Taken> = None;
                    for told in told {
                        match (told, &taken) {
                            (Ok(told), None) => taken = Some((request, name.clone(), told)),
                            (Ok(told), Some((_, _, first))) => assert_same(&told, first),
                            (Err(Some(why)), _) => refused.push((request, why)),
                            (Err(None), _) => assert!(!is_alone, "{name}: nothing is in its way"),
                        }
                    }
                    self.taken.extend(taken);
                }
                Done::Expired(ended) => self.has_expired |= ended,
                Done::Nothing => {}
            }
        }
        self.check().await;
        self.check_refusals(&before, &captures, &operations, &refused)
            .await;
    }

    /// What is recorded is what the model says.
    async fn check(&self) {
        let (payment, operations) = (
            self.shop.payment(self.payment_id).await,
            self.operations().await,
        );
        let asked_for = operations
            .iter()
            .filter(|it| !matches!(it.kind, OperationKind::Reversal | OperationKind::Release));
        let asked_for: BTreeSet<_> = asked_for.map(|it| it.id).collect();
        let taken: BTreeSet<_> = self
            .taken
            .iter()
            .filter(|(.., told)| told.operation.kind != OperationKind::Release)
            .map(|(.., told)| told.operation.id)
            .collect();
        assert_eq!(asked_for, taken, "what was taken is what is recorded");
        let mut heard: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for operation in &operations {
            let given = self.shop.given(operation.id);
            heard.insert(operation.id, given.into_iter().map(Heard::Answer).collect());
        }
        for (id, late) in self.heard.lock().unwrap().iter() {
            heard.entry(*id).or_default().push(*late);
        }
        let has_expired = self.has_expired;
        let model = Model {
            operations: operations.iter().collect(),
            heard,
            has_expired,
        };
        for operation in &operations {
            assert!(model.explains(operation), "{}: {model}", operation.id);
        }
        assert_eq!(payment.amounts, model.amounts(), "{model}");
        assert_eq!(payment.state.name(), model.state(), "{model}");
        for original in &operations {
            let of_it = |it: &&Operation| {
                it.kind == OperationKind::Release && it.original_id == Some(original.id)
            };
            let releases: Vec<_> = operations.iter().filter(of_it).collect();
            let released: i64 = releases.iter().map(|it| it.amount.amount_minor()).sum();
            let said = releases.iter().map(|it| it.releases_minor).max();
            assert_eq!(said.unwrap_or(0), released, "{model}");
            assert!(released <= original.approved_amount().amount_minor());
            assert!(releases.is_empty() || standing(original) == Standing::Counts);
        }
        for (capture, operation) in self.captures().await {
            let refunds = operations.iter().filter(|it| {
                it.kind == OperationKind::Refund && it.original_id == Some(operation.id)
            });
            let standing = refunds.filter(|it| standing(it) != Standing::Gone);
            let refunded: i64 = standing.map(|it| it.amount.amount_minor()).sum();
            assert_eq!(capture.refunded_minor, refunded, "{capture:?}: {model}");
            assert!(refunded <= capture.amount.amount_minor(), "{capture:?}");
        }
        self.check_settlement(&operations).await;
    }

    /// What its bank has taken is settled, but for a sale that is or was voided.
    async fn check_settlement(&self, operations: &[Operation]) {
        let is_item = |it: &&Operation| match it.kind {
            OperationKind::Capture | OperationKind::Refund => it.state.counts(),
            OperationKind::Sale => {
                let voids = |void: &Operation| {
                    void.kind == OperationKind::Void && standing(void) != Standing::Gone
                };
                it.state.counts() && !operations.iter().any(voids)
            }
            _ => false,
        };
        let expected: BTreeSet<_> = operations.iter().filter(is_item).map(|it| it.id).collect();
        let ids: Vec<_> = operations.iter().map(|it| it.id).collect();
        let settled = self.shop.store().settlement_of(&ids).await.unwrap();
        assert_eq!(settled.into_keys().collect::<BTreeSet<_>>(), expected);
    }

    async fn captures(&self) -> Vec<(Capture, Operation)> {
        let captures = self.shop.store().captures_of(self.payment_id, 100, None);
        captures.await.unwrap()
    }

    /// Nothing is refused that there was room for, also with everything that was taken at the same time.
    async fn check_refusals(
        &self,
        before: &Payment,
        captures: &[(Capture, Operation)],
        known: &[Operation],
        refused: &[(Request, Why)],
    ) {
        let operations = self.operations().await;
        let known: BTreeSet<_> = known.iter().map(|it| it.id).collect();
        let new = |kind| {
            let new = operations.iter().filter(move |it| it.kind == kind);
            let new = new.filter(|it| !known.contains(&it.id));
            new.map(|it| it.amount.amount_minor())
        };
        let was_open = matches!(before.state.name(), "AUTHORIZED" | "PARTIALLY_CAPTURED");
        let is_voided = new(OperationKind::Void).next().is_some();
        let is_open = was_open && !self.has_expired && !is_voided;
        let is_taken = matches!(before.state.name(), "PARTIALLY_CAPTURED" | "CAPTURED");
        let captured: i64 = new(OperationKind::Capture).sum();
        let refunded: i64 = new(OperationKind::Refund).sum();
        let raised: i64 = new(OperationKind::Increment).sum();
        // Kept from others while a last capture was on its way, or released.
        let all_new = operations.iter().filter(|it| !known.contains(&it.id));
        let kept = all_new.filter(|it| it.kind == OperationKind::Capture);
        let kept: i64 = kept.map(|it| it.releases_minor).sum();
        let released = kept + new(OperationKind::Release).sum::<i64>();
        let left = captures.iter().filter(|(_, operation)| {
            let is_owed = operation.state.open() == Open::Owed;
            standing(operation) == Standing::Counts && !is_owed
        });
        let left = left
            .map(|(it, _)| it.amount.amount_minor() - it.refunded_minor)
            .max();
        let refundable = left.map_or(0, |left| left.min(before.amounts.refundable_minor()));
        let capturable = before.amounts.capturable_minor() - captured - released;
        let is_raising = before.amounts.authorized_pending_minor + raised > 0;
        let amounts = &before.amounts;
        let is_releasing =
            amounts.released_minor + released > 0 && amounts.captured_pending_minor + captured > 0;
        for (request, why) in refused {
            let has_room = match request {
                Request::Capture(minor) => is_open && capturable >= minor.unwrap_or(1),
                // What an increment on its way adds would be left, and another last capture may release first.
                Request::LastCapture(minor) => {
                    let is_in_the_way = is_raising || is_releasing;
                    is_open && !is_in_the_way && capturable >= minor.unwrap_or(1)
                }
                Request::Increment(_) => is_open && before.amounts.captured_minor + captured == 0,
                Request::Refund(minor) => {
                    is_taken && !is_voided && refundable - refunded >= minor.unwrap_or(1)
                }
                Request::Void => {
                    is_open && !is_raising && before.amounts.captured_minor + captured == 0
                }
                Request::Pay { .. } | Request::Verify | Request::Reverse => false,
            };
            assert!(
                !has_room,
                "{request:?}: {why:?}\n{before:?}\n{operations:#?}"
            );
        }
    }

    /// Each committed state of the payment, one after the other, kept the limits; what counts was booked with it.
    async fn check_events(&self, events: &[Event]) {
        let id = self.payment_id.to_string();
        let journals = self
            .shop
            .store()
            .journals_after(Some(self.payment_id), 0, 1000);
        let mut journals = journals.await.unwrap();
        let (mut sequence, mut net) = (1, 0);
        for event in events.iter().filter(|event| event.payment_id == id) {
            sequence += 1;
            assert_eq!(event.sequence, sequence, "{event:?}");
            let amounts = &event.amounts;
            let captured = amounts.captured_minor - amounts.captured_pending_minor;
            let refunded = amounts.refunded_minor - amounts.refunded_pending_minor;
            assert!(
                amounts.captured_minor <= amounts.authorized_minor,
                "{event:?}"
            );
            assert!(amounts.refunded_minor <= captured, "{event:?}");
            assert!(captured >= 0 && refunded >= 0, "{event:?}");
            assert!(amounts.captured_pending_minor >= 0 && amounts.refunded_pending_minor >= 0);
            let kept = journals.iter().position(|it| it.position == event.position);
            let lines = kept
                .map(|index| journals.remove(index).lines)
                .unwrap_or_default();
            assert_eq!(lines.iter().map(|it| it.amount_minor).sum::<i64>(), 0);
            let receivable = lines.iter().filter(|it| it.account == "RECEIVABLE");
            let booked: i64 = receivable.map(|it| it.amount_minor).sum();
            assert_eq!(booked, captured - refunded - net, "{event:?}");
            net = captured - refunded;
        }
        assert_eq!(journals, [], "no journal without its event");
        let payment = self.shop.payment(self.payment_id).await;
        assert_eq!(payment.version, sequence, "no change without its event");
    }
}

/// The same request has the same answer. What is not shown of an operation may go on.
fn assert_same(again: &Concluded, told: &Concluded) {
    let shown = |it: &Concluded| {
        (
            it.operation.id,
            it.operation.state.clone(),
            it.operation.updated_at,
        )
    };
    assert_eq!((&again.payment, shown(again)), (&told.payment, shown(told)));
}

async fn live<'a>(stage: &'a Stage, life: &Life) -> Living<'a> {
    let mut living = Living::begin(stage, life).await;
    living.check().await;
    for (number, (acts, time_passes)) in life.steps.iter().enumerate() {
        if *time_passes {
            living.shop.clock.advance_ms(30_000);
        }
        living.step(number, acts).await;
    }
    living
}

/// All lives are on one database.
fn check(stage: impl Future<Output = Stage>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let stage = runtime.block_on(stage);
    let lives_asked = std::env::var("LIVES").map_or(LIVES, |text| text.parse().unwrap());
    let mut runner = TestRunner::new(Config {
        cases: lives_asked.div_ceil(AT_ONCE),
        failure_persistence: None,
        max_shrink_iters: 100,
        ..Config::default()
    });
    let at_once = usize::try_from(AT_ONCE).unwrap();
    let result = runner.run(&vec(lives(), 1..=at_once), |lives| {
        runtime.block_on(async {
            let (_, first) = events_after(&stage.stores[0], i64::MAX).await;
            let lives = join_all(lives.iter().map(|life| live(&stage, life))).await;
            let (events, next) = events_after(&stage.stores[0], first - 1).await;
            let positions: Vec<i64> = events.iter().map(|event| event.position).collect();
            assert_eq!(
                positions,
                (first..next).collect::<Vec<_>>(),
                "no gap, no repeat"
            );
            for living in lives {
                living.check_events(&events).await;
            }
        });
        Ok(())
    });
    for store in &stage.stores {
        runtime.block_on(store.close());
    }
    if let Err(error) = result {
        panic!("{error}");
    }
}

#[test]
fn every_life_on_sqlite_is_as_the_model_says() {
    check(async { Stage::new(TestDatabase::sqlite().await, 1).await });
}

#[test]
fn every_life_on_postgres_is_as_the_model_says() {
    check(async { Stage::new(TestDatabase::postgres().await, 2).await });
}
