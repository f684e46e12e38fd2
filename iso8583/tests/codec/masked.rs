//! What people may see of a message.

use iso8583::masked::{describe, is_shown, masked_hex, masked_pan};
use iso8583::{Dialect, MessageBuilder, Mti};

use crate::{builtin, hex};

/// (DE, value given, value shown).
const FIELDS: [(u8, &str, &str); 16] = [
    (2, "371449635398431", "371449*****8431"),
    (4, "000000001250", "000000001250"),
    (11, "000042", "000042"),
    (14, "2812", "*** (4 digits)"),
    (35, "371449635398431=2812101", "371449*****8431=*******"),
    (36, "01371449635398431=2812101", "01371449*****8431=*******"),
    (37, "632520000042", "632520000042"),
    (
        43,
        "PAYSWITCH TEST STORE     BERLIN       DE",
        "PAYSWITCH TEST STORE     BERLIN       DE",
    ),
    (
        45,
        "B371449635398431^DOE/JANE^2812101",
        "B371449*****8431^****************",
    ),
    (48, "9203123", "*** (7 characters)"),
    (53, "0000000000000001", "*** (16 digits)"),
    (62, "anything", "*** (8 characters)"),
    (
        90,
        "010000004211212045000000000000000000000000",
        "010000004211212045000000000000000000000000",
    ),
    (102, "DE1234567890", "*** (12 characters)"),
    (120, "password", "*** (8 characters)"),
    (127, "secret", "*** (6 characters)"),
];

/// The built-in dialects of one table of elements.
fn names_of_1987() -> impl Iterator<Item = &'static str> {
    let names = Dialect::builtin_names().iter().copied();
    names.filter(|name| name.starts_with("iso1987"))
}

const BYTES: [u8; 4] = [52, 64, 96, 128];

fn message(dialect: &Dialect) -> Vec<u8> {
    let mut builder = MessageBuilder::new(Mti::AUTHORIZATION_REQUEST);
    for (de, value, _) in FIELDS {
        builder.text(de, value);
    }
    for de in BYTES {
        builder.bytes(de, &hex("0123456789ABCDEF"));
    }
    builder.bytes(55, &hex("5A08371449635398431F"));
    let mut bytes = Vec::new();
    dialect.encode(&builder, &mut bytes).unwrap();
    bytes
}

#[test]
fn fields_are_described_without_their_secrets() {
    for name in names_of_1987() {
        let dialect = builtin(name);
        let bytes = message(dialect);
        let described = describe(dialect, &dialect.decode(&bytes).unwrap());
        assert_eq!(described.len(), FIELDS.len() + BYTES.len() + 1);
        for field in described {
            let expected = match FIELDS.iter().find(|(de, ..)| *de == field.de) {
                Some((_, _, shown)) => *shown,
                None if field.de == 55 => "*** (10 bytes)",
                None => "*** (8 bytes)",
            };
            assert_eq!(
                field.value_masked, expected,
                "{name} DE {} {}",
                field.de, field.name
            );
            assert_eq!(field.name, dialect.field(field.de).unwrap().name());
        }
    }
}

#[test]
fn hex_is_masked_in_every_encoding() {
    let cases = [
        (
            "iso1987-bcd",
            "6000000000 0100 6020000020000000 15 0371449*****8431 000000 000042
             23 371449*****8431D*******F",
        ),
        (
            "iso1987-ascii-binary",
            "30313030 6020000020000000 3135 333731343439**********38343331 303030303030 303030303432
             3233 333731343439**********383433313D**************",
        ),
        (
            "iso1987-ebcdic",
            "F0F1F0F0 6020000020000000 F1F5 F3F7F1F4F4F9**********F8F4F3F1 F0F0F0F0F0F0 F0F0F0F0F4F2
             F2F3 F3F7F1F4F4F9**********F8F4F3F17E**************",
        ),
    ];
    for (name, expected) in cases {
        let dialect = builtin(name);
        let mut builder = MessageBuilder::new(Mti::AUTHORIZATION_REQUEST);
        builder
            .text(2, "371449635398431")
            .number(3, 0)
            .number(11, 42);
        builder.text(35, "371449635398431=2812101");
        let mut bytes = Vec::new();
        dialect.encode(&builder, &mut bytes).unwrap();
        let mut expected: String = expected.chars().filter(|c| !c.is_whitespace()).collect();
        if name == "iso1987-bcd" {
            // The nibbles that pad are no digits of the PAN, and are not shown.
            expected = expected
                .replace("150371449", "15*371449")
                .replace("*******F", "********");
        }
        assert_eq!(masked_hex(dialect, &bytes), expected, "{name}");
    }
}

