use proptest::prelude::*;

use super::super::fault::MOST_FAULTS;
use super::super::format::ReportKind;
use super::super::totals::CurrencyTotals;
use super::*;
use crate::settlement::amount_form::AmountForm;

mod damage;
mod streaming;

const HEADER: &str = "Business Date,Acceptor,Terminal,Type,RRN,ARN,Approval Code,Card,Gross Currency,Gross Debit,\
    Gross Credit,Interchange,Scheme Fee,Commission,Net Currency,Net Debit,Net Credit,Reject Code\n";

const FORMAT: &str = r#"
end = "<END>"
business_date = "Business Date"
acceptor = "Acceptor"
type = { column = "Type", capture = ["SALE"], refund = ["REFUND"], chargeback = ["CHARGEBACK"], chargeback_reversal = ["CHARGEBACK_REVERSED"], ignore = ["FEE"] }
rrn = "RRN"
acquirer_reference = "ARN"
approval_code = "Approval Code"
currency = "Gross Currency"
gross_debit = "Gross Debit"
gross_credit = "Gross Credit"
interchange = "Interchange"
scheme_fee = "Scheme Fee"
commission = "Commission"
net_currency = "Net Currency"
net_debit = "Net Debit"
net_credit = "Net Credit"
reject_code = "Reject Code"
"#;

const SALE: &str = "2026-11-29,DEMOSHOP0000001,WEB00001,SALE,633300000001,74000006333000000000012,A1B2C3,\
    411111******1111,EUR,,149.87,0.30,0.07,0.00,EUR,,149.50,";
const REFUND: &str = "2026-11-29,DEMOSHOP0000001,WEB00001,REFUND,633300000002,,,,EUR,20.00,,0.00,0.00,0.00,EUR,20.00,,";

fn format(text: &str) -> CsvFormat {
    CsvFormat::from_table(toml::from_str(text).unwrap()).unwrap()
}

/// A whole report: its lines, and what they sum to.
#[derive(Debug, PartialEq)]
struct Report {
    lines: Vec<ReportLine>,
    totals: Vec<CurrencyTotals>,
}

fn read_report(format: &CsvFormat, from: impl Read) -> Result<Report, ReportError> {
    let mut reader = CsvReader::new(format, from)?;
    let lines = reader.by_ref().collect::<Result<_, _>>()?;
    let totals = reader.body.totals.by_currency;
    Ok(Report { lines, totals })
}

fn read(text: impl AsRef<[u8]>) -> Result<Report, ReportError> {
    read_report(&format(FORMAT), text.as_ref())
}

/// A report of these lines.
fn with(lines: &[&str]) -> String {
    format!("{HEADER}{}\n", lines.join("\n"))
}

fn faults(text: impl AsRef<[u8]>) -> Faults {
    match read(text) {
        Err(ReportError::Faults(faults)) => faults,
        other => panic!("{other:?}"),
    }
}

/// What a bank writes is kept, and shown to people.
#[test]
fn no_reference_that_is_read_is_a_card_number() {
    let zeros = "2026-11-29,A,,SALE,0005555555555554444,0004242424242424242,,,EUR,,1,,,,,,,";
    let groups = "2026-11-29,A,,SALE,4111 1111 1111 1111,,3782 822463 10005,,EUR,,1,,,,,,,";
    // No card number: one digit is another.
    let plain = "2026-11-29,A,,SALE,,4242424242424241,,,EUR,,1,,,,,,,";
    let end = "<END>,3,0,3,0,0";
    let lines = read(with(&[zeros, groups, plain, end])).unwrap().lines;
    let said = lines.iter().map(|line| {
        let texts = [&line.rrn, &line.acquirer_reference, &line.approval_code];
        texts
            .map(|text| text.clone().unwrap_or_default())
            .join(" / ")
    });
    assert_eq!(
        said.collect::<Vec<_>>(),
        [
            "000************4444 / 000************4242 / ",
            "**** **** **** 1111 /  / **** ****** *0005",
            " / 4242424242424241 / ",
        ]
    );
}

