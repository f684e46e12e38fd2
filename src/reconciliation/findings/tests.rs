use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::payment::ids::ImportId;
use crate::payment::ids::{CaptureId, ChargebackId, PaymentId, RefundId, SubjectId};
use crate::payment::ids::{MerchantId, OperationId};
use crate::payment::moment::BusinessDate;
use crate::payment::moment::UnixMillis;
use crate::payment::reference::Rrn;
use crate::payment::settlement::ItemKind;
use crate::settlement::report::format::ReportKind;

const NOW: UnixMillis = UnixMillis::new(1_796_000_000_000);

fn rrn(number: u8) -> Rrn {
    format!("6333000000{number:02}").parse().unwrap()
}

/// An item of 10.00 EUR of the day, found by its own RRN.
fn item(number: u8) -> ReportedItem {
    ReportedItem {
        operation_id: OperationId::from_parts(NOW, [number; 10]),
        subject_id: SubjectId::Capture(CaptureId::from_parts(NOW, [number; 10])),
        merchant_id: "shop".parse().unwrap(),
        currency: "EUR".parse().unwrap(),
        kind: ItemKind::Capture,
        amount_minor: 1_000,
        business_date: "2026-11-29".parse().unwrap(),
        own_rrn: rrn(number),
        found_by: rrn(number),
        approval_codes: vec![format!("A{number:05}")],
        acquirer_reference: None,
        merchant_reference: None,
        settled_by: None,
        payment_id: PaymentId::from_parts(NOW, [number; 10]),
        left_minor: None,
    }
}

/// What the bank says of it.
fn line(number: u8) -> ReportLine {
    ReportLine {
        number: u64::from(number) + 100,
        business_date: "2026-11-29".parse().unwrap(),
        acceptor: "SHOP0000000001".into(),
        kind: ReportKind::Capture,
        rrn: Some(rrn(number).to_string()),
        acquirer_reference: Some("74000006333000000000012".into()),
        approval_code: None,
        merchant_reference: None,
        currency: "EUR".parse().unwrap(),
        gross_minor: 1_000,
        interchange_minor: Some(2),
        scheme_fee_minor: Some(1),
        commission_minor: None,
        net_minor: Some(997),
        reject_code: None,
    }
}

/// What lines come to as they come, and their chargebacks.
fn first_look(lines: &[ReportLine], items: &[ReportedItem]) -> (AppliedLines, Vec<NewChargeback>) {
    let shop = ("SHOP0000000001".to_owned(), "shop".parse().unwrap());
    let of = report_of(std::slice::from_ref(&shop));
    as_they_come(of, &MatchRules::standard(), lines, items.to_vec())
}

fn report_of(merchants: &[(String, MerchantId)]) -> ReportOf<'_> {
    ReportOf {
        host_id: "acquirer".parse().unwrap(),
        business_date: "2026-11-29".parse().unwrap(),
        merchants,
    }
}

/// What lines come to in the end, as an import finds it out.
fn compared(lines: &[ReportLine], items: &[ReportedItem]) -> AppliedLines {
    let (first, _) = first_look(lines, items);
    let mut items = items.to_vec();
    for item in &mut items {
        let settled = first
            .items
            .iter()
            .any(|it| it.operation_id == item.operation_id);
        if settled {
            item.settled_by = Some(ImportId::from_parts(NOW, [8; 10]));
        }
    }
    let is_open = |line: &&ReportLine| {
        let outcome = first.lines.iter().find(|it| it.number == number(line));
        outcome.unwrap().state == LineState::Open
    };
    let open: Vec<ReportLine> = lines.iter().filter(is_open).cloned().collect();
    let shop = ("SHOP0000000001".to_owned(), "shop".parse().unwrap());
    let of = report_of(std::slice::from_ref(&shop));
    let later = of_open_lines(of, &MatchRules::standard(), &open, items);
    let mut all = and(first, later);
    all.lines.retain(|line| line.state != LineState::Open);
    all.lines.sort_by_key(|line| line.number);
    all.differences.sort_by_key(|it| it.line);
    all
}

/// The differences as text.
fn differences(lines: &[ReportLine], items: &[ReportedItem]) -> Vec<String> {
    let found = compared(lines, items).differences;
    let shown = found.iter().map(|it| {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into());
        let merchant = it.merchant_id.map_or("-".into(), |it| it.to_string());
        format!(
            "{} {} {} {merchant} {} {} {}",
            it.line.unwrap_or(0),
            it.kind.name(),
            it.business_date,
            it.operation_id.map_or("line", |_| "item"),
            text(&it.ours),
            text(&it.theirs)
        )
    });
    shown.collect()
}

