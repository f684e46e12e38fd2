mod asked;
mod fees;
mod stages;

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
        found_kind: None,
        approval_codes: vec![format!("A{number:05}")],
        acquirer_reference: None,
        merchant_reference: None,
        settled_by: None,
        payment_id: PaymentId::from_parts(NOW, [number; 10]),
        by_report: false,
        left_minor: None,
        brand: None,
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
        cycle: None,
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
        fees: None,
    }
}

/// What lines come to in the end, as an import finds it out.
fn compared(lines: &[ReportLine], items: &[ReportedItem]) -> AppliedLines {
    compared_with(lines, items, &AllAsked::default())
}

/// The same where this was asked for, and is no item.
fn compared_with(lines: &[ReportLine], items: &[ReportedItem], asked: &AllAsked) -> AppliedLines {
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
    let later = of_open_lines(of, &MatchRules::standard(), (&open, asked), items);
    let mut all = first;
    all.lines.extend(later.lines);
    all.matched += later.matched;
    all.items.extend(later.items);
    all.differences.extend(later.differences);
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
    // Late, and of a day that is neither.
    let item_of = ReportedItem {
        business_date: "2026-11-26".parse().unwrap(),
        ..item(1)
    };
    let line_of = ReportLine {
        business_date: other,
        ..line(1)
    };
    assert_eq!(
        differences(&[line_of], &[item_of]),
        [
            "101 LATE_PRESENTMENT 2026-11-26 shop item 2026-11-26 2026-11-29",
            "101 DATE_DIFFERS 2026-11-26 shop item 2026-11-26 2026-11-28"
        ]
    );
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
