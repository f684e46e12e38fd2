//! Every function of the store, on both databases.

mod amended_reports;
mod clearing_answers;
mod custody;
mod discrepancies;
mod events;
mod faults;
mod ledger;
mod lifecycle;
mod lists;
mod make;
mod merchants;
mod migrating;
mod model;
mod nodes;
mod numbers;
mod operators;
mod outcomes;
mod owed;
mod payments;
mod pruning;
mod readers;
mod recovery;
mod report_cycles;
mod reports;
mod responses;
mod risk_counts;
mod sealing_keys;
mod settlement;
mod totals;
mod unconfirmed;
mod wire;

/// Makes a test for each database from each function.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::store::testing::TestDatabase::sqlite().await).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(crate::store::testing::TestDatabase::postgres().await).await;
            })*
        }
    };
}
use on_both;

/// Expects an error of this kind.
macro_rules! fails {
    ($result:expr, $kind:ident) => {{
        let result = $result;
        assert!(
            matches!(&result, Err($crate::store::error::StoreError::$kind { .. })),
            "{result:?}"
        );
    }};
}
use fails;
