//! What each stage finds, and what it leaves to a person.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// A line with its own approval code.
fn coded(number: u8) -> ReportLine {
    ReportLine {
        approval_code: Some(format!("A{number:05}")),
        ..line(number)
    }
}

/// What the program decides of a line, and what it does not.
fn decided(lines: &[ReportLine], items: &[ReportedItem]) -> Vec<String> {
    let all = compared(lines, items);
    let place = |operation| {
        items
            .iter()
            .position(|it| Some(it.operation_id) == operation)
    };
    let shown = all.lines.iter().map(|line| {
        let found = all
            .differences
            .iter()
            .filter(|it| it.line == Some(line.number));
        let mut kinds: Vec<_> = found.map(|it| it.kind.name()).collect();
        kinds.sort_unstable();
        let item = place(line.operation_id).map_or("-".to_owned(), |place| place.to_string());
        let rule = line.rule.as_deref().unwrap_or("-");
        format!("{} {item} {rule} {}", line.state.name(), kinds.join("+"))
    });
    shown.collect()
}

#[test]
fn each_stage_finds_what_the_ones_before_it_can_not() {
    let nobody = Some("999999999999".to_owned());
    let with = |gross_minor, line: ReportLine| ReportLine {
        gross_minor,
        ..line
    };
    let items = [item(1), item(2)];
    for (line, expected) in [
        (coded(1), "MATCHED 0 as-expected "),
        // The approval code is another's: so is the line, although RRN and amount fit.
        (
            ReportLine {
                rrn: Some(rrn(1).to_string()),
                ..coded(2)
            },
            "AMBIGUOUS - rrn-and-amount AMBIGUOUS",
        ),
        (
            ReportLine {
                approval_code: Some("X".into()),
                ..coded(1)
            },
            "MATCHED 0 rrn-and-amount REFERENCE_DIFFERS",
        ),
        (
            ReportLine {
                rrn: nobody.clone(),
                ..coded(1)
            },
            "MATCHED 0 approval-code-and-amount REFERENCE_DIFFERS",
        ),
        (with(1_001, coded(1)), "MATCHED 0 rrn AMOUNT_DIFFERS"),
        (
            with(
                1_001,
                ReportLine {
                    rrn: nobody.clone(),
                    ..coded(1)
                },
            ),
            "MATCHED 0 approval-code AMOUNT_DIFFERS+REFERENCE_DIFFERS",
        ),
        (
            ReportLine {
                rrn: nobody.clone(),
                business_date: "2026-11-28".parse().unwrap(),
                ..coded(1)
            },
            "MATCHED 0 approval-code-and-amount DATE_DIFFERS+REFERENCE_DIFFERS",
        ),
        // Two items have its amount, and it says nothing else of them.
        (
            ReportLine {
                rrn: nobody.clone(),
                ..line(1)
            },
            "AMBIGUOUS - amount-alone AMBIGUOUS",
        ),
        (
            with(
                77,
                ReportLine {
                    rrn: nobody.clone(),
                    ..line(1)
                },
            ),
            "UNKNOWN - - UNEXPECTED_LINE",
        ),
    ] {
        assert_eq!(
            decided(std::slice::from_ref(&line), &items),
            [expected],
            "{line:?}"
        );
    }
    // One item that is like it is shown to a person, and never taken.
    let alone = ReportLine {
        rrn: nobody,
        ..line(1)
    };
    let all = compared(&[alone], &[item(1)]);
    assert_eq!(all.items, []);
    let like = LikeItem {
        subject_id: item(1).subject_id,
        rrn: rrn(1),
    };
    assert_eq!(all.differences[0].candidates, [like]);
}

/// The RRN of a line of yesterday on a line of today.
#[test]
fn an_rrn_that_is_used_again_is_not_once_more() {
    let import = ImportId::from_parts(NOW, [9; 10]);
    let yesterday = ReportedItem {
        business_date: "2026-11-28".parse().unwrap(),
        settled_by: Some(import),
        ..item(1)
    };
    let line = ReportLine {
        rrn: Some(rrn(1).to_string()),
        ..coded(2)
    };
    assert_eq!(
        decided(&[line], &[yesterday.clone(), item(2)]),
        ["MATCHED 1 approval-code-and-amount REFERENCE_DIFFERS"]
    );
    assert_eq!(
        decided(&[coded(1)], &[yesterday, item(2)]),
        ["ONCE_MORE 0 once-more DUPLICATE_LINE"]
    );
}

