//! What an account has otherwise is looked after like what a report has, and ends by itself when it is not so any more.

use super::*;
use crate::payment::account_finding::{OnAccount, discrepancy_of};
use crate::payment::bank_statement::Candidate;
use crate::payment::discrepancy::{Bearer, Discrepancy, DiscrepancyState, Ending, Found, Step};
use crate::payment::ids::{CaptureId, SubjectId};
use crate::reconciliation::discrepancies::{Discrepancies, DiscrepancyError};
use crate::settlement::pain001::end_to_end_id;
use crate::settlement::payouts::When;
use crate::settlement::tests::{date, on_both};
use crate::store::records::lists::MAX_PAGE_SIZE;
use crate::store::records::settlement::DiscrepancyFilter;
use crate::store::testing::TestDatabase;

on_both!(
    an_open_line_is_a_discrepancy_until_it_is_matched,
    a_match_is_undone_with_all_that_it_ended,
    what_is_decided_takes_two_people_above_a_limit_and_no_journal,
    a_line_that_was_opened_again_is_left_to_a_person,
    a_gap_ends_when_the_statement_between_comes,
    a_day_is_missing_once_its_window_is_over_and_found_by_a_late_statement,
    nothing_is_missing_that_may_be_in_a_gap,
    a_payout_is_missing_unless_a_line_is_about_it,
    findings_of_an_account_hold_back_no_batch_and_are_in_no_report,
);

/// Who decides, and why.
const ANNA: (&str, &str) = ("anna", "told by telephone");

fn day(number: u8) -> Candidate {
    Candidate::Settlement {
        host_id: host(),
        date: date(number),
        currency: "EUR".parse().unwrap(),
    }
}

/// A statement that follows the others, of a date of November.
async fn take(
    desk: &Desk,
    sequence: u64,
    on: &str,
    (opening, closing): (&str, &str),
    entries: &[(&str, &str, &str)],
) -> String {
    let id = format!("S{sequence}");
    let statement = Camt {
        id: &id,
        sequence,
        date: on,
        opening,
        closing,
        entries,
    };
    let text = statement.text();
    desk.take(&text).await;
    text
}

/// What is done about discrepancies by people who decide alone on a euro.
fn decisions(scene: &Scene) -> Discrepancies {
    Discrepancies::new(scene.store.clone(), scene.clock(), 100)
}

async fn all(decisions: &Discrepancies) -> Vec<Discrepancy> {
    let filter = DiscrepancyFilter {
        account: Some(account()),
        ..DiscrepancyFilter::default()
    };
    let listed = decisions.list(&filter, MAX_PAGE_SIZE, None).await;
    listed.unwrap().items
}

/// Kind, state and our side of each discrepancy of the account.
async fn shown(decisions: &Discrepancies) -> Vec<(&'static str, &'static str, Option<String>)> {
    let found = all(decisions).await;
    let mut shown: Vec<_> = (found.iter())
        .map(|one| {
            let Found::OnAccount(found) = &one.found else {
                panic!("it is of an account");
            };
            (one.found.kind_name(), one.state.name(), found.ours.clone())
        })
        .collect();
    shown.sort();
    shown
}

async fn of_kind(decisions: &Discrepancies, kind: &str) -> Discrepancy {
    let mut found = all(decisions).await.into_iter();
    let found = found.find(|one| one.found.kind_name() == kind);
    found.unwrap_or_else(|| panic!("expected {kind}"))
}

async fn history(scene: &Scene, id: &str) -> Vec<(&'static str, String, String)> {
    let changes = scene.store.discrepancy_changes(id).await.unwrap();
    let told = changes
        .into_iter()
        .map(|it| (it.state.name(), it.actor, it.reason));
    told.collect()
}

fn line_of(one: &Discrepancy) -> BankLineId {
    match &one.found {
        Found::OnAccount(found) => match found.of {
            OnAccount::Line { id, .. } => id,
            OnAccount::Statement(_) | OnAccount::Missing(_) => panic!("it has a line"),
        },
        Found::InReport(_) => panic!("it is of an account"),
    }
}

