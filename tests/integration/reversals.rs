//! Reversals are sent until the bank acknowledges them, whatever stops meanwhile; and what operators do with them.

use std::time::Duration;

use bank_sim::control::pb::fault::What;
use bank_sim::issuer::Standing;
use futures_util::future::join_all;
use payswitch::admin_api::pb as admin;
use payswitch::admin_api::pb::owed_service_client::OwedServiceClient;
use payswitch::grpc::client::error_reason;
use payswitch::merchant_api::pb;
use payswitch::payment::reason::Reason;
use payswitch::payment::record::Operation;
use pb::PaymentState as State;

use crate::database::Engine;
use crate::faults::{UNANSWERED, fault, fault_of, inject, with_code};
use crate::harness::{Switch, authorize, eventually, on_both_engines, pay_with};
use crate::operators::{operator, set_own_role, sign_off, trail};
use crate::unknown_outcomes::{found, operations_of, reversed};

on_both_engines!(
    a_reversal_is_repeated_until_the_issuer_is_back,
    the_next_node_sends_what_the_last_one_owed,
    an_operator_ends_what_is_owed_by_what_the_bank_says,
    what_a_bank_only_took_is_reversed_again_when_it_approves_late,
    each_answer_to_a_reversal_ends_it_repeats_it_or_calls_an_operator,
    days_without_a_bank_end_no_pending_payment,
);

const CARD_WITHOUT_ANSWER: &str = "pm_test_no_answer";

async fn a_reversal_is_repeated_until_the_issuer_is_back(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let told = authorize(&mut payments, pay_with(CARD_WITHOUT_ANSWER, 1250, "EUR")).await;
    // The acquirer answers 91 for it, which settles nothing.
    switch.banks.stop_host("issuer-a").await.expect("stopped");
    let counters = || switch.banks.counters("acquirer").expect("the acquirer");
    eventually("a second repeat", async || {
        (counters().received("0421") >= 2).then_some(())
    })
    .await;
    let pending = found(&mut payments, &told.payment_id).await;
    assert_eq!(pending.state(), State::Reversing);
    let reversal = pending.pending.and_then(|pending| pending.reversal);
    let reversal = reversal.expect("its reversal");
    assert_eq!(reversal.state(), pb::PendingReversalState::Sending);
    assert!(reversal.attempts >= 3);
    switch.banks.start_host("issuer-a").await.expect("started");
    reversed(&mut payments, &told.payment_id).await;
    let (_, reversals) = operations_of(&switch, &told).await;
    let sent = counters().received("0420") + counters().received("0421");
    assert_eq!(u64::from(reversals[0].attempts.count), sent);
    assert_eq!(counters().received("0420"), 1);
    let listed = pb::ListOperationsRequest {
        payment_id: told.payment_id.clone(),
        ..pb::ListOperationsRequest::default()
    };
    let listed = payments.list_operations(listed).await.expect("a page");
    let reasons = listed.into_inner().operations;
    let reasons: Vec<_> = reasons.iter().map(|it| it.reason.as_str()).collect();
    let time_out = "no answer came in time, or the connection was lost";
    assert_eq!(reasons, ["", time_out]);
    let books = switch.banks.books("issuer-a").expect("books");
    let seen: Vec<_> = books.by_rrn(told.rrn()).collect();
    assert_eq!((seen.len(), seen[0].standing), (1, Standing::Reversed));
    assert_eq!(switch.database.count("quarantine").await, 0);
}

