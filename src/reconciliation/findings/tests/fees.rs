//! What lines have otherwise of fees.

use super::*;
use crate::settlement::agreed_fees::AgreedFees;
use crate::settlement::report::samples::report_with_fees;

/// 0.20 % and 0.10 % are agreed: 2 and 1 minor units of 10.00.
fn agreed(more: &str) -> AgreedFees {
    let report = report_with_fees("commission = \"Commission\"");
    let text = format!("{more}\n[[interchange]]\nppm = 2_000\n[[scheme_fee]]\nppm = 1_000\n");
    let table = toml::from_str(&text).unwrap();
    AgreedFees::from_table(table, Some(&report)).unwrap()
}

/// What is said of these lines: line, kind, what is agreed and what is kept.
fn found(fees: &AgreedFees, lines: &[ReportLine], items: &[ReportedItem]) -> Vec<String> {
    let shop = ("SHOP0000000001".to_owned(), "shop".parse().unwrap());
    let of = ReportOf {
        fees: Some(fees),
        ..report_of(std::slice::from_ref(&shop))
    };
    let rules = MatchRules::standard();
    let (mut all, _) = as_they_come(of, &rules, lines, items.to_vec());
    let settled = |item: &ReportedItem| {
        let mut settled = all.items.iter();
        settled.any(|it| it.operation_id == item.operation_id)
    };
    let left: Vec<_> = items
        .iter()
        .filter(|item| !settled(item))
        .cloned()
        .collect();
    let is_open = |line: &&ReportLine| {
        let mut outcomes = all.lines.iter();
        outcomes.any(|it| it.number == number(line) && it.state == LineState::Open)
    };
    let open: Vec<ReportLine> = lines.iter().filter(is_open).cloned().collect();
    let later = of_open_lines(of, &rules, (&open, &AllAsked::default()), left);
    all.differences.extend(later.differences);
    let shown = all.differences.iter().map(|it| {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let (ours, theirs) = (text(&it.ours), text(&it.theirs));
        format!(
            "{} {} {ours} {theirs}",
            it.line.unwrap_or(0),
            it.kind.name()
        )
    });
    shown.collect()
}

/// A line whose net is its gross less its fees.
fn keeping(line: ReportLine, interchange: Option<i64>, scheme: Option<i64>) -> ReportLine {
    let fees = interchange.unwrap_or(0) + scheme.unwrap_or(0) + line.commission_minor.unwrap_or(0);
    ReportLine {
        interchange_minor: interchange,
        scheme_fee_minor: scheme,
        net_minor: Some(line.gross_minor - fees),
        ..line
    }
}

#[test]
fn fees_that_are_otherwise_are_one_difference_with_both_sums_and_the_rules() {
    let item = item(1);
    for (more, interchange, scheme, expected) in [
        ("", Some(2), Some(1), None),
        ("", Some(3), Some(1), Some("101 FEE_DIFFERS 3 4")),
        ("", Some(1), Some(1), Some("101 FEE_DIFFERS 3 2")),
        ("", Some(6), Some(3), Some("101 FEE_DIFFERS 3 9")),
        ("", None, Some(1), Some("101 FEE_DIFFERS 3 1")),
        ("", None, None, Some("101 FEE_DIFFERS 3 0")),
        // One part for another.
        ("", Some(1), Some(2), Some("101 FEE_DIFFERS 3 3")),
        ("tolerance_minor = 1", Some(3), Some(2), None),
        (
            "tolerance_minor = 1",
            Some(4),
            Some(1),
            Some("101 FEE_DIFFERS 3 5"),
        ),
        // Nothing is agreed of it.
        ("[[commission]]\ncurrency = \"USD\"", Some(2), Some(1), None),
        (
            "[[commission]]\nppm = 1_000",
            Some(2),
            Some(1),
            Some("101 FEE_DIFFERS 4 3"),
        ),
    ] {
        let line = keeping(line(1), interchange, scheme);
        let got = found(&agreed(more), &[line], std::slice::from_ref(&item));
        let expected: Vec<_> = expected.into_iter().collect();
        assert_eq!(got, expected, "{more} {interchange:?} {scheme:?}");
    }
    let shop = ("SHOP0000000001".to_owned(), "shop".parse().unwrap());
    let fees = agreed("");
    let of = ReportOf {
        fees: Some(&fees),
        ..report_of(std::slice::from_ref(&shop))
    };
    let line = keeping(line(1), Some(3), Some(1));
    let (applied, _) = as_they_come(of, &MatchRules::standard(), &[line], vec![item]);
    let rule = applied.differences[0].rule.as_deref();
    assert_eq!(rule, Some("agreed-fees interchange[0]=2 scheme_fee[0]=1"));
    // The line is as its item is: what it was found by stays.
    assert_eq!(applied.lines[0].rule.as_deref(), Some("as-expected"));
}