#[test]
fn a_line_that_is_as_its_item_is_says_what_the_bank_takes() {
    let applied = compared(&[line(1)], &[item(1)]);
    assert_eq!((applied.lines.len(), applied.matched), (1, 1));
    assert_eq!(applied.differences, []);
    let expected = ItemReport {
        operation_id: item(1).operation_id,
        line: 101,
        acquirer_reference: Some("74000006333000000000012".into()),
        interchange_minor: Some(2),
        scheme_fee_minor: Some(1),
        commission_minor: None,
        bank_minor: Some(1_000),
        reject_code: None,
        was_missed: false,
    };
    assert_eq!(applied.items, [expected]);
}

#[test]
fn what_is_otherwise_is_named_with_both_values() {
    let import = ImportId::from_parts(NOW, [9; 10]);
    let other: BusinessDate = "2026-11-28".parse().unwrap();
    let refunded = ReportedItem {
        kind: ItemKind::Refund,
        subject_id: SubjectId::Refund(RefundId::from_parts(NOW, [1; 10])),
        ..item(1)
    };
    let refund = |gross_minor| ReportLine {
        kind: ReportKind::Refund,
        gross_minor,
        ..line(1)
    };
    for (line, item, expected) in [
        (
            ReportLine {
                gross_minor: 1_010,
                ..line(1)
            },
            item(1),
            "101 AMOUNT_DIFFERS 2026-11-29 shop item 1000 1010",
        ),
        (
            ReportLine {
                currency: "USD".parse().unwrap(),
                ..line(1)
            },
            item(1),
            "101 CURRENCY_DIFFERS 2026-11-29 shop item EUR USD",
        ),
        (
            ReportLine {
                business_date: other,
                ..line(1)
            },
            item(1),
            "101 DATE_DIFFERS 2026-11-29 shop item 2026-11-29 2026-11-28",
        ),
        (
            line(1),
            ReportedItem {
                business_date: other,
                ..item(1)
            },
            "101 DATE_DIFFERS 2026-11-28 shop item 2026-11-28 2026-11-29",
        ),
        (
            ReportLine {
                business_date: other,
                ..line(1)
            },
            ReportedItem {
                business_date: other,
                ..item(1)
            },
            "101 LATE_PRESENTMENT 2026-11-28 shop item 2026-11-28 2026-11-29",
        ),
        (
            ReportLine {
                reject_code: Some("E12".into()),
                gross_minor: 0,
                ..line(1)
            },
            item(1),
            "101 REJECTED 2026-11-29 shop item 1000 E12",
        ),
        (
            line(1),
            ReportedItem {
                settled_by: Some(import),
                ..item(1)
            },
            "101 DUPLICATE_LINE 2026-11-29 shop item 1000 1000",
        ),
        (
            refund(-1_000),
            ReportedItem {
                settled_by: Some(import),
                ..refunded.clone()
            },
            "101 DUPLICATE_LINE 2026-11-29 shop item 1000 1000",
        ),
        (
            refund(-900),
            refunded.clone(),
            "101 AMOUNT_DIFFERS 2026-11-29 shop item 1000 900",
        ),
        (
            refund(1_000),
            refunded.clone(),
            "101 SIGN_DIFFERS 2026-11-29 shop item 1000 -1000",
        ),
        // A capture is no refund.
        (
            line(1),
            refunded,
            "101 UNEXPECTED_LINE 2026-11-29 shop line - 1000",
        ),
        (
            ReportLine {
                kind: ReportKind::Chargeback,
                gross_minor: -1_000,
                ..line(1)
            },
            item(1),
            "101 UNEXPECTED_LINE 2026-11-29 shop line - -1000",
        ),
        (
            ReportLine {
                acceptor: "OTHER".into(),
                ..line(2)
            },
            item(1),
            "102 UNEXPECTED_LINE 2026-11-29 - line - 1000",
        ),
        // The acceptor of the shop, and the item of somebody else.
        (
            line(1),
            ReportedItem {
                merchant_id: "bookshop".parse().unwrap(),
                ..item(1)
            },
            "101 UNEXPECTED_LINE 2026-11-29 shop line - 1000",
        ),
    ] {
        assert_eq!(differences(&[line], &[item]), [expected]);
    }
    let missing = not_in_report(report_of(&[]), &item(1));
    assert_eq!(missing.kind, DifferenceKind::NotInReport);
    assert_eq!(
        (missing.ours.as_deref(), missing.line),
        (Some("1000"), None)
    );
}

