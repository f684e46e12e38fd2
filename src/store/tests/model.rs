//! Random histories of requests, against a model that fits on a page.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::make::{COMMITTED, Intent, METHOD, NOW, approved, declined, intent, unknown};
use crate::payment::ids::OperationId;
use crate::payment::record::Payment;
use crate::store::Store;
use crate::store::change::{EnvelopeUse, RequestClaim, Verdict};
use crate::store::records::{ListOrder, PaymentFilter};
use crate::store::testing::{TestDatabase, unique};

/// One step; each is made `copies` times at once.
#[derive(Debug, Clone)]
enum Step {
    Request {
        key: u8,
        envelope: Option<u8>,
        copies: usize,
    },
    Outcome {
        of: usize,
        kind: u8,
        copies: usize,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let request =
        (0..6_u8, proptest::option::of(0..6_u8), 1..4_usize).prop_map(|(key, envelope, copies)| {
            Step::Request {
                key,
                envelope,
                copies,
            }
        });
    let outcome = (0..8_usize, 0..3_u8, 1..4_usize).prop_map(|(of, kind, copies)| Step::Outcome {
        of,
        kind,
        copies,
    });
    vec(prop_oneof![request, outcome], 1..40)
}

struct Model {
    merchant: String,
    /// By key: the intent that was recorded, and what was told.
    requests: BTreeMap<u8, (Intent, Option<Payment>)>,
    /// In the order in which they were recorded.
    recorded: Vec<u8>,
    envelopes: BTreeSet<u8>,
    reversals: BTreeSet<OperationId>,
}

impl Model {
    fn intent(&self, key: u8, envelope: Option<u8>) -> Intent {
        let made = intent(&self.merchant);
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
    }

    async fn request(&mut self, store: &Store, key: u8, envelope: Option<u8>, copies: usize) {
        let mut tasks = Vec::new();
        for _ in 0..copies {
            let intent = self.intent(key, envelope);
            let store = store.clone();
            tasks.push(tokio::spawn(async move {
                (store.record_intent(&intent).await.unwrap(), intent)
            }));
        }
        let mut outcomes = Vec::new();
        for task in tasks {
            outcomes.push(task.await.unwrap());
        }
        if !self.requests.contains_key(&key) {
            let used = envelope.is_some_and(|envelope| self.envelopes.contains(&envelope));
            if used {
                for (outcome, _) in outcomes {
                    assert_eq!(outcome, Verdict::EnvelopeUsed);
                }
                return;
            }
            let new = outcomes
                .iter()
                .position(|(outcome, _)| *outcome == COMMITTED);
            let (_, intent) = outcomes.remove(new.expect("one of them is recorded"));
            self.requests.insert(key, (intent, None));
            self.recorded.push(key);
            self.envelopes.extend(envelope);
        }
        let (first, told) = &self.requests[&key];
        for (verdict, _) in outcomes {
            assert_eq!(verdict, Verdict::RequestTaken);
        }
        let merchant = &first.payment.merchant_id;
        let existing = store.find_answer(merchant, METHOD, &first.claim.request_id);
        let existing = existing.await.unwrap().unwrap();
        assert_eq!(existing.payment_id, first.payment.id);
        assert_eq!(existing.answer.map(|(payment, _)| *payment), *told);
    }

    async fn outcome(&mut self, store: &Store, of: usize, kind: u8, copies: usize) {
        let Some(key) = self.recorded.get(of) else {
            return;
        };
        let (intent, told) = self.requests.get_mut(key).unwrap();
        let outcome = match kind {
            0 => approved(intent),
            1 => declined(intent),
            _ => unknown(intent),
        };
        let mut tasks = Vec::new();
        for _ in 0..copies {
            let (store, outcome) = (store.clone(), outcome.clone());
            tasks.push(tokio::spawn(async move {
                store.record_outcome(&outcome).await.unwrap()
            }));
        }
        let standing = told.clone().unwrap_or_else(|| outcome.payment.clone());
        for task in tasks {
            match task.await.unwrap() {
                // The first, or the same as the first.
                COMMITTED => assert_eq!(outcome.payment, standing),
                other => {
                    assert_eq!(other, Verdict::OperationMoved);
                    assert_ne!(outcome.payment, standing);
                }
            }
        }
        if told.is_none() {
            self.reversals
                .extend(outcome.reversal.map(|reversal| reversal.operation_id));
            *told = Some(outcome.payment);
        }
    }

    async fn compare(&self, store: &Store) {
        let merchant = self.merchant.parse().unwrap();
        for key in 0..6_u8 {
            let answer = store
                .find_answer(&merchant, METHOD, &format!("key-{key}"))
                .await
                .unwrap();
            let expected = self.requests.get(&key);
            assert_eq!(
                answer.map(|answer| (
                    answer.payment_id,
                    answer.answer.map(|(payment, _)| *payment)
                )),
                expected.map(|(intent, told)| (intent.payment.id, told.clone()))
            );
        }
        let filter = PaymentFilter::default();
        let page = store
            .list_payments(&merchant, &filter, ListOrder::OldestFirst, 100, None)
            .await
            .unwrap();
        let mut payments: Vec<Payment> = self
            .requests
            .values()
            .map(|(intent, told)| told.clone().unwrap_or_else(|| intent.payment.clone()))
            .collect();
        payments.sort_by_key(|payment| payment.id);
        assert_eq!(page.items, payments);
        let owed: BTreeSet<OperationId> = store
            .owed_reversals(1000)
            .await
            .unwrap()
            .into_iter()
            .map(|reversal| reversal.operation_id)
            .collect();
        assert!(self.reversals.is_subset(&owed));
        for (intent, _) in self.requests.values() {
            let id = intent.operation.id;
            assert_eq!(owed.contains(&id), self.reversals.contains(&id));
        }
    }
}

/// Each history has a merchant of its own, so that all share one database.
fn check(database: impl Future<Output = TestDatabase>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let (database, store) = runtime.block_on(async {
        let database = database.await;
        let store = database.open().await;
        (database, store)
    });
    let mut runner = TestRunner::new(Config {
        cases: 32,
        failure_persistence: None,
        ..Config::default()
    });
    let result = runner.run(&steps(), |steps| {
        runtime.block_on(async {
            let mut model = Model {
                merchant: format!("shop-{}", unique()),
                requests: BTreeMap::new(),
                recorded: Vec::new(),
                envelopes: BTreeSet::new(),
                reversals: BTreeSet::new(),
            };
            for step in steps {
                match step {
                    Step::Request {
                        key,
                        envelope,
                        copies,
                    } => model.request(&store, key, envelope, copies).await,
                    Step::Outcome { of, kind, copies } => {
                        model.outcome(&store, of, kind, copies).await;
                    }
                }
            }
            model.compare(&store).await;
        });
        Ok(())
    });
    runtime.block_on(store.close());
    drop(database);
    if let Err(error) = result {
        panic!("{error}");
    }
}

#[test]
fn sqlite_agrees_with_the_model() {
    check(TestDatabase::sqlite());
}

#[test]
fn postgres_agrees_with_the_model() {
    check(TestDatabase::postgres());
}