/// Zeros that a table has lost are no other RRN; but what came is not the RRN.
#[test]
fn an_rrn_without_its_zeros_is_found() {
    let short: Rrn = "000000000042".parse().unwrap();
    let item = ReportedItem {
        own_rrn: short,
        found_by: short,
        ..item(1)
    };
    let with = |rrn: &str, gross_minor| ReportLine {
        rrn: Some(rrn.to_owned()),
        gross_minor,
        ..coded(1)
    };
    let (whole, lost) = (with("000000000042", 1_000), with("42", 1_000));
    let decided = |lines: &[ReportLine]| decided(lines, std::slice::from_ref(&item));
    let found = "MATCHED 0 rrn REFERENCE_DIFFERS";
    assert_eq!(decided(std::slice::from_ref(&lost)), [found]);
    // Beside the RRN as it is, it is the duplicate, in whatever order they come.
    let (first, second) = (
        "MATCHED 0 as-expected ",
        "ONCE_MORE 0 once-more DUPLICATE_LINE",
    );
    let later = |line: &ReportLine| ReportLine {
        number: 201,
        ..line.clone()
    };
    assert_eq!(decided(&[whole.clone(), later(&lost)]), [first, second]);
    assert_eq!(decided(&[lost, later(&whole)]), [second, first]);
    // Of several lines that are one item, each that has lost some is named.
    let parts = [with("42", 400), later(&with("42", 600))];
    let part = "MATCHED 0 one-item-in-several-lines REFERENCE_DIFFERS";
    assert_eq!(decided(&parts), [part; 2]);
}

/// The same line once with its approval code, and once without.
#[test]
fn a_line_without_its_approval_code_is_there_once_more() {
    let without = ReportLine {
        number: 201,
        approval_code: None,
        ..coded(1)
    };
    assert_eq!(
        decided(&[coded(1), without], &[item(1)]),
        [
            "MATCHED 0 as-expected ",
            "ONCE_MORE 0 once-more DUPLICATE_LINE"
        ]
    );
}

/// What the bank rejects it does not pay.
#[test]
fn a_rejected_line_is_no_part_of_a_sum_and_is_worth_nothing() {
    let rejected = |number: u8, gross_minor| ReportLine {
        number: u64::from(number) + 200,
        gross_minor,
        reject_code: Some("E12".into()),
        ..coded(1)
    };
    let paid = ReportLine {
        gross_minor: 400,
        ..coded(1)
    };
    assert_eq!(
        decided(&[paid, rejected(2, 600)], &[item(1), item(2)]),
        ["AMBIGUOUS - rrn AMBIGUOUS"; 2]
    );
    let all = compared(&[coded(1), rejected(3, 1_000)], &[item(1)]);
    let theirs: Vec<_> = all
        .differences
        .iter()
        .map(|it| it.theirs.as_deref())
        .collect();
    assert_eq!(theirs, [Some("0")]);
}

/// Two captures of 10.00 of one payment: one came yesterday, the other comes today, dated yesterday.
#[test]
fn what_is_open_is_meant_before_what_is_settled() {
    let yesterday = |number| ReportedItem {
        business_date: "2026-11-28".parse().unwrap(),
        found_by: rrn(1),
        own_rrn: rrn(40 + number),
        payment_id: item(1).payment_id,
        ..item(number)
    };
    let settled = ReportedItem {
        settled_by: Some(ImportId::from_parts(NOW, [9; 10])),
        ..yesterday(2)
    };
    let late = ReportLine {
        business_date: "2026-11-28".parse().unwrap(),
        ..line(1)
    };
    assert_eq!(
        decided(&[late], &[settled, yesterday(3)]),
        ["MATCHED 1 rrn LATE_PRESENTMENT"]
    );
}

/// Either of two lines may be its item and the only other one: nobody guesses which.
#[test]
fn an_item_that_two_lines_would_be_made_up_of_is_of_neither() {
    let with = |number, gross_minor| ReportLine {
        gross_minor,
        ..coded(number)
    };
    let items = [
        item(1),
        ReportedItem {
            amount_minor: 2_000,
            ..item(2)
        },
        ReportedItem {
            amount_minor: 500,
            ..item(3)
        },
    ];
    assert_eq!(
        decided(&[with(1, 1_500), with(2, 2_500)], &items),
        ["AMBIGUOUS - several-items-in-one-line AMBIGUOUS"; 2]
    );
}

