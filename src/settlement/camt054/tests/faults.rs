//! What is refused, and where.

use super::*;

/// The error of a file, and what stands where it points to.
fn refused(file: &str) -> (String, String) {
    let error = read(file).unwrap_err();
    let offset = usize::try_from(error.position.offset).unwrap();
    let (before, at) = file.as_bytes().split_at(offset);
    let before = String::from_utf8_lossy(before);
    let line = before.matches('\n').count() + 1;
    let column = before.len() - before.rfind('\n').map_or(0, |end| end + 1) + 1;
    let Position {
        line: l, column: c, ..
    } = error.position;
    assert_eq!(
        (l, c),
        (u64::try_from(line).unwrap(), u64::try_from(column).unwrap())
    );
    let at = String::from_utf8_lossy(at).chars().take(12).collect();
    (error.fault.to_string(), at)
}

/// A change of the entry that stands in the middle of a file that is right.
#[test]
fn what_is_wrong_in_an_entry_is_refused_where_it_stands() {
    let right = entry("<BookgDt><Dt>2026-11-30</Dt></BookgDt>");
    assert!(read(&file("08", &right)).is_ok());
    for (from, to, expected, at) in [
        (
            "149.80",
            "1e2",
            "Amt: expected an amount such as 149.87 (digits and a dot; no sign, space, comma or exponent), got \"1e2\"",
            "<Amt Ccy=\"EU",
        ),
        (
            "149.80",
            "1,25",
            "Amt: expected an amount such as 149.87 (digits and a dot; no sign, space, comma or exponent), got \"1,25\"",
            "<Amt Ccy=\"EU",
        ),
        (
            "149.80",
            "-5",
            "Amt: expected an amount such as 149.87 (digits and a dot; no sign, space, comma or exponent), got \"-5\"",
            "<Amt Ccy=\"EU",
        ),
        (
            "149.80",
            "",
            "Amt: expected an amount such as 149.87 (digits and a dot; no sign, space, comma or exponent), got \"\"",
            "<Amt Ccy=\"EU",
        ),
        (
            "149.80",
            "149.801",
            "Amt: expected at most 2 decimals that are not zero, got \"149.801\"",
            "<Amt Ccy=\"EU",
        ),
        (
            "149.80",
            "12345678901234567",
            "Amt: expected an amount of at most 18 digits, got \"12345678901234567\"",
            "<Amt Ccy=\"EU",
        ),
        (
            "149.80",
            "1<b/>2",
            "expected elements or a text, got both",
            "<b/>2</Amt><",
        ),
        (
            "149.80",
            "<b/>2",
            "expected elements or a text, got both",
            "2</Amt><CdtD",
        ),
        (
            "EUR",
            "USD",
            "Amt: expected the currency EUR, got USD",
            "<Amt Ccy=\"US",
        ),
        (
            "EUR",
            "eur",
            "Amt/@Ccy: expected an ISO 4217 currency code of three capital letters, got \"eur\"",
            "<Amt Ccy=\"eu",
        ),
        (
            " Ccy=\"EUR\"",
            "",
            "Amt/@Ccy: expected an ISO 4217 currency code of three capital letters, got \"\"",
            "<Amt>149.80<",
        ),
        (
            "<Amt Ccy=\"EUR\">149.80</Amt>",
            "",
            "expected Amt, got Ntry without it",
            "<Ntry><CdtDb",
        ),
        (
            "<CdtDbtInd>DBIT</CdtDbtInd>",
            "",
            "expected CdtDbtInd, got Ntry without it",
            "<Ntry><Amt C",
        ),
        (
            "<Sts><Cd>BOOK</Cd></Sts>",
            "",
            "expected Sts, got Ntry without it",
            "<Ntry><Amt C",
        ),
        (
            "<Cd>BOOK</Cd>",
            "",
            "expected Sts, got Ntry without it",
            "<Ntry><Amt C",
        ),
        (
            "DBIT",
            "DEBIT",
            "CdtDbtInd: expected CRDT or DBIT, got \"DEBIT\"",
            "<CdtDbtInd>D",
        ),
        (
            "<Sts>",
            "<RvslInd>yes</RvslInd><Sts>",
            "RvslInd: expected true or false, got \"yes\"",
            "<RvslInd>yes",
        ),
        (
            "<Sts>",
            "<CdtDbtInd>DBIT</CdtDbtInd><Sts>",
            "expected CdtDbtInd once, got it again",
            "<CdtDbtInd>D",
        ),
        (
            "<Cd>BOOK</Cd>",
            "<Cd>BOOK</Cd><Prtry>X</Prtry>",
            "expected Sts/Prtry once, got it again",
            "<Prtry>X</Pr",
        ),
        (
            "2026-11-30",
            "2026-02-29",
            "BookgDt/Dt: expected a date as YYYY-MM-DD, got \"2026-02-29\"",
            "<Dt>2026-02-",
        ),
        (
            "2026-11-30",
            "2026-11-30T",
            "BookgDt/Dt: expected a date as YYYY-MM-DD, got \"2026-11-30T\"",
            "<Dt>2026-11-",
        ),
        (
            "2026-11-30",
            "20261130",
            "BookgDt/Dt: expected a date as YYYY-MM-DD, got \"20261130\"",
            "<Dt>20261130",
        ),
        (
            "<Dt>2026-11-30</Dt>",
            "<DtTm>2026-11-30</DtTm>",
            "BookgDt/DtTm: expected a date and time as YYYY-MM-DDThh:mm:ss, got \"2026-11-30\"",
            "<DtTm>2026-1",
        ),
        (
            "<BookgDt>",
            "<AcctSvcrRef>&#1;</AcctSvcrRef><BookgDt>",
            "expected lt, gt, amp, quot, apos or a character's number, got &#1;",
            "&#1;</AcctSv",
        ),
        (
            "<BookgDt>",
            "<AcctSvcrRef>a\u{7}</AcctSvcrRef><BookgDt>",
            "AcctSvcrRef: expected at most 140 printable characters, got \"a\\u{7}\"",
            "<AcctSvcrRef",
        ),
        (
            "BOOK",
            "&euro;",
            "expected lt, gt, amp, quot, apos or a character's number, got &euro;",
            "&euro;</Cd><",
        ),
    ] {
        let changed = right.replacen(from, to, 1);
        assert_ne!(changed, right, "{from}");
        let got = refused(&file("08", &changed));
        assert_eq!(got, (expected.to_owned(), at.to_owned()), "{from} {to}");
    }
}

