//! Random histories of changes, against a model that fits on a page: what is intended, what it came to, and
//! captures of it, several at once, on two nodes, some with a COMMIT that is not confirmed.
//!
//! The captures are the model's own; `src/app/tests/lives.rs` has those of the flows. Two of one payment are in
//! progress at once, and whichever ends second finds the payment's version moved.

mod comparing;
mod history;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use proptest::test_runner::{Config, TestRunner};

use self::history::{Nodes, Step, steps};
use super::make::{
    COMMITTED, Intent, NOW, Outcome, approved, claim, declined, intent, operation_at, unknown,
};
use super::wire::store_on_a_wire;
use crate::payment::adjustment::Adjustment;
use crate::payment::amounts::Amounts;
use crate::payment::custody::CustodyEnd;
use crate::payment::decline::FailureReason;
use crate::payment::event::PaymentEvent;
use crate::payment::ids::{MerchantId, OperationId};
use crate::payment::money::Money;
use crate::payment::operation::OperationState;
use crate::payment::operation_kind::OperationKind;
use crate::payment::record::{Operation, Payment};
use crate::payment::samples::approval;
use crate::store::Store;
use crate::store::change::{Change, EnvelopeUse, PaymentChange, RequestClaim, Verdict};
use crate::store::testing::{TestDatabase, events_after, unique};

/// A capture in progress.
struct Capture {
    claim: RequestClaim,
    operation: Operation,
    amount_minor: i64,
}

struct Recorded {
    intent: Intent,
    /// The payment as it is.
    payment: Payment,
    /// Payment and operation as the merchant was told.
    told: Option<(Payment, Operation)>,
    captures: Vec<Capture>,
    /// Every adjustment of it, and the operation that made it. Some came at once, in an unknown order.
    adjusted: Vec<(Operation, Adjustment)>,
}

struct Model {
    merchant: MerchantId,
    /// By key, in the order in which they were recorded.
    requests: Vec<(u8, Recorded)>,
    envelopes: BTreeSet<u8>,
    reversals: BTreeSet<OperationId>,
    /// By their requests, what came of captures.
    capture_answers: BTreeMap<String, Option<(Payment, Operation)>>,
    /// The position before its first event: another history has that one.
    last_position: i64,
}

impl Model {
    async fn request(&mut self, nodes: &Nodes, key: u8, envelope: Option<u8>, copies: usize) {
        let intents = (0..copies).map(|_| {
            let made = intent(self.merchant.as_str());
            Intent {
                claim: RequestClaim {
                    request_id: format!("key-{key}"),
                    ..made.claim.clone()
                },
                envelope: envelope.map(|envelope| EnvelopeUse {
                    jti: format!("jti-{envelope}"),
                    expires_at: NOW,
                }),
                ..made
            }
        });
        let record = |intent: Intent| {
            move |store: Store| async move { (store.record_intent(&intent).await.unwrap(), intent) }
        };
        let mut results = nodes.all(intents.map(record)).await;
        if !self.requests.iter().any(|(other, _)| *other == key) {
            if envelope.is_some_and(|envelope| self.envelopes.contains(&envelope)) {
                for (verdict, _) in results {
                    assert_eq!(verdict, Verdict::EnvelopeUsed);
                }
                return;
            }
            let new = results
                .iter()
                .position(|(verdict, _)| *verdict == COMMITTED);
            let (_, intent) = results.remove(new.expect("one of them is recorded"));
            let recorded = Recorded {
                payment: intent.payment.clone(),
                intent,
                told: None,
                captures: Vec::new(),
                adjusted: Vec::new(),
            };
            self.requests.push((key, recorded));
            self.envelopes.extend(envelope);
        }
        for (verdict, _) in results {
            assert_eq!(verdict, Verdict::RequestTaken);
        }
    }

    async fn outcome(&mut self, nodes: &Nodes, of: usize, kind: u8, copies: usize) {
        let Some((_, recorded)) = self.requests.get_mut(of) else {
            return;
        };
        let outcome = match kind {
            // More often, because only these can be captured.
            0..=2 => approved(&recorded.intent),
            3 => declined(&recorded.intent),
            _ => unknown(&recorded.intent),
        };
        let record = |outcome: Outcome| {
            move |store: Store| async move { store.record_outcome(&outcome).await.unwrap() }
        };
        let verdicts = nodes
            .all((0..copies).map(|_| record(outcome.clone())))
            .await;
        if recorded.told.is_none() {
            self.reversals
                .extend(outcome.reversal.and_then(|reversal| reversal.original_id));
            recorded.payment = outcome.payment.clone();
            recorded.told = Some((outcome.payment, outcome.operation.clone()));
            let adjusted = (outcome.operation.clone(), outcome.adjustment.clone());
            recorded.adjusted.push(adjusted);
        }
        let (payment, operation) = recorded.told.as_ref().unwrap();
        for verdict in verdicts {
            match verdict {
                // The first, or the same as the first.
                Verdict::Committed { payment: moved } => {
                    assert_eq!(outcome.operation, *operation);
                    assert!(moved.is_none_or(|moved| *moved == *payment));
                }
                other => {
                    assert_eq!(other, Verdict::OperationMoved);
                    assert_ne!(outcome.operation, *operation);
                }
            }
        }
    }

