//! Days, and what is settled with them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use futures_util::future::join_all;

use super::make::{
    COMMITTED, Intent, NOW, Outcome, approved, intent, operation_at, random, reversal_of,
};
use super::on_both;
use crate::payment::adjustment::Adjustment;
use crate::payment::amounts::Amounts;
use crate::payment::custody::CustodyEnd;
use crate::payment::decline::FailureReason;
use crate::payment::event::PaymentEvent;
use crate::payment::ids::{CaptureId, HostId, MerchantId, SubjectId};
use crate::payment::moment::BusinessDate;
use crate::payment::operation::OperationState;
use crate::payment::operation_kind::OperationKind;
use crate::payment::record::{Operation, Payment};
use crate::payment::samples::approval;
use crate::payment::settlement::{BatchState, BusinessDay, ClosedBy, Cutover, SettlementBatch};
use crate::random::HashSet;
use crate::store::Store;
use crate::store::change::{Change, OperationStep, PaymentChange, Verdict};
use crate::store::records::lists::ListOrder;
use crate::store::records::settlement::{BatchCursor, BatchFilter};
use crate::store::testing::TestDatabase;

on_both!(
    what_counts_is_settled_with_one_day_whatever_is_closed_meanwhile,
    a_sale_leaves_its_day_while_that_is_open,
    batches_are_listed_before_and_after_they_are_made,
);

pub(super) fn host() -> HostId {
    "acquirer".parse().unwrap()
}

pub(super) fn day(number: u8) -> BusinessDate {
    BusinessDate::new(2026, 1 + number / 28, 1 + number % 28)
}

/// A sale of 12.50 EUR.
pub(super) fn sale(merchant: &str) -> Intent {
    let mut intent = intent(merchant);
    let operation = &mut intent.operation;
    operation.kind = OperationKind::Sale;
    operation.subject_id = Some(SubjectId::Capture(CaptureId::from_parts(NOW, random())));
    intent.payment.authorization = operation.as_authorization();
    intent
}

/// The sale, approved.
pub(super) fn sold(intent: &Intent) -> Outcome {
    let outcome = approved(intent);
    let minor = intent.payment.amount.amount_minor();
    let adjustment = Adjustment {
        event: PaymentEvent::Sold(approval()),
        change: Amounts {
            authorized_minor: minor,
            captured_minor: minor,
            ..Amounts::ZERO
        },
        at: outcome.adjustment.at,
        custody: CustodyEnd::Unchanged,
    };
    Outcome {
        payment: *adjustment.apply(Box::new(intent.payment.clone())).unwrap(),
        adjustment,
        ..outcome
    }
}

/// The approval of a hold, and a capture of it that is owed.
fn captured(intent: &Intent) -> Outcome {
    let outcome = approved(intent);
    let capture = Operation {
        kind: OperationKind::Capture,
        subject_id: Some(SubjectId::Capture(CaptureId::from_parts(NOW, random()))),
        ..reversal_of(&outcome.operation)
    };
    Outcome {
        reversal: Some(capture),
        ..outcome
    }
}

/// The capture, acknowledged.
fn acknowledged(outcome: &Outcome) -> Option<Operation> {
    let queued = outcome.reversal.clone()?;
    Some(Operation {
        state: outcome.operation.state.clone(),
        version: 2,
        ..queued
    })
}

impl Store {
    /// Closes the day of a number and opens the next one.
    pub(super) async fn end_day(&self, number: u8) -> bool {
        let cutover = Cutover {
            host_id: host(),
            date: day(number),
            next: day(number + 1),
            at: NOW.plus_ms(i64::from(number)),
            by: ClosedBy::Clock,
        };
        self.cut_over(&cutover).await.unwrap()
    }

    /// The same, and what the day held at that moment; none where another one was first.
    async fn end_and_sum(&self, number: u8) -> Option<(BusinessDay, Vec<SettlementBatch>)> {
        if !self.end_day(number).await {
            return None;
        }
        let ended = self.business_day(&host(), day(number)).await.unwrap();
        let ended = ended.unwrap();
        let sums = self.batches_of_day(&ended).await.unwrap();
        Some((ended, sums))
    }

