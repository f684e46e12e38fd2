use iso8583::MessageBuilder;
use proptest::prelude::*;

use super::*;
use crate::settlement::report::format::ReportKind;

mod faults;

/// A message of a clearing file: its type, and its elements.
#[derive(Clone)]
struct Sent(&'static str, Vec<(u8, String)>);

impl Sent {
    fn with(mut self, de: u8, value: &str) -> Self {
        self.1.retain(|(other, _)| *other != de);
        if !value.is_empty() {
            self.1.push((de, value.to_owned()));
        }
        self
    }
}

fn sent(mti: &'static str, function: &str, elements: &[(u8, &str)]) -> Sent {
    let all = [(24, function), (71, "00000001")];
    let all = all.iter().chain(elements);
    Sent(
        mti,
        all.map(|(de, value)| (*de, (*value).to_owned())).collect(),
    )
}

fn header() -> Sent {
    let id = "0105025002261129000000203240000".to_owned() + "1";
    sent("1644", "697", &[(48, &id)])
}

fn trailer(messages: u64, amount: u64) -> Sent {
    let checks = format!("0301016{amount:016}0306008{messages:08}");
    sent("1644", "695", &[(48, &checks)])
}

/// A purchase of 149.87 EUR.
fn purchase() -> Sent {
    sent(
        "1240",
        "200",
        &[
            (2, "5413330000000019"),
            (3, "000000"),
            (4, "000000014987"),
            (12, "261129101112"),
            (26, "5942"),
            (31, "74000006333000000000012"),
            (37, "633300000001"),
            (38, "A1B2C3"),
            (42, "DEMOSHOP0000001"),
            (43, "DEMO SHOP"),
            (48, "0023003CT101480049782"),
            (49, "978"),
            (95, "0000000001"),
        ],
    )
}

/// The messages between a header and a trailer, and what it has to say of them.
fn file(messages: Vec<Sent>) -> Vec<Sent> {
    let amount = |it: &Sent| {
        let amount = it.1.iter().find(|(de, _)| *de == 4);
        amount.map_or(0, |(_, text)| text.parse().unwrap())
    };
    let sum = messages.iter().map(amount).sum();
    let count = messages.len() as u64 + 2;
    [vec![header()], messages, vec![trailer(count, sum)]].concat()
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Letters {
    Ascii,
    Ebcdic,
}

fn records(messages: &[Sent], letters: Letters) -> Vec<u8> {
    let dialects = Dialects::read().unwrap();
    let dialect = match letters {
        Letters::Ascii => dialects.of(b"1"),
        Letters::Ebcdic => dialects.of(&[0xF1]),
    };
    let mut bytes = Vec::new();
    for Sent(mti, elements) in messages {
        let mut message = MessageBuilder::new(mti.parse().unwrap());
        // Both bitmaps are always there.
        message.text(100, "123456");
        for (de, value) in elements {
            if matches!(de, 2 | 43 | 48 | 62 | 95) {
                let of = |byte: u8| match (letters, byte) {
                    (Letters::Ascii, byte) => byte,
                    (_, b'0'..=b'9') => byte - b'0' + 0xF0,
                    (_, b'A'..=b'I') => byte - b'A' + 0xC1,
                    (_, b'J'..=b'R') => byte - b'J' + 0xD1,
                    (_, b'S'..=b'Z') => byte - b'S' + 0xE2,
                    (_, _) => 0x40,
                };
                let value: Vec<u8> = value.bytes().map(of).collect();
                message.bytes(*de, &value);
            } else {
                message.text(*de, value);
            }
        }
        let mut record = Vec::new();
        dialect.encode(&message, &mut record).unwrap();
        let length = u32::try_from(record.len()).unwrap();
        bytes.extend(length.to_be_bytes());
        bytes.extend(record);
    }
    bytes.extend([0; 4]);
    bytes
}

fn blocked(data: &[u8]) -> Vec<u8> {
    let block = |data: &[u8]| {
        let mut block = data.to_vec();
        block.resize(1014, 0x40);
        block
    };
    data.chunks(1012).flat_map(block).collect()
}

fn format(text: &str) -> IpmFormat {
    IpmFormat::from_table(toml::from_str(text).unwrap()).unwrap()
}

fn read_as(format: &IpmFormat, bytes: &[u8]) -> Result<Vec<ReportLine>, ReportError> {
    IpmReader::new(format, bytes)?.collect()
}

fn read(bytes: &[u8]) -> Result<Vec<ReportLine>, ReportError> {
    read_as(&format(""), bytes)
}

fn lines(messages: Vec<Sent>) -> Vec<ReportLine> {
    read(&records(&file(messages), Letters::Ascii)).unwrap()
}

#[test]
fn both_letters_and_both_blockings_are_read_the_same() {
    // Enough for several blocks.
    let messages = file(vec![purchase(); 40]);
    for letters in [Letters::Ascii, Letters::Ebcdic] {
        let data = records(&messages, letters);
        for bytes in [blocked(&data), data] {
            let lines = read(&bytes).unwrap();
            assert_eq!(lines.len(), 40, "{letters:?}");
            let expected = ReportLine {
                number: 2,
                business_date: "2026-11-29".parse().unwrap(),
                acceptor: "DEMOSHOP0000001".to_owned(),
                kind: ReportKind::Capture,
                rrn: Some("633300000001".to_owned()),
                acquirer_reference: Some("74000006333000000000012".to_owned()),
                approval_code: Some("A1B2C3".to_owned()),
                merchant_reference: None,
                currency: "EUR".parse().unwrap(),
                gross_minor: 14_987,
                interchange_minor: None,
                scheme_fee_minor: None,
                commission_minor: None,
                net_minor: None,
                reject_code: None,
                cycle: None,
            };
            assert_eq!(lines[0], expected);
            assert_eq!(lines[39].number, 41);
        }
    }
}

#[test]
fn a_message_says_what_it_is_and_which_way_the_money_goes() {
    use ReportKind::{Capture, Chargeback, ChargebackReversal, Refund};
    let refund = || purchase().with(3, "200000");
    let charged_back = |of: Sent, function| Sent("1442", of.with(24, function).1);
    let reversed = |of: Sent| of.with(48, "014800497820025007R261130");
    let cases = [
        (purchase(), Capture, 14_987),
        (refund(), Refund, -14_987),
        (reversed(purchase()), Capture, -14_987),
        (reversed(refund()), Refund, 14_987),
        (purchase().with(24, "205"), ChargebackReversal, 14_987),
        (purchase().with(24, "282"), ChargebackReversal, 14_987),
        (charged_back(purchase(), "450"), Chargeback, -14_987),
        (charged_back(purchase(), "453"), Chargeback, -14_987),
        (charged_back(refund(), "450"), Chargeback, 14_987),
        (
            charged_back(reversed(purchase()), "450"),
            ChargebackReversal,
            14_987,
        ),
    ];
    for (index, (message, kind, gross_minor)) in cases.into_iter().enumerate() {
        let lines = lines(vec![message]);
        let said = (lines[0].kind, lines[0].gross_minor);
        assert_eq!(said, (kind, gross_minor), "case {index}");
    }
    let fee = sent("1740", "700", &[(4, "000000000100"), (49, "978")]);
    let text = sent("1644", "693", &[]);
    assert_eq!(lines(vec![fee, text, purchase()]).len(), 1);
}

#[test]
fn amounts_have_the_decimals_that_the_message_says() {
    let of = |amount: &str, currency: &str, exponent: &str| {
        let decimals = format!("01480088402{currency}{exponent}");
        let message = purchase().with(4, amount).with(49, currency);
        let message = message.with(48, &decimals);
        let lines = read(&records(&file(vec![message]), Letters::Ebcdic));
        let line = lines.map(|lines| (lines[0].currency.code(), lines[0].gross_minor));
        line.map_err(|error| error.to_string())
    };
    for (amount, currency, exponent, expected) in [
        ("000000014987", "978", "2", Ok(("EUR", 14_987))),
        ("000000000700", "392", "0", Ok(("JPY", 700))),
        ("000000001250", "414", "3", Ok(("KWD", 1_250))),
        // The network counts some currencies otherwise than ISO 4217 does.
        ("000000070000", "392", "2", Ok(("JPY", 700))),
        ("000000000125", "414", "2", Ok(("KWD", 1_250))),
        (
            "000000070050",
            "392",
            "2",
            Err("2 decimals that JPY has room for"),
        ),
        ("000000000001", "999", "2", Err("the number of a currency")),
    ] {
        match (of(amount, currency, exponent), expected) {
            (Ok(read), Ok(expected)) => assert_eq!(read, expected),
            (Err(error), Err(expected)) => assert!(error.contains(expected), "{error}"),
            (read, _) => panic!("{read:?}"),
        }
    }
}

#[test]
fn a_profile_says_which_date_counts_and_what_is_left_out() {
    let messages = file(vec![
        purchase().with(12, "261130000001"),
        purchase().with(3, "010000"),
    ]);
    let bytes = records(&messages, Letters::Ascii);
    let of_file = format("date = \"file\"\nignore = [\"01\"]");
    let lines = read_as(&of_file, &bytes).unwrap();
    let dates: Vec<_> = lines
        .iter()
        .map(|it| it.business_date.to_string())
        .collect();
    assert_eq!(dates, ["2026-11-29"]);
    let of_transaction = format("ignore = [\"01\"]");
    let lines = read_as(&of_transaction, &bytes).unwrap();
    assert_eq!(lines[0].business_date.to_string(), "2026-11-30");
    // What is charged back has the time of the purchase, and is of the day of the file.
    let charged_back = Sent(
        "1442",
        purchase().with(24, "450").with(12, "261002101112").1,
    );
    let given_back = purchase().with(24, "205").with(12, "261002101112");
    let bytes = records(&file(vec![charged_back, given_back]), Letters::Ascii);
    let lines = read_as(&of_transaction, &bytes).unwrap();
    let dates = lines.iter().map(|it| it.business_date.to_string());
    assert_eq!(dates.collect::<Vec<_>>(), ["2026-11-29"; 2]);
}

#[test]
fn a_card_number_may_be_masked() {
    let masked = purchase().with(2, "541333******0019");
    assert_eq!(lines(vec![masked, purchase().with(2, "")]).len(), 2);
}

#[test]
fn several_files_may_follow_one_another() {
    let both = [file(vec![purchase()]), file(vec![purchase(), purchase()])].concat();
    let lines = read(&records(&both, Letters::Ascii)).unwrap();
    let numbers: Vec<_> = lines.iter().map(|line| line.number).collect();
    assert_eq!(numbers, [2, 5, 6]);
}