/// Three captures of one authorization: the bank knows them by its RRN, and only the amounts tell them apart.
#[test]
fn captures_with_one_rrn_are_told_apart_by_their_amounts() {
    let part = |number, amount_minor| ReportedItem {
        found_by: rrn(1),
        payment_id: item(1).payment_id,
        amount_minor,
        ..item(number)
    };
    let items = [part(2, 600), part(3, 150), part(4, 250)];
    let said = |number, gross_minor| ReportLine {
        rrn: Some(rrn(1).to_string()),
        gross_minor,
        ..line(number)
    };
    // The bank has 6.10 for 6.00, and says so first.
    let lines = [said(11, 610), said(12, 250), said(13, 150)];
    assert_eq!(
        differences(&lines, &items),
        ["111 AMOUNT_DIFFERS 2026-11-29 shop item 600 610"]
    );
    // One more than there are.
    let lines = [said(11, 600), said(12, 250), said(13, 150), said(14, 150)];
    assert_eq!(
        differences(&lines, &items),
        ["114 DUPLICATE_LINE 2026-11-29 shop item 150 150"]
    );
    // One with an RRN of its own is no other one.
    let own = [ReportLine {
        gross_minor: 150,
        ..line(2)
    }];
    let of_payment = [
        part(3, 150),
        ReportedItem {
            amount_minor: 600,
            ..item(2)
        },
    ];
    assert_eq!(
        differences(&own, &of_payment),
        ["102 AMOUNT_DIFFERS 2026-11-29 shop item 600 150"]
    );
}

/// What is no item yet says of which item it is; what is one is compared as every other line, whatever its date.
#[test]
fn a_chargeback_is_of_the_item_that_is_most_like_it() {
    let import = ImportId::from_parts(NOW, [9; 10]);
    let taken_back = |number, gross_minor: i64| ReportLine {
        kind: match gross_minor {
            ..0 => ReportKind::Chargeback,
            _ => ReportKind::ChargebackReversal,
        },
        rrn: Some(rrn(1).to_string()),
        gross_minor,
        ..line(number)
    };
    let captured = |number, amount_minor| ReportedItem {
        found_by: rrn(1),
        amount_minor,
        settled_by: Some(import),
        ..item(number)
    };
    let charged_back = |number, amount_minor| ReportedItem {
        kind: ItemKind::Chargeback,
        subject_id: SubjectId::Chargeback(ChargebackId::from_parts(NOW, [number; 10])),
        business_date: "2026-12-01".parse().unwrap(),
        own_rrn: rrn(1),
        left_minor: Some(0),
        ..captured(number, amount_minor)
    };
    let dollars = ReportedItem {
        currency: "USD".parse().unwrap(),
        ..captured(2, 600)
    };
    // The captures of 6.00 and 2.50; what is taken back, and of which of them.
    let captures = [captured(2, 600), captured(3, 250)];
    for (line, items, expected) in [
        (taken_back(9, -600), captures.to_vec(), Some((2, 600))),
        (taken_back(9, -250), captures.to_vec(), Some((3, 250))),
        (taken_back(9, -100), captures.to_vec(), Some((2, 100))),
        (taken_back(9, -400), captures.to_vec(), Some((2, 400))),
        (taken_back(9, -400), vec![dollars], None),
        (taken_back(9, 0), captures.to_vec(), None),
        // Nothing was taken back.
        (taken_back(9, 600), captures.to_vec(), None),
        (
            taken_back(9, 600),
            vec![charged_back(4, 600)],
            Some((4, 600)),
        ),
        // One is settled, so this is another one.
        (
            taken_back(9, -600),
            vec![captured(2, 600), charged_back(4, 600)],
            Some((2, 600)),
        ),
    ] {
        let (applied, new) = first_look(std::slice::from_ref(&line), &items);
        let found = new
            .first()
            .map(|new| (new.original.operation_id, new.amount.amount_minor()));
        let expected = expected
            .map(|(number, minor): (u8, i64)| (OperationId::from_parts(NOW, [number; 10]), minor));
        assert_eq!(found, expected, "{line:?}");
        assert_eq!(applied.matched, 0, "{line:?}");
    }
    let free = ReportedItem {
        settled_by: None,
        ..charged_back(4, 600)
    };
    let (applied, new) = first_look(&[taken_back(9, -600)], std::slice::from_ref(&free));
    assert_eq!(
        (applied.matched, applied.differences, new),
        (1, vec![], vec![])
    );
    let above = ReportedItem {
        left_minor: Some(-100),
        ..free
    };
    assert_eq!(
        differences(&[taken_back(9, -600)], &[above]),
        ["109 ABOVE_CAPTURED 2026-12-01 shop item 500 600"]
    );
}

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
    let line = ReportLine {
        rrn: Some("42".into()),
        ..coded(1)
    };
    assert_eq!(
        decided(&[line], &[item]),
        ["MATCHED 0 as-expected REFERENCE_DIFFERS"]
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
                both,
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