#[test]
fn secrets_are_hidden_in_hex() {
    for name in names_of_1987() {
        let dialect = builtin(name);
        let bytes = message(dialect);
        let message = dialect.decode(&bytes).unwrap();
        let shown = masked_hex(dialect, &bytes);
        for de in [14, 48, 52, 53, 55, 62, 64, 96, 102, 120, 127, 128] {
            let range = message.content_range(de).unwrap();
            let part = &shown[range.start * 2..range.end * 2];
            assert!(
                part.bytes().all(|byte| byte == b'*'),
                "{name} DE {de}: {part}"
            );
        }
    }
}

/// A reference is shown unless it holds a part of a PAN that stands elsewhere in the message.
#[test]
fn a_field_is_shown_unless_it_holds_a_part_of_a_pan() {
    const PAN: &str = "4000643673637301";
    let dialect = builtin("iso1987-ascii-binary");
    let stray = format!("SHOP {PAN} BERLIN          DE");
    for (de, value, reference, expected) in [
        (43, stray.as_str(), &PAN[..12], false),
        (2, PAN, &PAN[4..], false),
        (2, PAN, "632520000042", true),
        (39, "00", "632520000042", true),
        // By chance it looks like a PAN itself.
        (39, "00", "676770000005", true),
    ] {
        let mut builder = MessageBuilder::new(Mti::AUTHORIZATION_RESPONSE);
        builder.text(de, value).text(37, reference);
        let mut bytes = Vec::new();
        dialect.encode(&builder, &mut bytes).unwrap();
        let message = dialect.decode(&bytes).unwrap();
        assert_eq!(
            is_shown(&message, 37),
            expected,
            "{reference} beside {value}"
        );
        assert!(!is_shown(&message, 2) && !is_shown(&message, 44));
        // Its elements may lie elsewhere than they seem to.
        bytes.push(b'0');
        let error = dialect.decode(&bytes).unwrap_err();
        assert!(!is_shown(error.partial().unwrap(), 37));
    }
}

/// A PAN where none belongs: hidden by what it is, and so are its parts elsewhere.
#[test]
fn a_stray_pan_is_hidden_wherever_it_is() {
    const PAN: &str = "4000643673637301";
    let cases: [(u8, &str, &str); 12] = [
        (
            43,
            "SHOP 4000643673637301 BERLIN          DE",
            "SHOP **************** BERLIN          DE",
        ),
        (
            43,
            "4000 6436 7363 7301 BERLIN            DE",
            "**** **** **** **** BERLIN            DE",
        ),
        (
            43,
            "x4000-6436-7363-7301x                 DE",
            "x****-****-****-****x                 DE",
        ),
        (
            43,
            "0040006436736373013107                DE",
            "00****************3107                DE",
        ),
        (44, "4000643673637301", "****************"),
        (42, "4222222222222  ", "*************  "),
        (37, "676770000005", "************"),
        (54, "400064367363730", "400064367363730"),
        (37, "632520000042", "632520000042"),
        (41, "WEB00001", "WEB00001"),
        (42, "SHOP00000000001", "SHOP00000000001"),
        (
            43,
            "SHOP 12                BERLIN         DE",
            "SHOP 12                BERLIN         DE",
        ),
    ];
    let parts = [(37, &PAN[..12]), (41, &PAN[..8]), (42, &PAN[..15])];
    for name in ["iso1987-ascii-binary", "iso1987-ebcdic"] {
        let dialect = builtin(name);
        let shown_of = |builder: &MessageBuilder, de: u8| {
            let mut bytes = Vec::new();
            dialect.encode(builder, &mut bytes).unwrap();
            let message = dialect.decode(&bytes).unwrap();
            let range = message.content_range(de).unwrap();
            let shown = masked_hex(dialect, &bytes);
            let text = message.text(de).unwrap().into_owned();
            let pairs = shown.as_bytes()[range.start * 2..range.end * 2].chunks(2);
            text.chars()
                .zip(pairs)
                .map(|(character, pair)| if pair == b"**" { '*' } else { character })
                .collect::<String>()
        };
        for (de, value, expected) in cases {
            let mut builder = MessageBuilder::new(Mti::AUTHORIZATION_RESPONSE);
            builder.text(de, value);
            assert_eq!(shown_of(&builder, de), expected, "{name} DE {de}");
        }
        for whole in [2, 35, 43] {
            let mut builder = MessageBuilder::new(Mti::AUTHORIZATION_RESPONSE);
            for (de, part) in parts {
                let width = dialect.field(de).unwrap().max_units();
                builder.text(de, &format!("{part:<width$}", width = usize::from(width)));
            }
            match whole {
                35 => builder.text(35, &format!("{PAN}=3107101")),
                43 => builder.text(43, &format!("{PAN:<40}")),
                de => builder.text(de, PAN),
            };
            for (de, part) in parts {
                let shown = shown_of(&builder, de);
                assert_eq!(shown.trim_end(), "*".repeat(part.len()), "{name} DE {de}");
            }
        }
    }
}

