//! The bank's days: what counts is settled with the day that is open, and a day that is closed does not change any more.

use payswitch::admin_api::pb as admin;
use payswitch::admin_api::pb::settlement_admin_service_client::SettlementAdminServiceClient;
use payswitch::grpc::client::error_reason;
use payswitch::merchant_api::client::ApiKey;
use payswitch::merchant_api::pb;
use pb::settlement_note::Item;
use pb::settlement_service_client::SettlementServiceClient;
use pb::{CaptureState, PaymentAction, SettlementBatchState as BatchState, SettlementState};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::capturing::{actions, capture, ended, get, minor, of};
use crate::database::Engine;
use crate::faults::{UNANSWERED, fault, inject};
use crate::harness::{Switch, authorize, eventually, on_both_engines, pay_with, unique};
use crate::operators::operator;
use crate::refunding::{get_refund, refund_of, refunds_of, try_refund};
use crate::refused::Refused;
use crate::sales::sale;
use crate::unknown_outcomes::found;
use crate::voiding::{try_void, void_of};

on_both_engines!(
    a_day_is_closed_and_says_what_is_settled_with_it,
    what_the_bank_has_not_taken_is_settled_with_a_later_day,
);

pub(crate) type Settlement = SettlementServiceClient<InterceptedService<Channel, ApiKey>>;
pub(crate) type Days = SettlementAdminServiceClient<Channel>;

pub(crate) async fn settlement_of(switch: &Switch, api_key: &str) -> Settlement {
    let key = ApiKey::new(api_key).expect("an API key for a header");
    SettlementServiceClient::new(key.on(switch.connect(None).await))
}

pub(crate) async fn days(days: &mut Days) -> Vec<admin::BusinessDay> {
    let request = admin::ListBusinessDaysRequest {
        host_id: "acquirer".into(),
        ..Default::default()
    };
    let listed = days.list_business_days(request).await.expect("the days");
    listed.into_inner().business_days
}

pub(crate) async fn open_date(client: &mut Days) -> String {
    eventually("an open day", async || {
        let day = days(client).await.into_iter().next()?;
        Some(day.business_date)
    })
    .await
}

pub(crate) fn cutover_of(business_date: &str) -> admin::CutoverRequest {
    admin::CutoverRequest {
        request_id: format!("cutover-{}", unique()),
        reason: "the bank closes early today".into(),
        host_id: "acquirer".into(),
        business_date: business_date.into(),
    }
}

pub(crate) async fn cut_over(
    days: &mut Days,
    request: admin::CutoverRequest,
) -> Result<admin::BusinessDay, Status> {
    let answer = days.cutover(request).await?.into_inner();
    Ok(answer.business_day.expect("the day"))
}

pub(crate) async fn batch(settlement: &mut Settlement, batch_id: &str) -> pb::SettlementBatch {
    let request = pb::GetSettlementBatchRequest {
        batch_id: batch_id.into(),
    };
    let answer = settlement.get_settlement_batch(request).await;
    let answer = answer.expect("the batch").into_inner();
    answer.settlement_batch.expect("a batch")
}

/// A batch, once its bank has agreed to it.
pub(crate) async fn settled(settlement: &mut Settlement, batch_id: &str) -> pb::SettlementBatch {
    eventually("the bank agrees", async || {
        let found = batch(settlement, batch_id).await;
        (found.state() == BatchState::Settled).then_some(found)
    })
    .await
}

pub(crate) async fn batches(settlement: &mut Settlement) -> Vec<pb::SettlementBatch> {
    let request = pb::ListSettlementBatchesRequest {
        page_size: 100,
        ..Default::default()
    };
    let listed = settlement.list_settlement_batches(request).await;
    let listed = listed.expect("the batches").into_inner();
    assert_eq!(listed.next_page_token, "", "there are more");
    listed.settlement_batches
}

/// The notes of a batch, page by page.
pub(crate) async fn notes(
    settlement: &mut Settlement,
    (batch_id, page_size): (&str, i32),
) -> Vec<pb::SettlementNote> {
    let (mut notes, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = pb::ListSettlementNotesRequest {
            batch_id: batch_id.into(),
            page_size,
            page_token,
        };
        let page = settlement.list_settlement_notes(request).await;
        let page = page.expect("the notes").into_inner();
        notes.extend(page.settlement_notes);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return notes;
        }
    }
}

