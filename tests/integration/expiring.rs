//! The end of a hold: a capture comes before it, or not at all; and no payment is EXPIRED under a capture.
//!
//! The end of a recorded hold is moved by hand, since the gateway goes by the machine's clock.

use bank_sim::issuer::Standing;
use futures_util::future::join_all;
use payswitch::merchant_api::pb;
use payswitch::operations::expiry::HOLD_GRACE;
use payswitch::payment::moment::UnixMillis;
use pb::{CaptureState, PaymentState as State};
use tonic::Code;

use crate::capturing::{actions, booked, capture, ended, minor, of, try_capture};
use crate::database::Engine;
use crate::harness::{Payments, Switch, authorize, eventually, now, on_both_engines, pay_with};
use crate::refused::Refused;
use crate::unknown_outcomes::found;
use crate::voiding::{try_void, void_of};
use payswitch::grpc::client::error_reason;

on_both_engines!(
    a_capture_comes_before_the_end_of_the_hold_or_not_at_all,
    no_hold_ends_under_a_capture,
);

const DAY_S: i64 = 86_400;

/// A hold of one day.
async fn switch(engine: Engine) -> Switch {
    let template = include_str!("../../hosts/acquirer.toml");
    let profile = template.replace("hold_days = 7", "hold_days = 1");
    Switch::start_with(engine, Some(profile)).await
}