#[test]
fn what_cannot_be_understood_is_hidden_whole() {
    let cases = [
        // DE, a value that is no PAN or no track
        (2, "123456789012"),
        (2, ""),
        (34, "37144963539843=1"),
        (35, "371449635398431"),
        (35, "3714=2812"),
        (35, "=371449635398431"),
        (36, "0"),
        (36, "01371449635398431"),
        (45, "A371449635398431^DOE^2812"),
        (45, "B371449635398431 DOE 2812"),
        (45, "B3714 49635398431^DOE"),
    ];
    let dialect = builtin("iso1987-ascii-binary");
    for (de, value) in cases {
        let mut builder = MessageBuilder::new(Mti::AUTHORIZATION_REQUEST);
        let mut bytes = Vec::new();
        dialect.encode(builder.text(de, value), &mut bytes).unwrap();
        let message = dialect.decode(&bytes).unwrap();
        let shown = &describe(dialect, &message)[0].value_masked;
        assert!(shown.starts_with("*** ("), "DE {de} {value}: {shown}");
        let range = message.content_range(de).unwrap();
        assert_eq!(
            masked_hex(dialect, &bytes)[range.start * 2..],
            "*".repeat(range.len() * 2)
        );
    }
}

#[test]
fn a_message_out_of_step_shows_no_field() {
    let dialect = builtin("iso1987-ascii-binary");
    // The bit of DE 2 was lost, so that the PAN lies where DE 3 and DE 4 are read.
    let bytes = b"0100\x30\x20\0\0\0\0\0\x00164111111111111111000000000000001250000042";
    let error = dialect.decode(bytes).unwrap_err();
    let shown = masked_hex(dialect, bytes);
    assert_eq!(
        shown,
        format!(
            "303130303020000000000000{}",
            "*".repeat((bytes.len() - 12) * 2)
        )
    );
    for field in describe(dialect, error.partial().unwrap()) {
        assert!(field.value_masked.starts_with("*** ("), "{field:?}");
    }
    assert_eq!(masked_hex(dialect, b"01X041"), "************");
    assert_eq!(masked_hex(dialect, b""), "");
}

/// A stream that is out of step may have a PAN where header and MTI are read.
#[test]
fn a_pan_in_the_place_of_the_preamble_is_not_shown() {
    let bcd = builtin("iso1987-bcd");
    for bytes in [
        // DE 2 of 16 digits, its length before it or not, and what follows.
        hex("1641111111111111110000000000125011211015"),
        hex("4111111111111111000000000012501121101500"),
        // A header of the PAN's digits, and an MTI that there is.
        hex("4111111111010060200000200000001600000000"),
    ] {
        assert!(bcd.decode(&bytes).is_err());
        let shown = masked_hex(bcd, &bytes);
        assert!(!shown.contains("1111"), "{shown}");
    }
    let ascii = builtin("iso1987-ascii-binary");
    let bytes = b"4111111111111111000000000000001250";
    assert_eq!(masked_hex(ascii, bytes), "*".repeat(bytes.len() * 2));
}

#[test]
fn a_message_with_wrong_content_shows_no_field() {
    let dialect = builtin("iso1987-ascii-binary");
    let bytes = b"0100\x10\x20\0\0\0\0\0\x0000000000125X000042";
    let shown = masked_hex(dialect, bytes);
    assert_eq!(shown, format!("303130301020000000000000{}", "*".repeat(36)));
    let error = dialect.decode(bytes).unwrap_err();
    let described = describe(dialect, error.partial().unwrap());
    assert_eq!(described.len(), 1);
    assert_eq!(
        (described[0].de, described[0].value_masked.as_str()),
        (11, "*** (6 digits)")
    );
}

#[test]
fn a_pan_shows_its_bin_and_its_last_four_digits() {
    let cases = [
        ("4111111111111111", "411111******1111"),
        ("371449635398431", "371449*****8431"),
        ("1234567890123", "123456***0123"),
        ("1234567890123456789", "123456*********6789"),
        ("123456789012", "***"),
        ("12345678901234567890", "***"),
        ("411111111111111A", "***"),
        ("", "***"),
    ];
    for (pan, shown) in cases {
        assert_eq!(masked_pan(pan), shown);
    }
}
