use proptest::prelude::*;

use super::*;
use crate::payment::ids::{CaptureId, RefundId, SubjectId};
use crate::payment::moment::UnixMillis;
use crate::payment::money::Money;
use crate::payment::settlement::ItemKind;
use crate::settlement::clearing::file_name::Cycle;
use crate::settlement::clearing::item::CardNumber;

fn format(keys: &str) -> ClearingFormat {
    let name = "name = \"{date}-{cycle}\"";
    ClearingFormat::from_table(toml::from_str(&format!("{name}\n{keys}")).unwrap()).unwrap()
}

fn csv(keys: &str) -> ClearingFormat {
    format(&format!("format = \"csv\"\n{keys}"))
}

fn nps(keys: &str) -> ClearingFormat {
    let ids = "member_id = \"00000004567\"\nacquirer_id = \"00000009289\"";
    format(&format!(
        "format = \"nps\"\n{ids}\nfile_type = \"I\"\nmode = \"T\"\n{keys}"
    ))
}

fn header() -> FileHeader {
    FileHeader {
        host_id: "acquirer".parse().unwrap(),
        business_date: "2026-11-29".parse().unwrap(),
        cycle: Cycle::new(1).unwrap(),
    }
}

fn item(kind: ItemKind, minor: i64, currency: &str) -> ClearingItem<'static> {
    let now = UnixMillis::new(1_795_910_400_000);
    ClearingItem {
        kind,
        subject_id: match kind {
            ItemKind::Capture => SubjectId::Capture(CaptureId::from_parts(now, [7; 10])),
            _ => SubjectId::Refund(RefundId::from_parts(now, [8; 10])),
        },
        amount: Money::new(minor, currency.parse().unwrap()).unwrap(),
        acceptor_id: "DEMOSHOP0000001",
        terminal_id: "WEB00001",
        rrn: "633300000001".parse().unwrap(),
        approval_code: Some("A1B2C3"),
        card_masked: Some("411111******1111"),
        card_number: Some(CardNumber("4111111111111111")),
        acquirer_reference: None,
        mcc: Some("5732"),
        local_date_time: Some("20261129104516"),
        name_location: Some("DEMO SHOP             BERLIN       DE"),
        settlement_date: Some("1129"),
    }
}

fn capture(minor: i64, currency: &str) -> ClearingItem<'static> {
    item(ItemKind::Capture, minor, currency)
}

fn refund(minor: i64, currency: &str) -> ClearingItem<'static> {
    item(ItemKind::Refund, minor, currency)
}

