//! What is refused, and where it says that it is wrong.

use super::*;

fn fault(bytes: &[u8]) -> String {
    let Err(ReportError::Faults(faults)) = read(bytes) else {
        panic!("no fault");
    };
    assert_eq!(faults.count, 1, "{faults}");
    faults.first[0].to_string()
}

#[test]
fn another_file_is_refused_with_the_byte_and_what_was_there() {
    let text = b"1IP727010-AA MASTERCARD WORLDWIDE CLEARING CYCLE 001 ACKNOWLEDGEMENT";
    assert_eq!(
        fault(text),
        "line 1: byte 0: expected a record of 20 to 16384 bytes, got \"31 49 50 37\""
    );
    // Records of another kind, such as a report's lines (T113).
    let mut other = 133_u32.to_be_bytes().to_vec();
    other.extend([0x40; 133]);
    other.extend([0; 4]);
    let said = fault(&other);
    assert!(said.starts_with("line 1: byte 4: expected"), "{said}");
    // Messages, but not a file of them.
    let no_header = records(&[purchase()], Letters::Ebcdic);
    let said = fault(&no_header);
    let expected = "expected a header (message type 1644, function code 697), \
                    got \"message type 1240, function code 200\"";
    assert!(
        said.starts_with("line 1: DE 24, byte ") && said.ends_with(expected),
        "{said}"
    );
    assert!(fault(b"").contains("expected the length of a record"));
    assert!(fault(&[0; 4]).contains("expected a header"));
}

#[test]
fn a_trailer_must_agree() {
    let with = |trailer: Sent| {
        let messages = [header(), purchase(), purchase(), trailer];
        fault(&blocked(&records(&messages, Letters::Ebcdic)))
    };
    let count = with(trailer(3, 29_974));
    assert!(count.starts_with("line 4: DE 48, byte "), "{count}");
    let expected = "expected PDS 0306: 4 messages, got \"3\"";
    assert!(count.ends_with(expected), "{count}");
    let sum = with(trailer(4, 29_975));
    let expected = "expected PDS 0301: 29974 as the sum of amounts, got \"29975\"";
    assert!(sum.ends_with(expected), "{sum}");
    let none = with(trailer(4, 29_974).with(48, "0306008 0000004"));
    assert!(none.contains("PDS 0306: 4 messages"), "{none}");
    let missing = with(trailer(4, 29_974).with(48, "030600800000004"));
    assert!(
        missing.ends_with("expected PDS 0301, got \"none\""),
        "{missing}"
    );
    let cut = [header(), purchase()];
    let cut = fault(&records(&cut, Letters::Ascii));
    assert!(cut.contains("expected a trailer"), "{cut}");
    // Both headers are counted.
    let two = [header(), header(), purchase(), trailer(4, 14_987)];
    let two = fault(&records(&two, Letters::Ascii));
    assert!(two.contains("before the next header"), "{two}");
    // What follows a wrong trailer is looked at.
    let wrong = [header(), purchase(), trailer(4, 14_987)];
    let next = file(vec![purchase().with(42, "")]);
    let both = records(&[&wrong[..], &next].concat(), Letters::Ascii);
    let Err(ReportError::Faults(faults)) = read(&both) else {
        panic!("no fault");
    };
    let lines: Vec<_> = faults.first.iter().map(|fault| fault.line).collect();
    assert_eq!(lines, [3, 5]);
}

#[test]
fn each_wrong_message_is_named_and_nothing_counts() {
    let messages = file(vec![
        purchase(),
        purchase().with(49, "999"),
        purchase().with(12, "261329000000"),
        purchase().with(3, "170000"),
        purchase().with(24, "290"),
        purchase().with(42, ""),
        purchase().with(37, "").with(31, ""),
        purchase().with(48, "0023003CT1"),
        Sent("1442", purchase().1),
        purchase(),
    ]);
    let bytes = records(&messages, Letters::Ascii);
    let format = format("");
    let mut reader = IpmReader::new(&format, &bytes[..]).unwrap();
    assert_eq!(reader.next().unwrap().unwrap().number, 2);
    let Some(Err(ReportError::Faults(faults))) = reader.next() else {
        panic!("faults");
    };
    assert!(reader.next().is_none());
    assert_eq!(faults.count, 8);
    for (fault, (line, part)) in faults.first.iter().zip([
        (3, "expected the number of a currency, got \"999\""),
        (
            4,
            "expected a date and time as YYMMDDhhmmss, got \"261329\"",
        ),
        (
            5,
            "expected a processing code that begins with 00, 20, got \"170000\"",
        ),
        (
            6,
            "expected the function code 200, 205 or 282 of a presentment, got \"290\"",
        ),
        (7, "expected an acceptor, got \"none\""),
        (
            8,
            "expected an RRN, or an acquirer's reference in DE 31, got \"none\"",
        ),
        (9, "expected PDS 0148 with the exponent of 978"),
        (
            10,
            "expected the function code 450, 451, 453 or 454 of a chargeback, got \"200\"",
        ),
    ]) {
        assert_eq!(fault.line, line);
        assert!(fault.to_string().contains(part), "{fault}");
    }
    // The byte is that of the element in the file.
    let place = faults.first[0].column.as_deref().unwrap();
    let offset: usize = place.strip_prefix("DE 49, byte ").unwrap().parse().unwrap();
    assert_eq!(&bytes[offset..offset + 3], b"999");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_break_it(bytes in prop::collection::vec(any::<u8>(), 0..3_000)) {
        let _ = read(&bytes);
        // Behind a length that could be.
        let mut framed = 60_u32.to_be_bytes().to_vec();
        framed.extend(bytes);
        let _ = read(&framed);
    }

    #[test]
    fn no_damage_breaks_it(at in 0..20_000_usize, byte in any::<u8>(), is_blocked in any::<bool>()) {
        let data = records(&file(vec![purchase(); 40]), Letters::Ebcdic);
        let mut bytes = if is_blocked { blocked(&data) } else { data };
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = read(&bytes);
    }

    #[test]
    fn of_a_file_that_is_cut_nothing_counts(cut in 0..20_000_usize, is_blocked in any::<bool>()) {
        let data = records(&file(vec![purchase(); 40]), Letters::Ebcdic);
        let bytes = if is_blocked { blocked(&data) } else { data };
        let cut = cut % bytes.len();
        prop_assert!(read(&bytes[..cut]).is_err(), "{} of {}", cut, bytes.len());
    }
}
