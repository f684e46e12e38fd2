//! A line counts once, and a gap between statements is seen.

use super::*;
use crate::settlement::tests::on_both;
use crate::store::testing::TestDatabase;

on_both!(
    equal_lines_count_as_often_as_they_are_and_a_second_delivery_counts_none,
    a_statement_that_does_not_follow_the_one_before_is_a_finding,
    a_statement_that_contradicts_one_of_its_name_is_a_finding,
    pending_and_then_booked_counts_once,
    a_wrong_file_counts_for_nothing,
);

const FIRST: Camt<'_> = Camt {
    id: "S1",
    sequence: 1,
    date: "2026-11-16",
    opening: "100.00",
    closing: "126.00",
    entries: &[
        ("13.00", "NOTPROVIDED", "sale"),
        ("13.00", "NOTPROVIDED", "sale"),
    ],
};

async fn equal_lines_count_as_often_as_they_are_and_a_second_delivery_counts_none(
    database: TestDatabase,
) {
    let scene = Scene::new(database).await;
    let desk = Desk::of(&scene);
    let taken = desk.take(&FIRST.text()).await;
    assert!(!taken.was_there);
    assert_eq!(taken.statements[0].counts.unmatched, 2);
    // The same file; the same statement in another file; and one that overlaps with it, and has a line more.
    let again = desk.take(&FIRST.text()).await;
    assert!(again.was_there);
    let other_file = desk.take(&(FIRST.text() + "\n")).await;
    assert_eq!(other_file.statements[0].counts.unmatched, 0);
    assert!(!other_file.statements[0].statement.breaks_chain());
    assert_eq!(desk.lines(&scene).await.len(), 2);
    let three = [("13.00", "NOTPROVIDED", "sale"); 3];
    let overlapping = Camt {
        id: "S1-late",
        sequence: 2,
        closing: "139.00",
        entries: &three,
        ..FIRST
    };
    let taken = desk.take(&overlapping.text()).await;
    assert_eq!(taken.statements[0].counts.unmatched, 1);
    assert!(taken.statements[0].statement.breaks_chain());
    // Another account has the same lines, which are no other lines of this one.
    let other = Desk::of_account(&scene, "other".parse().unwrap());
    let taken = other.take(&FIRST.text()).await;
    assert_eq!(taken.statements[0].counts.unmatched, 2);
    std::fs::remove_dir_all(&other.folder).unwrap();
    // What follows has lines of its own, also one that looks the same.
    let next = Camt {
        id: "S3",
        sequence: 3,
        opening: "139.00",
        closing: "152.00",
        entries: &three[..1],
        ..FIRST
    };
    let taken = desk.take(&next.text()).await;
    assert_eq!(taken.statements[0].counts.unmatched, 1);
    assert!(!taken.statements[0].statement.breaks_chain());
    let occurrences: Vec<_> = desk
        .lines(&scene)
        .await
        .iter()
        .map(|line| line.occurrence)
        .collect();
    assert_eq!(occurrences.len(), 4);
    assert_eq!(occurrences.iter().sum::<i64>(), 1 + 2 + 3 + 4);
    desk.close(scene).await;
}

async fn a_statement_that_does_not_follow_the_one_before_is_a_finding(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let desk = Desk::of(&scene);
    desk.take(&FIRST.text()).await;
    let third = Camt {
        id: "S3",
        sequence: 3,
        date: "2026-11-18",
        opening: "90.00",
        closing: "-10.00",
        entries: &[("-100.00", "NOTPROVIDED", "rent")],
    };
    let taken = desk.take(&third.text()).await;
    let statement = &taken.statements[0].statement;
    assert!(statement.breaks_chain());
    let theirs = statement.opening.map(|opening| opening.amount_minor);
    assert_eq!(
        (statement.before_minor, theirs),
        (Some(12_600), Some(9_000))
    );
    // Once the one between them comes, both follow.
    let second = Camt {
        id: "S2",
        sequence: 2,
        date: "2026-11-17",
        opening: "126.00",
        closing: "90.00",
        entries: &[("-36.00", "NOTPROVIDED", "fees")],
    };
    let taken = desk.take(&second.text()).await;
    assert!(!taken.statements[0].statement.breaks_chain());
    let again = desk.take(&third.text()).await;
    assert!(!again.statements[0].statement.breaks_chain());
    assert_eq!(desk.lines(&scene).await.len(), 4);
    desk.close(scene).await;
}