async fn an_open_line_is_a_discrepancy_until_it_is_matched(database: TestDatabase) {
    let scene = Scene::payable(database, "{\"schedule\":\"daily\"}").await;
    let (desk, decisions) = (Desk::of(&scene), decisions(&scene));
    scene.settle(1, 5_000).await;
    scene.settle(2, 5_000).await;
    let entries = [
        ("50.00", "NOTPROVIDED", "of the first or the second day"),
        ("-12.34", "NOTPROVIDED", "a fee, perhaps"),
    ];
    let text = take(&desk, 1, "2026-11-04", ("0", "37.66"), &entries).await;
    let open = [
        ("AMBIGUOUS", "OPEN", None),
        ("UNEXPECTED_LINE", "OPEN", None),
    ];
    assert_eq!(shown(&decisions).await, open);
    let ambiguous = of_kind(&decisions, "AMBIGUOUS").await;
    let Found::OnAccount(found) = &ambiguous.found else {
        panic!("it is of an account");
    };
    assert_eq!(found.candidates, [day(1), day(2)]);
    assert_eq!(found.theirs.as_deref(), Some("5000"));
    assert_eq!((found.host_id, found.date), (Some(host()), date(4)));
    assert_eq!(found.rule().map(|rule| rule.name()), Some("SETTLEMENT"));
    assert!(ambiguous.due_at > Some(ambiguous.found_at));
    let followed = decisions.follow(&ambiguous.id).await.unwrap();
    let evidence = followed.line.unwrap();
    assert_eq!((&*evidence.file, evidence.number), ("statement.xml", 1));
    assert_eq!(evidence.fields["text"], "of the first or the second day");
    // The same file says nothing new.
    desk.take(&text).await;
    let again = of_kind(&decisions, "AMBIGUOUS").await;
    assert_eq!(again, ambiguous);

    // By hand it is matched once, whoever does it and by whichever name.
    let wrong = Step::Matched(day(3));
    let refused = decisions.step(&ambiguous.id, &wrong, ANNA).await;
    assert!(
        matches!(refused, Err(DiscrepancyError::NoMatch { .. })),
        "{refused:?}"
    );
    let matched = decisions
        .step(&ambiguous.id, &Step::Matched(day(2)), ANNA)
        .await;
    assert_eq!(
        matched.unwrap().discrepancy.state,
        DiscrepancyState::Accepted
    );
    let line = scene.store.bank_line(line_of(&ambiguous)).await.unwrap();
    let LineMatch::Matched { with, by, .. } = line.unwrap().matching else {
        panic!("it is matched");
    };
    assert_eq!((with, by.as_deref()), (day(2), Some("anna")));
    assert_eq!(
        history(&scene, &ambiguous.id).await,
        [("ACCEPTED", ANNA.0.to_owned(), ANNA.1.to_owned())]
    );
    // By the line's name it is the same.
    let entries = [("50.00", "NOTPROVIDED", "the other one")];
    take(&desk, 2, "2026-11-05", ("37.66", "87.66"), &entries).await;
    let one = ("AMBIGUOUS", "ACCEPTED", None);
    let charge = ("UNEXPECTED_LINE", "OPEN", None);
    let other = [one.clone(), ("AMBIGUOUS", "OPEN", None), charge.clone()];
    assert_eq!(shown(&decisions).await, other);
    let lines = desk.lines(&scene).await;
    let by_hand = desk.matching.by_hand(lines[2].id, day(1), ANNA).await;
    by_hand.unwrap();
    let both = [one.clone(), one.clone(), charge.clone()];
    assert_eq!(shown(&decisions).await, both);

    // What fits only now is matched by itself, and ends what was open; what comes once more is found.
    let entries = [("70.00", "NOTPROVIDED", "of a day that is not funded")];
    let text = take(&desk, 3, "2026-11-06", ("87.66", "157.66"), &entries).await;
    assert_eq!(shown(&decisions).await.len(), 4);
    scene.settle(3, 7_000).await;
    desk.take(&text).await;
    let entries = [("70.00", "NOTPROVIDED", "once more")];
    take(&desk, 4, "2026-11-07", ("157.66", "227.66"), &entries).await;
    let line = desk.lines(&scene).await[3].clone();
    let ended = [
        one.clone(),
        one,
        ("DUPLICATE_AT_BANK", "OPEN", Some(line.id.to_string())),
        ("UNEXPECTED_LINE", "ACCEPTED", None),
        charge,
    ];
    assert_eq!(shown(&decisions).await, ended);
    let of_line = discrepancy_of(&line.id.to_string());
    let found = format!("it is {}", day(3));
    assert_eq!(
        history(&scene, &of_line).await,
        [("ACCEPTED", "payswitch".to_owned(), found)]
    );
    desk.close(scene).await;
}