#[test]
fn several_lines_may_be_one_item_and_one_line_several_items() {
    let part = |number: u8, gross_minor| ReportLine {
        number: u64::from(number) + 200,
        gross_minor,
        ..coded(1)
    };
    let items = [item(1), item(2)];
    let split = "MATCHED 0 one-item-in-several-lines ";
    assert_eq!(decided(&[part(1, 400), part(2, 600)], &items), [split; 2]);
    // They do not make up the item: which of them is it?
    assert_eq!(
        decided(&[part(1, 400), part(2, 500)], &items),
        ["AMBIGUOUS - rrn AMBIGUOUS"; 2]
    );
    let both = ReportLine {
        gross_minor: 2_000,
        ..coded(1)
    };
    let merged = compared(std::slice::from_ref(&both), &items);
    let sums: Vec<_> = merged.items.iter().map(|it| it.bank_minor).collect();
    assert_eq!((sums, merged.differences), (vec![Some(1_000); 2], vec![]));
    let fees: Vec<_> = merged.items.iter().map(|it| it.interchange_minor).collect();
    assert_eq!(fees, [Some(2), Some(0)], "once");
    // The other one may be either of two.
    let three = [item(1), item(2), item(3)];
    assert_eq!(
        decided(std::slice::from_ref(&both), &three),
        ["AMBIGUOUS - several-items-in-one-line AMBIGUOUS"]
    );
    // Or has a line of its own.
    assert_eq!(
        decided(
            &[
                both.clone(),
                ReportLine {
                    gross_minor: 999,
                    ..coded(2)
                }
            ],
            &items
        ),
        [
            "MATCHED 0 rrn AMOUNT_DIFFERS",
            "MATCHED 1 rrn AMOUNT_DIFFERS"
        ]
    );
    let of_another_day = ReportLine {
        business_date: "2026-11-30".parse().unwrap(),
        ..coded(2)
    };
    assert_eq!(
        decided(&[both, of_another_day], &items),
        ["MATCHED 0 rrn AMOUNT_DIFFERS", "MATCHED 1 rrn DATE_DIFFERS"]
    );
}

/// Captures of 10.00 and 5.00 of one payment, which the bank has paid as 9.00 and 6.00.
#[test]
fn several_lines_may_be_several_items() {
    let of_payment = |number, amount_minor| ReportedItem {
        amount_minor,
        found_by: rrn(1),
        own_rrn: rrn(40 + number),
        payment_id: item(1).payment_id,
        approval_codes: item(1).approval_codes,
        ..item(number)
    };
    let part = |number: u8, gross_minor| ReportLine {
        number: u64::from(number) + 200,
        gross_minor,
        ..coded(1)
    };
    let items = [of_payment(1, 1_000), of_payment(2, 500)];
    let both = "MATCHED 0 several-items-in-several-lines ";
    let lines = [part(1, 900), part(2, 600)];
    assert_eq!(decided(&lines, &items), [both; 2]);
    let all = compared(&lines, &items);
    let sums: Vec<_> = all.items.iter().map(|it| it.bank_minor).collect();
    assert_eq!(sums, [Some(1_000), Some(500)]);
    let fees: Vec<_> = all.items.iter().map(|it| it.interchange_minor).collect();
    assert_eq!(fees, [Some(4), Some(0)], "those of both lines");
    // A cent too much, and nobody guesses.
    let unsure = "AMBIGUOUS - rrn AMBIGUOUS";
    assert_eq!(decided(&[part(1, 900), part(2, 601)], &items), [unsure; 2]);
    // A line that has an item's amount is about that, and the other one has its own difference.
    assert_eq!(
        decided(&[part(1, 1_000), part(2, 600)], &items),
        ["MATCHED 0 as-expected ", "MATCHED 1 rrn AMOUNT_DIFFERS"]
    );
    // Items of another payment are not among them.
    assert_eq!(
        decided(&lines, &[of_payment(1, 1_000), item(3)]),
        [unsure; 2]
    );
    // A line that goes the other way is no part of a sum, and nor is what another line may be about.
    assert_eq!(
        decided(&[part(1, 2_000), part(2, -500)], &items),
        [unsure; 2]
    );
    let other = ReportLine {
        approval_code: None,
        ..part(3, 800)
    };
    let [first, second] = lines;
    assert_eq!(decided(&[first, second, other], &items), [unsure; 3]);
}