/// What the first 0430 says, if one comes, and how often the reversal is sent until it is over.
async fn each_answer_to_a_reversal_ends_it_repeats_it_or_calls_an_operator(engine: Engine) {
    let switch = Switch::start(engine).await;
    let payments = switch.payments().await;
    let answers = [
        ("00", with_code("00"), 1),
        ("94", with_code("94"), 1),
        ("12", with_code("12"), 1),
        ("91", with_code("91"), 2),
        ("96", with_code("96"), 2),
        ("", UNANSWERED, 2),
        // Until the original can't arrive any more.
        ("25", with_code("25"), 2),
    ];
    let ends = (4_001..)
        .zip(answers)
        .map(|(amount_minor, (code, what, sent))| {
            let (mut payments, switch) = (payments.clone(), &switch);
            async move {
                inject(switch, fault_of("0420", amount_minor, what)).await;
                let request = pay_with(CARD_WITHOUT_ANSWER, amount_minor, "EUR");
                let told = authorize(&mut payments, request).await;
                let (state, answered) = if code == "12" {
                    eventually("an alarm", async || {
                        let payment = found(&mut payments, &told.payment_id).await;
                        let reversal = payment.pending.and_then(|pending| pending.reversal)?;
                        let suspended = pb::PendingReversalState::Suspended;
                        (reversal.state() == suspended).then_some(())
                    })
                    .await;
                    (State::Reversing, "12")
                } else {
                    reversed(&mut payments, &told.payment_id).await;
                    (State::Reversed, if code == "94" { "94" } else { "00" })
                };
                let payment = found(&mut payments, &told.payment_id).await;
                assert_eq!(payment.state(), state, "{code}");
                let listed = pb::ListOperationsRequest {
                    payment_id: told.payment_id.clone(),
                    ..pb::ListOperationsRequest::default()
                };
                let listed = payments.list_operations(listed).await.expect("a page");
                let [_, reversal] = &listed.into_inner().operations[..] else {
                    panic!("one reversal");
                };
                let recorded = (reversal.attempts, reversal.response_code.as_str());
                assert_eq!(recorded, (sent, answered), "{code}");
                let waited = seconds(&reversal.last_send_time) - seconds(&reversal.first_send_time);
                assert_eq!(waited >= 14, code == "25", "{code}: {waited} s");
                // The bank has done it with the first message: only its answer was changed.
                let books = switch.banks.books("issuer-a").expect("books");
                let seen: Vec<_> = books.by_rrn(told.rrn()).collect();
                assert_eq!((seen.len(), seen[0].standing), (1, Standing::Reversed));
            }
        });
    join_all(ends).await;
}

fn seconds(time: &Option<prost_types::Timestamp>) -> i64 {
    time.as_ref().expect("a time").seconds
}

/// The gateway goes by the machine's clock, so the records are moved three days back.
async fn days_without_a_bank_end_no_pending_payment(engine: Engine) {
    let mut switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let told = authorize(&mut payments, pay_with(CARD_WITHOUT_ANSWER, 1250, "EUR")).await;
    switch.banks.stop_host("issuer-a").await.expect("stopped");
    eventually("the reversal on its way", async || {
        let payment = found(&mut payments, &told.payment_id).await;
        (payment.state() == State::Reversing).then_some(())
    })
    .await;
    switch.stop_gateway().await;
    const DAYS_MS: i64 = 3 * 86_400_000;
    for text in [
        format!(
            "UPDATE operations SET deadline_ms = deadline_ms - {DAYS_MS}, first_sent_ms = first_sent_ms - {DAYS_MS}, \
             last_sent_ms = last_sent_ms - {DAYS_MS}, created_at_ms = created_at_ms - {DAYS_MS}, \
             updated_at_ms = updated_at_ms - {DAYS_MS} WHERE payment_id = '{}' RETURNING 1",
            told.payment_id
        ),
        format!(
            "UPDATE payments SET created_at_ms = created_at_ms - {DAYS_MS}, \
             updated_at_ms = updated_at_ms - {DAYS_MS} WHERE id = '{}' RETURNING 1",
            told.payment_id
        ),
    ] {
        switch.database.number(text).await;
    }
    let repeats = |switch: &Switch| {
        let counters = switch.banks.counters("acquirer").expect("the acquirer");
        counters.received("0421")
    };
    let before = repeats(&switch);
    switch.start_gateway().await;
    payments = switch.payments().await;
    eventually("more repeats", async || {
        (repeats(&switch) > before + 1).then_some(())
    })
    .await;
    let pending = found(&mut payments, &told.payment_id).await;
    assert_eq!(pending.state(), State::Reversing);
    let pending = pending.pending.expect("why it is pending");
    assert!(pending.reversal_owed);
    switch.banks.start_host("issuer-a").await.expect("started");
    reversed(&mut payments, &told.payment_id).await;
    let books = switch.banks.books("issuer-a").expect("books");
    let seen: Vec<_> = books.by_rrn(told.rrn()).collect();
    assert_eq!((seen.len(), seen[0].standing), (1, Standing::Reversed));
}

