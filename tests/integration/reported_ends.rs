//! What a report has and payswitch does not: operations without a known outcome end by it, and what was undone is named.

use payswitch::admin_api::pb as admin;
use payswitch::admin_api::pb::settlement_admin_service_client::SettlementAdminServiceClient;
use payswitch::commands::demo::stand::reporting_profile;
use payswitch::merchant_api::pb;
use pb::{CaptureState, PaymentState, RefundState, SettlementState};

use crate::capturing::{capture, ended, minor, of};
use crate::correcting::{available, listed, reconcile};
use crate::database::Engine;
use crate::faults::{UNANSWERED, fault_of, inject};
use crate::harness::{Switch, authorize, eventually, on_both_engines, pay_with};
use crate::operators::{operator, owed_client, trail};
use crate::refunding::{Refunds, get_refund, refund_of, refunds_of, try_refund};
use crate::reporting::{agreed, differences, import, report_of};
use crate::sales::sale;
use crate::settling::{cut_over, cutover_of, open_date};
use crate::voiding::{became, try_void, void_of};

on_both_engines!(
    a_report_ends_what_nobody_knew_the_outcome_of,
    what_was_undone_and_is_settled_is_named_and_corrected,
);

/// A refund whose answer is lost on the way.
async fn lost(
    switch: &Switch,
    refunds: &mut Refunds,
    payment: &pb::Payment,
    amount_minor: i64,
) -> pb::Refund {
    inject(switch, fault_of("0200", amount_minor, UNANSWERED)).await;
    let refund = try_refund(refunds, refund_of(payment, amount_minor)).await;
    let refund = refund.expect("a refund");
    assert_eq!(refund.state(), RefundState::Sending);
    refund
}

/// Of two refunds without an answer the report has one as it was asked for, and one with another amount; of a third it has
/// nothing.
async fn a_report_ends_what_nobody_knew_the_outcome_of(engine: Engine) {
    let switch = Switch::start_with(engine, Some(reporting_profile())).await;
    let mut payments = switch.payments().await;
    let mut refunds = refunds_of(&switch).await;
    let mut days = SettlementAdminServiceClient::new(operator(&switch).await);
    let today = open_date(&mut days).await;
    let held = authorize(&mut payments, pay_with("pm_test_visa", 9_000, "EUR")).await;
    let (payment, told) = capture(&mut payments, of(&held, 9_000)).await;
    ended(&mut payments, &told.capture_id, CaptureState::Captured).await;
    let booked = lost(&switch, &mut refunds, &payment, 4_000).await;
    let differs = lost(&switch, &mut refunds, &payment, 1_500).await;
    cut_over(&mut days, cutover_of(&today))
        .await
        .expect("a day");
    agreed(&mut days, &today).await;
    // The bank has it in the report of a later day.
    let later = lost(&switch, &mut refunds, &payment, 700).await;
    let right = String::from_utf8(report_of(&switch, &today).await).expect("a text");
    let sums = |text: &str| {
        let end = text.lines().last().expect("the last line").to_owned();
        end.split(',').map(str::to_owned).collect::<Vec<_>>()
    };
    // One cent less of one of them, also in the sums: gross debit and net debit.
    let (mut end, before) = (sums(&right), right.lines().last().expect("a line"));
    assert_eq!((&*end[2], &*end[4]), ("55.00", "55.00"), "{right}");
    end[2] = "54.99".into();
    end[4] = "54.99".into();
    let report = right.replace(before, &end.join(","));
    let report = report.replace(",15.00,", ",14.99,");

    let (one, other) = (days.clone(), days.clone());
    let at_once = [one, other].map(|mut days| {
        let report = report.clone();
        async move { import(&mut days, report.as_bytes(), |_| {}).await }
    });
    let taken = futures_util::future::join_all(at_once).await;
    assert!(taken.iter().any(Result::is_ok), "{taken:?}");
    // The same file again goes on where a crash has come between the end of the refund and that of its line.
    let open = [
        "UPDATE report_lines SET state = 'OPEN' WHERE state = 'MATCHED' AND operation_id IN \
            (SELECT id FROM operations WHERE kind = 'REFUND')",
        "UPDATE settlement_items SET settled_by = NULL, settled_line = NULL WHERE kind = 'REFUND'",
        "UPDATE settlement_imports SET state = 'APPLYING'",
    ];
    for again in [false, true] {
        if again {
            for text in open {
                switch.database.execute(text).await;
            }
        }
        let done = import(&mut days, report.as_bytes(), |_| {}).await;
        let done = done.expect("an answer").settlement_import;
        let done = done.expect("it is applied");
        assert_eq!(done.state(), admin::SettlementImportState::Done);
        assert_eq!((done.line_count, done.matched_count), (3, 2));
        let found = differences(&mut days, &today).await;
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].kind(), admin::DifferenceKind::AmountDiffers);
        assert_eq!((&*found[0].ours, &*found[0].theirs), ("1500", "1499"));
        assert_eq!(found[0].subject_id, differs.refund_id);

        let refund = get_refund(&mut refunds, &booked.refund_id).await;
        assert_eq!(refund.state(), RefundState::Refunded);
        assert_eq!(refund.acquirer_reference.len(), 23, "{refund:?}");
        assert_ne!(refund.settlement_state(), SettlementState::Unspecified);
        // It is of the day that is open now, since that of the report is closed.
        assert!(refund.business_date > today, "{refund:?}");
        for open in [&differs, &later] {
            let refund = get_refund(&mut refunds, &open.refund_id).await;
            assert_eq!(refund.state(), RefundState::Sending, "{refund:?}");
        }
        let trail = trail(operator(&switch).await).await;
        let by_itself: Vec<_> = (trail.iter())
            .filter(|entry| entry.operator == "payswitch")
            .collect();
        let [act] = &by_itself[..] else {
            panic!("{trail:?}");
        };
        assert_eq!(act.outcome(), admin::AuditOutcome::Done);
        for part in ["line ", "acquirer", &*today, "report.csv"] {
            assert!(act.reason.contains(part), "{part} in {}", act.reason);
        }
    }
    // The others wait for an operator as before.
    let owed = owed_client(&switch)
        .await
        .list_owed(admin::ListOwedRequest::default())
        .await;
    assert_eq!(owed.expect("what is owed").into_inner().owed.len(), 2);
    switch.database.assert_books_are_whole().await;
}

