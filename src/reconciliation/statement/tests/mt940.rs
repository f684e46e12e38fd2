use super::super::format::StatementFormat::Mt940;
use super::samples::mt940;
use super::*;

/// RC undoes a credit and debits the account, RD undoes a debit and credits it. A letter behind the mark is the third of the
/// currency.
#[test]
fn mt940_marks_are_the_direction_of_the_booking() {
    for (mark, closing, expected) in [
        ("C", "1050,00", (5_000, false)),
        ("D", "950,00", (-5_000, false)),
        ("RC", "950,00", (-5_000, true)),
        ("RD", "1050,00", (5_000, true)),
        ("CR", "1050,00", (5_000, false)),
        ("DR", "950,00", (-5_000, false)),
        ("RCR", "950,00", (-5_000, true)),
        ("RDR", "1050,00", (5_000, true)),
    ] {
        let line = format!(":61:2611301130{mark}50,00NTRFNONREF\r\n");
        assert_eq!(
            movements(Mt940, &mt940(&line, closing)),
            [expected],
            "{mark}"
        );
    }
    for (currency, mark, expected) in [
        ("USD", "CD", 5_000),
        ("USD", "DD", -5_000),
        ("GBP", "CP", 5_000),
    ] {
        let closing = if expected > 0 { "1050,00" } else { "950,00" };
        let file = mt940(&format!(":61:261130{mark}50,00NTRFNONREF\r\n"), closing);
        let got = movements(Mt940, &file.replace("EUR", currency));
        assert_eq!(got, [(expected, false)], "{currency} {mark}");
    }
    for mark in ["", "R", "X", "CC", "EC", "RCD", "DC"] {
        let file = mt940(&format!(":61:261130{mark}50,00NTRFNONREF\r\n"), "1050,00");
        assert_eq!(refused(Mt940, &file).0, 6, "{mark}");
    }
}

#[test]
fn mt940_amounts_have_a_comma() {
    for (amount, closing, expected) in [
        ("149,87", "1149,87", 14_987),
        ("149,8", "1149,8", 14_980),
        ("149,", "1149,", 14_900),
        ("000149,87", "1149,87", 14_987),
        ("0,05", "1000,05", 5),
    ] {
        let file = mt940(&format!(":61:261130C{amount}NTRFNONREF\r\n"), closing);
        assert_eq!(movements(Mt940, &file), [(expected, false)], "{amount}");
    }
    for (currency, amount, closing, expected) in [
        ("JPY", "149,", "1149,", 149),
        ("KWD", "1,250", "1001,250", 1_250),
    ] {
        let file = mt940(&format!(":61:261130C{amount}NTRFNONREF\r\n"), closing);
        let file = file
            .replace("EUR1000,00", "EUR1000,")
            .replace("EUR", currency);
        assert_eq!(movements(Mt940, &file), [(expected, false)], "{amount}");
    }
    for amount in [
        "149.87",
        "149",
        "1,2,3",
        ",50",
        "1e2,00",
        "149,875",
        "1.000,00",
        "12345678901234,00",
    ] {
        let file = mt940(&format!(":61:261130C{amount}NTRFNONREF\r\n"), "1149,87");
        let (line, error) = refused(Mt940, &file);
        assert_eq!(line, 6, "{amount}: {error}");
        assert!(error.starts_with("field 61: expected "), "{error}");
    }
}

/// The entry's date is the nearest one to the value date, and never another day than what is written.
#[test]
fn mt940_dates_without_a_year_are_the_nearest_or_refused() {
    let line = |value: &str, entry: &str| {
        mt940(&format!(":61:{value}{entry}C1,00NTRFNONREF\r\n"), "1001,00")
    };
    for (value, entry, expected) in [
        ("270101", "1231", "2026-12-31"),
        ("261231", "0101", "2027-01-01"),
        ("280302", "0229", "2028-02-29"),
        ("261130", "1130", "2026-11-30"),
        ("261130", "0601", "2026-06-01"),
    ] {
        let got = lines(Mt940, &line(value, entry))[0].booking_date;
        assert_eq!(got, Some(date(expected)), "{value} {entry}");
    }
    for (value, entry, expected) in [
        (
            "270302",
            "0229",
            "field 61: expected an entry date as MMDD around 2027-03-02, got \"0229C1,00NTRFNONREF\"",
        ),
        (
            "261130",
            "1131",
            "field 61: expected an entry date as MMDD around 2026-11-30, got \"1131C1,00NTRFNONREF\"",
        ),
        (
            "270229",
            "",
            "field 61: expected a date as YYMMDD, got \"270229C1,00NTRFNONREF\"",
        ),
        (
            "261332",
            "",
            "field 61: expected a date as YYMMDD, got \"261332C1,00NTRFNONREF\"",
        ),
    ] {
        assert_eq!(
            refused(Mt940, &line(value, entry)),
            (6, expected.to_owned())
        );
    }
    for none in ["", "    "] {
        assert_eq!(lines(Mt940, &line("261130", none))[0].booking_date, None);
    }
}