#[test]
fn transactions_are_what_their_entry_says() {
    let details = |transactions: &[String]| {
        let details = transactions.concat();
        file("08", &entry(&format!("<NtryDtls>{details}</NtryDtls>")))
    };
    let (first, second) = (
        transaction("100", "out-1", ""),
        transaction("49.79", "out-2", ""),
    );
    let nothing = "<TxDtls></TxDtls>".to_owned();
    let sum = "NtryDtls/TxDtls: expected amounts that sum to 14980 minor units, got";
    for (transactions, expected, at) in [
        (
            vec![first.clone(), second.clone()],
            format!("{sum} 14979"),
            "<Ntry><Amt C",
        ),
        (vec![first.clone()], format!("{sum} 10000"), "<Ntry><Amt C"),
        (
            vec![nothing.replace("></", "><CdtDbtInd>CRDT</CdtDbtInd></")],
            format!("{sum} -14980"),
            "<Ntry><Amt C",
        ),
        (
            vec![first.clone(), nothing],
            "expected Amt, got NtryDtls/TxDtls without it".to_owned(),
            "<TxDtls></Tx",
        ),
        (
            vec![first.replace("EUR", "USD"), second],
            "NtryDtls/TxDtls/Amt: expected the currency EUR, got USD".to_owned(),
            "<TxDtls><Ref",
        ),
        (
            vec![first.replace("100", "1,00")],
            "NtryDtls/TxDtls/Amt: expected an amount such as 149.87 (digits and a dot; no sign, space, comma or exponent), got \"1,00\""
                .to_owned(),
            "<Amt Ccy=\"EU",
        ),
    ] {
        let got = refused(&details(&transactions));
        assert_eq!(got, (expected, at.to_owned()));
    }
}