/// The bank acknowledges the reversal as a duplicate, which does not say that anything was undone, and then approves.
async fn what_a_bank_only_took_is_reversed_again_when_it_approves_late(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    for (mti, what) in [("0100", What::DelayMs(15_000)), ("0420", with_code("94"))] {
        inject(&switch, fault(mti, what)).await;
    }
    let told = authorize(&mut payments, pay_with("pm_test_visa", 1250, "EUR")).await;
    reversed(&mut payments, &told.payment_id).await;
    let (_, first) = operations_of(&switch, &told).await;
    assert_eq!(first.len(), 1, "its approval has not come yet");
    let both = eventually("a second reversal that is acknowledged", async || {
        let (_, reversals) = operations_of(&switch, &told).await;
        let acknowledged = |it: &Operation| it.state.name() == "APPROVED";
        (reversals.len() == 2 && reversals.iter().all(acknowledged)).then_some(reversals)
    })
    .await;
    let reasons = both.iter().map(|reversal| reversal.reason);
    let reasons: Vec<_> = reasons.collect();
    let expected = [Reason::TimeOut, Reason::LateApproval].map(Some);
    assert_eq!(reasons, expected);
    assert_ne!(both[0].stan, both[1].stan);
    // Both had the card.
    let counters = switch.banks.counters("acquirer").expect("the acquirer");
    assert_eq!(
        (counters.received("0420"), counters.received("0421")),
        (2, 0)
    );
    let payment = found(&mut payments, &told.payment_id).await;
    assert_eq!(payment.state(), State::Reversed);
    let books = switch.banks.books("issuer-a").expect("books");
    let seen: Vec<_> = books.by_rrn(told.rrn()).collect();
    assert_eq!((seen.len(), seen[0].standing), (1, Standing::Reversed));
}

async fn the_next_node_sends_what_the_last_one_owed(engine: Engine) {
    let mut switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let requests = [(); 20].map(|()| pay_with(CARD_WITHOUT_ANSWER, 1250, "EUR"));
    let told = requests.map(|request| {
        let mut payments = payments.clone();
        tokio::spawn(async move { authorize(&mut payments, request).await })
    });
    eventually("the payments at the acquirer", async || {
        (switch.at_acquirer() == 20).then_some(())
    })
    .await;
    // No reversal can leave: the host is signed off until a gateway starts.
    let channel = operator(&switch).await;
    sign_off(channel, "until-the-restart")
        .await
        .expect("a sign-off");
    let mut owed = Vec::new();
    for payment in told {
        owed.push(payment.await.expect("an answer"));
    }
    let before = switch.gateway().store.node_id();
    switch.restart_gateway().await;
    assert_ne!(switch.gateway().store.node_id(), before);
    payments = switch.payments().await;
    for payment in &owed {
        reversed(&mut payments, &payment.payment_id).await;
        let (authorization, reversals) = operations_of(&switch, payment).await;
        assert_eq!(authorization.node_id, before);
        assert_eq!(reversals.len(), 1);
        assert_eq!(reversals[0].node_id, switch.gateway().store.node_id());
        let books = switch.banks.books("issuer-a").expect("books");
        let seen: Vec<_> = books.by_rrn(payment.rrn()).collect();
        assert_eq!((seen.len(), seen[0].standing), (1, Standing::Reversed));
    }
}

