//! The totals of a closed day are agreed with its bank; and the bank says when a day ends.

use bank_sim::control::pb as bank;
use payswitch::admin_api::pb as admin;
use payswitch::admin_api::pb::settlement_admin_service_client::SettlementAdminServiceClient;
use payswitch::grpc::client::error_reason;
use payswitch::merchant_api::client::ApiKey;
use payswitch::merchant_api::pb;
use pb::SettlementBatchState as BatchState;
use pb::balance_service_client::BalanceServiceClient;
use pb::event::Subject;
use pb::event_service_client::EventServiceClient;

use crate::capturing::minor;
use crate::database::Engine;
use crate::faults::{LOST, UNANSWERED, change, control, fault, inject, times, with_code};
use crate::harness::{Payments, Switch, authorize, eventually, on_both_engines, unique};
use crate::operators::{operator, set_own_role};
use crate::refunding::{refund_of, refunds_of, try_refund};
use crate::sales::sale;
use crate::settling::{
    Days, Settlement, batch, batches, cut_over, cutover_of, days, notes, open_date, settled,
    settlement_of,
};

on_both_engines!(
    what_is_agreed_is_available_and_told,
    a_silent_bank_is_told_until_it_answers,
    a_cent_of_difference_is_named_and_funded_all_the_same,
    items_are_uploaded_and_the_totals_compared_once_more,
    what_differs_stops_until_somebody_has_looked,
    a_host_ends_its_day_and_another_date_in_an_answer_is_named,
);

/// The template, where something else follows on totals that differ.
fn out_of_balance(policy: &str) -> String {
    let template = include_str!("../../hosts/acquirer.toml");
    let policy = format!("out_of_balance = \"{policy}\"");
    let text = template.replace("out_of_balance = \"fund\"", &policy);
    assert_ne!(text, template);
    text.replace("first_ms = 2000", "first_ms = 100")
}

pub(crate) const UPLOAD: &str = r#"
[messages.upload]
mti = "0320"

[messages.upload.fields]
3 = { capture = "000000", refund = "200000" }
4 = "amount"
7 = "transmission_date_time"
11 = "stan"
15 = "business_date"
37 = "rrn"
38 = "approval_code"
41 = "terminal_id"
42 = "acceptor_id"
49 = "currency_numeric"
"#;

/// Two sales and a refund are in a batch: 2,500 and 700 less 400.
async fn traded(
    switch: &Switch,
    payments: &mut Payments,
    settlement: &mut Settlement,
) -> (String, pb::Payment) {
    let sold = authorize(payments, sale("pm_test_visa", 2_500)).await;
    authorize(payments, sale("pm_test_mastercard", 700)).await;
    let mut refunds = refunds_of(switch).await;
    let refund = try_refund(&mut refunds, refund_of(&sold, 400)).await;
    refund.expect("a refund");
    let batch_id = eventually("the items", async || {
        let [open] = &batches(settlement).await[..] else {
            return None;
        };
        (open.payment_count == 2 && open.refund_count == 1).then(|| open.batch_id.clone())
    })
    .await;
    (batch_id, sold)
}

async fn misbook(switch: &Switch, rrn: &str, delta_minor: i64) {
    let request = bank::MisbookItemRequest {
        host: "acquirer".into(),
        rrn: rrn.into(),
        delta_minor,
    };
    let booked = control(&switch.banks).await.misbook_item(request).await;
    booked.expect("it is booked");
}

async fn totals(client: &mut Days, business_date: &str) -> Vec<admin::Totals> {
    let request = admin::ListTotalsRequest {
        host_id: "acquirer".into(),
        business_date: business_date.into(),
        ..Default::default()
    };
    let listed = client.list_totals(request).await;
    listed.expect("the totals").into_inner().totals
}

/// The totals of the only merchant, once they stand there.
async fn totals_are(client: &mut Days, date: &str, state: admin::TotalsState) -> admin::Totals {
    eventually(state.as_str_name(), async || {
        let found = totals(client, date).await;
        found.into_iter().find(|totals| totals.state() == state)
    })
    .await
}