/// Lines and items that are the same are counted.
#[test]
fn equal_lines_are_counted_and_not_collapsed() {
    let part = |number| ReportedItem {
        found_by: rrn(1),
        payment_id: item(1).payment_id,
        ..item(number)
    };
    let said = |number: u8| ReportLine {
        rrn: Some(rrn(1).to_string()),
        ..line(number)
    };
    let items = [part(2), part(3)];
    let lines = [said(11), said(12)];
    assert_eq!(
        decided(&lines, &items),
        ["MATCHED 0 as-expected ", "MATCHED 1 as-expected "]
    );
    let lines = [said(11), said(12), said(13)];
    assert_eq!(
        decided(&lines, &items).last().map(|it| &**it),
        Some("ONCE_MORE 0 once-more DUPLICATE_LINE")
    );
}

/// Lines and items that are much alike, so that many of them get into each other's way.
fn muddle() -> impl Strategy<Value = (Vec<ReportLine>, Vec<ReportedItem>)> {
    let amount = prop_oneof![Just(1_000), Just(2_000), Just(3_000)];
    let items = vec((1..5_u8, amount), 1..7);
    // Of which item it is, and what of it is otherwise.
    let lines = vec((0..7_usize, 0..8_u8, 1..4_i64), 1..8);
    (items, lines).prop_map(|(items, lines)| {
        let numbered = (1_u8..).zip(items);
        let items: Vec<ReportedItem> = numbered
            .map(|(number, (payment, amount_minor))| ReportedItem {
                found_by: rrn(50 + payment),
                payment_id: PaymentId::from_parts(NOW, [payment; 10]),
                amount_minor,
                ..item(number)
            })
            .collect();
        let numbered = (1_u8..).zip(lines);
        let lines = numbered.map(|(number, (of, how, more))| {
            let of = &items[of % items.len()];
            let right = ReportLine {
                number: u64::from(number),
                rrn: Some(of.own_rrn.to_string()),
                approval_code: of.approval_codes.first().cloned(),
                gross_minor: of.amount_minor,
                ..line(number)
            };
            match how {
                0 => ReportLine {
                    rrn: Some(of.found_by.to_string()),
                    ..right
                },
                1 => ReportLine {
                    rrn: None,
                    approval_code: None,
                    ..right
                },
                2 => ReportLine {
                    gross_minor: more * 1_000,
                    ..right
                },
                3 => ReportLine {
                    rrn: Some("999999999999".into()),
                    ..right
                },
                4 => ReportLine {
                    approval_code: None,
                    gross_minor: of.amount_minor / 2,
                    ..right
                },
                5 => ReportLine {
                    approval_code: Some("A00002".into()),
                    ..right
                },
                6 => ReportLine {
                    rrn: Some(of.found_by.to_string()),
                    approval_code: None,
                    gross_minor: more * 1_000,
                    ..right
                },
                _ => right,
            }
        });
        let lines = lines.collect();
        (lines, items)
    })
}

proptest! {
    /// Each line is decided once, and each item is settled once.
    #[test]
    fn each_line_is_decided_once_and_each_item_is_settled_once((lines, items) in muddle()) {
        let all = compared(&lines, &items);
        let numbers: Vec<i64> = all.lines.iter().map(|line| line.number).collect();
        prop_assert_eq!(numbers, lines.iter().map(number).collect::<Vec<_>>());
        let mut settled: Vec<_> = all.items.iter().map(|it| it.operation_id).collect();
        let count = settled.len();
        settled.sort_unstable();
        settled.dedup();
        prop_assert_eq!(settled.len(), count);
        // Whatever is not matched is named.
        for line in all.lines.iter().filter(|line| line.state != LineState::Matched) {
            let named = all.differences.iter().filter(|it| it.line == Some(line.number));
            prop_assert_eq!(named.count(), 1, "{:?}", line);
        }
    }
}