    /// Each capture is asked for twice, by calls that know nothing of each other.
    async fn captures(&mut self, nodes: &Nodes, of: usize, amounts: &[i64]) {
        let Some((_, recorded)) = self.requests.get_mut(of) else {
            return;
        };
        let before = recorded.payment.clone();
        let mut asked = Vec::new();
        for &amount_minor in amounts {
            let claim = RequestClaim {
                method: "CapturePayment",
                ..claim(self.merchant.as_str())
            };
            for _ in 0..2 {
                let made = operation_at(NOW);
                let operation = Operation {
                    payment_id: before.id,
                    kind: OperationKind::Capture,
                    original_id: Some(recorded.intent.operation.id),
                    amount: Money::new(amount_minor, before.amount.currency()).unwrap(),
                    ..made
                };
                asked.push(Capture {
                    claim: claim.clone(),
                    operation,
                    amount_minor,
                });
            }
        }
        let record = |capture: Capture| {
            let adjustment = taking(capture.amount_minor);
            let expected = expected(&before, &adjustment);
            move |store: Store| async move {
                let change = Change {
                    claim: Some(&capture.claim),
                    payment: Some(PaymentChange::Adjusted {
                        expected: &expected,
                        adjustment: &adjustment,
                    }),
                    new_operation: Some(&capture.operation),
                    ..Change::default()
                };
                (store.commit(&change).await.unwrap(), capture)
            }
        };
        let results = nodes.all(asked.into_iter().map(record)).await;
        let mut refused = Vec::new();
        let committed = |verdict: &Verdict| matches!(verdict, Verdict::Committed { .. });
        for pair in results.chunks(2) {
            let [(one, capture), (other, _)] = pair else {
                panic!("each was asked for twice")
            };
            if !committed(one) && !committed(other) {
                assert_eq!(
                    (one, other),
                    (&Verdict::PaymentRefused, &Verdict::PaymentRefused)
                );
                refused.push(capture.amount_minor);
                continue;
            }
            assert_ne!(committed(one), committed(other), "a request is taken once");
            self.capture_answers
                .insert(capture.claim.request_id.clone(), None);
        }
        for (verdict, capture) in results {
            if committed(&verdict) {
                let adjustment = taking(capture.amount_minor);
                recorded.payment = *adjustment
                    .apply(Box::new(recorded.payment.clone()))
                    .expect("no more is taken than was held");
                let operation = capture.operation.clone();
                recorded.adjusted.push((operation, adjustment));
                recorded.captures.push(capture);
            } else {
                assert!([Verdict::RequestTaken, Verdict::PaymentRefused].contains(&verdict));
            }
        }
        for amount_minor in refused {
            let late = taking(amount_minor).apply(Box::new(recorded.payment.clone()));
            assert!(late.is_err(), "{amount_minor} had a place");
        }
    }

    /// Each end comes twice; where both an approval and a refusal come, one of them wins.
    async fn ends(&mut self, nodes: &Nodes, of: usize, ends: &[(bool, bool)]) {
        let Some((_, recorded)) = self.requests.get_mut(of) else {
            return;
        };
        let before = recorded.payment.clone();
        let count = ends.len().min(recorded.captures.len());
        let ending: Vec<Capture> = recorded.captures.drain(..count).collect();
        let mut asked = Vec::new();
        for (capture, &(one, other)) in ending.iter().zip(ends) {
            for approved in [one, other] {
                let (state, adjustment) = end(capture.amount_minor, approved);
                asked.push(Outcome {
                    payment: expected(&before, &adjustment),
                    operation: Operation {
                        state,
                        updated_at: adjustment.at,
                        version: 2,
                        ..capture.operation.clone()
                    },
                    adjustment,
                    reversal: None,
                });
            }
        }
        let record = |outcome: Outcome| {
            move |store: Store| async move { (store.record_outcome(&outcome).await.unwrap(), outcome) }
        };
        let results = nodes.all(asked.into_iter().map(record)).await;
        // By the payment's version after it, what each end did.
        let mut done = BTreeMap::new();
        for (pair, capture) in results.chunks(2).zip(ending) {
            let request_id = &capture.claim.request_id;
            let answer = nodes
                .first()
                .find_answer(&self.merchant, "CapturePayment", request_id)
                .await;
            let (payment, operation) = answer.unwrap().unwrap().answer.expect("it has ended");
            let mut winner = None;
            for (verdict, outcome) in pair {
                match verdict {
                    Verdict::Committed { payment: moved } => {
                        assert_eq!(outcome.operation, *operation);
                        let told = moved.as_deref().unwrap_or(&outcome.payment);
                        assert_eq!(*told, *payment, "what is told is what is kept");
                        winner = Some(outcome.adjustment.clone());
                    }
                    other => {
                        assert_eq!(*other, Verdict::OperationMoved);
                        assert_ne!(outcome.operation, *operation);
                    }
                }
            }
            let winner = winner.expect("one of them is recorded");
            let adjusted = (*operation.clone(), winner.clone());
            recorded.adjusted.push(adjusted);
            let version = payment.version;
            let answer = Some((*payment.clone(), *operation));
            self.capture_answers.insert(request_id.clone(), answer);
            let twice = done.insert(version, (winner, *payment));
            assert!(twice.is_none(), "each adjustment is a version of its own");
        }
        for (adjustment, told) in done.into_values() {
            let next = adjustment.apply(Box::new(recorded.payment.clone()));
            recorded.payment = *next.expect("an end always has a place");
            assert_eq!(recorded.payment, told);
        }
    }
}