async fn a_statement_that_contradicts_one_of_its_name_is_a_finding(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let desk = Desk::of(&scene);
    desk.take(&FIRST.text()).await;
    let other = Camt {
        closing: "102.00",
        entries: &[("2.00", "NOTPROVIDED", "interest")],
        ..FIRST
    };
    // The same in another file says nothing new.
    for (text, breaks) in [(other.text(), true), (other.text() + "\n", false)] {
        let taken = desk.take(&text).await;
        assert_eq!(taken.statements[0].statement.breaks_chain(), breaks);
    }
    desk.close(scene).await;
}

async fn pending_and_then_booked_counts_once(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let desk = Desk::of(&scene);
    let booked = Camt {
        entries: &[("26.00", "NOTPROVIDED", "sale")],
        ..FIRST
    }
    .text();
    let within = booked
        .replace("camt.053", "camt.052")
        .replace("BkToCstmrStmt", "BkToCstmrAcctRpt")
        .replace("Stmt>", "Rpt>")
        .replace("2026-11-16", "2026-11-15")
        .replace("BOOK", "PDNG");
    let taken = desk.take(&within).await;
    assert_eq!(taken.statements[0].counts.not_counted, 1);
    // A bank may call it booked within the day: that is not the statement of what was booked either.
    let taken = desk.take(&within.replace("PDNG", "BOOK")).await;
    assert_eq!(taken.statements[0].counts.not_counted, 1);
    let taken = desk.take(&booked).await;
    assert_eq!(taken.statements[0].counts.unmatched, 1);
    let lines = desk.lines(&scene).await;
    let counted = lines
        .iter()
        .filter(|line| line.matching != LineMatch::NotCounted);
    assert_eq!(counted.map(|line| line.amount_minor).sum::<i64>(), 2_600);
    desk.close(scene).await;
}

async fn a_wrong_file_counts_for_nothing(database: TestDatabase) {
    let scene = Scene::new(database).await;
    let desk = Desk::of(&scene);
    let right = FIRST.text();
    for (from, to, expected) in [
        ("126.00", "127.00", "Bal CLBD: expected 12600 minor units"),
        (
            "GB82WEST12345698765432",
            "DE89370400440532013000",
            "account: expected GB** **** 5432, got DE** **** 3000",
        ),
        ("EUR", "USD", "currency: expected EUR, got USD"),
        ("</Stmt>", "", "expected well-formed XML"),
        (
            FIRST.date,
            "9999-12-30",
            "opening date: expected 2026-12-02 at the latest, 14 days after today, got 9999-12-30",
        ),
        (
            FIRST.date,
            "2026-12-03",
            "opening date: expected 2026-12-02 at the latest, 14 days after today, got 2026-12-03",
        ),
    ] {
        let error = desk.try_take(&right.replace(from, to)).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    // Each of its balances has a date of its own.
    let begins = "<Dt>2026-11-16</Dt></Dt></Bal><Bal>";
    let ends = "<Dt>2026-11-16</Dt></Dt></Bal><Ntry>";
    for (of, to, expected) in [
        (
            begins,
            "2026-11-17",
            "closing date: expected 2026-11-17, its opening date, or later, got 2026-11-16",
        ),
        (
            ends,
            "2027-11-16",
            "closing date: expected 2026-12-02 at the latest, 14 days after today, got 2027-11-16",
        ),
    ] {
        assert!(right.contains(of), "{right}");
        let wrong = right.replace(of, &of.replace(FIRST.date, to));
        let error = desk.try_take(&wrong).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    assert_eq!(desk.lines(&scene).await, []);
    desk.take(&right.replace(FIRST.date, "2026-12-02")).await;
    desk.close(scene).await;
}
