//! Merchants' money, on both databases.

mod chargebacks;
mod charging;
pub(crate) mod payouts;
mod settled_events;
mod statements;
mod terms;

use std::sync::Arc;

use crate::clock::{Clock, ManualClock};
use crate::payment::adjustment::Adjustment;
use crate::payment::amounts::Amounts;
use crate::payment::capture::Capture;
use crate::payment::custody::CustodyEnd;
use crate::payment::event::PaymentEvent;
use crate::payment::ids::{
    CaptureId, HostId, MerchantId, OperationId, PaymentId, RefundId, SubjectId,
};
use crate::payment::moment::BusinessDate;
use crate::payment::money::Money;
use crate::payment::operation::OperationState;
use crate::payment::operation_kind::OperationKind;
use crate::payment::record::{CardBrand, Operation, Payment};
use crate::payment::reference::{RRN_COUNT, SequenceNumber};
use crate::payment::samples::{self, NOW, approval};
use crate::payment::settlement::{BusinessDay, ClosedBy, Cutover};
use crate::settlement::charging::Charging;
use crate::settlement::funding::settled_journal;
use crate::store::Store;
use crate::store::change::{Change, OperationStep, PaymentChange, Verdict};
use crate::store::testing::{TestDatabase, unique};

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
pub(crate) use on_both;

const COMMITTED: Verdict = Verdict::Committed { payment: None };

pub(crate) fn host() -> HostId {
    "acquirer".parse().unwrap()
}

fn shop() -> MerchantId {
    "demo-shop".parse().unwrap()
}

pub(crate) fn date(number: u8) -> BusinessDate {
    BusinessDate::new(2026, 11, number)
}

/// A store with the merchant demo-shop.
pub(crate) struct Scene {
    database: TestDatabase,
    pub(crate) store: Store,
    pub(crate) clock: Arc<ManualClock>,
}

impl Scene {
    pub(crate) async fn new(database: TestDatabase) -> Self {
        let store = database.open().await;
        store.insert_merchant(&samples::merchant()).await.unwrap();
        store.open_first_day(&host(), date(1), NOW).await.unwrap();
        Self {
            database,
            store,
            clock: Arc::new(ManualClock::at(NOW)),
        }
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock) as Arc<dyn Clock>
    }

    pub(crate) fn charging(&self) -> Charging {
        Charging::new(self.store.clone(), self.clock(), Vec::new())
    }

    /// A sale that counts in the open day.
    pub(crate) async fn sale(&self, amount: Money, brand: CardBrand) -> Payment {
        let capture_id = CaptureId::from_parts(NOW, random());
        let operation = Operation {
            kind: OperationKind::Sale,
            amount,
            subject_id: Some(SubjectId::Capture(capture_id)),
            ..operation(PaymentId::from_parts(NOW, random()))
        };
        let mut payment = samples::payment_of(&operation);
        payment.card.brand = brand;
        let capture = Capture {
            id: capture_id,
            ..samples::capture_of(&operation)
        };
        let begun = Change {
            payment: Some(PaymentChange::New {
                payment: &payment,
                card: None,
            }),
            new_capture: Some(&capture),
            new_operation: Some(&operation),
            ..Change::default()
        };
        assert_eq!(self.store.commit(&begun).await, Ok(COMMITTED));
        let minor = amount.amount_minor();
        let change = Amounts {
            authorized_minor: minor,
            captured_minor: minor,
            ..Amounts::ZERO
        };
        self.adjust(payment, PaymentEvent::Sold(approval()), change, &operation)
            .await
    }

    /// A refund that counts in the open day.
    async fn refund(&self, payment: &Payment, minor: i64) {
        let amount = Money::new(minor, payment.amount.currency()).unwrap();
        let operation = Operation {
            kind: OperationKind::Refund,
            amount,
            subject_id: Some(SubjectId::Refund(RefundId::from_parts(NOW, random()))),
            original_id: Some(payment.authorization.operation_id),
            ..operation(payment.id)
        };
        let pending = Amounts {
            refunded_minor: minor,
            refunded_pending_minor: minor,
            ..Amounts::ZERO
        };
        let adjustment = adjustment(PaymentEvent::RefundStarted, pending);
        let started = *adjustment.apply(Box::new(payment.clone())).unwrap();
        let begun = Change {
            payment: Some(PaymentChange::Adjusted {
                expected: &started,
                adjustment: &adjustment,
            }),
            new_operation: Some(&operation),
            ..Change::default()
        };
        assert_eq!(self.store.commit(&begun).await, Ok(COMMITTED));
        let counts = Amounts {
            refunded_pending_minor: -minor,
            ..Amounts::ZERO
        };
        self.adjust(started, PaymentEvent::Refunded, counts, &operation)
            .await;
    }

    async fn adjust(
        &self,
        payment: Payment,
        event: PaymentEvent,
        change: Amounts,
        operation: &Operation,
    ) -> Payment {
        let adjustment = adjustment(event, change);
        let after = *adjustment.apply(Box::new(payment)).unwrap();
        let approved = Operation {
            state: OperationState::Approved {
                approval: approval(),
                acknowledged: None,
            },
            version: operation.version + 1,
            ..operation.clone()
        };
        let change = Change {
            payment: Some(PaymentChange::Adjusted {
                expected: &after,
                adjustment: &adjustment,
            }),
            step: Some(OperationStep {
                operation: &approved,
                answers: false,
            }),
            ..Change::default()
        };
        assert_eq!(self.store.commit(&change).await, Ok(COMMITTED));
        after
    }

    /// Ends the day of a number and makes its batches.
    pub(crate) async fn end_day(&self, number: u8) -> BusinessDay {
        let cutover = Cutover {
            host_id: host(),
            date: date(number),
            next: date(number + 1),
            at: NOW,
            by: ClosedBy::Operator,
        };
        assert!(self.store.cut_over(&cutover).await.unwrap());
        let day = self.store.business_day(&host(), date(number)).await;
        let day = day.unwrap().unwrap();
        let batches = self.store.batches_of_day(&day).await.unwrap();
        let made = self.store.insert_batches(&day, &batches, None, NOW);
        made.await.unwrap();
        self.store
            .business_day(&host(), date(number))
            .await
            .unwrap()
            .unwrap()
    }

    /// Funds what can be funded of a day. How many batches.
    pub(crate) async fn fund(&self, day: &BusinessDay) -> usize {
        let found = self.store.batches_to_fund(day, 100, None).await.unwrap();
        for (batch, state) in &found {
            let journal = settled_journal(batch, NOW).unwrap();
            let funded = self.store.fund_batch(batch, *state, journal.as_ref(), NOW);
            assert!(funded.await.unwrap());
        }
        found.len()
    }
}

fn adjustment(event: PaymentEvent, change: Amounts) -> Adjustment {
    Adjustment {
        event,
        change,
        at: NOW,
        custody: CustodyEnd::Unchanged,
    }
}

/// Ten bytes that differ each time.
fn random() -> [u8; 10] {
    let mut bytes = [0; 10];
    bytes[2..].copy_from_slice(&unique().to_be_bytes());
    bytes
}

fn operation(payment_id: PaymentId) -> Operation {
    let sample = samples::operation();
    let number = SequenceNumber::new(unique() % RRN_COUNT).unwrap();
    Operation {
        id: OperationId::from_parts(NOW, random()),
        payment_id,
        stan: number.stan(),
        rrn: number.rrn(sample.number_date),
        ..sample
    }
}
