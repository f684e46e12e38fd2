//! Lines find their payouts and days, once.

use super::*;
use crate::payment::bank_statement::{Candidate, LineFinding, MatchRule};
use crate::reconciliation::statement_matching::MatchError;
use crate::settlement::pain001::end_to_end_id;
use crate::settlement::payouts::When;
use crate::settlement::tests::{date, on_both};
use crate::store::testing::TestDatabase;

on_both!(
    a_payout_is_matched_with_one_line_and_the_second_is_refused,
    the_money_of_a_day_is_matched_within_its_window,
    what_fits_two_things_is_left_to_an_operator,
    what_fits_nothing_stays_open_and_a_match_books_nothing,
);

/// Who matches by hand, and why.
const BY: (&str, &str) = ("anna", "told by telephone");

fn day(number: u8) -> Candidate {
    Candidate::Settlement {
        host_id: host(),
        date: date(number),
        currency: "EUR".parse().unwrap(),
    }
}

fn finding(line: &BankLine) -> Option<LineFinding> {
    match &line.matching {
        LineMatch::Open { finding, .. } => Some(*finding),
        LineMatch::Matched { .. } | LineMatch::NotCounted => None,
    }
}

fn statement<'a>(
    sequence: u64,
    (opening, closing): (&'a str, &'a str),
    entries: &'a [(&'a str, &'a str, &'a str)],
) -> String {
    let id = format!("S{sequence}");
    Camt {
        id: &id,
        sequence,
        date: "2026-11-04",
        opening,
        closing,
        entries,
    }
    .text()
}

async fn a_payout_is_matched_with_one_line_and_the_second_is_refused(database: TestDatabase) {
    let scene = Scene::payable(database, "{\"schedule\":\"daily\"}").await;
    let desk = Desk::of(&scene);
    let orders = folder();
    let payouts = scene.payouts(orders.clone()).await;
    scene.settle(1, 10_000).await;
    payouts.pay(host(), When::AsPlanned).await.unwrap();
    let payout = scene.all_payouts().await.remove(0);
    let reference = end_to_end_id(&payout.id.to_string());
    let with = Candidate::Payout(payout.id);

    let wrong = [("-99.99", reference.as_str(), "")];
    desk.take(&statement(1, ("500", "400.01"), &wrong)).await;
    let lines = desk.lines(&scene).await;
    let expected = LineMatch::Open {
        finding: LineFinding::LineAmountDiffers,
        candidates: vec![with],
        ours: Some("-10000".to_owned()),
    };
    assert_eq!(lines[0].matching, expected);
    let refused = desk.matching.by_hand(lines[0].id, with, BY).await;
    assert!(
        matches!(
            refused,
            Err(MatchError::Amount {
                expected_minor: -10_000,
                got_minor: -9_999
            })
        ),
        "{refused:?}"
    );

    let right = [
        ("-100.00", reference.as_str(), ""),
        ("-100.00", "NOTPROVIDED", "by hand"),
    ];
    let taken = desk.take(&statement(2, ("400.01", "200.01"), &right)).await;
    assert_eq!((taken.matched, taken.statements[0].counts.matched), (1, 1));
    let lines = desk.lines(&scene).await;
    let matched = LineMatch::Matched {
        with,
        rule: MatchRule::Payout,
        by: None,
    };
    assert_eq!(lines[1].matching, matched);
    assert_eq!(finding(&lines[2]), Some(LineFinding::LineUnmatched));
    // By hand the payout is not matched again, and neither is the line with anything else.
    for line in [&lines[1], &lines[2]] {
        let refused = desk.matching.by_hand(line.id, with, BY).await;
        assert!(
            matches!(refused, Err(MatchError::Taken { .. })),
            "{refused:?}"
        );
    }
    let nothing = desk.matching.by_hand(lines[2].id, day(9), BY).await;
    assert!(
        matches!(nothing, Err(MatchError::NoCandidate(_))),
        "{nothing:?}"
    );
    // Neither is it by another statement.
    let again = [("-100.00", reference.as_str(), "again")];
    desk.take(&statement(3, ("200.01", "100.01"), &again)).await;
    let lines = desk.lines(&scene).await;
    let expected = LineMatch::Open {
        finding: LineFinding::LineMatchedBefore,
        candidates: vec![with],
        ours: Some(lines[1].id.to_string()),
    };
    assert_eq!(lines[3].matching, expected);
    // It comes back: a credit with its reference.
    let back = [("100.00", reference.as_str(), "AC04")];
    desk.take(&statement(4, ("100.01", "200.01"), &back)).await;
    let lines = desk.lines(&scene).await;
    let rule = MatchRule::PayoutReturn;
    assert_eq!(
        lines[4].matching,
        LineMatch::Matched {
            with,
            rule,
            by: None
        }
    );
    std::fs::remove_dir_all(orders).unwrap();
    desk.close(scene).await;
}