#[test]
fn a_report_is_read() {
    let chargeback =
        "2026-11-28,DEMOSHOP0000001,,CHARGEBACK,,74000006333000000000012,,,EUR,5,,,,,,5.00,,";
    let reversed =
        "2026-11-28,DEMOSHOP0000001,,CHARGEBACK_REVERSED,633300000009,,,,EUR,,5.000,,,,,,,";
    let rejected =
        "2026-11-29,DEMOSHOP0000001,,SALE,633300000003,,,,EUR,,7.00,0.00,0.00,0.00,EUR,,,E12";
    let fee = "2026-11-29,,,FEE,,,,,EUR,,,,,,EUR,1.50,,";
    let end = "<END>,6,25.00,161.87,26.50,149.50";
    let report = with(&[SALE, REFUND, chargeback, reversed, rejected, fee, end]);
    let Report { lines, totals } = read(&report).unwrap();
    let sale = ReportLine {
        number: 2,
        business_date: "2026-11-29".parse().unwrap(),
        acceptor: "DEMOSHOP0000001".into(),
        kind: ReportKind::Capture,
        rrn: Some("633300000001".parse().unwrap()),
        acquirer_reference: Some("74000006333000000000012".into()),
        approval_code: Some("A1B2C3".into()),
        merchant_reference: None,
        currency: "EUR".parse().unwrap(),
        gross_minor: 14987,
        interchange_minor: Some(30),
        scheme_fee_minor: Some(7),
        commission_minor: Some(0),
        net_minor: Some(14950),
        reject_code: None,
        cycle: None,
    };
    assert_eq!(lines[0], sale);
    let shown = lines.iter().map(|line| {
        let ReportLine {
            number,
            kind,
            gross_minor,
            net_minor,
            ..
        } = line;
        format!("{number} {kind:?} {gross_minor} {net_minor:?}")
    });
    assert_eq!(
        shown.collect::<Vec<_>>(),
        [
            "2 Capture 14987 Some(14950)",
            "3 Refund -2000 Some(-2000)",
            "4 Chargeback -500 Some(-500)",
            "5 ChargebackReversal 500 None",
            "6 Capture 700 None",
        ]
    );
    assert_eq!(lines[4].reject_code.as_deref(), Some("E12"));
    // What is rejected is not paid, and where no net is said it follows from the gross and the fees.
    let pays: Vec<_> = lines.iter().map(ReportLine::pays_minor).collect();
    assert_eq!(pays, [14950, -2000, -500, 500, 0]);
    let no_net = ReportLine {
        net_minor: None,
        ..sale.clone()
    };
    assert_eq!(no_net.pays_minor(), 14950);
    assert_eq!((totals.len(), totals[0].lines), (1, 6));
    // Lines may end in another way, and the last one in none.
    let windows = report.trim_end().replace('\n', "\r\n");
    assert_eq!(read(format!("\u{feff}{windows}")).unwrap().lines, lines);
}

/// A bank that reports a date in three files says in each line which one it is.
#[test]
fn all_lines_are_of_one_cycle_of_the_day() {
    // No column is needed for the terminal.
    let text =
        format!("{FORMAT}cycle = \"Terminal\"\ncycles = 3\n").replace("end = \"<END>\"\n", "");
    let format = format(&text);
    let of = |cycles: [&str; 2]| {
        let lines = [SALE, REFUND].into_iter().zip(cycles);
        let lines = lines.map(|(line, cycle)| line.replace("WEB00001", cycle));
        let report = with(
            &lines
                .collect::<Vec<_>>()
                .iter()
                .map(String::as_str)
                .collect::<Vec<_>>(),
        );
        match read_report(&format, report.as_bytes()) {
            Ok(report) => Ok(report
                .lines
                .iter()
                .map(|line| line.cycle)
                .collect::<Vec<_>>()),
            Err(ReportError::Faults(faults)) => Err(faults.first[0].to_string()),
            Err(other) => panic!("{other:?}"),
        }
    };
    assert_eq!(of(["2", "02"]), Ok(vec![Some(2), Some(2)]));
    for (cycles, line, expected, got) in [
        (["1", "2"], 3, "1, as the first line has", "2"),
        (["0", "1"], 2, "a number of 1 to 3", "0"),
        (["1", "4"], 3, "a number of 1 to 3", "4"),
        (["", "1"], 2, "a number of 1 to 3", ""),
        (["+1", "1"], 2, "a number of 1 to 3", "+1"),
    ] {
        let fault = of(cycles).unwrap_err();
        let is_it = fault.contains(&format!("line {line}")) && fault.contains(expected);
        assert!(is_it && fault.contains(&format!("{got:?}")), "{fault}");
    }
}