#[test]
fn an_mt940_statement_is_read_whole() {
    let body = ":61:2612011130D149,87NTRFOUT-1//B1\r\nDETAILS\r\n:86:166?00TRANSFER?20EREF+OUT-\r\n1?21:61: a\r\n:61:261201C20,NMSCNONREF\r\n";
    let text = mt940(body, "870,13");
    let parts = read(Mt940, &text).unwrap();
    let offset = |needle: &str| text.find(needle).unwrap() as u64;
    let position = |line: u64, needle: &str| crate::settlement::position::Position {
        line,
        column: 1,
        offset: offset(needle),
    };
    let first = StatementLine {
        number: 1,
        state: LineState::Booked,
        booking_date: Some(date("2026-11-30")),
        value_date: Some(date("2026-12-01")),
        amount_minor: -14_987,
        currency: "EUR".parse().unwrap(),
        bank_reference: Some("B1".to_owned()),
        own_reference: Some("OUT-1".to_owned()),
        text: Some("DETAILS\n166?00TRANSFER?20EREF+OUT-\n1?21:61: a".to_owned()),
        reverses: false,
        position: position(6, ":61:2612011130D"),
    };
    let second = StatementLine {
        number: 2,
        booking_date: None,
        amount_minor: 2_000,
        bank_reference: None,
        own_reference: None,
        text: None,
        position: position(10, ":61:261201C20"),
        ..first.clone()
    };
    let balance = |amount_minor, day| {
        Some(Balance {
            amount_minor,
            date: Some(date(day)),
        })
    };
    let expected = [
        StatementPart::Begin(StatementHead {
            account: "GB82WEST12345698765432".parse().unwrap(),
            id: "ST-1".to_owned(),
            sequence: Some(231),
            page: Some(1),
            currency: "EUR".parse().unwrap(),
            kind: StatementKind::Booked,
            purpose: StatementPurpose::New,
            opening: balance(100_000, "2026-11-30"),
            position: position(2, ":20:"),
        }),
        StatementPart::Line(first),
        StatementPart::Line(second),
        StatementPart::End(StatementEnd {
            closing: balance(87_013, "2026-12-01"),
            lines: 2,
        }),
    ];
    assert_eq!(parts, expected);
    // Without blocks, with another end of line, and with letters of ISO 8859-1.
    let bare = text
        .replace("\r\n", "\n")
        .replace("-}", "-")
        .replace("DETAILS", "M\u{fc}ller");
    let bare: Vec<u8> = bare
        .lines()
        .skip(1)
        .collect::<Vec<_>>()
        .join("\n")
        .chars()
        .map(|it| u8::try_from(u32::from(it)).unwrap())
        .collect();
    let parts = read_statements(Mt940, bare.as_slice(), today())
        .collect::<Result<Vec<_>, _>>()
        .unwrap();
    let StatementPart::Line(line) = &parts[1] else {
        panic!("{parts:?}");
    };
    assert!(line.text.as_ref().unwrap().starts_with("M\u{fc}ller\n"));
}

