use super::super::format::StatementFormat::Camt;
use super::samples::{CamtFile, camt_balance, camt_entry, camt053};
use super::*;

fn of_message(message: &str, version: &str, entries: &str) -> String {
    CamtFile {
        message,
        version,
        currency: "EUR",
        before_entries: "",
        entries,
    }
    .text()
}

/// By the standard, the indicator in the entry already is the direction of its booking.
#[test]
fn camt_reversals_have_the_direction_of_their_own_booking() {
    for (mark, reversal, expected) in [
        ("DBIT", "<RvslInd>true</RvslInd>", (-5_000, true)),
        ("CRDT", "<RvslInd>true</RvslInd>", (5_000, true)),
        ("CRDT", "<RvslInd>false</RvslInd>", (5_000, false)),
        ("DBIT", "", (-5_000, false)),
    ] {
        let entry = camt_entry("50.00", mark, "").replace("<Sts>", &format!("{reversal}<Sts>"));
        assert_eq!(movements(Camt, &camt053(&entry)), [expected], "{mark}");
    }
}

#[test]
fn camt_amounts_are_read_exactly_or_refused_with_their_line() {
    for (currency, amount, expected) in [
        ("EUR", "000000000000149.87", 14_987),
        ("EUR", "149.8", 14_980),
        ("EUR", "149", 14_900),
        ("JPY", "149.00", 149),
        ("KWD", "1.250", 1_250),
        ("IDR", "9999999999999999.99", 999_999_999_999_999_999),
    ] {
        let file = camt053(&camt_entry(amount, "CRDT", "")).replace("EUR", currency);
        let line = &lines(Camt, &file)[0];
        let got = (line.amount_minor, line.currency.code());
        assert_eq!(got, (expected, currency), "{amount}");
    }
    let decimal = "an amount such as 149.87 (digits and a dot; no sign, space, comma or exponent)";
    let exact = "at most 2 decimals that are not zero";
    for (amount, expected) in [
        ("149.875", exact),
        ("1e2", decimal),
        ("1,25", decimal),
        ("-5", decimal),
        ("", decimal),
    ] {
        let file = camt053(&camt_entry(amount, "CRDT", ""));
        let expected = format!("Amt: expected {expected}, got {amount:?}");
        assert_eq!(refused(Camt, &file), (8, expected), "{amount}");
    }
    let yen = camt053(&camt_entry("149.50", "CRDT", "")).replace("EUR", "JPY");
    let expected = "Amt: expected at most 0 decimals that are not zero, got \"149.50\"";
    assert_eq!(refused(Camt, &yen), (8, expected.to_owned()));
}

/// Whether the account names its currency, or only its balance or first entry does.
#[test]
fn a_camt_amount_is_in_the_currency_of_the_account() {
    let other = camt_entry("1", "CRDT", "").replace("EUR", "USD");
    let expected = "Amt: expected the currency EUR, got USD".to_owned();
    assert_eq!(refused(Camt, &camt053(&other)), (8, expected));
    let unnamed = camt053(&(camt_entry("1", "CRDT", "") + &other)).replace("<Ccy>EUR</Ccy>", "");
    let expected = "Ntry/Amt/@Ccy: expected the account's currency EUR, got USD".to_owned();
    assert_eq!(refused(Camt, &unnamed), (9, expected));
}

