//! The same calls before hosts that take captures, voids and refunds in other ways: nothing but the profile differs.

use bank_sim::control::pb::fault::What;
use bank_sim::issuer::Standing;
use futures_util::future::join_all;
use payswitch::admin_api::pb as admin;
use payswitch::merchant_api::pb;
use pb::PaymentState as State;
use pb::{CaptureState, OperationState, PendingReason, RefundState};

use crate::capturing::{capture, ended, minor, of, try_capture};
use crate::database::Engine;
use crate::faults::{LOST, UNANSWERED, fault, fault_of, inject, times, with_code};
use crate::harness::{Switch, authorize, eventually, on_both_engines, pay_with};
use crate::operators::owed_client;
use crate::refunding::{get_refund, refund_of, refunds_of, try_refund};
use crate::unknown_outcomes::found;
use crate::voiding::{became, try_void, void_of};
use payswitch::grpc::client::error_reason;

on_both_engines!(
    in_a_file_captures_and_refunds_count_and_nothing_is_sent,
    each_flow_ends_in_each_style_as_the_table_says,
    a_capture_whose_outcome_is_unknown_is_reversed,
    an_operator_says_what_became_of_a_capture,
    a_capture_that_is_never_reversed_waits_for_its_late_answer,
);

pub(crate) fn dual_message() -> String {
    let text = include_str!("../../hosts/examples/dual-message.toml");
    text.replace("dual.example:7001", "127.0.0.1:7001")
        .replace("dual.example", "acquirer.bank.test")
}