/// The messages of this class that the acquirer received: type and DE 11 of each.
async fn received(switch: &Switch, class: &str) -> Vec<(String, String)> {
    let request = bank::ListMessagesRequest {
        page_size: 1000,
        host: "acquirer".into(),
        ..Default::default()
    };
    let listed = control(&switch.banks).await.list_messages(request).await;
    let messages = listed.expect("the messages").into_inner().messages;
    messages
        .into_iter()
        .filter(|message| message.direction() == bank::Direction::Received)
        .filter(|message| message.mti.starts_with(class))
        .map(|message| (message.mti, message.stan))
        .collect()
}

async fn what_is_agreed_is_available_and_told(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let mut settlement = settlement_of(&switch, &switch.api_key).await;
    let mut client = SettlementAdminServiceClient::new(operator(&switch).await);
    let today = open_date(&mut client).await;
    let (batch_id, _) = traded(&switch, &mut payments, &mut settlement).await;
    let key = ApiKey::new(&switch.api_key).expect("an API key for a header");
    let channel = switch.connect(None).await;
    let mut balances = BalanceServiceClient::new(key.clone().on(channel.clone()));
    let mut balance = async || {
        let balances = balances
            .get_balances(pb::GetBalancesRequest::default())
            .await;
        let balances = balances.expect("the balances").into_inner().balances;
        let [eur] = &balances[..] else {
            panic!("{balances:?}");
        };
        (minor(&eur.pending), minor(&eur.available))
    };
    assert_eq!(balance().await, (2_800, 0));
    cut_over(&mut client, cutover_of(&today))
        .await
        .expect("a day");
    settled(&mut settlement, &batch_id).await;
    assert_eq!(balance().await, (0, 2_800));
    let agreed = totals_are(&mut client, &today, admin::TotalsState::InBalance).await;
    assert_eq!((agreed.sent, agreed.theirs), (1, None));
    let sent = received(&switch, "05").await;
    assert_eq!(sent, [("0500".to_owned(), agreed.stan)]);

    // Both are events, and the ledger is as it was sealed.
    let mut events = EventServiceClient::new(key.on(channel));
    let told = events.list_events(pb::ListEventsRequest::default()).await;
    let told = told.expect("the events").into_inner().events;
    let of_batch: Vec<_> = told
        .iter()
        .filter_map(|event| match &event.subject {
            Some(Subject::SettlementBatch(batch)) => Some((event.kind(), batch.clone())),
            _ => None,
        })
        .collect();
    let [(closed, as_closed), (ended, as_settled)] = &of_batch[..] else {
        panic!("{of_batch:?}");
    };
    assert_eq!(
        (*closed, as_closed.state()),
        (pb::EventKind::BatchClosed, BatchState::Closed)
    );
    assert_eq!(
        (*ended, as_settled),
        (
            pb::EventKind::BatchSettled,
            &batch(&mut settlement, &batch_id).await
        )
    );
}

/// Nothing comes back to the first message: it comes again as an advice, and then as its repeat, under the same number.
async fn a_silent_bank_is_told_until_it_answers(engine: Engine) {
    let switch = Switch::start_with(engine, Some(out_of_balance("stop"))).await;
    let mut payments = switch.payments().await;
    let mut settlement = settlement_of(&switch, &switch.api_key).await;
    let mut client = SettlementAdminServiceClient::new(operator(&switch).await);
    let today = open_date(&mut client).await;
    let (batch_id, _) = traded(&switch, &mut payments, &mut settlement).await;
    inject(&switch, fault("0500", UNANSWERED)).await;
    inject(&switch, fault("0520", LOST)).await;
    inject(&switch, fault("0521", with_code("91"))).await;
    cut_over(&mut client, cutover_of(&today))
        .await
        .expect("a day");
    let agreed = settled(&mut settlement, &batch_id).await;
    assert_eq!(minor(&agreed.net_total), 2_800);
    let sent = received(&switch, "05").await;
    let types: Vec<&str> = sent.iter().map(|(mti, _)| mti.as_str()).collect();
    assert_eq!(types[..3], ["0500", "0520", "0521"]);
    assert!(sent.iter().all(|(_, stan)| *stan == sent[0].1), "{sent:?}");
}