/// The bank's report has a sale that it was told to void.
async fn what_was_undone_and_is_settled_is_named_and_corrected(engine: Engine) {
    let switch = Switch::start_with(engine, Some(reporting_profile())).await;
    let mut payments = switch.payments().await;
    let mut days = SettlementAdminServiceClient::new(operator(&switch).await);
    let today = open_date(&mut days).await;
    authorize(&mut payments, sale("pm_test_visa", 2_500)).await;
    let voided = authorize(&mut payments, sale("pm_test_visa", 80)).await;
    let report = eventually("both sales at the bank", async || {
        let report = report_of(&switch, &today).await;
        let lines = report.iter().filter(|byte| **byte == b'\n').count();
        (lines == 1 + 2 + 1).then_some(report)
    })
    .await;
    try_void(&mut payments, void_of(&voided))
        .await
        .expect("a void");
    became(&mut payments, &voided.payment_id, PaymentState::Voided).await;
    cut_over(&mut days, cutover_of(&today))
        .await
        .expect("a day");
    agreed(&mut days, &today).await;
    let done = import(&mut days, &report, |_| {}).await.expect("an answer");
    let done = done.settlement_import.expect("it is applied");
    assert_eq!((done.line_count, done.matched_count), (2, 1));
    let [found] = &differences(&mut days, &today).await[..] else {
        panic!("one difference");
    };
    assert_eq!(found.kind(), admin::DifferenceKind::ReversalNotApplied);
    assert_eq!((&*found.ours, &*found.theirs), ("", "80"));
    assert_eq!(found.merchant_id, switch.merchant_id.to_string());
    assert!(found.operation_id.starts_with("op_"), "{found:?}");

    let listed = listed(&switch, "REVERSAL_NOT_APPLIED");
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(listed[0]["subject_id"], found.subject_id);
    let id = listed[0]["discrepancy_id"].as_str().expect("its name");
    // The bank pays it to the merchant until it takes it back.
    let before = eventually("the day's money", async || {
        Some(available(&switch).await).filter(|available| *available > 0)
    })
    .await;
    let why = ["--reason", "the bank will take it back"];
    let bears = [&["correct", id, "--bears", "merchant"][..], &why].concat();
    assert!(reconcile(&switch, &bears).contains("CORRECTED"));
    assert_eq!(available(&switch).await, before + 80);
    let reopened = [&["reopen", id][..], &why].concat();
    assert!(reconcile(&switch, &reopened).contains("OPEN"));
    assert_eq!(available(&switch).await, before);
    assert_eq!(minor(&voided.captured_amount), 80);
    switch.database.assert_books_are_whole().await;
}