#[test]
fn another_document_is_refused() {
    let right = file("08", &entry(""));
    let namespace =
        "expected the namespace urn:iso:std:iso:20022:tech:xsd:camt.054.001. and two digits, got";
    for (from, to, expected) in [
        (
            "camt.054.001.08",
            "camt.053.001.08",
            format!("{namespace} urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"),
        ),
        (
            "camt.054.001.08",
            "camt.054.001.8x",
            format!("{namespace} urn:iso:std:iso:20022:tech:xsd:camt.054.001.8x"),
        ),
        ("xmlns=", "xmlns:c=", format!("{namespace} none")),
        (
            "<Document ",
            "<!DOCTYPE a [<!ENTITY b \"c\">]><Document ",
            "expected no document type, got one".to_owned(),
        ),
        (
            "UTF-8",
            "ISO-8859-1",
            "expected the encoding UTF-8, got \"ISO-8859-1\"".to_owned(),
        ),
        (
            "</Document>\n",
            "",
            "expected the end of Document, got the end of the file".to_owned(),
        ),
        (
            "</Document>",
            "</Document><Document/>",
            "expected the end of the file, got Document".to_owned(),
        ),
        (
            "</Document>",
            "</Document>x",
            "expected elements or a text, got both".to_owned(),
        ),
        (
            "<BkToCstmrDbtCdtNtfctn>",
            "<X/><BkToCstmrDbtCdtNtfctn>",
            "expected BkToCstmrDbtCdtNtfctn, got X".to_owned(),
        ),
        (
            "<Ntry>",
            "<Ntry/Amt>",
            "expected the name of an element, got Ntry/Amt".to_owned(),
        ),
        (
            "<Acct><Id><IBAN>GB82WEST12345698765432</IBAN></Id>",
            "<Acct>",
            "expected Acct/Id, got Ntfctn without it".to_owned(),
        ),
        (
            "GB82WEST12345698765432",
            "",
            "Acct/Id/IBAN: expected an account number of 1 to 34 printable characters, got \"\""
                .to_owned(),
        ),
    ] {
        let changed = right.replacen(from, to, 1);
        assert_ne!(changed, right, "{from}");
        assert_eq!(refused(&changed).0, expected, "{from}");
    }
    assert_eq!(refused("").0, "expected Document, got the end of the file");
    assert!(matches!(
        read("<Document").unwrap_err().fault,
        Iso20022Fault::Xml(_)
    ));
    let mismatch = read(&right.replacen("</Ntry>", "</Ntri>", 1)).unwrap_err();
    assert!(
        matches!(mismatch.fault, Iso20022Fault::Xml(_)),
        "{mismatch}"
    );
    let latin = read_camt054(b"<Document>\xe9</Document>".as_slice()).next();
    assert!(latin.unwrap().is_err());
}

#[test]
fn an_error_is_the_last_that_is_read() {
    let wrong = entry("").replacen("149.80", "1e2", 1);
    let file = file("08", &(entry("") + &wrong + &entry("")));
    let mut reader = read_camt054(file.as_bytes());
    assert!(reader.next().unwrap().is_ok());
    let error = reader.next().unwrap().unwrap_err();
    assert!(matches!(error.fault, Iso20022Fault::Value { .. }));
    assert!(reader.next().is_none());
    let shown = error.to_string();
    assert!(shown.starts_with("line 6, column "), "{shown}");
}