#[test]
fn several_currencies_have_an_end_line_each() {
    let yen = "2026-11-29,A,,SALE,633300000004,,,,JPY,,149.00,,,,JPY,,149,";
    let dinar = "2026-11-29,A,,REFUND,633300000005,,,,KWD,1.250,,,,,,,,";
    let (end_yen, end_dinar) = (
        "<END>,1,0,149,0,149,JPY",
        "<END>,1,1.250,0.000,0.000,0.000,KWD",
    );
    let lines = [yen, dinar, end_dinar, end_yen];
    let totals = read(with(&lines)).unwrap().totals;
    let codes: Vec<_> = totals.iter().map(|it| it.currency.code()).collect();
    assert_eq!(codes, ["JPY", "KWD"]);
    for (lines, expected) in [
        (
            vec![yen, dinar, end_yen],
            "line 4: expected an end line of KWD",
        ),
        (
            vec![yen, dinar, end_yen, end_yen],
            "line 5: currency: expected one end line of each",
        ),
        (
            vec![yen, dinar, end_yen, "<END>,1,1.250,0,0,0"],
            "line 5: currency: expected one, since",
        ),
        (
            vec![yen, dinar, end_yen, "<END>,1,1.250,0,0,0,kwd"],
            "line 5: currency: expected an ISO",
        ),
        (
            vec![yen, end_yen, dinar, end_dinar],
            "line 4: expected nothing after the end line",
        ),
        (
            vec![yen, end_yen, "<END>,1,0,0,0,0,EUR"],
            "line 4: number of lines: expected 0, got \"1\"",
        ),
    ] {
        let faults = faults(with(&lines));
        assert!(
            faults.first[0].to_string().starts_with(expected),
            "{faults}"
        );
    }
    // A currency without lines may have an end line too, and so has a report without lines.
    assert!(read(with(&[yen, end_yen, "<END>,0,0.00,0.00,0,0,EUR"])).is_ok());
    assert!(read(with(&["<END>,0,0.00,0.00,0.00,0.00"])).is_ok());
    assert!(read(with(&["<END>,0,0.00,0.01,0.00,0.00"])).is_err());
}