#[test]
fn a_camt_statement_is_read_whole_in_every_version() {
    let rest = "<BookgDt><Dt>2026-11-30</Dt></BookgDt><ValDt><Dt>2026-12-01</Dt></ValDt><AcctSvcrRef>B1</AcctSvcrRef>";
    let details = "<NtryDtls><TxDtls><Refs><EndToEndId>out-1</EndToEndId></Refs>\
                   <RmtInf><Ustrd>a &amp; b</Ustrd><Ustrd>c</Ustrd></RmtInf></TxDtls></NtryDtls>";
    let first =
        camt_entry("149.80", "DBIT", rest).replace("</BkTxCd>", &format!("</BkTxCd>{details}"));
    let text = "</BkTxCd><AddtlNtryInf>a credit</AddtlNtryInf>";
    let second = camt_entry("20", "CRDT", "").replace("</BkTxCd>", text);
    let balances = camt_balance("OPBD", "100.00", "CRDT", "2026-11-30")
        + &camt_balance("CLAV", "7", "CRDT", "2026-11-30")
        + &camt_balance("CLBD", "29.80", "DBIT", "2026-11-30");
    let mut file = CamtFile {
        message: "053",
        version: "08",
        currency: "EUR",
        before_entries: &balances,
        entries: &(first + &second),
    };
    let text = file.text();
    let position = |needle: &str| {
        let offset = text.find(needle).unwrap();
        let line = text[..offset].matches('\n').count() + 1;
        let column = offset - text[..offset].rfind('\n').unwrap();
        crate::settlement::position::Position {
            line: line as u64,
            column: column as u64,
            offset: offset as u64,
        }
    };
    let eur = "EUR".parse().unwrap();
    let line = StatementLine {
        number: 1,
        state: LineState::Booked,
        booking_date: Some(date("2026-11-30")),
        value_date: Some(date("2026-12-01")),
        amount_minor: -14_980,
        currency: eur,
        bank_reference: Some("B1".to_owned()),
        own_reference: Some("out-1".to_owned()),
        text: Some("a & b\nc".to_owned()),
        reverses: false,
        position: position("<TxDtls>"),
    };
    let credit = StatementLine {
        number: 2,
        booking_date: None,
        value_date: None,
        amount_minor: 2_000,
        bank_reference: None,
        own_reference: None,
        text: Some("a credit".to_owned()),
        position: position("<Ntry><Amt Ccy=\"EUR\">20<"),
        ..line.clone()
    };
    let balance = |amount_minor| {
        let date = Some(date("2026-11-30"));
        Some(Balance { amount_minor, date })
    };
    let head = StatementHead {
        account: "GB82WEST12345698765432".parse().unwrap(),
        id: "S-1".to_owned(),
        sequence: Some(231),
        page: None,
        currency: eur,
        kind: StatementKind::Booked,
        purpose: StatementPurpose::New,
        opening: balance(10_000),
        position: position("<Stmt>"),
    };
    let end = StatementEnd {
        closing: balance(-2_980),
        lines: 2,
    };
    let expected = [
        StatementPart::Begin(head),
        StatementPart::Line(line),
        StatementPart::Line(credit),
        StatementPart::End(end),
    ];
    assert_eq!(read(Camt, &text).unwrap(), expected);
    file.version = "02";
    let old = file
        .text()
        .replace("<Sts><Cd>BOOK</Cd></Sts>", "<Sts>BOOK</Sts>");
    let movements_of = |text: &str| movements(Camt, text);
    assert_eq!(movements_of(&old), [(-14_980, false), (2_000, false)]);
    let pages = text.replace(
        "<ElctrncSeqNb>",
        "<StmtPgntn><PgNb>2</PgNb></StmtPgntn><ElctrncSeqNb>",
    );
    assert_eq!(statements(Camt, &pages)[0].0.page, Some(2));
}

/// A camt.052 tells of an entry that is pending, and the camt.053 of the next day that it is booked, under another reference
/// and date: that is one booking.
#[test]
fn camt_pending_and_then_booked_is_one_booking() {
    let pending = camt_entry(
        "50",
        "CRDT",
        "<BookgDt><Dt>2026-11-30</Dt></BookgDt><AcctSvcrRef>P1</AcctSvcrRef>",
    );
    let booked = pending.replace("11-30", "12-01").replace("P1", "B9");
    let status = "<Sts><Cd>BOOK</Cd></Sts>";
    let mut counted = Vec::new();
    for (message, version, status_of, entry) in [
        ("052", "08", "<Sts><Cd>PDNG</Cd></Sts>", &pending),
        ("052", "02", "<Sts>PDNG</Sts>", &pending),
        ("053", "08", status, &booked),
    ] {
        let file = of_message(message, version, &entry.replace(status, status_of));
        let kind = statements(Camt, &file)[0].0.kind;
        let expected = match message {
            "052" => StatementKind::Interim,
            _ => StatementKind::Booked,
        };
        assert_eq!(kind, expected);
        let is_booked = |line: &StatementLine| line.state == LineState::Booked;
        counted.extend(lines(Camt, &file).into_iter().filter(is_booked));
    }
    let got: Vec<_> = counted
        .iter()
        .map(|it| (it.amount_minor, it.bank_reference.as_deref()))
        .collect();
    assert_eq!(got, [(5_000, Some("B9"))]);
}