/// What payswitch has matched by itself, and a person has taken back, it does not match by itself again.
async fn a_line_that_was_opened_again_is_left_to_a_person(database: TestDatabase) {
    let scene = Scene::payable(database, "{\"schedule\":\"daily\"}").await;
    let (desk, decisions) = (Desk::of(&scene), decisions(&scene));
    let entries = [("70.00", "NOTPROVIDED", "of a day that is not funded")];
    let text = take(&desk, 1, "2026-11-04", ("0", "70.00"), &entries).await;
    scene.settle(1, 7_000).await;
    desk.take(&text).await;
    let by_itself = ("UNEXPECTED_LINE", "ACCEPTED", None);
    assert_eq!(shown(&decisions).await, [by_itself]);
    let line = of_kind(&decisions, "UNEXPECTED_LINE").await;
    let reopened = decisions.step(&line.id, &Step::Reopen, ANNA).await;
    reopened.unwrap();
    desk.take(&text).await;
    assert_eq!(shown(&decisions).await, [("AMBIGUOUS", "OPEN", None)]);
    // It was said anew by nobody's step, and the next step is still one.
    let matched = Step::Matched(day(1));
    let matched = decisions.step(&line.id, &matched, ANNA).await;
    let followed = matched.unwrap();
    assert_eq!(followed.discrepancy.state, DiscrepancyState::Accepted);
    assert_eq!(followed.changes.len(), 3);
    desk.close(scene).await;
}

/// A day that was missing, and a line that a person takes for it, by mistake.
async fn a_match_is_undone_with_all_that_it_ended(database: TestDatabase) {
    let scene = Scene::payable(database, "{\"schedule\":\"daily\"}").await;
    let (desk, decisions) = (Desk::of(&scene), decisions(&scene));
    scene.settle(1, 5_000).await;
    take(&desk, 1, "2026-11-01", ("0", "0"), &[]).await;
    let entries = [("50.00", "NOTPROVIDED", "too late")];
    take(&desk, 2, "2026-11-09", ("0", "50.00"), &entries).await;
    let open = [
        ("MISSING_AT_BANK", "OPEN", Some("5000".to_owned())),
        ("UNEXPECTED_LINE", "OPEN", None),
    ];
    assert_eq!(shown(&decisions).await, open);
    let (missing, line) = (
        of_kind(&decisions, "MISSING_AT_BANK").await,
        of_kind(&decisions, "UNEXPECTED_LINE").await,
    );
    let matched = Step::Matched(day(1));
    decisions.step(&line.id, &matched, ANNA).await.unwrap();
    let ended = open.clone().map(|(kind, _, ours)| (kind, "ACCEPTED", ours));
    assert_eq!(shown(&decisions).await, ended);
    let found = format!("it is the line {}", line_of(&line));
    assert_eq!(
        history(&scene, &missing.id).await,
        [("ACCEPTED", "anna".to_owned(), found.clone())]
    );
    // It is not missing as long as the line is matched with it.
    let refused = decisions.step(&missing.id, &Step::Reopen, ANNA).await;
    assert!(
        matches!(refused, Err(DiscrepancyError::Taken { .. })),
        "{refused:?}"
    );
    let reopened = decisions.step(&line.id, &Step::Reopen, ANNA).await;
    reopened.unwrap();
    assert_eq!(shown(&decisions).await, open);
    let undone = format!("the match was undone: {found}");
    assert_eq!(
        history(&scene, &missing.id).await[1],
        ("OPEN", "anna".to_owned(), undone)
    );
    let lines = desk.lines(&scene).await;
    assert_eq!(lines[0].matching, LineMatch::new(true));
    // Of two people who match it, one does.
    let (one, other) = tokio::join!(
        decisions.step(&line.id, &matched, ANNA),
        decisions.step(&line.id, &matched, ("bob", "I have seen it first"))
    );
    assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
    assert_eq!(shown(&decisions).await, ended);
    desk.close(scene).await;
}

