//! A merchant is told of each capture and refund that is settled, and one who watches a payment sees it to its end.

use payswitch::admin_api::pb::settlement_admin_service_client::SettlementAdminServiceClient;
use payswitch::merchant_api::pb;
use pb::settlement_note::Item;
use pb::{EventKind as Kind, SettlementState};
use tokio::time::timeout;

use crate::capturing::{get, minor};
use crate::database::Engine;
use crate::events::{all, events_of};
use crate::harness::{ANSWER_WITHIN, Switch, authorize, eventually, on_both_engines};
use crate::operators::operator;
use crate::refunding::{get_refund, refund_of, refunds_of, try_refund};
use crate::sales::sale;
use crate::settling::{cut_over, cutover_of, notes, open_date, settled, settlement_of};

on_both_engines!(what_is_settled_is_told_and_ends_a_payment_that_was_refunded);

async fn what_is_settled_is_told_and_ends_a_payment_that_was_refunded(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let mut refunds = refunds_of(&switch).await;
    let mut settlement = settlement_of(&switch, &switch.api_key).await;
    let mut client = SettlementAdminServiceClient::new(operator(&switch).await);
    let mut events = events_of(&switch, switch.gateway()).await;
    let today = open_date(&mut client).await;

    let sold = authorize(&mut payments, sale("pm_test_visa", 2_500)).await;
    let kept = authorize(&mut payments, sale("pm_test_visa", 700)).await;
    let refund = try_refund(&mut refunds, refund_of(&sold, 2_500)).await;
    let refund = refund.expect("a refund").refund_id;
    let batch_id = eventually("the refund in the batch", async || {
        let refund = get_refund(&mut refunds, &refund).await;
        (!refund.batch_id.is_empty()).then_some(refund.batch_id)
    })
    .await;
    let watch = async |payment: &pb::Payment| {
        let request = pb::WatchPaymentRequest {
            payment_id: payment.payment_id.clone(),
        };
        let mut payments = switch.payments().await;
        let stream = payments.watch_payment(request).await;
        stream.expect("a stream").into_inner()
    };
    let (mut watched, mut of_kept) = (watch(&sold).await, watch(&kept).await);
    for stream in [&mut watched, &mut of_kept] {
        let now = stream.message().await.expect("no error");
        let now = now.expect("no end").payment.expect("a payment");
        assert_eq!(now.captures[0].settlement_note, None);
    }

    let closed = cut_over(&mut client, cutover_of(&today)).await;
    closed.expect("a day");
    let funded = settled(&mut settlement, &batch_id).await;
    let rest = async {
        let mut told = Vec::new();
        while let Some(now) = watched.message().await.expect("no error") {
            told.push(now.payment.expect("a payment"));
        }
        told
    };
    let told = timeout(ANSWER_WITHIN, rest).await.expect("an end");
    let last = told.last().expect("that it is settled");
    let note = last.captures[0].settlement_note.as_ref();
    let note = note.expect("how it is settled");
    assert_eq!(
        [&note.gross, &note.fee, &note.net].map(minor),
        [2_500, 0, 2_500]
    );
    assert_eq!(note.fund_time, funded.settle_time);
    assert_eq!((&*note.payout_id, &*note.bank_reference), ("", ""));
    // What is over is told once.
    let mut again = watch(&sold).await;
    assert!(again.message().await.expect("no error").is_some());
    assert_eq!(again.message().await.expect("no error"), None);
    // One that was not refunded is told too, and goes on.
    let now = timeout(ANSWER_WITHIN, of_kept.message()).await;
    let now = now.expect("in time").expect("no error").expect("no end");
    let capture = &now.payment.expect("a payment").captures[0];
    assert_eq!(capture.settlement_state(), SettlementState::Settled);

    // One event for each, after that of the batch, as the notes of the batch are.
    let told = eventually("the events", async || {
        let told = all(&mut events, 100).await;
        let batch = told.iter().position(|it| it.kind() == Kind::BatchSettled)?;
        let told = told[batch + 1..].to_vec();
        (told.len() == 3).then_some(told)
    })
    .await;
    let of_batch = notes(&mut settlement, (&batch_id, 10)).await;
    let mut expected = Vec::new();
    for event in told {
        assert_eq!(
            (event.kind(), event.payment_sequence),
            (Kind::PaymentSettled, 0)
        );
        let Some(pb::event::Subject::SettlementNote(note)) = event.subject else {
            panic!("{event:?}");
        };
        expected.push(note);
    }
    assert_eq!(of_batch, expected);
    for note in of_batch {
        let shown = match note.item.as_ref().expect("an item") {
            Item::CaptureId(id) => get(&mut payments, id).await.settlement_note,
            Item::RefundId(id) => get_refund(&mut refunds, id).await.settlement_note,
            Item::ChargebackId(id) => panic!("{id}"),
        };
        assert_eq!(shown, Some(note));
    }
}
