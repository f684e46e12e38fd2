//! Lines about what is no item: its outcome is not known, or it was undone.

use super::*;
use crate::payment::decline::UnknownReason;
use crate::payment::operation::{OperationState, ResolvedBy, SuspendReason};
use crate::payment::operation_kind::OperationKind;
use crate::payment::record::{Operation, Payment};
use crate::payment::samples::{self, approval, eur};
use crate::payment::state::PaymentState;

const UNKNOWN: OperationState = OperationState::Unknown {
    reason: UnknownReason::NoAnswerInTime,
};
const SUSPENDED: OperationState = OperationState::Suspended {
    reason: SuspendReason::Refused,
    response_code: None,
};

fn approved() -> OperationState {
    OperationState::Approved {
        approval: approval(),
        acknowledged: None,
    }
}

/// An operation of 10.00 EUR of the payment of this number, which the bank knows by `rrn(own)`.
fn operation(of: u8, own: u8, kind: OperationKind, state: OperationState) -> Operation {
    Operation {
        id: OperationId::from_parts(NOW, [own; 10]),
        payment_id: PaymentId::from_parts(NOW, [of; 10]),
        kind,
        state,
        amount: eur(1_000),
        rrn: rrn(own),
        subject_id: Some(SubjectId::Capture(CaptureId::from_parts(NOW, [own; 10]))),
        ..samples::operation()
    }
}

/// The payment of these operations, the first of which has begun it; each of the others is about the one before it.
fn payment(operations: &[Operation]) -> (Payment, Vec<Operation>) {
    let mut operations = operations.to_vec();
    for place in 1..operations.len() {
        operations[place].original_id = Some(operations[place - 1].id);
    }
    let payment = Payment {
        merchant_id: "shop".parse().unwrap(),
        ..samples::payment_of(&operations[0])
    };
    (payment, operations)
}

fn all(payments: &[(Payment, Vec<Operation>)]) -> AllAsked {
    AllAsked::of("acquirer".parse().unwrap(), payments)
}

fn shop() -> (String, MerchantId) {
    ("SHOP0000000001".to_owned(), "shop".parse().unwrap())
}

/// Which operations end by what lines say, and what is otherwise then.
fn told(
    lines: &[ReportLine],
    items: &[ReportedItem],
    payments: &[(Payment, Vec<Operation>)],
) -> String {
    let (shop, asked) = (shop(), all(payments));
    let of = report_of(std::slice::from_ref(&shop));
    let booked = asked.booked(of, lines, items);
    let number_of = |id: OperationId| {
        let mut all = payments.iter().flat_map(|(_, operations)| operations);
        let found = all.find(|it| it.id == id).unwrap();
        found.rrn.as_str()[10..].to_owned()
    };
    let mut shown: Vec<String> = booked
        .iter()
        .map(|it| format!("{} ends {}", it.line, number_of(it.ends)))
        .collect();
    for found in compared_with(lines, items, &asked).differences {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into());
        shown.push(format!(
            "{} {} {} {} {}",
            found.line.unwrap_or(0),
            found.kind.name(),
            found.operation_id.map_or("-".to_owned(), number_of),
            text(&found.ours),
            text(&found.theirs)
        ));
    }
    shown.join(", ")
}