#[test]
fn only_book_is_booked_in_a_camt_statement() {
    for (status, expected) in [
        ("<Sts><Cd>BOOK</Cd></Sts>", LineState::Booked),
        ("<Sts>BOOK</Sts>", LineState::Booked),
        ("<Sts>PDNG</Sts>", LineState::Pending),
        ("<Sts><Cd>PDNG</Cd></Sts>", LineState::Pending),
        ("<Sts><Cd>INFO</Cd></Sts>", LineState::Other),
        ("<Sts><Cd>FUTR</Cd></Sts>", LineState::Other),
        ("<Sts><Prtry>BOOK</Prtry></Sts>", LineState::Other),
    ] {
        let entry = camt_entry("1", "CRDT", "").replace("<Sts><Cd>BOOK</Cd></Sts>", status);
        assert_eq!(lines(Camt, &camt053(&entry))[0].state, expected, "{status}");
    }
}

fn with_balances(message: &str, balances: &str, entries: &str) -> String {
    CamtFile {
        message,
        version: "08",
        currency: "EUR",
        before_entries: balances,
        entries,
    }
    .text()
}

#[test]
fn camt_balances_are_what_the_booked_entries_make() {
    let opening = camt_balance("OPBD", "100", "CRDT", "2026-11-30");
    let previous = camt_balance("PRCD", "100", "CRDT", "2026-11-29");
    let closing = camt_balance("CLBD", "50", "CRDT", "2026-11-30");
    let entry = camt_entry("50", "DBIT", "");
    let pending = camt_entry("9", "CRDT", "").replace("BOOK", "PDNG");
    let balances = [opening.as_str(), closing.as_str()].concat();
    assert_eq!(
        movements(
            Camt,
            &with_balances("053", &balances, &(entry.clone() + &pending))
        )
        .len(),
        2
    );
    let balances_of_previous = [previous.as_str(), closing.as_str()].concat();
    statements(Camt, &with_balances("053", &balances_of_previous, &entry));
    // A balance alone is checked against nothing.
    statements(Camt, &with_balances("053", &closing, &pending));
    let expected = "Bal CLBD: expected 10000 minor units, which the opening balance and the entries make, got 5000";
    for file in [
        with_balances("053", &balances, ""),
        with_balances("053", &balances, &pending),
        with_balances("053", &balances_of_previous, &pending),
    ] {
        assert_eq!(refused(Camt, &file), (5, expected.to_owned()));
    }
    // Within the day, a bank may tell only what is new.
    let interim = camt_balance("ITBD", "77", "CRDT", "2026-11-30");
    let within = with_balances("052", &(opening.clone() + &interim), &entry);
    let closing_minor = statements(Camt, &within)[0].1.closing.unwrap().amount_minor;
    assert_eq!(closing_minor, 7_700);
    let twice = with_balances("053", &opening.repeat(2), "");
    assert_eq!(
        refused(Camt, &twice).1,
        "expected Bal OPBD once, got it again"
    );
    let behind = with_balances("053", "", &(entry + &closing));
    assert_eq!(
        refused(Camt, &behind).1,
        "Bal: expected it before the first Ntry, got it behind"
    );
    let dollars = opening.replace("EUR", "USD");
    let expected = "Bal/Amt: expected the currency EUR, got USD";
    assert_eq!(
        refused(Camt, &with_balances("053", &dollars, "")).1,
        expected
    );
}

