//! Clearing files with and without faults.

use super::{
    clearing::{ClearingAnswer, HEADER, read},
    item::ItemKind,
};

const D: &str = "D,2026-11-29,SHOP,TERM0001,SALE,633312000001,000007,12.50,EUR,cap_1";
const T: &str = "T,2026-11-29,,,,,,1250,EUR,1";

fn file(lines: &[&str]) -> String {
    let header = HEADER.join(",");
    [&[header.as_str()], lines].concat().join("\n") + "\n"
}

fn faults(text: &str) -> Vec<(u64, String)> {
    match read(text.as_bytes()) {
        Err(ClearingAnswer::Refused { faults, .. }) => {
            let faults = faults.into_iter();
            faults.map(|fault| (fault.line, fault.problem)).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_is_read_whole() {
    let yen = "D,2026-11-29,SHOP,TERM0001,REFUND,633312000002,,100,JPY,ref_1";
    let whole = read(file(&[D, yen, "T,2026-11-29,,,,,,1350,,2"]).as_bytes()).unwrap();
    assert_eq!(whole.business_date.to_string(), "2026-11-29");
    let amounts = whole.details.iter().map(|detail| {
        let item = &detail.item;
        (detail.place.currency_numeric, item.kind, item.amount_minor)
    });
    let expected = [
        (978, ItemKind::Capture, 1_250),
        (392, ItemKind::Refund, 100),
    ];
    assert!(amounts.eq(expected));
    let empty = file(&["T,2026-11-29,,,,,,0,,0"]);
    assert!(read(empty.as_bytes()).unwrap().details.is_empty());
}

#[test]
fn every_fault_is_named_with_its_line() {
    let changed = |from: &str, to: &str| D.replace(from, to);
    for (line, column) in [
        (changed("2026-11-29", "29.11.2026"), "Business Date"),
        (changed("SHOP", ""), "Acceptor"),
        (changed("TERM0001", "TERM00001"), "Terminal"),
        (changed("SALE", "SALES"), "Type"),
        (changed("633312000001", "63331200001"), "RRN"),
        (changed("000007", "0000007"), "Approval Code"),
        (changed("12.50", "12.505"), "Amount"),
        (changed("12.50", "-12.50"), "Amount"),
        (changed("12.50", "0"), "Amount"),
        (changed("EUR", "978"), "Currency"),
        (changed("D,", "X,"), "Record"),
    ] {
        let found = faults(&file(&[D, &line, "T,2026-11-29,,,,,,1250,EUR,2"]));
        let (number, problem) = &found[0];
        assert_eq!(*number, 3, "{line}");
        assert!(problem.starts_with(column), "{line}: {problem}");
    }
    for (trailer, column) in [
        ("T,2026-11-30,,,,,,1250,EUR,1", "Business Date"),
        ("T,2026-11-29,,,,,,1251,EUR,1", "Amount"),
        ("T,2026-11-29,,,,,,1250,,1", "Currency"),
        ("T,2026-11-29,,,,,,1250,EUR,2", "Reference"),
        ("T,2026-11-29,,,,,,1250,EUR", "expected 10 columns"),
    ] {
        let found = faults(&file(&[D, trailer]));
        assert!(found[0].1.starts_with(column), "{trailer}: {found:?}");
    }
    let whole = [
        (file(&[D]), 0, "expected a trailer"),
        (file(&[D, T, D]), 4, "expected nothing after"),
        (format!("{D}\n{T}\n"), 1, "expected the header"),
        (String::new(), 0, "expected a trailer"),
    ];
    for (text, line, begins) in whole {
        let (number, problem) = &faults(&text)[0];
        assert_eq!(*number, line, "{text}");
        assert!(problem.starts_with(begins), "{problem}");
    }
}

proptest::proptest! {
    #[test]
    fn no_bytes_are_too_strange(bytes in proptest::collection::vec(0_u8..=255, 0..200)) {
        let _ = read(&bytes);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let _ = read(file(&[&text]).as_bytes());
    }

    #[test]
    fn any_one_byte_of_an_amount_that_is_changed_is_noticed(at in 0_usize..5, to in 0x20_u8..0x7F) {
        let text = file(&[D, T]);
        let begin = text.find("D,2026").unwrap();
        let mut bytes = text.into_bytes();
        let place = begin + D.find("12.50").unwrap() + at;
        proptest::prop_assume!(bytes[place] != to);
        bytes[place] = to;
        proptest::prop_assert!(read(&bytes).is_err());
    }
}
