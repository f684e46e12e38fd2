//! What an account has otherwise is looked after like what a report has, and ends by itself when it is not so any more.

use super::*;
use crate::payment::account_finding::{OnAccount, discrepancy_of};
use crate::payment::bank_statement::Candidate;
use crate::payment::discrepancy::{Bearer, Discrepancy, DiscrepancyState, Ending, Found, Step};
use crate::payment::ids::{AuditId, CaptureId, SubjectId};
use crate::reconciliation::discrepancies::{Discrepancies, DiscrepancyError};
use crate::settlement::pain001::end_to_end_id;
use crate::settlement::payouts::When;
use crate::settlement::tests::{date, on_both};
use crate::store::records::callers::{AuditRecord, OperatorRecord, OperatorRole};
use crate::store::records::lists::MAX_PAGE_SIZE;
use crate::store::records::settlement::DiscrepancyFilter;
use crate::store::testing::TestDatabase;

mod missing;
mod notified;

on_both!(
    an_open_line_is_a_discrepancy_until_it_is_matched,
    a_match_is_undone_with_all_that_it_ended,
    what_is_decided_takes_two_people_above_a_limit_and_no_journal,
    a_line_that_was_opened_again_is_left_to_a_person,
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

/// The row of the audit trail for a change of an operator.
fn act(number: u8) -> AuditRecord {
    AuditRecord {
        id: AuditId::from_parts(NOW, [number; 10]),
        at: NOW,
        operator: "anna".to_owned(),
        action: "OperatorService.AddOperator".to_owned(),
        target: "carol".to_owned(),
        reason: "looks after the account".to_owned(),
        request_id: format!("req-{number}"),
        body_hash: [0; 32],
        outcome: None,
        answer: Vec::new(),
    }
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
            _ => panic!("it has a line"),
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
    let nobody = taken(&small, &assign, ANNA).await;
    assert!(
        matches!(nobody, Err(DiscrepancyError::NoOwner(_))),
        "{nobody:?}"
    );
    let carol = |active| OperatorRecord {
        name: "carol".to_owned(),
        role: OperatorRole::Approver,
        active,
        created_at: NOW,
        created_by: "anna".to_owned(),
    };
    let (before, after) = (carol(false), carol(true));
    let (added, activated) = (act(1), act(2));
    scene.store.insert_operator(&before, &added).await.unwrap();
    let inactive = taken(&small, &assign, ANNA).await;
    assert!(
        matches!(inactive, Err(DiscrepancyError::OwnerInactive(_))),
        "{inactive:?}"
    );
    let changed = scene.store.update_operator(&before, &after, &activated);
    assert!(changed.await.unwrap());
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