#[test]
fn a_fee_that_the_bank_takes_and_does_not_name_is_kept_all_the_same() {
    let fees = agreed("");
    for (net, expected) in [
        (Some(997), None),
        (Some(999), Some("101 FEE_DIFFERS 3 1")),
        (Some(996), Some("101 FEE_DIFFERS 3 4")),
        (None, Some("101 FEE_DIFFERS 3 1")),
    ] {
        let line = ReportLine {
            interchange_minor: None,
            net_minor: net,
            ..line(1)
        };
        let expected: Vec<_> = expected.into_iter().collect();
        assert_eq!(found(&fees, &[line], &[item(1)]), expected, "{net:?}");
    }
}

#[test]
fn one_error_is_one_difference_whatever_fees_come_of_it() {
    let fees = agreed("");
    let (item, line) = (item(1), line(1));
    let other = |gross| ReportLine {
        gross_minor: gross,
        ..line.clone()
    };
    for (line, expected) in [
        // The fees of our amount, and those of the bank's.
        (
            keeping(other(2_000), Some(2), Some(1)),
            vec!["AMOUNT_DIFFERS 1000 2000"],
        ),
        (
            keeping(other(2_000), Some(4), Some(2)),
            vec!["AMOUNT_DIFFERS 1000 2000"],
        ),
        // Two captures in one line, each rounded by itself.
        (
            keeping(other(2_000), Some(5), Some(2)),
            vec!["AMOUNT_DIFFERS 1000 2000"],
        ),
        (
            keeping(other(2_000), Some(6), Some(2)),
            vec!["AMOUNT_DIFFERS 1000 2000", "FEE_DIFFERS 3 8"],
        ),
        (
            keeping(other(-1_000), Some(2), Some(1)),
            vec!["SIGN_DIFFERS 1000 -1000"],
        ),
        (
            keeping(other(-1_000), Some(0), Some(0)),
            vec!["SIGN_DIFFERS 1000 -1000"],
        ),
        (
            ReportLine {
                reject_code: Some("R01".into()),
                interchange_minor: None,
                ..line.clone()
            },
            vec!["REJECTED 1000 R01"],
        ),
        (
            ReportLine {
                currency: "USD".parse().unwrap(),
                interchange_minor: Some(9),
                ..line.clone()
            },
            vec!["CURRENCY_DIFFERS EUR USD"],
        ),
    ] {
        let said = found(
            &fees,
            std::slice::from_ref(&line),
            std::slice::from_ref(&item),
        );
        let expected: Vec<_> = expected.iter().map(|it| format!("101 {it}")).collect();
        assert_eq!(said, expected, "{line:?}");
    }
}

#[test]
fn lines_and_items_that_belong_together_have_their_fees_together() {
    let fees = agreed("");
    let part = |number, gross, interchange, scheme| {
        let line = ReportLine {
            number,
            gross_minor: gross,
            ..line(1)
        };
        keeping(line, Some(interchange), Some(scheme))
    };
    // 2.5 and 1.25 minor units, cut in two: 1 + 1 and 1 + 1 where each line is rounded by itself.
    let whole = ReportedItem {
        amount_minor: 1_250,
        ..item(1)
    };
    for (first, second, expected) in [
        ((1, 1), (1, 0), vec![]),
        ((1, 1), (1, 1), vec![]),
        ((1, 1), (2, 1), vec!["102 FEE_DIFFERS 3 5"]),
    ] {
        let lines = [
            part(102, 625, first.0, first.1),
            part(103, 625, second.0, second.1),
        ];
        let got = found(&fees, &lines, std::slice::from_ref(&whole));
        assert_eq!(got, expected, "{first:?} {second:?}");
    }
    // One line for two captures of a payment.
    let second = ReportedItem {
        payment_id: item(1).payment_id,
        ..item(2)
    };
    for (interchange, expected) in [(4, vec![]), (5, vec!["101 FEE_DIFFERS 6 7"])] {
        let line = part(101, 2_000, interchange, 2);
        let got = found(&fees, &[line], &[item(1), second.clone()]);
        assert_eq!(got, expected, "{interchange}");
    }
}

#[test]
fn nothing_is_kept_of_a_refund_unless_that_is_agreed() {
    let refund = ReportedItem {
        kind: ItemKind::Refund,
        subject_id: SubjectId::Refund(RefundId::from_parts(NOW, [1; 10])),
        ..item(1)
    };
    let line = |interchange, scheme| {
        let line = ReportLine {
            kind: ReportKind::Refund,
            gross_minor: -1_000,
            ..line(1)
        };
        keeping(line, Some(interchange), Some(scheme))
    };
    for (more, interchange, scheme, expected) in [
        ("", 0, 0, None),
        ("", 2, 1, Some("101 FEE_DIFFERS 0 3")),
        ("refunds = \"as_of_captures\"", 2, 1, None),
        (
            "refunds = \"as_of_captures\"",
            0,
            0,
            Some("101 FEE_DIFFERS 3 0"),
        ),
    ] {
        let got = found(
            &agreed(more),
            &[line(interchange, scheme)],
            std::slice::from_ref(&refund),
        );
        let expected: Vec<_> = expected.into_iter().collect();
        assert_eq!(got, expected, "{more}");
    }
}