/// Each: a column, its new value in the line of a sale, and what the only fault must say.
#[test]
fn a_wrong_value_is_named_with_what_was_expected() {
    for (column, value, expected) in [
        ("Business Date", "29.11.2026", "a date as YYYY-MM-DD"),
        ("Business Date", "2026-02-29", "a date as YYYY-MM-DD"),
        ("Business Date", "+026-11-29", "a date as YYYY-MM-DD"),
        ("Business Date", "", "a date as YYYY-MM-DD"),
        ("Acceptor", "", "an acceptor"),
        ("Acceptor", "A\u{7}B", "at most 64 characters"),
        (
            "Type",
            "sale",
            "one of CHARGEBACK, CHARGEBACK_REVERSED, FEE, REFUND, SALE",
        ),
        ("Type", "", "one of the bank's words"),
        ("RRN", "6\u{7}3", "at most 40 characters"),
        ("Gross Currency", "EURO", "an ISO 4217 currency code"),
        ("Gross Currency", "978", "an ISO 4217 currency code"),
        ("Gross Currency", "", "an ISO 4217 currency code"),
        (
            "Gross Currency",
            "JPY",
            "the currency of the gross amount, JPY",
        ),
        (
            "Gross Debit",
            "1.00",
            "nothing, since Gross Debit is filled",
        ),
        (
            "Gross Debit",
            "0.00",
            "nothing, since Gross Debit is filled",
        ),
        ("Gross Credit", "", "an amount, here or as a debit"),
        ("Gross Credit", "-149.87", "no sign"),
        ("Gross Credit", "149,87", "an amount such as 149.87"),
        ("Gross Credit", " 149.87", "an amount such as 149.87"),
        ("Gross Credit", "1e2", "an amount such as 149.87"),
        ("Gross Credit", "149.875", "at most 2 decimals"),
        (
            "Gross Credit",
            "1499999999999999999.87",
            "at most 18 digits",
        ),
        (
            "Gross Credit",
            "150.87",
            "a net of 150.50 (gross less fees)",
        ),
        ("Interchange", "0.31", "a net of 149.49 (gross less fees)"),
        ("Scheme Fee", "x", "an amount such as 149.87"),
        (
            "Net Currency",
            "USD",
            "the currency of the gross amount, EUR",
        ),
        ("Net Debit", "1.00", "nothing, since Net Debit is filled"),
        ("Net Credit", "149.51", "a net of 149.50"),
    ] {
        let index = HEADER
            .trim_end()
            .split(',')
            .position(|it| it == column)
            .unwrap();
        let mut fields: Vec<&str> = SALE.split(',').collect();
        let quoted = format!("\"{value}\"");
        fields[index] = if value.contains(',') { &quoted } else { value };
        let line = fields.join(",");
        let end = "<END>,3,20.00,299.74,20.00,299.00";
        let found = faults(with(&[SALE, &line, REFUND, end]));
        assert_eq!((found.count, found.first[0].line), (1, 3), "{found}");
        let fault = found.first[0].to_string();
        assert!(fault.contains(expected), "{column} = {value}: {fault}");
    }
    let neither = SALE.replace("633300000001,74000006333000000000012", ",");
    assert!(
        faults(with(&[&neither])).first[0]
            .to_string()
            .contains("RRN: expected an RRN or an")
    );
}

#[test]
fn the_end_line_must_be_right() {
    let right = "<END>,2,20.00,149.87,20.00,149.50";
    assert!(read(with(&[SALE, REFUND, right])).is_ok());
    for (end, expected) in [
        (
            "<END>,3,20.00,149.87,20.00,149.50",
            "number of lines: expected 2, got \"3\"",
        ),
        (
            "<END>,+2,20.00,149.87,20.00,149.50",
            "number of lines: expected 2, got \"+2\"",
        ),
        (
            "<END>,2,20.01,149.87,20.00,149.50",
            "sum of Gross Debit: expected 20.00, got \"20.01\"",
        ),
        (
            "<END>,2,20.00,149.88,20.00,149.50",
            "sum of Gross Credit: expected 149.87",
        ),
        (
            "<END>,2,20.00,149.87,,149.50",
            "sum of Net Debit: expected 20.00, got \"\"",
        ),
        (
            "<END>,2,20.00,149.87,20.00,-149.50",
            "sum of Net Credit: expected 149.50",
        ),
        (
            "<END>,2,20.00,149.87,20.00",
            "line 4: expected an end line of six or seven fields",
        ),
        (
            "<END>,2,20.00,149.87,20.00,149.50,EUR,",
            "an end line of six or seven fields, got \"8\"",
        ),
        (
            "<END>,2,20.00,149.87,20.00,149.50,USD",
            "number of lines: expected 0, got \"2\"",
        ),
    ] {
        let found = faults(with(&[SALE, REFUND, end]));
        assert_eq!((found.count, found.first[0].line), (1, 4), "{found}");
        assert!(found.to_string().contains(expected), "{found}");
    }
    let found = faults(with(&[SALE, REFUND]));
    assert!(
        found
            .to_string()
            .contains("line 3: expected a last line that begins with <END>")
    );
    // Of a bank that writes no such line the report is taken as it is.
    let without = format(&FORMAT.replace("end = \"<END>\"", ""));
    let report = read_report(&without, with(&[SALE, REFUND]).as_bytes());
    assert_eq!(report.unwrap().lines.len(), 2);
}

