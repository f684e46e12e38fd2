use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::clock::Clock;
use crate::operations::expiry::HOLD_GRACE;
use crate::operations::outcome::Told;
use crate::operations::testing::{Folder, approved, decide, intended};
use crate::payment::adjustment::{Adjustment, AdjustmentError};
use crate::payment::amounts::Amounts;
use crate::payment::event::PaymentEvent;
use crate::payment::ids::PaymentId;
use crate::payment::moment::UnixMillis;
use crate::store::change::{Change, PaymentChange, Verdict};

/// A clock that is set.
#[derive(Debug)]
struct SetClock(AtomicI64);

impl Clock for SetClock {
    fn now(&self) -> UnixMillis {
        UnixMillis::new(self.0.load(Ordering::Relaxed))
    }
}

/// A capture of 5.00: none, one that counts, one that is pending; a second before the end of the hold, and at it.
#[tokio::test]
async fn a_hold_ends_by_itself_after_its_grace_and_never_under_a_capture() {
    for (number, (capture, at_ms, expected)) in [
        (None, 0, "EXPIRED"),
        (Some(PaymentEvent::Captured), -1_000, "CAPTURED"),
        (Some(PaymentEvent::Captured), 0, "EXPIRED"),
        (Some(PaymentEvent::CaptureStarted), -1_000, "AUTHORIZED"),
    ]
    .into_iter()
    .enumerate()
    {
        let folder = Folder::new(&format!("expiry-{number}")).await;
        let mut machine = folder.machine().await;
        let outcome = decide(&machine, intended(&machine).await, &approved()).await;
        let concluded = machine.conclude::<std::convert::Infallible>(outcome).await;
        let Told::Ended(payment, operation) = concluded.unwrap() else {
            panic!("it is not cancelled");
        };
        let ends_at = payment.state.expires_at().unwrap();
        let clock = Arc::new(SetClock(AtomicI64::new(0)));
        machine.clock = Arc::clone(&clock) as Arc<dyn Clock>;
        if let Some(event) = capture {
            let pending = event == PaymentEvent::CaptureStarted;
            let adjustment = Adjustment {
                change: Amounts {
                    captured_minor: 500,
                    captured_pending_minor: if pending { 500 } else { 0 },
                    ..Amounts::ZERO
                },
                at: ends_at.plus_ms(at_ms),
                custody: machine.custody.times().end_after(
                    &event,
                    &payment.amounts,
                    ends_at.plus_ms(at_ms),
                ),
                event,
            };
            match adjustment.apply(payment.clone()) {
                Err(refused) => assert_eq!((at_ms, refused), (0, AdjustmentError::HoldEnded)),
                Ok(after) => {
                    let change = Change {
                        payment: Some(PaymentChange::Adjusted {
                            expected: &after,
                            adjustment: &adjustment,
                        }),
                        about: Some(&operation),
                        ..Change::default()
                    };
                    let verdict = machine.store.commit(&change).await.unwrap();
                    assert_eq!(verdict, Verdict::Committed { payment: None });
                }
            }
        }
        let ended = usize::from(expected != "AUTHORIZED");
        let grace = ends_at.plus(HOLD_GRACE);
        for (now, expected) in [(grace, 0), (grace.plus_ms(1), ended), (grace.plus_ms(2), 0)] {
            clock.0.store(now.as_i64(), Ordering::Relaxed);
            assert_eq!(machine.end_holds().await.unwrap(), expected, "{now:?}");
        }
        let found = machine
            .store
            .payment(&payment.merchant_id, payment.id)
            .await;
        assert_eq!(found.unwrap().unwrap().state.name(), expected);
        // What is captured may be refunded for longer than the hold lasted.
        let all =
            [u8::MIN, u8::MAX].map(|byte| PaymentId::from_parts(payment.created_at, [byte; 10]));
        let later = grace.plus_days(10);
        let kept = machine.store.end_custody(1, all.into(), later).await;
        assert_eq!(kept.unwrap().kept, i64::from(expected == "CAPTURED"));
        machine.store.close().await;
    }
}
