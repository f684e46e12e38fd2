//! A day whose clearing file is answered is funded once the bank has taken what the file claims.

use super::make::NOW;
use super::on_both;
use super::settlement::{day, host};
use crate::payment::settlement::BatchState;
use crate::payment::settlement_file::{
    FileAnswer, FileSum, FileVerdict, Rejection, SettlementFile, TakenSum,
};
use crate::store::Store;
use crate::store::testing::TestDatabase;

on_both!(
    a_day_waits_until_its_file_is_taken_as_it_claims,
    a_file_counts_as_it_is_until_another_answer_comes,
    a_file_that_nobody_answers_holds_nothing_back,
    of_two_answers_at_once_one_is_first,
);

fn claimed(awaits_answer: bool) -> SettlementFile {
    SettlementFile {
        host_id: host(),
        business_date: day(1),
        cycle: 1,
        name: "day.csv".into(),
        sha256: [9; 32],
        bytes: 100,
        item_count: 1,
        sums: vec![FileSum {
            currency: "EUR".parse().unwrap(),
            count: 1,
            sum_minor: 1_250,
        }],
        written_at: NOW,
        awaits_answer,
        answer: None,
        accepted_at: None,
    }
}

fn taken(number: u8, sum_minor: i64) -> FileAnswer {
    answer(
        number,
        FileVerdict::Accepted {
            taken: vec![TakenSum {
                currency: "EUR".parse().unwrap(),
                transaction_code: "05".into(),
                count: 1,
                sum_minor,
            }],
        },
    )
}

fn rejected(number: u8) -> FileAnswer {
    answer(
        number,
        FileVerdict::Rejected {
            rejections: vec![Rejection {
                record: None,
                field: "Forwarding ID".into(),
                value: "0000000928A".into(),
                error: "Value should be numeric".into(),
            }],
            count: 1,
        },
    )
}

fn answer(number: u8, verdict: FileVerdict) -> FileAnswer {
    FileAnswer {
        agrees: verdict.agrees_with(&claimed(true).sums),
        verdict,
        sha256: [number; 32],
        before: vec!["0a".into()],
        answered_at: NOW,
    }
}

impl Store {
    /// Records an answer to the only file. What can be funded then, and the state of the batch meanwhile.
    async fn answered(&self, answer: &FileAnswer) -> (Vec<BatchState>, BatchState) {
        let [file] = &self.settlement_files(&host(), day(1)).await.unwrap()[..] else {
            panic!("one file");
        };
        assert!(self.record_answer(file, answer).await.unwrap());
        let [read] = &self.settlement_files(&host(), day(1)).await.unwrap()[..] else {
            panic!("one file");
        };
        assert_eq!(
            (read.answer.as_ref(), read.accepted_at),
            (Some(answer), None)
        );
        let batch = self.all_batches("shop").await[0].state;
        (self.fundable_now().await, batch)
    }

    async fn fundable_now(&self) -> Vec<BatchState> {
        let closed = self.business_day(&host(), day(1)).await.unwrap().unwrap();
        let found = self.batches_to_fund(&closed, 10, None).await.unwrap();
        found.into_iter().map(|(_, state)| state).collect()
    }
}

async fn a_day_waits_until_its_file_is_taken_as_it_claims(database: TestDatabase) {
    use BatchState::{Disputed, Settled, Submitted};
    let store = database.open().await;
    store.closed_day_of(1).await;
    assert_eq!(store.fundable_now().await, [Settled], "without a file");
    let file = claimed(true);
    assert!(store.record_settlement_file(&file, true).await.unwrap());
    assert_eq!(
        store.settlement_files(&host(), day(1)).await,
        Ok(vec![file])
    );
    assert_eq!(store.fundable_now().await, []);
    assert_eq!(store.all_batches("shop").await[0].state, Submitted);
    for (answer, fundable) in [
        (rejected(1), vec![]),
        (taken(2, 1_251), vec![]),
        (taken(3, 1_250), vec![Settled]),
        // The last one counts.
        (rejected(4), vec![]),
        (taken(5, 1_250), vec![Settled]),
    ] {
        assert_eq!(store.answered(&answer).await, (fundable, Disputed));
    }
    store.close().await;
}

async fn a_file_counts_as_it_is_until_another_answer_comes(database: TestDatabase) {
    use BatchState::{Disputed, Settled};
    let store = database.open().await;
    store.closed_day_of(1).await;
    let recorded = store.record_settlement_file(&claimed(true), true).await;
    assert!(recorded.unwrap());
    let accept = async || {
        store
            .accept_files(&host(), day(1), true, NOW)
            .await
            .unwrap()
    };
    let unanswered = store.accept_files(&host(), day(1), false, NOW).await;
    assert_eq!(unanswered, Ok(0), "nobody has said that it needs no answer");
    // One that is not answered, one that is rejected, and one of which something else was taken.
    for answer in [None, Some(rejected(1)), Some(taken(2, 1_251))] {
        if let Some(answer) = answer {
            assert_eq!(store.answered(&answer).await, (vec![], Disputed));
        }
        assert_eq!((accept().await, accept().await), (1, 0));
        assert_eq!(store.fundable_now().await, [Disputed]);
    }
    let agrees = store.answered(&taken(3, 1_250)).await;
    assert_eq!(agrees, (vec![Settled], Disputed));
    assert_eq!(accept().await, 0, "it agrees");
    store.close().await;
}

async fn a_file_that_nobody_answers_holds_nothing_back(database: TestDatabase) {
    let store = database.open().await;
    store.closed_day_of(1).await;
    let recorded = store.record_settlement_file(&claimed(false), true).await;
    assert!(recorded.unwrap());
    assert_eq!(store.fundable_now().await, [BatchState::Settled]);
    assert_eq!(store.accept_files(&host(), day(1), true, NOW).await, Ok(0));
    store.close().await;
}

async fn of_two_answers_at_once_one_is_first(database: TestDatabase) {
    let store = database.open().await;
    store.closed_day_of(1).await;
    let file = claimed(true);
    assert!(store.record_settlement_file(&file, true).await.unwrap());
    let record = async |answer: &FileAnswer| store.record_answer(&file, answer).await.unwrap();
    assert!(record(&taken(1, 1_250)).await);
    // Twice is as once.
    assert!(record(&taken(1, 1_250)).await);
    assert!(!record(&rejected(2)).await, "of the file as it was");
    let read = store.settlement_files(&host(), day(1)).await.unwrap();
    assert_eq!(read[0].answer, Some(taken(1, 1_250)));
    assert_eq!(store.fundable_now().await, [BatchState::Settled]);
    store.close().await;
}
