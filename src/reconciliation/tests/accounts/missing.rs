//! What has not come on an account, or may be in a gap between its statements.

use super::*;
use crate::clock::ManualClock;

on_both!(
    a_gap_ends_when_the_statement_between_comes,
    a_day_is_missing_once_its_window_is_over_and_found_by_a_late_statement,
    nothing_is_missing_that_may_be_in_a_gap,
    a_statement_of_a_day_far_off_ends_no_looking,
    a_payout_is_missing_unless_a_line_is_about_it,
    findings_of_an_account_hold_back_no_batch_and_are_in_no_report,
);

async fn a_gap_ends_when_the_statement_between_comes(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let (desk, decisions) = (Desk::of(&scene), decisions(&scene));
    take(&desk, 1, "2026-11-16", ("100.00", "100.00"), &[]).await;
    take(&desk, 3, "2026-11-18", ("90.00", "90.00"), &[]).await;
    let broken = of_kind(&decisions, "STATEMENT_CHAIN_BROKEN").await;
    let Found::OnAccount(found) = &broken.found else {
        panic!("it is of an account");
    };
    let both = (found.ours.as_deref(), found.theirs.as_deref());
    assert_eq!(both, (Some("10000"), Some("9000")));
    assert_eq!(found.date, date(18));
    let followed = decisions.follow(&broken.id).await.unwrap();
    let said = followed.line.unwrap().fields;
    assert_eq!(
        (&*said["before_minor"], &*said["opening_minor"]),
        ("10000", "9000")
    );
    // Another statement comes between them, and another one is still missing.
    let entries = [("-4.00", "NOTPROVIDED", "a fee")];
    take(&desk, 2, "2026-11-17", ("100.00", "96.00"), &entries).await;
    let still = of_kind(&decisions, "STATEMENT_CHAIN_BROKEN").await;
    let ours = shown(&decisions).await[0].2.clone();
    assert_eq!(
        (still.state, ours.as_deref()),
        (DiscrepancyState::Open, Some("9600"))
    );
    let id = broken.id.clone();
    assert_eq!(still.id, id);
    let entries = [("-6.00", "NOTPROVIDED", "a fee")];
    let page = Camt {
        id: "S2b",
        sequence: 2,
        date: "2026-11-17",
        opening: "96.00",
        closing: "90.00",
        entries: &entries,
    };
    desk.take(&page.text()).await;
    let ended = of_kind(&decisions, "STATEMENT_CHAIN_BROKEN").await;
    assert_eq!(ended.state, DiscrepancyState::Accepted);
    assert_eq!(
        history(&scene, &id).await,
        [(
            "ACCEPTED",
            "payswitch".to_owned(),
            "the statement before it closes with 9000 now".to_owned()
        )]
    );
    desk.close(scene).await;
}

async fn a_day_is_missing_once_its_window_is_over_and_found_by_a_late_statement(
    database: TestDatabase,
) {
    let scene = Scene::payable(database, "{\"schedule\":\"daily\"}").await;
    let (desk, decisions) = (Desk::of(&scene), decisions(&scene));
    scene.settle(1, 7_000).await;
    scene.settle(2, 8_000).await;
    // Before this statement nobody knows what was on the account.
    take(&desk, 1, "2026-11-02", ("0", "0"), &[]).await;
    // The money of the second day may still come on the ninth.
    take(&desk, 2, "2026-11-09", ("0", "0"), &[]).await;
    assert_eq!(shown(&decisions).await, []);
    let tenth = take(&desk, 3, "2026-11-10", ("0", "0"), &[]).await;
    let missing = ("MISSING_AT_BANK", "OPEN", Some("8000".to_owned()));
    assert_eq!(shown(&decisions).await, std::slice::from_ref(&missing));
    desk.take(&tenth).await;
    assert_eq!(shown(&decisions).await, [missing]);
    let missing = of_kind(&decisions, "MISSING_AT_BANK").await;
    assert_eq!(missing.version, 1);
    let Found::OnAccount(found) = &missing.found else {
        panic!("it is of an account");
    };
    assert_eq!(found.of, OnAccount::Missing(day(2)));
    assert_eq!((found.host_id, found.date), (Some(host()), date(2)));
    // A statement that comes late has it.
    let entries = [("80.00", "NOTPROVIDED", "the second day")];
    take(&desk, 4, "2026-11-05", ("0", "80.00"), &entries).await;
    let ended = of_kind(&decisions, "MISSING_AT_BANK").await;
    assert_eq!(ended.state, DiscrepancyState::Accepted);
    let line = desk.lines(&scene).await[0].id;
    assert_eq!(
        history(&scene, &missing.id).await,
        [(
            "ACCEPTED",
            "payswitch".to_owned(),
            format!("it is the line {line}")
        )]
    );
    desk.close(scene).await;
}

