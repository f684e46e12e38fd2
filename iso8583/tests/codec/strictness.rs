//! What the decoder refuses: where it says the fault is, and what it has read all the same.

use iso8583::Dialect;
use iso8583::Part;

use crate::{builtin, hex, rows};

/// Dialect | bytes | the error's text | the fields that were read all the same (`-`: not even an MTI).
const CASES: &str = "
# Nothing, or not enough of it.
iso1987-ascii-binary |  | MTI at offset 0: expected 4 bytes, got 0 bytes | -
iso1987-ascii-binary | 303130 | MTI at offset 0: expected 4 bytes, got 3 bytes | -
iso1987-bcd | 60000000 | header at offset 0: expected 5 bytes, got 4 bytes | -
iso1987-bcd | 6000000000 01 | MTI at offset 5: expected 2 bytes, got 1 bytes | -
iso1987-ascii-binary | 3031302F | MTI at offset 0: expected 4 digits, got 0x3031302F | -
iso1987-bcd | 6000000000 010A | MTI at offset 5: expected 4 digits, got 0x010A | -
iso1987-ebcdic | 30313030 | MTI at offset 0: expected 4 digits, got 0x30313030 | -
iso1987-ascii-binary | 30313030 00200000000000 | primary bitmap at offset 4: expected 8 bytes, got 7 bytes |
iso1987-ascii-binary | 30313030 8020000000000000 04 | secondary bitmap at offset 12: expected 8 bytes, got 1 bytes |
iso1987-ascii-hex | 30313030 30303230303030303030 47 303030303030 30 | primary bitmap at offset 14: expected a hexadecimal digit, got 0x47 |
# A bit for what is not there to be sent.
iso1987-ascii-binary | 30313030 8020000000000000 8000000000000000 303030303432 30 | DE 65 at offset 12: expected no tertiary bitmap, got bit 65 set |
# Lengths.
iso1987-ascii-binary | 30313030 6020000000000000 2B39 313131313131313131 303030303030 303030303432 | length of DE 2 at offset 12: expected 2 digits, got 0x2B39 |
iso1987-ascii-binary | 30313030 6020000000000000 3230 3131313131313131313131313131313131313131 303030303030 | length of DE 2 at offset 12: expected at most 19 digits, got 20 |
iso1987-bcd | 6000000000 0100 6020000000000000 1A 0000000000 000000 000042 | length of DE 2 at offset 15: expected 2 digits, got 0x1A |
iso1987-ascii-binary | 30313030 0020000001000000 303030303432 2036 313233343536 | length of DE 40 at offset 18: expected 2 digits, got 0x2036 | 11
iso1987-ascii-hex | 30313030 30303030303030303030303030323030 303033 303030 | length of DE 55 at offset 20: expected an even number of digits, got 3 |
iso1987-ascii-binary | 30313030 4020000000000000 3136 34313131 | DE 2 at offset 14: expected 16 bytes, got 4 bytes |
# Content. What follows is read all the same.
iso1987-ascii-binary | 30313030 7020000000000000 3034 34313131 303030303030 3030303030303031323A3530 303030303432 | DE 4 at offset 33: expected a digit, got 0x3A | 2 3 11
iso1987-bcd | 6000000000 0100 6020000000000000 03 1411 000000 000042 | DE 2 at offset 16: expected the pad nibble of the dialect, got 0x14 | 3 11
iso1987-bcd | 6000000000 0100 6020000000000000 04 41F1 000000 000042 | DE 2 at offset 17: expected BCD digits, got 0xF1 | 3 11
iso1987-bcd | 6000000000 0100 0020000020000000 000042 05 41D250 | DE 35 at offset 21: expected the pad nibble of the dialect, got 0x50 | 11
iso1987-bcd | 6000000000 0100 0020000020000000 000042 05 41E25F | DE 35 at offset 20: expected BCD digits or the separator D, got 0xE2 | 11
iso1987-bcd | 6000000000 0100 0020001000000000 000042 58 00000025 | DE 28 at offset 18: expected the sign C or D, got 0x58 | 11
iso1987-ebcdic | F0F1F0F0 0020001000000000 F0F0F0F0F4F2 C3F0F0F0F0F0F0F2C4 | DE 28 at offset 26: expected a digit, got 0xC4 | 11
iso1987-ebcdic | F0F1F0F0 0020000000800000 F0F0F0F0F4F2 E3C5D9D400F14040 | DE 41 at offset 22: expected a printable ASCII character, got 0x00 | 11
iso1987-ascii-binary | 30313030 0020000000800000 303030303432 5445524DC3A93031 | DE 41 at offset 22: expected a printable ASCII character, got 0xC3 | 11
iso1987-ascii-hex | 30313030 30303030303030303030303030323030 303032 304A | DE 55 at offset 24: expected a hexadecimal digit, got 0x4A |
# Too much.
iso1987-ascii-binary | 30313030 0020000000000000 303030303432 00 | after the last DE at offset 18: expected the end, got 1 more bytes | 11
iso1987-ascii-binary | 30313030 0020000000000000 3030303034FF 00 | DE 11 at offset 17: expected a digit, got 0xFF |
";

#[test]
fn each_fault_is_named_with_what_was_read_all_the_same() {
    for [name, bytes, expected, read] in rows(CASES) {
        // DE 40 is a fixed field in the standard; here it has a length, to have one in the middle.
        let toml =
            format!("name = \"{name}\"\nbase = \"{name}\"\n[fields.40]\nlength = \"ll\"\nmax = 9");
        let dialect = Dialect::from_toml(&toml).unwrap();
        let bytes = hex(bytes);
        let error = dialect.decode(&bytes).expect_err(expected);
        assert_eq!(error.to_string(), expected, "{name}");
        let partial = error.partial().map_or("-".to_owned(), |message| {
            let des: Vec<_> = message.iter_des().map(|de| de.to_string()).collect();
            des.join(" ")
        });
        assert_eq!(partial, read, "{name}: {expected}");
    }
}

#[test]
fn an_undefined_de_is_named() {
    let text = "name = \"small\"\nbase = \"iso1987-ascii-binary\"\nremoved = [24]";
    let dialect = Dialect::from_toml(text).unwrap();
    let bytes = hex("30313030 0020010000000000 303030303432 303031");
    let error = dialect.decode(&bytes).unwrap_err();
    assert_eq!(
        error.to_string(),
        "DE 24 at offset 18: expected a DE that small defines, got bit 24 set"
    );
    assert_eq!((error.de(), error.offset()), (Some(24), 18));
    assert_eq!(
        (error.expected(), error.got()),
        ("a DE that small defines", "bit 24 set")
    );
    assert_eq!(error.fault().part, Part::Content(24));
    let partial = error.partial().unwrap();
    assert_eq!((partial.number(11), partial.has(24)), (Some(42), false));
}

#[test]
fn every_cut_of_a_valid_message_is_an_error() {
    for name in Dialect::builtin_names() {
        let dialect = builtin(name);
        let frame = crate::mutations::authorization(dialect);
        for end in 0..frame.len() {
            assert!(
                dialect.decode(&frame[..end]).is_err(),
                "{name}: {end} bytes"
            );
        }
        assert!(dialect.decode(&frame).is_ok());
    }
}

#[test]
fn a_message_longer_than_offsets_can_say_is_refused() {
    let dialect = builtin("iso1987-ascii-hex");
    let error = dialect.decode(&[b'0'; 65_536]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "message at offset 0: expected at most 65535 bytes, got 65536 bytes"
    );
    assert!(error.partial().is_none());
}