    /// No merchant has a plan: no batch costs anything.
    pub(super) async fn charge_nothing(&self) {
        loop {
            let batches = self.batches_without_fees(&[], 100, None).await.unwrap();
            if batches.is_empty() {
                return;
            }
            for batch in batches {
                self.begin_fees(&batch, 0, None).await.unwrap();
                let begun = self.batch_without_fees(batch.id).await.unwrap();
                self.end_fees(&begun.unwrap(), NOW).await.unwrap();
            }
        }
    }

    pub(super) async fn batch_up(&self, day: &BusinessDay) {
        let batches = self.batches_of_day(day).await.unwrap();
        self.insert_batches(day, &batches, None, NOW).await.unwrap();
    }

    pub(super) async fn all_batches(&self, merchant: &str) -> Vec<SettlementBatch> {
        let merchant: MerchantId = merchant.parse().unwrap();
        let filter = BatchFilter::default();
        let listed =
            self.list_settlement_batches(&merchant, &filter, ListOrder::OldestFirst, 100, None);
        listed.await.unwrap().items
    }

    /// The date of the day of an operation, and whether that is closed.
    async fn day_of(&self, operation: &Operation) -> Option<(BusinessDate, bool)> {
        let found = self.settlement_of(&[operation.id]).await.unwrap();
        let found = found.get(&operation.id)?;
        Some((found.business_date, found.is_closed()))
    }
}

/// Two processes sell and end days at once, on PostgreSQL. What a day held when it was closed it holds for good, and a
/// sale is settled with a day that was open while it was recorded.
async fn what_counts_is_settled_with_one_day_whatever_is_closed_meanwhile(database: TestDatabase) {
    let store = database.open().await;
    let other = match database.config.url.starts_with("postgres") {
        true => database.open().await,
        false => store.clone(),
    };
    const SALES: usize = 200;
    const SELLERS: usize = 8;
    store.open_first_day(&host(), day(0), NOW).await.unwrap();
    let sales: Vec<Intent> = (0..SALES)
        .map(|number| sale(["shop", "bookshop"][number % 2]))
        .collect();
    let holds: Vec<Intent> = (0..SALES).map(|_| intent("shop")).collect();
    let intents = sales.iter().chain(&holds);
    join_all(intents.map(|intent| store.record_intent(intent))).await;
    let captured: Vec<Outcome> = holds.iter().map(captured).collect();
    join_all(captured.iter().map(|outcome| store.record_outcome(outcome))).await;
    let captures: Vec<Operation> = captured.iter().filter_map(acknowledged).collect();
    let (open, sellers) = (
        Arc::new(AtomicU8::new(0)),
        Arc::new(AtomicUsize::new(SELLERS)),
    );
    let both = sales
        .chunks(SALES / SELLERS)
        .zip(captures.chunks(SALES / SELLERS));
    let selling = both.enumerate().map(|(number, (sales, captures))| {
        let at = [&store, &other][number % 2].clone();
        let (open, sellers) = (Arc::clone(&open), Arc::clone(&sellers));
        let pairs = sales.iter().map(sold).zip(captures.to_vec());
        let pairs: Vec<(Outcome, Operation)> = pairs.collect();
        tokio::spawn(async move {
            let mut recorded = Vec::new();
            for (sale, capture) in pairs {
                let before = open.load(Ordering::SeqCst);
                assert_eq!(at.record_outcome(&sale).await, Ok(COMMITTED));
                // What it acknowledges counted before: it is no event, and takes no position.
                let acknowledgement = Change {
                    owed_step: Some(&capture),
                    ..Change::default()
                };
                assert_eq!(at.commit(&acknowledgement).await, Ok(COMMITTED));
                // One more: its cutover may be committed already.
                let after = open.load(Ordering::SeqCst) + 1;
                recorded.extend([sale.operation, capture].map(|it| (it, before..=after)));
            }
            sellers.fetch_sub(1, Ordering::SeqCst);
            recorded
        })
    });
    let selling: Vec<_> = selling.collect();
    let mut closed = Vec::new();
    while sellers.load(Ordering::SeqCst) > 0 && closed.len() < 200 {
        let number = open.load(Ordering::SeqCst);
        let (one, two) = tokio::join!(store.end_and_sum(number), other.end_and_sum(number));
        assert!(one.is_some() != two.is_some(), "one of them ends it");
        closed.extend(one.or(two));
        open.fetch_add(1, Ordering::SeqCst);
    }
    let mut recorded = Vec::new();
    for seller in selling {
        recorded.extend(seller.await.unwrap());
    }
    assert!(closed.len() > 2, "{} days", closed.len());
    for (day, at_once) in &closed {
        let later = store.batches_of_day(day).await.unwrap();
        assert_eq!(later, *at_once, "a day that is closed does not change");
    }
    for (operation, days) in recorded {
        let (date, _) = store.day_of(&operation).await.unwrap();
        assert!(
            days.clone().any(|number| day(number) == date),
            "{date} of {days:?}"
        );
    }

    let days = store.business_days(&host(), 1000, None).await.unwrap();
    assert_eq!(days.len(), closed.len() + 1);
    let positions = days.iter().rev().filter_map(|day| day.last_position);
    assert!(positions.is_sorted());
    for closed in store.days_without_batches().await.unwrap() {
        store.batch_up(&closed).await;
        other.batch_up(&closed).await;
    }
    assert_eq!(store.days_without_batches().await, Ok(vec![]));
    let mut settled = 0;
    for merchant in ["shop", "bookshop"] {
        let batches = store.all_batches(merchant).await;
        let names: HashSet<_> = batches.iter().map(|batch| batch.id).collect();
        assert_eq!(names.len(), batches.len());
        for batch in &batches {
            let items = store.settlement_items(&batch.key, 1000, None);
            let items = items.await.unwrap();
            let sum: i64 = items.iter().map(|item| item.amount.amount_minor()).sum();
            let totals = (batch.totals.capture_count, batch.totals.captured_minor);
            assert_eq!(totals, (i64::try_from(items.len()).unwrap(), sum));
            settled += items.len();
        }
    }
    assert_eq!(settled, 2 * SALES);
    store.close().await;
    other.close().await;
}

