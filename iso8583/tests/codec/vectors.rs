//! Messages worked out by hand from ISO 8583:1987 and each dialect's encodings.

use iso8583::mti::Version;
use iso8583::{MessageBuilder, Mti};

use crate::{builtin, hex};

/// An authorization with an odd PAN, an amount with a sign, a track, text, a PIN block, chip data.
///
/// Bitmap: DE 2, 3, 4 | 11 | - | 28 | 35 | 41 | 52, 55 | - = 70 20 00 10 20 80 12 00.
fn authorization() -> MessageBuilder {
    let mut builder = MessageBuilder::new(Mti::AUTHORIZATION_REQUEST);
    builder
        .text(2, "371449635398431")
        .number(3, 0)
        .number(4, 1250)
        .text(11, "000042")
        .text(28, "D00000025")
        .text(35, "371449635398431=2512101")
        .text(41, "TERM01")
        .bytes(52, &[0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF])
        .bytes(55, &[0x9F, 0x27, 0x01, 0x80, 0x8A, 0x02, 0x30, 0x30]);
    builder
}

/// A sign-on: DE 7, 11, and 70, which needs a secondary bitmap.
///
/// Bitmaps: 1, 7 | 11 = 82 20 00 00 00 00 00 00, and 70 = 04 00 00 00 00 00 00 00.
fn sign_on() -> MessageBuilder {
    let mut builder = MessageBuilder::new(Mti::NETWORK_REQUEST);
    builder.text(7, "1121204500").number(11, 42).text(70, "001");
    builder
}

const AUTHORIZATIONS: [(&str, &str); 4] = [
    (
        "iso1987-ascii-hex",
        "30313030 37303230303031303230383031323030
         3135 333731343439363335333938343331
         303030303030
         303030303030303031323530
         303030303432
         44 3030303030303235
         3233 333731343439363335333938343331 3D 32353132313031
         5445524D30312020
         30313233343536373839414243444546
         303136 39463237303138303841303233303330",
    ),
    (
        "iso1987-ascii-binary",
        "30313030 7020001020801200
         3135 333731343439363335333938343331
         303030303030
         303030303030303031323530
         303030303432
         44 3030303030303235
         3233 333731343439363335333938343331 3D 32353132313031
         5445524D30312020
         0123456789ABCDEF
         303038 9F2701808A023030",
    ),
    (
        "iso1987-bcd",
        "6000000000 0100 7020001020801200
         15 0371449635398431
         000000
         000000001250
         000042
         44 00000025
         23 371449635398431D2512101F
         5445524D30312020
         0123456789ABCDEF
         0008 9F2701808A023030",
    ),
    (
        "iso1987-ebcdic",
        "F0F1F0F0 7020001020801200
         F1F5 F3F7F1F4F4F9F6F3F5F3F9F8F4F3F1
         F0F0F0F0F0F0
         F0F0F0F0F0F0F0F0F1F2F5F0
         F0F0F0F0F4F2
         C4 F0F0F0F0F0F0F2F5
         F2F3 F3F7F1F4F4F9F6F3F5F3F9F8F4F3F1 7E F2F5F1F2F1F0F1
         E3C5D9D4F0F14040
         0123456789ABCDEF
         F0F0F8 9F2701808A023030",
    ),
];

const SIGN_ONS: [(&str, &str); 4] = [
    (
        "iso1987-ascii-hex",
        "30383030 38323230303030303030303030303030 30343030303030303030303030303030
         31313231323034353030 303030303432 303031",
    ),
    (
        "iso1987-ascii-binary",
        "30383030 8220000000000000 0400000000000000 31313231323034353030 303030303432 303031",
    ),
    (
        "iso1987-bcd",
        "6000000000 0800 8220000000000000 0400000000000000 1121204500 000042 0001",
    ),
    (
        "iso1987-ebcdic",
        "F0F8F0F0 8220000000000000 0400000000000000 F1F1F2F1F2F0F4F5F0F0 F0F0F0F0F4F2 F0F0F1",
    ),
];

#[test]
fn every_dialect_writes_what_was_worked_out_by_hand() {
    let cases = [(AUTHORIZATIONS, authorization()), (SIGN_ONS, sign_on())];
    for (vectors, builder) in cases {
        for (name, expected) in vectors {
            let mut out = vec![0xEE];
            builtin(name).encode(&builder, &mut out).unwrap();
            assert_eq!(out[0], 0xEE, "{name} appends");
            assert_eq!(out[1..], hex(expected), "{name}");
        }
    }
}

