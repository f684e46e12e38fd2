//! What happens in a history, and the nodes on which it happens.

use std::sync::Arc;
use std::sync::atomic::AtomicU8;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::store::Store;
use crate::store::tests::wire::{LOSE_COMMIT, LOSE_CONFIRMATION, PASS};

/// What happens to one payment.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// The same request, `copies` times at once.
    Request {
        key: u8,
        envelope: Option<u8>,
        copies: usize,
    },
    /// One outcome of a payment, `copies` times at once.
    Outcome { of: usize, kind: u8, copies: usize },
    /// Captures of one payment at once, each asked for twice.
    Captures { of: usize, amounts: Vec<i64> },
    /// Ends of captures of one payment at once, each told twice: approved, refused, or one of each.
    Ends { of: usize, ends: Vec<(bool, bool)> },
}

/// What the wire does with the first COMMIT of a step.
const LOSSES: [u8; 4] = [PASS, PASS, LOSE_COMMIT, LOSE_CONFIRMATION];

/// Random steps, each with what the wire does with its first COMMIT.
pub(super) fn steps() -> impl Strategy<Value = Vec<(Step, u8)>> {
    let request =
        (0..6_u8, proptest::option::of(0..6_u8), 1..4_usize).prop_map(|(key, envelope, copies)| {
            Step::Request {
                key,
                envelope,
                copies,
            }
        });
    let outcome = (0..6_usize, 0..5_u8, 1..4_usize).prop_map(|(of, kind, copies)| Step::Outcome {
        of,
        kind,
        copies,
    });
    let captures = (0..2_usize, vec(1..700_i64, 1..4))
        .prop_map(|(of, amounts)| Step::Captures { of, amounts });
    let ends = (0..2_usize, vec(any::<(bool, bool)>(), 1..4))
        .prop_map(|(of, ends)| Step::Ends { of, ends });
    let step = prop_oneof![2 => request, 3 => outcome, 3 => captures, 3 => ends];
    vec((step, prop::sample::select(LOSSES.as_slice())), 10..50)
}

/// The nodes of one database; on SQLite there is one.
pub(super) struct Nodes {
    pub(super) stores: Vec<Store>,
    /// What the wire does with the next COMMIT.
    pub(super) plan: Arc<AtomicU8>,
}

impl Nodes {
    fn store(&self, number: usize) -> Store {
        self.stores[number % self.stores.len()].clone()
    }

    pub(super) fn first(&self) -> &Store {
        &self.stores[0]
    }

    /// All at once, on alternating nodes; the results are in the same order.
    pub(super) async fn all<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &self,
        work: impl Iterator<Item = impl FnOnce(Store) -> F>,
    ) -> Vec<T> {
        let tasks: Vec<_> = work
            .enumerate()
            .map(|(number, work)| tokio::spawn(work(self.store(number))))
            .collect();
        let mut results = Vec::with_capacity(tasks.len());
        for task in tasks {
            results.push(task.await.unwrap());
        }
        results
    }
}
