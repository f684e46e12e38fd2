//! The builder keeps what it is given, and encode says what is wrong with it.

use iso8583::{Dialect, MessageBuilder, Mti};

use crate::{builtin, hex, rows};

fn encoded(dialect: &Dialect, builder: &MessageBuilder) -> Vec<u8> {
    let mut out = Vec::new();
    dialect.encode(builder, &mut out).unwrap();
    out
}

#[test]
fn order_replacement_and_removal_leave_no_trace() {
    let dialect = builtin("iso1987-ascii-hex");
    let mut plain = MessageBuilder::new(Mti::AUTHORIZATION_RESPONSE);
    plain
        .text(2, "4111111111111111")
        .number(4, 5)
        .text(11, "000042")
        .text(39, "00")
        .text(44, "");
    let mut changed = MessageBuilder::new(Mti::AUTHORIZATION_REQUEST);
    changed
        .text(44, "A")
        .text(44, "")
        .text(11, "1")
        .text(39, "")
        .text(48, "9203123")
        .text(39, "0000")
        .text(2, "41")
        .number(4, 123_456)
        .text(11, "000042")
        .text(39, "00")
        .number(4, 5)
        .text(2, "4111111111111111")
        .remove(48)
        .remove(48)
        .set_mti(Mti::AUTHORIZATION_RESPONSE);
    assert_eq!(encoded(dialect, &changed), encoded(dialect, &plain));
    assert_eq!(changed.iter_des().collect::<Vec<_>>(), [2, 4, 11, 39, 44]);
    assert_eq!(changed.text_of(2).as_deref(), Some("4111111111111111"));
    assert_eq!(changed.text_of(4).as_deref(), Some("5"));
    assert_eq!(changed.text_of(44).as_deref(), Some(""));
    assert_eq!(changed.text_of(48), None);
    assert_eq!(changed.bytes_of(39), Some(&b"00"[..]));
    assert!(changed.has(4) && !changed.has(48));

    changed.clear(Mti::NETWORK_REQUEST);
    assert_eq!(changed.iter_des().count(), 0);
    assert_eq!(encoded(dialect, &changed), b"08000000000000000000");
}

#[test]
fn numbers_are_filled_with_zeros() {
    let cases = [
        // dialect, DE, number, content on the wire after MTI and bitmap
        ("iso1987-ascii-binary", 4, 0, "303030303030303030303030"),
        (
            "iso1987-ascii-binary",
            4,
            999_999_999_999,
            "393939393939393939393939",
        ),
        ("iso1987-ascii-binary", 49, 36, "303336"),
        ("iso1987-ascii-binary", 39, 5, "3035"),
        ("iso1987-ascii-binary", 32, 0, "303130"),
        ("iso1987-ascii-binary", 32, 12_345, "30353132333435"),
        ("iso1987-ebcdic", 11, 42, "F0F0F0F0F4F2"),
        ("iso1987-ebcdic", 49, 36, "F0F3F6"),
        ("iso1987-bcd", 11, 42, "000042"),
        ("iso1987-bcd", 19, 36, "0036"),
        ("iso1987-bcd", 19, 276, "0276"),
        ("iso1987-bcd", 32, 12_345, "05012345"),
        ("iso1987-bcd", 32, 1234, "041234"),
    ];
    for (name, de, number, expected) in cases {
        let dialect = builtin(name);
        let mut builder = MessageBuilder::new(Mti::AUTHORIZATION_REQUEST);
        builder.number(de, number);
        let bytes = encoded(dialect, &builder);
        let message = dialect.decode(&bytes).unwrap();
        assert_eq!(message.number(de), Some(number), "{name} DE {de}");
        assert_eq!(
            bytes[message.offset(de).unwrap()..],
            hex(expected),
            "{name} DE {de}"
        );
    }
}

#[test]
fn digits_behind_which_a_nibble_pads() {
    let text = "name = \"right\"\nbase = \"iso1987-bcd\"\n[encodings]\nnumeric = \"bcd-right\"";
    let dialect = Dialect::from_toml(text).unwrap();
    let dialect = &dialect;
    let mut builder = MessageBuilder::new(Mti::AUTHORIZATION_REQUEST);
    builder
        .number(19, 36)
        .text(21, "276")
        .text(2, "371449635398431");
    let bytes = encoded(dialect, &builder);
    assert_eq!(
        bytes,
        hex("6000000000 0100 4000280000000000 15 371449635398431F 036F 276F")
    );
    assert_eq!(dialect.decode(&bytes).unwrap().number(19), Some(36));
}