#[test]
fn a_line_ends_what_nobody_knew_the_outcome_of_where_it_is_what_was_asked_for() {
    use OperationKind as K;
    let held = || operation(1, 1, K::Authorization, approved());
    let capture = |state| payment(&[held(), operation(1, 2, K::Capture, state)]);
    let reversal = |state| {
        let capture = operation(1, 2, K::Capture, UNKNOWN);
        payment(&[held(), capture, operation(1, 3, K::Reversal, state)])
    };
    let refund = payment(&[held(), operation(1, 2, K::Refund, UNKNOWN)]);
    let by = |number, line: ReportLine| ReportLine {
        rrn: Some(rrn(number).to_string()),
        ..line
    };
    let said = by(2, line(1));
    // The bank may know a capture by the RRN of its authorization.
    let by_authorization = by(1, line(1));
    let given_back = ReportLine {
        kind: ReportKind::Refund,
        gross_minor: -1_000,
        ..said.clone()
    };
    for (line, payment, expected) in [
        (
            &said,
            capture(UNKNOWN),
            "101 ends 02, 101 AMBIGUOUS 02 1000 1000",
        ),
        (
            &by_authorization,
            capture(UNKNOWN),
            "101 ends 02, 101 AMBIGUOUS 02 1000 1000",
        ),
        (
            &said,
            capture(SUSPENDED),
            "101 ends 02, 101 AMBIGUOUS 02 1000 1000",
        ),
        // What was never sent the bank can't have booked.
        (
            &said,
            capture(OperationState::Queued),
            "101 UNEXPECTED_LINE - - 1000",
        ),
        // Nobody sends its reversal any more; otherwise payswitch is undoing it.
        (
            &said,
            reversal(SUSPENDED),
            "101 ends 03, 101 AMBIGUOUS 02 1000 1000",
        ),
        (
            &said,
            reversal(OperationState::Sent),
            "101 REVERSAL_NOT_APPLIED 02 - 1000",
        ),
        (
            &given_back,
            refund.clone(),
            "101 ends 02, 101 AMBIGUOUS 02 1000 1000",
        ),
        // Of another kind; of another merchant; rejected; of another currency.
        (&said, refund, "101 UNEXPECTED_LINE - - 1000"),
        (
            &ReportLine {
                acceptor: "OTHER".into(),
                ..said.clone()
            },
            capture(UNKNOWN),
            "101 UNEXPECTED_LINE - - 1000",
        ),
        (
            &ReportLine {
                reject_code: Some("51".into()),
                ..said.clone()
            },
            capture(UNKNOWN),
            "101 UNEXPECTED_LINE - - 0",
        ),
        (
            &ReportLine {
                currency: "USD".parse().unwrap(),
                ..said.clone()
            },
            capture(UNKNOWN),
            "101 UNEXPECTED_LINE - - 1000",
        ),
        // Another amount than was asked for: it is not ended by that.
        (
            &ReportLine {
                gross_minor: 999,
                ..said.clone()
            },
            capture(UNKNOWN),
            "101 AMOUNT_DIFFERS 02 1000 999",
        ),
        // It has an end already.
        (
            &said,
            capture(OperationState::Resolved {
                by: ResolvedBy::Operator,
                response_code: None,
                took_effect: false,
                decline: None,
            }),
            "101 UNEXPECTED_LINE - - 1000",
        ),
    ] {
        assert_eq!(
            told(std::slice::from_ref(line), &[], &[payment]),
            expected,
            "{line:?}"
        );
    }
}

/// Of two lines one is for one operation; and an item that a line fits comes first.
#[test]
fn a_line_ends_one_operation_and_none_that_is_an_item() {
    use OperationKind as K;
    let held = || operation(1, 1, K::Authorization, approved());
    let capture = || payment(&[held(), operation(1, 2, K::Capture, UNKNOWN)]);
    let said = ReportLine {
        rrn: Some(rrn(2).to_string()),
        ..line(1)
    };
    let twice = [
        said.clone(),
        ReportLine {
            number: 102,
            ..said.clone()
        },
    ];
    let shown = told(&twice, &[], &[capture()]);
    assert!(shown.starts_with("101 ends 02, 101 AMB"), "{shown}");
    let parts = twice.map(|line| ReportLine {
        gross_minor: 500,
        ..line
    });
    let shown = told(&parts, &[], &[capture()]);
    assert_eq!(
        shown,
        "101 AMBIGUOUS 02 1000 500, 102 AMBIGUOUS 02 1000 500"
    );
    // The bank knows both by the RRN of their authorization; or each by its own.
    let open = |found_by| ReportedItem {
        found_by,
        business_date: "2026-11-27".parse().unwrap(),
        ..item(5)
    };
    let by_authorization = ReportLine {
        rrn: Some(rrn(1).to_string()),
        ..line(1)
    };
    let asked = all(&[capture()]);
    let shop = shop();
    let of = report_of(std::slice::from_ref(&shop));
    let settled = |found_by| ReportedItem {
        settled_by: Some(ImportId::from_parts(NOW, [8; 10])),
        ..open(found_by)
    };
    for (line, item, ends) in [
        (&by_authorization, open(rrn(1)), 0),
        (&said, open(rrn(2)), 1),
        // The line of a capture that is settled may be there once more.
        (&by_authorization, settled(rrn(1)), 0),
    ] {
        let booked = asked.booked(of, std::slice::from_ref(line), &[item]);
        assert_eq!(booked.len(), ends, "{line:?}");
    }
    // Which of two captures does the RRN of their authorization mean?
    let both = payment(&[
        held(),
        operation(1, 2, K::Capture, UNKNOWN),
        operation(1, 3, K::Capture, UNKNOWN),
    ]);
    let asked = all(&[both]);
    assert_eq!(
        asked.booked(of, std::slice::from_ref(&by_authorization), &[]),
        []
    );
    assert_eq!(asked.booked(of, std::slice::from_ref(&said), &[]).len(), 1);
}