async fn nothing_is_missing_that_may_be_in_a_gap(database: TestDatabase) {
    let scene = Scene::payable(database, "{\"schedule\":\"daily\"}").await;
    let (desk, decisions) = (Desk::of(&scene), decisions(&scene));
    scene.settle(1, 7_000).await;
    take(&desk, 1, "2026-11-01", ("0", "0"), &[]).await;
    let last = take(&desk, 2, "2026-11-10", ("70.00", "70.00"), &[]).await;
    let broken = ("STATEMENT_CHAIN_BROKEN", "OPEN", Some("0".to_owned()));
    assert_eq!(shown(&decisions).await, [broken]);
    let broken = of_kind(&decisions, "STATEMENT_CHAIN_BROKEN").await;
    // Somebody knows that no statement is missing.
    let accept = Step::End(Ending::Accept);
    decisions.step(&broken.id, &accept, ANNA).await.unwrap();
    let agreed = decisions
        .step(&broken.id, &Step::Approve, ("bob", "another bank"))
        .await;
    agreed.unwrap();
    desk.take(&last).await;
    let missing = of_kind(&decisions, "MISSING_AT_BANK").await;
    assert_eq!(missing.state, DiscrepancyState::Open);
    desk.close(scene).await;
}

/// A version that took it in whatever its date has left one.
async fn a_statement_of_a_day_far_off_ends_no_looking(database: TestDatabase) {
    let scene = Scene::payable(database, "{\"schedule\":\"daily\"}").await;
    let (desk, decisions) = (Desk::of(&scene), decisions(&scene));
    let later = Arc::new(ManualClock::at(NOW.plus_days(10_000)));
    let then = Desk::at(&scene, account(), later);
    scene.settle(1, 7_000).await;
    take(&desk, 1, "2026-11-01", ("0", "0"), &[]).await;
    take(&then, 2, "2054-04-01", ("5.00", "5.00"), &[]).await;
    std::fs::remove_dir_all(then.folder).unwrap();
    take(&desk, 3, "2026-11-09", ("0", "0"), &[]).await;
    let missing = of_kind(&decisions, "MISSING_AT_BANK").await;
    assert_eq!(missing.state, DiscrepancyState::Open);
    desk.close(scene).await;
}

async fn a_payout_is_missing_unless_a_line_is_about_it(database: TestDatabase) {
    let scene = Scene::payable(database, "{\"schedule\":\"daily\"}").await;
    let (desk, decisions) = (Desk::of(&scene), decisions(&scene));
    let orders = folder();
    let payouts = scene.payouts(orders.clone()).await;
    scene.settle(1, 10_000).await;
    payouts.pay(host(), When::AsPlanned).await.unwrap();
    let payout = scene.all_payouts().await.remove(0);
    let after = |days: i64| {
        let date = payout.arrival_date.date() + time::Duration::days(days);
        date.to_string()
    };
    let made = payout.made_on.to_string();
    take(&desk, 1, &made, ("500.00", "500.00"), &[]).await;
    take(&desk, 2, &after(7), ("500.00", "500.00"), &[]).await;
    assert_eq!(shown(&decisions).await, []);
    take(&desk, 3, &after(8), ("500.00", "500.00"), &[]).await;
    let missing = |state| ("MISSING_AT_BANK", state, Some("-10000".to_owned()));
    assert_eq!(shown(&decisions).await, [missing("OPEN")]);
    // It left the account with another amount: that is one thing, and not two.
    let reference = end_to_end_id(&payout.id.to_string());
    let entries = [("-99.99", reference.as_str(), "")];
    take(&desk, 4, &after(9), ("500.00", "400.01"), &entries).await;
    let differs = ("AMOUNT_DIFFERS", "OPEN", Some("-10000".to_owned()));
    assert_eq!(
        shown(&decisions).await,
        [differs.clone(), missing("ACCEPTED")]
    );
    std::fs::remove_dir_all(orders).unwrap();
    desk.close(scene).await;
}

async fn findings_of_an_account_hold_back_no_batch_and_are_in_no_report(database: TestDatabase) {
    let scene = Scene::payable(database, "{\"schedule\":\"daily\"}").await;
    let (desk, decisions) = (Desk::of(&scene), decisions(&scene));
    scene.settle(1, 7_000).await;
    let entries = [("-1.00", "NOTPROVIDED", "a fee")];
    take(&desk, 1, "2026-11-01", ("10.00", "9.00"), &entries).await;
    // It is on the sheet of its host and date, and found by kind; and of no report.
    let filter = DiscrepancyFilter {
        host_id: Some(host()),
        business_date: Some(date(1)),
        ..DiscrepancyFilter::default()
    };
    let listed = decisions.list(&filter, 10, None).await.unwrap();
    assert_eq!(listed.items, all(&decisions).await);
    let store = &scene.store;
    let of_report = store.differences_of_day(&host(), date(1), 10, "").await;
    assert_eq!(of_report, Ok(Vec::new()));
    let accepted = store.accept_differences(&host(), date(1), NOW).await;
    assert_eq!(accepted, Ok(0));
    // Nobody is told, and no position is taken.
    let before = store.last_position().await.unwrap();
    store.tell_discrepancies().await;
    let [one] = &all(&decisions).await[..] else {
        panic!("one discrepancy");
    };
    decisions.step(&one.id, &Step::AskBank, ANNA).await.unwrap();
    assert_eq!(store.last_position().await.unwrap(), before);
    for merchant in ["demo-shop", "other"] {
        let merchant = merchant.parse().unwrap();
        let seen = store.discrepancy(&one.id, Some(&merchant)).await;
        assert_eq!(seen, Ok(None));
    }
    desk.close(scene).await;
}