async fn what_is_decided_takes_two_people_above_a_limit_and_no_journal(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let (desk, decisions) = (Desk::of(&scene), decisions(&scene));
    let entries = [
        ("-1.00", "NOTPROVIDED", "a fee"),
        ("-5.00", "NOTPROVIDED", "a larger fee"),
    ];
    let text = take(&desk, 1, "2026-11-04", ("10.00", "4.00"), &entries).await;
    let found = all(&decisions).await;
    let of = |minor: &str| {
        let of = |one: &&Discrepancy| match &one.found {
            Found::OnAccount(found) => found.theirs.as_deref() == Some(minor),
            Found::InReport(_) => false,
        };
        found.iter().find(of).unwrap().id.clone()
    };
    let (small, large) = (of("-100"), of("-500"));
    let accept = Step::End(Ending::Accept);
    let taken = async |id: &str, step: &Step, by: (&str, &str)| {
        let taken = decisions.step(id, step, by).await;
        taken.map(|it| it.discrepancy.state)
    };
    let accepted = taken(&small, &accept, ANNA).await;
    assert_eq!(accepted.unwrap(), DiscrepancyState::Accepted);
    let proposed = taken(&large, &accept, ANNA).await;
    assert_eq!(proposed.unwrap(), DiscrepancyState::Proposed);
    assert!(taken(&large, &Step::Approve, ANNA).await.is_err());
    let agreed = taken(&large, &Step::Approve, ("bob", "so it is")).await;
    assert_eq!(agreed.unwrap(), DiscrepancyState::Accepted);
    // Looked at again it stays accepted.
    desk.take(&text).await;
    let states = shown(&decisions).await.into_iter().map(|it| it.1);
    assert_eq!(states.collect::<Vec<_>>(), ["ACCEPTED", "ACCEPTED"]);
    // Opened again, it is assigned and asked about like any other; no journal corrects it, and it is no capture.
    let reopened = taken(&small, &Step::Reopen, ANNA).await;
    assert_eq!(reopened.unwrap(), DiscrepancyState::Open);
    let assign = Step::Assign("carol".parse().unwrap());
    for (step, state) in [
        (assign, DiscrepancyState::Assigned),
        (Step::AskBank, DiscrepancyState::AskedBank),
    ] {
        assert_eq!(taken(&small, &step, ANNA).await.unwrap(), state);
    }
    let correct = Step::End(Ending::Correct(Bearer::House));
    let refused = taken(&small, &correct, ANNA).await.unwrap_err();
    assert!(refused.to_string().contains("ledger"), "{refused}");
    let capture = SubjectId::Capture(CaptureId::from_parts(NOW, [1; 10]));
    for step in [Step::Found(capture), Step::Split(vec![capture, capture])] {
        let refused = taken(&small, &step, ANNA).await;
        assert!(
            matches!(refused, Err(DiscrepancyError::NoMatch { .. })),
            "{refused:?}"
        );
    }
    desk.close(scene).await;
}

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