async fn a_cent_of_difference_is_named_and_funded_all_the_same(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let mut settlement = settlement_of(&switch, &switch.api_key).await;
    let mut client = SettlementAdminServiceClient::new(operator(&switch).await);
    let today = open_date(&mut client).await;
    let (batch_id, sold) = traded(&switch, &mut payments, &mut settlement).await;
    misbook(&switch, &rrn(&sold), 1).await;
    cut_over(&mut client, cutover_of(&today))
        .await
        .expect("a day");
    let disputed = eventually("a dispute", async || {
        let found = batch(&mut settlement, &batch_id).await;
        (found.state() == BatchState::Disputed).then_some(found)
    })
    .await;
    let theirs = disputed.bank_totals.expect("the bank's totals");
    assert_eq!(minor(&theirs.captured_total), 3_201);
    assert_eq!(minor(&theirs.net_difference), 1);
    assert_eq!(minor(&disputed.net_total), 2_800);
    eventually("the day", async || {
        let day = days(&mut client).await.swap_remove(1);
        (day.state() == admin::BusinessDayState::Settled).then_some(())
    })
    .await;
    let named = totals_are(&mut client, &today, admin::TotalsState::OutOfBalance).await;
    let theirs = named.theirs.expect("the bank's totals");
    assert_eq!(
        (
            named.ours.map(|ours| ours.captured_minor),
            theirs.captured_minor
        ),
        (Some(3_200), 3_201)
    );
}

async fn items_are_uploaded_and_the_totals_compared_once_more(engine: Engine) {
    let profile = out_of_balance("upload") + UPLOAD;
    let switch = Switch::start_with(engine, Some(profile)).await;
    let mut payments = switch.payments().await;
    let mut settlement = settlement_of(&switch, &switch.api_key).await;
    let mut client = SettlementAdminServiceClient::new(operator(&switch).await);
    let today = open_date(&mut client).await;
    let (batch_id, sold) = traded(&switch, &mut payments, &mut settlement).await;
    misbook(&switch, &rrn(&sold), -1).await;
    // One of the items has no answer at first.
    inject(&switch, fault("0320", UNANSWERED)).await;
    cut_over(&mut client, cutover_of(&today))
        .await
        .expect("a day");
    settled(&mut settlement, &batch_id).await;
    let agreed = totals_are(&mut client, &today, admin::TotalsState::InBalance).await;
    assert!(agreed.uploaded);
    assert!(received(&switch, "03").await.len() >= 3);
    assert_eq!(received(&switch, "05").await.len(), 2);
}

async fn what_differs_stops_until_somebody_has_looked(engine: Engine) {
    let switch = Switch::start_with(engine, Some(out_of_balance("stop"))).await;
    let mut payments = switch.payments().await;
    let mut settlement = settlement_of(&switch, &switch.api_key).await;
    let mut client = SettlementAdminServiceClient::new(operator(&switch).await);
    let today = open_date(&mut client).await;
    let (batch_id, sold) = traded(&switch, &mut payments, &mut settlement).await;
    misbook(&switch, &rrn(&sold), 1).await;
    cut_over(&mut client, cutover_of(&today))
        .await
        .expect("a day");
    totals_are(&mut client, &today, admin::TotalsState::Stopped).await;
    let disputed = batch(&mut settlement, &batch_id).await;
    assert_eq!(disputed.state(), BatchState::Disputed);
    let states = async |settlement: &mut Settlement| {
        let notes = notes(settlement, (&batch_id, 10)).await;
        let mut states: Vec<_> = notes.iter().map(pb::SettlementNote::state).collect();
        states.dedup();
        states
    };
    let waiting = states(&mut settlement).await;
    assert_eq!(waiting, [pb::SettlementState::InClearing]);

    // Asked again, the bank says the same. To settle without it takes an approver, as this operator is at first.
    let submit = |accept| admin::SubmitTotalsRequest {
        request_id: format!("submit-{}", unique()),
        reason: "the bank has looked at its books".into(),
        host_id: "acquirer".into(),
        business_date: today.clone(),
        accept,
    };
    let again = client
        .submit_totals(submit(false))
        .await
        .expect("once more");
    assert_eq!(again.into_inner().totals_count, 1);
    eventually("a second message", async || {
        (received(&switch, "05").await.len() == 2).then_some(())
    })
    .await;
    totals_are(&mut client, &today, admin::TotalsState::Stopped).await;
    let accepted = client
        .submit_totals(submit(true))
        .await
        .expect("an approver");
    assert_eq!(accepted.into_inner().totals_count, 1);
    set_own_role(operator(&switch).await, admin::OperatorRole::Operator).await;
    let refused = client.submit_totals(submit(true)).await;
    let refused = error_reason(&refused.expect_err("an operator is no approver"));
    assert_eq!(refused.as_deref(), Some("ROLE_TOO_LOW"));
    eventually("the day", async || {
        let day = days(&mut client).await.swap_remove(1);
        (day.state() == admin::BusinessDayState::Settled).then_some(())
    })
    .await;
    let disputed = batch(&mut settlement, &batch_id).await;
    assert_eq!(disputed.state(), BatchState::Disputed);
    // The money is available all the same.
    let available = states(&mut settlement).await;
    assert_eq!(available, [pb::SettlementState::Settled]);
}

