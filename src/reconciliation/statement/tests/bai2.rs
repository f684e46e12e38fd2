use super::super::format::StatementFormat::Bai2;
use super::samples::bai2;
use super::*;

/// A record of a movement, with the text that stands in the place of `rest`.
fn texts(details: &str, sum: i64, records: u64) -> Vec<Option<String>> {
    let lines = lines(Bai2, &bai2(details, sum, records));
    lines.into_iter().map(|line| line.text).collect()
}

#[test]
fn bai2_texts_are_kept_whole_and_no_record_is_lost() {
    for (details, sum, records, expected) in [
        (
            "16,175,5000,,B1,C1,a, b/c, 16,175,1/\n",
            5_000,
            1,
            vec![Some("a, b/c, 16,175,1/")],
        ),
        (
            "16,175,5000,,B1,C1,a,b\n88,/TEXT\n88,c,/d\n",
            5_000,
            3,
            vec![Some("a,b\n/TEXT\nc,/d")],
        ),
        (
            "16,175,5000,,B1,C1,/\n88,/TEXT\n",
            5_000,
            2,
            vec![Some("/TEXT")],
        ),
        ("16,175,5000,,B1,C1,/\n", 5_000, 1, vec![None]),
        ("16,175,5000/\n", 5_000, 1, vec![None]),
        (
            "16,175,5000,V,261201,2400,B1,C1,x\n",
            5_000,
            1,
            vec![Some("x")],
        ),
        ("16,175,5000,S,1,2,3,B1,C1,x\n", 5_000, 1, vec![Some("x")]),
        (
            "16,175,5000,D,2,0,4000,1,1000,B1,C1,x\n",
            5_000,
            1,
            vec![Some("x")],
        ),
        (
            "16,175,5000,V,261201/\n88,9999,B1,C1,x,y\n",
            5_000,
            2,
            vec![Some("x,y")],
        ),
        // Several records on one line.
        (
            "16,175,5000,,B1,C1,/16,475,2000,,B2,C2,/88,a/b\n",
            7_000,
            3,
            vec![None, Some("a/b")],
        ),
        (
            "16,175,5000,,B1/16,475,2000/ 16,475,1,,B3,C3,z\n",
            7_001,
            3,
            vec![None, None, Some("z")],
        ),
    ] {
        let got = texts(details, sum, records);
        let expected: Vec<_> = expected
            .into_iter()
            .map(|text| text.map(str::to_owned))
            .collect();
        assert_eq!(got, expected, "{details}");
    }
    let one_line = bai2("16,175,5000,,B1,C1,/\n", 5_000, 1).replace('\n', "");
    assert_eq!(movements(Bai2, &one_line), [(5_000, false)]);
    // A record behind a text would be part of it, which the trailers show.
    let lost = bai2("16,175,5000,,B1,C1,text/16,475,2000,,B2,C2,\n", 7_000, 2);
    assert_eq!(
        refused(Bai2, &lost),
        (
            5,
            "49 control total: expected 215000, which the amounts make, got \"217000\"".to_owned()
        )
    );
}

#[test]
fn the_type_code_of_bai2_is_the_direction() {
    for (code, expected) in [
        ("108", 5_000),
        ("399", 5_000),
        ("400", -5_000),
        ("475", -5_000),
        ("699", -5_000),
    ] {
        let details = format!("16,{code},5000,,B1,C1,/\n");
        assert_eq!(
            movements(Bai2, &bai2(&details, 5_000, 1)),
            [(expected, false)]
        );
    }
    let told = bai2("16,890,,,,,a text and no money\n", 0, 1);
    assert_eq!(movements(Bai2, &told), []);
    for code in ["099", "700", "890", "17", "1e2", ""] {
        let details = format!("16,{code},5000,,B1,C1,/\n");
        let expected = format!(
            "16 type code: expected 100 to 399 for a credit, or 400 to 699 for a debit, got {code:?}"
        );
        assert_eq!(refused(Bai2, &bai2(&details, 5_000, 1)), (4, expected));
    }
    for amount in ["-5000", "+5000", "50.00", "", "1e2"] {
        let details = format!("16,175,{amount},,B1,C1,/\n");
        let (line, error) = refused(Bai2, &bai2(&details, 5_000, 1));
        assert_eq!(line, 4);
        assert!(error.starts_with("16 amount: expected "), "{error}");
    }
}