async fn a_sale_leaves_its_day_while_that_is_open(database: TestDatabase) {
    let store = database.open().await;
    let sale = sale("shop");
    store.record_intent(&sale).await.unwrap();
    let sold = sold(&sale);
    store.record_outcome(&sold).await.unwrap();
    // The first item opens the first day.
    let open = store.open_days().await.unwrap();
    let first = open.first().unwrap().date;
    assert_eq!(store.day_of(&sale.operation).await, Some((first, false)));

    let void = |number: i64| Operation {
        kind: OperationKind::Void,
        original_id: Some(sale.operation.id),
        subject_id: sale.operation.subject_id,
        payment_id: sale.payment.id,
        ..operation_at(NOW.plus_ms(number))
    };
    let adjusted =
        async |payment: &Payment, event, new: Option<&Operation>, step: Option<&Operation>| {
            let adjustment = Adjustment {
                event,
                change: Amounts::ZERO,
                at: NOW.plus_ms(200),
                custody: CustodyEnd::Unchanged,
            };
            let after = adjustment.apply(Box::new(payment.clone())).unwrap();
            let change = Change {
                payment: Some(PaymentChange::Adjusted {
                    expected: &after,
                    adjustment: &adjustment,
                }),
                new_operation: new,
                step: step.map(|operation| OperationStep {
                    operation,
                    answers: false,
                }),
                ..Change::default()
            };
            (store.commit(&change).await.unwrap(), after)
        };
    let begun = void(1);
    let started = adjusted(
        &sold.payment,
        PaymentEvent::SaleVoidStarted,
        Some(&begun),
        None,
    );
    let (verdict, voiding) = started.await;
    assert_eq!(verdict, COMMITTED);
    assert_eq!(store.day_of(&sale.operation).await, None);

    // The void is refused on the next day, and the sale is settled with that.
    let next = BusinessDate::new(2030, 1, 2);
    let cutover = Cutover {
        host_id: host(),
        date: first,
        next,
        at: NOW.plus_ms(300),
        by: ClosedBy::Operator,
    };
    assert!(store.cut_over(&cutover).await.unwrap());
    let refused = Operation {
        state: OperationState::Rejected {
            reason: FailureReason::HostBusy,
        },
        version: 2,
        ..begun
    };
    let refused = adjusted(&voiding, PaymentEvent::VoidRefused, None, Some(&refused));
    let (verdict, standing) = refused.await;
    assert_eq!(verdict, COMMITTED);
    assert_eq!(store.day_of(&sale.operation).await, Some((next, false)));

    // Once that is closed too, nothing takes the sale out of it, and nothing of the void is written.
    let cutover = Cutover {
        date: next,
        next: BusinessDate::new(2030, 1, 3),
        ..cutover
    };
    assert!(store.cut_over(&cutover).await.unwrap());
    let late = void(2);
    let late_void = adjusted(&standing, PaymentEvent::SaleVoidStarted, Some(&late), None);
    assert_eq!(late_void.await.0, Verdict::DayClosed);
    assert_eq!(store.day_of(&sale.operation).await, Some((next, true)));
    let operations = store.operations_of(sale.payment.id).await.unwrap();
    assert!(operations.iter().all(|it| it.id != late.id));
    let merchant = &sale.payment.merchant_id;
    let read = store.payment(merchant, sale.payment.id).await.unwrap();
    assert_eq!(read, Some(*standing));
    store.close().await;
}