#[test]
fn every_dialect_reads_what_was_worked_out_by_hand() {
    for (name, bytes) in AUTHORIZATIONS {
        let (dialect, bytes) = (builtin(name), hex(bytes));
        let message = dialect
            .decode(&bytes)
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(message.mti(), Mti::AUTHORIZATION_REQUEST);
        assert_eq!(
            message.iter_des().collect::<Vec<_>>(),
            [2, 3, 4, 11, 28, 35, 41, 52, 55]
        );
        assert_eq!(
            message.text(2).as_deref(),
            Some("371449635398431"),
            "{name}"
        );
        assert_eq!(message.number(2), Some(371_449_635_398_431));
        assert_eq!(message.text(4).as_deref(), Some("000000001250"), "{name}");
        assert_eq!(message.number(4), Some(1250));
        assert_eq!(message.text(28).as_deref(), Some("D00000025"), "{name}");
        assert_eq!(message.signed(28), Some(-25));
        assert_eq!(message.number(28), None);
        assert_eq!(
            message.text(35).as_deref(),
            Some("371449635398431=2512101"),
            "{name}"
        );
        assert_eq!(message.text(41).as_deref(), Some("TERM01  "), "{name}");
        assert_eq!(
            message.text_trimmed(41).as_deref(),
            Some("TERM01"),
            "{name}"
        );
        assert_eq!(
            message.bytes(52).as_deref(),
            Some(&hex("0123456789ABCDEF")[..]),
            "{name}"
        );
        assert_eq!(
            message.bytes(55).as_deref(),
            Some(&hex("9F2701808A023030")[..]),
            "{name}"
        );
        assert_eq!(message.text(55), None);
        assert_eq!(
            (message.text(39), message.raw(39), message.offset(39)),
            (None, None, None)
        );
        assert!(message.has(2) && !message.has(1) && !message.has(39));
        for de in message.iter_des() {
            let mut bytes = b"DE ".to_vec();
            assert!(message.append_bytes(de, &mut bytes), "{name} DE {de}");
            assert_eq!(
                bytes.get(3..),
                message.bytes(de).as_deref(),
                "{name} DE {de}"
            );
        }
        assert!(!message.append_bytes(39, &mut Vec::new()));
    }
}

/// A reversal of 1993: DE 12 with a date, function and reason codes, DE 56 with a length, an action code.
#[test]
fn the_edition_of_1993_has_elements_of_its_own() {
    let dialect = builtin("iso1993-ascii");
    assert_eq!(dialect.version(), Version::Iso1993);
    assert_eq!(builtin("iso1987-bcd").version(), Version::Iso1987);
    let mut builder = MessageBuilder::new("1420".parse().unwrap());
    builder
        .number(11, 42)
        .text(12, "261121204500")
        .text(24, "400")
        .text(25, "4021")
        .text(39, "914")
        .text(56, "110000004126112120440006400001");
    let mut bytes = Vec::new();
    dialect.encode(&builder, &mut bytes).unwrap();
    // Bitmap: 11, 12, 24, 25, 39, 56.
    let expected = "31343230 0030018002000100
         303030303432 323631313231323034353030 343030 34303231 393134
         3330 313130303030303034313236313132313230343430303036343030303031";
    assert_eq!(bytes, hex(expected));
    let message = dialect.decode(&bytes).unwrap();
    assert_eq!(message.text(39).as_deref(), Some("914"));
    assert_eq!(message.mti().response(), "1430".parse().ok());
}

#[test]
fn offsets_are_those_of_the_bytes() {
    let (dialect, bytes) = (builtin("iso1987-bcd"), hex(AUTHORIZATIONS[2].1));
    let message = dialect.decode(&bytes).unwrap();
    // TPDU 5, MTI 2, bitmap 8: the PAN's length is at 15.
    assert_eq!(message.header(), [0x60, 0, 0, 0, 0]);
    assert_eq!(message.offset(2), Some(15));
    assert_eq!(message.field_range(2), Some(15..24));
    assert_eq!(message.content_range(2), Some(16..24));
    assert_eq!(message.raw(2), Some(&hex("0371449635398431")[..]));
    assert_eq!(message.field_range(3), Some(24..27));
    assert_eq!(message.field_range(55), Some(bytes.len() - 10..bytes.len()));
    assert_eq!(
        message.content_range(55),
        Some(bytes.len() - 8..bytes.len())
    );
}

#[test]
fn a_secondary_bitmap_is_read_and_is_no_field() {
    for (name, bytes) in SIGN_ONS {
        let (dialect, bytes) = (builtin(name), hex(bytes));
        let message = dialect.decode(&bytes).unwrap();
        assert_eq!(message.mti(), Mti::NETWORK_REQUEST);
        assert_eq!(message.iter_des().collect::<Vec<_>>(), [7, 11, 70]);
        assert!(message.has(1));
        assert_eq!(message.raw(1), None);
        assert_eq!(message.number(70), Some(1));
    }
}

#[test]
fn a_header_that_is_given_is_kept() {
    let dialect = builtin("iso1987-bcd");
    let bytes = hex("6000120034 0800 8220000000000000 0400000000000000 1121204500 000042 0001");
    let message = dialect.decode(&bytes).unwrap();
    assert_eq!(message.header(), hex("6000120034"));
    let mut again = Vec::new();
    dialect.encode(&message.to_builder(), &mut again).unwrap();
    assert_eq!(again, bytes);
}

#[test]
fn an_empty_secondary_bitmap_is_written_again() {
    let dialect = builtin("iso1987-ascii-binary");
    let bytes = hex("30383030 8020000000000000 0000000000000000 303030303432");
    let message = dialect.decode(&bytes).unwrap();
    let mut again = Vec::new();
    dialect.encode(&message.to_builder(), &mut again).unwrap();
    assert_eq!(again, bytes);
}

#[test]
fn hex_is_read_in_both_cases_and_written_in_upper_case() {
    let dialect = builtin("iso1987-ascii-hex");
    let lower = b"080000000000000010000123456789abcdef";
    let message = dialect.decode(lower).unwrap();
    assert_eq!(
        message.bytes(52).as_deref(),
        Some(&hex("0123456789ABCDEF")[..])
    );
    let mut upper = Vec::new();
    dialect.encode(&message.to_builder(), &mut upper).unwrap();
    assert_eq!(upper, b"080000000000000010000123456789ABCDEF");
}
