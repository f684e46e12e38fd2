//! Dialects as data: what they inherit, and what is refused.

use iso8583::field::{ContentEncoding, Format, LengthCounts, LengthEncoding, LengthRule, Shown};
use iso8583::{Dialect, MessageBuilder, Mti};

use crate::{builtin, hex, rows};

#[test]
fn built_in_dialects_cover_the_whole_table() {
    for name in Dialect::builtin_names() {
        let dialect = builtin(name);
        assert_eq!(dialect.name(), *name);
        for de in 1..=128 {
            assert!(
                dialect
                    .field(de)
                    .is_some_and(|spec| !spec.name().is_empty()),
                "{name} DE {de}"
            );
        }
        assert!(dialect.field(0).is_none() && dialect.field(129).is_none());
        assert!(dialect.field(255).is_none());
    }
    assert!(Dialect::builtin("iso1987").is_none());
    let header_bytes = |name| builtin(name).header_bytes();
    assert_eq!(
        (header_bytes("iso1987-bcd"), header_bytes("iso1987-ebcdic")),
        (5, 0)
    );
}

#[test]
fn a_row_says_all_about_a_field() {
    let pan = builtin("iso1987-bcd").field(2).unwrap();
    assert_eq!(pan.name(), "Primary account number");
    assert_eq!(
        (pan.format(), pan.length(), pan.max_units()),
        (Format::N, LengthRule::Ll, 19)
    );
    assert_eq!(pan.encoding(), ContentEncoding::BcdLeft);
    assert_eq!(pan.length_encoding(), LengthEncoding::Bcd);
    assert_eq!(pan.length_counts(), LengthCounts::Content);
    assert_eq!(pan.shown(), Shown::Pan);
    assert_eq!(Format::Xn.to_string(), "x+n");
}

/// Encodes one text field behind MTI and bitmap, decodes it again, and gives the field's bytes.
fn field(dialect: &str, de: u8, value: &[u8]) -> Result<Vec<u8>, String> {
    let toml = format!("name = \"test\"\nbase = \"iso1987-ascii-binary\"\n{dialect}");
    let dialect = Dialect::from_toml(&toml).map_err(|error| error.to_string())?;
    let mut builder = MessageBuilder::new(Mti::AUTHORIZATION_REQUEST);
    builder.bytes(de, value);
    let mut bytes = Vec::new();
    dialect
        .encode(&builder, &mut bytes)
        .map_err(|error| error.to_string())?;
    let message = dialect.decode(&bytes).map_err(|error| error.to_string())?;
    assert_eq!(message.bytes(de).unwrap(), value);
    Ok(bytes[message.field_range(de).unwrap()].to_vec())
}