async fn an_operator_ends_what_is_owed_by_what_the_bank_says(engine: Engine) {
    let switch = Switch::start(engine).await;
    let mut payments = switch.payments().await;
    let channel = operator(&switch).await;
    let mut owed = OwedServiceClient::new(channel.clone());
    let requests = [(); 3].map(|()| pay_with(CARD_WITHOUT_ANSWER, 1250, "EUR"));
    let waiting = requests.map(|request| {
        let mut payments = payments.clone();
        tokio::spawn(async move { authorize(&mut payments, request).await })
    });
    eventually("the payments at the acquirer", async || {
        (switch.at_acquirer() == 3).then_some(())
    })
    .await;
    switch.banks.stop_host("acquirer").await.expect("stopped");
    let mut told = Vec::new();
    for payment in waiting {
        told.push(payment.await.expect("an answer"));
    }
    let listed = owed.list_owed(admin::ListOwedRequest::default()).await;
    let listed = listed.expect("what is owed").into_inner().owed;
    assert_eq!(listed.len(), 3);
    let retry = |id: &str| admin::RetryOwedRequest {
        request_id: format!("retry-{id}"),
        reason: "the bank is back".into(),
        operation_id: id.into(),
    };
    let refused = owed.retry_owed(retry(&listed[0].operation_id)).await;
    let refused = refused.expect_err("it is not suspended");
    assert_eq!(error_reason(&refused).as_deref(), Some("NOT_SUSPENDED"));

    let resolve = |id: &str, resolution: admin::OwedResolution| admin::ResolveOwedRequest {
        request_id: format!("{}-{id}", i32::from(resolution)),
        reason: "ticket 4711".into(),
        operation_id: id.into(),
        resolution: resolution.into(),
    };
    use admin::OwedResolution as R;
    for (entry, (resolution, state, authorized)) in listed.iter().zip([
        (R::Stands, State::Authorized, 1250),
        (R::Undone, State::Reversed, 0),
        (R::NeverHappened, State::Reversed, 0),
    ]) {
        if resolution == R::NeverHappened {
            set_own_role(channel.clone(), admin::OperatorRole::Operator).await;
            let too_low = owed
                .resolve_owed(resolve(&entry.operation_id, R::Stands))
                .await;
            let too_low = too_low.expect_err("an approver's word is needed");
            assert_eq!(error_reason(&too_low).as_deref(), Some("ROLE_TOO_LOW"));
        }
        let ended = owed
            .resolve_owed(resolve(&entry.operation_id, resolution))
            .await;
        let ended = ended
            .expect("it ends")
            .into_inner()
            .owed
            .expect("the entry");
        assert_eq!(ended.operation_id, entry.operation_id);
        let payment = found(&mut payments, &entry.payment_id).await;
        assert_eq!(payment.state(), state);
        let amount = payment.authorized_amount.expect("an amount");
        assert_eq!(amount.amount_minor, authorized);
        let gone = admin::GetOwedRequest {
            operation_id: entry.operation_id.clone(),
        };
        let gone = owed
            .get_owed(gone)
            .await
            .expect_err("it is not owed any more");
        assert_eq!(error_reason(&gone).as_deref(), Some("NOT_OWED"));
    }
    let rows = trail(channel).await;
    let resolved = rows
        .iter()
        .filter(|row| row.action == "OwedService.ResolveOwed");
    assert_eq!(resolved.count(), 4);
    // Nothing of it is sent any more.
    switch.banks.start_host("acquirer").await.expect("started");
    assert!(
        switch
            .banks
            .wait_for_link("issuer-a", Duration::from_secs(30))
            .await
    );
    let paid = eventually("an authorization again", async || {
        let paid = authorize(&mut payments, pay_with("pm_test_visa", 1250, "EUR")).await;
        (paid.state() == State::Authorized).then_some(paid)
    })
    .await;
    assert_eq!(paid.pending, None);
    let counters = switch.banks.counters("acquirer").expect("the acquirer");
    assert_eq!(counters.received("0420") + counters.received("0421"), 0);
    assert_eq!(told.len(), 3);
}