#[test]
fn a_bai2_statement_is_read_whole() {
    let text = bai2(
        "16,475,5000,V,261201,9999,B1,OUT-1,to a merchant\n",
        5_000,
        1,
    );
    let position = |line, needle: &str| crate::settlement::position::Position {
        line,
        column: 1,
        offset: text.find(needle).unwrap() as u64,
    };
    let usd = "USD".parse().unwrap();
    let expected = [
        StatementPart::Begin(StatementHead {
            account: "0012345678".parse().unwrap(),
            id: "BANKUS33/2026-12-01/7".to_owned(),
            sequence: None,
            page: None,
            currency: usd,
            kind: StatementKind::Booked,
            purpose: StatementPurpose::New,
            opening: Some(Balance {
                amount_minor: 100_000,
                date: None,
            }),
            position: position(3, "03,"),
        }),
        StatementPart::Line(StatementLine {
            number: 1,
            state: LineState::Booked,
            booking_date: Some(date("2026-11-30")),
            value_date: Some(date("2026-12-01")),
            amount_minor: -5_000,
            currency: usd,
            bank_reference: Some("B1".to_owned()),
            own_reference: Some("OUT-1".to_owned()),
            text: Some("to a merchant".to_owned()),
            reverses: false,
            position: position(4, "16,"),
        }),
        StatementPart::End(StatementEnd {
            closing: Some(Balance {
                amount_minor: 110_000,
                date: Some(date("2026-11-30")),
            }),
            lines: 1,
        }),
    ];
    assert_eq!(read(Bai2, &text).unwrap(), expected);
}

#[test]
fn bai2_groups_say_what_they_are() {
    let right = bai2("", 0, 0);
    for (status, purpose) in [
        ("1", StatementPurpose::New),
        ("2", StatementPurpose::Deletion),
        ("3", StatementPurpose::Correction),
        ("4", StatementPurpose::Test),
    ] {
        let file = right.replace("BANKUS33,1,261130", &format!("BANKUS33,{status},261130"));
        assert_eq!(statements(Bai2, &file)[0].0.purpose, purpose);
    }
    for (modifier, kind) in [
        ("1", StatementKind::Interim),
        ("2", StatementKind::Booked),
        ("3", StatementKind::Interim),
        ("4", StatementKind::Booked),
        ("", StatementKind::Booked),
    ] {
        let file = right.replace("USD,2/", &format!("USD,{modifier}/"));
        assert_eq!(statements(Bai2, &file)[0].0.kind, kind);
    }
    for (currency, of_account, expected) in
        [("", "", "USD"), ("JPY", "", "JPY"), ("JPY", "EUR", "EUR")]
    {
        let file = right.replace("USD,2/", &format!("{currency},2/"));
        let file = file.replace("0012345678,,", &format!("0012345678,{of_account},"));
        assert_eq!(statements(Bai2, &file)[0].0.currency.code(), expected);
    }
    for time in ["0000", "2359", "2400", "9999", ""] {
        statements(
            Bai2,
            &right.replace("261130,2400", &format!("261130,{time}")),
        );
    }
    for (from, to, expected) in [
        (
            "261130,2400",
            "261130,2401",
            "02 as-of time: expected a time as HHMM, 2400 or 9999, got \"2401\"",
        ),
        (
            "261130,2400",
            "261130,+1+2",
            "02 as-of time: expected a time as HHMM, 2400 or 9999, got \"+1+2\"",
        ),
        (
            "261130,2400",
            "260229,2400",
            "02 as-of date: expected a date as YYMMDD, got \"260229\"",
        ),
        (
            "261130,2400",
            "1130,2400",
            "02 as-of date: expected a date as YYMMDD, got \"1130\"",
        ),
        (
            "BANKUS33,1,",
            "BANKUS33,5,",
            "02 group status: expected 1, 2, 3 or 4, got \"5\"",
        ),
        (",,,2/", ",,,3/", "01 version: expected 2, got \"3\""),
        ("01,BANKUS33", "01,", "01 sender: expected a text, got \"\""),
        (
            ",USD,",
            ",usd,",
            "02 currency: expected an ISO 4217 currency code of three capital letters, got \"usd\"",
        ),
    ] {
        assert_eq!(refused(Bai2, &right.replace(from, to)).1, expected, "{to}");
    }
}

