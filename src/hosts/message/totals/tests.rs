use iso8583::{Dialect, MessageBuilder};

use super::*;
use crate::hosts::tests::known::{NOW, template};
use crate::payment::settlement::BatchTotals;

const OURS: BatchTotals = BatchTotals {
    capture_count: 3,
    captured_minor: 10_700,
    refund_count: 1,
    refunded_minor: 400,
};

fn message(says: Said<'_>, sent_before: u32) -> TotalsMessage<'_> {
    TotalsMessage {
        business_date: "2026-11-29".parse().unwrap(),
        currency: "EUR".parse().unwrap(),
        acceptor_id: Some("SHOP"),
        terminal_id: None,
        stan: Stan::try_from(7).unwrap(),
        transmitted_at: NOW,
        sent_before,
        says,
    }
}

fn written(profile: &TotalsProfile, message: &TotalsMessage<'_>) -> (String, String) {
    let format = TotalsFormat {
        time_zone: &TimeZone::UTC,
        minor_digits: &MinorDigits::default(),
    };
    let (mti, elements) = profile.elements(message, &format).unwrap();
    let elements = elements.iter().map(|(de, value)| format!("{de}={value}"));
    let elements: Vec<String> = elements.collect();
    (mti.to_string(), elements.join(" "))
}

#[test]
fn totals_are_a_request_and_then_an_advice_with_the_same_elements() {
    let profile = template().totals.unwrap();
    let said = "7=1121101530 11=000007 12=101530 13=1121 15=1129 32=400001 42=SHOP 50=978 \
        74=0000000001 75=0000000000 76=0000000003 77=0000000000 86=0000000000000400 \
        87=0000000000000000 88=0000000000010700 89=0000000000000000 97=D0000000000010300";
    for (sent_before, mti) in [(0, "0500"), (1, "0520"), (2, "0521"), (9, "0521")] {
        let got = written(&profile, &message(Said::Totals(OURS), sent_before));
        assert_eq!(got, (mti.to_owned(), said.to_owned()));
    }
    let more_refunded = BatchTotals {
        refunded_minor: 20_000,
        ..OURS
    };
    let (_, said) = written(&profile, &message(Said::Totals(more_refunded), 0));
    assert!(said.ends_with("97=C0000000000009300"), "{said}");
    let rrn = "633300000015".parse().unwrap();
    let item = Said::Item {
        kind: ItemKind::Capture,
        amount_minor: 1,
        rrn: &rrn,
        approval_code: "",
    };
    let format = TotalsFormat {
        time_zone: &TimeZone::UTC,
        minor_digits: &MinorDigits::default(),
    };
    let none = profile.elements(&message(item, 0), &format);
    assert_eq!(none.unwrap_err(), TotalsError::NoMessage);
}

/// What the template makes of an answer with these elements.
fn answered(dialect: &str, mti: &str, elements: &[(u8, &str)]) -> TotalsAnswer {
    let profile = TotalsProfile {
        codes: ResponseCodes::of(super::super::standard_codes::Edition::of(
            Dialect::builtin(dialect).unwrap().version(),
        ))
        .in_answers_to_advice(),
        ..template().totals.unwrap()
    };
    let dialect = Dialect::builtin(dialect).unwrap();
    let mut builder = MessageBuilder::new(mti.parse().unwrap());
    builder.text(11, "000007");
    for (de, value) in elements {
        builder.text(*de, value);
    }
    let mut bytes = Vec::new();
    dialect.encode(&builder, &mut bytes).unwrap();
    let message = dialect.decode(&bytes).unwrap();
    profile.answer(
        &message,
        (Some(OURS), "EUR".parse().unwrap()),
        &MinorDigits::default(),
    )
}

#[test]
fn each_edition_says_in_its_own_place_whether_totals_are_the_same() {
    let (old, new) = ("iso1987-ascii-hex", "iso1993-ascii");
    let theirs = [
        (74, "0000000002"),
        (75, "0000000001"),
        (76, "0000000003"),
        (77, "0000000000"),
        (86, "0000000000000500"),
        (87, "0000000000000100"),
        (88, "0000000000010701"),
        (89, "0000000000000000"),
    ];
    let with = |first: &[(u8, &'static str)]| [first, &theirs].concat();
    let out = |theirs| TotalsAnswer::OutOfBalance { theirs };
    // What the host reversed within the date is taken off.
    let differing = Some(BatchTotals {
        captured_minor: 10_701,
        ..OURS
    });
    let refused = |code: &str| TotalsAnswer::Refused {
        response_code: Some(code.parse().unwrap()),
    };
    for (dialect, mti, elements, expected) in [
        (
            old,
            "0510",
            vec![(39, "00"), (66, "1")],
            TotalsAnswer::InBalance,
        ),
        (old, "0510", with(&[(39, "00"), (66, "1")]), out(differing)),
        (old, "0510", vec![(39, "94"), (66, "1")], refused("94")),
        (old, "0530", with(&[(39, "00"), (66, "2")]), out(differing)),
        (old, "0510", vec![(39, "00"), (66, "2")], out(None)),
        (old, "0510", vec![(39, "00"), (66, "3")], refused("00")),
        (old, "0510", vec![(39, "30")], refused("30")),
        (old, "0530", vec![(39, "91")], TotalsAnswer::Again),
        (new, "1510", vec![(39, "500")], TotalsAnswer::InBalance),
        (new, "1530", with(&[(39, "501")]), out(differing)),
        (new, "1510", vec![(39, "904")], refused("904")),
        (new, "1530", vec![(39, "907")], TotalsAnswer::Again),
        (old, "0330", vec![(39, "00")], TotalsAnswer::InBalance),
        (old, "0330", vec![(39, "94")], TotalsAnswer::InBalance),
        (old, "0330", vec![(39, "30")], refused("30")),
    ] {
        let got = answered(dialect, mti, &elements);
        assert_eq!(got, expected, "{mti} {elements:?}");
    }
}