/// A capture takes its amount before it is known whether it counts.
fn taking(amount_minor: i64) -> Adjustment {
    Adjustment {
        event: PaymentEvent::CaptureStarted,
        change: Amounts {
            captured_minor: amount_minor,
            captured_pending_minor: amount_minor,
            ..Amounts::ZERO
        },
        at: NOW.plus_ms(500),
        custody: CustodyEnd::Unchanged,
    }
}

fn end(amount_minor: i64, approved: bool) -> (OperationState, Adjustment) {
    let (state, event, captured_minor) = if approved {
        let approval = approval();
        let state = OperationState::Approved {
            approval,
            acknowledged: None,
        };
        (state, PaymentEvent::Captured, 0)
    } else {
        let reason = FailureReason::HostBusy;
        let state = OperationState::Rejected { reason };
        (state, PaymentEvent::CaptureRefused, -amount_minor)
    };
    let change = Amounts {
        captured_minor,
        captured_pending_minor: -amount_minor,
        ..Amounts::ZERO
    };
    let at = NOW.plus_ms(900);
    let custody = CustodyEnd::Unchanged;
    let adjustment = Adjustment {
        event,
        change,
        at,
        custody,
    };
    (state, adjustment)
}

/// The payment after an adjustment, if nothing else has changed `before`. Where `before` can't take it, a
/// version that was never there, as if the caller had seen another payment.
fn expected(before: &Payment, adjustment: &Adjustment) -> Payment {
    let expected = adjustment.apply(Box::new(before.clone()));
    expected.map_or_else(
        |_| Payment {
            version: i64::from(u32::MAX),
            ..before.clone()
        },
        |payment| *payment,
    )
}

/// Each history has a merchant of its own, so that all share one database.
fn check(nodes: impl Future<Output = (TestDatabase, Nodes)>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let (database, nodes) = runtime.block_on(nodes);
    let mut runner = TestRunner::new(Config {
        cases: 64,
        failure_persistence: None,
        ..Config::default()
    });
    let result = runner.run(&steps(), |steps| {
        runtime.block_on(async {
            let (_, next) = events_after(nodes.first(), i64::MAX).await;
            let mut model = Model {
                last_position: next - 1,
                merchant: format!("shop-{}", unique()).parse().unwrap(),
                requests: Vec::new(),
                envelopes: BTreeSet::new(),
                reversals: BTreeSet::new(),
                capture_answers: BTreeMap::new(),
            };
            for (step, loss) in steps {
                nodes.plan.store(loss, Ordering::SeqCst);
                match step {
                    Step::Request {
                        key,
                        envelope,
                        copies,
                    } => model.request(&nodes, key, envelope, copies).await,
                    Step::Outcome { of, kind, copies } => {
                        model.outcome(&nodes, of, kind, copies).await;
                    }
                    Step::Captures { of, amounts } => model.captures(&nodes, of, &amounts).await,
                    Step::Ends { of, ends } => model.ends(&nodes, of, &ends).await,
                }
            }
            model.compare(nodes.first()).await;
        });
        Ok(())
    });
    for store in nodes.stores {
        runtime.block_on(store.close());
    }
    drop(database);
    if let Err(error) = result {
        panic!("{error}");
    }
}

#[test]
fn sqlite_agrees_with_the_model() {
    check(async {
        let database = TestDatabase::sqlite().await;
        let stores = vec![database.open().await];
        let plan = Arc::default();
        (database, Nodes { stores, plan })
    });
}

#[test]
fn postgres_agrees_with_the_model() {
    check(async {
        let database = TestDatabase::postgres().await;
        let (on_a_wire, plan) = store_on_a_wire(&database).await;
        let stores = vec![on_a_wire, database.open().await];
        (database, Nodes { stores, plan })
    });
}