async fn batches_are_listed_before_and_after_they_are_made(database: TestDatabase) {
    let store = database.open().await;
    store.open_first_day(&host(), day(1), NOW).await.unwrap();
    for number in 1..=3 {
        let sale = sale("shop");
        store.record_intent(&sale).await.unwrap();
        store.record_outcome(&sold(&sale)).await.unwrap();
        if number < 3 {
            assert!(store.end_day(number).await);
            assert!(!store.end_day(number).await, "once");
        }
    }
    let before = store.all_batches("shop").await;
    let closed = store.days_without_batches().await.unwrap();
    store.batch_up(&closed[0]).await;
    let after = store.all_batches("shop").await;
    assert_eq!(before, after);
    let states: Vec<_> = after.iter().map(|batch| batch.state).collect();
    assert_eq!(
        states,
        [BatchState::Closed, BatchState::Closed, BatchState::Open]
    );
    let merchant: MerchantId = "shop".parse().unwrap();
    for batch in &after {
        let found = store.settlement_batch(&merchant, batch.id).await.unwrap();
        assert_eq!(found.as_ref(), Some(batch));
        let other: MerchantId = "bookshop".parse().unwrap();
        let found = store.settlement_batch(&other, batch.id).await.unwrap();
        assert_eq!(found, None);
    }
    let listed = async |filter: BatchFilter, order, limit, after| {
        let listed = store.list_settlement_batches(&merchant, &filter, order, limit, after);
        let listed = listed.await.unwrap().items;
        let dates = listed.iter().map(|batch| batch.key.business_date);
        dates.collect::<Vec<_>>()
    };
    let all = BatchFilter::default;
    let newest = ListOrder::NewestFirst;
    assert_eq!(listed(all(), newest, 2, None).await, [day(3), day(2)]);
    let second = Some(BatchCursor::of(&after[1]));
    assert_eq!(listed(all(), newest, 2, second).await, [day(1)]);
    let oldest = ListOrder::OldestFirst;
    assert_eq!(listed(all(), oldest, 2, second).await, [day(3)]);
    for (filter, expected) in [
        (
            BatchFilter {
                state: Some(BatchState::Closed),
                ..all()
            },
            vec![day(1), day(2)],
        ),
        (
            BatchFilter {
                business_date: Some(day(2)),
                currency: "EUR".parse().ok(),
                host_id: Some(host()),
                ..all()
            },
            vec![day(2)],
        ),
        (
            BatchFilter {
                currency: "USD".parse().ok(),
                ..all()
            },
            vec![],
        ),
    ] {
        assert_eq!(listed(filter, oldest, 10, None).await, expected);
    }
    store.close().await;
}