#[test]
fn what_a_camt_statement_says_of_its_entries_is_so() {
    let entries =
        camt_entry("50", "CRDT", "") + &camt_entry("20", "DBIT", "") + &camt_entry("5", "DBIT", "");
    let says =
        |what: &str| with_balances("053", &format!("<TxsSummry>{what}</TxsSummry>"), &entries);
    let right = "<TtlNtries><NbOfNtries>3</NbOfNtries><Sum>75.00</Sum><TtlNetNtry><Amt>25</Amt><CdtDbtInd>CRDT</CdtDbtInd>\
        </TtlNetNtry></TtlNtries><TtlCdtNtries><NbOfNtries>1</NbOfNtries><Sum>50</Sum></TtlCdtNtries>\
        <TtlDbtNtries><NbOfNtries>2</NbOfNtries><Sum>25</Sum></TtlDbtNtries>";
    statements(Camt, &says(right));
    for (path, is, said) in [
        ("TtlNtries/NbOfNtries", "3", "4"),
        ("TtlNtries/Sum", "7500", "70"),
        ("TtlNtries/TtlNetNtryAmt", "2500", "24.99"),
        ("TtlNtries/TtlNetNtry/Amt", "2500", "24.99"),
        ("TtlCdtNtries/NbOfNtries", "1", "2"),
        ("TtlCdtNtries/Sum", "5000", "50.01"),
        ("TtlDbtNtries/NbOfNtries", "2", "1"),
        ("TtlDbtNtries/Sum", "2500", "20"),
    ] {
        let open: String = path.split('/').map(|name| format!("<{name}>")).collect();
        let close: String = path.rsplit('/').map(|name| format!("</{name}>")).collect();
        let (line, error) = refused(Camt, &says(&format!("{open}{said}{close}")));
        let expected = format!("TxsSummry/{path}: expected {is}, which the entries make, got ");
        assert!(error.starts_with(&expected), "{error}");
        assert_eq!(line, 7);
    }
}

/// The bank books many payments as one entry, with or without saying what each of them was.
#[test]
fn a_camt_entry_of_many_transactions_is_as_many_lines_or_one() {
    let details = |amounts: [&str; 2]| {
        let [first, second] = amounts.map(|amount| {
            format!("<TxDtls><Refs><EndToEndId>e{amount}</EndToEndId></Refs>{amount}</TxDtls>")
        });
        let entry = camt_entry("30", "DBIT", "");
        camt053(&entry.replace(
            "</Ntry>",
            &format!("<NtryDtls>{first}{second}</NtryDtls></Ntry>"),
        ))
    };
    let amount = |amount: &str| format!("<Amt Ccy=\"EUR\">{amount}</Amt>");
    let told = |text: String| -> Vec<i64> {
        lines(Camt, &text)
            .iter()
            .map(|line| line.amount_minor)
            .collect()
    };
    let with = |first: &str, second: &str| {
        details(["", ""])
            .replacen("</TxDtls>", &format!("{first}</TxDtls>"), 1)
            .replace(
                "</TxDtls></NtryDtls>",
                &format!("{second}</TxDtls></NtryDtls>"),
            )
    };
    assert_eq!(told(with(&amount("10"), &amount("20"))), [-1_000, -2_000]);
    assert_eq!(told(with(&amount("10"), "")), [-3_000]);
    assert_eq!(
        told(with(&amount("10"), "<Amt Ccy=\"USD\">20</Amt>")),
        [-3_000]
    );
    let wrong = with(&amount("10"), &amount("21"));
    let expected = "NtryDtls/TxDtls: expected amounts that sum to 3000 minor units, got 3100";
    assert_eq!(refused(Camt, &wrong), (8, expected.to_owned()));
}

#[test]
fn a_camt_statement_has_what_it_must_have() {
    let right = camt053(&camt_entry("1", "CRDT", ""));
    for (from, to, expected) in [
        ("<Id>S-1</Id>", "", "expected Id, got Stmt without it"),
        (
            "<IBAN>GB82WEST12345698765432</IBAN>",
            "",
            "expected Acct/Id, got Stmt without it",
        ),
        (
            "camt.053",
            "camt.054",
            "expected the namespace urn:iso:std:iso:20022:tech:xsd:camt.053.001. or urn:iso:std:iso:20022:tech:xsd:camt.052.001. and two digits, got urn:iso:std:iso:20022:tech:xsd:camt.054.001.08",
        ),
        (
            "BkToCstmrStmt>",
            "BkToCstmrAcctRpt>",
            "expected BkToCstmrStmt, got BkToCstmrAcctRpt",
        ),
        (
            "<ElctrncSeqNb>231",
            "<ElctrncSeqNb>x",
            "ElctrncSeqNb: expected a number, got \"x\"",
        ),
    ] {
        assert_eq!(
            refused(Camt, &right.replace(from, to)).1,
            expected,
            "{from}"
        );
    }
    let empty = camt053("").replace("<Ccy>EUR</Ccy>", "");
    assert_eq!(
        refused(Camt, &empty).1,
        "expected Acct/Ccy, got Stmt without it"
    );
    assert_eq!(statements(Camt, &camt053(""))[0].1.lines, 0);
}
