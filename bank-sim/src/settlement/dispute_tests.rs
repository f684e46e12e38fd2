//! Disputes in the books and in the report.

use time::{Date, macros::date};

use super::{
    book::Book,
    dispute::Dispute,
    error::SettlementError,
    item::{ItemKind, NewItem, Padded, Place, Scope, SettlementItem, UploadKey},
    report,
    totals::Totals,
};

const TODAY: Date = date!(2026 - 11 - 29);
const TOMORROW: Date = date!(2026 - 11 - 30);
const RRN: &str = "633312000001";
const EUR: u16 = 978;

fn place() -> Place {
    Place {
        acceptor: Padded::of(b"SHOP"),
        terminal: Padded::of(b"TERM0001"),
        currency_numeric: EUR,
    }
}

fn item(kind: ItemKind, rrn: &str, amount_minor: i64) -> NewItem {
    NewItem {
        kind,
        rrn: Padded::of(rrn.as_bytes()),
        amount_minor,
        approval_code: Padded::of(b"000007"),
        card_masked: "411111******1111".to_owned(),
    }
}

/// Books with one capture of 100.00 euros.
fn book(capacity: usize) -> Book {
    let mut book = Book::new(capacity, TODAY);
    book.book_detail(place(), item(ItemKind::Capture, RRN, 10_000), TODAY);
    book
}

fn dispute(amount_minor: impl Into<Option<i64>>, gives_back: bool) -> Dispute {
    Dispute {
        rrn: RRN.to_owned(),
        amount_minor: amount_minor.into(),
        gives_back,
    }
}

fn amounts(items: &[SettlementItem]) -> Vec<(ItemKind, i64)> {
    let amounts = items.iter().map(|item| (item.kind, item.amount_minor));
    amounts.collect()
}

#[test]
fn an_amount_is_that_of_the_capture_unless_it_is_given() {
    for (amount_minor, expected) in [
        (None, Ok(10_000)),
        (Some(1), Ok(1)),
        (Some(10_001), Ok(10_001)),
        (Some(999_999_999_999), Ok(999_999_999_999)),
        (Some(0), Err(0)),
        (Some(-1), Err(-1)),
        (Some(1_000_000_000_000), Err(1_000_000_000_000)),
    ] {
        let booked = book(10).dispute(&dispute(amount_minor, false));
        let booked = booked.map(|(_, booked)| (booked.amount_minor, booked.business_date));
        let expected = expected.map(|amount_minor| (amount_minor, TODAY));
        let expected = expected.map_err(|minor| SettlementError::DisputeAmount {
            amount_minor: minor,
        });
        assert_eq!(booked, expected, "{amount_minor:?}");
    }
}

#[test]
fn only_a_capture_is_disputed_and_only_while_there_is_room() {
    let mut book = book(4);
    book.book_detail(place(), item(ItemKind::Refund, "633312000002", 500), TODAY);
    for rrn in ["633312000002", "633312000003"] {
        let unknown = Dispute {
            rrn: rrn.to_owned(),
            ..dispute(None, false)
        };
        let rrn = rrn.to_owned();
        assert_eq!(
            book.dispute(&unknown).unwrap_err(),
            SettlementError::UnknownCapture { rrn }
        );
    }
    book.dispute(&dispute(None, false)).unwrap();
    book.dispute(&dispute(None, true)).unwrap();
    let error = book.dispute(&dispute(None, false)).unwrap_err();
    assert_eq!(error, SettlementError::Full);
}

#[test]
fn totals_and_uploads_pass_a_dispute_over() {
    let mut book = book(10);
    book.dispute(&dispute(None, false)).unwrap();
    book.dispute(&dispute(3_000, true)).unwrap();
    let mut expected = Totals::default();
    expected.add(ItemKind::Capture, 10_000);
    assert_eq!(book.total(Scope::Host, EUR, TODAY), expected);
    // The date is closed for the place, so that a dispute is of the next one, as a capture would be.
    let (_, booked) = book.dispute(&dispute(700, false)).unwrap();
    assert_eq!(booked.business_date, TOMORROW);
    // A batch that is uploaded moves on what it does not have, but no dispute.
    let upload = UploadKey {
        stan: *b"000001",
        transmitted: *b"1129230000",
        rrn: Padded::of(RRN.as_bytes()),
        place: place(),
    };
    assert!(book.upload(upload, item(ItemKind::Capture, RRN, 9_000), TODAY));
    let mut expected = Totals::default();
    expected.add(ItemKind::Capture, 9_000);
    assert_eq!(book.total(Scope::Host, EUR, TODAY), expected);
    let booked = amounts(&book.items(Some(TODAY)));
    let expected = [
        (ItemKind::Capture, 9_000),
        (ItemKind::Chargeback, 10_000),
        (ItemKind::ChargebackReversed, 3_000),
    ];
    assert_eq!(booked, expected);
    let next = book.items(Some(TOMORROW));
    assert_eq!(amounts(&next), [(ItemKind::Chargeback, 700)]);
    assert_eq!(next[0].reconciled_with, None);
}

#[test]
fn each_dispute_is_a_line_of_the_report() {
    let mut book = book(10);
    for (amount_minor, gives_back) in [(10_000, false), (250, false), (250, true)] {
        book.dispute(&dispute(amount_minor, gives_back)).unwrap();
    }
    let report = report::write(book.items(Some(TODAY)), TODAY, "400001");
    let report = String::from_utf8(report).unwrap();
    let lines: Vec<&str> = report.lines().skip(1).collect();
    let expected = [
        "2026-11-29,SHOP,TERM0001,SALE,633312000001,74000016333333120000017,000007,411111******1111,EUR,,100.00,0.20,\
            0.05,0.00,EUR,,99.75,",
        "2026-11-29,SHOP,TERM0001,CHARGEBACK,633312000001,74000016333333120000017,000007,411111******1111,EUR,100.00,,\
            0.00,0.00,0.00,EUR,100.00,,",
        "2026-11-29,SHOP,TERM0001,CHARGEBACK,633312000001,84000016333333120000016,000007,411111******1111,EUR,2.50,,\
            0.00,0.00,0.00,EUR,2.50,,",
        "2026-11-29,SHOP,TERM0001,CHARGEBACK_REVERSED,633312000001,74000016333333120000017,000007,411111******1111,\
            EUR,,2.50,0.00,0.00,0.00,EUR,,2.50,",
        "<END>,4,102.50,102.50,102.50,102.25",
    ];
    assert_eq!(lines, expected);
}