async fn the_money_of_a_day_is_matched_within_its_window(database: TestDatabase) {
    let scene = Scene::payable(database, "{\"schedule\":\"daily\"}").await;
    let desk = Desk::of(&scene);
    let early = [("70.00", "NOTPROVIDED", "the day is not funded")];
    desk.take(&statement(1, ("0", "70.00"), &early)).await;
    assert_eq!(
        finding(&desk.lines(&scene).await[0]),
        Some(LineFinding::LineUnmatched)
    );
    scene.settle(1, 7_000).await;
    // The same file again looks at it again.
    let taken = desk.take(&statement(1, ("0", "70.00"), &early)).await;
    assert!(taken.was_there);
    assert_eq!(taken.matched, 1);
    let matched = |number| LineMatch::Matched {
        with: day(number),
        rule: MatchRule::Settlement,
        by: None,
    };
    assert_eq!(desk.lines(&scene).await[0].matching, matched(1));
    // Too late, and before its day.
    scene.settle(2, 8_000).await;
    scene.settle(3, 9_000).await;
    for (number, on, amount) in [(2, "2026-11-10", "80.00"), (3, "2026-11-02", "90.00")] {
        let entries = [(amount, "NOTPROVIDED", "")];
        let file = statement(number, ("1", "1"), &entries).replace("2026-11-04", on);
        let closing = format!(
            "{}.00",
            1 + amount.trim_end_matches(".00").parse::<i64>().unwrap()
        );
        let file = file.replacen(">1</Amt>", ">1.00</Amt>", 1).replacen(
            ">1</Amt>",
            &format!(">{closing}</Amt>"),
            1,
        );
        desk.take(&file).await;
    }
    let lines = desk.lines(&scene).await;
    for line in &lines[1..] {
        assert_eq!(finding(line), Some(LineFinding::LineUnmatched));
    }
    // An operator sees that it is late, and says so.
    let late = lines
        .iter()
        .find(|line| line.amount_minor == 8_000)
        .unwrap();
    let by_hand = desk.matching.by_hand(late.id, day(2), BY).await.unwrap();
    let expected = LineMatch::Matched {
        with: day(2),
        rule: MatchRule::Settlement,
        by: Some("anna".to_owned()),
    };
    assert_eq!(by_hand.matching, expected);
    desk.close(scene).await;
}

async fn what_fits_two_things_is_left_to_an_operator(database: TestDatabase) {
    let scene = Scene::payable(database, "{\"schedule\":\"daily\"}").await;
    let desk = Desk::of(&scene);
    scene.settle(1, 5_000).await;
    scene.settle(2, 5_000).await;
    scene.settle(3, 6_000).await;
    let entries = [
        ("50.00", "NOTPROVIDED", "of the first or the second day"),
        ("60.00", "NOTPROVIDED", "one of two"),
        ("60.00", "NOTPROVIDED", "two of two"),
    ];
    desk.take(&statement(1, ("0", "170.00"), &entries)).await;
    let lines = desk.lines(&scene).await;
    let ambiguous = |candidates: &[Candidate]| LineMatch::Open {
        finding: LineFinding::LineAmbiguous,
        candidates: candidates.to_vec(),
        ours: None,
    };
    assert_eq!(lines[0].matching, ambiguous(&[day(1), day(2)]));
    assert_eq!(lines[1].matching, ambiguous(&[day(3)]));
    assert_eq!(lines[2].matching, ambiguous(&[day(3)]));
    desk.matching
        .by_hand(lines[1].id, day(3), BY)
        .await
        .unwrap();
    desk.matching
        .by_hand(lines[0].id, day(2), BY)
        .await
        .unwrap();
    assert_eq!(desk.matching.look(&desk.account).await.unwrap(), 0);
    let lines = desk.lines(&scene).await;
    assert_eq!(finding(&lines[2]), Some(LineFinding::LineMatchedBefore));
    desk.close(scene).await;
}

/// A line is put under no account because nothing else is known of it, and one that is matched by itself is not booked once
/// more: the journals are those of before.
async fn what_fits_nothing_stays_open_and_a_match_books_nothing(database: TestDatabase) {
    let scene = Scene::payable(database, "{\"schedule\":\"daily\"}").await;
    let desk = Desk::of(&scene);
    scene.settle(1, 5_000).await;
    let before = scene.store.ledger_part(0, i64::MAX).await.unwrap();
    assert!(!before.journals.is_empty());
    let entries = [
        ("-12.34", "NOTPROVIDED", "a fee, perhaps"),
        ("50.00", "NOTPROVIDED", "the day"),
    ];
    let file = statement(1, ("0", "37.66"), &entries);
    let taken = desk.take(&file).await;
    assert_eq!(taken.matched, 1);
    // Nor later, however often it is looked at.
    desk.take(&file).await;
    let open = scene
        .store
        .bank_lines(account(), true, 100, None)
        .await
        .unwrap();
    let open: Vec<_> = open
        .iter()
        .map(|line| (line.amount_minor, finding(line)))
        .collect();
    assert_eq!(open, [(-1_234, Some(LineFinding::LineUnmatched))]);
    let after = scene.store.ledger_part(0, i64::MAX).await.unwrap();
    assert_eq!(after.journals.len(), before.journals.len());
    desk.close(scene).await;
}
