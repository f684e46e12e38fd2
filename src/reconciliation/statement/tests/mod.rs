use super::error::StatementError;
use super::format::{StatementFormat, read_statements};
use super::part::*;
use crate::payment::bank_statement::{Balance, LineState, StatementKind};
use crate::payment::moment::BusinessDate;

mod bai2;
mod camt;
mod mt940;
mod random;
mod samples;

fn date(text: &str) -> BusinessDate {
    text.parse().unwrap()
}

/// The day on which the files are read.
fn today() -> BusinessDate {
    date("2026-12-02")
}

fn read(format: StatementFormat, text: &str) -> Result<Vec<StatementPart>, StatementError> {
    read_statements(format, text.as_bytes(), today()).collect()
}

/// The lines of a file that is right.
fn lines(format: StatementFormat, text: &str) -> Vec<StatementLine> {
    let parts = read(format, text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let line = |part| match part {
        StatementPart::Line(line) => Some(line),
        StatementPart::Begin(_) | StatementPart::End(_) => None,
    };
    parts.into_iter().filter_map(line).collect()
}

/// The amounts of its lines, and whether each undoes another.
fn movements(format: StatementFormat, text: &str) -> Vec<(i64, bool)> {
    let lines = lines(format, text);
    lines
        .iter()
        .map(|line| (line.amount_minor, line.reverses))
        .collect()
}

/// The heads and ends of the statements of a file that is right.
fn statements(format: StatementFormat, text: &str) -> Vec<(StatementHead, StatementEnd)> {
    let parts = read(format, text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let (mut heads, mut ends) = (Vec::new(), Vec::new());
    for part in parts {
        match part {
            StatementPart::Begin(head) => heads.push(head),
            StatementPart::End(end) => ends.push(end),
            StatementPart::Line(_) => {}
        }
    }
    assert_eq!(heads.len(), ends.len());
    heads.into_iter().zip(ends).collect()
}

/// The error of a file that is wrong, with its line.
fn refused(format: StatementFormat, text: &str) -> (u64, String) {
    let error = read(format, text).expect_err(text);
    (error.position.line, error.fault.to_string())
}

/// Every reader takes a file in pieces of any size, and says nothing behind an error.
#[test]
fn an_error_is_the_last_that_is_read() {
    for format in [
        StatementFormat::Camt,
        StatementFormat::Mt940,
        StatementFormat::Bai2,
    ] {
        for text in ["", "x", "<a/>", ":61:1", "16,1/"] {
            let mut parts = read_statements(format, text.as_bytes(), today());
            assert!(parts.next().unwrap().is_err(), "{format:?} {text:?}");
            assert!(parts.next().is_none());
        }
    }
}

/// What a bank writes of a line is kept, and shown to people.
#[test]
fn no_format_hands_out_a_card_number() {
    use StatementFormat::{Bai2, Camt, Mt940};
    let of_mt940 = ":61:2611301130C50,00NTRF5555555555554444//0004242424242424242\r\n\
        :86:CARD 4111111111111111 PAID\r\n4111 1111 1111 1111\r\n";
    let of_bai2 = "16,175,5000,,0004242424242424242,5555555555554444,CARD 4111111111111111 PAID\n\
        88,4111 1111 1111 1111\n";
    let of_camt = "<AcctSvcrRef>0004242424242424242</AcctSvcrRef>";
    let of_camt = samples::camt_entry("50.00", "CRDT", of_camt).replace(
        "</BkTxCd>",
        "</BkTxCd><NtryDtls><TxDtls><Refs><EndToEndId>5555555555554444</EndToEndId></Refs></TxDtls></NtryDtls>\
         <AddtlNtryInf>CARD 4111111111111111 PAID\n4111 1111 1111 1111</AddtlNtryInf>",
    );
    for (format, file) in [
        (Mt940, samples::mt940(of_mt940, "1050,00")),
        (Bai2, samples::bai2(of_bai2, 5_000, 2)),
        (Camt, samples::camt053(&of_camt)),
    ] {
        let all = lines(format, &file);
        let [line] = all.as_slice() else {
            panic!("{all:?}");
        };
        let own = line.own_reference.as_deref();
        assert_eq!(own, Some("************4444"), "{format:?}");
        let theirs = line.bank_reference.as_deref();
        assert!(theirs.unwrap().ends_with("************4242"), "{line:?}");
        let text = line.text.as_deref().unwrap();
        assert!(text.contains("CARD ************1111 PAID"), "{line:?}");
        assert!(text.contains("**** **** **** 1111"), "{line:?}");
    }
    let file = samples::mt940("", "1000,00").replace(":20:ST-1", ":20:4111111111111111");
    let (head, _) = statements(Mt940, &file).remove(0);
    assert_eq!(head.id, "************1111");
    // What names a BAI2 file is three parts, and an account is told by its number.
    let file = samples::bai2("", 0, 0)
        .replace("01,BANKUS33", "01,521000353")
        .replace("03,0012345678", "03,4111111111111111");
    let (head, _) = statements(Bai2, &file).remove(0);
    assert_eq!(head.id, "521000353/2026-12-01/7");
    assert_eq!(head.account, "4111111111111111".parse().unwrap());
}