/// Two accounts in two groups, with sums below 0, and records that continue others.
#[test]
fn bai2_trailers_are_what_the_records_make() {
    let right = "01,BANK,WE,261201,0500,7,80,1,2/\n\
        02,WE,BANK,1,261130,2400,USD,2/\n\
        03,1,USD,010,-500,,,015,+1500,,/\n88,100,2000,1,,400,0,,S,1,2,3/\n\
        16,175,2000,,B,C,text\n88,more text\n\
        49,5000,5/\n\
        03,2,,015,-7000,,/\n16,475,1000/\n49,-6000,3/\n\
        98,-1000,2,10/\n\
        02,WE,BANK,1,261130,,EUR,2/\n03,3,/\n49,0,2/\n98,0,1,4/\n\
        99,-1000,2,16/\n";
    let told: Vec<_> = statements(Bai2, right)
        .iter()
        .map(|(head, end)| {
            (
                head.opening.map(|it| it.amount_minor),
                end.closing.map(|it| it.amount_minor),
                end.lines,
            )
        })
        .collect();
    let expected = [
        (Some(-500), Some(1_500), 1),
        (None, Some(-7_000), 1),
        (None, None, 0),
    ];
    assert_eq!(told, expected);
    for (from, to, expected) in [
        (
            "49,5000,5/",
            "49,1000,5/",
            "49 control total: expected 5000, which the amounts make, got \"1000\"",
        ),
        (
            "49,5000,5/",
            "49,5000,3/",
            "49 number of records: expected 5, which there are, got \"3\"",
        ),
        (
            "98,-1000,2,",
            "98,11000,2,",
            "98 control total: expected -1000, which the amounts make, got \"11000\"",
        ),
        (
            "98,-1000,2,",
            "98,-1000,1,",
            "98 number of accounts: expected 2, which there are, got \"1\"",
        ),
        (
            "2,10/",
            "2,8/",
            "98 number of records: expected 10, which there are, got \"8\"",
        ),
        (
            "99,-1000,",
            "99,,",
            "99 control total: expected an amount of minor units such as 14987 (digits only), got \"\"",
        ),
        (
            "99,-1000,2,16/",
            "99,-1000,1,16/",
            "99 number of groups: expected 2, which there are, got \"1\"",
        ),
        (
            "99,-1000,2,16/",
            "99,-1000,2,15/",
            "99 number of records: expected 16, which there are, got \"15\"",
        ),
        (
            "99,-1000,2,16/\n",
            "",
            "file: expected 02 or 99, got the end of the file",
        ),
        ("49,5000,5/\n", "", "record: expected 16, 88 or 49, got 03"),
        ("98,-1000,2,10/\n", "", "record: expected 03 or 98, got 02"),
        (
            "99,-1000,2,16/\n",
            "99,-1000,2,16/\n02,WE,BANK,1,261130,,EUR,2/\n",
            "record: expected the end of the file, got 02",
        ),
        (
            "03,3,/",
            "03,3,",
            "03: expected a record that ends in /, got \"3,\"",
        ),
        (
            "16,475,1000/",
            "17,475,1000/",
            "record: expected 01, 02, 03, 16, 49, 88, 98 or 99 and a comma, got \"17,475,1000/\"",
        ),
        (
            "010,-500,,,",
            "010,-500,,,010,0,,,",
            "03 type code: expected it once, got \"010\"",
        ),
        (
            "010,-500,,,",
            "01,-500,,,",
            "03 type code: expected three digits, got \"01\"",
        ),
    ] {
        assert_eq!(
            refused(Bai2, &right.replacen(from, to, 1)).1,
            expected,
            "{to}"
        );
    }
    assert_eq!(
        refused(Bai2, "88,a/").1,
        "88: expected a record before it, which it continues, got none"
    );
    let long = bai2(
        &format!("16,175,1,,B,C,{0}\n88,{0}\n", "x".repeat(40_000)),
        1,
        2,
    );
    assert_eq!(
        refused(Bai2, &long),
        (
            4,
            "16: expected at most 65536 bytes, with all that continue it, got more".to_owned()
        )
    );
}