/// TOML, `;` for a new line | DE | value | the field's bytes.
const OVERRIDES: &str = "
[fields.48]; length = 'llll'; max = 9999 | 48 | AB | 303030324142
[fields.48]; length_encoding = 'binary' | 48 | AB | 00024142
[fields.44]; length_encoding = 'binary' | 44 | AB | 024142
[fields.44]; length_encoding = 'binary'; max = 255 | 44 | AB | 024142
[fields.48]; length_encoding = 'bcd' | 48 | AB | 00024142
[fields.48]; length_encoding = 'ebcdic'; encoding = 'ebcdic' | 48 | AB | F0F0F2C1C2
[fields.2]; encoding = 'bcd-right' | 2 | 123 | 3033123F
[encodings]; bcd_right_pad = '0'; [fields.2]; encoding = 'bcd-right' | 2 | 123 | 30331230
[encodings]; bcd_left_pad = 'F'; [fields.2]; encoding = 'bcd-left' | 2 | 123 | 3033F123
[fields.2]; encoding = 'bcd-right'; length_counts = 'wire' | 2 | 123 | 3032123F
[fields.2]; encoding = 'bcd-right'; length_counts = 'wire' | 2 | 1234 | 30321234
[fields.2]; encoding = 'bcd-right'; length_counts = 'wire' | 2 |  | 3030
[fields.55]; encoding = 'hex' | 55 | 0xABCD | 30303241424344
[fields.55]; encoding = 'hex'; length_counts = 'wire' | 55 | 0xABCD | 30303441424344
[fields.28]; encoding = 'bcd-left' | 28 | D00000025 | 4400000025
[encodings]; code_page = '037'; [fields.45]; encoding = 'ebcdic' | 45 | B^[ | 3033C2B0BA
";

#[test]
fn overrides_change_one_field() {
    for [toml, de, value, expected] in rows(OVERRIDES) {
        let value = match value.strip_prefix("0x") {
            Some(bytes) => hex(bytes),
            None => value.into(),
        };
        let toml = toml.replace("; ", "\n");
        let bytes = field(&toml, de.parse().unwrap(), &value);
        assert_eq!(bytes, Ok(hex(expected)), "{toml}");
    }
    let no_padding = "[fields.41]\npad_spaces = false";
    assert_eq!(field(no_padding, 41, b"TERM0001"), Ok(b"TERM0001".to_vec()));
    let error = "DE 41: expected 8 characters, got 6";
    assert_eq!(field(no_padding, 41, b"TERM01"), Err(error.to_owned()));
}

#[test]
fn a_length_in_bytes_hides_no_digit_too_many() {
    let toml = "name = \"t\"\nbase = \"iso1987-ascii-binary\"
                [fields.2]\nencoding = \"bcd-right\"\nlength_counts = \"wire\"";
    let dialect = Dialect::from_toml(toml).unwrap();
    let prefix = b"0100\x40\0\0\0\0\0\0\x0010";
    let nineteen = [&prefix[..], &hex("1234567890123456789F")].concat();
    assert_eq!(
        dialect.decode(&nineteen).unwrap().text(2).as_deref(),
        Some("1234567890123456789")
    );
    let twenty = [&prefix[..], &hex("12345678901234567890")].concat();
    assert_eq!(
        dialect.decode(&twenty).unwrap_err().to_string(),
        "length of DE 2 at offset 14: expected at most 19 digits, got 20"
    );
}

#[test]
fn a_tertiary_bitmap_brings_fields_above_128() {
    let toml = "name = \"three\"\nbase = \"iso1987-ascii-binary\"\n[bitmap]\ntertiary = true
                [fields.129]\nname = \"A\"\nformat = \"n\"\nlength = \"fixed\"\nmax = 2
                [fields.192]\nname = \"B\"\nformat = \"n\"\nlength = \"fixed\"\nmax = 2";
    let dialect = Dialect::from_toml(toml).unwrap();
    let mut builder = MessageBuilder::new(Mti::NETWORK_REQUEST);
    builder.number(192, 7).number(129, 6).number(70, 5);
    let mut bytes = Vec::new();
    dialect.encode(&builder, &mut bytes).unwrap();
    let expected = "30383030 8000000000000000 8400000000000000 8000000000000001 303035 3036 3037";
    assert_eq!(bytes, hex(expected));
    let message = dialect.decode(&bytes).unwrap();
    assert_eq!(message.iter_des().collect::<Vec<_>>(), [70, 129, 192]);
    assert!(message.has(65) && message.number(192) == Some(7));
    let mut again = Vec::new();
    dialect.encode(&message.to_builder(), &mut again).unwrap();
    assert_eq!(again, bytes);

    let toml = toml.replace("tertiary = true", "tertiary = false");
    let error = Dialect::from_toml(&toml)
        .unwrap()
        .encode(&builder, &mut bytes)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "DE 129: expected no tertiary bitmap, got a value"
    );
}