#[test]
fn columns_are_found_by_name() {
    let swapped = |line: &str| {
        let mut fields: Vec<&str> = line.split(',').collect();
        fields.reverse();
        format!("{},more", fields.join(";"))
    };
    let format = format(&format!(
        "separator = \";\"\namount = \"minor\"\ndate = \"YYYYMMDD\"{FORMAT}"
    ));
    assert_eq!(format.amount, AmountForm::Minor);
    let sale = SALE.replace('.', "").replace("2026-11-29", "20261129");
    let lines = [
        swapped(HEADER.trim_end()),
        swapped(&sale),
        "<END>;1;0;14987;0;14950".into(),
    ];
    let report = lines.join("\n").replace(",more", ";more");
    let report = read_report(&format, report.as_bytes()).unwrap();
    assert_eq!(report.lines[0].gross_minor, 14987);
    assert_eq!(report.lines[0].business_date.to_string(), "2026-11-29");
    for bad in ["2026-11-29", "202611", "2026112９"] {
        let text = lines
            .join("\n")
            .replace(",more", ";more")
            .replace("20261129", bad);
        assert!(read_report(&format, text.as_bytes()).is_err(), "{bad}");
    }
}

#[test]
fn a_header_must_have_the_columns() {
    for (header, expected) in [
        (
            String::new(),
            "line 1: expected a line of column names, got \"\"",
        ),
        ("\n".into(), "line 1: expected a line of fields"),
        (
            HEADER.replace("Gross Debit", "Gross debit"),
            "line 1: expected a column \"Gross Debit\"",
        ),
        (
            HEADER.replace("Terminal", "RRN"),
            "line 1: expected one column \"RRN\", got \"two of them\"",
        ),
        (
            "x".repeat(100_000),
            "line 1: expected a line of column names, got \"a longer line\"",
        ),
        (
            HEADER.replace("Card", "\"Card"),
            "line 1: expected quotes that end on their line",
        ),
    ] {
        let error = read(header).unwrap_err();
        assert!(matches!(error, ReportError::Header { .. }));
        assert!(error.to_string().starts_with(expected), "{error}");
    }
}

#[test]
fn all_wrong_lines_are_counted_and_the_first_hundred_named() {
    let wrong = SALE.replace("EUR", "EUX");
    let mut lines = vec![SALE; 3];
    lines.extend(vec![&*wrong; 150]);
    lines.push("<END>,153,0.00,0.00,0.00,0.00");
    let found = faults(with(&lines));
    assert_eq!((found.count, found.first.len()), (150, MOST_FAULTS));
    let numbers = found.first.iter().map(|fault| fault.line);
    assert!(numbers.eq(5..105));
}

#[test]
fn no_card_number_is_in_an_error() {
    // The columns are shifted by one.
    let line = SALE.replace("411111******1111", "4111111111111111");
    let line = line.replacen("2026-11-29,", "", 1) + ",";
    let shifted = format!("{line}\n4111111111111111,x");
    for fault in faults(with(&[&shifted])).first {
        assert!(!fault.to_string().contains("4111111111111111"), "{fault}");
    }
}

proptest! {
    #[test]
    fn no_bytes_break_it(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        pieces in proptest::collection::vec(
            "(SALE|<END>|EUR|JPY|2026-11-29|633300000001|[0-9]{1,20}\\.?[0-9]{0,3}|,|,|,|\"|\n|\r)", 0..80,
        ),
    ) {
        let _ = read(&bytes);
        let _ = read([HEADER.as_bytes(), &bytes].concat());
        let _ = read(format!("{HEADER}{}", pieces.concat()));
        let _ = read(format!("{HEADER}{SALE}\n{}", pieces.concat()));
        let minor = format(&format!("amount = \"minor\"{FORMAT}"));
        let _ = read_report(&minor, format!("{HEADER}{}", pieces.concat()).as_bytes());
    }
}