#[test]
fn what_was_undone_and_is_settled_is_named() {
    use OperationKind as K;
    let sale = |state, void| {
        payment(&[
            operation(1, 1, K::Sale, state),
            operation(1, 2, K::Void, void),
        ])
    };
    let refused = OperationState::Rejected {
        reason: crate::payment::decline::FailureReason::HostBusy,
    };
    let held = |state| {
        let (mut payment, operations) = payment(&[operation(1, 1, K::Authorization, approved())]);
        payment.state = state;
        (payment, operations)
    };
    let undone = "101 REVERSAL_NOT_APPLIED 01 - 1000";
    let unknown = "101 UNEXPECTED_LINE - - 1000";
    for (payment, expected) in [
        (
            payment(&[operation(1, 1, K::Sale, OperationState::Reversed)]),
            undone,
        ),
        (
            payment(&[operation(1, 1, K::Authorization, OperationState::Reversed)]),
            undone,
        ),
        (sale(approved(), approved()), undone),
        (sale(approved(), UNKNOWN), undone),
        // A void that was refused undoes nothing; and what is not voided is an item.
        (sale(approved(), refused), unknown),
        (payment(&[operation(1, 1, K::Sale, approved())]), unknown),
        (held(PaymentState::Voided), undone),
        (held(PaymentState::Expired), unknown),
    ] {
        assert_eq!(
            told(&[line(1)], &[], std::slice::from_ref(&payment)),
            expected
        );
        // Other things that it could be by its amount are no candidates, where its RRN says what it is.
        let others = [item(7), item(8)];
        if expected == undone {
            assert_eq!(told(&[line(1)], &others, &[payment]), expected);
        }
    }
    // A capture that was reversed is told from another one of the payment by its own RRN, and else by its amount.
    let captures = payment(&[
        operation(1, 1, K::Authorization, approved()),
        operation(1, 2, K::Capture, OperationState::Reversed),
    ]);
    let own = ReportedItem {
        found_by: rrn(2),
        found_kind: Some(ItemKind::Capture),
        ..item(5)
    };
    let said = ReportLine {
        rrn: Some(rrn(2).to_string()),
        ..line(1)
    };
    let expected = "101 REVERSAL_NOT_APPLIED 02 - 1000";
    assert_eq!(
        told(&[said], &[own], std::slice::from_ref(&captures)),
        expected
    );
    let another = ReportedItem {
        found_by: rrn(1),
        found_kind: None,
        amount_minor: 1_200,
        ..item(5)
    };
    assert_eq!(told(&[line(1)], &[another], &[captures]), expected);
}

/// What a report has ended is of the day that is open then, and that is no other date.
#[test]
fn what_a_report_has_ended_is_of_no_other_date() {
    let ended = ReportedItem {
        by_report: true,
        business_date: "2026-11-30".parse().unwrap(),
        ..item(1)
    };
    let applied = compared(&[line(1)], &[ended]);
    assert_eq!((applied.matched, applied.differences), (1, vec![]));
}