/// Page 1 closes with 62M, page 2 opens with 60M and the same balance.
#[test]
fn mt940_pages_follow_each_other() {
    let first = mt940(":61:261130C50,00NTRFNONREF\r\n", "1050,00").replace(":62F:", ":62M:");
    let second = mt940(":61:261130D30,00NTRFNONREF\r\n", "1020,00")
        .replace(":60F:C261130EUR1000,00", ":60M:C261130EUR1050,00")
        .replace(":28C:231/1", ":28C:231/2");
    let both = first.clone() + &second;
    let read: Vec<_> = statements(Mt940, &both);
    let told = read.iter().map(|(head, end)| {
        let opening = head.opening.unwrap().amount_minor;
        (
            head.sequence,
            head.page,
            opening,
            end.closing.unwrap().amount_minor,
            end.lines,
        )
    });
    let expected = [
        (Some(231), Some(1), 100_000, 105_000, 1),
        (Some(231), Some(2), 105_000, 102_000, 1),
    ];
    assert!(told.eq(expected));
    let numbers: Vec<_> = lines(Mt940, &both).iter().map(|line| line.number).collect();
    assert_eq!(numbers, [1, 2]);
    let gap = first
        + &second
            .replace("1050,00", "1060,00")
            .replace("1020,00", "1030,00");
    let expected =
        "field 60M: expected 105000 minor units, which the page before closed with, got 106000";
    assert_eq!(refused(Mt940, &gap).1, expected);
}

#[test]
fn mt940_balances_are_what_the_lines_make() {
    let line = ":61:261130C50,00NTRFNONREF\r\n";
    let expected = "field 62F: expected 105000 minor units, which the opening balance and the lines make, got 104999";
    assert_eq!(
        refused(Mt940, &mt940(line, "1049,99")),
        (7, expected.to_owned())
    );
    let currency = mt940(line, "1050,00").replace(":62F:C261201EUR", ":62F:C261201USD");
    let expected = "field 62F: expected the currency EUR of the opening balance, got USD";
    assert_eq!(refused(Mt940, &currency).1, expected);
    let below = mt940(":61:261130D1200,00NTRFNONREF\r\n", "200,00").replace(":62F:C", ":62F:D");
    assert_eq!(
        statements(Mt940, &below)[0].1.closing.unwrap().amount_minor,
        -20_000
    );
}

#[test]
fn what_is_wrong_in_an_mt940_is_refused_where_it_stands() {
    let right = mt940(":61:261130C50,00NTRFNONREF\r\n:86:a\r\n", "1050,00");
    for (from, to, line, expected) in [
        (
            ":25:GB82WEST12345698765432\r\n",
            "",
            4,
            "field 60F: expected it behind :25:, got it here",
        ),
        (
            ":28C:231/1\r\n",
            "",
            4,
            "field 60F: expected it behind :28C:, got it here",
        ),
        (
            ":28C:231/1",
            ":28C:231/x",
            4,
            "field 28C: expected a number of at most 5 digits, or two with / between them, got \"231/x\"",
        ),
        (
            ":60F:C261130EUR1000,00\r\n",
            "",
            5,
            "field 61: expected it behind :60F:, got it here",
        ),
        (
            ":62F:C261201EUR1050,00\r\n",
            "",
            9,
            "message: expected :62F:, got the end of the message",
        ),
        (
            ":61:261130C50,00NTRFNONREF\r\n",
            "",
            6,
            "field 86: expected it behind :61: or behind the closing balance, got it here",
        ),
        (
            "NTRF",
            "XTRF",
            6,
            "field 61: expected a type: S, N or F and three letters or digits, got \"XTRFNONREF\"",
        ),
        (
            ":20:ST-1",
            "ST-1",
            2,
            "line: expected a field such as :20: or a block such as {4:, got \"ST-1\"",
        ),
        (
            ":60F:C",
            ":60F:X",
            5,
            "field 60F: expected the mark C or D, got \"X261130EUR1000,00\"",
        ),
        (
            "EUR1000,00",
            "EURO1000,00",
            5,
            "field 60F: expected an amount of at most 15 digits and one comma, such as 149,87, got \"O1000,00\"",
        ),
    ] {
        assert_eq!(
            refused(Mt940, &right.replace(from, to)),
            (line, expected.to_owned()),
            "{from}"
        );
    }
    let cut = right.split(":62F:").next().unwrap();
    assert_eq!(
        refused(Mt940, cut).1,
        "message: expected :62F:, got the end of the file"
    );
    let long = right.replace(
        ":86:a",
        &format!(":86:{}", "x".repeat(60_000) + "\r\n" + &"x".repeat(60_000)),
    );
    assert_eq!(
        refused(Mt940, &long),
        (
            7,
            "field 86: expected at most 65536 bytes, got more".to_owned()
        )
    );
}