/// The template, where captures and voids are requests and refunds advices.
pub(crate) fn requests() -> String {
    let template = include_str!("../../hosts/acquirer.toml");
    let mut text = template.to_owned();
    for (from, to) in [
        (
            "[messages.capture]\nstyle = \"advice\"\nmti = \"0220\"",
            "[messages.capture]\nstyle = \"request\"\nmti = \"0200\"",
        ),
        ("mti = \"0221\"\n", ""),
        (
            "[messages.void]\nstyle = \"advice\"\nmti = \"0420\"",
            "[messages.void]\nstyle = \"request\"\nunknown = \"wait\"\nmti = \"0400\"",
        ),
        ("mti = \"0421\"\nper_second = 500", "per_second = 500"),
        (
            "[messages.refund]\nstyle = \"request\"\nmti = \"0200\"\nunknown = \"wait\"",
            "[messages.refund]\nstyle = \"advice\"\nmti = \"0220\"",
        ),
    ] {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    text
}

async fn in_a_file_captures_and_refunds_count_and_nothing_is_sent(engine: Engine) {
    let switch = Switch::start_with(engine, Some(dual_message())).await;
    let mut payments = switch.payments().await;
    let mut refunds = refunds_of(&switch).await;
    let payment = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    let (after, told) = capture(&mut payments, of(&payment, 6_000)).await;
    assert_eq!(after.state(), State::PartiallyCaptured);
    assert_eq!(
        (told.state(), told.rrn.as_str()),
        (CaptureState::Recorded, "")
    );
    let refund = try_refund(&mut refunds, refund_of(&payment, 2_000)).await;
    let refund = refund.expect("a refund");
    assert_eq!(refund.state(), RefundState::Created);
    let (after, _) = capture(&mut payments, of(&payment, None)).await;
    assert_eq!(after.state(), State::Captured);
    assert_eq!(minor(&after.refundable_amount), 8_000);
    let operations = payments.list_operations(pb::ListOperationsRequest {
        payment_id: payment.payment_id.clone(),
        ..Default::default()
    });
    let operations = operations
        .await
        .expect("operations")
        .into_inner()
        .operations;
    for operation in &operations[1..] {
        assert_eq!(operation.state(), OperationState::Created);
        assert_eq!((operation.mti.as_str(), operation.attempts), ("", 0));
    }

    let other = authorize(&mut payments, pay_with("pm_test_visa", 5_000, "EUR")).await;
    try_void(&mut payments, void_of(&other))
        .await
        .expect("a void");
    became(&mut payments, &other.payment_id, State::Voided).await;
    let counters = switch.banks.counters("acquirer").expect("the acquirer");
    let sent = ["0100", "0200", "0220", "0420"].map(|mti| counters.received(mti));
    assert_eq!(sent, [2, 0, 0, 1]);
    let books = switch.banks.books("issuer-a").expect("books");
    let standings = [&payment, &other].map(|payment| {
        let seen: Vec<_> = books.by_rrn(payment.rrn()).collect();
        (seen.len(), seen[0].standing)
    });
    let remaining_minor = 10_000;
    let held = Standing::Held { remaining_minor };
    assert_eq!(standings, [(1, held), (1, Standing::Reversed)]);
    assert_eq!(switch.database.count("journals").await, 3);
    switch.database.assert_books_are_whole().await;
}

/// The flow, how it travels, and what the bank does: it takes it, takes it and is not heard, or refuses it. What the
/// merchant is told at once, and what becomes of it.
const TABLE: &str = "
    capture advice  taken   RECORDED   CAPTURED
    capture advice  unheard RECORDED   CAPTURED
    capture advice  refused RECORDED   REJECTED
    capture request taken   CAPTURED   CAPTURED
    capture request unheard SENDING    REVERSED
    capture request refused REJECTED   REJECTED
    capture file    -       RECORDED   RECORDED
    void    advice  taken   VOIDING    VOIDED
    void    advice  unheard VOIDING    VOIDED
    void    advice  refused VOIDING    AUTHORIZED
    void    request taken   VOIDED     VOIDED
    void    request unheard VOIDING    VOIDING
    void    request refused AUTHORIZED AUTHORIZED
    void    none    -       VOIDED     VOIDED
    refund  advice  taken   CREATED    REFUNDED
    refund  advice  unheard CREATED    REFUNDED
    refund  advice  refused CREATED    DECLINED
    refund  request taken   REFUNDED   REFUNDED
    refund  request unheard SENDING    SENDING
    refund  request refused DECLINED   DECLINED
    refund  file    -       CREATED    CREATED";

async fn each_flow_ends_in_each_style_as_the_table_says(engine: Engine) {
    let template = include_str!("../../hosts/acquirer.toml").to_owned();
    let dual = dual_message();
    // Voids are the last messages there.
    let (nothing, _) = dual.split_once("[messages.void]").expect("a void");
    let nothing = format!("{nothing}[messages.void]\nstyle = \"none\"\n");
    let profiles = [
        (
            template,
            ["capture advice", "void advice", "refund request"],
        ),
        (
            requests(),
            ["capture request", "void request", "refund advice"],
        ),
        (nothing, ["capture file", "void none", "refund file"]),
    ];
    let mut switches = Vec::new();
    for (profile, styles) in profiles {
        switches.push((Switch::start_with(engine, Some(profile)).await, styles));
    }
    let walked = switches
        .iter()
        .map(|(switch, styles)| walk(switch, *styles));
    let walked = join_all(walked).await;
    let rows = TABLE.lines().filter(|line| !line.is_empty()).count();
    assert_eq!(walked.into_iter().sum::<usize>(), rows);
}

/// Walks the rows of these styles, and gives their number.
async fn walk(switch: &Switch, styles: [&str; 3]) -> usize {
    let before = balance(switch);
    let rows = TABLE.lines().enumerate().filter_map(|(number, line)| {
        let row: Vec<&str> = line.split_whitespace().collect();
        let style = row.get(..2)?.join(" ");
        styles.contains(&style.as_str()).then_some((number, row))
    });
    let (refused, taken): (Vec<_>, Vec<_>) = rows.partition(|(_, row)| row[2] == "refused");
    join_all(taken.iter().map(|(number, row)| end(switch, *number, row))).await;
    let sent = if styles[0] == "capture file" { 0 } else { 1 };
    let counted = "SELECT CAST(SUM(captured_minor - refunded_minor) AS BIGINT) FROM payments";
    let captured = switch.database.number(counted.into()).await;
    let debited = before - balance(switch);
    assert_eq!(debited, i128::from(captured * sent), "{styles:?}");
    // The bank does these, and says that it does not.
    let refused_ends = refused
        .iter()
        .map(|(number, row)| end(switch, *number, row));
    let count = taken.len() + refused_ends.len();
    join_all(refused_ends).await;
    switch.database.assert_books_are_whole().await;
    count
}

/// What is on all accounts.
fn balance(switch: &Switch) -> i128 {
    let books = switch.banks.books("issuer-a").expect("books");
    let all = books.accounts.iter();
    all.map(|it| i128::from(it.balance_minor)).sum()
}

/// Begins what a row is about, on a payment of its own, and waits until it ends as the row says.
async fn end(switch: &Switch, number: usize, row: &[&str]) {
    let [flow, style, bank_does, at_once, at_last] = row else {
        panic!("{row:?}")
    };
    let (mut payments, mut refunds) = (switch.payments().await, refunds_of(switch).await);
    // No two rows have the same amount, which faults look at.
    let amount = 10_000 + i64::try_from(number).expect("a row");
    let payment = authorize(&mut payments, pay_with("pm_test_visa", amount, "EUR")).await;
    if *flow == "refund" {
        let (_, told) = capture(&mut payments, of(&payment, None)).await;
        if told.state() != CaptureState::Captured && *style != "file" {
            ended(&mut payments, &told.capture_id, CaptureState::Captured).await;
        }
    }
    let mti = match (*flow, *style) {
        ("void", "advice") => "0420",
        ("void", _) => "0400",
        (_, "advice") => "0220",
        _ => "0200",
    };
    let what = match *bank_does {
        "unheard" => Some(UNANSWERED),
        "refused" => Some(with_code("57")),
        _ => None,
    };
    if let Some(what) = what {
        inject(switch, fault_of(mti, amount, what)).await;
    }
    let id = payment.payment_id.clone();
    let (told, of_refund) = match *flow {
        "capture" => {
            let (_, told) = capture(&mut payments, of(&payment, None)).await;
            (told.state().as_str_name(), String::new())
        }
        "void" => {
            let told = try_void(&mut payments, void_of(&payment)).await;
            (told.expect("a void").0.state().as_str_name(), String::new())
        }
        _ => {
            let told = try_refund(&mut refunds, refund_of(&payment, None)).await;
            let told = told.expect("a refund");
            (told.state().as_str_name(), told.refund_id)
        }
    };
    let is = |state: &str, wanted| state.ends_with(&format!("_STATE_{wanted}"));
    assert!(is(told, at_once), "{row:?}: {told}");
    eventually(&row.join(" "), async || {
        let payment = found(&mut payments, &id).await;
        let now = match *flow {
            "capture" => payment.captures[0].state().as_str_name(),
            "void" => payment.state().as_str_name(),
            _ => {
                let refund = get_refund(&mut refunds, &of_refund).await;
                refund.state().as_str_name()
            }
        };
        is(now, at_last).then_some(())
    })
    .await;
}

/// CASES: the same request has the same pending answer; another one finds the amount taken. Then the reversal of the
/// capture, and of nothing else, frees it.
async fn a_capture_whose_outcome_is_unknown_is_reversed(engine: Engine) {
    let switch = Switch::start_with(engine, Some(requests())).await;
    let mut payments = switch.payments().await;
    let payment = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    inject(&switch, fault("0200", UNANSWERED)).await;
    // Its reversal is not acknowledged until it is repeated.
    inject(&switch, fault("0420", LOST)).await;
    let request = of(&payment, 6_000);
    let (after, told) = capture(&mut payments, request.clone()).await;
    assert_eq!(told.state(), CaptureState::Sending);
    let pending = told.pending.as_ref().expect("why it is pending");
    assert_eq!(pending.reason(), PendingReason::NoAnswerInTime);
    assert_eq!(after.state(), State::Authorized);
    assert_eq!(minor(&after.pending_capture_amount), 6_000);
    let (again, same) = capture(&mut payments, request).await;
    assert_eq!(
        (again.captured_amount, same.state()),
        (after.captured_amount, told.state())
    );
    let refused = try_capture(&mut payments, of(&payment, 6_000)).await;
    let reason = error_reason(&refused.expect_err("it may be taken"));
    assert_eq!(reason.as_deref(), Some("AMOUNT_EXCEEDS_CAPTURABLE"));
    let undone = ended(&mut payments, &told.capture_id, CaptureState::Reversed).await;
    assert!(undone.pending.is_none());
    let after = found(&mut payments, &payment.payment_id).await;
    assert_eq!(minor(&after.pending_capture_amount), 0);
    assert_eq!(after.state(), State::Authorized);
    assert_eq!(minor(&after.capturable_amount), 10_000);
    let books = switch.banks.books("issuer-a").expect("books");
    let seen: Vec<_> = books.by_rrn(payment.rrn()).collect();
    let remaining_minor = 10_000;
    assert_eq!(seen[0].standing, Standing::Held { remaining_minor });
    assert_eq!(seen[1].standing, Standing::Reversed);
    switch.database.assert_books_are_whole().await;
}

/// The bank went down with two captures. One stands, the other never came.
async fn an_operator_says_what_became_of_a_capture(engine: Engine) {
    use admin::OwedResolution::{NeverHappened, Stands};
    let switch = Switch::start_with(engine, Some(requests())).await;
    let mut payments = switch.payments().await;
    let mut owed = owed_client(&switch).await;
    inject(&switch, times(2, fault("0200", LOST))).await;
    let mut waiting = Vec::new();
    for resolution in [Stands, NeverHappened] {
        let payment = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
        let (mut client, request) = (payments.clone(), of(&payment, 6_000));
        let capturing = tokio::spawn(async move { capture(&mut client, request).await });
        waiting.push((resolution, capturing));
    }
    let counters = || switch.banks.counters("acquirer").expect("the acquirer");
    eventually("the captures at the bank", async || {
        (counters().received("0200") == 2).then_some(())
    })
    .await;
    switch.banks.stop_host("acquirer").await.expect("stopped");
    for (resolution, capturing) in waiting {
        let (payment, told) = capturing.await.expect("an answer");
        assert_eq!(told.state(), CaptureState::Sending);
        let id = payment.payment_id.parse().expect("an id");
        let operations = switch.store().operations_of(id).await.expect("operations");
        let reversal = operations.last().expect("the reversal");
        let request = admin::ResolveOwedRequest {
            request_id: format!("resolve-{}", reversal.id),
            reason: "ticket 4711".into(),
            operation_id: reversal.id.to_string(),
            resolution: resolution.into(),
        };
        owed.resolve_owed(request).await.expect("it is resolved");
        let (state, shown, captured) = match resolution {
            Stands => (CaptureState::Captured, State::PartiallyCaptured, 6_000),
            _ => (CaptureState::Reversed, State::Authorized, 0),
        };
        ended(&mut payments, &told.capture_id, state).await;
        let payment = found(&mut payments, &payment.payment_id).await;
        assert_eq!(payment.state(), shown);
        assert_eq!(minor(&payment.captured_amount), captured);
        assert_eq!(minor(&payment.pending_capture_amount), 0);
    }
}

async fn a_capture_that_is_never_reversed_waits_for_its_late_answer(engine: Engine) {
    let (from, to) = (
        "[messages.capture]\nstyle = \"request\"",
        "[messages.capture]\nstyle = \"request\"\nunknown = \"wait\"",
    );
    let profile = requests();
    assert!(profile.contains(from));
    let switch = Switch::start_with(engine, Some(profile.replace(from, to))).await;
    let mut payments = switch.payments().await;
    let payment = authorize(&mut payments, pay_with("pm_test_visa", 10_000, "EUR")).await;
    inject(&switch, fault("0200", What::DelayMs(6_000))).await;
    let (after, told) = capture(&mut payments, of(&payment, 6_000)).await;
    assert_eq!(told.state(), CaptureState::Sending);
    for shown in [&told, &after.captures[0]] {
        let pending = shown.pending.as_ref().expect("why it is pending");
        assert_eq!(pending.reason(), PendingReason::NoAnswerInTime);
        assert_eq!((pending.reversal_owed, &pending.reversal), (false, &None));
    }
    assert_eq!(minor(&after.pending_capture_amount), 6_000);
    let refused = try_capture(&mut payments, of(&payment, 6_000)).await;
    let refused = refused.expect_err("it may be captured");
    let reason = error_reason(&refused);
    assert_eq!(reason.as_deref(), Some("AMOUNT_EXCEEDS_CAPTURABLE"));
    ended(&mut payments, &told.capture_id, CaptureState::Captured).await;
    let payment = found(&mut payments, &payment.payment_id).await;
    assert_eq!(minor(&payment.captured_amount), 6_000);
    assert_eq!(minor(&payment.pending_capture_amount), 0);
    let counters = switch.banks.counters("acquirer").expect("the acquirer");
    assert_eq!(
        (counters.received("0200"), counters.received("0420")),
        (1, 0)
    );
    switch.database.assert_books_are_whole().await;
}