async fn held(payments: &mut Payments) -> pb::Payment {
    let payment = authorize(payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    let authorization = payment.authorization.as_ref().expect("it is routed");
    let ends = authorization.expire_time.as_ref().expect("an end").seconds;
    let lasts = ends - payment.update_time.as_ref().expect("a time").seconds;
    assert_eq!((payment.state(), lasts), (State::Authorized, DAY_S));
    payment
}

async fn move_end(switch: &Switch, payment: &pb::Payment, end: UnixMillis) {
    let id = &payment.payment_id;
    let parsed = id.parse().expect("an id");
    let stored = switch.store().payment(&switch.merchant_id, parsed).await;
    let stored = stored.expect("the store").expect("the payment");
    // The gateway may have ended it.
    let Some(before) = stored.state.hold_ends_at() else {
        return;
    };
    let before = before.as_i64();
    let end = end.as_i64();
    let text = format!(
        "UPDATE payments SET expires_at_ms = {end}, state_detail = REPLACE(state_detail, \
         '\"expires_at\":{before}', '\"expires_at\":{end}') WHERE id = '{id}' RETURNING expires_at_ms"
    );
    switch.database.number(text).await;
}

async fn events(switch: &Switch, payment: &pb::Payment) -> i64 {
    let text = format!(
        "SELECT COUNT(*) FROM events WHERE kind = 'PAYMENT_EXPIRED' AND payment_id = '{}'",
        payment.payment_id
    );
    switch.database.number(text).await
}

async fn a_capture_comes_before_the_end_of_the_hold_or_not_at_all(engine: Engine) {
    let switch = switch(engine).await;
    let mut payments = switch.payments().await;
    let (before, after) = (held(&mut payments).await, held(&mut payments).await);
    move_end(&switch, &before, now().plus_ms(30_000)).await;
    let (captured, told) = capture(&mut payments, of(&before, 6_000)).await;
    assert_eq!(captured.state(), State::PartiallyCaptured);

    move_end(&switch, &after, now().plus_ms(-1_000)).await;
    let refused = try_capture(&mut payments, of(&after, 6_000)).await;
    let expected = Refused {
        preconditions: vec!["payment".into()],
        ..Refused::not_sent(Code::FailedPrecondition, "HOLD_EXPIRED")
    };
    let refused = refused.expect_err("the hold has ended");
    assert_eq!(Refused::from(&refused), expected);
    assert_eq!(booked(&switch, &after).0, [0_i64; 0]);

    // What is left of either hold ends a minute after its time, and is told.
    ended(&mut payments, &told.capture_id, CaptureState::Captured).await;
    for (payment, state) in [(&before, State::Captured), (&after, State::Expired)] {
        let grace_ms = i64::try_from(HOLD_GRACE.as_millis()).expect("a minute");
        move_end(&switch, payment, now().plus_ms(-grace_ms)).await;
        let ended = eventually("the end of the hold", async || {
            let payment = found(&mut payments, &payment.payment_id).await;
            (payment.state() == state).then_some(payment)
        })
        .await;
        assert_eq!(events(&switch, payment).await, 1);
        assert!(!actions(&ended).contains(&pb::PaymentAction::Capture));
        let refused = try_capture(&mut payments, of(payment, 1)).await;
        let reason = error_reason(&refused.expect_err("it has ended"));
        let expected = match state {
            State::Expired => "HOLD_EXPIRED",
            _ => "PAYMENT_STATE",
        };
        assert_eq!(reason.as_deref(), Some(expected));
    }
    let refused = try_void(&mut payments, void_of(&after)).await;
    let reason = error_reason(&refused.expect_err("it has ended"));
    assert_eq!(reason.as_deref(), Some("PAYMENT_STATE"));
    assert_eq!(booked(&switch, &before).0, [6_000]);
    switch.database.assert_books_are_whole().await;
}

/// Captures up to the very end of a hold and behind it, while the gateway looks for holds that have ended.
async fn no_hold_ends_under_a_capture(engine: Engine) {
    const TIMES: i64 = 30;
    let switch = switch(engine).await;
    let mut payments = switch.payments().await;
    let grace_ms = i64::try_from(HOLD_GRACE.as_millis()).expect("a minute");
    let mut holds = Vec::new();
    for _ in 0..TIMES {
        holds.push(held(&mut payments).await);
    }
    let captured = join_all((0..TIMES).zip(&holds).map(|(number, payment)| {
        let (mut payments, switch) = (payments.clone(), &switch);
        async move {
            // Of some the end has passed already, and the gateway ends them meanwhile.
            let lasts_ms = if number % 3 == 0 {
                -grace_ms - 1
            } else {
                number * 20
            };
            move_end(switch, payment, now().plus_ms(lasts_ms)).await;
            let mut taken = Vec::new();
            for amount_minor in 1..=100 {
                match try_capture(&mut payments, of(payment, amount_minor)).await {
                    Ok((_, told)) => taken.push((amount_minor, told)),
                    Err(refused) => {
                        let reason = error_reason(&refused);
                        assert_eq!(reason.as_deref(), Some("HOLD_EXPIRED"), "{refused:?}");
                        break;
                    }
                }
            }
            assert!(taken.len() < 100, "the hold never ended");
            move_end(switch, payment, now().plus_ms(-grace_ms - 1)).await;
            (payment, taken)
        }
    }))
    .await;
    let mut with_captures = 0;
    for (payment, taken) in captured {
        for (_, told) in &taken {
            ended(&mut payments, &told.capture_id, CaptureState::Captured).await;
        }
        let (state, expired) = match taken.len() {
            0 => (State::Expired, 0),
            _ => (State::Captured, taken.iter().map(|(minor, _)| minor).sum()),
        };
        with_captures += usize::from(!taken.is_empty());
        let whole = eventually("the end of the hold", async || {
            let payment = found(&mut payments, &payment.payment_id).await;
            matches!(payment.state(), State::Captured | State::Expired).then_some(payment)
        })
        .await;
        assert_eq!(
            (whole.state(), minor(&whole.captured_amount)),
            (state, expired)
        );
        assert_eq!(events(&switch, payment).await, 1);
        let (debits, hold) = booked(&switch, payment);
        let sent: Vec<i64> = taken.iter().map(|(minor, _)| *minor).collect();
        let remaining_minor = 10_000 - expired;
        assert_eq!((debits, hold), (sent, Standing::Held { remaining_minor }));
    }
    assert!(with_captures > 0, "no capture came before its end");
    switch.database.assert_books_are_whole().await;
}