async fn a_day_is_closed_and_says_what_is_settled_with_it(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let mut refunds = refunds_of(&switch).await;
    let mut settlement = settlement_of(&switch, &switch.api_key).await;
    let mut client = SettlementAdminServiceClient::new(operator(&switch).await);
    let today = open_date(&mut client).await;

    // A capture in two parts, a sale, and a refund of a part of the sale.
    let held = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    let mut captures = Vec::new();
    for part in [6_000, 1_500] {
        let (_, told) = capture(&mut payments, of(&held, part)).await;
        captures.push(ended(&mut payments, &told.capture_id, CaptureState::Captured).await);
    }
    let sold = authorize(&mut payments, sale("pm_test_visa", 2_500)).await;
    let whole = authorize(&mut payments, sale("pm_test_visa", 700)).await;
    let voided = authorize(&mut payments, sale("pm_test_visa", 333)).await;
    let refund = try_refund(&mut refunds, refund_of(&sold, 400)).await;
    let refund = refund.expect("a refund");
    try_void(&mut payments, void_of(&voided))
        .await
        .expect("a void");

    let open = eventually("the items", async || {
        let [open] = &batches(&mut settlement).await[..] else {
            return None;
        };
        (open.payment_count == 4 && open.refund_count == 1).then(|| open.clone())
    })
    .await;
    assert_eq!(
        (open.state(), &open.business_date),
        (BatchState::Open, &today)
    );
    assert_eq!(minor(&open.captured_total), 6_000 + 1_500 + 2_500 + 700);
    assert_eq!(minor(&open.refunded_total), 400);
    assert_eq!(minor(&open.net_total), 10_300);
    let in_batch = get(&mut payments, &captures[0].capture_id).await;
    assert_eq!(in_batch.batch_id, open.batch_id);
    assert_eq!(in_batch.settlement_state(), SettlementState::Unsettled);
    assert_eq!(batch(&mut settlement, &open.batch_id).await, open);

    // Another day is not ended, and the same request ends one day only.
    let refused = cut_over(&mut client, cutover_of("2020-02-29")).await;
    let reason = error_reason(&refused.expect_err("it is not open"));
    assert_eq!(reason.as_deref(), Some("OTHER_DAY_OPEN"));
    let request = cutover_of(&today);
    let ended_day = cut_over(&mut client, request.clone()).await.expect("a day");
    let again = cut_over(&mut client, request).await;
    assert_eq!(again.expect("the same answer"), ended_day);
    assert_eq!(ended_day.state(), admin::BusinessDayState::Closed);
    assert_eq!(ended_day.closed_by(), admin::ClosedBy::Operator);
    let [totals] = &ended_day.totals[..] else {
        panic!("{ended_day:?}");
    };
    assert_eq!((totals.batch_count, totals.captured_minor), (1, 10_700));
    let all = days(&mut client).await;
    let states: Vec<_> = all.iter().map(admin::BusinessDay::state).collect();
    assert_eq!(states[0], admin::BusinessDayState::Open);

    // What the day has does not change any more, and its bank agrees. No terms
    // are set, so its fees are none.
    settled(&mut settlement, &open.batch_id).await;
    let closed = eventually("its fees", async || {
        let found = batch(&mut settlement, &open.batch_id).await;
        found.fee_total.is_some().then_some(found)
    })
    .await;
    let no_money = Some(pb::Money {
        amount_minor: 0,
        currency: "EUR".into(),
    });
    let expected = pb::SettlementBatch {
        state: BatchState::Settled.into(),
        fee_total: no_money.clone(),
        close_time: closed.close_time,
        submit_time: closed.submit_time,
        settle_time: closed.settle_time,
        bank_totals: Some(pb::BankTotals {
            capture_count: open.payment_count,
            captured_total: open.captured_total.clone(),
            refund_count: open.refund_count,
            refunded_total: open.refunded_total.clone(),
            net_total: open.net_total.clone(),
            net_difference: no_money,
            fee_total: None,
        }),
        ..open
    };
    assert_eq!(closed, expected);
    eventually("the day", async || {
        let day = days(&mut client).await.swap_remove(1);
        (day.state() == admin::BusinessDayState::Settled).then_some(())
    })
    .await;
    let listed = notes(&mut settlement, (&closed.batch_id, 2)).await;
    let sum: i64 = listed.iter().map(|note| minor(&note.net)).sum();
    assert_eq!((listed.len(), sum), (5, 10_300));
    let of_refund = listed
        .iter()
        .find(|note| note.item == Some(Item::RefundId(refund.refund_id.clone())));
    let of_refund = of_refund.expect("the refund");
    assert_eq!(minor(&of_refund.amount), -400);
    assert_eq!(of_refund.subject_id, sold.payment_id);
    assert_eq!(of_refund.state(), SettlementState::Settled);
    let of_batch = get_refund(&mut refunds, &refund.refund_id).await;
    assert_eq!(of_batch.batch_id, closed.batch_id);
    assert_eq!(of_batch.settlement_state(), SettlementState::Settled);
    let shown = found(&mut payments, &whole.payment_id).await;
    assert_eq!(
        shown.captures[0].settlement_state(),
        SettlementState::Settled
    );
    assert_eq!(
        actions(&shown),
        [PaymentAction::Refund, PaymentAction::Reverse]
    );
    let refused = try_void(&mut payments, void_of(&whole)).await;
    let refused = refused.expect_err("its day is closed");
    assert!(refused.message().contains("refund what was captured"));
    let expected = Refused {
        preconditions: vec!["payment".into()],
        ..Refused::not_sent(Code::FailedPrecondition, "IN_CLEARING")
    };
    assert_eq!(Refused::from(&refused), expected);
    let request = pb::ListOperationsRequest {
        payment_id: whole.payment_id.clone(),
        ..Default::default()
    };
    let dated = payments.list_operations(request).await;
    let dated = dated.expect("its operations").into_inner().operations;
    assert_eq!(dated[0].business_date, today);

    // What comes now is settled with the next day; and nobody else sees any of it.
    let later = try_refund(&mut refunds, refund_of(&whole, None)).await;
    let later = later.expect("a refund").refund_id;
    let dated = eventually("the refund", async || {
        let refund = get_refund(&mut refunds, &later).await;
        (!refund.batch_id.is_empty()).then_some(refund)
    })
    .await;
    assert_eq!(dated.business_date, all[0].business_date);
    assert_eq!(batch(&mut settlement, &closed.batch_id).await, closed);
    let dates: Vec<_> = batches(&mut settlement).await;
    assert_eq!(dates.len(), 2);
    assert_eq!(minor(&dates[0].net_total), -700);
    let (_, key) = switch.add_merchant("other-shop", |_| {}).await;
    let mut other = settlement_of(&switch, &key).await;
    assert_eq!(batches(&mut other).await, []);
    let request = pb::GetSettlementBatchRequest {
        batch_id: closed.batch_id,
    };
    let refused = other.get_settlement_batch(request).await;
    let refused = refused.expect_err("it is not its own");
    let expected = Refused::not_sent(Code::NotFound, "BATCH_NOT_FOUND");
    assert_eq!(Refused::from(&refused), expected);
}

/// The bank takes a capture only after the day is closed: it is settled with the next one, as it is at the bank.
async fn what_the_bank_has_not_taken_is_settled_with_a_later_day(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let mut settlement = settlement_of(&switch, &switch.api_key).await;
    let mut client = SettlementAdminServiceClient::new(operator(&switch).await);
    let today = open_date(&mut client).await;
    let held = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    inject(&switch, fault("0220", UNANSWERED)).await;
    let (_, told) = capture(&mut payments, of(&held, 10_000)).await;
    let request = cutover_of(&today);
    let closed = cut_over(&mut client, request).await.expect("a day");
    assert_eq!(closed.totals, []);
    let taken = ended(&mut payments, &told.capture_id, CaptureState::Captured).await;
    let next = open_date(&mut client).await;
    assert!(next > today);
    assert_eq!(taken.business_date, next);
    let [open] = &batches(&mut settlement).await[..] else {
        panic!("one batch");
    };
    assert_eq!(
        (minor(&open.net_total), &open.business_date),
        (10_000, &next)
    );
}