/// TOML, `;` for a new line | part of the error's text.
const CONTRADICTIONS: &str = "
base = 'iso1987' | expected base to be one of iso1987-ascii-hex, 
removed = 7 | invalid type
colour = 7 | unknown field `colour`
[fields.62]; lenght = 'll' | unknown field `lenght`
[fields.0]; name = 'x' | fields.0: expected a DE number from 1 to 192, got `0`
[fields.193]; name = 'x' | fields.193: expected a DE number from 1 to 192, got `193`
[fields.abc]; name = 'x' | fields.abc: expected a DE number
[fields.130]; format = 'n' | fields.130: expected a name, got none
[fields.130]; name = 'x' | fields.130: expected a format, got none
[fields.130]; name = 'x'; format = 'n' | fields.130: expected a length, got none
[fields.3]; encoding = 'hex' | fields.3: expected an encoding for format n, got Hex
[fields.41]; encoding = 'bcd-left' | fields.41: expected an encoding for format ans
[fields.52]; encoding = 'ascii' | fields.52: expected an encoding for format b
[fields.2]; max = 0 | fields.2: expected a max of 1 to 9999, got 0
[fields.28]; max = 1 | fields.28: expected a max of 2 to 9999, got 1
[fields.2]; max = 100 | fields.2: expected a max whose length is at most 99, got 100
[fields.55]; encoding = 'hex'; length_counts = 'wire'; max = 500 | at most 999, got 1000
[fields.44]; length_encoding = 'binary'; max = 256 | at most 255, got 256
[fields.1]; max = 4 | fields.1: expected a bitmap
[fields.65]; format = 'n' | fields.65: expected a bitmap
[fields.52]; shown = 'clear' | fields.52: expected a secret to be masked
[fields.2]; shown = 'clear' | fields.2: expected a secret to be masked
[fields.55]; shown = 'pan' | fields.55: expected text where a PAN is shown
[fields.2]; encoding = 'bcd-left'; length_counts = 'wire' | pad nibble that can't be content, got 0
[encodings]; bcd_left_pad = 'FF' | bcd_left_pad: expected one hexadecimal digit, got `FF`
[encodings]; code_page = '1252' | expected 037, 500 or 1047, got `1252`
[header]; bytes = 65 | header.bytes: expected at most 64, got 65
[header]; bytes = 2; default = '6000000000' | expected 2 bytes in hex, got `6000000000`
[header]; bytes = 1; default = '6G' | expected 1 bytes in hex, got `6G`
";

#[test]
fn contradictions_are_refused() {
    for [toml, expected] in rows(CONTRADICTIONS) {
        let toml = toml.replace("; ", "\n");
        let base = if toml.starts_with("base") {
            ""
        } else {
            "base = \"iso1987-ascii-binary\"\n"
        };
        let error = Dialect::from_toml(&format!("name = \"test\"\n{base}{toml}")).unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains(expected),
            "{toml}:\n{error}\ndoes not say\n{expected}"
        );
    }
    let error = Dialect::from_toml("[mti]\nencoding = \"bcd\"").unwrap_err();
    assert_eq!(
        error.to_string(),
        "dialect ``: name: expected a name, got none"
    );
}

#[test]
fn a_dialect_can_be_written_without_a_base() {
    let toml = "name = \"tiny\"
                [fields.11]\nname = \"STAN\"\nformat = \"n\"\nlength = \"fixed\"\nmax = 6";
    let dialect = Dialect::from_toml(toml).unwrap();
    let message = dialect
        .decode(b"0800\0\x20\0\0\0\0\0\x00000042")
        .map(|m| m.number(11));
    assert_eq!(message.unwrap(), Some(42));
    assert_eq!(dialect.field(11).unwrap().shown(), Shown::Masked);
    let header = "name = \"h\"\nbase = \"iso1987-bcd\"\n[header]\nbytes = 0";
    assert_eq!(Dialect::from_toml(header).unwrap().header_bytes(), 0);
    let missing = "name = \"h\"\n[header]\nbytes = 3";
    let dialect = Dialect::from_toml(missing).unwrap();
    let error = dialect.encode(&MessageBuilder::new(Mti::NETWORK_REQUEST), &mut Vec::new());
    assert_eq!(
        error.unwrap_err().to_string(),
        "expected a header of 3 bytes, got 0 bytes"
    );
}