/// Dialect | method | DE | value (`00*7`: seven bytes) | the error's text.
const REFUSED: &str = "
iso1987-bcd | text | 0 | 1 | DE 0: expected a DE from 2 to 192, got 0
iso1987-bcd | text | 193 | 1 | DE 193: expected a DE from 2 to 192, got 193
iso1987-bcd | bytes | 1 | 00*8 | DE 1: expected a DE that is no bitmap, got a value
iso1987-bcd | bytes | 65 | 00*8 | DE 65: expected a DE that is no bitmap, got a value
iso1987-bcd | text | 129 | 1 | DE 129: expected a DE that iso1987-bcd defines, got a value
iso1987-bcd | text | 3 | 12345 | DE 3: expected 6 digits, got 5
iso1987-bcd | text | 3 | 1234567 | DE 3: expected 6 digits, got 7
iso1987-bcd | number | 3 | 1234567 | DE 3: expected 6 digits, got 7
iso1987-bcd | text | 3 | 12345A | DE 3: expected a digit at position 5, got 0x41
iso1987-bcd | text | 3 | +12345 | DE 3: expected a digit at position 0, got 0x2B
iso1987-bcd | text | 2 | 12345678901234567890 | DE 2: expected at most 19 digits, got 20
iso1987-bcd | text | 28 | 000000025 | DE 28: expected the sign C or D at position 0, got 0x30
iso1987-bcd | text | 28 | C0000D025 | DE 28: expected a digit at position 5, got 0x44
iso1987-bcd | number | 28 | 25 | DE 28: expected text of format x+n, got a number
iso1987-bcd | text | 35 | 4111^2512 | DE 35: expected a digit or a track separator at position 4, got 0x5E
iso1987-bcd | text | 37 | 63252000-042 | DE 37: expected a letter, a digit or a space at position 8, got 0x2D
iso1987-bcd | text | 41 | TERMINAL1 | DE 41: expected at most 8 characters, got 9
iso1987-ebcdic | text | 43 | Café | DE 43: expected a printable ASCII character at position 3, got 0xC3
iso1987-bcd | bytes | 52 | 00*7 | DE 52: expected 8 bytes, got 7
iso1987-bcd | text | 52 | 12345678 | DE 52: expected bytes, got text
iso1987-ascii-hex | bytes | 55 | 00*256 | DE 55: expected at most 255 bytes, got 256
iso1987-ascii-hex | header | - | 0102 | expected a header of 0 bytes, got 2 bytes
";

#[test]
fn what_cannot_be_written_is_named() {
    for [name, method, de, value, expected] in rows(REFUSED) {
        let mut builder = MessageBuilder::new(Mti::AUTHORIZATION_REQUEST);
        builder.number(11, 42);
        let de = de.parse().unwrap_or(0);
        let zeros = |count: &str| vec![0; count.parse().unwrap()];
        match method {
            "header" => builder.header(&hex(value)),
            "number" => builder.number(de, value.parse().unwrap()),
            "bytes" => builder.bytes(de, &zeros(value.trim_start_matches("00*"))),
            _ => builder.text(de, value),
        };
        let mut out = vec![1, 2, 3];
        let error = builtin(name).encode(&builder, &mut out).unwrap_err();
        assert_eq!(error.to_string(), expected, "{name}");
        assert_eq!(out, [1, 2, 3], "{name}: {expected}");
    }
}

#[test]
fn a_message_has_a_size_limit_and_a_misuse_can_be_taken_back() {
    let dialect = builtin("iso1987-ascii-hex");
    let mut builder = MessageBuilder::new(Mti::AUTHORIZATION_REQUEST);
    builder
        .bytes(48, &[b'x'; 70_000])
        .text(0, "never reported: the first misuse is");
    let error = dialect.encode(&builder, &mut Vec::new()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "DE 48: expected at most 65535 bytes in all, got 70000"
    );
    builder.remove(48);
    assert_eq!(encoded(dialect, &builder), b"01000000000000000000");
}

#[test]
fn debug_shows_no_value() {
    let mut builder = MessageBuilder::new(Mti::AUTHORIZATION_REQUEST);
    builder.text(2, "4111111111111111").text(48, "9203123");
    let shown = format!("{builder:?}");
    assert_eq!(shown, "MessageBuilder { mti: Mti(0100), des: [2, 48], .. }");
    let dialect = builtin("iso1987-ascii-hex");
    let bytes = encoded(dialect, &builder);
    let shown = format!("{:?}", dialect.decode(&bytes).unwrap());
    assert_eq!(
        shown,
        "Message { dialect: \"iso1987-ascii-hex\", mti: Mti(0100), des: [2, 48], .. }"
    );
    let shown = format!(
        "{:?}",
        dialect.decode(&bytes[..bytes.len() - 1]).unwrap_err()
    );
    assert!(
        !shown.contains("4111111111111111") && !shown.contains("920"),
        "{shown}"
    );
}