fn write(
    format: &ClearingFormat,
    items: &[ClearingItem<'_>],
) -> Result<(String, ControlTotals), ClearingError> {
    let mut out = Vec::new();
    let mut writer = ClearingWriter::new(format, &header(), &mut out)?;
    for item in items {
        writer.item(item)?;
    }
    let totals = writer.finish()?;
    Ok((String::from_utf8(out).unwrap(), totals))
}

#[test]
fn the_csv_is_the_one_that_the_bank_takes() {
    let items = [
        capture(14987, "EUR"),
        ClearingItem {
            approval_code: None,
            ..refund(5, "EUR")
        },
    ];
    let (text, totals) = write(&csv(""), &items).unwrap();
    let (capture, refund) = (items[0].subject_id, items[1].subject_id);
    let expected = format!(
        "Record,Business Date,Acceptor,Terminal,Type,RRN,Approval Code,Amount,Currency,Reference\n\
         D,2026-11-29,DEMOSHOP0000001,WEB00001,SALE,633300000001,A1B2C3,149.87,EUR,{capture}\n\
         D,2026-11-29,DEMOSHOP0000001,WEB00001,REFUND,633300000001,,0.05,EUR,{refund}\n\
         T,2026-11-29,,,,,,14992,EUR,2\n"
    );
    assert_eq!(text, expected);
    let sum = CurrencySum {
        currency: "EUR".parse().unwrap(),
        count: 2,
        sum_minor: 14992,
    };
    assert_eq!((totals.count, totals.sums), (2, vec![sum]));
}

#[test]
fn a_trailer_of_several_currencies_names_none() {
    let items = [
        capture(14987, "JPY"),
        capture(1250, "KWD"),
        capture(1, "EUR"),
    ];
    let (text, totals) = write(&csv(""), &items).unwrap();
    for line in [
        ",14987,JPY,",
        ",1.250,KWD,",
        ",0.01,EUR,",
        "\nT,2026-11-29,,,,,,16238,,3\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
    let sums = totals.sums.iter().map(|sum| sum.currency.code());
    assert_eq!(sums.collect::<Vec<_>>(), ["EUR", "JPY", "KWD"]);

    let (text, _) = write(&csv(""), &[]).unwrap();
    assert!(text.ends_with(",Reference\nT,2026-11-29,,,,,,0,,0\n"));
}

#[test]
fn columns_are_as_the_profile_says() {
    let format = csv(r#"
separator = ";"
amount = "minor"
date = "YYYYMMDD"
trailer = false
types = { capture = "K;1", refund = "R" }
columns = [
  { header = "No;", value = "sequence" },
  { header = "Day", value = "business_date" },
  { header = "Kind", value = "type" },
  { header = "Sum", value = "amount" },
  { header = "Cur", value = "currency_numeric" },
  { header = "Card", value = "card_masked" },
  { header = "Text", literal = "say \"hi\"" },
]"#);
    let items = [capture(14987, "EUR"), refund(1250, "ALL")];
    assert_eq!(
        write(&format, &items).unwrap().0,
        "\"No;\";Day;Kind;Sum;Cur;Card;Text\n\
         1;20261129;\"K;1\";14987;978;411111******1111;\"say \"\"hi\"\"\"\n\
         2;20261129;R;1250;008;411111******1111;\"say \"\"hi\"\"\"\n"
    );
}

#[test]
fn nps_records_have_batches_and_two_places() {
    let format = nps(r#"
[fields]
14 = "amount"
15 = { literal = "524" }
20 = { literal = "00000009289" }
36 = { literal = "BankA" }
37 = { literal = "0" }"#);
    let items = [
        capture(50000, "NPR"),
        capture(150, "JPY"),
        refund(1250, "KWD"),
    ];
    let (text, totals) = write(&format, &items).unwrap();
    let head = "^4111111111111111^A1B2C3^633300000001^^5732^20261129104516^WEB00001^DEMO SHOP             BERLIN       DE^";
    let tail = "^^^^^00000009289^^00000009289^^20261129^^^0^^^^^^^^^BankA^0^^^^^000000092891129A1B2C3633300000001^A^^";
    let expected = format!(
        "1644^601^O^00000004567^20261129^1^I^T\n\
         1664^601^1^05\n\
         1240^200^000000{head}500.00^524^500.00^524{tail}\n\
         1240^200^000000{head}150.00^392^150.00^524{tail}\n\
         1664^602^05^650.00^2\n\
         1664^601^2^08\n\
         1240^200^200000{head}1.25^414^1.25^524{tail}\n\
         1664^602^08^1.25^1\n\
         1644^602^2^651.25^3\n"
    );
    assert_eq!(text, expected);
    assert_eq!(totals.count, 3);
    for line in text.lines().filter(|line| line.starts_with("1240")) {
        assert_eq!(line.split('^').count(), 45, "{line}");
    }
    let (text, _) = write(&format, &[]).unwrap();
    let empty = "1644^601^O^00000004567^20261129^1^I^T\n1644^602^0^0.00^0\n";
    assert_eq!(text, empty);
}

#[test]
fn nps_amounts_are_filled_up_where_the_bank_wants_it() {
    let (text, _) = write(&nps("pad_amounts = true"), &[capture(50000, "NPR")]).unwrap();
    assert!(text.contains("^000000500.00^524^^^^"), "{text}");
    assert!(text.contains("\n1664^602^05^500.00^1\n"), "{text}");
}

#[test]
fn what_fits_no_field_is_an_error_that_names_it() {
    let item = capture(1, "NPR");
    let cases = [
        (
            csv(""),
            ClearingItem {
                terminal_id: "WEB\n1",
                ..item
            },
            "): Terminal: expected a text without control characters, got \"WEB\\n1\"",
        ),
        (
            nps(""),
            ClearingItem {
                terminal_id: "WEB^1",
                ..item
            },
            "position 10 (terminal): expected at most 16 printable ASCII characters but for ^, got \"WEB^1\"",
        ),
        (
            nps(""),
            ClearingItem {
                name_location: Some("Café"),
                ..item
            },
            "position 11 (name and location): expected at most 100 printable ASCII",
        ),
        (
            nps(""),
            ClearingItem {
                mcc: Some("57320"),
                ..item
            },
            "position 8 (MCC): expected at most 4 digits, got \"57320\"",
        ),
        (
            nps(""),
            ClearingItem {
                rrn: "63330000000A".parse().unwrap(),
                ..item
            },
            "position 6 (RRN): expected at most 12 digits",
        ),
        (
            nps(""),
            ClearingItem {
                card_number: Some(CardNumber("4111111111111111^11")),
                ..item
            },
            "position 4 (PAN or token): expected at most 19 printable ASCII characters but for ^, got \"************1111^11\"",
        ),
        (
            nps(""),
            capture(100_000_000_000, "NPR"),
            "position 12 (amount): expected at most 12 digits with a dot, got \"1000000000.00\"",
        ),
        (
            nps(""),
            capture(1255, "KWD"),
            "position 12 (amount): expected an amount of two places, got \"1.255 KWD\"",
        ),
    ];
    for (format, item, expected) in cases {
        let error = write(&format, &[item]).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!format!("{item:?}").contains("4111111111111111"));
    }
    assert!(write(&nps(""), &[capture(99_999_999_999, "NPR")]).is_ok());
}

#[test]
fn nps_items_come_in_the_order_of_their_codes() {
    let items = [capture(1, "NPR"), refund(1, "NPR"), capture(1, "NPR")];
    let error = write(&nps(""), &items).unwrap_err();
    assert_eq!(
        error.to_string(),
        "item 3: expected items in the order of their transaction codes, got 05 after 08"
    );
}

#[test]
fn a_place_that_fails_is_an_error() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    for format in [csv(""), nps("")] {
        let written = ClearingWriter::new(&format, &header(), Full).and_then(|mut writer| {
            writer.item(&capture(1, "NPR"))?;
            writer.finish()
        });
        assert!(
            matches!(written, Err(ClearingError::Write(_))),
            "{written:?}"
        );
    }
}

fn any_item() -> impl Strategy<Value = (bool, i64, &'static str, String, String)> {
    (
        any::<bool>(),
        0..100_000_000_i64,
        prop_oneof![Just("EUR"), Just("JPY"), Just("KWD")],
        "[A-Z0-9 ,;\"]{1,15}",
        "[a-zA-Z0-9,\"']{0,8}",
    )
}

proptest! {
    #[test]
    fn the_same_items_make_the_same_bytes_which_a_reader_understands(
        mut raw in proptest::collection::vec(any_item(), 0..30),
    ) {
        raw.sort_by_key(|(is_refund, ..)| *is_refund);
        let items: Vec<_> = raw.iter().map(|(is_refund, minor, currency, acceptor, terminal)| {
            let kind = if *is_refund { ItemKind::Refund } else { ItemKind::Capture };
            // NPS has two places: fils in tens.
            ClearingItem {
                acceptor_id: acceptor,
                terminal_id: terminal,
                ..item(kind, minor / 10 * 10, currency)
            }
        }).collect();
        for format in [csv(""), nps("")] {
            let (text, totals) = write(&format, &items).unwrap();
            prop_assert_eq!(&write(&format, &items).unwrap().0, &text);
            prop_assert_eq!(totals.count, u64::try_from(items.len()).unwrap());
            let sum: i64 = totals.sums.iter().map(|sum| sum.sum_minor).sum();
            prop_assert_eq!(sum, items.iter().map(|item| item.amount.amount_minor()).sum::<i64>());
        }
        let (text, _) = write(&csv(""), &items).unwrap();
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
        prop_assert_eq!(rows.len(), items.len() + 1);
        for (row, item) in rows.iter().zip(&items) {
            prop_assert_eq!(&row[2], item.acceptor_id);
            prop_assert_eq!(&row[3], item.terminal_id);
            let digits = item.amount.currency().minor_digits();
            let read = crate::settlement::amount_form::minor_of_decimal(&row[7], digits);
            prop_assert_eq!(read, Ok(item.amount.amount_minor()));
        }
    }

    #[test]
    fn no_text_breaks_it(text in any::<String>(), number in "\\PC{0,20}") {
        let item = ClearingItem {
            acceptor_id: &text,
            terminal_id: &number,
            approval_code: Some(&number),
            card_number: Some(CardNumber(&text)),
            name_location: Some(&text),
            local_date_time: Some(&number),
            ..capture(1, "EUR")
        };
        for format in [csv(""), nps("")] {
            if let Ok((text, _)) = write(&format, &[item]) {
                let lines = if format == csv("") { 3 } else { 5 };
                prop_assert_eq!(text.lines().count(), lines, "{}", text);
            }
        }
    }
}