/// The bank begins another date: the day ends at the gateway before the bank is answered.
async fn a_host_ends_its_day_and_another_date_in_an_answer_is_named(engine: Engine) {
    let template = include_str!("../../hosts/acquirer.toml");
    let profile = template
        .replace("business_date = \"clock\"", "business_date = \"de15\"")
        .replace("cutover = \"00:00\"\n", "");
    let switch = Switch::start_with(engine, Some(profile)).await;
    let mut payments = switch.payments().await;
    let mut settlement = settlement_of(&switch, &switch.api_key).await;
    let mut client = SettlementAdminServiceClient::new(operator(&switch).await);
    let today = open_date(&mut client).await;
    assert_eq!(days(&mut client).await[0].close_time, None);
    let (batch_id, _) = traded(&switch, &mut payments, &mut settlement).await;
    let request = bank::CutoverRequest {
        host: "acquirer".into(),
        next_date: String::new(),
    };
    let cut = control(&switch.banks).await.cutover(request).await;
    let cut = cut.expect("a cutover").into_inner();
    assert!(
        cut.lines.iter().any(|line| line.response_code == "00"),
        "{cut:?}"
    );
    let [open, ended] = &days(&mut client).await[..] else {
        panic!("two days");
    };
    assert_eq!(ended.closed_by(), admin::ClosedBy::Host);
    assert_eq!(
        (&ended.business_date, &open.business_date),
        (&today, &cut.business_date)
    );
    settled(&mut settlement, &batch_id).await;

    // An answer with the date that has ended: its item is settled with the day that is open, and the difference is named.
    let date = today[5..].replace('-', "");
    inject(&switch, times(1, fault("0200", change(15, &date)))).await;
    authorize(&mut payments, sale("pm_test_visa", 900)).await;
    let dated = eventually("the item", async || {
        let found = batches(&mut settlement).await;
        found
            .into_iter()
            .find(|it| it.business_date == cut.business_date)
    })
    .await;
    assert_eq!(minor(&dated.captured_total), 900);
    let closed = cut_over(&mut client, cutover_of(&cut.business_date)).await;
    closed.expect("a closed day");
    let request = admin::ListDifferencesRequest {
        host_id: "acquirer".into(),
        business_date: cut.business_date.clone(),
        ..Default::default()
    };
    let named = client.list_differences(request).await.expect("differences");
    let named = named.into_inner().differences;
    let [named] = &named[..] else {
        panic!("{named:?}");
    };
    assert_eq!(named.kind(), admin::DifferenceKind::DateDiffers);
    let (ours, theirs) = (&named.ours, &named.theirs);
    assert_eq!((ours, theirs), (&cut.business_date, &today));
    assert!(named.subject_id.starts_with("cap_"), "{named:?}");
    // It is settled all the same.
    settled(&mut settlement, &dated.batch_id).await;
}

fn rrn(payment: &pb::Payment) -> String {
    let authorization = payment.authorization.as_ref().expect("an authorization");
    authorization.rrn.clone()
}
